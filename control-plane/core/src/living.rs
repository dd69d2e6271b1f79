//! Files that live: recognised by their names as what an editor, a package manager, a log or a volume makes and takes away
//! by itself. One change of such a thing is one incident, and nobody is asked to undo a part of it.
//!
//! A name is a weak sign. Names such as `syslog`, which programs and their configuration have too, count below a
//! directory of logs alone, and never for what was added or may be run; what is written all the time is seen by that.

use std::borrow::Cow;

/// What a path is by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Nothing that comes and goes by itself, as far as its name says.
    Plain,
    /// An editor's swap, lock or temporary file.
    Editor,
    /// A package manager's temporary file, which takes another's place in a moment.
    Unpacked,
    /// What a package manager leaves beside a configuration file for a person to compare.
    Leftover,
    /// A log or a rotated one.
    Log,
    /// A part of a volume of a ConfigMap, Secret or the like: the kubelet swaps all of it at once through `..data`.
    Volume,
}

/// What a person is told of such a path.
impl Nature {
    /// In a few words; empty for a plain path.
    pub fn words(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Editor => "an editor's own file",
            Self::Unpacked => "a package manager's own file",
            Self::Leftover => "left by a package manager for a person to compare",
            Self::Log => "a log",
            Self::Volume => "a volume that the kubelet swaps as a whole",
        }
    }

    /// Is it there for a moment only, as a rule?
    pub fn passes(self) -> bool {
        match self {
            Self::Editor | Self::Unpacked => true,
            Self::Plain | Self::Leftover | Self::Log | Self::Volume => false,
        }
    }
}

/// What package managers put behind the name of a file for a moment.
const UNPACKED: [&str; 5] = [".dpkg-new", ".dpkg-tmp", ".rpmtmp", ".ucf-tmp", ".dpkg-divert.tmp"];
/// What they leave behind the name of a configuration file.
const LEFT_OVER: [&str; 13] = [
    ".dpkg-old",
    ".dpkg-dist",
    ".dpkg-bak",
    ".dpkg-remove",
    ".ucf-old",
    ".ucf-dist",
    ".ucf-new",
    ".rpmnew",
    ".rpmsave",
    ".rpmorig",
    ".pacnew",
    ".pacsave",
    ".apk-new",
];
/// Logs whose names do not end as such: they are logs below one of [`LOG_DIRECTORIES`].
const LOGS: [&str; 6] = ["wtmp", "btmp", "lastlog", "faillog", "syslog", "utmp"];
/// Directories of logs, at any place of a path: `/var/log`, `/run`, `/srv/app/logs`.
const LOG_DIRECTORIES: [&str; 3] = ["log", "logs", "run"];

/// What is known of a file beside its path; nothing, by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct About {
    /// It was not there when its baseline was taken.
    pub added: bool,
    /// It may be run, or might have been.
    pub executable: bool,
}

/// What is this path by its name, and by what is known of it?
pub fn nature(path: &str, about: About) -> Nature {
    classify(path, about).0
}

/// The path that a change of this one is told of: the volume's `..data`, the log that was rotated, the configuration file
/// beside which something was left; itself otherwise.
pub fn subject(path: &str, about: About) -> Cow<'_, str> {
    classify(path, about).1
}

fn classify(path: &str, about: About) -> (Nature, Cow<'_, str>) {
    if let Some(volume) = volume(path) {
        return (Nature::Volume, Cow::Owned(volume));
    }
    let at = path.rfind('/').map_or(0, |at| at + 1);
    let (above, name) = path.split_at(at);
    if is_editors(name) {
        return (Nature::Editor, Cow::Borrowed(path));
    }
    let ends_with = |endings: &[&str]| {
        endings.iter().find_map(|end| name.strip_suffix(end)).filter(|base| !base.is_empty()).map(str::len)
    };
    if ends_with(&UNPACKED).is_some() || is_rpms(name) {
        return (Nature::Unpacked, Cow::Borrowed(path));
    }
    if let Some(base) = ends_with(&LEFT_OVER) {
        return (Nature::Leftover, Cow::Borrowed(&path[..above.len() + base]));
    }
    match log(above, name, about) {
        Some(base) => (Nature::Log, Cow::Borrowed(&path[..above.len() + base])),
        None => (Nature::Plain, Cow::Borrowed(path)),
    }
}

