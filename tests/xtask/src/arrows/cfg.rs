//! Which `cfg` predicates hold in test builds alone.

use super::lexer::Token;

/// Whether a `cfg` predicate, in its brackets, holds in test builds alone.
pub fn test_only(tokens: &[&Token]) -> bool {
    let [Token::Mark('('), inside @ .., Token::Mark(')')] = tokens else { return false };
    predicate(inside)
}

fn predicate(tokens: &[&Token]) -> bool {
    match tokens {
        [Token::Word(word)] => word == "test",
        [Token::Word(word), Token::Mark('('), inside @ .., Token::Mark(')')] => {
            let mut arguments = arguments(inside).into_iter();
            match word.as_str() {
                "all" => arguments.any(predicate),
                "any" => arguments.len() > 0 && arguments.all(predicate),
                _ => false,
            }
        }
        _ => false,
    }
}

/// The arguments of `all` or `any`, split at the commas of their own level.
fn arguments<'a, 'b>(tokens: &'a [&'b Token]) -> Vec<&'a [&'b Token]> {
    let (mut found, mut begin, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('(') => depth += 1,
            Token::Mark(')') => depth = depth.saturating_sub(1),
            Token::Mark(',') if depth == 0 => {
                found.push(&tokens[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    if begin < tokens.len() {
        found.push(&tokens[begin..]);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrows::lexer::tokens;

    #[test]
    fn only_what_no_other_build_compiles_is_for_tests_alone() {
        let alone = |source: &str| {
            let tokens = tokens(source);
            test_only(&tokens.iter().map(|(token, _)| token).collect::<Vec<_>>())
        };
        for source in ["(test)", "(all(unix, test))", "(any(test, all(test, unix)))"] {
            assert!(alone(source), "{source}");
        }
        for source in
            ["(unix)", "(not(test))", "(any(test, feature = \"story\"))", "(all(unix))", "(any())", ""]
        {
            assert!(!alone(source), "{source}");
        }
    }
}
