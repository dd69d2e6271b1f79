//! Names as the API server takes them.

/// The most characters of a namespace's name.
const MOST_LABEL: usize = 63;
/// The most characters of another object's name.
const MOST_NAME: usize = 253;

/// Reads the name of a namespace: a DNS label (RFC 1123).
pub fn namespace_name(text: &str) -> Result<String, String> {
    if text.len() <= MOST_LABEL && is_label(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "expected the name of a namespace: at most {MOST_LABEL} of a-z, 0-9 and -, beginning and ending with a letter or digit"
    ))
}

/// Can an object such as a Secret be called that: DNS labels with dots between?
pub fn is_object_name(text: &str) -> bool {
    text.len() <= MOST_NAME && text.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    let is_end = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(is_end)
        && bytes.last().is_some_and(is_end)
        && bytes.iter().all(|byte| is_end(byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_a_dns_label_and_a_secret_may_have_dots() {
        let long = "a".repeat(64);
        for good in ["nimbus", "n", "nimbus-2", "0", &long[1..]] {
            assert_eq!(namespace_name(good).as_deref(), Ok(good));
            assert!(is_object_name(good));
        }
        for bad in ["", "a b", "-a", "a-", "--all-namespaces", "Nimbus", "a_b", "a/b", "ä", &long] {
            let said = namespace_name(bad).unwrap_err();
            assert!(said.contains("expected the name of a namespace"), "{said}");
        }
        assert!(namespace_name("a.b").is_err() && is_object_name("a.b"));
        for bad in ["", "a..b", ".a", "-o", "a b", "a.-b"] {
            assert!(!is_object_name(bad), "{bad}");
        }
    }
}
