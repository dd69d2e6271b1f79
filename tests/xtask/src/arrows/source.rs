//! What one source file says about modules: which it declares, which names it imports or defines, and every path that
//! it uses. What is compiled for tests alone is left out.

use std::collections::{BTreeMap, BTreeSet};

use super::cfg::test_only;
use super::lexer::{Token, tokens};

/// The segments of a path as written (`["super", "name"]`); of a module, from the crate's root (`["a", "b"]`).
pub type Path = Vec<String>;

/// What one module says.
#[derive(Debug, Default)]
pub struct Module {
    /// Its child modules. (A `#[path]` is known on test modules alone, which are left out.)
    pub children: BTreeSet<String>,
    /// Names that `use` brings in, each with its path as written.
    pub aliases: BTreeMap<String, Path>,
    /// Paths of `use path::*`.
    pub globs: Vec<Path>,
    /// Names of the functions, types, constants and macros that it defines.
    pub items: BTreeSet<String>,
    /// Every path of two or more segments that it writes, with the line.
    pub paths: Vec<(Path, usize)>,
}

/// The modules that a file holds, by their path: its own (`own`) and those written inside of it.
/// Empty when the whole file is for tests alone.
pub fn parse(source: &str, own: &[String]) -> BTreeMap<Path, Module> {
    let tokens = tokens(source);
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        depth: 0,
        open: vec![(own.to_vec(), 0)],
        modules: BTreeMap::from([(own.to_vec(), Module::default())]),
    };
    if parser.run() { parser.modules } else { BTreeMap::new() }
}

struct Parser<'a> {
    tokens: &'a [(Token, usize)],
    at: usize,
    /// Brackets of every kind that are open.
    depth: usize,
    /// The modules that are open, the innermost last, each with the depth of its content.
    open: Vec<(Path, usize)>,
    modules: BTreeMap<Path, Module>,
}

