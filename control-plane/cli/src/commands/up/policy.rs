//! The local policy of the agent that `nimbus up` starts.
//!
//! Written at the first start: the remedies are allowed, under the watched paths, in no cluster. From then on only
//! three things are done to it, each once: a root that was not watched before is added to `paths`, a cluster that was
//! enabled is added to `clusters`, and one that was disabled is taken out. Everything else in the file, comments
//! included, is the user's. What was offered is remembered beside it, so that what a user took out stays out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::error::Failure;
use crate::files;

/// The policy file and what was offered to it.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    path: PathBuf,
    offered: PathBuf,
}

/// What this program added at some time.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Offered {
    paths: BTreeSet<String>,
    clusters: BTreeSet<String>,
}

/// The two lists with their places in the text.
#[derive(Debug, Deserialize)]
struct Lists {
    clusters: Option<Spanned<Vec<String>>>,
    paths: Option<Spanned<Vec<String>>>,
}

impl Policy {
    /// Opens the policy, or writes the first one. A broken file is left as it is and told: the agent only observes.
    pub fn open(path: &Path, roots: &[PathBuf]) -> Result<(Self, Vec<String>), Failure> {
        let policy = Self { path: path.to_owned(), offered: path.with_file_name("offered.toml") };
        let roots: BTreeSet<String> = roots.iter().map(|root| root.display().to_string()).collect();
        let mut offered = policy.offered()?;
        if !path.exists() {
            offered = Offered::default();
            files::write_atomically(path, first(&roots).as_bytes(), 0o600)?;
        } else if let Err(problem) = policy.add_paths(&roots, &offered) {
            return Ok((policy, vec![problem]));
        }
        offered.paths.extend(roots);
        policy.remember(&offered)?;
        Ok((policy, Vec::new()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes `clusters` hold what is enabled; entries that a user added by hand stay.
    pub fn follow(&self, enabled: &BTreeSet<String>) -> Result<(), Failure> {
        let mut offered = self.offered()?;
        let gone: BTreeSet<String> = offered.clusters.difference(enabled).cloned().collect();
        let fresh: BTreeSet<String> = enabled.difference(&offered.clusters).cloned().collect();
        if gone.is_empty() && fresh.is_empty() {
            return Ok(());
        }
        let text = self.text()?;
        let changed = edit(&text, "clusters", |now| {
            now.retain(|uid| !gone.contains(uid));
            now.extend(fresh.iter().filter(|uid| !now.contains(uid)).cloned().collect::<Vec<_>>());
        })
        .map_err(Failure::new)?;
        if changed != text {
            files::write_atomically(&self.path, changed.as_bytes(), 0o600)?;
        }
        offered.clusters.clone_from(enabled);
        self.remember(&offered)
    }

    fn add_paths(&self, roots: &BTreeSet<String>, offered: &Offered) -> Result<(), String> {
        let new: Vec<String> = roots.difference(&offered.paths).cloned().collect();
        let text = self.text().map_err(|failure| failure.title.clone())?;
        // Parsed even when nothing is new: a broken file is told at each start.
        let changed = edit(&text, "paths", |now| {
            now.extend(new.into_iter().filter(|root| !now.contains(root)).collect::<Vec<_>>());
        })
        .map_err(|problem| {
            format!("{problem}; until it is corrected the agent only observes ({})", self.path.display())
        })?;
        if changed == text {
            return Ok(());
        }
        files::write_atomically(&self.path, changed.as_bytes(), 0o600)
            .map_err(|failure| failure.title.clone())
    }

    fn text(&self) -> Result<String, Failure> {
        std::fs::read_to_string(&self.path)
            .map_err(|error| files::unreadable("the agent's policy", &self.path, &error))
    }

    fn offered(&self) -> Result<Offered, Failure> {
        match std::fs::read_to_string(&self.offered) {
            // Unreadable content counts as nothing offered: entries are then offered once more.
            Ok(text) => Ok(toml::from_str(&text).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Offered::default()),
            Err(error) => Err(files::unreadable("what was offered to the policy", &self.offered, &error)),
        }
    }

    fn remember(&self, offered: &Offered) -> Result<(), Failure> {
        let text = toml::to_string(offered).map_err(|error| {
            Failure::new("what was offered to the policy cannot be written").found(error.to_string())
        })?;
        let text = format!(
            "# What `nimbus up` has added to policy.toml at some time; it does not add it twice.\n{text}"
        );
        if std::fs::read_to_string(&self.offered).is_ok_and(|now| now == text) {
            return Ok(());
        }
        files::write_atomically(&self.offered, text.as_bytes(), 0o600)
    }
}

/// The policy of a first start.
fn first(roots: &BTreeSet<String>) -> String {
    let roots: Vec<String> = roots.iter().cloned().collect();
    format!(
        "# What this agent may ever do, whatever its control plane says. Read again before each job.\n\
         # Yours to change: `nimbus up` only adds newly watched roots to `paths`, and adds to or takes from\n\
         # `clusters` what `nimbus autonomous enable` and `disable` name.\n\n\
         allow = [\"restart_pod\", \"rollback_deployment\", \"restore_file\", \"accept_baseline\"]\n\n\
         # UIDs of kube-system namespaces: what is in other clusters is only watched.\n\
         clusters = []\n\
         namespaces = [\"*\"]\n\
         # Deny beats allow.\n\
         deny_namespaces = [\"kube-system\"]\n\n\
         # Files are put back only under these.\n\
         paths = {}\n\n\
         jobs_per_hour = 60\n",
        array(&roots)
    )
}

/// `text` with one of its lists changed and every other byte as it was. The error names the place.
fn edit(text: &str, key: &str, change: impl FnOnce(&mut Vec<String>)) -> Result<String, String> {
    let lists: Lists = toml::from_str(text).map_err(|error| {
        format!("the agent's policy is broken: {}", error.to_string().trim_end().replace('\n', " "))
    })?;
    let list = if key == "clusters" { lists.clusters } else { lists.paths };
    let (span, now) = list.map_or((None, Vec::new()), |list| (Some(list.span()), list.into_inner()));
    let mut after = now.clone();
    change(&mut after);
    if after == now {
        return Ok(text.to_owned());
    }
    Ok(match span {
        Some(span) => format!("{}{}{}", &text[..span.start], array(&after), &text[span.end..]),
        // At the top, where no table has begun yet.
        None => format!("{key} = {}\n{text}", array(&after)),
    })
}

fn array(items: &[String]) -> String {
    let quoted: Vec<String> =
        items.iter().map(|item| toml::Value::String(item.clone()).to_string()).collect();
    match quoted.as_slice() {
        [] => "[]".to_owned(),
        [one] => format!("[{one}]"),
        several => format!("[\n    {},\n]", several.join(",\n    ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(items: &[&str]) -> BTreeSet<String> {
        items.iter().map(|&item| item.to_owned()).collect()
    }

    fn open(dir: &Path, roots: &[&str]) -> (Policy, Vec<String>) {
        let roots: Vec<PathBuf> = roots.iter().map(PathBuf::from).collect();
        Policy::open(&dir.join("policy.toml"), &roots).unwrap()
    }

    fn read(policy: &Policy) -> toml::Table {
        std::fs::read_to_string(policy.path()).unwrap().parse().unwrap()
    }

    fn words(policy: &Policy, key: &str) -> Vec<String> {
        read(policy)[key].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_first_one_allows_the_remedies_under_the_watched_roots_in_no_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let (policy, _) = open(dir.path(), &["/srv/a", "/srv/b \"q\""]);
        assert_eq!(words(&policy, "paths"), ["/srv/a", "/srv/b \"q\""]);
        assert_eq!(
            words(&policy, "allow"),
            ["restart_pod", "rollback_deployment", "restore_file", "accept_baseline"]
        );
        assert!(words(&policy, "clusters").is_empty());
        assert_eq!(words(&policy, "deny_namespaces"), ["kube-system"]);
    }

    #[test]
    fn clusters_follow_and_a_users_edits_and_comments_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (policy, _) = open(dir.path(), &["/srv/a"]);
        let text = std::fs::read_to_string(policy.path()).unwrap();
        let text = text
            .replace("jobs_per_hour = 60", "jobs_per_hour = 5 # mine")
            .replace("clusters = []", "clusters = [\"by-hand\"]");
        std::fs::write(policy.path(), &text).unwrap();
        policy.follow(&set(&["u1"])).unwrap();
        assert_eq!(words(&policy, "clusters"), ["by-hand", "u1"]);
        policy.follow(&set(&["u1", "u2"])).unwrap();
        assert_eq!(words(&policy, "clusters"), ["by-hand", "u1", "u2"]);
        policy.follow(&set(&["u2"])).unwrap();
        policy.follow(&set(&[])).unwrap();
        assert_eq!(std::fs::read_to_string(policy.path()).unwrap(), text, "back to the user's own bytes");
        let comments = |text: &str| text.lines().filter(|line| line.contains('#')).count();
        policy.follow(&set(&["u1"])).unwrap();
        assert_eq!(comments(&std::fs::read_to_string(policy.path()).unwrap()), comments(&text));
    }

    #[test]
    fn what_a_user_took_out_stays_out_and_a_new_root_is_added() {
        let dir = tempfile::tempdir().unwrap();
        let (policy, _) = open(dir.path(), &["/srv/a"]);
        let text = std::fs::read_to_string(policy.path()).unwrap();
        std::fs::write(policy.path(), text.replace("paths = [\"/srv/a\"]", "paths = []")).unwrap();
        let (policy, warnings) = open(dir.path(), &["/srv/a", "/srv/b"]);
        assert_eq!((words(&policy, "paths"), warnings.len()), (vec!["/srv/b".to_owned()], 0));
        policy.follow(&set(&["u1"])).unwrap();
        let text = std::fs::read_to_string(policy.path()).unwrap();
        std::fs::write(policy.path(), text.replace("\"u1\"", "")).unwrap();
        policy.follow(&set(&["u1"])).unwrap();
        assert!(words(&policy, "clusters").is_empty(), "enabled before, taken out by hand");
    }

    #[test]
    fn a_missing_list_is_added_above_every_table() {
        let text = "# mine\nallow = []\n[extra]\nx = 1\n";
        let changed = edit(text, "clusters", |list| list.push("u1".into())).unwrap();
        assert_eq!(changed, format!("clusters = [\"u1\"]\n{text}"));
    }

    #[test]
    fn a_broken_file_is_told_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (policy, _) = open(dir.path(), &[]);
        std::fs::write(policy.path(), "allow = [\nclusters\n").unwrap();
        let (policy, warnings) = open(dir.path(), &["/srv/new"]);
        assert!(warnings[0].contains("broken") && warnings[0].contains("line"), "{warnings:?}");
        assert!(policy.follow(&set(&["u1"])).is_err());
        assert_eq!(std::fs::read_to_string(policy.path()).unwrap(), "allow = [\nclusters\n");
    }
}
