//! Splits Rust source into tokens with their lines, as far as paths need it: comments are dropped and literals are
//! opaque.

/// One token. Text inside of literals and comments never becomes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// An identifier or keyword, without the `r#` of a raw one.
    Word(String),
    /// `::`.
    Separator,
    /// Any other single character outside of literals: brackets, `;`, `#`, `*`, ...
    Mark(char),
    /// A string, character, number or lifetime.
    Literal,
}

/// All tokens of a source text, each with its line, counted from 1.
pub fn tokens(source: &str) -> Vec<(Token, usize)> {
    let mut lexer = Lexer { rest: source, line: 1, found: Vec::new() };
    while lexer.step() {}
    lexer.found
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    found: Vec<(Token, usize)>,
}

impl Lexer<'_> {
    /// Takes one token, comment or space; false at the end of the text.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else { return false };
        if self.rest.starts_with("//") {
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.skip(block_comment(self.rest));
        } else if let Some(length) = string(self.rest).or_else(|| quote(self.rest)) {
            self.push(Token::Literal, length);
        } else if first == '_' || first.is_alphabetic() {
            let text = self.rest.strip_prefix("r#").unwrap_or(self.rest);
            let word: String = text.chars().take_while(|c| *c == '_' || c.is_alphanumeric()).collect();
            let length = self.rest.len() - text.len() + word.len();
            self.push(Token::Word(word), length);
        } else if first.is_ascii_digit() {
            let length = self.rest.find(|c: char| c != '_' && !c.is_alphanumeric());
            self.push(Token::Literal, length.unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("::") {
            self.push(Token::Separator, 2);
        } else if first.is_whitespace() {
            self.skip(first.len_utf8());
        } else {
            self.push(Token::Mark(first), first.len_utf8());
        }
        true
    }

    fn push(&mut self, token: Token, length: usize) {
        self.found.push((token, self.line));
        self.skip(length);
    }

    fn skip(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
    }
}

/// The length of the block comment, which may hold others, that `text` begins with.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of the string literal (raw, byte and C strings included) that `text` begins with, if it does.
fn string(text: &str) -> Option<usize> {
    let kind = ["br", "cr", "r", "b", "c", ""].into_iter().find(|kind| {
        text.strip_prefix(kind).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"'))
    })?;
    let rest = &text[kind.len()..];
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    if hashes > 0 && !kind.ends_with('r') {
        return None;
    }
    let body = kind.len() + hashes + 1;
    if kind.ends_with('r') {
        let close = format!("\"{}", "#".repeat(hashes));
        return Some(text[body..].find(&close).map_or(text.len(), |at| body + at + close.len()));
    }
    Some(escaped_end(text, body, '"'))
}

/// The length of the character, byte or lifetime that `text` begins with, if it does.
fn quote(text: &str) -> Option<usize> {
    let start = if text.starts_with("b'") { 2 } else { usize::from(text.starts_with('\'')) };
    let rest = text.get(start..).filter(|_| start > 0)?;
    let mut letters = rest.chars();
    let first = letters.next()?;
    if first == '\\' || letters.next() == Some('\'') {
        return Some(escaped_end(text, start, '\''));
    }
    let word = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
    Some(start + word)
}

/// Where the literal whose content starts at `body` ends: after the first `close` that no backslash precedes.
fn escaped_end(text: &str, body: usize, close: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text[body..].char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            letter if letter == close => return body + at + letter.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<String> {
        let word = |(token, _)| if let Token::Word(word) = token { Some(word) } else { None };
        tokens(source).into_iter().filter_map(word).collect()
    }

    #[test]
    fn comments_and_literals_hide_what_is_in_them() {
        let source = r##"
            // crate::a
            /* crate::b /* nested */ crate::c */
            x("crate::d \" crate::e", 'c', '\'', b'"', r#"crate::f " "#, br"g", c"h", 1_000u64, r#type);
        "##;
        assert_eq!(words(source), ["x", "type"]);
    }

    #[test]
    fn a_lifetime_does_not_open_a_character() {
        assert_eq!(words("fn a<'b>(c: &'b str, d: '_') -> &'static e"), ["fn", "a", "c", "str", "d", "e"]);
    }

    #[test]
    fn lines_are_counted_through_literals_of_several_lines() {
        let found = tokens("a\n\"x\ny\"\n/* \n */ b :: c");
        let line = |word: &str| found.iter().find(|(token, _)| *token == Token::Word(word.into())).unwrap().1;
        assert_eq!((line("a"), line("b")), (1, 5));
        assert!(found.contains(&(Token::Separator, 5)));
    }
}
