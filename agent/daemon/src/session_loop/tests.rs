//! The loop beside a spool thread that hangs, and beside blocking threads that all wait.

use nimbus_agent_core::spool::Limits;
use nimbus_protocol::v1::observation;

use super::*;
use crate::identity::Identity;
use crate::identity::key::AgentKey;
use crate::observation_queue::ObservationQueue;

fn inputs(
    dir: &std::path::Path,
    observations: mpsc::Receiver<QueuedObservation>,
    cancel: CancellationToken,
) -> Inputs {
    // Nobody is to be reached: what is seen goes to the spool all the same.
    let identity = Identity {
        agent_id: "agt_00000000000000000000000000000001".parse().unwrap(),
        name: String::new(),
        kind: String::new(),
        key: AgentKey::generate().unwrap(),
        chain: Vec::new(),
        ca: Vec::new().into(),
        job_keys: Vec::new(),
    };
    Inputs {
        server: "127.0.0.1:1".to_owned(),
        hello: v1::Hello::default(),
        renewal: Renewal::new(identity, dir.to_owned()),
        spool: SpoolStore::open(dir, Limits::default()).unwrap(),
        journal: Arc::new(Mutex::new(JournalStore::open(dir, nimbus_platform::now()).unwrap())),
        spool_thread: SpoolThread::start().unwrap(),
        observations,
        refusals: mpsc::channel(1).1,
        control: mpsc::channel(1).0,
        resync: Arc::new(watch::Sender::new(0)),
        pauses: Arc::new(crate::pauses::Pauses::open(dir)),
        status: Arc::default(),
        counters: Arc::default(),
        alive: Arc::default(),
        cancel,
        last_words: Duration::ZERO,
    }
}

#[tokio::test]
async fn a_spool_thread_that_hangs_gives_no_sign_of_life_until_it_works_again() {
    let dir = tempfile::tempdir().unwrap();
    let (_observations, items) = ObservationQueue::new();
    let cancel = CancellationToken::new();
    let inputs = inputs(dir.path(), items, cancel.clone());
    let alive = inputs.alive.clone();
    let (release, held) = std::sync::mpsc::channel::<()>();
    // Asked once, so that the thread has the work; what comes of it nobody wants to know.
    let mut hanging = Box::pin(inputs.spool_thread.run(move || held.recv().is_ok()));
    assert!(futures::poll!(hanging.as_mut()).is_pending());
    drop(hanging);
    let running = tokio::spawn(run(inputs));
    let before = alive.session().last();
    tokio::time::sleep(Duration::from_millis(20)).await;
    alive.ask();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(alive.session().last(), before, "the thread hangs, and the loop said that it came round");
    release.send(()).unwrap();
    let answered = async {
        while alive.session().last() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), answered).await.unwrap();
    cancel.cancel();
    running.await.unwrap();
}

#[test]
fn the_spool_is_written_while_every_blocking_thread_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = crate::runtime().unwrap();
    let (observations, items) = ObservationQueue::new();
    let cancel = CancellationToken::new();
    let running = runtime.spawn(run(inputs(dir.path(), items, cancel.clone())));
    let together = Arc::new(std::sync::Barrier::new(crate::BLOCKING));
    let written = runtime.block_on(async {
        let waiting: Vec<_> = (0..crate::BLOCKING)
            .map(|_| {
                let (observations, together) = (observations.clone(), together.clone());
                tokio::task::spawn_blocking(move || {
                    together.wait();
                    observations.observe_now_blocking("", observation::Body::Host(v1::Host::default()));
                })
            })
            .collect();
        tokio::time::timeout(Duration::from_secs(20), futures::future::join_all(waiting)).await.is_ok()
    });
    if written {
        cancel.cancel();
        runtime.block_on(running).unwrap();
    }
    // Dropping it would wait for threads that wait for each other.
    runtime.shutdown_background();
    assert!(written, "the threads wait for the spool, and the spool for a thread");
}
