//! Scenes of a clock that jumps by two years, forward and back: nothing runs out early, nothing waits for years.

use jiff::SignedDuration;
use nimbus_protocol::v1::job_report::Phase;
use nimbus_protocol::v1::observation::Body;

use super::*;
use crate::approval::Decision;
use crate::model::*;
use crate::remediation;
use crate::testing::lab::agent_id;
use crate::world::Standing;

const TWO_YEARS: SignedDuration = SignedDuration::from_hours(2 * 365 * 24);

/// The clock jumps, and the control plane sees it.
fn jump(lab: &mut Lab, by: SignedDuration) {
    lab.now += by;
    let changes = lab.look(|s| remediation::jumped(s, by, lab.now));
    lab.commit(changes);
}

/// The clock jumps while the control plane does not run.
fn jump_unseen(lab: &mut Lab, by: SignedDuration) {
    lab.now += by;
}

#[test]
fn an_approval_that_is_asked_for_is_neither_lost_nor_valid_for_years() {
    for by in [TWO_YEARS, -TWO_YEARS] {
        let mut lab = drifted_file();
        lab.settle();
        let asked = lab.approvals.values().next().unwrap().doc.id;
        jump(&mut lab, by);
        lab.settle();
        assert_eq!((lab.live_approvals(), lab.audited("clock.jumped")), (1, 1));
        let held = lab.approvals.values().next().unwrap().doc.clone();
        assert_eq!(held.id, asked);
        let left = held.expires_at.duration_since(lab.now).as_secs();
        assert_eq!(left, i64::from(lab.settings.approval_ttl_s), "{by}");
        lab.decide("operator", Decision::Approve, "").unwrap();
        assert_eq!(lab.settle().len(), 1, "the next job runs: {by}");
    }
}

#[test]
fn a_job_in_flight_is_given_up_neither_at_once_nor_in_two_years() {
    for by in [TWO_YEARS, -TWO_YEARS] {
        let mut lab = drifted_file();
        lab.settle();
        lab.decide("operator", Decision::Approve, "").unwrap();
        let jobs = lab.settle();
        lab.report(&jobs[0], Phase::Accepted, "", "");
        jump(&mut lab, by);
        lab.expire();
        assert_eq!(lab.jobs[&jobs[0].job_id].doc.state, JobState::Running, "{by}");
        lab.pass(600);
        lab.expire();
        assert_eq!(lab.jobs[&jobs[0].job_id].doc.state, JobState::Unknown, "its time is over: {by}");
    }
}

#[test]
fn a_wait_between_attempts_lasts_as_long_as_it_was_to() {
    for by in [TWO_YEARS, -TWO_YEARS] {
        let mut lab = crash_loop();
        let jobs = lab.settle();
        lab.apply(&jobs[0]);
        lab.report(&jobs[0], Phase::Failed, "", "it crashes still");
        jump(&mut lab, by);
        lab.pass(1);
        assert!(lab.settle().len() <= 1);
        lab.pass(60);
        lab.settle();
        assert!(lab.jobs.len() >= 2, "the next attempt is made: {by}");
    }
}

#[test]
fn what_was_dated_by_a_clock_that_was_two_years_ahead_holds_nothing_up_after_a_restart() {
    // Everything here happens while the clock is ahead; nobody sees it go back.
    let mut lab = crash_loop();
    jump_unseen(&mut lab, TWO_YEARS);
    let jobs = lab.settle();
    lab.apply(&jobs[0]);
    lab.report(&jobs[0], Phase::Failed, "", "it crashes still");
    jump_unseen(&mut lab, -TWO_YEARS);
    lab.pass(5);
    assert_eq!(lab.settle().len(), 1, "{:#?}", lab.incidents);

    let mut lab = drifted_file();
    jump_unseen(&mut lab, TWO_YEARS);
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    jump_unseen(&mut lab, -TWO_YEARS);
    lab.settle();
    lab.pass(600);
    lab.settle();
    assert!(lab.jobs[&jobs[0].job_id].doc.state.is_final(), "no job is in flight for two years");
}

#[test]
fn an_agents_hour_is_not_full_for_years() {
    let mut lab = drifted_file();
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.jobs_per_hour = Some(1);
    jump_unseen(&mut lab, TWO_YEARS);
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    lab.apply(&jobs[0]);
    let good = file_state("file", 0o640, 1);
    lab.see_host(Body::File(file("/srv/etc/app.conf", good.clone(), good.clone())));
    lab.report(&jobs[0], Phase::Succeeded, "", "");
    jump_unseen(&mut lab, -TWO_YEARS);
    lab.see_host(Body::File(file("/srv/etc/app.conf", good, file_state("file", 0o666, 3))));
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    assert_eq!(lab.settle().len(), 1, "how long ago the first one was is not known; the agent knows");
}

#[test]
fn a_jump_is_no_time_in_which_a_revision_lasted() {
    for by in [SignedDuration::from_mins(20), TWO_YEARS, -TWO_YEARS] {
        let mut lab = Lab::new();
        lab.deploy("web", 3, 6);
        let held = |lab: &Lab| {
            let history = &lab.world.clusters[CLUSTER].histories["dep-web"];
            lab.now.duration_since(history.holding.as_ref().unwrap().since)
        };
        let before = held(&lab);
        jump(&mut lab, by);
        lab.world.clock_jumped(by, lab.now);
        assert_eq!(held(&lab), before, "{by}");
        lab.world.take_unstored_histories();
        let history = &lab.world.clusters[CLUSTER].histories["dep-web"];
        let most = before.as_millis().max(0);
        assert!(history.revisions.iter().all(|one| i128::from(one.held_ms) <= most), "{by}");
        // Nor do the pods' own times, which are by the clock before, make it one; also not once it ends.
        let deployment = lab.world.clusters[CLUSTER].deployments.get("dep-web").unwrap().clone();
        let standing = |lab: &Lab| {
            let soak = lab.settings.good_after(0);
            lab.world.clusters[CLUSTER].standing(&deployment, &deployment.template_hash, soak, lab.now)
        };
        assert!(!matches!(standing(&lab), Standing::Lasted(_)), "{by}: {:?}", standing(&lab));
        lab.see(Body::Pod(crashing(pod("web-6", "0", "node-a"), 4)));
        assert!(!matches!(standing(&lab), Standing::Lasted(_)), "{by}: {:?}", standing(&lab));
    }
}

