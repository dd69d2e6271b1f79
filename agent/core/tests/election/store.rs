//! A simulated API server with one Lease: compare-and-swap by resourceVersion, and somebody who edits the Lease by
//! hand.

use nimbus_agent_core::election::{Answer, Lease, Request};
use serde_json::json;

use crate::random::Random;

#[derive(Default)]
pub struct Store {
    lease: Option<Lease>,
    version: u64,
    /// Whether every Lease goes through its JSON, as it does in a real one; that is slow.
    through_json: bool,
    pub conflicts: u64,
    /// Somebody wrote another term: from then on one may be given out twice, as the edit may make leaders change more
    /// often than once a minute and be forgotten.
    pub term_edited: bool,
}

impl Store {
    pub fn new(through_json: bool) -> Self {
        Self { through_json, ..Self::default() }
    }

    pub fn serve(&mut self, request: Request) -> Answer {
        match request {
            Request::Get => self.lease.clone().map_or(Answer::Absent, Answer::Lease),
            Request::Create(_) if self.lease.is_some() => self.conflict(),
            Request::Create(lease) => self.keep(lease),
            Request::Replace(lease) => match &self.lease {
                None => Answer::Absent,
                Some(there) if there.version != lease.version => self.conflict(),
                // A write that changes nothing leaves the version as it is.
                Some(there) if *there == lease => Answer::Lease(lease),
                Some(_) => self.keep(lease),
            },
        }
    }

    fn conflict(&mut self) -> Answer {
        self.conflicts += 1;
        Answer::Conflict
    }

    fn keep(&mut self, mut lease: Lease) -> Answer {
        self.version += 1;
        let version = self.version.to_string();
        if self.through_json {
            let mut object = lease.write("watch");
            object["metadata"]["resourceVersion"] = json!(version);
            lease = Lease::read(object).expect("it has a version");
        } else {
            lease.version = version;
        }
        self.lease = Some(lease.clone());
        Answer::Lease(lease)
    }

    /// One edit by hand.
    pub fn edit(&mut self, random: &mut Random, longest: u64) {
        let Some(mut lease) = self.lease.clone() else { return };
        let other = |random: &mut Random| ["a", "b", "c", "x", ""][random.below(5)].to_owned();
        match random.between(1, 8) {
            1 | 2 => {
                self.lease = None;
                return;
            }
            3 => lease.holder = other(random),
            4 => lease.leader = None,
            5 => lease.leader = Some("x".to_owned()),
            6 => {
                self.term_edited = true;
                lease.term = [0, 3, lease.term.saturating_add(5), u64::MAX][random.below(4)];
            }
            7 => lease.seconds = random.between(0, longest),
            _ => (lease.holder, lease.seconds, lease.transitions) = (String::new(), 0, None),
        }
        self.keep(lease);
    }
}
