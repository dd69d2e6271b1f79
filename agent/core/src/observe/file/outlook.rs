//! Whether a drifted file could be put back as things are now, and how: decided before anybody is asked, and again right
//! before it is done.

use nimbus_protocol::v1;

use super::attributes::{APPEND_ONLY, CAPABILITY, IMMUTABLE, MAX_ATTRIBUTES};
use super::{Entry, Kind, MAX_READ};

/// What surrounds a drifted file: everything besides its baseline and its state that a restore depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a plain fact of its own")]
pub struct Around {
    /// Why its root is not the directory that the baseline saw; `None` where it is.
    pub changed_root: Option<String>,
    /// The baseline does not know what was there.
    pub unknown_before: bool,
    /// The baseline's content is kept.
    pub kept: bool,
    /// It was, and what is left of it is not what was kept.
    pub copy_damaged: bool,
    /// Something is mounted on it.
    pub is_mount: bool,
    /// All flags of the file as it is now.
    pub flags: u32,
    /// All flags of its directory.
    pub dir_flags: u32,
    /// Its file system is mounted read-only.
    pub read_only: bool,
    /// Bytes that can still be written to its file system; `None` where it does not say.
    pub free_bytes: Option<u64>,
    /// No further file can be made on it.
    pub no_inodes: bool,
    /// The agent may make and remove files in its directory.
    pub may_write_dir: bool,
    /// The agent may write the file itself.
    pub may_write_file: bool,
    /// The agent may give files away, or the file is to be its own.
    pub may_own: bool,
    /// The agent may set the flags that make a file immutable or append-only.
    pub may_flag: bool,
    /// The agent may give capabilities to files and take them away.
    pub may_set_capabilities: bool,
    /// Processes that have the file open, as far as they can be seen; asked right before a restore alone.
    pub holders: usize,
}

/// What stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// Its root is another directory than the baseline's.
    ChangedRoot,
    /// It may not be read.
    Unreadable,
    /// It is neither a file nor a link.
    Kind,
    /// What was there when the baseline was taken is not known.
    NotKnown,
    /// One side is longer than what is read.
    TooLarge,
    /// The baseline's content, or all of its attributes, are not kept.
    NotKept,
    /// The copy of the baseline's content is not what was kept.
    CopyDamaged,
    /// Another file is mounted on it.
    MountPoint,
    /// It, or its directory, may not be changed by anybody.
    Immutable,
    /// It, or its directory, may only be added to.
    AppendOnly,
    /// Its file system cannot be written.
    ReadOnly,
    /// Its file system is full.
    NoSpace,
    /// The agent's user may not do it.
    NoPermission,
}

impl Obstacle {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChangedRoot => "changed_root",
            Self::Unreadable => "unreadable",
            Self::Kind => "kind",
            Self::NotKnown => "not_known",
            Self::TooLarge => "too_large",
            Self::NotKept => "not_kept",
            Self::CopyDamaged => "copy_damaged",
            Self::MountPoint => "mount_point",
            Self::Immutable => "immutable",
            Self::AppendOnly => "append_only",
            Self::ReadOnly => "read_only",
            Self::NoSpace => "no_space",
            Self::NoPermission => "no_permission",
        }
    }
}

/// How a file is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What was added is removed.
    Remove,
    /// Content and owner are right: mode and attributes are set on the file that is there.
    Attributes,
    /// The file that is there is written: others hold it by another name, by a mount or open.
    InPlace,
    /// A new file takes its place.
    Replace,
}

impl Way {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Remove => "remove",
            Self::Attributes => "attributes",
            Self::InPlace => "in_place",
            Self::Replace => "replace",
        }
    }
}

/// Whether a file could be put back, how, and what that would lose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// How; or what stands in the way, and that as a sentence.
    pub way: Result<Way, (Obstacle, String)>,
    /// What would be lost or left as it is, one each.
    pub loses: Vec<String>,
}

