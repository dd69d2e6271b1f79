//! kubectl, for one cluster.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;

use nimbus_checks::check::{Gathered, Unread};
use nimbus_platform::open_regular;

use super::program::{Ran, run};
use crate::files;

/// Longest that one request to the API server may take.
const REQUEST_LIMIT: &str = "--request-timeout=10s";

/// How kubectl says that the API server answered and has no such object.
const ABSENT: &str = "Error from server (NotFound): ";

/// Which cluster, and where the program is.
#[derive(Debug, Clone, Default)]
pub struct Kubectl {
    /// A kubeconfig; none: kubectl's own.
    pub kubeconfig: Option<PathBuf>,
    /// A context of it; none: its current one.
    pub context: Option<String>,
    /// The PATH on which it is looked for; none: this command's own.
    pub search: Option<OsString>,
}

impl Kubectl {
    /// The flags that name the cluster, with the names that `helm` or kubectl has for them.
    pub fn flags(&self, context_flag: &str) -> Vec<String> {
        let mut flags = Vec::new();
        if let Some(path) = &self.kubeconfig {
            flags.push(format!("--kubeconfig={}", path.display()));
        }
        if let Some(context) = &self.context {
            flags.push(format!("{context_flag}={context}"));
        }
        flags
    }

    /// Runs it, whatever comes of it.
    pub async fn run(&self, words: &[&str], input: Option<Vec<u8>>) -> Gathered<Ran> {
        self.look()?;
        let mut args = self.flags("--context");
        args.push(REQUEST_LIMIT.to_owned());
        args.extend(words.iter().map(|word| (*word).to_owned()));
        run("kubectl", &args, input, self.search.as_ref()).await
    }

    /// A pipe in the place of the kubeconfig would hold kubectl, and could be read once. What else is wrong with the file is told
    /// by kubectl itself.
    fn look(&self) -> Gathered<()> {
        let Some(path) = &self.kubeconfig else { return Ok(()) };
        match open_regular(path) {
            Err(error) if error.kind() == ErrorKind::InvalidInput => Err(Unread::new(
                format!("the kubeconfig {} cannot be used: {}", path.display(), files::reason(&error)),
                "name a file; what a pipe gives is to be written into one first",
            )),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// What it prints, if it ends well, read by `read`.
    pub async fn read<T>(&self, words: &[&str], read: fn(&[u8]) -> Gathered<T>) -> Gathered<T> {
        let printed = self.run(words, None).await?.well(&command(words))?;
        read(&printed)
    }

    /// As [`Self::read`] for one object, which may not be there.
    pub async fn find<T>(&self, words: &[&str], read: fn(&[u8]) -> Gathered<T>) -> Gathered<Option<T>> {
        let ran = self.run(words, None).await?;
        if is_absent(&ran) {
            return Ok(None);
        }
        read(&ran.well(&command(words))?).map(Some)
    }
}

/// The command as it is told; a template is no word for people.
fn command(words: &[&str]) -> String {
    let told =
        words.iter().map(|word| if word.starts_with("go-template=") { "go-template=…" } else { *word });
    std::iter::once("kubectl").chain(told).collect::<Vec<_>>().join(" ")
}

/// Did the API server say that the object is not there? The word alone, which a name or another program's complaint may hold,
/// says nothing.
fn is_absent(ran: &Ran) -> bool {
    !ran.is_well && ran.complaint().starts_with(ABSENT)
}

/// Of what is asked of a cluster that does not answer.
pub fn silent<T>() -> Gathered<T> {
    Err(Unread::new("the API server does not answer", "see the check `cluster`, then run this again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_api_servers_own_not_found_is_an_absence() {
        let ran = |is_well, complained: &str| Ran {
            is_well,
            printed: Vec::new(),
            complained: complained.to_owned(),
        };
        let absent = "Error from server (NotFound): namespaces \"nimbus\" not found\n";
        assert!(is_absent(&ran(false, absent)));
        assert!(is_absent(&ran(false, &format!("Warning: an old kubeconfig\n{absent}"))));
        for other in [
            "Error from server (Forbidden): namespaces \"x-NotFound\" is forbidden",
            "Unable to connect to the server: getting credentials: exec: NotFound",
            "Error from server (NotFound): once\nUnable to connect to the server: EOF",
            "error: context \"Error from server (NotFound): \" does not exist",
            "",
        ] {
            assert!(!is_absent(&ran(false, other)), "{other}");
        }
        assert!(!is_absent(&ran(true, absent)));
    }

    #[test]
    fn a_command_is_told_without_its_template() {
        assert_eq!(command(&["get", "nodes", "-o", "json"]), "kubectl get nodes -o json");
        assert_eq!(
            command(&["get", "secret", "a", "-o", "go-template={{.x}}"]),
            "kubectl get secret a -o go-template=…"
        );
    }

    #[tokio::test]
    async fn a_pipe_in_the_place_of_the_kubeconfig_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubeconfig");
        files::tests::pipe(&path);
        let kubectl = Kubectl { kubeconfig: Some(path), ..Kubectl::default() };
        let unread = kubectl.run(&["version"], None).await.unwrap_err();
        assert!(unread.why.contains("a pipe"), "{unread:?}");
    }
}
