//! Scenes of what surrounds a drifted file: whether it could be put back, and how. As many of restraint as of action.

use std::sync::Arc;

use super::super::Held;
use super::super::attributes::{Attributes, Gathering};
use super::super::identity::Identity;
use super::*;

fn file(content: u8) -> Entry {
    Entry {
        kind: Kind::File,
        mode: 0o644,
        size: 10,
        sha256: Some([content; 32]),
        held: Some(held(7, 1)),
        ..Entry::absent()
    }
}

/// A file that lends a capability.
fn able(content: u8) -> Entry {
    let extended = vec![(CAPABILITY.to_owned(), vec![1, 0, 0, 2])];
    Entry { attributes: Some(Arc::new(Attributes { extended, ..Attributes::default() })), ..file(content) }
}

fn held(inode: u64, names: u64) -> Held {
    Held { identity: Identity { device: 1, inode, born_ns: 5 }, names }
}

/// Nothing is in the way.
fn free() -> Around {
    Around {
        kept: true,
        free_bytes: Some(1 << 30),
        may_write_dir: true,
        may_write_file: true,
        may_own: true,
        may_flag: true,
        may_set_capabilities: true,
        ..Around::default()
    }
}

fn answer(baseline: &Entry, current: &Entry, around: &Around) -> Result<Way, Obstacle> {
    outlook(baseline, current, around).way.map_err(|(obstacle, _)| obstacle)
}

#[test]
fn each_difference_has_the_least_intrusive_way() {
    let (before, after) = (file(1), file(2));
    let mode = Entry { mode: 0o600, ..file(1) };
    let owner = Entry { uid: 9, ..file(1) };
    let link = Entry { kind: Kind::Symlink, sha256: Some([3; 32]), ..Entry::absent() };
    let noted = Entry {
        attributes: Some(Arc::new(Attributes {
            extended: vec![("user.a".into(), vec![1])],
            ..Attributes::default()
        })),
        ..file(1)
    };
    for (baseline, current, way) in [
        (&before, &after, Way::Replace),
        (&before, &mode, Way::Attributes),
        (&noted, &before, Way::Attributes),
        (&before, &owner, Way::Replace),
        (&before, &link, Way::Replace),
        (&link, &before, Way::Replace),
        (&before, &Entry::absent(), Way::Replace),
        (&Entry::absent(), &after, Way::Remove),
    ] {
        assert_eq!(answer(baseline, current, &free()), Ok(way), "{baseline:?} {current:?}");
    }
}

#[test]
fn a_file_that_others_hold_is_written_where_it_is() {
    let two_names = |content| Entry { held: Some(held(7, 2)), ..file(content) };
    let mounted = Around { is_mount: true, ..free() };
    let open = Around { holders: 1, ..free() };
    assert_eq!(answer(&two_names(1), &two_names(2), &free()), Ok(Way::InPlace));
    assert_eq!(answer(&file(1), &two_names(2), &free()), Ok(Way::InPlace), "joined since");
    assert_eq!(answer(&file(1), &file(2), &mounted), Ok(Way::InPlace));
    assert_eq!(answer(&file(1), &file(2), &open), Ok(Way::InPlace));
    let mode = Entry { mode: 0o600, ..two_names(1) };
    assert_eq!(answer(&two_names(1), &mode, &free()), Ok(Way::Attributes));
}

#[test]
fn another_file_under_this_name_is_never_written_through() {
    // Somebody made this name lead to a file that has others: what the baseline saw is gone.
    let foreign = |content| Entry { held: Some(held(99, 2)), ..file(content) };
    let replaced = outlook(&file(1), &foreign(2), &free());
    assert_eq!(replaced.way, Ok(Way::Replace));
    assert_eq!(replaced.loses, ["it has 1 other name, which keep what is there now"]);
    let mode = Entry { mode: 0o600, ..foreign(1) };
    assert_eq!(answer(&file(1), &mode, &free()), Ok(Way::Replace), "nor is the mode of its other names set");
    let mounted = Around { is_mount: true, ..free() };
    assert_eq!(answer(&file(1), &foreign(2), &mounted), Err(Obstacle::MountPoint));
    // An inode that is used again is another file.
    let again = Entry {
        held: Some(Held { identity: Identity { born_ns: 6, ..held(7, 2).identity }, names: 2 }),
        ..file(2)
    };
    assert_eq!(answer(&file(1), &again, &free()), Ok(Way::Replace));
    let older_agent = Entry { held: None, ..file(1) };
    assert_eq!(
        answer(&older_agent, &foreign(2), &free()),
        Ok(Way::Replace),
        "which file it was is not known"
    );
}

