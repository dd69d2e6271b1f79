//! Tests of passes over a real directory: what becomes the baseline, which differences are reported, and what a restart
//! remembers.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use nimbus_agent_core::observe::file::MAX_READ;

use super::super::baseline::whole::Whole;
use super::super::tree::Visit;
use super::*;

mod accepted;
mod damaged;
mod place;

struct Site {
    dir: tempfile::TempDir,
    root: Root,
}

/// Far enough in the future that every stamp has settled.
const LATER: i64 = i64::MAX / 2;

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("root/sub")).unwrap();
        std::fs::write(dir.path().join("root/a"), "alpha\n").unwrap();
        std::fs::write(dir.path().join("root/sub/b"), "beta\n").unwrap();
        let root = open(&dir);
        Self { dir, root }
    }

    fn pass(&mut self) -> Vec<v1::File> {
        let mut told = Vec::new();
        self.root.full_pass(LATER, &mut |file| told.push(file));
        told
    }

    /// A pass that may not list one directory, or finds a file system mounted on it.
    fn pass_with(&mut self, dir: &'static str, is: Is) -> Vec<v1::File> {
        let mut told = Vec::new();
        self.root.pass_by(LATER, &mut |file| told.push(file), |place, scan| {
            tree::walk(place, &mut Through(scan, dir, is))
        });
        told
    }

    fn restart(&mut self) {
        self.root = open(&self.dir);
    }

    fn file(&self, relative: &str) -> PathBuf {
        self.dir.path().join("root").join(relative)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Is {
    Locked,
    /// Locked, and it may not even be opened to look at itself.
    Closed,
    Mounted,
}

/// A walk in which one directory is what a test cannot make it, whoever runs it.
struct Through<'a, 'b>(&'a mut Scan<'b>, &'static str, Is);

impl Visit for Through<'_, '_> {
    fn wants(&self, relative: &str) -> bool {
        self.0.wants(relative)
    }
    fn entry(&mut self, relative: &str, dir: BorrowedFd<'_>, name: &OsStr, kind: Kind) {
        if relative == self.1 && self.2 == Is::Closed {
            let entry = tree::examine(dir, name).entry;
            return self.0.note(relative, tree::unopened(entry, rustix::io::Errno::ACCESS), false);
        }
        self.0.entry(relative, dir, name, kind);
    }
    fn enter(&mut self, relative: &str, mounted: bool) -> Result<(), String> {
        let here = relative == self.1;
        if here && matches!(self.2, Is::Locked | Is::Closed) {
            return Err("permission denied".to_owned());
        }
        self.0.enter(relative, mounted || here)
    }
    fn listed(&mut self, relative: &str) {
        self.0.listed(relative);
    }
    fn problem(&mut self, relative: &str, problem: String) {
        self.0.problem(relative, problem);
    }
}

fn open(dir: &tempfile::TempDir) -> Root {
    let store = Baselines::open(&dir.path().join("baseline")).unwrap();
    let mut root = Root::new(dir.path().join("root"), &[dir.path().join("root/own")], Arc::new(store));
    let (policy, _) = Policy::parse(&format!("diff_paths = [{:?}]\n", dir.path().join("root"))).unwrap();
    root.show_by(policy);
    root
}

fn names(told: &[v1::File]) -> Vec<String> {
    told.iter().map(|file| file.path.rsplit_once("root/").map_or("", |(_, name)| name).to_owned()).collect()
}

fn is_right(file: &v1::File) -> bool {
    file.baseline == file.current
}

#[test]
fn contents_are_in_no_report_where_the_policy_does_not_name_the_path() {
    let mut site = Site::new();
    site.root.show_by(Policy::default());
    site.pass();
    std::fs::write(site.file("a"), "ALPHA\n").unwrap();
    let told = site.pass();
    assert_eq!((told[0].diff.as_str(), told[0].diff_withheld.as_str()), ("", "policy"));
    let lines = v1::LineCounts { before: 1, after: 1, added: Some(1), removed: Some(1) };
    assert_eq!(told[0].lines, Some(lines));
    // A policy that changes is in force from the next report on.
    let (policy, _) = Policy::parse(&format!("diff_paths = [{:?}]\n", site.file("a"))).unwrap();
    site.root.show_by(policy);
    let mut told = Vec::new();
    site.root.report_all(&mut |file| told.push(file));
    assert!(told[0].diff.contains("-alpha") && told[0].diff_withheld.is_empty(), "{:?}", told[0]);
}

#[test]
fn the_first_pass_is_the_baseline_and_later_only_differences_are_told() {
    let mut site = Site::new();
    assert!(site.pass().is_empty());
    let status = site.root.status();
    assert_eq!((status.files, status.problem.as_str(), status.baseline_digest.len()), (2, "", 32));
    assert!(site.pass().is_empty());

    std::fs::write(site.file("a"), "ALPHA\n").unwrap();
    std::fs::write(site.file("sub/new"), "x").unwrap();
    std::fs::set_permissions(site.file("sub/b"), PermissionsExt::from_mode(0o600)).unwrap();
    let mut told = site.pass();
    told.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(names(&told), ["a", "sub/b", "sub/new"]);
    assert!(told.iter().all(|file| !is_right(file)));
    assert!(told[0].diff.contains("-alpha") && told[0].diff.contains("+ALPHA"), "{}", told[0].diff);
    assert!(site.pass().is_empty(), "told once");

    std::fs::write(site.file("a"), "alpha\n").unwrap();
    std::fs::remove_file(site.file("sub/new")).unwrap();
    let told = site.pass();
    assert_eq!(names(&told), ["a", "sub/new"]);
    assert!(told.iter().all(is_right));
}

#[test]
fn what_came_right_while_the_agent_was_down_is_told_after_the_restart() {
    let mut site = Site::new();
    site.pass();
    std::fs::write(site.file("a"), "ALPHA\n").unwrap();
    assert_eq!(site.pass().len(), 1);
    site.restart();
    let told = site.pass();
    assert!(
        told.len() == 1 && !is_right(&told[0]),
        "drift is told again to a control plane that may not know it"
    );
    std::fs::write(site.file("a"), "alpha\n").unwrap();
    site.restart();
    let told = site.pass();
    assert!(told.len() == 1 && is_right(&told[0]));
    site.restart();
    assert!(site.pass().is_empty());
}

#[test]
fn a_single_path_is_looked_at_alone_and_a_directory_asks_for_a_pass() {
    let mut site = Site::new();
    site.pass();
    std::fs::remove_file(site.file("a")).unwrap();
    let mut told = Vec::new();
    assert!(site.root.check("a", LATER, &mut |file| told.push(file)));
    assert_eq!(told[0].current.as_ref().unwrap().kind, "absent");
    assert!(!site.root.check("sub", LATER, &mut |_| panic!("a directory is not told alone")));
    assert!(site.root.check("never-there", LATER, &mut |_| panic!("nothing to tell")));
}

#[test]
fn a_damaged_baseline_is_a_problem_and_not_replaced() {
    let mut site = Site::new();
    site.pass();
    let index = std::fs::read_dir(site.dir.path().join("baseline"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "index"))
        .unwrap();
    std::fs::write(&index, "garbage").unwrap();
    site.restart();
    assert!(site.pass().is_empty() && site.root.waits());
    assert!(site.root.status().problem.contains("restore that file from a backup"));
    assert_eq!(std::fs::read(&index).unwrap(), b"garbage");
}

#[test]
fn the_agents_own_data_below_a_root_is_left_out() {
    let mut site = Site::new();
    site.pass();
    std::fs::create_dir(site.file("own")).unwrap();
    std::fs::write(site.file("own/spool"), "x").unwrap();
    assert!(site.pass().is_empty());
    assert!(site.root.check("own/spool", LATER, &mut |file| panic!("told {}", file.path)));
}

#[test]
fn a_watched_file_is_a_root_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hosts");
    std::fs::write(&path, "127.0.0.1\n").unwrap();
    let store = Arc::new(Baselines::open(&dir.path().join("baseline")).unwrap());
    let mut root = Root::new(path.clone(), &[], store);
    root.full_pass(LATER, &mut |_| panic!("first pass"));
    std::fs::write(&path, "127.0.0.2\n").unwrap();
    let mut told = Vec::new();
    assert!(root.check("", LATER, &mut |file| told.push(file)));
    assert_eq!((told[0].path.as_str(), told[0].root.as_str()), (root.text(), root.text()));
}

#[test]
fn a_directory_that_the_baseline_could_not_read_is_adopted_when_it_can_be() {
    let mut site = Site::new();
    assert!(site.pass_with("sub", Is::Locked).is_empty());
    assert!(site.root.is_incomplete("sub/b") && site.root.status().problem.contains("sub"));
    site.restart();
    assert!(site.pass_with("sub", Is::Locked).is_empty());
    assert!(!site.root.check("sub/b", LATER, &mut |file| panic!("told {}", file.path)));
    assert!(site.pass().is_empty(), "not added: it was there before");
    assert_eq!((site.root.is_incomplete("sub/b"), site.root.status().files), (false, 2));
    let hash = site.root.baseline("sub/b").sha256.unwrap();
    assert_eq!(site.root.baselines().blob(&hash).unwrap().unwrap(), b"beta\n");
    site.restart();
    std::fs::write(site.file("sub/b"), "BETA\n").unwrap();
    std::fs::write(site.file("sub/new"), "x").unwrap();
    let mut told = names(&site.pass());
    told.sort();
    assert_eq!(told, ["sub/b", "sub/new"]);
}

#[test]
fn a_directory_that_may_not_be_opened_is_one_problem() {
    let mut site = Site::new();
    site.pass();
    let told = site.pass_with("sub", Is::Closed);
    assert!(told.iter().all(|file| file.path.ends_with("/sub")), "what is below stays as it was: {told:?}");
    let problem = site.root.status().problem;
    assert!(problem.contains("1 paths that may not be read, such as \"sub\""), "{problem}");
    assert!(!problem.contains("attributes"), "{problem}");
    assert!(site.pass().iter().all(is_right));
    assert_eq!(site.root.status().problem, "");
}

#[test]
fn a_path_beyond_the_bound_of_the_baseline_is_never_added() {
    let mut site = Site::new();
    site.root.known.most = 2;
    site.pass();
    assert!(site.root.status().problem.contains("not watched"));
    site.restart();
    assert!(site.pass().is_empty());
    assert_eq!(site.root.status().files, 2);
}

#[test]
fn names_that_are_no_text_are_watched_shown_escaped_and_addressed_exactly() {
    let mut site = Site::new();
    let odd = |site: &Site| site.file("sub").join(OsStr::from_bytes(b"caf\xe9\n"));
    // Its look-alike is another file.
    let alike = |site: &Site| site.file(r"sub/caf\xe9\x0a");
    std::fs::write(odd(&site), "one").unwrap();
    std::fs::write(alike(&site), "two").unwrap();
    assert!(site.pass().is_empty());
    assert_eq!((site.root.status().problem.as_str(), site.root.status().files), ("", 4));
    std::fs::write(odd(&site), "ONE").unwrap();
    let told = site.pass();
    assert_eq!(names(&told), [r"sub/caf\xe9\x0a"]);
    assert!(told[0].path_bytes.ends_with(b"sub/caf\xe9\n"), "{:?}", told[0].path_bytes);
    let relative = site.root.relative(&told[0].path).unwrap().to_owned();
    assert_eq!(site.root.look(&relative).content.unwrap(), b"ONE");
    site.root.accept(&relative, |_| true).unwrap();
    site.restart();
    assert!(site.pass().iter().all(is_right));
    std::fs::remove_file(alike(&site)).unwrap();
    assert_eq!(names(&site.pass()), [r"sub/caf\x5cxe9\x5cx0a"]);
}

#[test]
fn the_names_in_the_baseline_of_an_older_agent_are_the_names_that_they_were() {
    let mut site = Site::new();
    std::fs::write(site.file(r"home-\xc3\xa4.mount"), "x").unwrap();
    site.pass();
    let store = site.root.baselines.clone();
    let mut index = Whole::load(&store, site.root.text()).unwrap().unwrap();
    let entry = index.entries.remove(r"home-\x5cxc3\x5cxa4.mount").unwrap();
    index.entries.insert(r"home-\xc3\xa4.mount".into(), entry);
    index.save_as_an_older_agent(&store, site.root.text());
    site.restart();
    assert!(site.pass().is_empty());
}

#[test]
fn what_is_left_out_later_is_no_drift() {
    let mut site = Site::new();
    std::fs::create_dir(site.file("own")).unwrap();
    let store = Arc::new(Baselines::open(&site.dir.path().join("baseline")).unwrap());
    site.root = Root::new(site.dir.path().join("root"), &[], store.clone());
    std::fs::write(site.file("own/app.log"), "one\n").unwrap();
    site.pass();
    std::fs::write(site.file("own/app.log"), "two\n").unwrap();
    assert_eq!(site.pass().len(), 1);
    site.restart();
    assert!(site.pass().is_empty(), "neither the change nor that it is not looked at any more");
}

#[test]
fn a_long_file_is_compared_by_size_and_time_and_its_observation_says_so() {
    let mut site = Site::new();
    let long = std::fs::File::create(site.file("long")).unwrap();
    long.set_len(MAX_READ + 1).unwrap();
    std::fs::write(site.file("grows"), "x").unwrap();
    assert!(site.pass().is_empty() && site.root.status().problem.is_empty());
    assert!(site.root.look("long").content.is_none(), "it is not read");
    long.set_len(1 << 42).unwrap();
    std::fs::File::create(site.file("grows")).unwrap().set_len(MAX_READ + 1).unwrap();
    let mut told = site.pass();
    told.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(names(&told), ["grows", "long"]);
    // Only the baseline of the long one is not kept: the other can be restored.
    assert_eq!([&told[0].diff_withheld, &told[1].diff_withheld], ["too large", "content not kept"]);
    for file in &told {
        assert!(file.current.as_ref().unwrap().problem.contains("compared by size"), "{file:?}");
    }
    // A later modification of the same size is a change too, also after a restart.
    site.restart();
    site.pass();
    let later = std::fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
    long.set_times(later).unwrap();
    assert_eq!(names(&site.pass()), ["long"]);
}

#[test]
fn a_pass_reads_only_what_was_written_since_the_one_before() {
    let mut site = Site::new();
    site.pass();
    let stamp = |site: &Site, path: &str| site.root.known.tracked[path].stamp;
    let before = stamp(&site, "a");
    assert!(before.is_some(), "a file at rest need not be read again");
    std::fs::write(site.file("a"), "ALPHA\n").unwrap();
    let mut told = Vec::new();
    // This very moment another write could get the same time: it is read again by the next pass.
    site.root.full_pass(0, &mut |file| told.push(file));
    assert_eq!((names(&told), stamp(&site, "a")), (vec!["a".to_owned()], None));
    assert!(site.pass().is_empty());
    assert!(stamp(&site, "a").is_some() && stamp(&site, "a") != before);
}

#[test]
fn of_restores_only_the_temporary_file_of_one_that_is_under_way_is_not_watched() {
    let mut site = Site::new();
    site.pass();
    let job = "job_01a215d4cbc1772d8bb332fc46367d61";
    let own = format!("sub/.nimbus-restore-{job}");
    let under_way = site.root.baselines.restores().begin(job.parse().unwrap());
    std::fs::write(site.file(&own), "x").unwrap();
    assert!(site.pass().is_empty());
    assert!(site.root.check(&own, LATER, &mut |file| panic!("told {}", file.path)));
    // What is only called so is somebody's, and so is all below a directory of that very name.
    let dir = format!(".nimbus-restore-{job}");
    std::fs::create_dir(site.file(&dir)).unwrap();
    std::fs::write(site.file(&dir).join("inside"), "x").unwrap();
    std::fs::write(site.file("sub/.nimbus-restore-hidden"), "x").unwrap();
    let mut told = names(&site.pass());
    told.sort();
    assert_eq!(told, [dir.clone(), format!("{dir}/inside"), "sub/.nimbus-restore-hidden".to_owned()]);
    assert!(site.pass().is_empty(), "it stays what it is");
    drop(under_way);
    assert_eq!(names(&site.pass()), std::slice::from_ref(&own), "left by a job that has ended");
    site.restart();
    let mut told = site.pass();
    told.retain(|file| file.path.ends_with(&own));
    assert!(told.len() == 1 && !is_right(&told[0]), "nor does it heal while it stands there");
}

#[test]
fn content_that_is_not_kept_is_said_of_every_drift_and_a_links_target_is_shown() {
    let mut site = Site::new();
    let more = usize::try_from(MAX_READ).unwrap() + 1;
    std::fs::write(site.file("large"), vec![b'x'; more]).unwrap();
    std::os::unix::fs::symlink("one", site.file("link")).unwrap();
    site.pass();
    std::fs::set_permissions(site.file("large"), PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::remove_file(site.file("link")).unwrap();
    std::os::unix::fs::symlink("two", site.file("link")).unwrap();
    let mut told = site.pass();
    told.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(names(&told), ["large", "link"]);
    assert_eq!(told[0].diff_withheld, "content not kept");
    assert!(told[1].diff.contains("-one") && told[1].diff_withheld.is_empty(), "{:?}", told[1]);
}

#[test]
fn where_what_was_reported_is_damaged_everything_is_reported_again() {
    let mut site = Site::new();
    site.pass();
    std::fs::write(site.file("a"), "changed\n").unwrap();
    assert_eq!(site.pass().len(), 1);
    assert!(site.root.was_taken(), "from the first pass");
    let reported = site.root.baselines.index_path(site.root.text()).with_extension("reported");
    std::fs::write(reported, "short").unwrap();
    site.restart();
    site.pass();
    assert!(site.root.was_taken(), "a full report is owed");
    let said = site.root.status().problem;
    assert!(said.contains(".reported, found it damaged: everything that differs is reported"), "{said}");
    site.pass();
    assert_eq!(site.root.status().problem, said, "seen also by whoever looks later");
    site.restart();
    site.pass();
    assert!(!site.root.was_taken(), "it was written anew");
    assert_eq!(site.root.status().problem, "");
}
