//! Ids as a user types them: complete or shortened to their start, with or without the prefix that names their type.
//!
//! Decides which listed id is meant; an ambiguous start lists the candidates instead of guessing.

use crate::error::Failure;
use crate::output::time::Clock;

/// A kind of thing that has ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The type prefix, without the underscore.
    pub prefix: &'static str,
    /// What it is called.
    pub word: &'static str,
    /// The command that lists it.
    pub list: &'static str,
}

/// Incidents.
pub const INCIDENT: Kind = Kind { prefix: "inc", word: "incident", list: "nimbus incidents list --all" };
/// Drifted files: incidents of their own kind.
pub const DRIFT: Kind = Kind { prefix: "inc", word: "drifted file", list: "nimbus drift list" };
/// Accepted baselines: by the job with which the agent accepted them.
pub const BASELINE: Kind =
    Kind { prefix: "job", word: "accepted baseline", list: "nimbus drift baseline list" };
/// Approvals.
pub const APPROVAL: Kind = Kind { prefix: "apr", word: "approval", list: "nimbus approvals list --all" };
/// Jobs.
pub const JOB: Kind = Kind { prefix: "job", word: "job", list: "nimbus jobs list" };
/// Agents.
pub const AGENT: Kind = Kind { prefix: "agt", word: "agent", list: "nimbus agents list" };
/// Join tokens.
pub const TOKEN: Kind = Kind { prefix: "tok", word: "join token", list: "nimbus agents token list" };

/// Hex digits of an id after its prefix.
const DIGITS: usize = 32;
/// Fewest hex digits shown: they are the time to the millisecond.
const SHOWN: usize = 12;
/// Most candidates named in an error.
const NAMED: usize = 8;

/// One listed thing among which an id is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its whole id.
    pub id: String,
    /// Another name by which it may be called; empty when it has none.
    pub name: String,
    /// When it came to be.
    pub created_at: jiff::Timestamp,
    /// One line to recognise it by.
    pub about: String,
}

/// The typed text as a whole id, where it is one already.
pub fn whole(kind: Kind, typed: &str) -> Result<Option<String>, Failure> {
    let typed = typed.trim().to_ascii_lowercase();
    if let Some((prefix, rest)) = typed.split_once('_')
        && prefix != kind.prefix
        // A name may begin so too.
        && rest.len() >= 4
        && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
        && let Some(other) =
            [INCIDENT, APPROVAL, JOB, AGENT, TOKEN].iter().find(|other| other.prefix == prefix)
    {
        let article = |kind: Kind| if kind.word.starts_with(['a', 'i']) { "an" } else { "a" };
        return Err(Failure::usage(format!("{typed} is {} {}'s id", article(*other), other.word))
            .expected(format!("the id of {} {}: {}_…", article(kind), kind.word, kind.prefix))
            .found(typed)
            .next(format!("list them with `{}`", kind.list)));
    }
    let digits = digits(kind, &typed);
    let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok((hex && digits.len() == DIGITS).then(|| format!("{}_{digits}", kind.prefix)))
}

/// Which candidate is meant: by its name, its id, or the start of its id.
pub fn pick<'a>(
    kind: Kind,
    typed: &str,
    candidates: &'a [Candidate],
    clock: &Clock,
) -> Result<&'a Candidate, Failure> {
    match candidates.iter().filter(|c| !c.name.is_empty() && c.name == typed).collect::<Vec<_>>()[..] {
        [named] => return Ok(named),
        [] => {}
        ref several => {
            return Err(Failure::usage(format!("{} {}s are called {typed}", several.len(), kind.word))
                .expected("the id of one of them, or the start of it")
                .found(listed(several, clock))
                .next("give the id instead of the name"));
        }
    }
    let lower = typed.trim().to_ascii_lowercase();
    let start = digits(kind, &lower);
    let fits = |c: &&Candidate| !start.is_empty() && digits(kind, &c.id).starts_with(start);
    match candidates.iter().filter(fits).collect::<Vec<_>>()[..] {
        [one] => Ok(one),
        [] => Err(Failure::not_found(format!("there is no {} {typed}", kind.word))
            .expected(format!("its id or the start of it, such as {}_0190b5c2d3e4", kind.prefix))
            .found(format!("none of {} listed fits", candidates.len()))
            .next(format!("list them with `{}`", kind.list))),
        ref several => Err(Failure::usage(format!("{typed} is the start of {} ids", several.len()))
            .expected(format!("enough of one {}'s id to tell it from the others", kind.word))
            .found(listed(several, clock))
            .next("type more of it")),
    }
}

/// The first of several candidates, one a line, and how many more there are.
fn listed(several: &[&Candidate], clock: &Clock) -> String {
    let line = |c: &&Candidate| format!("{}  {:>4}  {}", c.id, clock.age(c.created_at), c.about);
    let mut lines: Vec<String> = several.iter().take(NAMED).map(line).collect();
    if several.len() > NAMED {
        lines.push(format!("… and {} more", several.len() - NAMED));
    }
    lines.join("\n")
}

