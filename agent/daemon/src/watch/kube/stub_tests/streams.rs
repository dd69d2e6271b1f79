//! The list and watch of one kind: what is told, and what happens where a part of it fails.

use super::*;

#[tokio::test]
async fn a_watch_tells_what_changed_and_lists_again_when_the_server_forgot() {
    let (client, server) = serve().await;
    server
        .collections
        .lock()
        .unwrap()
        .insert(PODS, vec![pod(1, "Running"), pod(2, "Pending"), pod(3, "Running")]);
    *server.events.lock().unwrap() = vec![
        json!({ "type": "MODIFIED", "object": pod(1, "Running") }),
        json!({ "type": "MODIFIED", "object": pod(2, "Running") }),
        json!({ "type": "DELETED", "object": pod(3, "Running") }),
        expired(),
    ];
    let (observations, mut items) = ObservationQueue::new();
    let resync = watch::Sender::new(0);
    let status = Arc::new(SharedStatus::new());
    let cancel = CancellationToken::new();
    let follow = follow(client, observations, &status, &resync, &cancel);
    let watching = tokio::spawn(stream::run(follow, Collection::of::<SlimPod>()));
    let mut next = async || {
        let item =
            tokio::time::timeout(Duration::from_secs(10), items.recv()).await.expect("in time").unwrap();
        assert_eq!(item.observation.cluster_uid, "c");
        say(item.observation.body)
    };
    for expected in ["Begin Pod 5", "web-1 Running", "web-2 Pending", "web-3 Running", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    // While it was away, web-1 vanished and web-4 came.
    server.collections.lock().unwrap().insert(PODS, vec![pod(2, "Running"), pod(4, "Pending")]);
    for expected in ["web-2 Running", "gone 3", "web-4 Pending", "gone 1"] {
        assert_eq!(next().await, expected);
    }
    assert!(status.status().problems.is_empty(), "a 410 is no problem: {:?}", status.status().problems);
    resync.send_replace(1);
    for expected in ["Begin Pod 5", "web-2 Running", "web-4 Pending", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    assert!(server.lists.lock().unwrap()[1].contains("continue=more"), "lists come in pages");

    // A UID that is no UUID cannot be told from what is kept of it: everything is listed again between marks.
    let mut odd = pod(5, "Running");
    odd["metadata"]["uid"] = json!("odd");
    server.collections.lock().unwrap().insert(PODS, vec![odd]);
    resync.send_replace(2);
    for expected in ["Begin Pod 5", "web-5 Running", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    server.collections.lock().unwrap().insert(PODS, vec![pod(2, "Running")]);
    server.expire.notify_one();
    for expected in ["web-2 Running", "Begin Pod 5", "web-2 Running", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    cancel.cancel();
    watching.await.unwrap();
}

/// Whatever such an event was about would be missing otherwise, in a kind that counts as known.
#[tokio::test]
async fn after_an_event_that_does_not_read_everything_is_listed_again() {
    for odd in [json!({ "metadata": 7 }), json!({ "metadata": { "name": "web-1" }, "status": 7 })] {
        let (client, server) = serve().await;
        server.collections.lock().unwrap().insert(PODS, vec![pod(1, "Running")]);
        *server.events.lock().unwrap() = vec![json!({ "type": "MODIFIED", "object": odd })];
        let (observations, _items) = ObservationQueue::new();
        let (status, cancel) = (Arc::new(SharedStatus::new()), CancellationToken::new());
        let resync = watch::Sender::new(0);
        let follow = follow(client, observations, &status, &resync, &cancel);
        let watching = tokio::spawn(stream::run(follow, Collection::of::<SlimPod>()));
        let again = async {
            while server.lists.lock().unwrap().len() < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), again).await.expect("it is listed again");
        cancel.cancel();
        watching.await.unwrap();
    }
}

/// What was listed once is not known any more when nobody may watch it: a node would fail unseen.
#[tokio::test]
async fn a_kind_that_may_be_listed_and_not_watched_is_not_known() {
    let (client, server) = serve().await;
    server.collections.lock().unwrap().insert(PODS, vec![pod(1, "Running")]);
    server.unwatchable.lock().unwrap().insert(PODS);
    let (observations, mut items) = ObservationQueue::new();
    let (status, cancel) = (Arc::new(SharedStatus::new()), CancellationToken::new());
    let resync = watch::Sender::new(0);
    let follow = follow(client, observations, &status, &resync, &cancel);
    let watching = tokio::spawn(stream::run(follow, Collection::of::<SlimPod>()));
    let mut next = async || {
        let item = tokio::time::timeout(Duration::from_secs(20), items.recv()).await.expect("in time");
        say(item.unwrap().observation.body)
    };
    for expected in ["Begin Pod 5", "web-1 Running", "End Pod 5", "Begin Pod 5"] {
        assert_eq!(next().await, expected);
    }
    let problems = status.status().problems.clone();
    assert!(problems.len() == 1 && problems[0].contains("lacks watch"), "{problems:?}");
    server.unwatchable.lock().unwrap().clear();
    for expected in ["Begin Pod 5", "web-1 Running", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    assert!(status.status().problems.is_empty(), "it is over");
    // The right to list and to watch is withdrawn later.
    server.forbidden.lock().unwrap().insert(PODS);
    server.expire.notify_one();
    assert_eq!(next().await, "Begin Pod 5");
    let problems = status.status().problems.clone();
    assert!(problems.len() == 1 && problems[0].contains("of which it lacks"), "{problems:?}");
    // What the control plane holds may be from before that, when it asks for everything again.
    resync.send_replace(1);
    assert_eq!(next().await, "Begin Pod 5");
    server.forbidden.lock().unwrap().clear();
    for expected in ["Begin Pod 5", "web-1 Running", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    cancel.cancel();
    watching.await.unwrap();
}

/// Which objects are gone is not known from a listing that broke off: the next one is begun anew, and each costs a longer
/// wait than the one before.
#[tokio::test]
async fn a_listing_that_breaks_off_is_begun_anew_between_marks() {
    let (client, server) = serve().await;
    let three = vec![pod(1, "Running"), pod(2, "Running"), pod(3, "Running")];
    server.collections.lock().unwrap().insert(PODS, three);
    let (observations, mut items) = ObservationQueue::new();
    let (status, cancel) = (Arc::new(SharedStatus::new()), CancellationToken::new());
    let resync = watch::Sender::new(0);
    let follow = follow(client, observations, &status, &resync, &cancel);
    let watching = tokio::spawn(stream::run(follow, Collection::of::<SlimPod>()));
    let mut next = async || {
        let item = tokio::time::timeout(Duration::from_secs(20), items.recv()).await.expect("in time");
        say(item.unwrap().observation.body)
    };
    for expected in ["Begin Pod 5", "web-1 Running", "web-2 Running", "web-3 Running", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    server.breaks_off.store(true, std::sync::atomic::Ordering::SeqCst);
    server.expire.notify_one();
    // Nothing of the first one that breaks off is new; the next one tells everything that it comes to.
    for expected in ["Begin Pod 5", "web-1 Running", "web-2 Running"] {
        assert_eq!(next().await, expected);
    }
    server.second_pages(3).await;
    server.collections.lock().unwrap().insert(PODS, vec![pod(2, "Running"), pod(3, "Running")]);
    server.breaks_off.store(false, std::sync::atomic::Ordering::SeqCst);
    for expected in ["Begin Pod 5", "web-2 Running", "web-3 Running", "End Pod 5"] {
        assert_eq!(next().await, expected);
    }
    cancel.cancel();
    watching.await.unwrap();
}

#[tokio::test]
async fn a_kind_that_may_not_be_listed_is_a_problem_and_no_other_kind_waits_for_it() {
    let (_, server) = serve().await;
    server.lease_was_given_back();
    // Secrets may always be withheld: that is no problem.
    server.forbidden.lock().unwrap().extend([NODES, SECRETS]);
    server.collections.lock().unwrap().insert(PODS, vec![pod(1, "Running")]);
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = dir.path().join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{name: a, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: '{}'}}}}]\nusers: [{{name: u, user: {{}}}}]\n",
        server.url
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let source = ClusterSource::Kubeconfig { path: Some(kubeconfig), context: None };
    let (observations, mut items) = ObservationQueue::new();
    let (status, cancel) = (Arc::new(SharedStatus::new()), CancellationToken::new());
    let resync = watch::Sender::new(0);
    let running = tokio::spawn(crate::watch::kube::run(crate::watch::kube::Watch {
        target: client::target(&source).await.unwrap().unwrap(),
        tls_secrets: false,
        lease: LeaseSettings::default(),
        identity: "me".to_owned(),
        observations,
        status: status.clone(),
        handle: Arc::default(),
        resync: resync.subscribe(),
        cancel: cancel.clone(),
    }));
    let mut next = async || {
        let item =
            tokio::time::timeout(Duration::from_secs(20), items.recv()).await.expect("in time").unwrap();
        say(item.observation.body)
    };
    // All kinds but these are listed whole: two marks each, and one pod.
    let withheld = [ObjectKind::Node, ObjectKind::Secret];
    // Watched only where somebody asks for it.
    let unasked = ObjectKind::TlsSecret;
    let listed: Vec<ObjectKind> =
        ObjectKind::ALL.iter().copied().filter(|kind| !withheld.contains(kind) && *kind != unasked).collect();
    let mut told = BTreeSet::new();
    for _ in 0..=2 * listed.len() {
        told.insert(next().await.rsplit_once(' ').unwrap().0.to_owned());
    }
    let marks = listed.iter().map(|kind| [format!("Begin {kind}"), format!("End {kind}")]);
    let expected: BTreeSet<_> = marks.flatten().chain(["web-1".to_owned()]).collect();
    assert_eq!(told, expected);
    let mut changes = status.subscribe();
    let synced =
        tokio::time::timeout(Duration::from_secs(10), changes.wait_for(|status| status.synced)).await;
    let problems = synced.expect("synced for what may be listed").unwrap().problems.clone();
    assert_eq!(problems.len(), 1, "{problems:?}");
    for part in ["every Node", "403", "get, list and watch on nodes", "lacks list"] {
        assert!(problems[0].contains(part), "{part}: {problems:?}");
    }
    // Once it is granted, the kind is listed and the problem is gone.
    server.forbidden.lock().unwrap().clear();
    let mut told = BTreeSet::new();
    for _ in 0..2 * withheld.len() {
        told.insert(next().await.rsplit_once(' ').unwrap().0.to_owned());
    }
    assert_eq!(told, withheld.iter().flat_map(|k| [format!("Begin {k}"), format!("End {k}")]).collect());
    assert!(status.status().problems.is_empty());
    cancel.cancel();
    running.await.unwrap();
}

/// A quiet kind's watch says nothing after an API server's restart either: the problem has to end without an event.
#[tokio::test]
async fn a_watch_that_was_cut_and_shows_nothing_is_no_problem_once_the_server_answers() {
    let (client, server) = serve().await;
    let (observations, mut items) = ObservationQueue::new();
    let (status, cancel) = (Arc::new(SharedStatus::new()), CancellationToken::new());
    let resync = watch::Sender::new(0);
    let follow =
        Follow { quiet: Duration::from_secs(2), ..follow(client, observations, &status, &resync, &cancel) };
    let watching = tokio::spawn(stream::run(follow, Collection::of::<SlimPod>()));
    let until = async |is_so: &dyn Fn() -> bool| {
        let wait = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        waited.unwrap_or_else(|_| panic!("{:?} of {:?}", status.status().problems, server.watches));
    };
    let watches = || server.watches.load(std::sync::atomic::Ordering::SeqCst);
    until(&|| watches() == 1).await;
    let set = |what: &std::sync::atomic::AtomicBool, to| what.store(to, std::sync::atomic::Ordering::SeqCst);
    // The server goes away, and comes back with the lists of its objects still to come.
    set(&server.broken, true);
    server.cut.notify_one();
    until(&|| !status.status().problems.is_empty()).await;
    set(&server.is_unlisted, true);
    set(&server.broken, false);
    until(&|| watches() == 2).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let problems = status.status().problems.clone();
    assert!(problems.len() == 1 && problems[0].contains("every Pod"), "{problems:?}");
    set(&server.is_unlisted, false);
    until(&|| status.status().problems.is_empty()).await;
    assert_eq!(watches(), 2, "nothing was followed anew");
    cancel.cancel();
    watching.await.unwrap();
    drop(items.try_recv());
}

#[tokio::test]
async fn a_kind_that_nobody_installed_is_listed_as_empty_and_watched_once_it_is_there() {
    const PATH: &str = "/apis/cert-manager.io/v1/certificates";
    let (client, server) = serve().await;
    let (observations, mut items) = ObservationQueue::new();
    let (status, cancel) = (Arc::new(SharedStatus::new()), CancellationToken::new());
    let resync = watch::Sender::new(0);
    let follow = Follow {
        installed: Duration::from_millis(300),
        ..follow(client, observations, &status, &resync, &cancel)
    };
    let listings = follow.listings.clone();
    let watching = tokio::spawn(stream::run(follow, Collection::of::<SlimCertificate>()));
    let mut next = async || {
        let item =
            tokio::time::timeout(Duration::from_secs(10), items.recv()).await.expect("in time").unwrap();
        item.observation.body.unwrap()
    };
    let mark = |body: Seen| {
        let Seen::Sync(mark) = body else { panic!("{body:?}") };
        mark.phase().as_str_name().to_owned()
    };
    assert_eq!([mark(next().await), mark(next().await)], ["PHASE_BEGIN", "PHASE_END"]);
    assert_eq!(listings.borrow().get(&ObjectKind::Certificate), Some(&stream::Listing::Complete));
    // Asked to list everything anew, it says the same.
    resync.send_replace(1);
    assert_eq!([mark(next().await), mark(next().await)], ["PHASE_BEGIN", "PHASE_END"]);
    let web = json!({ "kind": "Certificate", "apiVersion": "cert-manager.io/v1",
                      "metadata": { "name": "web", "namespace": "shop", "resourceVersion": "7",
                                    "uid": "00000000-0000-0000-0000-000000000001" } });
    server.collections.lock().unwrap().insert(PATH, vec![web]);
    let Seen::Certificate(told) = next().await else { panic!("it is there now") };
    assert_eq!(told.meta.unwrap().name, "web");
    // It was there, and its kind is no more.
    server.collections.lock().unwrap().remove(PATH);
    resync.send_replace(2);
    assert_eq!([mark(next().await), mark(next().await)], ["PHASE_BEGIN", "PHASE_END"]);
    assert!(status.status().problems.is_empty(), "{:?}", status.status().problems);
    cancel.cancel();
    watching.await.unwrap();
}
