//! Tests of what an observation of a changed file shows, and of what it never shows.

use proptest::prelude::*;
use prost::Message as _;

use super::attributes::{Gathering, MAX_ATTRIBUTES};
use super::*;

fn entry(content: &[u8]) -> Entry {
    Entry {
        kind: Kind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: content.len() as u64,
        sha256: Some(nimbus_protocol::sha256(content)),
        problem: String::new(),
        attributes: None,
        held: None,
    }
}

fn changed(path: &str, before: &[u8], after: &[u8]) -> v1::File {
    let contents = Contents { before: Some(before), after: Some(after) };
    compare("/etc/app", path, &entry(before), &entry(after), contents, Visibility::Shown, None)
}

/// As [`compare`], below a path whose contents the policy lets be shown.
fn shown(path: &str, baseline: &Entry, current: &Entry, contents: Contents<'_>) -> v1::File {
    compare("/r", path, baseline, current, contents, Visibility::Shown, None)
}

#[test]
fn a_text_change_shows_a_diff() {
    let file = changed("/etc/app/x.conf", b"a = 1\nb = 2\n", b"a = 1\nb = 3\n");
    assert_eq!(
        file.diff,
        "--- a/etc/app/x.conf\n+++ b/etc/app/x.conf\n@@ -1,2 +1,2 @@\n a = 1\n-b = 2\n+b = 3\n"
    );
    assert_eq!(file.diff_withheld, "");
    assert_ne!(file.baseline, file.current);
}

#[test]
fn added_and_deleted_files_show_all_lines() {
    let contents = Contents { before: None, after: Some(b"new\n") };
    let added = shown("/r/x", &Entry::absent(), &entry(b"new\n"), contents);
    assert!(added.diff.contains("\n+new\n"), "{}", added.diff);
    let contents = Contents { before: Some(b"old\n"), after: None };
    let deleted = shown("/r/x", &entry(b"old\n"), &Entry::absent(), contents);
    assert!(deleted.diff.contains("\n-old\n"), "{}", deleted.diff);
    assert_eq!(deleted.current.unwrap().kind, "absent");
}

#[test]
fn what_is_withheld_says_why() {
    let long = vec![b'x'; MAX_CONTENT + 1];
    let many = "l\n".repeat(5_000);
    for (path, before, after, why) in [
        ("/r/x", b"a".as_slice(), b"\0\x01".as_slice(), "binary"),
        ("/r/x", b"a", b"\xff\xfe", "binary"),
        ("/r/x", b"a", &long, "too large"),
        ("/r/x", many.as_bytes(), b"a", "too large"),
        ("/r/tls.key", b"a", b"b", "secret"),
        ("/r/x", b"password = hunter2", b"b", "secret"),
        ("/r/x", b"b", b"password = hunter2", "secret"),
    ] {
        let file = changed(path, before, after);
        assert_eq!((file.diff.as_str(), file.diff_withheld.as_str()), ("", why));
        assert_eq!(file.current.unwrap().sha256.len(), 32);
    }
    let mode = Entry { mode: 0o600, ..entry(b"a") };
    assert_eq!(shown("/r/x", &entry(b"a"), &mode, Contents::default()).diff_withheld, "attributes only");
    let lost = shown("/r/x", &entry(b"a"), &entry(b"b"), Contents::default());
    assert_eq!(lost.diff_withheld, "content not kept");
    let closed = Entry { kind: Kind::Unreadable, sha256: None, problem: "denied".into(), ..entry(b"") };
    assert_eq!(shown("/r/x", &entry(b"a"), &closed, Contents::default()).diff_withheld, "content not kept");
    let contents = Contents { before: Some(b"a"), after: None };
    assert_eq!(shown("/r/x", &entry(b"a"), &closed, contents).diff_withheld, "unreadable");
}

#[test]
fn what_a_terminal_would_obey_is_part_of_what_differs() {
    let file = changed("/r/x", b"a\n", b"a \x1b[2Jb\n");
    assert!(file.diff.ends_with("-a\n+a \x1b[2Jb\n"), "{:?}", file.diff);
}

