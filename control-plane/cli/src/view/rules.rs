//! The views of one rule, and of what it would do.

use nimbus_api::{List, RuleDetail, RuleProposal, RuleTrials};

use super::layout::Layout;
use super::{View, count};
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::{Tone, readable};

/// One rule, as it can be set.
pub fn shown(view: &View, rule: &RuleDetail) -> String {
    let mut layout = Layout::new(view);
    said(&mut layout, view, rule);
    layout.gap().paragraph("To copy it, change it and set it:");
    layout.command(&format!("nimbus autonomous rules show {} -o json | jq .rule > rule.json", rule.id));
    layout.command("nimbus autonomous rules test rule.json");
    layout.command("nimbus autonomous rules set rule.json");
    layout.end()
}

/// A rule after it was set, or as it would be.
pub fn set(view: &View, rule: &RuleDetail, dry_run: bool) -> String {
    let mut layout = Layout::new(view);
    let is = if dry_run { "would be" } else { "is" };
    layout.line(&format!("Rule {} {is} set as version {}.", rule.id, rule.version)).gap();
    said(&mut layout, view, rule);
    layout.end()
}

/// A rule that was taken away, or would be.
pub fn deleted(view: &View, rule: &RuleDetail, dry_run: bool) -> String {
    let mut layout = Layout::new(view);
    let is = if dry_run { "would be" } else { "is" };
    layout.line(&format!("Rule {} (version {}) {is} deleted.", rule.id, rule.version));
    layout.paragraph("The built-in rule of its remedy holds where no other rule is for a case:");
    layout.command(&format!("nimbus autonomous rules show {}", rule.rule.action.replace('_', "-")));
    layout.end()
}

fn said(layout: &mut Layout<'_>, view: &View, detail: &RuleDetail) {
    let rule = &detail.rule;
    let theme = &view.theme;
    let how = match (rule.enabled, rule.auto_approve) {
        (false, _) => "off",
        (true, true) => "by itself",
        (true, false) => "asks a person",
    };
    layout.line(&format!("{}  {}", theme.heading(&detail.id), theme.paint(Tone::Quiet, how)));
    layout.fact("remedy", &readable(&rule.action));
    let version = match (&detail.set_by, detail.set_at) {
        (Some(by), Some(at)) => format!("{}, set by {by} at {}", detail.version, view.clock.full(at)),
        (_, _) => "built in".to_owned(),
    };
    layout.fact("version", &version);
    let everywhere = |names: &[String], else_: &str| {
        if names.is_empty() { else_.to_owned() } else { names.join(", ") }
    };
    layout.fact("clusters", &everywhere(&rule.clusters, "everywhere"));
    layout.fact("namespaces", &everywhere(&rule.namespaces, "all"));
    if !rule.labels.is_empty() {
        let labels: Vec<String> = rule.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        layout.fact("labels", &labels.join(", "));
    }
    layout.fact("condition", if rule.condition.is_empty() { "none" } else { &rule.condition });
    for window in &rule.windows {
        let part = |text: &Option<String>| text.clone().unwrap_or_else(|| "midnight".to_owned());
        let days = if window.days.is_empty() { "every day".to_owned() } else { window.days.join(", ") };
        let when = match (&window.starts, &window.ends) {
            (Some(starts), Some(ends)) => format!("{starts} to {ends}"),
            (_, _) => format!("{days} {} to {}", part(&window.from), part(&window.to)),
        };
        layout.fact("by itself", &format!("{when} ({}): {}", window.zone, window.name));
    }
    if let Some(problem) = &detail.problem {
        layout.toned_fact("problem", Tone::Warn, &format!("a person is asked: {problem}"));
    }
    for narrower in &detail.narrower {
        layout.toned_fact("narrower", Tone::Warn, narrower);
    }
}

/// What a rule would do about the incidents that are open.
pub fn tried(view: &View, page: &RuleTrials) -> String {
    if page.items.is_empty() {
        return view.nothing("No incident is open that its remedy is for: the rule would do nothing now.");
    }
    let changed = page.items.iter().filter(|item| item.now != item.then).count();
    let mut table = Table::new(vec![
        Column::new("OBJECT").cut(Cut::Start, 16),
        Column::new("CLUSTER").cut(Cut::End, 8),
        Column::new("FITS"),
        Column::new("NOW"),
        Column::new("THEN"),
        Column::new("WHY").cut(Cut::End, 12).optional(),
    ]);
    for item in &page.items {
        let why = if item.why.is_empty() { &item.reason } else { &item.why };
        let tone = if item.now == item.then { Tone::Quiet } else { Tone::Note };
        table.row(vec![
            Cell::new(item.object.to_string()),
            Cell::new(&item.cluster),
            Cell::word(&readable(&item.fits)),
            Cell::word(&item.now),
            Cell::toned(&item.then, tone),
            Cell::toned(why, Tone::Quiet),
        ]);
    }
    let would = count(u64::try_from(changed).unwrap_or(u64::MAX), "incident", "incidents");
    let left_out = match page.left_out {
        0 => String::new(),
        more => format!(" {more} older ones were not tried."),
    };
    format!("{}\n{would} would be treated differently.{left_out}\n", table.render(&view.theme, view.width))
}

