//! Letters in the one form in which names and words are compared.

/// Has no width: it can stand in the middle of a word without being seen.
pub fn is_silent(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
}

/// A letter in the one form in which words are compared. Its marks go only once it is in lower case, since some letters
/// get one there (`İ`); a sigma is the same one at the end of a word.
pub fn fold(c: char) -> impl Iterator<Item = char> {
    let is_left = |c: &char| !matches!(c, '\u{300}'..='\u{36f}') && !is_silent(*c);
    c.to_lowercase().filter(is_left).map(|c| match c {
        'ς' => 'σ',
        'ı' => 'i',
        _ => c,
    })
}

/// One of the signs that passwords have inside, and that join no words. Who takes more of them for such names those too.
pub fn is_sign(c: char) -> bool {
    matches!(c, '!' | '$' | '%' | '^' | '*' | '#' | '@' | '?')
}
