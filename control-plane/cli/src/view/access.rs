//! The views of access tokens, and of who asks.

use nimbus_api::{AccessToken, AccessTokenItem, List, Whoami};

use super::View;
use super::layout::Layout;
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::Tone;

/// The list.
pub fn list(view: &View, page: &List<AccessTokenItem>) -> String {
    if page.items.is_empty() {
        return view.nothing("No access tokens: `nimbus access tokens create NAME --group G` makes one.");
    }
    let mut table = Table::new(vec![
        Column::new("NAME").cut(Cut::End, 12),
        Column::new("STATE"),
        Column::new("GROUPS").cut(Cut::End, 12),
        Column::new("EXPIRES").right(),
        Column::new("AGE").right().optional(),
        Column::new("BY").cut(Cut::End, 8).optional(),
        Column::new("ID").optional(),
    ]);
    let ids = view.ids(&page.items.iter().map(|i| i.id.as_str()).collect::<Vec<_>>());
    for (id, token) in ids.into_iter().zip(&page.items) {
        table.row(vec![
            Cell::new(&token.name),
            Cell::word(&token.state),
            Cell::new(groups(&token.groups)),
            Cell::new(ends(view, token)),
            Cell::toned(view.clock.age(token.created_at), Tone::Quiet),
            Cell::new(&token.created_by),
            id.into(),
        ]);
    }
    table.render(&view.theme, view.width)
}

/// One that was made: the only time its secret is shown.
pub fn made(view: &View, token: &AccessToken) -> String {
    let mut layout = Layout::new(view);
    layout.line(&view.theme.heading(&format!("Access token of {}", token.name)));
    layout.line(&format!("  {}", view.theme.paint(Tone::Note, &token.token)));
    layout.gap();
    layout.fact("groups", &groups(&token.groups));
    let (moment, left) = (view.clock.full(token.expires_at), view.clock.until(token.expires_at));
    layout.fact("expires", &format!("{moment} (in {left})"));
    layout.fact("shown", "now and never again: only its hash is kept");
    layout.fact("use it", "as NIMBUS_TOKEN, or in a file that token_file of a context names");
    layout.end()
}

/// One, without its secret.
pub fn show(view: &View, token: &AccessTokenItem) -> String {
    let mut layout = Layout::new(view);
    layout.line(&view.theme.heading(&format!("Access token of {}", token.name)));
    layout.line(&format!(
        "  {} · {}",
        view.theme.word(&token.state),
        view.theme.paint(Tone::Quiet, &token.id)
    ));
    layout.gap();
    layout.fact("groups", &groups(&token.groups));
    layout.fact("expires", &format!("{} ({})", view.clock.full(token.expires_at), ends(view, token)));
    layout.fact("made", &format!("{} by {}", view.clock.full(token.created_at), token.created_by));
    layout.end()
}

/// Who asks.
pub fn whoami(view: &View, who: &Whoami) -> String {
    let mut layout = Layout::new(view);
    layout.line(&view.theme.heading(&who.name));
    layout.fact("groups", &groups(&who.groups));
    match who.expires_at {
        Some(at) => {
            layout.fact("token ends", &format!("{} (in {})", view.clock.full(at), view.clock.until(at)))
        }
        None => layout.fact("token", "the operator's, which also makes access tokens for people"),
    };
    layout.end()
}

fn groups(groups: &[String]) -> String {
    if groups.is_empty() { "none".to_owned() } else { groups.join(", ") }
}

fn ends(view: &View, token: &AccessTokenItem) -> String {
    match token.state.as_str() {
        "usable" => format!("in {}", view.clock.until(token.expires_at)),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::sample::{id, read, view};

    fn token(n: u32, name: &str, state: &str, groups: &[&str]) -> Value {
        json!({
            "id": id("acc", n), "created_at": "2026-11-20T08:00:00Z", "created_by": "operator", "name": name,
            "groups": groups, "state": state, "expires_at": "2027-02-18T08:00:00Z", "revoked_at": null,
        })
    }

    #[test]
    fn the_list_fits() {
        let items = [token(1, "ann", "usable", &["oncall", "platform"]), token(2, "bob", "revoked", &[])];
        let page: List<AccessTokenItem> = read(json!({"items": items, "next": null}));
        insta::assert_snapshot!("list_80", list(&view(80), &page));
        insta::assert_snapshot!("list_120", list(&view(120), &page));
    }

    #[test]
    fn one_that_was_made_is_shown_with_what_to_do_with_it() {
        let made_now: AccessToken = read(json!({
            "id": id("acc", 1), "created_at": "2026-11-22T08:00:00Z", "name": "ann", "groups": ["oncall"],
            "expires_at": "2027-02-20T08:00:00Z", "token": "nba_acc_00000000000000000000000000000001_not-a-secret",
        }));
        insta::assert_snapshot!("made", made(&view(80), &made_now));
        insta::assert_snapshot!("show", show(&view(80), &read(token(1, "ann", "usable", &["oncall"]))));
    }

    #[test]
    fn a_person_and_the_operator_see_who_they_are() {
        let person: Whoami = read(json!({
            "name": "ann", "groups": ["oncall"], "kind": "person", "expires_at": "2027-02-20T08:00:00Z",
        }));
        let operator: Whoami =
            read(json!({"name": "operator", "groups": [], "kind": "operator", "expires_at": null}));
        insta::assert_snapshot!("whoami_person", whoami(&view(80), &person));
        insta::assert_snapshot!("whoami_operator", whoami(&view(80), &operator));
    }
}
