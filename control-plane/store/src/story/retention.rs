//! The story (shared test) of which documents retention deletes and which it keeps.

use nimbus_control_core::model::{
    Agent, AnyDocument, Approval, BrokenGlass, ChangeSet, Incident, Job, JobState, JoinTokenRecord,
    PodOrigin, Review, RevisionHistory, Versioned,
};

use super::open;
use super::things::{
    agent, agent_id, approval, at, audit, history, incident, incident_id, job, plan, resolved, token,
};
use crate::{MAX_TRIM_DOCUMENTS, StoreUrl, Trimmed};

/// The fifth approval was given alone and not reviewed, the sixth was.
fn broken(n: u32) -> Option<BrokenGlass> {
    let (by, reason) = ("eve".to_owned(), r#"nobody answers, "review":null"#.to_owned());
    let review = Review { by: "ann".to_owned(), at: at(15), note: reason.clone() };
    match n {
        5 => Some(BrokenGlass { by, at: at(12), reason, past: Vec::new(), review: None }),
        6 => Some(BrokenGlass { by, at: at(12), reason, past: Vec::new(), review: Some(review) }),
        _ => None,
    }
}

/// What was finished long ago goes, with all that belongs to it; what is open or recent stays, and every audit row.
pub async fn finished_documents_go_and_the_rest_stays(url: &StoreUrl) {
    let store = open(url).await;
    let mut used = token(1);
    used.used_at = Some(at(10));
    // Revoked long ago, and it would still hold.
    let mut revoked = token(3);
    revoked.revoke(at(10));
    let mut changes = ChangeSet {
        tokens: vec![Versioned::new(used), Versioned::new(token(2)), Versioned::new(revoked.clone())],
        audit: vec![audit("incident.resolved", "inc_1")],
        ..ChangeSet::default()
    };
    let incidents = [
        resolved(1, "crash/long-ago", 20),
        resolved(2, "crash/recent", 200),
        resolved(3, "crash/with-a-job-out", 20),
        incident(4, "crash/open"),
        resolved(5, "crash/approved-alone", 20),
        resolved(6, "crash/approved-alone-and-reviewed", 20),
    ];
    changes.incidents = incidents.into_iter().map(Versioned::new).collect();
    for n in 1..=6 {
        let state = if n == 3 { JobState::Running } else { JobState::Succeeded };
        changes.plans.push(Versioned::new(plan(n, n)));
        changes.approvals.push(Versioned::new(Approval { broken_glass: broken(n), ..approval(n, n) }));
        changes.jobs.push(Versioned::new(job(n, n, state)));
    }
    let gone = |workload: &str, second| RevisionHistory { gone_at: Some(at(second)), ..history(workload) };
    let histories = [gone("long-gone", 20), gone("just-gone", 200), history("kept")];
    changes.documents = histories.iter().map(|history| Versioned::new(AnyDocument::of(history))).collect();
    store.commit(&changes).await.unwrap();
    let active = store.jobs_active_or_since(at(8)).await.unwrap();
    assert_eq!(
        active.iter().map(|job| &job.doc).collect::<Vec<_>>(),
        [3, 4, 5, 6].map(|n| &changes.jobs[n - 1].doc)
    );

    assert_eq!(
        store.trim_documents(at(100)).await.unwrap(),
        Trimmed { incidents: 2, theirs: 6, tokens: 1, histories: 1 }
    );
    assert_eq!(store.trim_documents(at(100)).await.unwrap(), Trimmed::default(), "once is enough");
    let left: Vec<_> = store.all::<Incident>().await.unwrap().into_iter().map(|i| i.doc.id).collect();
    assert_eq!(left, [2, 3, 4, 5].map(incident_id), "somebody owes a look at the fifth");
    assert_eq!(store.all::<Job>().await.unwrap().len(), 4);
    let kept: Vec<_> =
        store.all::<RevisionHistory>().await.unwrap().into_iter().map(|h| h.doc.workload_uid).collect();
    assert_eq!(kept, ["just-gone", "kept"]);
    let theirs = store.open_approvals_of(&[1, 2].map(incident_id)).await.unwrap();
    assert_eq!(theirs.into_iter().map(|a| a.doc).collect::<Vec<Approval>>(), [approval(2, 2)]);
    let tokens = store.all::<JoinTokenRecord>().await.unwrap();
    assert_eq!(tokens.into_iter().map(|token| token.doc).collect::<Vec<_>>(), [token(2), revoked]);
    assert_eq!(store.verify_audit().await.unwrap().unwrap().rows, 1);

    let many = (1_000..1_000 + MAX_TRIM_DOCUMENTS + 5).map(|n| Versioned::new(resolved(n, "crash/many", 30)));
    store.commit(&ChangeSet { incidents: many.collect(), ..ChangeSet::default() }).await.unwrap();
    let trimmed =
        [store.trim_documents(at(100)).await.unwrap(), store.trim_documents(at(100)).await.unwrap()];
    assert_eq!(trimmed.map(|t| t.incidents), [u64::from(MAX_TRIM_DOCUMENTS), 5], "one call is bounded");
    store.close().await;
}

/// The agents of pods that are gone go, with what else is kept of them; a revoked agent of another sort and one whose pod
/// is there stay.
pub async fn agents_of_gone_pods_go_and_the_others_stay(url: &StoreUrl) {
    let store = open(url).await;
    let pod = PodOrigin {
        namespace: "nimbus-system".into(),
        name: "nimbus-agent-x".into(),
        uid: "pod-1".into(),
        service_account: "nimbus-agent".into(),
        node: Some("node-1".into()),
    };
    let agents = [(1, true, Some(20)), (2, true, Some(200)), (3, true, None), (4, false, Some(20))];
    let made = agents.map(|(n, in_pod, revoked)| {
        Versioned::new(Agent {
            pod: in_pod.then(|| pod.clone()),
            revoked_at: revoked.map(at),
            pod_gone: in_pod && revoked.is_some(),
            name: format!("agent-{n}"),
            ..agent(n)
        })
    });
    store.commit(&ChangeSet { agents: made.into(), ..ChangeSet::default() }).await.unwrap();
    for (n, ..) in agents {
        store.meta_set(&format!("renewal/{}", agent_id(n)), "key").await.unwrap();
    }
    assert_eq!(store.trim_gone_agents(at(100)).await.unwrap(), 1);
    assert_eq!(store.trim_gone_agents(at(100)).await.unwrap(), 0, "once is enough");
    let left: Vec<_> = store.all::<Agent>().await.unwrap().into_iter().map(|agent| agent.doc.id).collect();
    assert_eq!(left, [2, 3, 4].map(agent_id));
    assert_eq!(store.meta_get(&format!("renewal/{}", agent_id(1))).await.unwrap(), None);
    assert_eq!(store.meta_get(&format!("renewal/{}", agent_id(4))).await.unwrap().as_deref(), Some("key"));
    store.close().await;
}