/// The `..data` of the volume that a path is a part of.
fn volume(path: &str) -> Option<String> {
    let mut above = 0;
    for part in path.split('/') {
        let stamped = part.strip_prefix("..").is_some_and(|rest| {
            rest == "data"
                || rest == "data_tmp"
                || (rest.starts_with("20") && rest.contains('_') && rest.contains('.'))
        });
        if stamped {
            return Some(format!("{}..data", &path[..above]));
        }
        above += part.len() + 1;
    }
    None
}

fn is_editors(name: &str) -> bool {
    let swap = name.starts_with('.')
        && name
            .rsplit_once(".sw")
            .is_some_and(|(_, end)| matches!(end.as_bytes(), [b'a'..=b'p' | b'x'] | [b'a'..=b'p', b'x']));
    // vim asks with this name whether it may write in a directory, and with the next ones if there is one.
    let asks = matches!(name, "4913" | "5036" | "5159");
    let emacs = name.starts_with(".#") || (name.len() > 2 && name.starts_with('#') && name.ends_with('#'));
    let others = name.starts_with(".goutputstream-")
        || name.ends_with(".kate-swp")
        || name.ends_with("___jb_tmp___")
        || name.ends_with("___jb_old___");
    // What GNU sed -i writes before it takes the place of the file.
    let sed = name.strip_prefix("sed").is_some_and(|rest| rest.len() == 6 && is_random(rest));
    // What rsync and what writes safely put before and behind the name of a file.
    let beside = name.strip_prefix('.').and_then(|rest| rest.rsplit_once('.'));
    let beside = beside.is_some_and(|(base, end)| {
        !base.is_empty() && (4..=12).contains(&end.len()) && is_random(end) && has_lower_or_digit(end)
    });
    swap || asks || emacs || others || sed || beside
}

/// Letters and digits as a program draws them: not a word, and no number.
fn is_random(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric())
        && text.bytes().any(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && text.bytes().any(|b| b.is_ascii_alphabetic())
}

