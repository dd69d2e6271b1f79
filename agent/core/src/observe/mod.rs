//! Turns files, host samples and Kubernetes objects that the daemon read into observations that hold no secrets.
//!
//! Each part takes plain values and gives the message that may leave the machine. What has no field in the protocol is
//! dropped: environment values, arguments, annotations, and file contents that look secret.

pub mod certificates;
pub mod file;
pub mod host;
mod kept;
pub mod kube;
pub mod measured;
#[cfg(test)]
mod measured_tests;
pub mod seen;
pub mod summary;
pub mod units;

pub use nimbus_redaction::secret;

/// Longest free text that is copied from elsewhere, such as a condition's message, in bytes.
const MAX_TEXT: usize = 1_024;

/// `text`, cut to [`MAX_TEXT`] bytes at a character's border.
fn bounded(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}
