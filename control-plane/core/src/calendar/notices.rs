//! What `nimbus status` says of windows and blackouts.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::stand::{Reading, Stand, stand};
use crate::settings::Settings;

/// Most sentences of [`notices`].
const MOST_NOTICES: usize = 10;

/// The blackouts that are now, and what of the settings holds nowhere, as nothing is called so; one sentence each. `places` are the
/// names and ids of clusters and hosts.
pub fn notices(settings: &Settings, places: &BTreeSet<&str>, now: Timestamp) -> Vec<String> {
    let mut said = Vec::new();
    for (list, periods) in [("window", &settings.window), ("blackout", &settings.blackout)] {
        for period in periods {
            for name in period.clusters.iter().filter(|name| !places.contains(name.as_str())) {
                said.push(format!(
                    "settings.{list} {:?} is for {name:?}, which no cluster and no host is called or has as its id",
                    period.name
                ));
            }
        }
    }
    for period in &settings.blackout {
        if let Stand::Now(until) = stand(period, Reading::Longest, now) {
            let until = until.map_or_else(String::new, |until| format!(" until {until:.0}"));
            let what: Vec<&str> = period.actions.iter().map(|action| action.as_str()).collect();
            let what = if what.is_empty() {
                "nothing is".to_owned()
            } else {
                format!("no {} is", what.join(", no "))
            };
            let there = period.clusters.join(", ");
            let there = if there.is_empty() { String::new() } else { format!(" in {there}") };
            said.push(format!("blackout {}{until}: {what} begun{there}", period.name));
        }
    }
    let more = said.len().saturating_sub(MOST_NOTICES);
    said.truncate(MOST_NOTICES);
    if more > 0 {
        said.push(format!(
            "of windows and blackouts there is more to say ({more}); `nimbus autonomous calendar` lists all"
        ));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ActionKind;
    use crate::settings::calendar::Period;

    fn period(json: &str) -> Period {
        serde_json::from_str(&format!(r#"{{"name":"n",{json}}}"#)).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_blackout_that_is_now_and_a_name_that_nothing_has_are_told() {
        let now = at("2026-12-05T10:00:00Z");
        let places = BTreeSet::from(["prod"]);
        let mut settings = Settings::default();
        let once = r#""zone":"UTC","starts":"2026-12-05T00:00","ends":"2026-12-05T12:00""#;
        settings.blackout = vec![
            Period {
                clusters: vec!["prod".to_owned()],
                actions: vec![ActionKind::RestartPod],
                ..period(once)
            },
            Period {
                clusters: vec!["prd".to_owned()],
                name: "later".to_owned(),
                ..period(r#""zone":"UTC","days":["sun"]"#)
            },
        ];
        assert_eq!(
            notices(&settings, &places, now),
            [
                "settings.blackout \"later\" is for \"prd\", which no cluster and no host is called or has as its id",
                "blackout n until 2026-12-05T12:00:00Z: no restart_pod is begun in prod",
            ]
        );
    }
}