#[test]
fn rights_are_given_to_new_files_alone() {
    let open = Around { holders: 1, ..free() };
    let lends = Entry { mode: 0o4755, ..file(1) };
    let owner = Entry { uid: 9, ..file(2) };
    assert_eq!(answer(&lends, &Entry { mode: 0o755, ..file(1) }, &open), Ok(Way::Replace));
    assert_eq!(
        answer(&file(1), &owner, &open),
        Ok(Way::Replace),
        "whoever has it open may be the other owner"
    );
    let unable = Entry { attributes: Some(Arc::default()), ..file(1) };
    assert_eq!(answer(&able(1), &unable, &free()), Ok(Way::Replace));
    assert_eq!(answer(&able(1), &able(2), &open), Ok(Way::Replace), "writing takes it away");
    assert_eq!(answer(&able(1), &Entry { mode: 0o600, ..able(1) }, &open), Ok(Way::Attributes), "it has it");
    let mounted = Around { is_mount: true, ..free() };
    assert_eq!(answer(&lends, &Entry { mode: 0o755, ..file(2) }, &mounted), Err(Obstacle::MountPoint));
}

#[test]
fn what_is_in_the_way_is_known_before_anybody_is_asked() {
    let (before, after) = (file(1), file(2));
    let long = |content| Entry { size: MAX_READ + 1, ..file(content) };
    let absent = Entry::absent();
    let closed = Entry { kind: Kind::Unreadable, problem: "denied".into(), ..Entry::absent() };
    let directory = Entry { kind: Kind::Directory, ..Entry::absent() };
    let around = |change: fn(&mut Around)| {
        let mut around = free();
        change(&mut around);
        around
    };
    for (baseline, current, around, obstacle) in [
        (&before, &after, around(|a| a.changed_root = Some("moved".into())), Obstacle::ChangedRoot),
        (&before, &closed, free(), Obstacle::Unreadable),
        (&before, &directory, free(), Obstacle::Kind),
        (&absent, &after, around(|a| a.unknown_before = true), Obstacle::NotKnown),
        (&long(1), &after, free(), Obstacle::TooLarge),
        (&before, &long(2), free(), Obstacle::TooLarge),
        (&before, &after, around(|a| a.kept = false), Obstacle::NotKept),
        (
            &before,
            &after,
            around(|a| {
                a.kept = false;
                a.copy_damaged = true;
            }),
            Obstacle::CopyDamaged,
        ),
        (&before, &after, around(|a| a.flags = 0x0008_0010), Obstacle::Immutable),
        (&before, &absent, around(|a| a.dir_flags = IMMUTABLE), Obstacle::Immutable),
        (&before, &after, around(|a| a.flags = APPEND_ONLY), Obstacle::AppendOnly),
        (&absent, &after, around(|a| a.dir_flags = APPEND_ONLY), Obstacle::AppendOnly),
        (&before, &after, around(|a| a.read_only = true), Obstacle::ReadOnly),
        (&absent, &after, around(|a| a.is_mount = true), Obstacle::MountPoint),
        (&before, &after, around(|a| a.free_bytes = Some(100)), Obstacle::NoSpace),
        (&before, &after, around(|a| a.no_inodes = true), Obstacle::NoSpace),
        (&before, &after, around(|a| a.may_write_dir = false), Obstacle::NoPermission),
        (&before, &after, around(|a| a.may_own = false), Obstacle::NoPermission),
    ] {
        let found = outlook(baseline, current, &around);
        let Err((word, reason)) = &found.way else { panic!("{obstacle:?} was not seen") };
        assert_eq!(*word, obstacle, "{reason}");
        assert!(!reason.is_empty() && found.loses.is_empty());
        let message = found.to_message();
        assert_eq!((message.obstacle.as_str(), message.way.as_str()), (obstacle.as_str(), ""));
    }
}

#[test]
fn capabilities_of_files_take_a_right_of_their_own_where_they_are_set() {
    let without = |content| Entry { attributes: Some(Arc::default()), ..file(content) };
    let denied = Around { may_set_capabilities: false, ..free() };
    let no = Err(Obstacle::NoPermission);
    let mode = |entry: Entry| Entry { mode: 0o600, ..entry };
    for (baseline, current, answered) in [
        (able(1), without(1), no),
        (able(1), able(2), no),
        (able(1), Entry::absent(), no),
        (without(1), able(1), no),
        // A baseline that knows no attributes: the new file gets those that are there.
        (file(1), able(2), no),
        (able(1), mode(able(1)), Ok(Way::Attributes)),
        (file(1), mode(able(1)), Ok(Way::Attributes)),
        (without(1), able(2), Ok(Way::Replace)),
        (without(1), without(2), Ok(Way::Replace)),
        (Entry::absent(), able(1), Ok(Way::Remove)),
    ] {
        assert_eq!(answer(&baseline, &current, &denied), answered, "{baseline:?} {current:?}");
        assert!(answer(&baseline, &current, &free()).is_ok(), "{baseline:?} {current:?}");
    }
}

