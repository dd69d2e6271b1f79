//! Which file or directory a path leads to: the inode behind the name, told apart from every other one.

/// Tells one file or directory from every other one, whatever it is called by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Identity {
    /// The device that it is on. Its number may be another one after the system started anew.
    pub device: u64,
    /// Its inode there.
    pub inode: u64,
    /// When it was made, nanoseconds since the Unix epoch; 0 where the file system does not say. Nobody can set it, and an
    /// inode that is used again has another one.
    pub born_ns: i64,
}

impl Identity {
    /// Is `found` the same one? Without the same start of the system (`same_boot`) the device's number is no evidence, and
    /// the time when it was made is.
    pub fn is(&self, found: &Self, same_boot: bool) -> bool {
        let both_born = self.born_ns != 0 && found.born_ns != 0;
        let device = self.device == found.device || (!same_boot && both_born);
        self.inode == found.inode && device && (!both_born || self.born_ns == found.born_ns)
    }
}

/// The directories that a root's baseline saw: a root is watched and restored in these and in no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The start of the system during which it was taken; empty where the system does not say.
    pub boot: String,
    /// The directory that holds the root.
    pub parent: Identity,
    /// The root itself, if it is a directory. A root that is a file may be replaced, as editors do.
    pub root: Option<Identity>,
}

/// What was found on the way to a root, every directory opened from `/` on without following a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The directory that holds the root.
    pub parent: Identity,
    /// What has the root's name there.
    pub root: AtRoot,
}

/// What has a root's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtRoot {
    /// A directory.
    Directory(Identity),
    /// Something else: a file, a link, a device.
    Other,
    /// Nothing.
    Nothing,
}

impl Pin {
    /// The pin of what was found. Without a directory at the root's name its parent alone is pinned.
    pub fn of(found: &Found, boot: &str) -> Self {
        let root = match found.root {
            AtRoot::Directory(identity) => Some(identity),
            AtRoot::Other | AtRoot::Nothing => None,
        };
        Self { boot: boot.to_owned(), parent: found.parent, root }
    }

    /// Does the path still lead to what the baseline saw? If not, what it leads to instead.
    pub fn check(&self, found: &Found, boot: &str) -> Result<(), &'static str> {
        let same_boot = self.boot == boot;
        let same_parent = self.parent.is(&found.parent, same_boot);
        match (self.root, found.root) {
            (Some(pinned), AtRoot::Directory(now)) if pinned.is(&now, same_boot) => Ok(()),
            (Some(_), AtRoot::Directory(_)) => Err("another directory in its place"),
            (Some(_), AtRoot::Other) => Err("a link or a file in its place"),
            // A directory may go, as anything may, and a file may be replaced: then it differs from its baseline.
            (Some(_), AtRoot::Nothing) | (None, _) if same_parent => Ok(()),
            (Some(_), AtRoot::Nothing) | (None, _) => Err("another directory above it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "one";
    const HERE: Identity = Identity { device: 1, inode: 7, born_ns: 900 };
    const ABOVE: Identity = Identity { device: 1, inode: 2, born_ns: 100 };

    #[test]
    fn an_inode_that_is_used_again_is_another_one_and_a_device_may_get_another_number() {
        let same = |other: Identity, same_boot| HERE.is(&other, same_boot);
        assert!(same(HERE, true) && same(HERE, false));
        assert!(
            !same(Identity { born_ns: 901, ..HERE }, true),
            "made later, in the inode of one that is gone"
        );
        assert!(!same(Identity { device: 2, ..HERE }, true), "the same numbers on another file system");
        assert!(same(Identity { device: 2, ..HERE }, false), "disks were numbered anew at the start");
        assert!(!same(Identity { device: 2, born_ns: 901, ..HERE }, false));
        assert!(!same(Identity { inode: 8, ..HERE }, true) && !same(Identity { inode: 8, ..HERE }, false));
        // A file system that does not say when a file was made.
        let silent = Identity { born_ns: 0, ..HERE };
        assert!(silent.is(&silent, true) && silent.is(&silent, false));
        assert!(!silent.is(&Identity { device: 2, ..silent }, false), "nothing is left to tell them apart");
    }

    #[test]
    fn a_root_that_became_another_directory_a_link_or_a_file_is_a_problem() {
        let pin = Pin::of(&Found { parent: ABOVE, root: AtRoot::Directory(HERE) }, BOOT);
        let other = Identity { inode: 9, ..HERE };
        let check = |parent, root| pin.check(&Found { parent, root }, BOOT);
        assert_eq!(check(ABOVE, AtRoot::Directory(HERE)), Ok(()));
        assert_eq!(check(other, AtRoot::Directory(HERE)), Ok(()), "it was moved together with its name");
        assert_eq!(check(ABOVE, AtRoot::Directory(other)), Err("another directory in its place"));
        assert_eq!(check(ABOVE, AtRoot::Other), Err("a link or a file in its place"));
        assert_eq!(check(ABOVE, AtRoot::Nothing), Ok(()), "what is gone is drift");
        assert_eq!(check(other, AtRoot::Nothing), Err("another directory above it"));
    }

    #[test]
    fn a_root_that_is_a_file_may_be_replaced_and_its_directory_may_not() {
        let pin = Pin::of(&Found { parent: ABOVE, root: AtRoot::Other }, BOOT);
        let other = Identity { inode: 9, ..ABOVE };
        for root in [AtRoot::Other, AtRoot::Nothing, AtRoot::Directory(HERE)] {
            assert_eq!(pin.check(&Found { parent: ABOVE, root }, BOOT), Ok(()));
            assert_eq!(pin.check(&Found { parent: other, root }, BOOT), Err("another directory above it"));
        }
        let renumbered = Identity { device: 5, ..ABOVE };
        assert_eq!(pin.check(&Found { parent: renumbered, root: AtRoot::Other }, "two"), Ok(()));
    }
}
