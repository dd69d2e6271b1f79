//! A check, and what it can come to.

use serde::Serialize;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is as it has to be.
    Pass,
    /// It works, and a person should look at it.
    Warning,
    /// It does not work, or will not.
    Failure,
    /// It could not be found out.
    Unknown,
}

impl Verdict {
    /// The word of it, as documents and tables have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warning => "warning",
            Self::Failure => "failure",
            Self::Unknown => "unknown",
        }
    }
}

/// What a check found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// How it ended.
    #[serde(rename = "outcome")]
    pub verdict: Verdict,
    /// What was found, naming the value or object; with what was expected where that differs.
    pub found: String,
    /// What to do; empty for a pass, and for nothing else.
    pub remedy: String,
}

impl Outcome {
    /// It is as it has to be.
    pub fn pass(found: impl Into<String>) -> Self {
        Self { verdict: Verdict::Pass, found: found.into(), remedy: String::new() }
    }

    /// It works, and a person should look at it.
    pub fn warning(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, found: found.into(), remedy: remedy.into() }
    }

    /// It does not work, or will not.
    pub fn failure(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Failure, found: found.into(), remedy: remedy.into() }
    }

    /// It could not be found out.
    pub fn unknown(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown, found: found.into(), remedy: remedy.into() }
    }
}

/// Why something could not be read, and what to do so that it can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// What was in the way, naming it.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

impl Unread {
    /// With both parts.
    pub fn new(why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { why: why.into(), remedy: remedy.into() }
    }
}

/// What was read, or why it could not be.
pub type Gathered<T> = Result<T, Unread>;

/// A check that came to no outcome of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Open {
    /// What it needs could not be read: it is unknown.
    Unread(Unread),
    /// Nobody asked for it: it is named with how to ask, and counts nowhere.
    NotAsked(&'static str),
}

impl From<&Unread> for Open {
    fn from(unread: &Unread) -> Self {
        Self::Unread(unread.clone())
    }
}

/// What a check's function returns.
pub type Judged = Result<Outcome, Open>;

/// One check over a snapshot `S`.
#[derive(Debug, Clone, Copy)]
pub struct Check<S> {
    /// Its name, which scripts may rely on.
    pub name: &'static str,
    /// What has to be true, one sentence without a full stop.
    pub what: &'static str,
    /// The decision.
    pub judge: fn(&S) -> Judged,
}
