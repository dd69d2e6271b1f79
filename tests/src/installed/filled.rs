//! Volumes that fill, as the kubelet measures them: one whose class lets it grow, after a word, while its pod goes on; and one
//! whose class does not, of which a person is told.
//!
//! The volumes are XFS on loop devices, by the rig's own CSI driver; a machine that can have a real node and not these leaves this out
//! and says why. It begins early and is looked at later: a kubelet and an agent take a minute each until they have looked.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::site::{SHOP, Site};
use super::story::Clock;
use crate::rig::real_node::csi::{self, Csi, FIXED, GROWS};
use crate::scenes::containers::shell;
use crate::scenes::objects::{apply, with};
use crate::wait::{Seen, wait_for};

/// How long it may take until a kubelet measured what an agent then tells.
const LIMIT: Duration = Duration::from_mins(5);
/// The pod that fills them.
const STORE: &str = "store";
/// The claim that grows, and the one that cannot.
const CLAIMS: [(&str, &str, &str); 2] = [("grows", GROWS, "64Mi"), ("fixed", FIXED, "64Mi")];
/// Fills both until nothing more is taken.
const FILLS: &str = "for volume in grows fixed; do dd if=/dev/zero of=/$volume/fill bs=64k; done 2>/dev/null; \
                     while sleep 1; do date > /grows/beat && mv /grows/beat /grows/last; done";

/// Two volumes that are full, and who made them.
pub struct Filled<'a> {
    driver: Csi,
    clock: Clock<'a>,
}

/// Makes them, and the pod that fills them; `None` on a machine that cannot have them, which is said.
pub async fn begin(site: &Site) -> anyhow::Result<Option<Filled<'_>>> {
    if let Some(why) = csi::obstacle() {
        println!("          left out: volumes that fill and grow: {why}");
        return Ok(None);
    }
    let driver = site.csi().await.context("the CSI driver")?;
    for (name, class, size) in CLAIMS {
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": class,
                "resources": {"requests": {"storage": size}},
            },
        });
        apply(&site.shop, &claim).await?;
    }
    let volumes =
        CLAIMS.map(|(name, ..)| json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
    let mounts = CLAIMS.map(|(name, ..)| json!({"name": name, "mountPath": format!("/{name}")}));
    let store = with(shell(STORE, 1, FILLS), "/spec/template/spec/volumes", json!(volumes));
    apply(&site.shop, &with(store, "/spec/template/spec/containers/0/volumeMounts", json!(mounts))).await?;
    let ready = site.shop.wait_until_ready(STORE, LIMIT).await;
    ready.with_context(|| format!("the driver said: {}", driver.output()))?;
    Ok(Some(Filled { driver, clock: Clock::start(site) }))
}

impl Filled<'_> {
    /// A person is asked for one of them and told of the other; says yes, and the claim has what it asks for.
    pub async fn grow(&self, site: &Site) -> anyhow::Result<()> {
        let asked = wait_for("a word to be asked for", LIMIT, || async {
            let all = site.nimbus(&["incidents", "list"]).await?;
            let (grows, fixed) = (full(&all, "grows"), full(&all, "fixed"));
            let is_told =
                fixed.is_some_and(|it| it["reason"].to_string().contains("does not allow expansion"));
            let approval = grows.and_then(|it| it["approval_id"].as_str()).filter(|_| is_told);
            Ok(Seen::when(approval.map(str::to_owned), all))
        })
        .await?;
        self.clock.say(
            "two volumes are full, until a person is asked for the one that can grow and told of the other",
        );
        let clock = Clock::start(site);
        site.nimbus(&["approve", &asked, "--reason", "it is tried"]).await?;
        wait_for("the volume to be larger, and its file system to be next", LIMIT, || async {
            let claim = self.claim(site, "grows").await?;
            let asks = claim["spec"]["resources"]["requests"]["storage"] == "96Mi";
            let conditions = claim["status"]["conditions"].as_array().into_iter().flatten();
            let is_next = conditions.clone().any(|one| one["type"] == "FileSystemResizePending");
            let has = claim["status"]["capacity"]["storage"] == "96Mi";
            Ok(Seen::when((asks && (is_next || has)).then_some(()), &claim))
        })
        .await?;
        // A kubelet looks after a pod's volumes each minute or so, and at once where the pod changes.
        let words = ["-n", SHOP, "annotate", "pods", "-l", &format!("app={STORE}"), "looked-after=now"];
        site.cluster.kubectl(&words).await?;
        let grown = wait_for("the volume to have it", LIMIT, || async {
            let claim = self.claim(site, "grows").await?;
            Ok(Seen::when((claim["status"]["capacity"]["storage"] == "96Mi").then_some(()), claim))
        });
        grown.await.with_context(|| format!("the driver said: {}", self.driver.output()))?;
        clock.say("from a person's word to a file system that is half as large again");
        let fixed = self.claim(site, "fixed").await?;
        anyhow::ensure!(fixed["spec"]["resources"]["requests"]["storage"] == "64Mi", "{fixed}");
        self.the_pod_writes_again(site).await
    }

    /// The job says that it helped, and the incident is over once the kubelet measured room; then nothing of it is left.
    pub async fn end(self, site: &Site) -> anyhow::Result<()> {
        wait_for("the volume to be seen with room", LIMIT, || async {
            let all = site.nimbus(&["incidents", "list"]).await?;
            let is_over = full(&all, "grows").is_none() && full(&all, "fixed").is_some();
            let jobs = site.nimbus(&["jobs", "list"]).await?;
            let job = jobs["items"]
                .as_array()
                .and_then(|jobs| jobs.iter().find(|job| job["kind"] == "expand_volume"));
            let helped = job.is_some_and(|job| job["state"] == "succeeded");
            Ok(Seen::when((is_over && helped).then_some(()), format!("{all}\n{jobs}")))
        })
        .await?;
        let words = ["-n", SHOP, "delete", "deployment/store", "pvc/grows", "pvc/fixed", "--timeout=60s"];
        site.cluster.kubectl(&words).await?;
        self.driver.stop()
    }

    async fn claim(&self, site: &Site, name: &str) -> anyhow::Result<Value> {
        let said = site.cluster.kubectl(&["-n", SHOP, "get", "pvc", name, "-o", "json"]).await?;
        Ok(serde_json::from_str(&said)?)
    }

    /// The same pod, which was never started again, could write nothing and can.
    async fn the_pod_writes_again(&self, site: &Site) -> anyhow::Result<()> {
        let pod = format!("deployment/{STORE}");
        wait_for("the pod to write again", LIMIT, || async {
            let words = ["-n", SHOP, "exec", &pod, "--", "sh", "-c", "test -s /grows/last && df -P /grows"];
            Ok(Seen::Yes(site.cluster.kubectl(&words).await?))
        })
        .await?;
        let restarts = "jsonpath={.items[0].status.containerStatuses[0].restartCount}";
        let words = ["-n", SHOP, "get", "pods", "-l", &format!("app={STORE}"), "-o", restarts];
        let restarts = site.cluster.kubectl(&words).await?;
        anyhow::ensure!(restarts.trim() == "0", "the pod was started again {restarts} times");
        Ok(())
    }
}

/// The open incident of a claim's volume.
fn full<'a>(all: &'a Value, claim: &str) -> Option<&'a Value> {
    let of_it = |it: &&Value| it["kind"] == "volume_near_full" && it["object"]["name"] == claim;
    all["items"].as_array().into_iter().flatten().find(of_it)
}
