//! Which texts are names, addresses and ranges.

use std::net::Ipv4Addr;

/// A DNS label of at most so many characters: lower case, digits, hyphens within.
pub fn is_label(text: &str, most: usize) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty()
        && text.len() <= most
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A name of Kubernetes' objects: labels with points between them.
pub fn is_object_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|label| is_label(label, 63))
}

/// A DNS name of at least two labels.
pub fn is_dns_name(text: &str) -> bool {
    is_object_name(text) && text.contains('.')
}

/// What registries, networks, projects and paths are made of; nothing that a shell, YAML or Terraform would read otherwise.
pub fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/:@~+()".contains(c);
    !text.is_empty() && text.len() <= 255 && text.chars().all(plain) && !text.starts_with('-')
}

/// A registry as images begin with it: `HOST[:PORT][/PATH]`.
pub fn is_registry(text: &str) -> bool {
    let (host, path) = text.split_once('/').map_or((text, None), |(host, path)| (host, Some(path)));
    let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
    let is_part = |part: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
        // The separators that OCI knows: one of them, two underscores, or any number of dashes.
        let is_torn = ["..", "._", "_.", ".-", "-.", "_-", "-_", "___"].iter().any(|two| part.contains(two));
        edge(part.chars().next()) && edge(part.chars().last()) && part.chars().all(inner) && !is_torn
    };
    text.len() <= 255
        && host.split('.').all(|label| is_label(label, 63))
        && port.is_none_or(|port| is_number(port, 5) && port.parse::<u16>().is_ok_and(|port| port > 0))
        && path.is_none_or(|path| path.split('/').all(is_part))
}

/// The tag of an image, as the charts take it: a `+` is written as `_`.
pub fn is_tag(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let later = |c: char| first(c) || ".-+".contains(c);
    text.len() <= 128 && text.starts_with(first) && text.chars().all(later)
}

/// Digits alone, at most so many, without a sign and without a leading zero.
fn is_number(text: &str, most: usize) -> bool {
    let is_short = (1..=most).contains(&text.len());
    is_short && text.chars().all(|c| c.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
}

/// A range of IPv4 addresses without bits behind its prefix: its first address, and the prefix's length.
pub fn range_of(text: &str) -> Option<(u32, u32)> {
    let (address, length) = text.split_once('/')?;
    if !is_number(length, 2) {
        return None;
    }
    let (address, length) = (u32::from(address.parse::<Ipv4Addr>().ok()?), length.parse::<u32>().ok()?);
    let behind = u32::MAX.checked_shr(length).unwrap_or(0);
    (length <= 32 && address & behind == 0).then_some((address, length))
}

/// The length of a range's prefix.
pub fn prefix_of(text: &str) -> Option<u32> {
    range_of(text).map(|(_, length)| length)
}

/// Whether the first range lies within the second one.
pub fn is_within(inner: &str, outer: &str) -> bool {
    let (Some((address, length)), Some((begin, outer))) = (range_of(inner), range_of(outer)) else {
        return false;
    };
    let behind = u32::MAX.checked_shr(outer).unwrap_or(0);
    length >= outer && address & !behind == begin
}

/// A quantity of Kubernetes in binary units.
pub fn is_size(text: &str) -> bool {
    let number = text.strip_suffix("Gi").or_else(|| text.strip_suffix("Ti"));
    number.is_some_and(|it| it != "0" && is_number(it, 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_a_host_a_port_and_a_path() {
        for good in
            ["r", "registry.example.internal", "10.0.0.1:5000", "ghcr.io/company/nimbus", "r:443/a_b/c.d"]
        {
            assert!(is_registry(good), "{good}");
        }
        for bad in [
            "",
            "https://x/",
            "x/",
            "(x)",
            "r:::",
            "..",
            "r:0",
            "r:65536",
            "r:+5",
            "r:05",
            "r/",
            "r//a",
            "r/A",
            "R",
            "a b",
            "r\n",
            "-r",
        ] {
            assert!(!is_registry(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_range_has_digits_alone_and_no_bits_behind_its_prefix() {
        assert_eq!(prefix_of("10.0.0.0/24"), Some(24));
        assert_eq!(prefix_of("0.0.0.0/0"), Some(0));
        for bad in
            ["10.0.0.0/+24", "10.0.0.0/024", "10.0.0.0/33", "10.0.0.1/24", "10.0.0.0/", "10.0.0.0", "x/8"]
        {
            assert_eq!(prefix_of(bad), None, "{bad}");
        }
        assert!(is_within("10.0.0.0/24", "10.0.0.0/24") && is_within("10.0.0.128/25", "10.0.0.0/24"));
        assert!(!is_within("10.0.0.0/16", "10.0.0.0/24") && !is_within("10.0.1.0/24", "10.0.0.0/24"));
        assert!(is_size("10Gi") && !is_size("+5Gi") && !is_size("010Gi") && !is_size("0Gi"));
    }
}
