//! Counts the lines that a restore would lose: a figure that says nothing of what is in them.

use std::collections::HashMap;

/// Lines of `after` that `before` does not have, each as often as it is there; without a newline at the end a line counts
/// all the same.
pub fn lost(before: &[u8], after: &[u8]) -> u64 {
    let mut had: HashMap<&[u8], u64> = HashMap::new();
    for line in lines(before) {
        *had.entry(line).or_default() += 1;
    }
    let mut lost = 0;
    for line in lines(after) {
        match had.get_mut(line) {
            Some(left) if *left > 0 => *left -= 1,
            Some(_) | None => lost += 1,
        }
    }
    lost
}

fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_since_counts_and_what_stayed_does_not() {
        for (before, after, count) in [
            (b"a\nb\n".as_slice(), b"a\nb\nc\nd\n".as_slice(), 2),
            (b"a\nb\n", b"a\nB\n", 1),
            (b"a\na\n", b"a\na\na\n", 1),
            (b"a\nb\n", b"b\na\n", 0),
            (b"a\nb\n", b"", 0),
            (b"", b"one, unended", 1),
            (b"a", b"a\n", 0),
        ] {
            assert_eq!(lost(before, after), count, "{before:?} {after:?}");
        }
    }
}
