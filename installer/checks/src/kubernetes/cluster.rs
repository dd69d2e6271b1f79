//! The versions of kubectl and of the API server, and a namespace.

use serde::Deserialize;

use super::{Metadata, document};
use crate::check::{Gathered, Unread};
use crate::version::Version;

/// The level of Pod Security that a namespace's label enforces.
pub(crate) const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
/// By the rules of which release it does.
pub(crate) const ENFORCE_VERSION: &str = "pod-security.kubernetes.io/enforce-version";

#[derive(Deserialize)]
struct Build {
    #[serde(rename = "gitVersion")]
    git_version: String,
    /// Told of an API server only, by newer ones and to a newer kubectl.
    #[serde(rename = "emulationMinor")]
    emulation_minor: Option<String>,
}

#[derive(Deserialize)]
struct Client {
    #[serde(rename = "clientVersion")]
    client: Build,
}

#[derive(Deserialize)]
struct Server {
    #[serde(rename = "serverVersion")]
    server: Option<Build>,
}

/// The version of an API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiServer {
    /// That of its program.
    pub version: Version,
    /// The minor release that it behaves as (`--emulated-version`); none: it does not tell.
    pub emulated_minor: Option<u32>,
}

impl ApiServer {
    /// The minor release whose rules are its own.
    pub fn rules(&self) -> u32 {
        self.emulated_minor.map_or(self.version.minor, |emulated| emulated.min(self.version.minor))
    }
}

/// A namespace that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespace {
    /// What its Pod Security label enforces: `privileged`, `baseline`, `restricted`; none without the label.
    pub enforced: Option<String>,
    /// By the rules of which release, as its label says: `latest`, `v1.25`; none without the label.
    pub enforced_version: Option<String>,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

/// Of `kubectl version --client -o json`.
pub fn client_version(printed: &[u8]) -> Gathered<Version> {
    let client: Client = document(printed, "kubectl version --client -o json")?;
    read(&client.client.git_version)
}

/// Of `kubectl version -o json`.
pub fn server_version(printed: &[u8]) -> Gathered<ApiServer> {
    let server: Server = document(printed, "kubectl version -o json")?;
    match server.server {
        Some(build) => api_server(&build),
        None => Err(Unread::new(
            "kubectl names no version of the API server",
            "check that the kubeconfig's current context leads to a cluster: kubectl cluster-info",
        )),
    }
}

fn api_server(build: &Build) -> Gathered<ApiServer> {
    let version = read(&build.git_version)?;
    let emulated = build.emulation_minor.as_ref();
    let emulated = emulated.map(|minor| read(&format!("{}.{minor}", version.major))).transpose()?;
    Ok(ApiServer { version, emulated_minor: emulated.map(|emulated| emulated.minor) })
}

fn read(text: &str) -> Gathered<Version> {
    Version::parse(text).ok_or_else(|| {
        Unread::new(
            format!("expected a version such as v1.33.2, found {text:?}"),
            "compare `kubectl version`",
        )
    })
}

/// Of `kubectl get namespace NAME -o json`.
pub fn namespace(printed: &[u8]) -> Gathered<Namespace> {
    let mut object: Object = document(printed, "kubectl get namespace -o json")?;
    let labels = &mut object.metadata.labels;
    Ok(Namespace { enforced: labels.remove(ENFORCE), enforced_version: labels.remove(ENFORCE_VERSION) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_labels_are_read() {
        let both = br#"{"clientVersion": {"gitVersion": "v1.36.3"}, "serverVersion": {"gitVersion": "v1.33.2+k3s1"}}"#;
        assert_eq!(client_version(both), Ok(Version::new(1, 36, 3)));
        let server = ApiServer { version: Version::new(1, 33, 2), emulated_minor: None };
        assert_eq!(server_version(both), Ok(server));
        assert!(server_version(br#"{"clientVersion": {"gitVersion": "v1.36.3"}}"#).is_err());
        assert!(client_version(b"Client Version: v1.36.3").is_err());
        let labelled =
            br#"{"metadata": {"name": "n", "labels": {"pod-security.kubernetes.io/enforce": "baseline",
                "pod-security.kubernetes.io/enforce-version": "v1.25"}}}"#;
        let expected = ["baseline", "v1.25"].map(|text| Some(text.to_owned()));
        let found = namespace(labelled).unwrap();
        assert_eq!([found.enforced, found.enforced_version], expected);
        assert_eq!(namespace(br#"{"metadata": {"name": "n"}}"#), Ok(Namespace::default()));
    }

    /// The rules of a newer release it does not have, whatever it is told to behave as.
    #[test]
    fn an_api_server_goes_by_the_rules_of_the_release_that_it_behaves_as() {
        for (told, rules) in
            [("31", Some(31)), ("33", Some(33)), ("32+", Some(32)), ("40", Some(33)), ("x", None)]
        {
            let printed =
                format!(r#"{{"serverVersion": {{"gitVersion": "v1.33.2", "emulationMinor": "{told}"}}}}"#);
            let found = server_version(printed.as_bytes()).ok();
            assert_eq!(found.map(|server| server.rules()), rules, "{told}");
            assert!(found.is_none_or(|server| server.version == Version::new(1, 33, 2)), "{told}");
        }
    }
}