impl Parser<'_> {
    /// Reads the file; false when all of it is for tests alone.
    fn run(&mut self) -> bool {
        while let Some(token) = self.token(0) {
            match token {
                Token::Mark('#') => {
                    let inner = self.token(1) == Some(&Token::Mark('!'));
                    if self.attribute() {
                        if inner {
                            return false;
                        }
                        self.skip_item();
                    }
                }
                Token::Mark(mark) => self.mark(*mark),
                Token::Word(word) => self.word(&word.clone()),
                Token::Separator | Token::Literal => self.at += 1,
            }
        }
        true
    }

    fn token(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|(token, _)| token)
    }

    fn name(&self, ahead: usize) -> Option<String> {
        if let Some(Token::Word(word)) = self.token(ahead) { Some(word.clone()) } else { None }
    }

    fn mark(&mut self, mark: char) {
        self.at += 1;
        match mark {
            '{' | '(' | '[' => self.depth += 1,
            '}' | ')' | ']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.open.len() > 1 && self.open.last().is_some_and(|(_, depth)| self.depth < *depth) {
                    self.open.pop();
                }
            }
            _ => {}
        }
    }

    fn word(&mut self, word: &str) {
        let module_level = self.open.last().is_some_and(|(_, depth)| *depth == self.depth);
        let before = |n| self.at.checked_sub(n).map(|at: usize| &self.tokens[at].0);
        // After one dot it is a member; after two, as in `..super::filter()`, a path begins.
        let member = before(1) == Some(&Token::Mark('.')) && before(2) != Some(&Token::Mark('.'));
        let follows_path = member || before(1) == Some(&Token::Separator);
        match (word, self.token(1)) {
            ("use", Some(Token::Word(_) | Token::Separator | Token::Mark('{'))) => {
                self.at += 1;
                self.use_tree(&Vec::new(), module_level);
            }
            ("mod", Some(Token::Word(_))) => self.module(),
            ("macro_rules", Some(Token::Mark('!'))) => {
                self.at += 2;
                self.define(module_level);
            }
            (
                "fn" | "struct" | "enum" | "union" | "trait" | "type" | "const" | "static",
                Some(Token::Word(_)),
            ) => {
                self.at += 1;
                self.define(module_level);
            }
            (_, Some(Token::Separator)) if !follows_path => self.path(),
            _ => self.at += 1,
        }
    }

    /// The name at the cursor is defined here. A keyword in its place (`const fn`) is read again as one.
    fn define(&mut self, module_level: bool) {
        if let Some(name) = self.name(0).filter(|_| module_level) {
            self.current().items.insert(name);
        }
    }

    fn module(&mut self) {
        let (Some(name), Some((parent, _))) = (self.name(1), self.open.last()) else { return };
        let child: Path = parent.iter().chain([&name]).cloned().collect();
        self.current().children.insert(name);
        self.at += 2;
        if self.token(0) == Some(&Token::Mark('{')) {
            self.mark('{');
            self.modules.entry(child.clone()).or_default();
            self.open.push((child, self.depth));
        }
    }

    /// A path outside of `use`: `a::b::c`, up to where something else than a name follows.
    fn path(&mut self) {
        let line = self.tokens[self.at].1;
        let mut path: Path = self.name(0).into_iter().collect();
        self.at += 1;
        while let (Some(Token::Separator), Some(name)) = (self.token(0), self.name(1)) {
            path.push(name);
            self.at += 2;
        }
        self.current().paths.push((path, line));
    }

    /// One branch of a `use`, after `before`; ends at the `,`, `}` or `;` behind it.
    fn use_tree(&mut self, before: &Path, module_level: bool) {
        let line = self.tokens.get(self.at).map_or(0, |(_, line)| *line);
        let mut path = before.clone();
        if self.token(0) == Some(&Token::Separator) {
            // `use ::name` names another crate; no module of this one has an empty name.
            path.push(String::new());
            self.at += 1;
        }
        loop {
            match self.token(0).cloned() {
                Some(Token::Word(word)) if word == "as" => {
                    let name = self.name(1).unwrap_or_default();
                    self.at += 2;
                    return self.brought_in(name, path, line, module_level);
                }
                Some(Token::Word(word)) => path.push(word),
                Some(Token::Separator) => {}
                Some(Token::Mark('*')) => {
                    self.at += 1;
                    self.current().paths.push((path.clone(), line));
                    if module_level {
                        self.current().globs.push(path);
                    }
                    return;
                }
                Some(Token::Mark('{')) => {
                    self.at += 1;
                    while self.token(0).is_some_and(|token| *token != Token::Mark('}')) {
                        self.use_tree(&path, module_level);
                        if self.token(0) == Some(&Token::Mark(',')) {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                _ => {
                    // `use a::{self}` brings in `a`.
                    if path.len() > 1 {
                        path.pop_if(|last| last == "self");
                    }
                    let name = path.last().cloned().unwrap_or_default();
                    if self.token(0) != Some(&Token::Mark(',')) && self.token(0) != Some(&Token::Mark('}')) {
                        self.at += 1;
                    }
                    return self.brought_in(name, path, line, module_level);
                }
            }
            self.at += 1;
        }
    }

    fn brought_in(&mut self, name: String, path: Path, line: usize, module_level: bool) {
        self.current().paths.push((path.clone(), line));
        if module_level {
            self.current().aliases.insert(name, path);
        }
    }

    fn current(&mut self) -> &mut Module {
        let path = self.open.last().map(|(path, _)| path.clone()).unwrap_or_default();
        self.modules.entry(path).or_default()
    }

    /// Reads an attribute; true when it keeps what follows out of every build but a test's.
    fn attribute(&mut self) -> bool {
        self.at += 1 + usize::from(self.token(1) == Some(&Token::Mark('!')));
        let begin = self.at;
        self.skip_group();
        let inside = self.tokens.get(begin + 1..self.at.saturating_sub(1)).unwrap_or_default();
        match inside {
            [(Token::Word(name), _), rest @ ..] if name == "cfg" => {
                test_only(&rest.iter().map(|(token, _)| token).collect::<Vec<_>>())
            }
            _ => false,
        }
    }

    /// Skips the bracketed group at the cursor, or one token where there is none.
    fn skip_group(&mut self) {
        let mut depth = 0_usize;
        while let Some(token) = self.token(0) {
            match token {
                Token::Mark('{' | '(' | '[') => depth += 1,
                Token::Mark('}' | ')' | ']') => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    /// Skips what an attribute belongs to: an item up to its `;` or `}`, a field or variant up to its `,`.
    fn skip_item(&mut self) {
        while self.token(0) == Some(&Token::Mark('#')) {
            self.attribute();
        }
        if self.name(0).is_some_and(|word| word == "pub") {
            self.at += 1;
            if self.token(0) == Some(&Token::Mark('(')) {
                self.skip_group();
            }
        }
        let member = matches!(self.token(1), Some(Token::Mark(':' | ',' | '}' | '=' | '(')));
        while let Some(token) = self.token(0).cloned() {
            match token {
                Token::Mark('}' | ')' | ']') => return,
                Token::Mark(';') => return self.at += 1,
                Token::Mark(',') if member => return self.at += 1,
                Token::Mark('{') => {
                    self.skip_group();
                    if !member {
                        return;
                    }
                }
                Token::Mark('(' | '[') => self.skip_group(),
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(path: &str) -> Path {
        path.split("::").map(str::to_owned).collect()
    }

    fn module(source: &str) -> Module {
        parse(source, &[]).remove(&Vec::new()).unwrap()
    }

    fn written(source: &str) -> Vec<String> {
        module(source).paths.iter().map(|(path, _)| path.join("::")).collect()
    }

    #[test]
    fn nested_groups_globs_and_new_names_are_followed() {
        let source =
            "use crate::{a, b::{self, c as d, e::*}, f::g};\npub use self::h::I;\npub(crate) use ::std::io;";
        let found = module(source);
        let expected =
            ["crate::a", "crate::b", "crate::b::c", "crate::b::e", "crate::f::g", "self::h::I", "::std::io"];
        assert_eq!(written(source), expected);
        assert_eq!(found.aliases["d"], split("crate::b::c"));
        assert_eq!(found.aliases["b"], split("crate::b"));
        assert_eq!(found.globs, [split("crate::b::e")]);
        assert_eq!(found.paths[5].1, 2);
    }

    #[test]
    fn paths_in_code_count_and_methods_do_not() {
        let source = "pub(in crate::x) fn y(z: super::Z) -> impl Sized + use<'_> { crate::a::b(); c.d::<E>(); f::g! {} }";
        assert_eq!(written(source), ["crate::x", "super::Z", "crate::a::b", "f::g"]);
        assert!(module(source).items.contains("y"));
    }

    #[test]
    fn what_is_for_tests_alone_is_left_out() {
        let source = "
            #[cfg(test)] mod tests;
            #[cfg(test)] #[path = \"x.rs\"] mod more { use crate::a; }
            #[cfg(all(test, feature = \"f\"))] fn g<A, B>(a: crate::b::C) -> D { crate::c::d() }
            struct E { #[cfg(test)] f: crate::d::G<H>, i: crate::kept::J }
            #[cfg(any(test, feature = \"f\"))] use crate::also::kept;
            #[cfg(not(test))] mod real;
            mod inside { #[cfg(test)] use super::e; use super::f; }
        ";
        assert_eq!(written(source), ["crate::kept::J", "crate::also::kept"]);
        assert_eq!(module(source).children.iter().collect::<Vec<_>>(), ["inside", "real"]);
        assert_eq!(parse(source, &[])[&split("inside")].paths.len(), 1);
        assert!(parse("//! Text.\n#![cfg(test)]\nuse crate::a;", &[]).is_empty());
    }

    #[test]
    fn a_module_written_inside_ends_where_its_bracket_does() {
        let found = parse("mod a { fn b() { if c { super::d(); } } } use crate::e;", &[]);
        assert_eq!(found[&split("a")].paths[0].0, split("super::d"));
        assert_eq!(found[&Vec::new()].paths[0].0, split("crate::e"));
    }
}
