//! The slim Secret of type `kubernetes.io/tls`: until when its certificate is valid.
//!
//! RBAC knows no right to a part of a Secret, so that the whole of it comes to the agent where somebody had these watched. Of its data only the
//! certificate is decoded; the key is passed over in the text, and is neither kept nor sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::{Slim, SlimMeta};
use crate::observe::certificates;

/// The largest certificate with its chain that is decoded, bytes of its text: what a certificate file may have.
const LARGEST: usize = 256 << 10;

/// A Secret with a certificate.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimTlsSecret {
    metadata: SlimMeta,
    data: Option<Data>,
}

/// Of its data this alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Data {
    #[serde(rename = "tls.crt")]
    certificate: Option<String>,
}

impl SlimTlsSecret {
    fn certificate(&self) -> Option<v1::CertificateFile> {
        let encoded = self.data.as_ref()?.certificate.as_ref().filter(|text| text.len() <= LARGEST)?;
        let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        certificates::read("", &text, jiff::Timestamp::UNIX_EPOCH).ok()
    }
}

impl Slim for SlimTlsSecret {
    const KIND: ObjectKind = ObjectKind::TlsSecret;
    const PATH: &'static str = "/api/v1/secrets";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        let certificate = self.certificate().unwrap_or_default();
        v1::observation::Body::TlsSecret(v1::TlsSecret {
            meta: Some(self.metadata.observe()),
            name: certificate.name,
            not_before_us: certificate.not_before_us,
            not_after_us: certificate.not_after_us,
            sha256: certificate.sha256,
        })
    }
}

#[cfg(test)]
mod tests {
    use nimbus_protocol::v1::observation::Body;
    use serde_json::json;

    use super::*;

    fn told(certificate: &str) -> v1::TlsSecret {
        let object = json!({
            "metadata": {"uid": "s", "name": "web-tls", "namespace": "shop"},
            "data": {"tls.crt": STANDARD.encode(certificate), "tls.key": "c2VjcmV0LWtleQ=="},
        });
        let secret = serde_json::from_value::<SlimTlsSecret>(object).unwrap();
        assert!(!format!("{secret:?}").contains("c2VjcmV0LWtleQ"), "the key is not kept");
        let Body::TlsSecret(told) = secret.observe() else { panic!() };
        told
    }

    #[test]
    fn until_when_its_certificate_is_valid_is_told_and_its_key_is_not_even_kept() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["web.example.com".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2027, 3, 1);
        let pem = params.self_signed(&key).unwrap().pem();
        let secret = told(&pem);
        assert_eq!(secret.name, "web.example.com");
        assert_eq!(nimbus_protocol::from_micros(secret.not_after_us).to_string(), "2027-03-01T00:00:00Z");
        assert_eq!(secret.sha256.len(), 32);
    }

    #[test]
    fn one_without_a_certificate_that_can_be_read_is_told_as_that() {
        for text in ["", "not a certificate", &"a".repeat(300 << 10)] {
            let secret = told(text);
            assert_eq!((secret.not_after_us, secret.sha256.len()), (0, 0));
        }
        let bare =
            serde_json::from_value::<SlimTlsSecret>(json!({"metadata": {"uid": "s"}, "data": null})).unwrap();
        assert!(matches!(bare.observe(), Body::TlsSecret(told) if told.not_after_us == 0));
    }
}
