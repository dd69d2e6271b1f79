//! Whether a root still stands where its baseline was taken: the directories are pinned with the baseline, and what a
//! changed way leads to is a problem, never a path.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;

use nimbus_agent_core::observe::file::Kind;
use nimbus_agent_core::observe::file::identity::{AtRoot, Identity, Pin};
use rustix::io::Errno;

use super::known::Known;
use super::place::{self, NoPlace, Place};
use super::root::Root;

/// What the baseline of an older agent lacks until the first look at its root.
const NOT_PINNED: &str = "directories that are not pinned yet";

impl Root {
    /// Opens the root, if it is what its baseline saw. A root without a baseline may be anything that no link leads to.
    pub fn place(&self) -> Result<Place, NoPlace> {
        let place = Place::open(self.path()).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                return NoPlace::Gone;
            }
            let link = [Errno::LOOP, Errno::NOTDIR].map(|errno| Some(errno.raw_os_error()));
            match (link.contains(&error.raw_os_error()), &self.known.pin) {
                (true, Some(_)) => NoPlace::Changed("a link or a file above it"),
                (true, None) => NoPlace::Link,
                (false, _) => NoPlace::Io(error),
            }
        })?;
        match &self.known.pin {
            Some(pin) => pin.check(&place.found, place::boot()).map_err(NoPlace::Changed)?,
            None if self.known.baselined => self.check_unpinned(&place)?,
            None => {}
        }
        Ok(place)
    }

    /// Opens the directory that holds `relative` below the root, and its name there; `""` means the root itself.
    pub fn open_parent(&self, relative: &str) -> io::Result<(OwnedFd, OsString)> {
        self.place()?.descend(relative)
    }

    /// True where the way leads to something else than the baseline saw.
    pub(super) fn is_astray(&self) -> bool {
        matches!(self.place(), Err(NoPlace::Changed(_) | NoPlace::Link))
    }

    /// Why nothing may be read or written through this root now; `None` where it may.
    pub fn astray(&self) -> Option<String> {
        match self.place() {
            Err(NoPlace::Changed(what)) => Some(self.changed(what)),
            Err(NoPlace::Link) => Some(self.by_link()),
            Ok(_) | Err(NoPlace::Gone) if self.known.baselined && self.known.pin.is_none() => {
                Some(self.changed(NOT_PINNED))
            }
            Ok(_) | Err(NoPlace::Gone | NoPlace::Io(_)) => None,
        }
    }

    /// The baseline of an older agent, which is not pinned yet: see [`Root::pin_if_missing`]. That nothing is there can be
    /// seen without reading anything.
    fn check_unpinned(&self, place: &Place) -> Result<(), NoPlace> {
        match place.found.root {
            AtRoot::Nothing => Ok(()),
            AtRoot::Other if self.baseline("").kind == Kind::Directory => {
                Err(NoPlace::Changed("a link or a file in its place"))
            }
            AtRoot::Other | AtRoot::Directory(_) => Err(NoPlace::Changed(NOT_PINNED)),
        }
    }

    /// The baseline of an older agent names no directories. They are pinned at its next start, if no link leads there; what
    /// that agent saw by way of a link is a problem instead.
    pub(super) fn pin_if_missing(&mut self) {
        if !self.known.baselined || self.known.pin.is_some() {
            return;
        }
        let Ok(place) = Place::open(self.path()) else { return };
        let fits = match place.found.root {
            AtRoot::Directory(_) => true,
            AtRoot::Other => self.baseline("").kind != Kind::Directory,
            AtRoot::Nothing => false,
        };
        if !fits {
            return;
        }
        tracing::info!(
            root = self.text(),
            "the baseline was taken by an earlier version, which did not note its directory: pinned as it is now"
        );
        self.known.pin = Some(Pin::of(&place.found, place::boot()));
        self.known.unsaved = true;
    }

    /// Device numbers hold for one start of the system; the pin is noted anew with those of this one.
    pub(super) fn refresh_pin(&mut self, place: &Place) {
        let Some(pin) = &self.known.pin else { return };
        let is_directory = matches!(place.found.root, AtRoot::Directory(_));
        if pin.boot != place::boot() && (is_directory || pin.root.is_none()) {
            self.known.pin = Some(Pin::of(&place.found, place::boot()));
            self.known.unsaved = true;
        }
    }

    /// A restore made the root's directory again: from now on it is this one.
    pub fn pin_made(&mut self, made: Identity) {
        if let Some(pin) = &mut self.known.pin {
            pin.root = Some(made);
            self.known.unsaved = true;
        }
    }

    /// After the way changed: a person who removed the baseline means what is there now.
    pub(super) fn forget_removed_baseline(&mut self) {
        if self.known.baselined && !self.baselines.has_baseline(self.text()) {
            self.known = Known { most: self.known.most, ..Known::default() };
        }
    }

    /// What was reported before is not known. It is a problem until the next start, which finds it written anew.
    pub(super) fn lost(&self) -> String {
        format!(
            "expected what was last reported of {} as it was written in {}, found it damaged: everything that differs \
             is reported again; look at the disk of this host",
            self.text(),
            self.baselines.reported_path(self.text()).display()
        )
    }

    pub(super) fn changed(&self, what: &str) -> String {
        format!(
            "expected {} to lead to the directory of its baseline, found {what}; nothing is read or restored there: put \
             the directory back, or, if what is there now is meant, remove {} to take it as the new baseline",
            self.text(),
            self.baselines.index_path(self.text()).display()
        )
    }

    pub(super) fn by_link(&self) -> String {
        let instead = place::link_on_the_way(self.path()).map_or_else(String::new, |(link, leads_to)| {
            format!(": {} is one; watch {} instead", link.display(), leads_to.display())
        });
        format!("expected {} to be reached without a symbolic link, found one{instead}", self.text())
    }
}
