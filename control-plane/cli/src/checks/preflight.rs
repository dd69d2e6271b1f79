//! Gathers what `nimbus preflight` judges.

use jiff::{SignedDuration, Timestamp};
use nimbus_checks::check::{Gathered, Unread};
use nimbus_checks::clock::Reading;
use nimbus_checks::kubernetes::{self, Balancers, Namespace, Node, Release, Review, StorageClass, date_of};
use nimbus_checks::needs::Needs;
use nimbus_checks::preflight::{Database, Looked, NoDatabase, Place, Server, Snapshot, Values, asks};
use nimbus_checks::secrets::Named;
use nimbus_checks::version::Version;

use super::kubectl::{Kubectl, silent};
use super::program::run;
use super::secrets;
use super::values::{self, Wanted};

/// What is asked about.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The cluster.
    pub kubectl: Kubectl,
    /// Where the control plane is to be.
    pub namespace: String,
    /// Where the agents are to be.
    pub agents_namespace: String,
    /// What is to be installed.
    pub wanted: Wanted,
    /// Are the Secrets looked at that the values name?
    pub looks_at_secrets: bool,
}

impl Asked {
    /// Where a Secret is to be.
    fn place_of(&self, named: &Named) -> String {
        if named.is_of_agents { self.agents_namespace.clone() } else { self.namespace.clone() }
    }
}

/// All of it; `build` is this command's version.
pub async fn gather(
    asked: &Asked,
    build: Version,
    database: Option<Result<Database, NoDatabase>>,
) -> Snapshot {
    let kubectl = &asked.kubectl;
    let (kubectl_version, server, helm, values) = tokio::join!(
        kubectl.read(&["version", "--client", "-o", "json"], kubernetes::client_version),
        server(kubectl),
        helm(kubectl),
        values::gather(&asked.wanted, kubectl),
    );
    let needs = match &values {
        Ok(Values::Taken(needs)) => needs.clone(),
        Ok(Values::NotGiven | Values::Refused { .. }) | Err(_) => Needs::default(),
    };
    let found = if matches!(server, Ok(Server::Version(_))) {
        Found::gather(asked, &needs).await
    } else {
        Found::nothing(asked, &needs, server.as_ref().err())
    };
    Snapshot {
        build,
        kubectl: kubectl_version,
        server,
        helm,
        control_plane: Place { name: asked.namespace.clone(), found: found.control_plane, made_as: None },
        agents: Place { name: asked.agents_namespace.clone(), found: found.agents, made_as: None },
        rights: found.rights,
        classes: found.classes,
        nodes: found.nodes,
        balancers: found.balancers,
        releases: found.releases,
        values,
        secrets: asked.looks_at_secrets.then_some(found.secrets),
        database,
        clock: found.clock,
    }
}

/// What only a cluster that answers says.
struct Found {
    control_plane: Gathered<Option<Namespace>>,
    agents: Gathered<Option<Namespace>>,
    rights: Gathered<Vec<Review>>,
    classes: Gathered<Vec<StorageClass>>,
    nodes: Gathered<Vec<Node>>,
    balancers: Gathered<Balancers>,
    releases: Gathered<Vec<Release>>,
    secrets: Vec<Looked>,
    clock: Gathered<Reading>,
}

impl Found {
    async fn gather(asked: &Asked, needs: &Needs) -> Self {
        let kubectl = &asked.kubectl;
        let place = |name| ["get", "namespace", name, "-o", "json"];
        let (here, there) = (place(asked.namespace.as_str()), place(asked.agents_namespace.as_str()));
        let named: &[Named] = if asked.looks_at_secrets { &needs.secrets } else { &[] };
        let (control_plane, agents, rights, classes, nodes, balancers, releases, secrets, clock) = tokio::join!(
            kubectl.find(&here, kubernetes::namespace),
            kubectl.find(&there, kubernetes::namespace),
            rights(asked, needs),
            kubectl.read(&["get", "storageclasses", "-o", "json"], kubernetes::storage_classes),
            kubectl.read(&["get", "nodes", "-o", "json"], kubernetes::nodes),
            kubectl.read(&["get", "services", "--all-namespaces", "-o", "json"], kubernetes::balancers),
            releases(asked),
            secrets::look(kubectl, named, |named| asked.place_of(named)),
            clock(kubectl),
        );
        Self { control_plane, agents, rights, classes, nodes, balancers, releases, secrets, clock }
    }

