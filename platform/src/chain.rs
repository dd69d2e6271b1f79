//! Formats an error with its causes as one line, for a log, a status or a person.

use std::error::Error;

/// The error's message and those of its causes, outermost first, joined by `: `. A cause that the text before it
/// already tells is not told again: many errors repeat their source in their own message.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    // A message of several lines (a parser's, a server's) still has to fit one line of a log.
    if text.contains(['\n', '\r']) {
        text = text
            .split(['\n', '\r'])
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Step {
        text: &'static str,
        source: Option<Box<Step>>,
    }

    fn steps(texts: &[&'static str]) -> Step {
        let (text, rest) = texts.split_first().unwrap();
        Step { text, source: (!rest.is_empty()).then(|| Box::new(steps(rest))) }
    }

    #[test]
    fn causes_are_told_in_order_and_once() {
        assert_eq!(chain(&steps(&["alone"])), "alone");
        assert_eq!(chain(&steps(&["no answer", "connect", "refused"])), "no answer: connect: refused");
        assert_eq!(
            chain(&steps(&["no answer: refused", "refused", "errno 111"])),
            "no answer: refused: errno 111"
        );
    }

    #[test]
    fn a_message_of_several_lines_becomes_one() {
        assert_eq!(chain(&steps(&["parse error\n  at line 1\r\n", "^^^"])), "parse error at line 1 : ^^^");
    }
}
