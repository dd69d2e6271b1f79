//! Recognises values that are plainly not secrets (placeholders, switches) where a secret could be.

/// True for nothing, a reference such as `${NAME}`, and a switch such as `true`.
pub(super) fn is_placeholder(value: &str) -> bool {
    let value = value.trim_end_matches([',', ';', '"', '\'']).trim();
    let reference = (value.starts_with("${") && value.ends_with('}') && !value.contains(":-"))
        || (value.starts_with("{{") && value.ends_with("}}"));
    let value = value.trim_end_matches(['}', ']']).trim();
    value.is_empty()
        || reference
        || value.starts_with("</")
        || matches!(
            value,
            "true" | "false" | "null" | "none" | "None" | "~" | "yes" | "no" | "{" | "[" | "{}" | "[]"
        )
}
