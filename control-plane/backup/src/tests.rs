//! Whole backups on SQLite: the way there and back, everything that can be wrong with one, and a restore that was cut off.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret as _;
use jiff::Timestamp;
use nimbus_control_core::model::{ChangeSet, Versioned};
use nimbus_store::story::things::{agent, audit, batch};
use nimbus_store::{History, Sharing, Store, StoreUrl};

use super::*;
use crate::format::{FORMAT, Record, sha256};

/// The certificate of some CA.
const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n";
const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// A data directory with a history, and the keys to open its backups.
struct Site {
    dir: tempfile::TempDir,
    store: Store,
    identity: PathBuf,
    recipient: String,
}

impl Site {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        for (name, text) in
            [("ca.pem", PEM), ("ca.key", "k1"), ("job.key", "k2"), ("operator.token", "nbo_1")]
        {
            std::fs::write(data.join(name), text).unwrap();
            // As a volume's group may make them.
            let mode = 0o660;
            std::fs::set_permissions(data.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        std::fs::write(data.join("epoch"), "7\n").unwrap();
        let store = Store::open(&StoreUrl::sqlite(data.join("nimbus.db"))).await.unwrap();
        store.next_epoch().await.unwrap();
        store.belong_to(&sha256(&[0, 1, 2])).await.unwrap();
        let changes = ChangeSet {
            agents: (1..=50).map(|n| Versioned::new(agent(n))).collect(),
            audit: vec![audit("agent.joined", "agt_1")],
            ..ChangeSet::default()
        };
        store.commit(&changes).await.unwrap();
        let mut large = batch(1, 1, 4);
        large.payload = (0..300_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        store.append(&[large, batch(2, 1, 9)]).await.unwrap();
        let key = age::x25519::Identity::generate();
        let identity = dir.path().join("identity");
        std::fs::write(&identity, format!("# a comment\n{}\n", key.to_string().expose_secret())).unwrap();
        Self { store, identity, recipient: key.to_public().to_string(), dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn source(&self) -> Source {
        Source { data_dir: self.path("data"), database: None, keys: None }
    }

    fn sealing(&self) -> Sealing {
        Sealing::recipients(std::slice::from_ref(&self.recipient)).unwrap()
    }

    fn opening(&self) -> Opening {
        Opening::identity_file(&self.identity).unwrap()
    }

    async fn backup(&self, name: &str) -> PathBuf {
        let out = self.path(name);
        create(&self.source(), &out, &self.sealing(), NOW, |_| ()).await.unwrap();
        out
    }

    async fn restore(&self, file: &Path, to: &str) -> Result<Restored, BackupError> {
        let target = Target { data_dir: self.path(to), database: None };
        restore(file, &self.opening(), &target, NOW, |_| ()).await
    }

    /// The lines of a backup, and a file with other lines that is sealed as a backup is.
    async fn lines(&self) -> Vec<String> {
        let (bytes, ..) =
            create::write(&self.source(), Vec::new(), Path::new("x"), NOW, |_| ()).await.unwrap();
        String::from_utf8(bytes).unwrap().split_inclusive('\n').map(str::to_owned).collect()
    }

    fn seal(&self, text: &str) -> PathBuf {
        let path = self.path("other");
        let mut sealed = self.sealing().wrap(std::fs::File::create(&path).unwrap(), &path).unwrap();
        sealed.write_all(text.as_bytes()).unwrap();
        sealed.finish().unwrap();
        path
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_backed_up_comes_back_with_a_higher_epoch() {
    let site = Site::new().await;
    let out = site.backup("b.age").await;
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    let report = verify(&out, &site.opening(), |_| ()).unwrap();
    assert_eq!((report.head.epoch, report.head.database.as_str()), (7, "sqlite"));
    let rows = |name: &str| report.manifest.tables.iter().find(|table| table.name == name).unwrap().rows;
    assert_eq!((rows("agents"), rows("observations"), rows("audit"), rows("plans")), (50, 2, 1, 0));

    let restored = site.restore(&out, "new").await.unwrap();
    assert!(!restored.resumed && restored.epoch > 7 + 1_000_000, "{restored:?}");
    let new = site.path("new");
    assert_eq!(
        names(&new),
        ["ca.key", "ca.pem", "epoch", "job.key", "lock", "nimbus.db", "operator.token"],
        "no marker is left"
    );
    for name in ["ca.key", "ca.pem", "job.key", "operator.token"] {
        let path = new.join(name);
        assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(site.path("data").join(name)).unwrap());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if name == "ca.pem" { 0o644 } else { 0o600 }, "{name}");
    }
    assert_eq!(std::fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o700);
    let url = StoreUrl::sqlite(new.join("nimbus.db"));
    let store = Store::open_for(&url, History::Expected, Sharing::Alone, &sha256(&[0, 1, 2])).await.unwrap();
    assert!(store.verify_audit().await.unwrap().is_ok());
    assert_eq!(store.check_rows().await.unwrap(), Vec::<String>::new());
    assert_eq!(store.high_water_marks().await.unwrap(), site.store.high_water_marks().await.unwrap());
    assert_eq!(store.read_log(0, 9).await.unwrap(), site.store.read_log(0, 9).await.unwrap());
    let noted: u64 = std::fs::read_to_string(new.join("epoch")).unwrap().trim().parse().unwrap();
    assert_eq!(noted, restored.epoch);
    assert!(store.epoch_after(noted).await.unwrap() > restored.epoch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passphrase_opens_what_it_sealed_and_nothing_else_does() {
    let site = Site::new().await;
    let (right, wrong, short) = (site.path("right"), site.path("wrong"), site.path("short"));
    std::fs::write(&right, "correct horse battery\nsecond line\n").unwrap();
    std::fs::write(&wrong, "incorrect horse battery\n").unwrap();
    std::fs::write(&short, "horse\n").unwrap();
    assert!(Sealing::passphrase_file(&short).err().unwrap().to_string().contains("found 5 characters"));
    let out = site.path("p.age");
    create(&site.source(), &out, &Sealing::passphrase_file(&right).unwrap(), NOW, |_| ()).await.unwrap();
    verify(&out, &Opening::passphrase_file(&right).unwrap(), |_| ()).unwrap();
    let error = verify(&out, &Opening::passphrase_file(&wrong).unwrap(), |_| ()).unwrap_err();
    assert!(matches!(error, BackupError::WrongKey { expected: "passphrase", .. }), "{error}");
    let error = verify(&out, &site.opening(), |_| ()).unwrap_err().to_string();
    assert!(error.contains("--passphrase-file") && !error.contains("horse"), "{error}");

    let out = site.backup("r.age").await;
    let error = verify(&out, &Opening::passphrase_file(&right).unwrap(), |_| ()).unwrap_err();
    assert!(error.to_string().contains("--identity"), "{error}");
    let other = site.path("other-identity");
    let key = age::x25519::Identity::generate();
    std::fs::write(&other, key.to_string().expose_secret()).unwrap();
    let error = verify(&out, &Opening::identity_file(&other).unwrap(), |_| ()).unwrap_err();
    assert!(matches!(error, BackupError::WrongKey { expected: "identity", .. }), "{error}");
    let secret = key.to_string().expose_secret().to_owned();
    let error = Sealing::recipients(std::slice::from_ref(&secret)).err().unwrap().to_string();
    assert!(error.contains("age1") && !error.contains(&secret), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_and_every_cut_are_found() {
    let site = Site::new().await;
    let whole = std::fs::read(site.backup("b.age").await).unwrap();
    let path = site.path("damaged");
    for at in [30, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = verify(&path, &site.opening(), |_| ()).unwrap_err();
        assert!(!matches!(error, BackupError::Io { .. }), "{at}: {error}");
    }
    // An age file is encrypted in pieces of 64 KiB: cut between two of them, each piece that is left is whole.
    let header = whole.len() % (65_536 + 16);
    for length in [0, 10, 150, header, header + 65_552, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = verify(&path, &site.opening(), |_| ()).unwrap_err();
        assert!(
            matches!(error, BackupError::Truncated { .. } | BackupError::Damaged { .. }),
            "{length}: {error:?}"
        );
        let refused = site.restore(&path, "new").await.unwrap_err();
        assert!(!site.path("new").exists(), "{refused}");
    }
    std::fs::write(&path, "no backup at all, and longer than the first line of one\n".repeat(9)).unwrap();
    let error = verify(&path, &site.opening(), |_| ()).unwrap_err();
    assert!(matches!(error, BackupError::NoBackup { .. }), "{error}");
}

/// Whatever a path leads to, only so much of it is read before it is refused: /dev/zero never ends.
#[tokio::test]
async fn a_file_whose_head_has_no_end_is_refused_after_64_kib() {
    let site = Site::new().await;
    let path = site.path("endless");
    for line in ["\0".repeat(1000), "-> x AAAA\n".to_owned()] {
        let text = format!("age-encryption.org/v1\n{}", line.repeat(200_000 / line.len()));
        std::fs::write(&path, text).unwrap();
        let error = verify(&path, &site.opening(), |_| ()).unwrap_err();
        assert!(error.to_string().contains("no end in its first 64 KiB"), "{error}");
    }
    for other in [Path::new("/dev/zero"), site.path("").as_path()] {
        let error = verify(other, &site.opening(), |_| ()).unwrap_err();
        assert!(error.to_string().contains("no regular file"), "{error}");
    }
}

/// Nobody writes into the pipe: what waited for it would not end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_in_the_place_of_any_file_is_refused_at_once() {
    let site = Site::new().await;
    let pipe = |name: &str| {
        let path = site.path(name);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    };
    let path = pipe("pipe");
    let target = Target { data_dir: site.path("restored"), database: None };
    let errors = [
        verify(&path, &site.opening(), |_| ()).unwrap_err(),
        rehearse(&path, &site.opening(), &target, |_| ()).unwrap_err(),
        Sealing::passphrase_file(&path).err().unwrap(),
        Opening::passphrase_file(&path).err().unwrap(),
        Opening::identity_file(&path).err().unwrap(),
    ];
    for error in errors {
        assert!(error.to_string().contains("a pipe"), "{error}");
    }
    // What a shell hands over, as by `<(…)`, has somebody who writes.
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, b"a passphrase of a vault\n").unwrap();
    drop(writer);
    let number = std::os::fd::AsRawFd::as_raw_fd(&reader);
    assert!(Sealing::passphrase_file(format!("/proc/self/fd/{number}").as_ref()).is_ok());
    // Its end was reached, and no other passphrase is there: it was read, and not refused as a pipe.
    let error = Sealing::passphrase_file(format!("/dev/fd/{number}").as_ref()).err().unwrap();
    assert!(error.to_string().contains("a passphrase in the first line"), "{error}");
    std::fs::remove_file(site.path("data/ca.pem")).unwrap();
    pipe("data/ca.pem");
    let error = create(&site.source(), &site.path("out"), &site.sealing(), NOW, |_| ()).await.unwrap_err();
    assert!(error.to_string().contains("ca.pem") && error.to_string().contains("a pipe"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_were_changed_left_out_or_added_are_found() {
    let site = Site::new().await;
    let lines = site.lines().await;
    assert!(verify(&site.seal(&lines.concat()), &site.opening(), |_| ()).is_ok());
    let row = lines.iter().position(|line| line.starts_with('[')).unwrap();
    let file = lines.iter().position(|line| line.starts_with("{\"file\"")).unwrap();
    let table = lines.iter().position(|line| line.starts_with("{\"table\"")).unwrap();
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat().concat();
    let with = |at: usize, line: &str| [&lines[..at], &[line.to_owned()], &lines[at..]].concat().concat();
    for (what, text) in [
        ("a row that is missing", without(row)),
        ("a row twice", with(row, &lines[row])),
        ("a changed row", lines.concat().replacen("agent-7", "agent-8", 1)),
        ("a file that is missing", without(file)),
        ("a table that is missing", [&lines[..table], &lines[table + 52..]].concat().concat()),
        ("a row of no table", with(table, &lines[row])),
        ("something behind the end", with(lines.len(), &lines[file])),
    ] {
        let error = verify(&site.seal(&text), &site.opening(), |_| ()).unwrap_err();
        assert!(matches!(error, BackupError::Damaged { .. }), "{what}: {error:?}");
    }
    for end in 0..lines.len() {
        let error = verify(&site.seal(&lines[..end].concat()), &site.opening(), |_| ()).unwrap_err();
        assert!(matches!(error, BackupError::Truncated { .. }), "{end}: {error:?}");
    }
    let newer = lines.concat().replacen(&format!("\"format\":{FORMAT}"), "\"format\":9", 1);
    let error = verify(&site.seal(&newer), &site.opening(), |_| ()).unwrap_err();
    assert!(error.to_string().contains("found format 9"), "{error}");
    let head: Record = serde_json::from_str(&lines[0]).unwrap();
    let Record::Head(head) = head else { panic!("the first line is the head") };
    let other = lines.concat().replacen(&format!("\"schema\":{}", head.schema), "\"schema\":99", 1);
    let error = verify(&site.seal(&other), &site.opening(), |_| ()).unwrap_err();
    assert!(matches!(error, BackupError::OtherSchema { found: 99, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_overwritten_and_a_target_has_to_be_empty() {
    let site = Site::new().await;
    let out = site.backup("b.age").await;
    let before = std::fs::read(&out).unwrap();
    let error = create(&site.source(), &out, &site.sealing(), NOW, |_| ()).await.unwrap_err();
    assert!(matches!(error, BackupError::Exists(_)), "{error}");
    assert_eq!(std::fs::read(&out).unwrap(), before);
    let error = site.restore(&out, "data").await.unwrap_err();
    assert!(matches!(error, BackupError::NotEmpty { .. }) && error.is_taken(), "{error}");
    assert_eq!(names(site.dir.path()), ["b.age", "data", "identity"], "nothing is left of either");

    // A database elsewhere that is not empty: what was begun in the directory is taken back.
    let url = StoreUrl::sqlite(site.path("elsewhere.db"));
    Store::open(&url).await.unwrap().close().await;
    let target = Target { data_dir: site.path("new"), database: Some(url) };
    let error = restore(&out, &site.opening(), &target, NOW, |_| ()).await.unwrap_err();
    assert!(error.to_string().contains("expected an empty database") && error.is_taken(), "{error}");
    assert_eq!(names(&site.path("new")), ["lock"]);

    let other = site.path("not-a-data-dir");
    std::fs::create_dir(&other).unwrap();
    let source = Source { data_dir: other, database: None, keys: None };
    let error = create(&source, &site.path("c.age"), &site.sealing(), NOW, |_| ()).await.unwrap_err();
    assert!(matches!(error, BackupError::NotADataDir { file: "ca.pem", .. }), "{error}");
    let source = Source {
        data_dir: site.path("data"),
        database: Some("sqlite:///no/such.db".parse().unwrap()),
        keys: None,
    };
    assert!(create(&source, &site.path("c.age"), &site.sealing(), NOW, |_| ()).await.is_err());
    // Control planes that stand by for each other have their keys elsewhere.
    let keys = site.path("keys");
    std::fs::create_dir(&keys).unwrap();
    for name in ["ca.pem", "ca.key", "job.key", "operator.token"] {
        std::fs::rename(site.path("data").join(name), keys.join(name)).unwrap();
    }
    assert!(preview(&site.source(), &site.path("would.age"), NOW, |_| ()).await.is_err());
    let source = Source { keys: Some(keys.clone()), ..site.source() };
    assert_eq!(preview(&source, &site.path("would.age"), NOW, |_| ()).await.unwrap().manifest.files.len(), 4);
    std::fs::write(keys.join("ca.pem"), PEM.replace("AAEC", "AAED")).unwrap();
    let error = create(&source, &site.path("c.age"), &site.sealing(), NOW, |_| ()).await.unwrap_err();
    assert!(matches!(error, BackupError::OtherKeys { .. }), "{error}");
    assert!(!site.path("c.age").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_was_cut_off_is_completed_by_the_same_command() {
    let site = Site::new().await;
    let (out, other) = (site.backup("b.age").await, site.path("other.age"));
    let later = NOW + jiff::SignedDuration::from_secs(60);
    create(&site.source(), &other, &site.sealing(), later, |_| ()).await.unwrap();
    let id = verify(&out, &site.opening(), |_| ()).unwrap().manifest.id;

    // As a crash leaves it: the marker, a part of the files, a database that is not one.
    let new = site.path("new");
    std::fs::create_dir(&new).unwrap();
    for (name, text) in
        [(MARKER, format!("{id}\n")), ("ca.key", "half".into()), ("nimbus.db", "no database".into())]
    {
        std::fs::write(new.join(name), text).unwrap();
    }
    let error = site.restore(&other, "new").await.unwrap_err();
    assert!(matches!(error, BackupError::OtherRestore { .. }), "{error}");
    assert!(site.restore(&out, "new").await.unwrap().resumed);
    assert_eq!(std::fs::read(new.join("ca.key")).unwrap(), b"k1");
    assert!(!new.join(MARKER).exists());

    // With a database elsewhere, cut off after its commit: it is not filled again, and the directory is completed.
    let url = StoreUrl::sqlite(site.path("elsewhere.db"));
    let target = Target { data_dir: site.path("third"), database: Some(url.clone()) };
    restore(&out, &site.opening(), &target, NOW, |_| ()).await.unwrap();
    let third = site.path("third");
    std::fs::write(third.join(MARKER), format!("{id}\n")).unwrap();
    let source = Source { data_dir: third.clone(), database: Some(url.clone()), keys: None };
    let error = preview(&source, &site.path("would.age"), NOW, |_| ()).await.unwrap_err();
    assert!(matches!(error, BackupError::Unfinished(_)), "{error}");
    std::fs::remove_file(third.join("job.key")).unwrap();
    // While that database does not answer it may be filled: the marker stays, or the next run would refuse what is there.
    let away = Some("postgres://nobody@127.0.0.1:1/none".parse().unwrap());
    let away = Target { database: away, ..target.clone() };
    let error = restore(&out, &site.opening(), &away, later, |_| ()).await.unwrap_err();
    assert!(third.join(MARKER).exists(), "{error}");
    assert!(restore(&out, &site.opening(), &target, later, |_| ()).await.unwrap().resumed);
    assert_eq!(std::fs::read(third.join("job.key")).unwrap(), b"k2");
    let store = Store::open(&url).await.unwrap();
    assert!(store.verify_audit().await.unwrap().is_ok());
    assert_eq!(store.all::<nimbus_control_core::model::Agent>().await.unwrap().len(), 50);
}

/// A disk with room for so many bytes.
struct Small(usize);

impl Write for Small {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_wherever_it_is_met() {
    let site = Site::new().await;
    let whole = preview(&site.source(), &site.path("would.age"), NOW, |_| ()).await.unwrap().bytes;
    for room in [0, 100, 5_000, whole / 2, whole - 1] {
        let room = Small(usize::try_from(room).unwrap());
        let error = create::write(&site.source(), room, Path::new("b.age"), NOW, |_| ()).await.err().unwrap();
        assert!(matches!(error, BackupError::Full(_)), "{error}");
    }
    let room = Small(usize::try_from(whole).unwrap());
    assert!(create::write(&site.source(), room, Path::new("b.age"), NOW, |_| ()).await.is_ok());
}