#[test]
fn contents_stay_on_the_host_where_the_policy_does_not_name_the_path() {
    let (before, after) =
        (b"workers = 4\nport = 80\n".as_slice(), b"workers = 5\nport = 80\nx = 1".as_slice());
    let contents = Contents { before: Some(before), after: Some(after) };
    let hidden = compare("/r", "/r/x", &entry(before), &entry(after), contents, Visibility::Hidden, None);
    assert_eq!((hidden.diff.as_str(), hidden.diff_withheld.as_str()), ("", HIDDEN));
    let lines = v1::LineCounts { before: 2, after: 3, added: Some(2), removed: Some(1) };
    assert_eq!(hidden.lines, Some(lines));
    let bytes = hidden.encode_to_vec();
    assert!(!bytes.windows(7).any(|part| part == b"workers"), "no word of the content");
    // A link's target is content too.
    let link = |target: &[u8]| Entry { kind: Kind::Symlink, ..entry(target) };
    let contents = Contents { before: Some(b"/opt/one"), after: Some(b"/opt/two") };
    let moved =
        compare("/r", "/r/l", &link(b"/opt/one"), &link(b"/opt/two"), contents, Visibility::Hidden, None);
    assert_eq!((moved.diff.as_str(), moved.diff_withheld.as_str()), ("", HIDDEN));
    // Where nothing could be shown anyway, that is said: no policy would change it.
    let binary = Contents { before: Some(b"a"), after: Some(b"\0\x01") };
    let binary = compare("/r", "/r/x", &entry(b"a"), &entry(b"\0\x01"), binary, Visibility::Hidden, None);
    assert_eq!((binary.diff_withheld.as_str(), binary.lines), ("binary", None));
}

#[test]
fn lines_are_counted_of_what_is_too_large_to_be_shown() {
    let long = b"0123456789\n".repeat(MAX_CONTENT / 10);
    let file = changed("/r/x", &long, b"a\n");
    let lines = v1::LineCounts { before: (MAX_CONTENT / 10) as u64, after: 1, added: None, removed: None };
    assert_eq!((file.diff_withheld.as_str(), file.lines), ("too large", Some(lines)));
}

#[test]
fn equal_sides_have_neither_diff_nor_reason() {
    let file = changed("/r/x", b"a", b"a");
    assert_eq!((file.diff.as_str(), file.diff_withheld.as_str(), file.first_pass), ("", "", false));
    assert!(first_pass("/r", "/r/x", &entry(b"a")).first_pass);
}

#[test]
fn a_long_diff_is_cut_and_counted() {
    let after: String = (0..1_000).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n") + "\n";
    let file = changed("/r/x", b"", after.as_bytes());
    assert_eq!(file.diff.lines().count(), MAX_DIFF_LINES + 1);
    assert!(file.diff.ends_with("... 803 more lines\n"), "{}", &file.diff[file.diff.len() - 40..]);
    let wide: String =
        (0..100).map(|n| format!("{n} {}", "wide ".repeat(100))).collect::<Vec<_>>().join("\n") + "\n";
    let file = changed("/r/x", b"", wide.as_bytes());
    assert!(file.diff.len() <= MAX_DIFF_BYTES && file.diff.contains(" more lines\n"));
}

#[test]
fn states_survive_the_wire_and_sameness_is_strict() {
    let link = Entry { kind: Kind::Symlink, mode: 0o777, ..entry(b"target") };
    for entry in [entry(b"a"), Entry::absent(), link.clone()] {
        assert_eq!(Entry::from_state(&entry.to_state()), Some(entry.clone()));
        assert!(entry.same(&entry));
    }
    assert_eq!(Entry::from_state(&v1::FileState { kind: "ghost".into(), ..Default::default() }), None);
    let short = v1::FileState { sha256: vec![1; 31], ..entry(b"a").to_state() };
    assert_eq!(Entry::from_state(&short), None);
    assert!(link.same(&Entry { mode: 0o755, ..link.clone() }));
    let closed = Entry { kind: Kind::Unreadable, sha256: None, ..entry(b"") };
    assert!(!closed.same(&closed), "not known is not the same");
    for other in [
        Entry { mode: 0o600, ..entry(b"a") },
        Entry { uid: 1, ..entry(b"a") },
        Entry { gid: 1, ..entry(b"a") },
        entry(b"b"),
        Entry::absent(),
    ] {
        assert!(!entry(b"a").same(&other));
    }
}