#[test]
fn attributes_that_cannot_be_read_or_are_not_all_kept_are_known_before_anybody_is_asked() {
    let many = |byte: u8| {
        let mut all = Gathering::default();
        all.add("user.big".into(), vec![byte; MAX_ATTRIBUTES + 1]);
        Some(Arc::new(all.end(0)))
    };
    let with = |content, attributes| Entry { attributes, ..file(content) };
    let two_names = |entry: Entry| Entry { held: Some(held(7, 2)), ..entry };
    let mut unread = file(2);
    unread.attributes_unread("Argument list too long");
    for (baseline, current) in [(with(1, Some(Arc::default())), unread.clone()), (Entry::absent(), unread)] {
        let Err((word, reason)) = outlook(&baseline, &current, &free()).way else { panic!("not seen") };
        assert_eq!(word, Obstacle::Unreadable);
        assert!(reason.contains("cannot be read: Argument list too long"), "{reason}");
    }
    for (baseline, current) in [
        (with(1, many(1)), with(1, many(2))),
        (with(1, many(1)), with(2, many(1))),
        (with(1, many(1)), with(1, Some(Arc::default()))),
        (with(1, many(1)), Entry::absent()),
        // The baseline of an older agent: a new file would not have what this one has.
        (file(1), with(2, many(1))),
    ] {
        let Err((word, reason)) = outlook(&baseline, &current, &free()).way else { panic!("{current:?}") };
        assert_eq!(word, Obstacle::NotKept);
        assert!(reason.contains("65545 bytes"), "{reason}");
    }
    let mode = Entry { mode: 0o600, ..with(1, many(1)) };
    assert_eq!(answer(&with(1, many(1)), &mode, &free()), Ok(Way::Attributes), "they stay as they are");
    let (one, two) = (two_names(with(1, many(1))), two_names(with(2, many(1))));
    assert_eq!(answer(&one, &two, &free()), Ok(Way::InPlace));
    let few = with(1, Some(Arc::default()));
    assert_eq!(answer(&few, &with(1, many(1)), &free()), Ok(Way::Attributes), "those go");
    assert_eq!(answer(&few, &with(2, many(1)), &free()), Ok(Way::Replace));
    assert_eq!(answer(&Entry::absent(), &with(1, many(1)), &free()), Ok(Way::Remove));
}

#[test]
fn what_is_not_in_the_way_does_not_stop_a_restore() {
    let (before, after, absent) = (file(1), file(2), Entry::absent());
    let mode = Entry { mode: 0o600, ..file(1) };
    let full = Around { free_bytes: Some(0), no_inodes: true, ..free() };
    assert_eq!(answer(&absent, &after, &full), Ok(Way::Remove), "removing needs no room");
    assert_eq!(answer(&before, &mode, &full), Ok(Way::Attributes), "nor does a mode");
    let silent = Around { free_bytes: None, ..free() };
    assert_eq!(answer(&before, &after, &silent), Ok(Way::Replace), "a file system that counts nothing");
    let kept_dir = Around { dir_flags: IMMUTABLE, ..free() };
    assert_eq!(answer(&before, &mode, &kept_dir), Ok(Way::Attributes), "its directory stays as it is");
    let not_kept = Around { kept: false, ..free() };
    assert_eq!(answer(&absent, &after, &not_kept), Ok(Way::Remove), "nothing is to be written");
    let no_dump = Around { flags: 0x40, dir_flags: 0x80, ..free() };
    assert_eq!(answer(&before, &after, &no_dump), Ok(Way::Replace));
    let known_before = Around { unknown_before: true, ..free() };
    assert_eq!(answer(&before, &after, &known_before), Ok(Way::Replace));
}

#[test]
fn figures_may_move_without_the_answer_being_another_one() {
    let full = |free_bytes| outlook(&file(1), &file(2), &Around { free_bytes: Some(free_bytes), ..free() });
    assert!(full(10).says_the_same(&full(90)) && full(10) != full(90));
    assert!(!full(10).says_the_same(&full(1 << 30)));
}
