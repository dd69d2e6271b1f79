//! Do Services of type LoadBalancer get an address here? Nothing says it but one that has got one.

use super::Snapshot;
use crate::check::{Check, Judged, Open, Outcome};
use crate::words::{count, list};

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "load-balancer", what: "Services of type LoadBalancer get an address", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let needs = snapshot.needs()?;
    if needs.balanced.is_empty() {
        return Err(Open::NotAsked("give values whose services.*.type is LoadBalancer"));
    }
    let wanted = list(&needs.balanced);
    let seen = snapshot.balancers.as_ref()?;
    let remedy = "install MetalLB, the cloud's controller or another one that serves them, or set services.*.type to \
                  NodePort or ClusterIP";
    Ok(match (seen.served, seen.waiting.as_slice()) {
        (0, []) => Outcome::unknown(
            format!("the values ask for load balancers ({wanted}), and the cluster has no such Service yet"),
            format!(
                "make a Service of type LoadBalancer and see whether it gets an address; if not, {remedy}"
            ),
        ),
        (0, waiting) => Outcome::failure(
            format!(
                "the values ask for load balancers ({wanted}), and those that are there have no address: {}",
                list(waiting)
            ),
            remedy,
        ),
        (served, []) => {
            Outcome::pass(format!("{} here", count(served, "Service has", "Services have") + " an address"))
        }
        (_, waiting) => Outcome::warning(
            format!("some Services of type LoadBalancer have no address: {}", list(waiting)),
            "see why: kubectl describe service; a class or a pool of addresses may be used up",
        ),
    })
}
