//! Kubernetes' quantities (`250m`, `64Mi`, `1e3`) as whole numbers.

/// The quantity in units of 1/`per`, rounded up; `None` where it cannot be read, which is not zero.
pub(super) fn scaled(text: &str, per: u32) -> Option<i64> {
    const SUFFIXES: [(&str, f64); 15] = [
        ("Ki", 1_024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let (number, factor) = SUFFIXES
        .iter()
        .find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)))
        .unwrap_or((text, 1.0));
    let value = number.parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0)?;
    // A tolerance of a billionth: 0.1 in binary is a little more than 0.1.
    let scaled = (value * factor * f64::from(per) * (1.0 - 1e-12)).ceil();
    // Up to 2^53 a float holds every whole number; more than that no node has.
    #[allow(clippy::cast_possible_truncation, reason = "bounded by the comparison")]
    (scaled < 9.0e15).then_some(scaled as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        for (text, per, value) in [
            ("250m", 1_000, Some(250)),
            ("1", 1_000, Some(1_000)),
            ("0.1", 1_000, Some(100)),
            ("1500000u", 1_000, Some(1_500)),
            ("64Mi", 1, Some(64 << 20)),
            ("128974848", 1, Some(128_974_848)),
            ("1e3", 1, Some(1_000)),
            ("5k", 1, Some(5_000)),
            ("0", 1, Some(0)),
            ("many", 1, None),
            ("", 1, None),
            ("-1", 1, None),
        ] {
            assert_eq!(scaled(text, per), value, "{text}");
        }
    }
}
