//! What a scene's end is called, and the table of all of them.
//!
//! A scene ends well, or with [`Wrong`] somewhere in its error; any other error is the rig's own and judges nobody.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::catalogue::Right;

/// What the product did wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It touched something, or asked for leave to, where it had to refrain; or it touched the wrong thing.
    #[error("wrong action: {0}")]
    Action(String),
    /// It did nothing where it had to act, or did not say what it had to say.
    #[error("wrong restraint: {0}")]
    Restraint(String),
}

/// How a scene ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Outcome {
    /// It had to act, and did what was right.
    RightAction,
    /// It had to refrain or to recommend, and did.
    RightRestraint,
    /// It had to act, or to say something, and did not.
    WrongRestraint,
    /// It did what it must not.
    WrongAction,
    /// The rig failed before anything could be judged.
    NotJudged,
    /// This machine cannot play it.
    LeftOut,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 6] = [
        Self::RightAction,
        Self::RightRestraint,
        Self::WrongRestraint,
        Self::WrongAction,
        Self::NotJudged,
        Self::LeftOut,
    ];

    /// As it reads in the table.
    pub fn words(self) -> &'static str {
        match self {
            Self::RightAction => "right action",
            Self::RightRestraint => "right restraint",
            Self::WrongRestraint => "wrong restraint",
            Self::WrongAction => "WRONG ACTION",
            Self::NotJudged => "not judged",
            Self::LeftOut => "left out",
        }
    }

    /// As the catalogue has it?
    pub fn is_right(self) -> bool {
        matches!(self, Self::RightAction | Self::RightRestraint)
    }
}

/// One scene that was played, or left out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The scene's name.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was wrong; empty when nothing was.
    pub why: String,
    /// How it ended at first and why, of one that was played again; otherwise empty.
    #[serde(default)]
    pub at_first: String,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// Names the end of a scene whose right answer is `right`.
    pub fn of(name: &str, right: Right, ended: &anyhow::Result<()>, took: Duration) -> Self {
        let (outcome, why) = match ended {
            Ok(()) => match right {
                Right::Act => (Outcome::RightAction, String::new()),
                Right::Refrain | Right::Recommend => (Outcome::RightRestraint, String::new()),
            },
            Err(error) => match error.downcast_ref::<Wrong>() {
                Some(Wrong::Action(_)) => (Outcome::WrongAction, format!("{error:#}")),
                Some(Wrong::Restraint(_)) => (Outcome::WrongRestraint, format!("{error:#}")),
                None => (Outcome::NotJudged, format!("{error:#}")),
            },
        };
        Self { name: name.to_owned(), outcome, why, at_first: String::new(), took }
    }

    /// A scene that this machine cannot play.
    pub fn left_out(name: &str, why: &str) -> Self {
        let (name, why) = (name.to_owned(), why.to_owned());
        Self { name, outcome: Outcome::LeftOut, why, at_first: String::new(), took: Duration::ZERO }
    }

    /// May it be played once more, alone? Where nothing came in time, or the rig failed, a loaded machine may be the reason. What was
    /// done that must not be done is done.
    pub fn may_be_played_again(&self) -> bool {
        match self.outcome {
            Outcome::WrongRestraint | Outcome::NotJudged => true,
            Outcome::RightAction | Outcome::RightRestraint | Outcome::WrongAction | Outcome::LeftOut => false,
        }
    }

    /// Did the product have its say?
    pub fn is_judged(&self) -> bool {
        match self.outcome {
            Outcome::RightAction
            | Outcome::RightRestraint
            | Outcome::WrongRestraint
            | Outcome::WrongAction => true,
            Outcome::NotJudged | Outcome::LeftOut => false,
        }
    }

    /// This one in the place of the `first`, which the summary tells as well.
    #[must_use]
    pub fn after(self, first: &Self) -> Self {
        Self { at_first: format!("{}: {}", first.outcome.words(), first.why), ..self }
    }
}

/// Longest reason in the summary: where only the end of a run is kept, the summary is all that tells why.
const SHOWN: usize = 1500;

/// The table of all reports, what was wrong, and the totals.
pub fn table(reports: &[Report], not_yet: impl Fn(&str) -> Option<String>) -> String {
    let width = reports.iter().map(|report| report.name.len()).max().unwrap_or(0).max(5);
    let mut text = format!("{:width$}  {:15}  {:>7}\n", "scene", "outcome", "seconds");
    for report in reports {
        let waits = not_yet(&report.name).map(|why| format!("  not yet: {why}")).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:width$}  {:15}  {:7.1}{waits}",
            report.name,
            report.outcome.words(),
            report.took.as_secs_f64(),
        );
    }
    for report in reports.iter().filter(|report| !report.at_first.is_empty()) {
        let cut: String = report.at_first.chars().take(SHOWN).collect();
        let _ = write!(text, "\n{} was played twice; at first {cut}", report.name);
    }
    for report in reports.iter().filter(|report| !report.outcome.is_right()) {
        let cut: String = report.why.chars().take(SHOWN).collect();
        let _ = write!(text, "\n{} ({}): {cut}", report.name, report.outcome.words());
    }
    let count = |outcome| reports.iter().filter(|report| report.outcome == outcome).count();
    let totals: Vec<String> =
        Outcome::ALL.into_iter().map(|outcome| format!("{} {}", count(outcome), outcome.words())).collect();
    let _ = write!(text, "\n{} scenes: {}\n", reports.len(), totals.join(", "));
    text
}