#[test]
fn attributes_that_cannot_be_read_are_never_the_same_as_known_ones() {
    let mut lends = Gathering::default();
    lends.add("security.capability".into(), vec![1, 0, 0, 2]);
    let known = Entry { attributes: Some(Arc::default()), ..entry(b"a") };
    let other = Entry { attributes: Some(lends.end(0).shared()), ..entry(b"a") };
    let older = entry(b"a");
    let mut unread = known.clone();
    unread.attributes_unread("Argument list too long");
    assert!(!known.same(&unread) && !unread.same(&known), "seen at once, and when it ends");
    assert!(unread.same(&unread.clone()), "told once");
    assert!(!known.same(&other) && known.same(&older) && older.same(&known));
    assert!(older.same(&unread), "what was never noted did not change");
    // It is drift for an older control plane, too, which compares what it is told.
    let file = shown("/r/x", &known, &unread, Contents::default());
    let (before, after) = (file.baseline.unwrap(), file.current.unwrap());
    assert!(before.attributes.is_some() && after.attributes.is_none());
    assert!(after.problem.contains("cannot be read: Argument list too long"), "{}", after.problem);
    assert_eq!(file.diff_withheld, "attributes only");
    let file = shown("/r/x", &older, &other, Contents::default());
    assert_eq!((file.baseline.unwrap().attributes, file.current.unwrap().attributes), (None, None));
    // As a baseline it knows nothing of them, and the next reading is no drift.
    let baseline = unread.clone().into_baseline();
    assert!(baseline.same(&known) && baseline.same(&other) && baseline.same(&unread));
    let long = Entry { size: MAX_READ + 1, ..unread };
    let problem = long.to_state().problem;
    assert!(problem.contains("compared by size") && problem.contains("cannot be read"), "{problem}");
}

#[test]
fn what_is_accepted_of_a_directory_knows_nothing_of_what_cannot_be_read_and_no_file_is_accepted_unseen() {
    let noted = Entry { attributes: Some(Arc::default()), ..entry(b"a") };
    let dir = |of: &Entry| Entry { kind: Kind::Directory, size: 0, sha256: None, ..of.clone() };
    let mut unread = entry(b"b");
    unread.attributes_unread("Permission denied");
    for (before, now) in [(Entry::absent(), dir(&unread)), (dir(&noted), dir(&unread))] {
        let accepted = now.clone().accepted().unwrap();
        assert_eq!((accepted.problem.as_str(), &accepted.attributes), ("", &None), "{before:?}");
        assert!(accepted.same(&now) && accepted.kind == now.kind, "{before:?}");
    }
    let why = unread.clone().accepted().unwrap_err();
    assert!(why.contains("Permission denied") && why.contains("getfattr"), "{why}");
    let closed = Entry { kind: Kind::Unreadable, problem: "denied".into(), ..Entry::absent() };
    assert!(closed.accepted().unwrap_err().contains("denied"));
    assert_eq!(noted.clone().accepted(), Ok(noted));
}

#[test]
fn attributes_of_which_one_side_has_too_many_are_shown_alike_on_both() {
    let mut gathering = [Gathering::default(), Gathering::default()];
    for all in &mut gathering {
        all.add("user.note".into(), b"why".to_vec());
    }
    let [few, mut many] = gathering;
    many.add("user.z".into(), vec![7; MAX_ATTRIBUTES]);
    let with = |all: Gathering| Entry { attributes: Some(all.end(0).shared()), ..entry(b"a") };
    let (few, many) = (with(few), with(many));
    assert!(!few.same(&many) && many.same(&many.clone()));
    let file = shown("/r/x", &few, &many, Contents::default());
    for (state, begins) in [(file.baseline, "1 of 12 bytes, "), (file.current, "2 of 65554 bytes, ")] {
        let all = state.unwrap().attributes.unwrap().all;
        assert!(all.len() == 1 && all[0].name == "all extended attributes", "{all:?}");
        assert!(all[0].shown.starts_with(begins), "{all:?}");
    }
}

