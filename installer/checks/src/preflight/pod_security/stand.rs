//! How a namespace judges pods: by which level, and by the rules of which release.

use super::asked::Asked;
use crate::excess::Excess;
use crate::kubernetes::{ENFORCE, ENFORCE_VERSION, Namespace};
use crate::preflight::Place;

/// A level of Pod Security.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Restricted,
    Baseline,
    Privileged,
}

impl Level {
    /// As the API server reads a label; none: it does not know the word.
    fn read(label: &str) -> Option<Self> {
        match label {
            "restricted" => Some(Self::Restricted),
            "baseline" => Some(Self::Baseline),
            "privileged" => Some(Self::Privileged),
            _ => None,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::Baseline => "baseline",
            Self::Privileged => "privileged",
        }
    }

    /// The strictest one that takes all of it by the rules of this minor release.
    pub(super) fn for_all(excess: &[Excess], minor: u32) -> Self {
        if Self::Restricted.takes_all(excess, minor) {
            Self::Restricted
        } else if Self::Baseline.takes_all(excess, minor) {
            Self::Baseline
        } else {
            Self::Privileged
        }
    }

    pub(super) fn takes_all(self, excess: &[Excess], minor: u32) -> bool {
        excess.iter().all(|one| self.takes(one, minor))
    }

    fn takes(self, one: &Excess, minor: u32) -> bool {
        match self {
            Self::Restricted => !one.is_refused(false, minor),
            Self::Baseline => !one.is_refused(true, minor),
            Self::Privileged => true,
        }
    }
}

/// A namespace that is there, or is to be.
pub(super) struct Stand<'a> {
    pub(super) name: &'a str,
    pub(super) is_there: bool,
    /// The level, as its label says or as it is made; none: nobody says.
    pub(super) label: Option<&'a str>,
    /// The release that it names, as its label says.
    pub(super) version: Option<&'a str>,
    /// The minor release whose rules are the API server's own.
    pub(super) server: u32,
    /// The one by whose rules the namespace is judged: that of the API server, or an older one that it names.
    pub(super) minor: u32,
}

impl<'a> Stand<'a> {
    pub(super) fn of(place: &'a Place, namespace: Option<&'a Namespace>, server: u32) -> Self {
        let label = match namespace {
            Some(namespace) => namespace.enforced.as_deref(),
            None => place.made_as,
        };
        let version = namespace.and_then(|found| found.enforced_version.as_deref());
        // What the API server cannot read it takes for its own release.
        let minor = version.and_then(named_minor).map_or(server, |named| named.min(server));
        Self { name: &place.name, is_there: namespace.is_some(), label, version, server, minor }
    }

    /// The level that can be counted on: the strictest one where the label says none, and where the API server does not know its word.
    pub(super) fn level(&self) -> Level {
        self.label.and_then(Level::read).unwrap_or(Level::Restricted)
    }

    /// What it refuses, each once: the pods of one chart, and both charts, often ask for the same.
    pub(super) fn refused<'b>(&self, asked: &Asked<'b>) -> Vec<&'b str> {
        let mut refused: Vec<&str> = Vec::new();
        for one in asked.own.iter().chain(asked.guests) {
            if !self.level().takes(one, self.minor) && !refused.contains(&one.what.as_str()) {
                refused.push(&one.what);
            }
        }
        refused
    }

    /// Its labels that the API server cannot read, and what it takes each for.
    pub(super) fn unreadable(&self) -> Vec<String> {
        let name = self.name;
        let level = self.label.filter(|label| Level::read(label).is_none()).map(|label| {
            format!(
                "namespace {name} has the label {ENFORCE}={label}, which the API server takes for restricted; expected privileged, \
                 baseline or restricted"
            )
        });
        let is_odd = |version: &&str| *version != "latest" && named_minor(version).is_none();
        let version = self.version.filter(is_odd).map(|version| {
            format!(
                "namespace {name} has the label {ENFORCE_VERSION}={version}, which the API server takes for latest; expected latest or \
                 a release such as v1.30"
            )
        });
        level.into_iter().chain(version).collect()
    }
}

/// The minor release that a label names in the only form which the API server reads: without a patch, and without zeros in front.
fn named_minor(label: &str) -> Option<u32> {
    let minor = label.strip_prefix("v1.")?;
    minor.parse::<u32>().ok().filter(|number| number.to_string() == minor)
}
