//! `cargo xtask arrows`: checks which crates, and which folders of a crate, may depend on which others.
//!
//! The direction of the arrows is the one thing that stays while everything else is rebuilt. The allowed ones are data
//! ([`tables`]); what there is comes from the manifests and Cargo.lock ([`packages`]) and from the source ([`lexer`],
//! [`source`], [`tree`]). Nothing is compiled or downloaded for it.

mod cfg;
mod check;
mod lexer;
mod packages;
mod source;
mod tables;
mod tree;

use std::path::Path;

use crate::steps::cargo;
use tables::{CRATES, FOLDERS, IMPURE, PURE};
use tree::Tree;

/// Says what is wrong, one arrow after the other; returns whether nothing is. With `print` it also prints the tables
/// that would hold exactly the arrows that there are.
pub fn run(repository: &Path, print: bool) -> anyhow::Result<bool> {
    let mut wrong = 0;
    let mut say = |where_: &str, problems: Vec<String>| {
        wrong += problems.len();
        for problem in problems {
            eprintln!("  {where_}: {problem}");
        }
    };
    let mut cargo = cargo();
    cargo.current_dir(repository);
    let members = packages::members(cargo)?;
    say("crates", packages::against_table(&members, CRATES));
    say("crates", packages::impure(&members, &packages::locked(repository)?, PURE, IMPURE));
    for (dir, table) in FOLDERS {
        let tree = Tree::read(repository, dir)?;
        if let Some(table) = table {
            say(dir, check::against_table(&tree, table));
        }
        say(dir, check::circles(&tree));
        if print && table.is_some() {
            println!("{dir}\n{}", check::table_of(&tree));
        }
    }
    if wrong > 0 {
        eprintln!(
            "{wrong} arrow(s) point where they must not; the tables are in tests/xtask/src/arrows/tables.rs"
        );
    }
    Ok(wrong == 0)
}