#[test]
fn a_file_that_is_too_long_to_be_read_says_how_it_is_compared() {
    let long = |size, modified| Entry { size, sha256: Some(unread_hash(size, modified)), ..entry(b"") };
    let one = long(MAX_READ + 1, (7, 1));
    assert!(one.same(&long(MAX_READ + 1, (7, 1))));
    assert!(!one.same(&long(MAX_READ + 2, (7, 1))) && !one.same(&long(MAX_READ + 1, (7, 2))));
    assert!(!one.same(&Entry { mode: 0o600, ..one.clone() }) && !one.same(&Entry { uid: 1, ..one.clone() }));
    assert!(one.to_state().problem.contains("longer than 1024 KiB"));
    assert_eq!(Entry::from_state(&one.to_state()), Some(one.clone()));
    assert_eq!(long(MAX_READ, (7, 1)).to_state().problem, "");
    let file = shown("/r/x", &entry(b"a"), &one, Contents { before: Some(b"a"), after: None });
    assert_eq!((file.diff_withheld.as_str(), file.diff.as_str()), ("too large", ""));
}

/// Text as configuration has it, with a secret somewhere in it.
fn with_secret() -> impl Strategy<Value = (String, String)> {
    let line = "[a-z]{1,8}( = |: )[a-z0-9]{1,6}";
    let around = || proptest::collection::vec(line, 0..6).prop_map(|lines| lines.join("\n"));
    (around(), secret(), around())
        .prop_map(|(before, (secret, form), after)| (secret, format!("{before}\n{form}\n{after}\n")))
}

/// A secret and a line that holds it.
fn secret() -> impl Strategy<Value = (String, String)> {
    let value = "[A-Za-z0-9!%+_]{8,24}";
    let named =
        ("(DB_|app\\.|my-)?", "(password|passwd|secret|api_key|apiKey|token|client-secret|PASSPHRASE)");
    let assignment = (named.0, named.1, "(=|: |: \"| = '|=\")", value)
        .prop_map(|(prefix, name, sign, value)| (value.clone(), format!("{prefix}{name}{sign}{value}")));
    let url = ("[a-z]{3,8}", value).prop_map(|(user, value)| {
        // In the place of what a URL has no room for; x alone would be a placeholder, which is shown.
        let secret = value.replace(['!', '%', '+'], "k");
        (secret.clone(), format!("url = postgres://{user}:{secret}@db.example/app"))
    });
    let bearer = "[A-Za-z0-9_-]{20,40}".prop_map(|t| (t.clone(), format!("Authorization: Bearer {t}")));
    let aws = "AKIA[A-Z0-9]{16}".prop_map(|id| (id.clone(), format!("id {id}")));
    let pem = "[A-Za-z0-9+/]{64}".prop_map(|body| {
        (body.clone(), format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"))
    });
    let flag = value.prop_map(|v| (v.clone(), format!("ExecStart=/bin/x --password {v}")));
    let xml = value.prop_map(|v| (v.clone(), format!("<password>{v}</password>")));
    let block = value.prop_map(|v| (v.clone(), format!("password: |\n  {v}")));
    prop_oneof![4 => assignment, 1 => url, 1 => bearer, 1 => aws, 1 => pem, 1 => flag, 1 => xml, 1 => block]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn no_secret_in_either_side_leaves((secret, holder) in with_secret(), other in "[a-z =\n]{0,80}", swap in any::<bool>()) {
        let (before, after) = if swap { (&other, &holder) } else { (&holder, &other) };
        let file = changed("/etc/app/settings.conf", before.as_bytes(), after.as_bytes());
        let bytes = v1::Observation {
            body: Some(v1::observation::Body::File(file)), ..Default::default()
        }.encode_to_vec();
        prop_assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{secret:?} of {holder:?} left");
    }

    #[test]
    fn nothing_of_a_file_with_a_secret_name_leaves(
        name in "(tls\\.key|server\\.pem|id_rsa|\\.env|my-secret\\.yaml|passwords\\.txt|\\.netrc|\\.pgpass|shadow|kubeconfig)",
        content in "[a-z]{20}",
    ) {
        let file = changed(&format!("/etc/app/{name}"), b"", content.as_bytes());
        prop_assert_eq!((file.diff.as_str(), file.diff_withheld.as_str()), ("", "secret"));
    }

    #[test]
    fn any_bytes_give_a_bounded_answer(
        before in proptest::collection::vec(any::<u8>(), 0..300),
        after in "\\PC{0,300}",
    ) {
        let file = changed("/r/x", &before, after.as_bytes());
        prop_assert!(file.diff.len() <= MAX_DIFF_BYTES);
        prop_assert!(file.diff.is_empty() || file.diff_withheld.is_empty());
    }
}