fn has_lower_or_digit(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// The temporary names of rpm: `;` and eight hexadecimal digits behind the name.
fn is_rpms(name: &str) -> bool {
    name.rsplit_once(';').is_some_and(|(base, stamp)| {
        !base.is_empty() && stamp.len() == 8 && stamp.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// The length of a log's own name in the name of this one, rotated or not.
fn log(above: &str, name: &str, about: About) -> Option<usize> {
    let unpacked =
        [".gz", ".xz", ".zst", ".bz2"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let rotated = |base: &str, rest: &str| {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let is = rest.is_empty() || rest.strip_prefix(['.', '-']).is_some_and(digits) || rest == ".old";
        is.then_some(base.len())
    };
    if let Some(at) = unpacked.find(".log") {
        let (base, rest) = unpacked.split_at(at + ".log".len());
        return rotated(base, rest);
    }
    if about.executable || !above.split('/').any(|part| LOG_DIRECTORIES.contains(&part)) {
        return None;
    }
    let base = LOGS.iter().find_map(|base| rotated(base, unpacked.strip_prefix(base)?))?;
    // What was rotated was added, as it has to be; a log itself was there.
    (!about.added || base < name.len()).then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_and_goes_by_itself_is_known_by_its_name() {
        use Nature::{Editor, Leftover, Log, Unpacked, Volume};
        for (path, is, of) in [
            ("/etc/app/.app.conf.swp", Editor, "/etc/app/.app.conf.swp"),
            ("/etc/app/.app.conf.swo", Editor, "/etc/app/.app.conf.swo"),
            ("/etc/app/.app.conf.swpx", Editor, "/etc/app/.app.conf.swpx"),
            ("/etc/app/.app.conf.swx", Editor, "/etc/app/.app.conf.swx"),
            ("/etc/app/4913", Editor, "/etc/app/4913"),
            ("/etc/app/.#app.conf", Editor, "/etc/app/.#app.conf"),
            ("/etc/app/#app.conf#", Editor, "/etc/app/#app.conf#"),
            ("/etc/app/sedXy3kQ1", Editor, "/etc/app/sedXy3kQ1"),
            ("/etc/app/.app.conf.Xa81", Editor, "/etc/app/.app.conf.Xa81"),
            ("/etc/app/.app.conf.k3Jd9Q", Editor, "/etc/app/.app.conf.k3Jd9Q"),
            ("/etc/nginx/nginx.conf.dpkg-new", Unpacked, "/etc/nginx/nginx.conf.dpkg-new"),
            ("/usr/bin/curl;65f1a2b3", Unpacked, "/usr/bin/curl;65f1a2b3"),
            ("/etc/nginx/nginx.conf.dpkg-dist", Leftover, "/etc/nginx/nginx.conf"),
            ("/etc/nginx/nginx.conf.dpkg-old", Leftover, "/etc/nginx/nginx.conf"),
            ("/etc/yum.conf.rpmnew", Leftover, "/etc/yum.conf"),
            ("/srv/app/access.log", Log, "/srv/app/access.log"),
            ("/srv/app/access.log.1", Log, "/srv/app/access.log"),
            ("/srv/app/access.log.12.gz", Log, "/srv/app/access.log"),
            ("/srv/app/access.log-20261126.xz", Log, "/srv/app/access.log"),
            ("/var/log/syslog.1", Log, "/var/log/syslog"),
            ("/var/log/wtmp", Log, "/var/log/wtmp"),
            ("/var/log/wtmp-20261101.gz", Log, "/var/log/wtmp"),
            ("/vol/..data", Volume, "/vol/..data"),
            ("/vol/..data_tmp", Volume, "/vol/..data"),
            ("/vol/..2026_11_26_08_30_00.123456789/app.conf", Volume, "/vol/..data"),
        ] {
            let known = About::default();
            assert_eq!((nature(path, known), subject(path, known).as_ref()), (is, of), "{path}");
        }
    }

    #[test]
    fn what_is_only_named_alike_is_a_plain_file() {
        for path in [
            "/etc/app/app.conf",
            "/etc/app/app.swp.conf",
            "/etc/app/.swap",
            "/etc/app/sedimentary",
            "/etc/app/seduced",
            "/etc/logrotate.d/app",
            "/etc/app/login.defs",
            "/etc/app/app.logic",
            "/etc/app/app.log.conf",
            "/etc/app/catalog",
            "/etc/app/..hidden",
            "/etc/app/a..data",
            "/etc/app/.dpkg-new",
            "/etc/app/x;y",
            "/etc/app/backup~",
            "/etc/app/49130",
            "/etc/rsyslog.conf",
        ] {
            let known = About::default();
            assert_eq!((nature(path, known), subject(path, known).as_ref()), (Nature::Plain, path), "{path}");
        }
    }

    #[test]
    fn a_bare_name_is_a_log_below_a_directory_of_logs_and_not_where_it_was_added_or_may_be_run() {
        let known = About::default();
        let (added, executable) = (About { added: true, ..known }, About { executable: true, ..known });
        for path in ["/var/log/wtmp", "/run/utmp", "/srv/app/logs/syslog", "/var/log/a/lastlog"] {
            assert_eq!(nature(path, known), Nature::Log, "{path}");
            assert_eq!(nature(path, added), Nature::Plain, "added: {path}");
            assert_eq!(nature(path, executable), Nature::Plain, "may be run: {path}");
        }
        for path in [
            "/etc/logrotate.d/syslog",
            "/etc/logrotate.d/wtmp",
            "/etc/init.d/syslog",
            "/etc/cron.d/lastlog",
            "/usr/sbin/lastlog",
            "/etc/catalog/syslog",
            "/etc/logs.d/syslog",
            "syslog",
        ] {
            assert_eq!((nature(path, known), subject(path, known).as_ref()), (Nature::Plain, path), "{path}");
        }
        // What was rotated is told of its log, though it was added, unless it may be run.
        let of = |about| subject("/var/log/syslog.1", about).into_owned();
        assert_eq!((of(added).as_str(), of(executable).as_str()), ("/var/log/syslog", "/var/log/syslog.1"));
        assert_eq!(nature("/etc/app/x.log", added), Nature::Log, "its name ends as a log's");
    }
}
