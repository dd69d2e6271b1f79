//! From what is really there to an observation, secrets already left behind.
//!
//! Each part takes plain values that the daemon read and gives the message that may leave the machine. Nothing that
//! is not in the protocol is kept: no environment values, arguments, annotations or file contents that look secret.

pub mod file;
pub mod host;
pub mod kube;
pub mod secret;
pub mod seen;

/// Longest free text taken over from elsewhere, such as a condition's message.
const MAX_TEXT: usize = 1_024;

/// `text`, cut to [`MAX_TEXT`] bytes at a character's border.
fn bounded(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}