impl Outlook {
    /// Is it the same answer, whatever the figures in its words?
    pub fn says_the_same(&self, other: &Self) -> bool {
        let word =
            |outlook: &Self| outlook.way.as_ref().map_or_else(|(obstacle, _)| Err(*obstacle), |way| Ok(*way));
        word(self) == word(other) && self.loses == other.loses
    }

    /// The message for it.
    pub fn to_message(&self) -> v1::RestoreOutlook {
        let (obstacle, reason, way) = match &self.way {
            Ok(way) => ("", "", way.as_str()),
            Err((obstacle, reason)) => (obstacle.as_str(), reason.as_str(), ""),
        };
        v1::RestoreOutlook {
            obstacle: obstacle.to_owned(),
            reason: crate::observe::bounded(reason),
            way: way.to_owned(),
            loses: self.loses.clone(),
        }
    }
}

/// Room that a file system needs beyond a new file's own bytes.
const ROOM: u64 = 8 << 10;

/// Can `current` be put back to `baseline`, and how?
pub fn outlook(baseline: &Entry, current: &Entry, around: &Around) -> Outlook {
    let way = obstacle_before(baseline, current, around).map_or_else(
        || {
            let way = way(baseline, current, around)?;
            let obstacle = attributes_not_kept(way, baseline, current)
                .or_else(|| obstacle_on(way, baseline, current, around));
            obstacle.map_or(Ok(way), Err)
        },
        Err,
    );
    let loses = way.as_ref().map_or_else(|_| Vec::new(), |way| loses(*way, baseline, current));
    Outlook { way, loses }
}

type Found = (Obstacle, String);

fn found(obstacle: Obstacle, reason: impl Into<String>) -> Found {
    (obstacle, reason.into())
}

/// What stands in the way of every way.
fn obstacle_before(baseline: &Entry, current: &Entry, around: &Around) -> Option<Found> {
    if let Some(why) = &around.changed_root {
        return Some(found(Obstacle::ChangedRoot, why.clone()));
    }
    if current.kind == Kind::Unreadable || baseline.kind == Kind::Unreadable {
        return Some(found(Obstacle::Unreadable, format!("it cannot be read: {}", current.problem)));
    }
    if current.has_unread_attributes() {
        return Some(found(Obstacle::Unreadable, current.problem.clone()));
    }
    let plain = |entry: &Entry| matches!(entry.kind, Kind::Absent | Kind::File | Kind::Symlink);
    if !plain(baseline) || !plain(current) {
        return Some(found(Obstacle::Kind, "only regular files and symbolic links are put back"));
    }
    if baseline.kind == Kind::Absent && around.unknown_before {
        return Some(found(
            Obstacle::NotKnown,
            "its directory could not be read when the baseline was taken, so whether it was added is not known: nothing is removed there",
        ));
    }
    let too_large = |what: &str, entry: &Entry| {
        let most = MAX_READ >> 10;
        format!("{what} is {} bytes long; content is read and kept of files up to {most} KiB", entry.size)
    };
    if baseline.is_unread() {
        return Some(found(Obstacle::TooLarge, too_large("its baseline", baseline)));
    }
    if current.is_unread() {
        return Some(found(Obstacle::TooLarge, too_large("it", current)));
    }
    if baseline.kind != Kind::Absent && around.copy_damaged {
        return Some(found(
            Obstacle::CopyDamaged,
            "the kept copy of its baseline is damaged: it is not what was kept; look at the disk of that host",
        ));
    }
    if baseline.kind != Kind::Absent && !around.kept {
        return Some(found(
            Obstacle::NotKept,
            "the content of its baseline is not kept: there was no room for it, or the copy is gone",
        ));
    }
    if current.kind == Kind::File && around.flags & IMMUTABLE != 0 {
        return Some(found(Obstacle::Immutable, "it is immutable (`chattr +i`): `chattr -i` allows changes"));
    }
    if current.kind == Kind::File && around.flags & APPEND_ONLY != 0 {
        return Some(found(
            Obstacle::AppendOnly,
            "it is append-only (`chattr +a`): `chattr -a` allows other changes",
        ));
    }
    if around.read_only {
        return Some(found(
            Obstacle::ReadOnly,
            "its file system is mounted read-only for the agent: mount it writable, or, where the agent is a unit that may \
             not act, add acting.conf to that unit",
        ));
    }
    None
}

