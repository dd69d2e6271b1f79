//! Whole scenes from a finding to its end, without sockets and on a virtual clock.

mod audit;
mod autoscalers;
mod bad_revision;
mod beside;
mod bounds;
mod budgets;
mod calendars;
mod certificate_files;
mod certificates;
mod clock;
mod cordons;
mod crash;
mod disks;
mod elsewhere;
mod expanded;
mod expanded_properties;
mod failed_runs;
mod faults;
mod files;
mod flapping;
mod full_hours;
mod held;
mod jobs;
mod left_alone;
mod living;
mod loads;
mod memory;
mod modes;
mod near_full;
mod never_lasted;
mod no_pods;
mod operator;
mod owners;
mod paused;
mod properties;
mod quorum;
mod raised_maximum;
mod refusals;
mod refused_evictions;
mod refused_hours;
mod removal;
mod restorable;
mod rollout;
mod rules;
mod skew;
mod stateful;
mod storms;
mod unit_properties;
mod units;
mod withdrawn;

use nimbus_protocol::v1::{self, observation::Body};

use crate::testing::lab::Lab;
use crate::testing::objects::*;

/// `web` with a pod on node-a, which crash-loops, and one on node-b, which is well: node-a is suspect.
fn crash_loop() -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    lab.see(Body::Pod(pod("web-1", "1", "node-b")));
    lab.see(Body::Pod(crashing(pod("web-1", "0", "node-a"), 4)));
    lab
}

/// `web` with three pods of revision 6, of which one makes room for revision 7, which is past its deadline.
fn stuck_rollout() -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", 3, 6);
    lab.see(Body::Deployment(stuck("web", 3, 7)));
    lab.see(Body::ReplicaSet(replica_set("web", 6, 2)));
    lab.see(gone("Pod", "pod-web-6-2"));
    lab.see(Body::ReplicaSet(replica_set("web", 7, 0)));
    lab.see(Body::Pod(crashing(pod("web-7", "0", "node-b"), 6)));
    lab
}

/// A changed file under the watched root.
fn drifted_file() -> Lab {
    let mut lab = Lab::new();
    lab.see_host(Body::File(v1::File {
        diff: "@@ -1 +1 @@\n-port 80\n+port 81\n".into(),
        ..file("/srv/etc/app.conf", file_state("file", 0o640, 1), file_state("file", 0o666, 2))
    }));
    lab
}

/// A pod that became ready just now.
fn fresh(lab: &Lab, set: &str, suffix: &str, node: &str) -> v1::Pod {
    v1::Pod { ready_since_us: nimbus_protocol::to_micros(lab.now), ..pod(set, suffix, node) }
}