#[test]
fn a_jump_between_a_revision_and_its_trouble_changes_nothing_of_their_distance() {
    for by in [TWO_YEARS, -TWO_YEARS] {
        let mut lab = Lab::new();
        lab.deploy("web", 3, 6);
        lab.pass(3_600);
        let trouble = |lab: &Lab| {
            let history = &lab.world.clusters[CLUSTER].histories["dep-web"];
            let last = history.revisions.last().unwrap();
            let trouble = last.trouble.clone().unwrap();
            (
                trouble.first_at.duration_since(last.came_out_at.unwrap()),
                trouble.at.duration_since(trouble.first_at),
            )
        };
        lab.see(Body::Deployment(stuck("web", 3, 7)));
        lab.see(Body::ReplicaSet(replica_set("web", 7, 0)));
        lab.see(Body::Pod(crashing(pod("web-7", "0", "node-b"), 6)));
        let before = trouble(&lab);
        jump(&mut lab, by);
        lab.world.clock_jumped(by, lab.now);
        assert_eq!(trouble(&lab), before, "{by}");
    }
}

#[test]
fn after_a_jump_a_moment_of_readiness_is_no_time_in_which_a_revision_lasted() {
    let mut lab = Lab::new();
    jump(&mut lab, TWO_YEARS);
    lab.world.clock_jumped(TWO_YEARS, lab.now);
    // First met after the jump; by its pods' times, which are by another clock, it would have lasted for two years.
    lab.deploy("web", 3, 6);
    let deployment = lab.world.clusters[CLUSTER].deployments.get("dep-web").unwrap().clone();
    let standing = |lab: &Lab| {
        let soak = lab.settings.good_after(0);
        lab.world.clusters[CLUSTER].standing(&deployment, &deployment.template_hash, soak, lab.now)
    };
    assert!(!matches!(standing(&lab), Standing::Lasted(_)), "{:?}", standing(&lab));
    lab.pass(601);
    assert!(
        matches!(standing(&lab), Standing::Lasted(_)),
        "seen to hold for ten minutes: {:?}",
        standing(&lab)
    );
}

#[test]
fn after_a_jump_no_revision_is_blamed_beside_a_pod_of_it_that_is_well() {
    for jumps in [false, true] {
        let mut lab = Lab::new();
        if jumps {
            jump(&mut lab, TWO_YEARS);
            lab.world.clock_jumped(TWO_YEARS, lab.now);
        }
        lab.deploy("web", 3, 6);
        lab.pass(3_600);
        // For how long the two others have been ready is by another clock after a jump.
        lab.see(Body::Pod(crashing(pod("web-6", "2", "node-b"), 6)));
        let history = &lab.world.clusters[CLUSTER].histories["dep-web"];
        assert!(history.revisions.iter().all(|one| one.trouble.is_none()), "{jumps}: {history:?}");
    }
}

/// Both times are of the cluster's own clock: a pod that has been ready for a moment when another one crashed clears nothing.
#[test]
fn after_a_jump_a_pod_that_is_ready_for_a_moment_does_not_clear_its_revision() {
    let mut lab = Lab::new();
    jump(&mut lab, TWO_YEARS);
    lab.world.clock_jumped(TWO_YEARS, lab.now);
    lab.deploy("web", 2, 6);
    let mut crashed = crashing(pod("web-6", "1", "node-b"), 6);
    let ended = nimbus_protocol::to_micros(lab.now);
    crashed.containers[0].last_finished_at_us = ended;
    let mut young = pod("web-6", "0", "node-a");
    young.ready_since_us = ended - 5_000_000;
    lab.see(Body::Pod(young));
    lab.see(Body::Pod(crashed.clone()));
    let trouble = |lab: &Lab| {
        let history = &lab.world.clusters[CLUSTER].histories["dep-web"];
        history.revisions.iter().any(|one| one.trouble.is_some())
    };
    assert!(trouble(&lab));
    // Where it is not said when the other one crashed, nothing is blamed.
    let mut unsaid = Lab::new();
    unsaid.world.clock_jumped(TWO_YEARS, unsaid.now);
    unsaid.deploy("web", 2, 6);
    crashed.containers[0].last_finished_at_us = 0;
    unsaid.see(Body::Pod(crashed));
    assert!(!trouble(&unsaid));
}

#[test]
fn a_cluster_that_is_met_after_a_jump_is_told_by_another_clock_too() {
    let mut lab = Lab::new();
    lab.world.clock_jumped(TWO_YEARS, lab.now);
    let met = crate::model::RevisionHistory::new("another", "dep-web", lab.now);
    lab.world.restore_histories([met]);
    assert_eq!(lab.world.clusters["another"].clock_jumped_at, Some(lab.now));
    // Also where the snapshot that said so was lost, or is of a version that said it of clusters alone.
    let mut restored = crate::World::default();
    let marked = lab.world.clusters["another"].histories["dep-web"].clone();
    let marked = crate::model::RevisionHistory { clock_jumped_at: Some(lab.now), ..marked };
    restored.restore_histories([marked]);
    assert_eq!(restored.clusters["another"].clock_jumped_at, Some(lab.now));
}
