//! Makes a release twice in two directories and compares every byte, then lets everybody read it who will: `sha256sum`,
//! `nimbus verify-release`'s own library, and the tools of Debian, RPM and OCI that are installed here.
//!
//! Nothing is compiled: the programs are stand-ins, each no more than the head of a static ELF file for its processor,
//! as what is tested is how programs are packed and not what they do. That real ones start is tested elsewhere.
#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nimbus_release::verify::verify;
use nimbus_release::{ENVELOPE, SUMS, key};

// Made by `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout`, for this test alone.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
                       MC4CAQAwBQYDK2VwBCIEID61B26FaTZYB5PaCIwpuqZCgmtY/Eq60oLXc+4U/jx8\n\
                       -----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
                      MCowBQYDK2VwAyEAPRjT9EX2cxN58IPSmAJWCMm1ipV03icMXkQ8oCqLLIw=\n\
                      -----END PUBLIC KEY-----\n";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const PROGRAMS: [&str; 3] = ["nimbus", "nimbus-agent", "nimbus-control-plane"];
/// Each processor: its name, the name that Debian and OCI have for it, and its number in an ELF file.
const ARCHES: [(&str, &str, u8); 2] = [("x86_64", "amd64", 62), ("aarch64", "arm64", 183)];

/// A folder with stand-ins for the programs and with the release key.
fn ground() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (arch, _, machine) in ARCHES {
        let folder = dir.path().join("programs").join(arch);
        std::fs::create_dir_all(&folder).unwrap();
        for program in PROGRAMS {
            let mut head = vec![0_u8; 64];
            head[..6].copy_from_slice(b"\x7fELF\x02\x01");
            head[18] = machine;
            head.extend_from_slice(format!("{program} for {arch}").as_bytes());
            std::fs::write(folder.join(program), head).unwrap();
        }
    }
    std::fs::write(dir.path().join("key.pem"), PRIVATE).unwrap();
    dir
}

/// Runs the program with the stand-ins of `ground`.
fn dist(ground: &Path, out: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nimbus-dist"));
    command.arg("--programs").arg(ground.join("programs")).arg("--out").arg(out).args(more);
    // Whatever the tree is while this runs, its date is this.
    command.env("SOURCE_DATE_EPOCH", "1700000000").output().unwrap()
}

