//! The view of what draining nodes would do.

use nimbus_api::NodeDrain;

use super::View;
use super::layout::Layout;
use crate::output::theme::Tone;

/// Most pods and rounds that are shown; `-o json` has more.
const SHOWN: usize = 20;
/// Most pods of one round that are named.
const NAMED: usize = 4;

/// The answer.
pub fn show(view: &View, drain: &NodeDrain) -> String {
    let mut layout = Layout::new(view);
    let nodes = drain.nodes.join(", ");
    let (tone, verdict) = match drain.verdict.as_str() {
        "finishes" => (Tone::Good, "a drain finishes, if the replacements become ready"),
        "blocked" => (Tone::Bad, "a drain does not finish"),
        _ => (Tone::Warn, "whether a drain finishes is not known"),
    };
    layout.line(&view.theme.paint(tone, &format!("{nodes}: {verdict}.")));
    let pods = format!("{} would go, {} would stay", drain.going, drain.staying);
    layout.fact("pods", &pods);
    if !drain.rounds.is_empty() {
        layout.fact("rounds", &rounds(drain));
    }
    in_the_way(view, &mut layout, drain);
    if !drain.not_known.is_empty() {
        layout.heading("Not known");
        list(view, &mut layout, Tone::Warn, &drain.not_known);
    }
    if !drain.changes.is_empty() {
        let fewest = if drain.changes_are_fewest { "The fewest changes" } else { "Changes" };
        layout.heading(&format!("{fewest} after which it would finish"));
        list(view, &mut layout, Tone::Note, &drain.changes);
    }
    if !drain.rounds.is_empty() && drain.going > 0 {
        layout.heading("Rounds");
        for (number, pods) in drain.rounds.iter().take(SHOWN).enumerate() {
            layout.hanging(&format!("  {:<4}", number + 1), 6, Tone::Plain, &named(pods));
        }
        more(view, &mut layout, drain.rounds.len());
    }
    one_by_one(view, &mut layout, drain);
    layout.end()
}

fn rounds(drain: &NodeDrain) -> String {
    let count = drain.rounds.len();
    let takes = match drain.takes_ms {
        Some(ms) => {
            format!("some {} s if each replacement starts as quickly as its pod did", ms.div_ceil(1_000))
        }
        None => "how long is not known".to_owned(),
    };
    format!("{count}: {takes}")
}

fn in_the_way(view: &View, layout: &mut Layout<'_>, drain: &NodeDrain) {
    if drain.in_the_way.is_empty() && drain.without_room == 0 {
        return;
    }
    layout.heading("In the way");
    for one in drain.in_the_way.iter().take(SHOWN) {
        let mark = view.theme.paint(Tone::Bad, "✗");
        layout.item(&mark, &one.pod);
        for why in &one.why {
            layout.under(why);
        }
    }
    let all = drain.in_the_way.len() + drain.in_the_way_left_out as usize;
    more(view, layout, all);
    if drain.without_room > 0 {
        let mark = view.theme.paint(Tone::Bad, "✗");
        let text = format!(
            "there is no room for {} of the other pods together, while each of them fits alone",
            drain.without_room
        );
        layout.item(&mark, &text);
    }
}

fn one_by_one(view: &View, layout: &mut Layout<'_>, drain: &NodeDrain) {
    if drain.one_by_one.is_empty() {
        return;
    }
    layout.heading("One after another, each opened again before the next");
    for (number, step) in drain.one_by_one.iter().take(SHOWN).enumerate() {
        let (tone, text) = match step.verdict.as_str() {
            "finishes" => (Tone::Good, step.node.clone()),
            "blocked" => (Tone::Bad, format!("{}: does not finish: {}", step.node, step.why)),
            _ => (Tone::Warn, format!("{}: not known: {}", step.node, step.why)),
        };
        layout.hanging(&format!("  {:<4}", number + 1), 6, tone, &text);
    }
    more(view, layout, drain.one_by_one.len());
}

fn list(view: &View, layout: &mut Layout<'_>, tone: Tone, texts: &[String]) {
    let mark = view.theme.paint(tone, "•");
    for text in texts.iter().take(SHOWN) {
        layout.item(&mark, text);
    }
    more(view, layout, texts.len());
}

fn named(pods: &[String]) -> String {
    let more = pods.len().saturating_sub(NAMED);
    let named = pods.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

fn more(view: &View, layout: &mut Layout<'_>, all: usize) {
    let left = all.saturating_sub(SHOWN);
    if left > 0 {
        let text = format!("  … and {left} more: `-o json` has them");
        layout.line(&view.theme.paint(Tone::Quiet, &text));
    }
}

#[cfg(test)]
mod tests {
    use nimbus_api::{DrainStep, PodInTheWay};

    use super::*;
    use crate::view::sample::view;

    fn answer(verdict: &str) -> NodeDrain {
        NodeDrain {
            cluster: "5c0f2b7e-0000-4000-8000-000000000001".into(),
            nodes: vec!["worker-1".into()],
            verdict: verdict.into(),
            going: 14,
            staying: 3,
            in_the_way: Vec::new(),
            in_the_way_left_out: 0,
            without_room: 0,
            not_known: Vec::new(),
            changes: Vec::new(),
            changes_are_fewest: true,
            rounds: Vec::new(),
            takes_ms: None,
            places: Vec::new(),
            one_by_one: Vec::new(),
        }
    }

    #[test]
    fn a_drain_that_finishes_is_told_with_its_rounds() {
        let pods = |range: std::ops::Range<u32>| range.map(|n| format!("shop/web-{n}")).collect::<Vec<_>>();
        let finishes =
            NodeDrain { rounds: vec![pods(0..6), pods(6..7)], takes_ms: Some(41_200), ..answer("finishes") };
        insta::assert_snapshot!("finishes", show(&view(80), &finishes));
    }

    #[test]
    fn what_is_in_the_way_is_told_with_what_would_clear_it() {
        let budget =
            "PodDisruptionBudget db (minAvailable 2, 2 of 2 pods healthy, 2 needed, 0 disruptions allowed)";
        let one = |pod: &str, why: &str| PodInTheWay {
            pod: pod.into(),
            node: "worker-1".into(),
            why: vec![why.into()],
        };
        let blocked = NodeDrain {
            in_the_way: vec![
                one("shop/db-0", &format!("{budget} never lets a pod go")),
                one("tools/debug", "no controller makes another one"),
            ],
            changes: vec![
                "change PodDisruptionBudget shop/db so that it lets its pods go".into(),
                "move or remove tools/debug yourself".into(),
            ],
            ..answer("blocked")
        };
        insta::assert_snapshot!("blocked", show(&view(80), &blocked));
    }

    #[test]
    fn several_nodes_are_told_in_their_order_and_doubts_are_said() {
        let step = |node: &str, verdict: &str, why: &str| DrainStep {
            node: node.into(),
            verdict: verdict.into(),
            why: why.into(),
        };
        let several = NodeDrain {
            nodes: vec!["worker-1".into(), "worker-2".into()],
            without_room: 2,
            changes: vec![
                "make room for shop/web-1 on another node, scale its workload down, or remove it".into(),
            ],
            changes_are_fewest: false,
            not_known: vec!["which budgets guard shop/web-1 is not known".into()],
            one_by_one: vec![
                step("worker-2", "finishes", ""),
                step("worker-1", "not_known", "which budgets guard shop/web-1 is not known"),
            ],
            ..answer("not_known")
        };
        insta::assert_snapshot!("several", show(&view(80), &several));
    }
}
