//! Kubernetes' quantities: `100m` of a processor, `128Mi` of memory.

/// Thousandths of a processor; none where it is no quantity. Rounded down.
pub fn milli(text: &str) -> Option<u64> {
    scaled(text, 1000)
}

/// Whole units: bytes of memory or of a volume; none where it is no quantity. Rounded down.
pub fn units(text: &str) -> Option<u64> {
    scaled(text, 1)
}

/// The quantity times `factor`. At most `u64::MAX`; no more than nine digits behind the point count.
fn scaled(text: &str, factor: u128) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (times, by): (u128, u128) = match unit {
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "" => (1, 1),
        "k" => (1000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && part.is_empty()) || whole.len() > 18 {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part = &part[..part.len().min(9)];
    let places = 10_u128.pow(u32::try_from(part.len()).ok()?);
    let part: u128 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let value = (whole * places + part) * times * factor / by / places;
    Some(u64::try_from(value).unwrap_or(u64::MAX))
}

/// Bytes for a person: `1.5 GiB`.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut scale = 1_u64 << 10;
    let mut unit = 0;
    while unit + 1 < UNITS.len() && number / scale >= 1024 {
        scale <<= 10;
        unit += 1;
    }
    let tenths = number / (scale / 10).max(1);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_means_them() {
        for (text, value) in
            [("100m", Some(100)), ("2", Some(2000)), ("1.5", Some(1500)), ("3920m", Some(3920)), ("x", None)]
        {
            assert_eq!(milli(text), value, "{text}");
        }
        for (text, value) in [
            ("128Mi", Some(128 << 20)),
            ("16Gi", Some(16 << 30)),
            ("1.5Gi", Some(3 << 29)),
            ("32801020Ki", Some(32_801_020 << 10)),
            ("1G", Some(1_000_000_000)),
            ("12345", Some(12345)),
            ("134217728000m", Some(134_217_728)),
            ("", None),
            ("10Xi", None),
            ("999999999999999999Pi", Some(u64::MAX)),
        ] {
            assert_eq!(units(text), value, "{text}");
        }
        assert_eq!(bytes(128 << 20), "128.0 MiB");
        assert_eq!(bytes(3 << 29), "1.5 GiB");
    }
}