    /// Where there is no cluster, or no kubectl.
    fn nothing(asked: &Asked, needs: &Needs, why: Option<&Unread>) -> Self {
        fn unread<T>(why: Option<&Unread>) -> Gathered<T> {
            why.map_or_else(silent, |why| Err(why.clone()))
        }
        let unknown: Gathered<()> = unread(why);
        let secrets = unknown
            .err()
            .map(|why| secrets::none(&needs.secrets, |named| asked.place_of(named), &why))
            .unwrap_or_default();
        Self {
            control_plane: unread(why),
            agents: unread(why),
            rights: unread(why),
            classes: unread(why),
            nodes: unread(why),
            balancers: unread(why),
            releases: unread(why),
            secrets,
            clock: unread(why),
        }
    }
}

async fn server(kubectl: &Kubectl) -> Gathered<Server> {
    let ran = kubectl.run(&["version", "-o", "json"], None).await?;
    if !ran.is_well {
        return Ok(Server::Silent(ran.complaint()));
    }
    kubernetes::server_version(&ran.printed).map(Server::Version)
}

async fn helm(kubectl: &Kubectl) -> Gathered<Version> {
    let args = ["version".to_owned(), "--short".to_owned()];
    let printed = run("helm", &args, None, kubectl.search.as_ref()).await?.well("helm version --short")?;
    let text = String::from_utf8_lossy(&printed);
    Version::parse(&text).ok_or_else(|| {
        Unread::new(
            format!(
                "expected a version such as v3.18.0 from `helm version --short`, found {:?}",
                text.trim()
            ),
            "check that helm on the PATH is Helm",
        )
    })
}

/// Self-reviews: they create nothing.
async fn rights(asked: &Asked, needs: &Needs) -> Gathered<Vec<Review>> {
    let asks = asks(&asked.namespace, &asked.agents_namespace, needs);
    let document = kubernetes::request(&asks).to_string().into_bytes();
    let words = ["create", "--validate=false", "-f", "-", "-o", "json"];
    let ran = asked.kubectl.run(&words, Some(document)).await?;
    // Those that were answered are read even if others were not.
    if !ran.is_well && ran.printed.is_empty() {
        return Err(Unread::new(
            format!("the API server does not say what this user may do: {}", ran.complaint()),
            "ask by hand: kubectl auth can-i --list",
        ));
    }
    kubernetes::reviews(asks, &ran.printed)
}

async fn releases(asked: &Asked) -> Gathered<Vec<Release>> {
    let mut namespaces = vec![&asked.namespace];
    if asked.agents_namespace != asked.namespace {
        namespaces.push(&asked.agents_namespace);
    }
    let mut releases = Vec::new();
    for namespace in namespaces {
        let mut args = asked.kubectl.flags("--kube-context");
        args.extend(list(namespace));
        let ran = run("helm", &args, None, asked.kubectl.search.as_ref()).await?;
        releases.extend(kubernetes::releases(&ran.well("helm list")?)?);
    }
    Ok(releases)
}

/// What helm is asked for: what failed, is under way or goes counts too, and each flag adds one state.
fn list(namespace: &str) -> Vec<String> {
    let states = ["--deployed", "--failed", "--pending", "--superseded", "--uninstalled", "--uninstalling"];
    ["list", "-o", "json", "--namespace", namespace].into_iter().chain(states).map(str::to_owned).collect()
}

/// The date of the API server's answer: of whole seconds.
async fn clock(kubectl: &Kubectl) -> Gathered<Reading> {
    let before: Timestamp = nimbus_platform::now();
    let ran = kubectl.run(&["get", "--raw=/healthz", "-v=8"], None).await?;
    let after = nimbus_platform::now();
    let shown = date_of(&ran.complained)?;
    Ok(Reading { before, shown, grain: SignedDuration::from_secs(1), after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_listed_in_whatever_state_it_was_left() {
        let words = list("nimbus");
        assert_eq!(words[3..5], ["--namespace", "nimbus"]);
        for state in ["--pending", "--failed", "--uninstalling"] {
            assert!(words.iter().any(|word| word == state), "{state}");
        }
    }
}
