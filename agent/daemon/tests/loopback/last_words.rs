//! Tests of what an agent sends before it ends.

use std::time::Duration;

use nimbus_agent::Config;
use nimbus_protocol::v1::observation;

use crate::agent::{Site, get};
use crate::plane::Plane;

/// Waits until the agent's spool is empty, or is not.
async fn spool_is(address: std::net::SocketAddr, empty: bool) {
    let is = async {
        while get(address, "/metrics").await.1.contains("nimbus_agent_spool_observations 0\n") != empty {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is).await.unwrap();
}

/// A pod's spool ends with it; a host's is there at the next start, and nobody waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_seen_is_sent_before_an_agent_ends_whose_spool_ends_with_it() {
    for (finish_jobs, is_sent) in [(Duration::from_secs(30), true), (Duration::ZERO, false)] {
        let quiet = |config: &mut Config| {
            config.finish_jobs = finish_jobs;
            // Nothing comes by itself.
            config.host_interval = Duration::from_hours(1);
        };
        let mut site = Site::with(Plane::start(), quiet).await;
        let address = site.agent.telemetry_addr().unwrap();
        spool_is(address, true).await;
        site.plane.hear_nothing(true);
        std::fs::write(site.root.join("app.ini"), "port = 1\n").unwrap();
        spool_is(address, false).await;
        let mut ended = tokio::spawn(site.agent.stop());
        // Half a second of the four that it waits; where it waits for nothing, it ends for all that nobody hears.
        let wait = if is_sent { Duration::from_millis(500) } else { Duration::from_secs(20) };
        assert_eq!(tokio::time::timeout(wait, &mut ended).await.is_err(), is_sent);
        site.plane.hear_nothing(false);
        if is_sent {
            ended.await.unwrap();
        }
        let mut heard = Vec::new();
        while let Ok(observation) = site.plane.heard.try_recv() {
            heard.extend(observation.body);
        }
        let of_the_file = |body: &observation::Body| matches!(body, observation::Body::File(_));
        assert_eq!(heard.iter().any(of_the_file), is_sent, "{heard:?}");
    }
}
