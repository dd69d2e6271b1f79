//! Who leads: one replica at a time, and one that the control plane takes.

use super::*;

#[tokio::test]
async fn two_replicas_never_lead_at_once_and_the_second_follows_a_dead_first() {
    let (client, _server) = serve().await;
    let settings = LeaseSettings { duration: Duration::from_secs(2), ..LeaseSettings::default() };
    let replica = |name: &str| {
        let out = Arc::new(watch::Sender::new(Leadership::Unknown));
        let cancel = CancellationToken::new();
        let elector = Elector::new(
            client.clone(),
            settings.clone(),
            name.to_owned(),
            out.clone(),
            Arc::new(SharedStatus::new()),
        );
        (out, cancel.clone(), tokio::spawn(elector.run(cancel)))
    };
    let leading = async |out: &watch::Sender<Leadership>| {
        let mut seen = out.subscribe();
        let leads = |now: &Leadership| now.term(since_boot()).is_some();
        let led = tokio::time::timeout(Duration::from_secs(20), seen.wait_for(leads)).await;
        led.expect("nobody leads").unwrap().term(since_boot()).unwrap()
    };
    let (first, _, dying) = replica("first");
    let term = leading(&first).await;
    let (second, end, ending) = replica("second");
    let mut standby = second.subscribe();
    standby.wait_for(|now| *now == Leadership::Standby).await.unwrap();
    // Killed: the lease is not given back.
    dying.abort();
    let next = leading(&second).await;
    assert!(next > term, "{next} follows {term}");
    assert_eq!(first.borrow().term(since_boot()), None, "the dead one's lease ended before");

    // A clean end gives it back: the third need not wait for it to run out.
    end.cancel();
    ending.await.unwrap();
    let started = Instant::now();
    let (third, stop, last) = replica("third");
    assert!(leading(&third).await > next);
    assert!(started.elapsed() < settings.duration, "it waited {:?}", started.elapsed());
    stop.cancel();
    last.await.unwrap();
}

#[tokio::test]
async fn a_leader_that_the_control_plane_refuses_makes_room_and_competes_again_once_it_is_let_in() {
    let (client, server) = serve().await;
    server.lease_was_given_back();
    // So long that nobody leads in this test because a lease ran out.
    let settings = LeaseSettings { duration: Duration::from_mins(2), ..LeaseSettings::default() };
    let replica = |name: &str| {
        let (out, status) =
            (Arc::new(watch::Sender::new(Leadership::Unknown)), Arc::new(SharedStatus::new()));
        let cancel = CancellationToken::new();
        let elector =
            Elector::new(client.clone(), settings.clone(), name.to_owned(), out.clone(), status.clone());
        (out, status, tokio::spawn(elector.run(cancel.clone())), cancel)
    };
    let leading = async |out: &watch::Sender<Leadership>| {
        let mut seen = out.subscribe();
        let leads = |now: &Leadership| now.term(since_boot()).is_some();
        let led = tokio::time::timeout(Duration::from_secs(20), seen.wait_for(leads)).await;
        drop(led.expect("nobody leads").unwrap());
    };
    let (first, status, task, _end) = replica("first");
    leading(&first).await;
    status.update(|status| status.rejected = true);
    let (second, _, other, stop) = replica("second");
    leading(&second).await;
    assert_eq!(first.borrow().term(since_boot()), None);
    stop.cancel();
    other.await.unwrap();
    status.update(|status| status.rejected = false);
    leading(&first).await;
    task.abort();
}
