//! Other incidents of the same place: on the same workload or object within a day before it, or opened near to it.

use super::words::after_colon;
use super::{Investigation, Known, NEAR, Source, Window};
use crate::model::{Agents, Incident, ObjectRef, Scope};

/// Most of them: those on the same first, then those that were opened nearest to it.
const MOST: usize = 20;

/// Why another incident may have to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    SameWorkload,
    SameObject,
    ExplainsIt,
    ExplainedByIt,
    AtOnce,
}

impl Why {
    fn words(self) -> &'static str {
        match self {
            Self::SameWorkload => "on the same workload",
            Self::SameObject => "on the same object",
            Self::ExplainsIt => "among whose symptoms is the object of this one",
            Self::ExplainedByIt => "on a symptom of this one",
            Self::AtOnce => "at about the same time",
        }
    }
}

/// Does what happens in `scope` happen at the place `of` as well: at the same one, or on a host whose agent belongs to that cluster?
pub fn is_of_place(scope: &Scope, of: &Scope, agents: &Agents) -> bool {
    let agent = scope.host().and_then(|id| agents.get(id)).map(|agent| &agent.doc);
    let cluster = agent.and_then(|it| it.bound_cluster.as_deref().or(it.cluster_uid.as_deref()));
    scope == of || (cluster.is_some() && cluster == of.cluster_uid())
}

/// Those that may have to do with it, each with its begin and its end.
pub(super) fn tell(
    incident: &Incident,
    others: &[&Incident],
    agents: &Agents,
    window: Window,
    found: &mut Investigation,
) {
    let mut related: Vec<(Why, &Incident)> = others
        .iter()
        .copied()
        .filter(|other| other.id != incident.id && is_of_place(&other.scope, &incident.scope, agents))
        .filter_map(|other| Some((why(incident, other, window)?, other)))
        .collect();
    related.sort_by_key(|(why, other)| (*why == Why::AtOnce, window.distance(other.created_at), other.id));
    found.leave_out(
        related.len().saturating_sub(MOST),
        "incidents on the same workload or object, or of about the same time,",
    );
    let told = related.into_iter().take(MOST);
    found.timeline.extend(told.flat_map(|(why, other)| lines(incident, why, other, window)));
}

/// Two lines at most. What it is called may have changed since it was opened: that its title is of now is said.
fn lines(incident: &Incident, why: Why, other: &Incident, window: Window) -> impl Iterator<Item = Known> {
    let place =
        if other.scope == incident.scope { String::new() } else { format!(" on host {}", other.cluster) };
    let kind = other.kind.as_str().replace('_', " ");
    let opened = format!("{kind}{place} was opened, {}; its title is now: {}", why.words(), other.title);
    let resolved = other.resolved_at.filter(|at| *at <= window.until).map(|at| {
        let text = format!("{kind}{place} was resolved{}", after_colon(&other.reason));
        Known::new(at, Source::OtherIncident, &other.id, text)
    });
    [Some(Known::new(other.created_at, Source::OtherIncident, &other.id, opened)), resolved]
        .into_iter()
        .flatten()
}

/// `None` where nothing says that it has to do with it: it was over a day before, or is of later.
fn why(incident: &Incident, other: &Incident, window: Window) -> Option<Why> {
    let is_recent = other.resolved_at.is_none_or(|end| end >= window.from);
    if !is_recent || other.created_at > window.until {
        return None;
    }
    let has = |symptoms: &[ObjectRef], object: &ObjectRef| {
        symptoms.iter().any(|symptom| symptom.identity() == object.identity())
    };
    let same_workload =
        incident.workload.as_ref().zip(other.workload.as_ref()).is_some_and(|(a, b)| a.uid() == b.uid());
    if same_workload {
        Some(Why::SameWorkload)
    } else if incident.object.identity() == other.object.identity() {
        Some(Why::SameObject)
    } else if has(&other.symptoms, &incident.object) {
        Some(Why::ExplainsIt)
    } else if has(&incident.symptoms, &other.object) {
        Some(Why::ExplainedByIt)
    } else {
        (window.distance(other.created_at) <= NEAR).then_some(Why::AtOnce)
    }
}
