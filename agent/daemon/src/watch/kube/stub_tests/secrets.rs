//! Secrets: the right to watch them is optional, and their content is asked for by nobody.

use nimbus_agent_core::observe::kube::SlimSecret;

use super::*;

#[tokio::test]
async fn secrets_are_asked_for_by_their_metadata_alone_and_lacking_the_right_is_no_problem() {
    let (client, server) = serve().await;
    server.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let (observations, mut items) = ObservationQueue::new();
    let (status, cancel) = (Arc::new(SharedStatus::new()), CancellationToken::new());
    let resync = watch::Sender::new(0);
    let follow = follow(client, observations, &status, &resync, &cancel);
    let watching = tokio::spawn(stream::run(follow, Collection::of::<SlimSecret>()));
    let mut changes = status.subscribe();
    let mut problems = async |so_many: usize| {
        let wait = changes.wait_for(|status| status.problems.len() == so_many);
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("in time").unwrap();
    };
    problems(1).await;
    // It answers again, and refuses: what was a problem is none any more.
    server.forbidden.lock().unwrap().insert(SECRETS);
    server.broken.store(false, std::sync::atomic::Ordering::SeqCst);
    problems(0).await;
    let mut next = async || {
        let item = tokio::time::timeout(Duration::from_secs(20), items.recv()).await.expect("in time");
        say(item.unwrap().observation.body)
    };
    // The right to list comes before the one to watch, for which is asked until it is there.
    server.unwatchable.lock().unwrap().insert(SECRETS);
    server.forbidden.lock().unwrap().clear();
    for expected in ["Begin Secret 5", "End Secret 5", "Begin Secret 5"] {
        assert_eq!(next().await, expected);
    }
    assert!(status.status().problems.is_empty());
    let before = server.accepted.lock().unwrap().len();
    server.unwatchable.lock().unwrap().clear();
    for expected in ["Begin Secret 5", "End Secret 5"] {
        assert_eq!(next().await, expected);
    }
    let accepted = server.accepted.lock().unwrap().clone();
    assert!(
        accepted.len() > before && accepted.iter().all(|a| a.contains("PartialObjectMetadata")),
        "{accepted:?}"
    );
    cancel.cancel();
    watching.await.unwrap();
}
