//! What `nimbus preflight` finds of the cluster, before a plan is carried out in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nimbus_checks::check::Verdict;
use nimbus_checks::preflight::{Snapshot, judge};
use nimbus_checks::report::{Finding, Report};
use nimbus_deploy::answers::Answers;
use nimbus_deploy::plan::{AGENT_VALUES, CONTROL_PLANE_VALUES};

use crate::checks::kubectl::Kubectl;
use crate::checks::preflight::{Asked, gather};
use crate::checks::redacted::redacted;
use crate::checks::values::Wanted;
use crate::commands::preflight::build;
use crate::context::Context;
use crate::error::Failure;

/// Stands for the cluster's UID, which a step fetches once the plan is carried out: the charts want one where agents may act.
const SOME_UID: &str = "acting.clusterUid=00000000-0000-4000-8000-000000000000";

/// What the value persistence.storageClass is made from.
const STORAGE_CLASS: &str = "the answer database.storage_class";

/// Looks, tells what is doubtful, and refuses to go on where a check failed. `search` is the PATH of kubectl and helm; none: this
/// command's own.
pub async fn look(
    context: &Context,
    answers: &Answers,
    charts: &Path,
    directory: &Path,
    search: Option<OsString>,
) -> Result<(), Failure> {
    let progress = context.moving("looking at the cluster");
    // All that it waits for at once is large.
    let mut snapshot = Box::pin(gather(&asked(answers, charts, directory, search), build()?, None)).await;
    drop(progress);
    leave_out_own(&mut snapshot, &answers.namespace);
    // A step of the plan makes them.
    for place in [&mut snapshot.control_plane, &mut snapshot.agents] {
        place.made_as = Some(nimbus_deploy::steps::ENFORCED);
    }
    let report = redacted(judge(&snapshot, nimbus_platform::now()), &[])?;
    for finding in found(&report, &[Verdict::Warning, Verdict::Unknown]) {
        let title = format!("{}: {}", finding.name, finding.outcome.found);
        context.warn_of(&Failure::new(title).next(remedy(finding)));
    }
    refuse(&report)
}

/// What the plan's values, of the directory and of a person, ask of which cluster.
fn asked(answers: &Answers, charts: &Path, directory: &Path, search: Option<OsString>) -> Asked {
    let values = |own: &str, further: &Option<String>| {
        let further = further.as_ref().map(PathBuf::from);
        std::iter::once(directory.join(own)).chain(further).collect()
    };
    let acts = !answers.acting.actions.is_empty();
    Asked {
        kubectl: Kubectl { kubeconfig: None, context: answers.kube_context.clone(), search },
        namespace: answers.namespace.clone(),
        agents_namespace: answers.agents_namespace.clone(),
        wanted: Wanted {
            charts: Some(charts.to_owned()),
            control_plane: values(CONTROL_PLANE_VALUES, &answers.control_plane_values),
            agents: values(AGENT_VALUES, &answers.agent_values),
            set_for_agents: acts.then(|| SOME_UID.to_owned()),
        },
        // Steps of the plan make some of them, and look at the others.
        looks_at_secrets: false,
    }
}

/// A Service of this installation that an interrupted run made waits for its address for minutes, and shows nothing by that.
fn leave_out_own(snapshot: &mut Snapshot, namespace: &str) {
    if let Ok(balancers) = &mut snapshot.balancers {
        balancers.waiting.retain(|name| name.split_once('/').is_none_or(|(of, _)| of != namespace));
    }
}

/// What to do, in the words of this command: it has other flags than `nimbus preflight`, and answers in the place of values.
fn remedy(finding: &Finding) -> String {
    let remedy = &finding.outcome.remedy;
    match finding.name {
        "cluster" => "check that kubectl reaches the cluster: KUBECONFIG names the file, and the answer kube_context the context".to_owned(),
        "storage" => {
            remedy.replace("the value persistence.storageClass", STORAGE_CLASS).replace("persistence.storageClass", STORAGE_CLASS)
        }
        _ => remedy.clone(),
    }
}

fn found<'a>(report: &'a Report, verdicts: &'a [Verdict]) -> impl Iterator<Item = &'a Finding> {
    report.checks.iter().filter(|finding| verdicts.contains(&finding.outcome.verdict))
}

