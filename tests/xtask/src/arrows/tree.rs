//! The module tree of a crate as its source declares it, and the dependencies between the modules.

use std::collections::BTreeMap;
use std::path::{Path as FilePath, PathBuf};

use anyhow::Context as _;

use super::source::{Module, Path, parse};

/// How often a name is followed through `use` before it is given up: a chain of re-exports is never that long.
const FOLLOWED: u32 = 16;

/// One module names another one, or what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrow {
    /// The module that writes the path; its segments from the crate's root.
    pub from: Path,
    /// The module that holds what the path names.
    pub to: Path,
    /// `FILE:LINE`.
    pub place: String,
}

/// The modules of one crate, test modules left out.
#[derive(Debug, Default)]
pub struct Tree {
    modules: BTreeMap<Path, (Module, PathBuf)>,
}

impl Tree {
    /// Reads the crate below `dir` from its `src/lib.rs`, or `src/main.rs` where it is no library. Places are told
    /// relative to `repository`.
    pub fn read(repository: &FilePath, dir: &str) -> anyhow::Result<Self> {
        let source = repository.join(dir).join("src");
        let root =
            ["lib.rs", "main.rs"].map(|name| source.join(name)).into_iter().find(|file| file.is_file());
        let root = root.with_context(|| format!("{dir} has neither src/lib.rs nor src/main.rs"))?;
        let mut tree = Self::default();
        tree.file(repository, &root, &source, &Vec::new())?;
        Ok(tree)
    }

    /// Adds the module `own` from `file`; the files of its children are in `children`.
    fn file(
        &mut self,
        repository: &FilePath,
        file: &FilePath,
        children: &FilePath,
        own: &Path,
    ) -> anyhow::Result<()> {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let shown = file.strip_prefix(repository).unwrap_or(file);
        let found = parse(&text, own);
        let mut declared = Vec::new();
        for (path, module) in found {
            let inside = path[own.len()..].iter();
            let dir = inside.fold(children.to_owned(), |dir, name| dir.join(name));
            declared.extend(
                module.children.iter().map(|child| (joined(&path, child), dir.clone(), child.clone())),
            );
            self.modules.insert(path, (module, shown.to_owned()));
        }
        for (path, dir, name) in declared {
            if self.modules.contains_key(&path) {
                continue;
            }
            let below = dir.join(&name);
            let file = [dir.join(format!("{name}.rs")), below.join("mod.rs")]
                .into_iter()
                .find(|file| file.is_file());
            let file = file.with_context(|| format!("{}: no file for mod {name}", shown.display()))?;
            self.file(repository, &file, &below, &path)?;
        }
        Ok(())
    }

    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (own, text) in files {
            let own: Path = own.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
            let file = PathBuf::from(own.join("/"));
            tree.modules
                .extend(parse(text, &own).into_iter().map(|(path, module)| (path, (module, file.clone()))));
        }
        tree
    }

    /// The names of the modules right below the root.
    pub fn top(&self) -> Vec<&str> {
        self.modules.keys().filter(|path| path.len() == 1).map(|path| path[0].as_str()).collect()
    }

    /// Every arrow between two different modules of this crate.
    pub fn arrows(&self) -> Vec<Arrow> {
        let mut found = Vec::new();
        for (from, (module, file)) in &self.modules {
            for (path, line) in &module.paths {
                if let Some(to) = self.resolve(from, path, FOLLOWED).filter(|to| to != from) {
                    let place = format!("{}:{line}", file.display());
                    found.push(Arrow { from: from.clone(), to, place });
                }
            }
        }
        found
    }

    /// The module that holds what `path`, written in `from`, names; `None` where that is in another crate.
    fn resolve(&self, from: &Path, path: &[String], left: u32) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(Path::new(), rest, left),
            "self" => self.walk(from.clone(), rest, left),
            "super" => {
                let mut at = from.clone();
                at.pop()?;
                let more = rest.iter().take_while(|segment| *segment == "super").count();
                at.truncate(at.len().checked_sub(more)?);
                self.walk(at, &rest[more..], left)
            }
            name => {
                let (module, _) = self.modules.get(from)?;
                // `use name;` brings in another crate under its own name.
                let alias = module.aliases.get(name).is_some_and(|target| target.first() != Some(first));
                if alias || module.children.contains(name) {
                    self.walk(from.clone(), path, left)
                } else {
                    None
                }
            }
        }
    }

    /// Goes from module `at` along `rest` as far as there are modules; names that a module brings in from another one
    /// lead there.
    fn walk(&self, at: Path, rest: &[String], left: u32) -> Option<Path> {
        let Some((name, further)) = rest.split_first() else { return Some(at) };
        let Some((module, _)) = self.modules.get(&at) else { return Some(at) };
        let left = left.checked_sub(1)?;
        if self.modules.contains_key(&joined(&at, name)) {
            return self.walk(joined(&at, name), further, left);
        }
        if module.items.contains(name) {
            return Some(at);
        }
        if let Some(target) = module.aliases.get(name) {
            let path: Path = target.iter().chain(further).cloned().collect();
            return self.resolve(&at, &path, left);
        }
        let mut globs = module.globs.iter().filter_map(|glob| self.resolve(&at, glob, left));
        match globs.find(|target| *target != at && self.has(target, name)) {
            Some(target) => self.walk(target, rest, left),
            None => Some(at),
        }
    }

    fn has(&self, at: &Path, name: &str) -> bool {
        self.modules.get(at).is_some_and(|(module, _)| {
            module.items.contains(name) || module.children.contains(name) || module.aliases.contains_key(name)
        })
    }
}

