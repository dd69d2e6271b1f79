//! kubectl, for one cluster.

use std::ffi::OsString;
use std::path::PathBuf;

use nimbus_checks::check::{Gathered, Unread};

use super::program::{Ran, run};

/// Longest that one request to the API server may take.
const REQUEST_LIMIT: &str = "--request-timeout=10s";

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
        let mut args = self.flags("--context");
        args.push(REQUEST_LIMIT.to_owned());
        args.extend(words.iter().map(|word| (*word).to_owned()));
        run("kubectl", &args, input, self.search.as_ref()).await
    }

    /// What it prints, if it ends well, read by `read`.
    pub async fn read<T>(&self, words: &[&str], read: fn(&[u8]) -> Gathered<T>) -> Gathered<T> {
        let printed = self.run(words, None).await?.well(&format!("kubectl {}", words.join(" ")))?;
        read(&printed)
    }

    /// As [`Self::read`] for one object, which may not be there.
    pub async fn find<T>(&self, words: &[&str], read: fn(&[u8]) -> Gathered<T>) -> Gathered<Option<T>> {
        let ran = self.run(words, None).await?;
        if !ran.is_well && ran.complaint().contains("NotFound") {
            return Ok(None);
        }
        read(&ran.well(&format!("kubectl {}", words.join(" ")))?).map(Some)
    }
}

/// Of what is asked of a cluster that does not answer.
pub fn silent<T>() -> Gathered<T> {
    Err(Unread::new("the API server does not answer", "see the check `cluster`, then run this again"))
}
