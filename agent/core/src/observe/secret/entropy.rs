//! Decides whether a word looks random, as keys and tokens do; names, paths and hexadecimal digests do not.

/// Shorter words are not judged: they have too little to tell.
const FROM: usize = 28;
/// Bits for each character above which a word counts as random. Hex has at most 4.
const BITS: f64 = 4.2;

pub(super) fn is_random(word: &str) -> bool {
    let word = word.trim_matches('=');
    if word.len() < FROM {
        return false;
    }
    let has = |test: fn(&u8) -> bool| word.as_bytes().iter().any(test);
    let mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit);
    // A path or a name is made of words; random text has no run of plain letters that long.
    mixed && bits(word) > BITS && longest_lower_run(word) < 6
}

/// Shannon entropy of the characters, in bits for each.
fn bits(word: &str) -> f64 {
    let mut counts = [0u32; 256];
    for byte in word.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let total = f64::from(u32::try_from(word.len()).unwrap_or(u32::MAX));
    counts.iter().filter(|n| **n > 0).map(|n| f64::from(*n) / total).map(|p| -p * p.log2()).sum()
}

fn longest_lower_run(word: &str) -> usize {
    word.split(|c: char| !c.is_ascii_lowercase()).map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_random_and_names_are_not() {
        assert!(is_random("sT7vQ2mZ9xL4bN8cR1wK6yP3dF5gH0jA"));
        assert!(is_random("wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzQ1w2e3r4t5=="));
        for word in [
            "short1A",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAaa11",
            "com.example.application.Settings.VERSION2.something",
        ] {
            assert!(!is_random(word), "{word}");
        }
    }
}