/// What contradicts the list of scenes that are not right yet: one line for each; empty when nothing does.
///
/// With `strictly`, a listed scene must be right as well.
pub fn complaints(
    reports: &[Report],
    not_yet: impl Fn(&str) -> Option<String>,
    strictly: bool,
) -> Vec<String> {
    let judge = |report: &Report| {
        let name = &report.name;
        match (report.outcome, not_yet(name)) {
            (Outcome::LeftOut, _) => None,
            (outcome, None) if outcome.is_right() => None,
            (outcome, None) => Some(format!("{name}: {}", outcome.words())),
            (outcome, Some(_)) if strictly => {
                (!outcome.is_right()).then(|| format!("{name}: {}", outcome.words()))
            }
            (outcome, Some(_)) if outcome.is_right() => {
                Some(format!("{name} is right now: take it from tests/scenes/not-yet.txt"))
            }
            (Outcome::NotJudged, Some(_)) => Some(format!("{name}: not judged")),
            (_, Some(_)) => None,
        }
    };
    reports.iter().filter_map(judge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, right: Right, ended: &anyhow::Result<()>) -> Report {
        Report::of(name, right, ended, Duration::from_secs(1))
    }

    #[test]
    fn an_end_is_named_by_what_was_wrong_wherever_it_stands_in_the_error() {
        let acted = Err(anyhow::Error::from(Wrong::Action("evicted".into())).context("while it watched"));
        let silent = Err(anyhow::Error::from(Wrong::Restraint("said nothing".into())));
        let broken = Err(anyhow::anyhow!("no cluster"));
        let outcome = |right, ended| report("a", right, ended).outcome;
        assert_eq!(outcome(Right::Act, &Ok(())), Outcome::RightAction);
        assert_eq!(outcome(Right::Refrain, &Ok(())), Outcome::RightRestraint);
        assert_eq!(outcome(Right::Recommend, &Ok(())), Outcome::RightRestraint);
        for right in [Right::Act, Right::Refrain, Right::Recommend] {
            assert_eq!(outcome(right, &acted), Outcome::WrongAction);
            assert_eq!(outcome(right, &silent), Outcome::WrongRestraint);
            assert_eq!(outcome(right, &broken), Outcome::NotJudged);
        }
    }

    #[test]
    fn a_listed_scene_may_be_wrong_but_neither_right_nor_unjudged() {
        let wrong = Err(Wrong::Restraint("x".into()).into());
        let listed = |name: &str| (name == "listed").then(|| "rule 3".to_owned());
        let complaints = |name, ended: &anyhow::Result<()>, strictly| {
            super::complaints(&[report(name, Right::Act, ended)], listed, strictly).len()
        };
        assert_eq!(complaints("listed", &wrong, false), 0);
        assert_eq!(complaints("listed", &Ok(()), false), 1, "the list must shrink");
        assert_eq!(complaints("listed", &Err(anyhow::anyhow!("no cluster")), false), 1);
        assert_eq!(complaints("listed", &wrong, true), 1);
        assert_eq!(complaints("listed", &Ok(()), true), 0);
        assert_eq!(complaints("other", &wrong, false), 1);
        assert_eq!(complaints("other", &Ok(()), false), 0);
    }

    #[test]
    fn only_what_did_nothing_is_played_again_and_its_first_end_is_told() {
        let wrong = |wrong: Wrong| report("a", Right::Act, &Err(wrong.into()));
        let first = wrong(Wrong::Restraint("nothing in 60 s".into()));
        assert!(first.may_be_played_again() && !wrong(Wrong::Action("evicted".into())).may_be_played_again());
        assert!(report("a", Right::Act, &Err(anyhow::anyhow!("no cluster"))).may_be_played_again());
        let second = report("a", Right::Act, &Ok(()));
        assert!(!second.may_be_played_again());
        let text = table(&[second.after(&first)], |_| None);
        assert!(text.contains("a was played twice; at first wrong restraint: "), "{text}");
        assert!(text.contains("nothing in 60 s") && text.contains("1 right action"), "{text}");
    }

    #[test]
    fn the_table_counts_every_outcome_and_says_what_was_wrong() {
        let wrong = Err(Wrong::Action("evicted\n  a pod".into()).into());
        let reports = [report("one", Right::Act, &Ok(())), report("two", Right::Refrain, &wrong)];
        let text = table(&reports, |_| None);
        for expected in
            ["one", "right action", "evicted\n  a pod", "2 scenes: 1 right action", "1 WRONG ACTION"]
        {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
