//! Compares the dependencies within a crate with the table of allowed ones, and finds cycles.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::source::Path;
use super::tree::{Arrow, Tree};

/// A line of a table: a module right below the crate's root, and those that it may know. What it may know stands
/// in a line above its own, so a table cannot hold a circle or an arrow upwards.
pub type Line = (&'static str, &'static [&'static str]);

/// The root itself, in a table: what `lib.rs` defines. (What it re-exports counts as where it lives.)
pub const ROOT: &str = "crate";

/// What does not agree with the table: an arrow that is not in it, an order that would allow a circle, a line or an
/// arrow that nothing uses.
pub fn against_table(tree: &Tree, table: &[Line]) -> Vec<String> {
    let mut wrong = order(table);
    let modules = tree.top();
    for module in modules.iter().filter(|module| !table.iter().any(|(name, _)| name == *module)) {
        wrong.push(format!("the module {module} has no line in the table: write down what it may know"));
    }
    for (name, _) in table.iter().filter(|(name, _)| *name != ROOT && !modules.contains(name)) {
        wrong.push(format!("the table has a line for {name}, which is no module of this crate: remove it"));
    }
    let arrows = tree.arrows();
    let found = between_top(&arrows);
    for ((from, to), places) in &found {
        let allowed = table.iter().any(|(name, may)| name == from && may.contains(&to.as_str()));
        if !allowed && table.iter().any(|(name, _)| name == from) {
            wrong.push(format!("{from} must not know {to}, and does at {}", shown(places)));
        }
    }
    for (name, may) in table.iter().filter(|(name, _)| modules.contains(name)) {
        for to in may.iter().filter(|to| !found.contains_key(&((*name).to_owned(), (**to).to_owned()))) {
            wrong.push(format!("the table lets {name} know {to}, which it does not: remove that"));
        }
    }
    wrong
}

fn order(table: &[Line]) -> Vec<String> {
    let mut above = BTreeSet::new();
    let mut wrong = Vec::new();
    for (name, may) in table {
        for to in may.iter().filter(|to| !above.contains(*to)) {
            wrong.push(format!(
                "the table lets {name} know {to}, whose line is not above it: that points upwards"
            ));
        }
        above.insert(name);
    }
    wrong
}

/// The arrows between modules right below the root, with their places. The root may know everything.
fn between_top(arrows: &[Arrow]) -> BTreeMap<(String, String), Vec<&str>> {
    let top = |path: &Path| path.first().cloned().unwrap_or_else(|| ROOT.to_owned());
    let mut found: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for arrow in arrows {
        let (from, to) = (top(&arrow.from), top(&arrow.to));
        if from != ROOT && from != to {
            found.entry((from, to)).or_default().push(&arrow.place);
        }
    }
    found
}

/// Up to three places, and how many more there are.
fn shown(places: &[&str]) -> String {
    let mut places = places.to_vec();
    places.dedup();
    let first = places.iter().take(3).copied().collect::<Vec<_>>().join(", ");
    if places.len() > 3 { format!("{first} and {} more", places.len() - 3) } else { first }
}

/// Circles between modules with the same parent, at any depth: each with the places that close it. A parent and its
/// own children are one thing and may know each other.
pub fn circles(tree: &Tree) -> Vec<String> {
    let mut families: BTreeMap<Path, BTreeMap<(String, String), Vec<&str>>> = BTreeMap::new();
    let arrows = tree.arrows();
    for arrow in &arrows {
        let shared = arrow.from.iter().zip(&arrow.to).take_while(|(from, to)| from == to).count();
        if let (Some(from), Some(to)) = (arrow.from.get(shared), arrow.to.get(shared)) {
            let family = families.entry(arrow.from[..shared].to_vec()).or_default();
            family.entry((from.clone(), to.clone())).or_default().push(&arrow.place);
        }
    }
    let mut wrong = Vec::new();
    for (parent, edges) in &families {
        let within = if parent.is_empty() { String::new() } else { format!(" in {}", parent.join("::")) };
        for members in rings(edges.keys()) {
            let mut text = format!("{} know each other in a circle{within}:", members.join(", "));
            for ((from, to), places) in edges
                .iter()
                .filter(|((from, to), _)| members.contains(&from.as_str()) && members.contains(&to.as_str()))
            {
                let _ = write!(text, "\n      {from} knows {to} at {}", shown(places));
            }
            wrong.push(text);
        }
    }
    wrong
}

/// The groups of two or more names that all reach one another.
fn rings<'a>(edges: impl Iterator<Item = &'a (String, String)>) -> Vec<Vec<&'a str>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in edges {
        next.entry(from).or_default().insert(to);
    }
    let reached = |start: &'a str| {
        let (mut seen, mut queue) = (BTreeSet::new(), vec![start]);
        while let Some(name) = queue.pop() {
            queue.extend(next.get(name).into_iter().flatten().copied().filter(|to| seen.insert(*to)));
        }
        seen
    };
    let reach: BTreeMap<&str, BTreeSet<&str>> = next.keys().map(|name| (*name, reached(name))).collect();
    let mut groups = BTreeSet::new();
    for (name, seen) in reach.iter().filter(|(name, seen)| seen.contains(*name)) {
        let back = |other: &&&str| reach.get(**other).is_some_and(|seen| seen.contains(name));
        groups.insert(seen.iter().filter(back).copied().collect::<Vec<_>>());
    }
    groups.into_iter().collect()
}

