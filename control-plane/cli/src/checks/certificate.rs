//! Reads from when and until when certificates are valid.

use std::path::Path;

use jiff::Timestamp;
use nimbus_checks::check::{Gathered, Unread};
use nimbus_checks::doctor::Life;
use nimbus_platform::read_regular;
use x509_parser::pem::Pem;

/// The most bytes of a file of certificates.
const MOST_BYTES: u64 = 1 << 20;

/// Of a certificate as DER.
pub fn life(der: &[u8], of: &str) -> Gathered<Life> {
    let unread = || {
        Unread::new(
            format!("{of} cannot be read: it is no X.509 certificate"),
            "look at it with openssl x509 -text",
        )
    };
    let (_, parsed) = x509_parser::parse_x509_certificate(der).map_err(|_| unread())?;
    let at = |seconds| Timestamp::from_second(seconds).map_err(|_| unread());
    let validity = parsed.validity();
    Ok(Life {
        of: of.to_owned(),
        from: at(validity.not_before.timestamp())?,
        until: at(validity.not_after.timestamp())?,
    })
}

/// Of the certificate in a PEM file that ends first.
pub fn of_file(path: &Path) -> Gathered<Life> {
    let of = format!("the CA in {}", path.display());
    let text = read_regular(path, MOST_BYTES).map_err(|error| {
        Unread::new(
            format!("{of} cannot be read: {}", crate::files::reason(&error)),
            "copy ca.pem from the control plane's data directory, or correct the context's ca_file",
        )
    })?;
    let mut first: Option<Life> = None;
    for pem in Pem::iter_from_buffer(&text) {
        let pem = pem.map_err(|_| Unread::new(format!("{of} is not PEM"), "copy ca.pem again"))?;
        let life = life(&pem.contents, &of)?;
        if first.as_ref().is_none_or(|first| life.until < first.until) {
            first = Some(life);
        }
    }
    first.ok_or_else(|| Unread::new(format!("{of}: there is no certificate in it"), "copy ca.pem again"))
}

/// Of the first certificate in a PEM text, which is the one that a server shows.
pub fn of_text(text: &str, of: &str) -> Gathered<Life> {
    let unread = || {
        Unread::new(
            format!("{of} is none: expected PEM with the server's own certificate first"),
            "make it anew from the files of the certificate and its key: kubectl create secret tls",
        )
    };
    let pem = Pem::iter_from_buffer(text.as_bytes()).next().ok_or_else(unread)?.map_err(|_| unread())?;
    life(&pem.contents, of).map_err(|_| unread())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_told_as_that() {
        for text in ["", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let unread = of_text(text, "the certificate in the Secret web").unwrap_err();
            assert!(unread.why.starts_with("the certificate in the Secret web is none"), "{unread:?}");
        }
    }

    /// Nobody writes into the pipe: what waited for it would not end.
    #[test]
    fn a_pipe_in_the_place_of_the_ca_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        crate::files::tests::pipe(&path);
        let unread = of_file(&path).unwrap_err();
        assert!(unread.why.contains("ca.pem") && unread.why.contains("a pipe"), "{unread:?}");
    }
}
