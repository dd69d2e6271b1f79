//! Wraps text into lines of a given width.

use unicode_width::UnicodeWidthStr as _;

/// `text` in lines of at most `room` columns, broken between words, or inside one that is longer than a line.
pub fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word;
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].width() + 1 + word.width() > room {
            lines.push(String::new());
        }
        while word.width() > room {
            let cut = cut_at(word, room);
            let last = lines.len() - 1;
            lines[last].push_str(&word[..cut]);
            lines.push(String::new());
            word = &word[cut..];
        }
        let last = lines.len() - 1;
        if !lines[last].is_empty() {
            lines[last].push(' ');
        }
        lines[last].push_str(word);
    }
    lines
}

/// The byte up to which `word` fits into `room` columns; at least one letter.
fn cut_at(word: &str, room: usize) -> usize {
    let ends = word.char_indices().map(|(at, letter)| at + letter.len_utf8());
    let fitting = ends.clone().take_while(|&end| word[..end].width() <= room).last();
    fitting.or_else(|| ends.clone().next()).unwrap_or(word.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_where_they_fit_on_a_line() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("x sha256:abcdef y", 7), ["x", "sha256:", "abcdef", "y"]);
        assert_eq!(wrap("", 8), [""]);
        assert_eq!(wrap("文文文", 5), ["文文", "文"]);
    }
}