/// The least intrusive way that gives others nothing that they did not have.
fn way(baseline: &Entry, current: &Entry, around: &Around) -> Result<Way, Found> {
    if baseline.kind == Kind::Absent {
        return if around.is_mount { Err(mounted("it cannot be removed")) } else { Ok(Way::Remove) };
    }
    if current.kind != Kind::File || baseline.kind != Kind::File {
        return if around.is_mount { Err(mounted("it cannot be replaced")) } else { Ok(Way::Replace) };
    }
    let same_file = is_same_file(baseline, current);
    let names = current.held.map_or(1, |held| held.names);
    // The rights of a new owner, and bits or capabilities that lend them, are only ever given to a new file: somebody may
    // have this one open for writing.
    let lends = baseline.mode & 0o6000 != 0 || lends_capability(baseline, current);
    let owner_stays = (baseline.uid, baseline.gid) == (current.uid, current.gid);
    let may_stay = owner_stays && !lends;
    if may_stay && baseline.sha256 == current.sha256 && (same_file || (names == 1 && !around.is_mount)) {
        return Ok(Way::Attributes);
    }
    let in_place = may_stay && same_file;
    if around.is_mount && !in_place {
        let why = if same_file {
            "a new owner or rights that it lends are given to new files alone, and it cannot be replaced"
        } else {
            "what is mounted on it is not the file of the baseline, and it cannot be replaced"
        };
        return Err(mounted(why));
    }
    let held = names > 1 || around.is_mount || around.holders > 0;
    Ok(if in_place && held { Way::InPlace } else { Way::Replace })
}

fn mounted(why: &str) -> Found {
    (
        Obstacle::MountPoint,
        format!("a file is mounted on it: {why}; unmount it, or change the file that is mounted"),
    )
}

/// Is the file that is there the one that became the baseline, under whatever names? What somebody put in its place may be
/// another name of a file that is nobody's business here.
fn is_same_file(baseline: &Entry, current: &Entry) -> bool {
    match (baseline.held, current.held) {
        // A baseline from before the system started anew knows no device, as those are numbered anew.
        (Some(then), Some(now)) => then.identity.is(&now.identity, then.identity.device != 0),
        _ => false,
    }
}

/// The capabilities that it lends to whoever runs it.
fn capability(of: &Entry) -> Option<&[u8]> {
    of.attributes.as_deref().and_then(|attributes| attributes.get(CAPABILITY))
}

fn lends_capability(baseline: &Entry, current: &Entry) -> bool {
    let should = capability(baseline);
    // Writing takes a capability away, so that it would be given anew.
    should.is_some() && (should != capability(current) || baseline.sha256 != current.sha256)
}

/// Does this way give the file capabilities, or take them away from the one that is there?
fn sets_capability(way: Way, baseline: &Entry, current: &Entry) -> bool {
    if baseline.kind != Kind::File {
        return false;
    }
    // What the baseline does not know of the file is kept as it is now.
    let should = capability(if baseline.attributes.is_some() { baseline } else { current });
    match way {
        Way::Remove => false,
        Way::Attributes => should != capability(current),
        // A new file has none, and writing takes them away.
        Way::InPlace | Way::Replace => should.is_some(),
    }
}