/// The failure of the checks that failed, if any did, and of a cluster that nobody saw.
fn refuse(report: &Report) -> Result<(), Failure> {
    let is_in_the_way = |one: &&Finding| match one.outcome.verdict {
        Verdict::Failure => true,
        Verdict::Unknown => one.name == "cluster",
        Verdict::Pass | Verdict::Warning => false,
    };
    let failed: Vec<&Finding> = report.checks.iter().filter(is_in_the_way).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let of = |text: fn(&Finding) -> String| failed.iter().map(|one| text(one)).collect::<Vec<_>>().join("; ");
    Err(Failure::new("the cluster is not as the installation needs it; nothing was done in it")
        .expected("every check of `nimbus preflight` to end without a failure, and a cluster that answers")
        .found(of(|one| format!("{}: {}", one.name, one.outcome.found)))
        .next(format!(
            "{}; then the same command again, or with --skip-preflight to go on all the same",
            of(remedy)
        )))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use nimbus_checks::check::{Check, Outcome};
    use nimbus_checks::kubernetes::Balancers;
    use nimbus_deploy::draft::Draft;

    use super::*;

    const GOOD: Check<()> = Check { name: "good", what: "it is", judge: |()| Ok(Outcome::pass("it is")) };
    const DOUBTFUL: Check<()> =
        Check { name: "doubtful", what: "it is", judge: |()| Ok(Outcome::warning("it may be", "look")) };
    const BAD: Check<()> = Check {
        name: "storage",
        what: "it is",
        judge: |()| Ok(Outcome::failure("there is none", "make one")),
    };

    #[test]
    fn a_failure_stops_with_the_checks_own_words_and_nothing_else_does() {
        let report = |list: &[Check<()>]| Report::of(list, &(), Timestamp::UNIX_EPOCH);
        refuse(&report(&[GOOD, DOUBTFUL])).unwrap();
        refuse(&report(&[DOUBTFUL])).unwrap();
        let failure = refuse(&report(&[GOOD, BAD, DOUBTFUL])).unwrap_err();
        assert_eq!(failure.found, "storage: there is none");
        assert!(
            failure.next.starts_with("make one") && failure.next.contains("--skip-preflight"),
            "{failure}"
        );
    }

    #[test]
    fn a_cluster_that_nobody_saw_stops_and_another_unknown_does_not() {
        let unknown = |name| Check::<()> {
            name,
            what: "it is",
            judge: |()| Ok(Outcome::unknown("nobody saw it", "look")),
        };
        let report = |name| Report::of(&[GOOD, unknown(name)], &(), Timestamp::UNIX_EPOCH);
        refuse(&report("clock")).unwrap();
        let failure = refuse(&report("cluster")).unwrap_err();
        assert_eq!(failure.found, "cluster: nobody saw it");
        assert!(
            failure.next.contains("KUBECONFIG") && failure.next.contains("--skip-preflight"),
            "{failure}"
        );
    }

    #[test]
    fn a_storage_class_is_named_in_an_answer() {
        for (remedy, expected) in [
            (
                "name one in the value persistence.storageClass, or make one",
                "name one in the answer database.storage_class, or make one",
            ),
            (
                "correct persistence.storageClass, or make that class",
                "correct the answer database.storage_class, or make that class",
            ),
        ] {
            let outcome = Outcome::failure("there is none", remedy);
            assert_eq!(super::remedy(&Finding { name: "storage", what: "it is", outcome }), expected);
        }
    }

    #[test]
    fn what_is_asked_is_what_the_plan_installs() {
        let answers = |more: &[(&str, &str)]| {
            let mut draft = Draft::default();
            let least =
                [("registry", "r.example.internal"), ("database.kind", "sqlite"), ("namespace", "here")];
            for (key, value) in least.iter().chain(more) {
                draft.set(key, value).unwrap();
            }
            nimbus_deploy::read::read(&draft).unwrap()
        };
        let of = |answers: &Answers| asked(answers, Path::new("/charts"), Path::new("/prod"), None);
        let plain = of(&answers(&[]));
        assert_eq!((plain.namespace.as_str(), plain.kubectl.context.as_deref()), ("here", None));
        assert_eq!(plain.wanted.control_plane, [Path::new("/prod/values-control-plane.yaml")]);
        assert_eq!(plain.wanted.set_for_agents, None);
        let acting = of(&answers(&[
            ("kube_context", "prod"),
            ("acting.actions", "uncordon_node"),
            ("extra.agent_values", "/mine.yaml"),
        ]));
        assert_eq!(acting.kubectl.context.as_deref(), Some("prod"));
        assert_eq!(acting.wanted.agents, [Path::new("/prod/values-agent.yaml"), Path::new("/mine.yaml")]);
        assert_eq!(acting.wanted.set_for_agents.as_deref(), Some(SOME_UID));
    }

    #[tokio::test]
    async fn a_service_of_its_own_that_waits_for_an_address_says_nothing_of_others() {
        let nowhere = Kubectl { search: Some("/nonexistent".into()), ..Kubectl::default() };
        let (namespace, agents_namespace) = ("nimbus".to_owned(), "nimbus-system".to_owned());
        let wanted = Wanted::default();
        let asked = Asked { kubectl: nowhere, namespace, agents_namespace, wanted, looks_at_secrets: false };
        let mut snapshot = Box::pin(gather(&asked, build().unwrap(), None)).await;
        let waiting = ["nimbus/nimbus-agents", "nimbus-2/other"].map(str::to_owned).to_vec();
        snapshot.balancers = Ok(Balancers { served: 0, waiting });
        leave_out_own(&mut snapshot, "nimbus");
        assert_eq!(snapshot.balancers.unwrap().waiting, ["nimbus-2/other"]);
    }
}