fn signed(ground: &Path, out: &Path) {
    let key = ground.join("key.pem");
    let made = dist(ground, out, &["--key", key.to_str().unwrap()]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// Every file below `root` with its bytes.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.insert(path.strip_prefix(root).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn it_is_the_same_in_two_directories_and_everybody_can_read_it() {
    let (here, elsewhere) = (ground(), ground());
    let (out, other) = (here.path().join("release"), elsewhere.path().join("deep/er/release"));
    signed(here.path(), &out);
    signed(elsewhere.path(), &other);
    let (made, again) = (files(&out), files(&other));
    assert!(made.keys().eq(again.keys()), "{:?}\n{:?}", made.keys(), again.keys());
    for (name, bytes) in &made {
        // Not with assert_eq, which would print them.
        assert!(*bytes == again[name], "{} differs", name.display());
    }
    // Nothing else was left behind.
    assert_eq!(std::fs::read_dir(elsewhere.path().join("deep/er")).unwrap().count(), 1);

    let report = verify(&out, &key::public(PUBLIC).unwrap(), |_| ()).unwrap();
    assert_eq!(report.problems, []);
    // For each processor an archive, three .deb and three .rpm; three images; and as many charts as the tree has.
    let charts = report.artefacts.iter().filter(|name| name.starts_with("charts/")).count();
    assert_eq!(report.artefacts.len() - charts, 2 * (1 + 3 + 3) + 3, "{:?}", report.artefacts);
    let mut sums = Command::new("sha256sum");
    passes(sums.args(["--check", "--strict", "--quiet", SUMS]).current_dir(&out).output().unwrap());

    packages(&out);
    images(&out, here.path());
}

/// What a program wrote that must succeed.
fn passes(output: Output) -> String {
    let Output { status, stdout, stderr } = output;
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// Is the tool here? If not, what is left out is said by name.
fn has(tool: &str) -> bool {
    let has = Command::new(tool).arg("--version").output().is_ok();
    if !has {
        eprintln!("left out: what {tool} reads, as it is not installed");
    }
    has
}

fn packages(out: &Path) {
    for (arch, debian, _) in ARCHES {
        for program in PROGRAMS {
            let deb = out.join(format!("packages/{program}_{VERSION}_{debian}.deb"));
            let rpm = out.join(format!("packages/{program}-{VERSION}-1.{arch}.rpm"));
            let mut listed = Vec::new();
            if has("dpkg-deb") {
                listed.push(passes(Command::new("dpkg-deb").arg("--contents").arg(&deb).output().unwrap()));
                let about = passes(Command::new("dpkg-deb").arg("--info").arg(&deb).output().unwrap());
                assert!(about.contains(&format!("Architecture: {debian}\n")), "{about}");
            }
            if has("rpm") {
                listed.push(passes(Command::new("rpm").arg("-qlp").arg(&rpm).output().unwrap()));
                // Its own digests, without a signature of its own: the release's is over all of it.
                passes(Command::new("rpm").args(["--checksig", "--nosignature"]).arg(&rpm).output().unwrap());
            }
            for list in listed {
                assert!(list.contains(&format!("/usr/bin/{program}\n")), "{list}");
                let unit = format!("/usr/lib/systemd/system/{program}.service\n");
                assert_eq!(list.contains(&unit), program != "nimbus", "{list}");
            }
        }
    }
}

fn images(out: &Path, scratch: &Path) {
    if !has("skopeo") {
        return;
    }
    for program in PROGRAMS {
        let layout = format!("oci:{}:{VERSION}", out.join("images").join(program).display());
        for (arch, debian, _) in ARCHES {
            let mut skopeo = Command::new("skopeo");
            skopeo.args(["--override-arch", debian, "--override-os", "linux"]);
            let about = passes(skopeo.args(["inspect", "--config", &layout]).output().unwrap());
            let about: serde_json::Value = serde_json::from_str(&about).unwrap();
            assert_eq!(about["architecture"], debian);
            assert_eq!(about["config"]["User"], "65532:65532");
            if !has("umoci") {
                continue;
            }
            // umoci knows no index over several processors: it is given one of them.
            let one = scratch.join(format!("{program}-{arch}"));
            let mut skopeo = Command::new("skopeo");
            skopeo.args(["--override-arch", debian, "--override-os", "linux", "--insecure-policy", "copy"]);
            passes(skopeo.arg(&layout).arg(format!("oci:{}:one", one.display())).output().unwrap());
            let bundle = scratch.join(format!("{program}-{arch}-bundle"));
            let mut umoci = Command::new("umoci");
            umoci.args(["unpack", "--rootless", "--image"]).arg(format!("{}:one", one.display()));
            passes(umoci.arg(&bundle).output().unwrap());
            let inside = std::fs::read(bundle.join("rootfs/usr/bin").join(program)).unwrap();
            assert!(inside.ends_with(format!("{program} for {arch}").as_bytes()));
        }
    }
}

#[test]
fn without_a_key_it_says_that_it_is_not_signed() {
    let ground = ground();
    let out = ground.path().join("release");
    let made = dist(ground.path(), &out, &["--arch", "aarch64", "--only", "archives,bills"]);
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success(), "{said}");
    assert!(said.contains("NOT signed"), "{said}");
    assert!(out.join(SUMS).is_file() && !out.join(ENVELOPE).exists());
    assert!(out.join(format!("archives/nimbus-{VERSION}-linux-aarch64.tar.gz")).is_file());
    assert!(!out.join("packages").exists());
}

#[test]
fn what_cannot_be_done_leaves_nothing_behind() {
    let ground = ground();
    let out = ground.path().join("release");
    let refused = |more: &[&str], says: &str| {
        let before = std::fs::read_dir(ground.path()).unwrap().count();
        let made = dist(ground.path(), &out, more);
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(!made.status.success() && said.contains(says), "{said}");
        assert_eq!(std::fs::read_dir(ground.path()).unwrap().count(), before, "{said}");
    };
    refused(&["--only", "bills"], "`bills` alone");
    refused(&["--key", "/no/such/key.pem"], "/no/such/key.pem");
    refused(&["--key", "/dev/zero"], "/dev/zero");
    let public = ground.path().join("public.pem");
    std::fs::write(&public, PUBLIC).unwrap();
    refused(&["--key", public.to_str().unwrap()], "expected an Ed25519 private key");
    let agent = ground.path().join("programs/aarch64/nimbus-agent");
    std::fs::copy(ground.path().join("programs/x86_64/nimbus-agent"), &agent).unwrap();
    refused(&[], "expected a static program for aarch64");
    std::fs::remove_file(&agent).unwrap();
    refused(&[], "expected the program");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("mine"), "x").unwrap();
    refused(&[], "to be empty or not there");
    assert!(out.join("mine").is_file());
}
