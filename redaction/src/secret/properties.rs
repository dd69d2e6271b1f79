//! Reads what YAML puts before a value: an anchor as in `&a x`, a tag as in `!!str x`, or both.

/// References of Rust, which are no anchors.
const REFERENCES: [&str; 4] = ["&dyn", "&impl", "&mut", "&str"];

/// The value behind them; `None` where there are none, or nothing is behind them.
pub fn behind(value: &str) -> Option<&str> {
    let mut rest = value;
    for _ in 0..2 {
        let Some((_, behind)) = rest.split_once([' ', '\t']).filter(|(word, _)| is_one(word)) else {
            break;
        };
        rest = behind.trim_start();
    }
    (rest.len() < value.len() && !rest.is_empty()).then_some(rest)
}

/// Is this all that a line has of a value, so that it may stand below?
pub fn is_alone(value: &str) -> bool {
    value.split([' ', '\t']).all(is_one)
}

fn is_one(word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let anchor = word.strip_prefix('&').is_some_and(|name| !name.is_empty() && name.chars().all(is_part));
    let whole = word.starts_with("!<") && word.ends_with('>');
    let tag = whole || (word.starts_with('!') && !word.contains(['"', '\'', ',', ';', '=']));
    tag || (anchor && !REFERENCES.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_a_value_is_told_from_it() {
        for (value, left) in [
            ("&a x", Some("x")),
            ("!!str \"x\"", Some("\"x\"")),
            ("&a !!str x", Some("x")),
            ("!<tag:yaml.org,2002:str> x", Some("x")),
            ("! x", Some("x")),
            ("&a", None),
            ("x &a", None),
            ("&str x", None),
            ("&user=ops x", None),
        ] {
            assert_eq!(behind(value), left, "{value}");
        }
        assert!(is_alone("&a") && is_alone("!!str &a") && !is_alone("&a x") && !is_alone(""));
    }
}
