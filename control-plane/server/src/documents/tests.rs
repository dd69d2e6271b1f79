//! What is followed is what another reading gives, over random histories; and which commits need no other reading.

use futures::FutureExt as _;
use nimbus_control_core::model::{
    Agent, Approval, ApprovalState, ChangeSet, Cluster, Document, Incident, IncidentState, Job, JobState,
    Mode, Plan, RefusedPlan, Versioned,
};
use nimbus_store::story::things::{agent, approval, at, incident, job, plan, resolved};
use nimbus_store::{Store, StoreUrl};
use proptest::prelude::*;

use super::{Docs, Documents};

/// Jobs that finished before are of no interest.
const SINCE: i64 = 100;

/// A store of its own with the documents over it, and how many there are of each kind.
struct Site {
    documents: Documents,
    made: u32,
    resolved: Vec<Incident>,
    _dir: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreUrl::sqlite(dir.path().join("nimbus.db"))).await.unwrap();
        let site = Self { documents: Documents::new(store), made: 0, resolved: Vec::new(), _dir: dir };
        site.open().await;
        site
    }

    async fn open(&self) -> std::sync::Arc<Docs> {
        self.documents.open(at(SINCE)).await.unwrap()
    }

    /// Commits; a conflict is an answer too.
    async fn commit(&self, changes: ChangeSet) {
        match self.documents.commit(&changes, at(SINCE)).await {
            Ok(_) => {}
            Err(error) if error.is_conflict() => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn next(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    fn readings(&self) -> u64 {
        self.documents.0.readings.load(std::sync::atomic::Ordering::Relaxed)
    }

    async fn stored<T: Document>(&self, id: impl ToString) -> Versioned<T> {
        self.documents.store().get::<T>(id).await.unwrap().expect("it was stored")
    }
}

fn pick<T: Clone>(from: &[T], nth: usize) -> Option<T> {
    (!from.is_empty()).then(|| from[nth % from.len()].clone())
}

fn changed<T: Clone>(of: &Versioned<T>, how: impl FnOnce(&mut T)) -> Versioned<T> {
    let mut after = of.clone();
    how(&mut after.doc);
    after
}

/// A cluster that nobody made known by keys.
fn cluster(n: u32) -> Cluster {
    Cluster {
        uid: format!("uid-{n}"),
        name: format!("c{n}"),
        created_at: at(i64::from(n)),
        mode: Mode::Observe,
        enabled: Vec::new(),
        identity: None,
    }
}

/// What a step changes, decided from the open documents as a task decides.
async fn step(site: &mut Site, what: u8, nth: usize) -> ChangeSet {
    let docs = site.open().await;
    let mut changes = ChangeSet::default();
    match what {
        0 => {
            let n = site.next();
            changes.incidents.push(Versioned::new(incident(n, &format!("cause/{n}"))));
        }
        1 => changes
            .incidents
            .extend(pick(&docs.incidents, nth).map(|i| changed(&i, |i| i.note(at(9), "looked at")))),
        2 => {
            if let Some(open) = pick(&docs.incidents, nth) {
                let after = changed(&open, |i| {
                    i.state = IncidentState::Resolved;
                    i.resolved_at = Some(at(500));
                });
                site.resolved.push(after.doc.clone());
                changes.incidents.push(after);
            }
        }
        3 => {
            // Comes back with all that it had, of which nothing is at hand.
            if let Some(gone) = pick(&site.resolved, nth) {
                let stored = site.stored::<Incident>(gone.id).await;
                changes.incidents.push(changed(&stored, |i| i.state = IncidentState::Open));
            }
        }
        4 => {
            if let Some(open) = pick(&docs.incidents, nth) {
                let n = site.next();
                let made = Plan { incident_id: open.doc.id, ..plan(n, 0) };
                let asked = Approval { incident_id: open.doc.id, plan_id: made.id, ..approval(n, 0) };
                changes.incidents.push(changed(&open, |i| i.plan_id = Some(made.id)));
                changes.plans.push(Versioned::new(made));
                changes.approvals.push(Versioned::new(asked));
            }
        }
        5 => {
            let states = [ApprovalState::Approved, ApprovalState::Denied, ApprovalState::Pending];
            let answer = |a: &mut Approval| a.state = states[nth % states.len()];
            changes.approvals.extend(pick(&docs.approvals, nth).map(|a| changed(&a, answer)));
        }
        6 => {
            if let Some(of) = pick(&docs.plans, nth) {
                let n = site.next();
                let (incident_id, plan_id) = (of.doc.incident_id, of.doc.id);
                changes.jobs.push(Versioned::new(Job {
                    incident_id,
                    plan_id,
                    ..job(n, 0, JobState::Pending)
                }));
            }
        }
        7 => {
            let end = |j: &mut Job| {
                j.state = JobState::Succeeded;
                j.finished_at = Some(at(if nth.is_multiple_of(3) { SINCE - 1 } else { SINCE }));
            };
            changes.jobs.extend(pick(&docs.jobs, nth).map(|j| changed(&j, end)));
        }
        8 => {
            let n = site.next();
            changes.agents.push(Versioned::new(agent(n)));
            changes.agents.extend(
                pick(&docs.agents.iter().cloned().collect::<Vec<_>>(), nth)
                    .map(|a| changed(&a, |a: &mut Agent| a.revoked_at = Some(at(7)))),
            );
        }
        9 => {
            let n = site.next();
            changes.clusters.push(Versioned::new(cluster(n)));
        }
        // The clock jumped.
        12 => {
            let move_back = |j: &mut Job| j.created_at -= jiff::SignedDuration::from_secs(40);
            changes.jobs.extend(pick(&docs.jobs, nth).map(|j| changed(&j, move_back)));
        }
        // An older plan, which the store alone may still have.
        10 => {
            let plans = site.documents.store().all::<Plan>().await.unwrap();
            if let (Some(open), Some(plan)) = (pick(&docs.incidents, nth), pick(&plans, nth)) {
                changes.incidents.push(changed(&open, |i| i.plan_id = Some(plan.doc.id)));
            }
        }
        // Its plan is refused, and is asked for again later.
        13 => {
            let refuse = |i: &mut Incident| {
                i.refused = i.plan_id.take().map(|plan_id| RefusedPlan { plan_id, times: 1 });
            };
            changes.incidents.extend(pick(&docs.incidents, nth).map(|i| changed(&i, refuse)));
        }
        // A writer who read too long ago.
        _ => changes
            .incidents
            .extend(pick(&docs.incidents, nth).map(|i| Versioned { version: i.version + 7, ..i })),
    }
    changes
}

/// These steps one after the other; each changes something.
async fn play(site: &mut Site, steps: &[u8]) {
    for &what in steps {
        let changes = step(site, what, 1).await;
        assert!(!changes.is_empty(), "step {what}");
        site.commit(changes).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_followed_is_what_another_reading_gives(
        steps in proptest::collection::vec((0u8..14, 0usize..64), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut site = Site::start().await;
            for (what, nth) in steps {
                let changes = step(&mut site, what, nth).await;
                site.commit(changes).await;
                let seen = site.open().await;
                let read = Docs::read(site.documents.store(), seen.revision, at(SINCE)).await.unwrap();
                assert_eq!(*seen, read, "after step {what} of the {nth}th");
            }
        });
    }
}

#[tokio::test]
async fn what_a_task_does_from_the_open_documents_needs_no_other_reading() {
    let mut site = Site::start().await;
    play(&mut site, &[0, 0, 1, 4, 5, 6, 4, 7, 8, 9, 2, 7]).await;
    site.open().await;
    assert_eq!(site.readings(), 1, "the first one");
}

#[tokio::test]
async fn a_commit_while_somebody_reads_copies_no_agent_but_the_one_that_it_changes() {
    let site = Site::start().await;
    let many = (1..=20).map(|n| Versioned::new(agent(n))).collect();
    site.commit(ChangeSet { agents: many, ..ChangeSet::default() }).await;
    let held = site.open().await;
    let eighth = held.agents.iter().nth(7).unwrap();
    let revoked = changed(eighth, |agent: &mut Agent| agent.revoked_at = Some(at(7)));
    let newest = Versioned::new(agent(21));
    site.commit(ChangeSet { agents: vec![revoked, newest], ..ChangeSet::default() }).await;
    let after = site.open().await;
    assert_eq!((held.agents.len(), after.agents.len()), (20, 21));
    let both = held.agents.iter().zip(after.agents.iter());
    let shared: Vec<bool> = both.map(|(before, after)| std::sync::Arc::ptr_eq(before, after)).collect();
    assert_eq!(shared, (0..20).map(|at| at != 7).collect::<Vec<_>>());
    assert_eq!(site.readings(), 1, "the first one");
}

#[tokio::test]
async fn what_is_not_known_is_read() {
    let mut site = Site::start().await;
    let gone =
        ChangeSet { incidents: vec![Versioned::new(resolved(70, "cause/gone", 5))], ..ChangeSet::default() };
    site.commit(gone).await;
    site.resolved.push(resolved(70, "cause/gone", 5));
    site.open().await;
    assert_eq!(site.readings(), 1);
    // It was not open when it was read, and is now.
    let back = step(&mut site, 3, 0).await;
    site.commit(back).await;
    assert_eq!(site.open().await.incidents.len(), 1);
    assert_eq!(site.readings(), 2);
    // A commit that failed may have been written.
    let stale = step(&mut site, 11, 0).await;
    site.commit(stale).await;
    site.open().await;
    assert_eq!(site.readings(), 3);
}

#[tokio::test]
async fn whoever_reads_during_a_commit_does_not_keep_what_it_read() {
    let mut site = Site::start().await;
    let changes = step(&mut site, 0, 0).await;
    let documents = &site.documents;
    let reader = async {
        // As a cache that was read anew while the commit was under way.
        *documents.0.open.lock().await = None;
        documents.open(at(SINCE)).await.unwrap();
    };
    let (committed, ()) = tokio::join!(documents.commit(&changes, at(SINCE)), reader);
    committed.unwrap();
    assert_eq!(site.open().await.incidents.len(), 1);
}

#[tokio::test]
async fn a_commit_whose_caller_went_away_is_taken_in() {
    let mut site = Site::start().await;
    let changes = step(&mut site, 0, 0).await;
    let id = changes.incidents[0].doc.id;
    {
        let mut commit = std::pin::pin!(site.documents.commit(&changes, at(SINCE)));
        assert!(commit.as_mut().now_or_never().is_none(), "it is under way");
    }
    while site.documents.store().get::<Incident>(id).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    drop(site.documents.0.turn.lock().await);
    assert_eq!(site.open().await.incidents.len(), 1);
}

#[tokio::test]
async fn an_old_reading_and_one_that_lacks_jobs_are_followed_no_longer() {
    let mut site = Site::start().await;
    play(&mut site, &[0, 4, 6, 7, 2]).await;
    // The clock was ahead for a moment: then no job counted.
    let ahead = at(SINCE + 1_000_000);
    let looked_at = step(&mut site, 8, 0).await;
    site.documents.commit(&looked_at, ahead).await.unwrap();
    assert!(site.documents.open(ahead).await.unwrap().jobs.is_empty());
    assert_eq!(site.open().await.jobs.len(), 1, "it is read again");
    let readings = site.readings();
    if let Some(cached) = site.documents.0.open.lock().await.as_mut() {
        cached.until = std::time::Duration::ZERO;
    }
    site.open().await;
    assert_eq!(site.readings(), readings + 1, "it was old");
}

#[tokio::test]
async fn what_is_trimmed_is_let_go_of() {
    let mut site = Site::start().await;
    play(&mut site, &[0, 4, 6, 7, 2]).await;
    assert_eq!(site.open().await.jobs.len(), 1, "it finished not long ago");
    site.documents.trim(at(1_000)).await.unwrap();
    assert!(site.open().await.jobs.is_empty());
}
