//! Kubernetes' quantities (`250m`, `64Mi`, `1e3`) as whole numbers, and bytes as Kubernetes writes them.

/// The quantity in units of 1/`per`, rounded up; `None` where it cannot be read, which is not zero.
pub fn scaled(text: &str, per: u32) -> Option<i64> {
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
    // A whole number of a whole unit stays exact.
    if factor >= 1.0
        && let Ok(number) = number.parse::<u64>()
    {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number above nothing"
        )]
        let factor = factor as u128;
        let scaled = u128::from(number).checked_mul(factor)?.checked_mul(per.into())?;
        return i64::try_from(scaled).ok();
    }
    let value = number.parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0)?;
    // A tolerance of a billionth: 0.1 in binary is a little more than 0.1.
    let scaled = (value * factor * f64::from(per) * (1.0 - 1e-12)).ceil();
    // Up to 2^53 a float holds every whole number; more than that no node has.
    #[allow(clippy::cast_possible_truncation, reason = "bounded by the comparison")]
    (scaled < 9.0e15).then_some(scaled as i64)
}

/// Bytes in the form in which the API server keeps them, which is the largest binary unit that leaves a whole number.
pub fn binary(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
    UNITS
        .iter()
        .find(|(_, bits)| bytes > 0 && bytes.trailing_zeros() >= *bits)
        .map_or_else(|| bytes.to_string(), |(unit, bits)| format!("{}{unit}", bytes >> bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_the_api_server_keeps_them_and_read_back() {
        for (bytes, text) in [
            (0, "0"),
            (1_000, "1000"),
            (1_536, "1536"),
            (3 << 10, "3Ki"),
            (96 << 20, "96Mi"),
            (1_536 << 20, "1536Mi"),
            (1 << 30, "1Gi"),
            (5 << 40, "5Ti"),
        ] {
            assert_eq!(binary(bytes), text);
            assert_eq!(scaled(text, 1), i64::try_from(bytes).ok(), "{text}");
        }
    }

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        for (text, per, value) in [
            ("250m", 1_000, Some(250)),
            ("1", 1_000, Some(1_000)),
            ("0.1", 1_000, Some(100)),
            ("1500000u", 1_000, Some(1_500)),
            ("64Mi", 1, Some(64 << 20)),
            ("128974848", 1, Some(128_974_848)),
            ("5497558138881", 1, Some(5_497_558_138_881)),
            ("3Ti", 1, Some(3 << 40)),
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
