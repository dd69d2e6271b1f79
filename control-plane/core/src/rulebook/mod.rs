//! The rules that people set, and the conditions in them: what they say, apart from what is decided by them.

mod book;
mod condition;
pub mod facts;
mod names;
mod rule;

pub use book::{Book, Entry};
pub use condition::{Condition, MAX_CONDITION};
pub use facts::{Facts, Labels};
pub use names::{action_of, name_of};
pub use rule::{Rule, RuleText};