/// Attributes of which only a digest is kept stay as they are on the file that is there, or not at all.
fn attributes_not_kept(way: Way, baseline: &Entry, current: &Entry) -> Option<Found> {
    if baseline.kind != Kind::File {
        return None;
    }
    // What the baseline does not know of the file is kept as it is now.
    let should = baseline.attributes.as_deref().or(current.attributes.as_deref())?;
    let all = should.all.as_ref()?;
    let stay = matches!(way, Way::Attributes | Way::InPlace) && baseline.same_attributes(current);
    (!stay).then(|| {
        let (count, bytes, most) = (all.count, all.bytes, MAX_ATTRIBUTES >> 10);
        found(
            Obstacle::NotKept,
            format!(
                "its {count} extended attributes ({bytes} bytes) are more than an agent keeps, which is {most} KiB: \
                 they could not be put back"
            ),
        )
    })
}

/// What stands in the way of this way.
fn obstacle_on(way: Way, baseline: &Entry, current: &Entry, around: &Around) -> Option<Found> {
    let by_name = match way {
        Way::Remove | Way::Replace => true,
        Way::Attributes | Way::InPlace => false,
    };
    if by_name && around.dir_flags & IMMUTABLE != 0 {
        return Some(found(
            Obstacle::Immutable,
            "its directory is immutable (`chattr +i`): `chattr -i` allows changes",
        ));
    }
    if by_name && around.dir_flags & APPEND_ONLY != 0 {
        return Some(found(
            Obstacle::AppendOnly,
            "its directory is append-only (`chattr +a`): nothing in it may be removed or replaced",
        ));
    }
    let needed = match way {
        Way::Remove | Way::Attributes => 0,
        Way::InPlace | Way::Replace => baseline.size.saturating_add(ROOM),
    };
    if let Some(free) = around.free_bytes.filter(|free| *free < needed) {
        return Some(found(
            Obstacle::NoSpace,
            format!(
                "there is no space for it: its file system has {free} bytes left, and {needed} are needed to write it safely"
            ),
        ));
    }
    if way == Way::Replace && around.no_inodes {
        return Some(found(Obstacle::NoSpace, "its file system has no inode left for a new file"));
    }
    let denied = match way {
        Way::Remove => !around.may_write_dir,
        Way::Replace => !around.may_write_dir || !around.may_own,
        Way::InPlace => !around.may_write_file,
        Way::Attributes => !around.may_own,
    };
    let should_flags = baseline.attributes.as_ref().map_or(0, |attributes| attributes.flags);
    let denied = denied || (should_flags & (IMMUTABLE | APPEND_ONLY) != 0 && !around.may_flag);
    if denied {
        return Some(found(
            Obstacle::NoPermission,
            "the agent's user may not do that: it needs to write there, and root, or the rights that acting.conf lends, to \
             set owners and flags",
        ));
    }
    if !around.may_set_capabilities && sets_capability(way, baseline, current) {
        return Some(found(
            Obstacle::NoPermission,
            "the agent may not set the capabilities of files: it needs the right CAP_SETFCAP, which acting.conf lends",
        ));
    }
    None
}

/// What putting it back loses, or leaves to others as it is.
fn loses(way: Way, baseline: &Entry, current: &Entry) -> Vec<String> {
    let mut all = Vec::new();
    let names = current.held.map_or(1, |held| held.names);
    if way == Way::Replace && names > 1 {
        all.push(format!(
            "it has {} other name{}, which keep what is there now",
            names - 1,
            if names == 2 { "" } else { "s" }
        ));
    }
    let before = baseline.held.map_or(1, |held| held.names);
    if way == Way::Replace && before > 1 {
        all.push(format!(
            "it had {} other name{} when it was accepted: they are not joined with it again",
            before - 1,
            if before == 2 { "" } else { "s" }
        ));
    }
    if way == Way::Replace && baseline.kind == Kind::Symlink {
        all.push("the attributes of a symbolic link, which are not kept".to_owned());
    }
    if way == Way::Remove && names > 1 {
        all.push("its other names stay".to_owned());
    }
    all
}

#[cfg(test)]
#[path = "outlook_tests.rs"]
mod tests;
