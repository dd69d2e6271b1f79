//! What of a Secret is looked at: the names of its keys, and a certificate. Nothing else of it leaves kubectl.

use crate::check::{Gathered, Unread};

/// What `kubectl get secret NAME -o` is asked for: each key that has a value on a line of its own, an empty line, and the
/// certificate chain of a Secret of type kubernetes.io/tls, which everybody sees who connects.
pub const SECRET: &str = r#"go-template={{range $key, $value := .data}}{{if $value}}{{$key}}{{"\n"}}{{end}}{{end}}{{"\n"}}{{with .data}}{{with index . "tls.crt"}}{{. | base64decode}}{{end}}{{end}}"#;

/// A Secret that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secret {
    /// The keys that have a value.
    pub keys: Vec<String>,
    /// What `tls.crt` holds; empty without.
    pub certificate: String,
}

/// Of `kubectl get secret NAME -o` [`SECRET`].
pub fn secret(printed: &[u8]) -> Gathered<Secret> {
    let text = str::from_utf8(printed).map_err(|_| {
        Unread::new(
            "what kubectl printed of a Secret cannot be read: tls.crt is no text",
            "put a certificate as PEM into it",
        )
    })?;
    // Without any key the empty line is the first.
    let (keys, certificate) = text
        .strip_prefix('\n')
        .map_or_else(|| text.split_once("\n\n").unwrap_or((text, "")), |certificate| ("", certificate));
    Ok(Secret { keys: keys.lines().map(str::to_owned).collect(), certificate: certificate.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_a_certificate_are_told_apart() {
        let read = secret(b"ca.crt\ntls.crt\ntls.key\n\n-----BEGIN A\n\nb\n").unwrap();
        assert_eq!(read.keys, ["ca.crt", "tls.crt", "tls.key"]);
        assert_eq!(read.certificate, "-----BEGIN A\n\nb\n");
        assert_eq!(
            secret(b"url\n\n").unwrap(),
            Secret { keys: vec!["url".to_owned()], certificate: String::new() }
        );
        assert_eq!(secret(b"\n"), Ok(Secret::default()));
        assert!(secret(b"tls.crt\n\n\xff").is_err());
    }
}