/// The table that would hold exactly the arrows that there are, lowest first; what is in a circle comes last.
pub fn table_of(tree: &Tree) -> String {
    let arrows = tree.arrows();
    let found = between_top(&arrows);
    let mut left: BTreeMap<&str, BTreeSet<&str>> =
        tree.top().into_iter().map(|name| (name, BTreeSet::new())).collect();
    for (from, to) in found.keys() {
        left.entry(from).or_default().insert(to);
        left.entry(to).or_default();
    }
    let (mut text, mut placed) = (String::new(), BTreeSet::new());
    while !left.is_empty() {
        let free = left.iter().find(|(_, to)| to.iter().all(|to| placed.contains(to))).map(|(name, _)| *name);
        let Some(name) = free.or_else(|| left.keys().next().copied()) else { break };
        let may: Vec<String> = left.remove(name).into_iter().flatten().map(|to| format!("{to:?}")).collect();
        let note = if free.is_none() { " // in a circle" } else { "" };
        let _ = writeln!(text, "    ({name:?}, &[{}]),{note}", may.join(", "));
        placed.insert(name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        Tree::of(&[
            ("", "mod a; mod b; mod c; fn main() { c::run() }"),
            ("a", "pub struct A;"),
            ("b", "use crate::a::A;"),
            ("c", "use crate::{a, b};\npub fn run() { super::main() }"),
        ])
    }

    const TABLE: &[Line] = &[("crate", &[]), ("a", &[]), ("b", &["a"]), ("c", &["a", "b", "crate"])];

    #[test]
    fn a_table_that_says_what_there_is_holds() {
        assert_eq!(against_table(&tree(), TABLE), Vec::<String>::new());
        let printed = table_of(&tree());
        let expected = "    (\"a\", &[]),\n    (\"b\", &[\"a\"]),\n    (\"crate\", &[]),\n    (\"c\", &[\"a\", \"b\", \"crate\"]),\n";
        assert_eq!(printed, expected);
    }

    #[test]
    fn what_the_table_does_not_say_is_named_with_its_place() {
        let wrong =
            against_table(&tree(), &[("crate", &[]), ("a", &[]), ("b", &[]), ("c", &["a", "b", "crate"])]);
        assert_eq!(wrong, ["b must not know a, and does at b:1"]);
        let wrong = against_table(&tree(), &TABLE[..3]);
        assert_eq!(wrong, ["the module c has no line in the table: write down what it may know"]);
    }

    #[test]
    fn a_table_with_more_than_there_is_or_in_another_order_is_refused() {
        let table: &[Line] =
            &[("b", &["a"]), ("crate", &[]), ("a", &[]), ("c", &["a", "b", "crate"]), ("d", &[])];
        let wrong = against_table(&tree(), table);
        assert!(wrong[0].contains("lets b know a, whose line is not above it"), "{wrong:?}");
        assert!(wrong[1].contains("a line for d, which is no module"), "{wrong:?}");
        let wrong = against_table(&tree(), &[("crate", &[]), ("a", &["crate"]), ("b", &["a"]), TABLE[3]]);
        assert_eq!(wrong, ["the table lets a know crate, which it does not: remove that"]);
    }

    #[test]
    fn a_circle_is_found_at_any_depth_and_a_parent_may_know_its_children() {
        let tree = Tree::of(&[
            ("", "mod a;"),
            ("a", "mod x; mod y; mod z; pub struct Own; pub use x::X;"),
            ("a::x", "mod deep; use super::Own; pub struct X;"),
            ("a::x::deep", "use super::super::y::Y;"),
            ("a::y", "use super::X; pub struct Y;"),
            ("a::z", "use super::{x, y};"),
        ]);
        let wrong = circles(&tree);
        let expected =
            "x, y know each other in a circle in a:\n      x knows y at a/x/deep:1\n      y knows x at a/y:1";
        assert_eq!(wrong, [expected]);
        assert!(table_of(&tree).contains("(\"a\", &[])"));
    }
}