/// The shortest starts, of a common length, that tell `ids` apart; at least the prefix and twelve digits.
pub fn short(ids: &[&str]) -> Vec<String> {
    let mut sorted: Vec<&str> = ids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let common = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let needed = sorted.windows(2).map(|pair| common(pair[0], pair[1]) + 1).max().unwrap_or(0);
    let cut = |id: &str| {
        let least = id.find('_').map_or(0, |at| at + 1) + SHOWN;
        id.get(..needed.max(least)).unwrap_or(id).to_owned()
    };
    ids.iter().map(|id| cut(id)).collect()
}

fn digits(kind: Kind, id: &str) -> &str {
    id.strip_prefix(kind.prefix).and_then(|rest| rest.strip_prefix('_')).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "inc_019b5c2d3e477f6a8b9c0d1e2f3a4b5c";
    const B: &str = "inc_019b5c2d3e477f6a8b9c0d1e2f3a4b5d";
    const C: &str = "inc_019b5c2d99997f6a8b9c0d1e2f3a4b5c";

    fn clock() -> Clock {
        Clock { now: "2026-11-22T08:00:00Z".parse().unwrap(), zone: jiff::tz::TimeZone::UTC }
    }

    fn candidates() -> Vec<Candidate> {
        let one = |id: &str, about: &str| Candidate {
            id: id.to_owned(),
            name: String::new(),
            created_at: "2026-11-22T07:57:00Z".parse().unwrap(),
            about: about.to_owned(),
        };
        vec![one(A, "app.conf changed"), one(B, "motd changed"), one(C, "web crash-loops")]
    }

    #[test]
    fn a_start_is_enough_with_or_without_the_prefix() {
        let all = candidates();
        for typed in ["019b5c2d9", "inc_019b5c2d9", "INC_019B5C2D9", C] {
            assert_eq!(pick(INCIDENT, typed, &all, &clock()).unwrap().id, C, "{typed}");
        }
        assert_eq!(whole(INCIDENT, &C[4..]).unwrap().as_deref(), Some(C));
        assert_eq!(whole(INCIDENT, "inc_019b").unwrap(), None);
    }

    #[test]
    fn an_ambiguous_start_lists_what_it_could_be() {
        let failure = pick(INCIDENT, "019b5c2d3", &candidates(), &clock()).unwrap_err();
        assert_eq!(failure.exit, crate::exit::Exit::Usage);
        insta::assert_snapshot!(failure, @r"
        error: 019b5c2d3 is the start of 2 ids
          expected  enough of one incident's id to tell it from the others
          found     inc_019b5c2d3e477f6a8b9c0d1e2f3a4b5c    3m  app.conf changed
                    inc_019b5c2d3e477f6a8b9c0d1e2f3a4b5d    3m  motd changed
          next      type more of it
        ");
    }

    #[test]
    fn nothing_and_something_else_are_told_apart() {
        for typed in ["ffff", "", "inc_", "no such"] {
            let failure = pick(INCIDENT, typed, &candidates(), &clock()).unwrap_err();
            assert_eq!(failure.exit, crate::exit::Exit::NotFound, "{typed:?}");
        }
        let failure = whole(APPROVAL, A).unwrap_err();
        assert!(failure.to_string().contains("an incident's id"), "{failure}");
        assert!(failure.to_string().contains("apr_…"), "{failure}");
    }

    #[test]
    fn a_name_wins_over_a_start() {
        let mut all = candidates();
        all[0].name = "019b5c2d99997".to_owned();
        assert_eq!(pick(AGENT, "019b5c2d99997", &all, &clock()).unwrap().id, A);
    }

    #[test]
    fn a_name_that_several_have_lists_them() {
        let mut all = candidates();
        for candidate in &mut all[..2] {
            candidate.name = "edge".to_owned();
        }
        let failure = pick(TOKEN, "edge", &all, &clock()).unwrap_err();
        assert_eq!(failure.exit, crate::exit::Exit::Usage);
        insta::assert_snapshot!(failure, @r"
        error: 2 join tokens are called edge
          expected  the id of one of them, or the start of it
          found     inc_019b5c2d3e477f6a8b9c0d1e2f3a4b5c    3m  app.conf changed
                    inc_019b5c2d3e477f6a8b9c0d1e2f3a4b5d    3m  motd changed
          next      give the id instead of the name
        ");
    }

    #[test]
    fn shown_starts_are_unique_and_alike() {
        assert_eq!(short(&[A, C]), ["inc_019b5c2d3e47", "inc_019b5c2d9999"]);
        assert_eq!(short(&[A, B, C])[0], A);
        assert_eq!(short(&[A, A]), ["inc_019b5c2d3e47", "inc_019b5c2d3e47"]);
        assert!(short(&[]).is_empty());
        assert_eq!(short(&["kind-dev"]), ["kind-dev"]);
    }
}
