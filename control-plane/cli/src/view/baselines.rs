//! The view of accepted baselines: the list.

use nimbus_api::{Baseline, List};

use super::View;
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::Tone;

/// The list.
pub fn list(view: &View, page: &List<Baseline>) -> String {
    if page.items.is_empty() {
        return view
            .nothing("No accepted baselines: every watched file's baseline is what its agent first found.");
    }
    let mut table = Table::new(vec![
        Column::new("ID"),
        Column::new("CHANGE"),
        Column::new("STATE"),
        Column::new("FILE").cut(Cut::Start, 24),
        Column::new("HOST").cut(Cut::End, 8).optional(),
        Column::new("BY").cut(Cut::End, 8).optional(),
        Column::new("AGE").right(),
    ]);
    let ids = view.ids(&page.items.iter().map(|i| i.id.as_str()).collect::<Vec<_>>());
    for (id, baseline) in ids.into_iter().zip(&page.items) {
        table.row(vec![
            id.into(),
            Cell::new(&baseline.change),
            Cell::word(&baseline.state),
            Cell::new(&baseline.path),
            Cell::new(&baseline.cluster),
            Cell::new(&baseline.decided_by),
            Cell::toned(view.clock.age(baseline.created_at), Tone::Quiet),
        ]);
    }
    table.render(&view.theme, view.width)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::view::sample::{id, read, view};

    #[test]
    fn what_was_accepted_is_listed_with_who_and_when() {
        let path = "/srv/app/bin/run.sh";
        let page: List<Baseline> = read(json!({"next": null, "items": [{
            "id": id("job", 1), "created_at": "2026-11-22T07:57:00Z", "cluster": "build-host", "state": "succeeded",
            "object": {"kind": "File", "namespace": "", "name": path, "uid": ""}, "reason": "", "root": "/srv/app",
            "path": path, "accepted": null, "decided_by": "operator", "change": "accepted", "agent_id": id("agt", 1),
            "incident_id": id("inc", 1)
        }]}));
        insta::assert_snapshot!(list(&view(80), &page), @r"
        ID                CHANGE    STATE      FILE                 HOST        AGE
        job_019b5c2d0001  accepted  succeeded  /srv/app/bin/run.sh  build-host   3m
        ");
        let none = list(&view(80), &List::whole(Vec::new()));
        assert!(none.contains("first found"), "{none}");
    }
}
