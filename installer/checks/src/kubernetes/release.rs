//! The helm releases of a namespace.

use serde::Deserialize;

use super::document;
use crate::check::Gathered;
use crate::version::Version;

/// The charts of Nimbus.
const CHARTS: [&str; 2] = [CONTROL_PLANE, AGENT];
/// The one with a database.
pub const CONTROL_PLANE: &str = "nimbus-control-plane";
/// The other one.
pub const AGENT: &str = "nimbus-agent";

/// A release of one of Nimbus's charts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The chart.
    pub chart: &'static str,
    /// The chart's version, which is that of the programs.
    pub version: Version,
    /// helm's word for how it is: `deployed`, `failed`, `pending-upgrade`.
    pub state: String,
}

#[derive(Deserialize)]
struct Line {
    name: String,
    #[serde(default)]
    namespace: String,
    chart: String,
    #[serde(default)]
    status: String,
}

/// Of `helm list --all -o json`; releases of other charts are left out.
pub fn releases(printed: &[u8]) -> Gathered<Vec<Release>> {
    let lines: Vec<Line> = document(printed, "helm list --all -o json")?;
    let ours = lines.into_iter().filter_map(|Line { name, namespace, chart, status }| {
        let (chart, version) = CHARTS.iter().find_map(|known| {
            Some((*known, Version::parse(chart.strip_prefix(known)?.strip_prefix('-')?)?))
        })?;
        Some(Release { name, namespace, chart, version, state: status })
    });
    Ok(ours.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_releases_of_nimbus_are_read() {
        let printed = br#"[
            {"name": "nimbus", "namespace": "n", "revision": "2", "status": "deployed", "chart": "nimbus-control-plane-0.1.0", "app_version": "0.1.0"},
            {"name": "other", "namespace": "n", "status": "deployed", "chart": "nimbus-agents-1.0.0"},
            {"name": "db", "namespace": "n", "status": "deployed", "chart": "postgresql-15.0.0"}
        ]"#;
        let read = releases(printed).unwrap();
        assert_eq!(read.len(), 1, "{read:?}");
        assert_eq!((read[0].chart, read[0].version), ("nimbus-control-plane", Version::new(0, 1, 0)));
        assert_eq!(releases(b"[]"), Ok(Vec::new()));
    }
}