fn joined(path: &Path, name: &str) -> Path {
    path.iter().map(String::as_str).chain([name]).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tree: &Tree) -> Vec<String> {
        let one =
            |arrow: &Arrow| format!("{} -> {} {}", arrow.from.join("::"), arrow.to.join("::"), arrow.place);
        tree.arrows().iter().map(one).collect()
    }

    #[test]
    fn a_re_export_leads_to_where_the_name_lives() {
        let tree = Tree::of(&[
            ("", "pub mod a; mod b; mod c; pub use b::Thing; pub use c::*;"),
            ("a", "use crate::Thing;\nuse crate::Other;\nuse crate::helper;\nfn x() { std::mem::drop(1) }"),
            ("b", "pub struct Thing;"),
            ("c", "pub struct Other;"),
        ]);
        let from_a: Vec<String> = shown(&tree).into_iter().filter(|line| line.starts_with("a ")).collect();
        assert_eq!(from_a, ["a -> b a:1", "a -> c a:2", "a ->  a:3"]);
    }

    #[test]
    fn super_and_names_brought_in_are_followed() {
        let tree = Tree::of(&[
            ("", "mod a; mod b;"),
            ("a", "mod inner; use crate::b; fn x() { b::deep::y() }"),
            (
                "a::inner",
                "use super::super::b::deep::{self, y};\nuse super::x;\nuse std::fmt;\nfn z() { fmt::w() }",
            ),
            ("b", "pub mod deep;"),
            ("b::deep", "pub fn y() {}"),
        ]);
        let expected = [
            "a -> b a:1",
            "a -> b::deep a:1",
            "a::inner -> b::deep a/inner:1",
            "a::inner -> b::deep a/inner:1",
            "a::inner -> a a/inner:2",
        ];
        assert_eq!(shown(&tree), expected);
    }

    #[test]
    fn files_are_found_where_rust_looks_for_them() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join("one/src").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("lib.rs", "mod a; mod b; #[cfg(test)] mod missing;");
        write("a.rs", "mod c;");
        write("a/c.rs", "mod d { mod e; }");
        write("a/c/d/e.rs", "use crate::b::X;");
        write("b/mod.rs", "pub struct X;");
        let tree = Tree::read(dir.path(), "one").unwrap();
        assert_eq!(tree.top(), ["a", "b"]);
        assert_eq!(shown(&tree), ["a::c::d::e -> b one/src/a/c/d/e.rs:1"]);
        write("a.rs", "mod c; mod lost;");
        let error = Tree::read(dir.path(), "one").unwrap_err().to_string();
        assert_eq!(error, "one/src/a.rs: no file for mod lost");
    }
}