/// The rules that are proposed.
pub fn proposals(view: &View, page: &List<RuleProposal>) -> String {
    if page.items.is_empty() {
        return view
            .nothing("No rules are proposed: nobody gave the same answer for the same three times lately.");
    }
    let theme = &view.theme;
    let mut layout = Layout::new(view);
    for item in &page.items {
        let how = match item.kind.as_str() {
            "begin" => "begin it without asking",
            "leave" => "leave it, and ask nobody",
            other => other,
        };
        layout.gap().line(&format!("{}  {}", theme.heading(&item.id), theme.paint(Tone::Quiet, how)));
        layout.paragraph(&item.reason);
        layout.fact("rule", &item.rule.name).fact("condition", &item.rule.condition);
        for answer in &item.evidence {
            layout.event(&view.clock.full(answer.at), &format!("{}, {}", answer.by, answer.text));
        }
        layout.command(&format!("nimbus autonomous rules accept {}", item.id));
    }
    layout.gap().paragraph(
        "They change nothing until somebody accepts one; what was accepted is deleted as any rule.",
    );
    layout.end()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample::{read, view};
    use super::*;

    fn detail() -> serde_json::Value {
        json!({
            "id": "grow-data-volumes", "created_at": "2026-11-30T10:00:00Z", "version": 3,
            "rule": {
                "name": "grow-data-volumes", "action": "expand_volume", "clusters": ["prod"], "namespaces": ["shop"],
                "labels": {"team": "data"}, "condition": "action.to_mib <= 102400", "auto_approve": true,
                "windows": [{"name": "nights", "zone": "Europe/Berlin", "from": "22:00", "to": "06:00"}]
            },
            "set_by": "ann", "set_at": "2026-11-30T11:00:00Z", "problem": null,
            "narrower": ["cluster lab: agent lab-1 takes expand_volume with a person's word alone"]
        })
    }

    fn trial(object: &str, fits: &str, now: &str, then: &str, why: &str) -> serde_json::Value {
        json!({
            "id": "inc_1", "created_at": "2026-11-30T10:00:00Z", "cluster": "prod", "kind": "volume_near_full",
            "object": {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": object, "uid": "u"},
            "title": "volume", "fits": fits, "why": why, "now": now, "then": then, "action": "expand_volume", "reason": ""
        })
    }

    #[test]
    fn a_rule_reads_as_it_stands() {
        let rule: RuleDetail = read(detail());
        insta::assert_snapshot!("rule_shown", shown(&view(80), &rule));
        insta::assert_snapshot!("rule_set", set(&view(80), &rule, false));
        insta::assert_snapshot!("rule_deleted", deleted(&view(80), &rule, true));
    }

    #[test]
    fn a_proposal_tells_what_speaks_for_it() {
        let answer = |at: &str, by: &str| json!({"approval_id": "apr_1", "by": by, "at": at, "text": "approved: expand the volume of shop/data-0 from 8Gi to 12Gi; its job succeeded"});
        let mut rule = detail()["rule"].clone();
        rule["name"] = json!("begin-expand-volume-0123456789ab");
        let page: List<RuleProposal> = read(json!({"items": [{
            "id": "begin-expand-volume-0123456789ab", "created_at": "2026-11-30T10:00:00Z", "kind": "begin",
            "reason": "expand_volume on PersistentVolumeClaim shop/data-0 in prod was approved 2 times within 30 days and helped each time; nobody denied it",
            "rule": rule, "evidence": [answer("2026-11-30T10:00:00Z", "ann"), answer("2026-11-20T10:00:00Z", "bob")],
        }], "next": null}));
        insta::assert_snapshot!("rule_proposals", proposals(&view(80), &page));
        let none: List<RuleProposal> = read(json!({"items": [], "next": null}));
        assert!(proposals(&view(80), &none).contains("No rules are proposed"));
    }

    #[test]
    fn a_trial_tells_what_would_differ() {
        let items = vec![
            trial("data-0", "yes", "asks", "begins", ""),
            trial("data-1", "no", "asks", "asks", "its namespaces are shop"),
            trial("data-2", "unknown", "asks", "asks", "the labels of the object are not told"),
        ];
        let page: RuleTrials = read(json!({"items": items, "next": null, "left_out": 7}));
        insta::assert_snapshot!("rule_tried", tried(&view(80), &page));
        let none: RuleTrials = read(json!({"items": [], "next": null, "left_out": 0}));
        assert!(tried(&view(80), &none).contains("No incident is open"));
    }
}
