//! What helm renders of both charts with a person's values, and what it says where a chart refuses them.

use std::path::{Path, PathBuf};

use nimbus_checks::check::{Gathered, Unread};
use nimbus_checks::needs::Needs;
use nimbus_checks::preflight::Values;
use nimbus_platform::open_regular;

use super::kubectl::Kubectl;
use super::program::run;
use crate::deploy::charts;

const CONTROL_PLANE: &str = "nimbus-control-plane";
const AGENT: &str = "nimbus-agent";

/// What is to be installed.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The directory with both charts; none: the charts' own values are meant.
    pub charts: Option<PathBuf>,
    /// Values for the control plane's chart.
    pub control_plane: Vec<PathBuf>,
    /// Values for the agents' chart.
    pub agents: Vec<PathBuf>,
    /// One more value for the agents' chart, KEY=VALUE, which no file has yet.
    pub set_for_agents: Option<String>,
}

/// Renders both; nothing is asked of a cluster.
pub async fn gather(wanted: &Wanted, kubectl: &Kubectl) -> Gathered<Values> {
    let Some(directory) = &wanted.charts else {
        return if wanted.control_plane.is_empty() && wanted.agents.is_empty() {
            Ok(Values::NotGiven)
        } else {
            Err(Unread::new(
                "values were given, and no charts to try them with",
                "name the directory of the release's charts with --charts DIR",
            ))
        };
    };
    let (found, are_there) = charts::find(directory);
    if !are_there {
        return Err(Unread::new(
            format!("there are not both charts in {}", directory.display()),
            "name the directory of the release's charts with --charts DIR",
        ));
    }
    let mut rendered = String::new();
    let set = wanted.set_for_agents.as_deref();
    let given = [!wanted.control_plane.is_empty(), !wanted.agents.is_empty() || set.is_some()];
    let mut left_out = None;
    for ((name, chart, values, set), is_given) in [
        (CONTROL_PLANE, &found.control_plane, &wanted.control_plane, None),
        (AGENT, &found.agent, &wanted.agents, set),
    ]
    .into_iter()
    .zip(given)
    {
        // Whoever installs one of the two first gives the values of that one alone.
        if !is_given && given.contains(&true) {
            left_out = Some(name);
            continue;
        }
        match render(chart, values, set, kubectl).await? {
            Ok(text) => {
                rendered.push_str("\n---\n");
                rendered.push_str(&text);
            }
            Err(why) => return Ok(Values::Refused { chart: name.to_owned(), why }),
        }
    }
    let mut needs = Needs::read(&rendered)?;
    needs.left_out = left_out;
    // What is installed later is not forgotten in what the nodes have room for.
    let usual = Needs::default();
    match left_out {
        Some(AGENT) => needs.agent = usual.agent,
        Some(_) => (needs.control_plane, needs.replicas) = (usual.control_plane, usual.replicas),
        None => {}
    }
    Ok(Values::Taken(needs))
}

/// What helm printed, or what it said against it.
async fn render(
    chart: &str,
    values: &[PathBuf],
    set: Option<&str>,
    kubectl: &Kubectl,
) -> Gathered<Result<String, String>> {
    for path in values {
        if let Some(unread) = unreadable(path) {
            return Err(unread);
        }
    }
    let mut args = vec!["template".to_owned(), "nimbus".to_owned(), chart.to_owned()];
    args.extend(values.iter().map(|path| format!("--values={}", path.display())));
    args.extend(set.map(|set| format!("--set-string={set}")));
    let ran = run("helm", &args, None, kubectl.search.as_ref()).await?;
    if ran.is_well {
        return Ok(Ok(String::from_utf8_lossy(&ran.printed).into_owned()));
    }
    // The last line is a hint to a flag of helm's own.
    let said: Vec<&str> = ran.complained.lines().filter(|line| !line.starts_with("Use --debug")).collect();
    Ok(Err(said.join("\n")))
}

fn unreadable(path: &Path) -> Option<Unread> {
    // helm would wait for who writes into a pipe, and would not be told of its end.
    let error = open_regular(path).err()?;
    Some(Unread::new(
        format!("the values {} cannot be read: {}", path.display(), crate::files::reason(&error)),
        "correct the path; what a pipe gives is to be written into a file first",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody writes into the pipe: what waited for it would not end.
    #[test]
    fn values_that_are_no_regular_file_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, file) = (dir.path().join("pipe.yaml"), dir.path().join("values.yaml"));
        crate::files::tests::pipe(&pipe);
        std::fs::write(&file, "replicas: 1\n").unwrap();
        for (path, word) in [(pipe.as_path(), "a pipe"), (dir.path(), "a directory")] {
            let unread = unreadable(path).unwrap();
            assert!(unread.why.contains(word), "{unread:?}");
        }
        assert_eq!(unreadable(&file), None);
    }
}
