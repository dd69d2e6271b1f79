//! Tests of an agent that people have paused, by the control plane or on its own side.

use nimbus_agent::{Agent, pauses};
use nimbus_agent_core::pause::Pause;
use nimbus_protocol::v1::job_report::Phase;
use nimbus_protocol::v1::{self, server_frame};

use crate::agent::{Site, config, restore};

/// The control plane's word holds over a restart, and a person's own until they take it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_agent_begins_nothing_until_whoever_paused_it_lets_it_go_on() {
    let mut site = Site::new().await;
    std::fs::write(site.root.join("app.ini"), "port = 1\n").unwrap();
    let drift = site.file("app.ini").await;
    let data = site.dir.path().join("data");
    let say = |site: &Site, paused: bool| {
        let what = if paused { "the fleet".to_owned() } else { String::new() };
        let pause = v1::Pause { paused, what, ..v1::Pause::default() };
        site.plane.send_frame(&v1::ServerFrame { body: Some(server_frame::Body::Pause(pause)) });
    };
    let refused = async |site: &mut Site, number: u8, says: &str| {
        let order = restore(number, &drift);
        site.plane.job(&order);
        let report = site.plane.report(&order.job_id, Phase::Refused).await;
        assert!(report.code == "paused" && report.reason.contains(says), "{report:?}");
        assert_eq!(site.content(), "port = 1\n");
    };
    say(&site, true);
    refused(&mut site, 21, "the fleet is paused").await;
    site.agent.stop().await;
    site.agent = Agent::start(config(site.dir.path(), &site.plane)).await.unwrap();
    site.file("app.ini").await;
    refused(&mut site, 22, "the fleet is paused").await;

    // On the agent's own side, without a word to it.
    let by_root = Pause::new("this agent", "root", "disks are moved", jiff::Timestamp::now());
    assert!(pauses::pause(&data, &by_root).unwrap());
    say(&site, false);
    refused(&mut site, 23, "this agent is paused by root").await;
    assert!(pauses::resume(&data).unwrap());
    let order = restore(24, &drift);
    site.plane.job(&order);
    site.plane.report(&order.job_id, Phase::Succeeded).await;
    site.agent.stop().await;
}
