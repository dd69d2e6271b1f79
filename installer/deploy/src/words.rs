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

/// A range of IPv4 addresses without bits behind its prefix: the prefix's length.
pub fn prefix_of(text: &str) -> Option<u32> {
    let (address, length) = text.split_once('/')?;
    let (address, length) = (address.parse::<Ipv4Addr>().ok()?, length.parse::<u32>().ok()?);
    let behind = u32::MAX.checked_shr(length).unwrap_or(0);
    (length <= 32 && u32::from(address) & behind == 0).then_some(length)
}

/// A quantity of Kubernetes in binary units.
pub fn is_size(text: &str) -> bool {
    let number = text.strip_suffix("Gi").or_else(|| text.strip_suffix("Ti"));
    number.is_some_and(|it| !it.starts_with('0') && it.len() <= 6 && it.parse::<u32>().is_ok())
}
