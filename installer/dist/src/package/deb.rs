//! Packages for Debian, Ubuntu and their relatives.
//!
//! Written here and not by `cargo-deb`: that reads what to pack from a manifest and packs what cargo has just built,
//! where this packs programs of another processor from wherever they are, in the same stage as everything else; and a
//! package is no more than an `ar` of two tars, whose three headers are the one line of [`member`]. Compressed with
//! gzip, which every `dpkg` reads. There is no `md5sums`: dpkg makes one when it installs a package without.

use std::fmt::Write as _;
use std::num::NonZeroU16;

use super::{Package, Scripts};
use crate::archive;
use crate::source::{Source, SourceDate};
use crate::stage::Stage;
use crate::target::Arch;

/// The name of the package's file.
pub fn file_name(package: &Package, arch: Arch, source: &Source) -> String {
    format!("{}_{}_{}.deb", package.program.name, version(source), arch.go())
}

/// The version with that of the packaging, which the first packages of a version do not say: `1.2.3` comes before `1.2.3-2`.
fn version(source: &Source) -> String {
    let version = source.package_version();
    if source.packaging == NonZeroU16::MIN { version } else { format!("{version}-{}", source.packaging) }
}

/// The package as its bytes.
pub fn build(package: &Package, arch: Arch, stage: &Stage, source: &Source) -> anyhow::Result<Vec<u8>> {
    let mut about = Stage::default();
    about.text("control", 0o644, control(package, arch, size(stage)?, source));
    let configuration = package.configuration();
    if !configuration.is_empty() {
        about.text("conffiles", 0o644, configuration.join("\n") + "\n");
    }
    if let Some(Scripts { after_install, before_removal, after_removal }) = package.scripts() {
        about.text("postinst", 0o755, after_install);
        about.text("prerm", 0o755, before_removal);
        about.text("postrm", 0o755, after_removal);
    }
    let packed = |stage: &Stage| archive::gzip(&archive::tar(stage, "./", source.date)?);
    let mut out = b"!<arch>\n".to_vec();
    member(&mut out, "debian-binary", b"2.0\n", source.date);
    member(&mut out, "control.tar.gz", &packed(&about)?, source.date);
    member(&mut out, "data.tar.gz", &packed(stage)?, source.date);
    Ok(out)
}

/// The description of the package. `kilobytes` is what it takes once it is installed.
fn control(package: &Package, arch: Arch, kilobytes: usize, source: &Source) -> String {
    let program = package.program;
    let (version, kilobytes) = (version(source), kilobytes.to_string());
    let mut text = String::new();
    let fields = [
        ("Package", program.name),
        ("Version", version.as_str()),
        ("Architecture", arch.go()),
        // Debian wants an address here; the project has none beside its repository, which is the home page.
        ("Maintainer", "The Nimbus project"),
        ("Installed-Size", kilobytes.as_str()),
        ("Section", "admin"),
        ("Priority", "optional"),
        ("Homepage", source.repository),
        ("Description", program.summary),
    ];
    for (field, value) in fields {
        let _ = writeln!(text, "{field}: {value}");
    }
    let _ = writeln!(text, " {}", program.description);
    text
}

fn size(stage: &Stage) -> anyhow::Result<usize> {
    let mut bytes = 0_usize;
    for (_, entry) in stage.entries() {
        // A directory and what is left over of a file's last block.
        bytes += entry.bytes()?.len() + 1_024;
    }
    Ok(bytes / 1_024)
}

/// Adds a file to an `ar`: its header of 60 bytes, its bytes, and one more where that is needed for an even number.
fn member(out: &mut Vec<u8>, name: &str, bytes: &[u8], date: SourceDate) {
    let (seconds, size) = (date.seconds(), bytes.len());
    let header = format!("{name:<16}{seconds:<12}{:<6}{:<6}{:<8}{size:<10}`\n", 0, 0, "100644");
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(bytes);
    if !size.is_multiple_of(2) {
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::ALL;
    use crate::source::tests::example;

    #[test]
    fn the_control_file_is_as_debian_wants_it() {
        let text = control(&ALL[1], Arch::Arm, 1_234, &example());
        let expected = "\
Package: nimbus-agent
Version: 1.2.3~rc.1+x
Architecture: arm64
Maintainer: The Nimbus project
Installed-Size: 1234
Section: admin
Priority: optional
Homepage: https://example.test/nimbus
Description: The agent of Nimbus for a host or a Kubernetes cluster
 Streams what it sees to a Nimbus control plane, and carries out the signed jobs that its own local policy allows. \
 Without a policy it only observes.
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_member_has_a_header_of_sixty_bytes_and_an_even_length() {
        let mut out = Vec::new();
        member(&mut out, "debian-binary", b"abc", SourceDate::new(1_700_000_000));
        assert_eq!(out.len(), 64);
        let header = "debian-binary   1700000000  0     0     100644  3         `\n";
        assert_eq!(out, format!("{header}abc\n").into_bytes());
    }

    #[test]
    fn it_is_the_same_twice() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        std::fs::write(&program, "program").unwrap();
        for package in &ALL {
            let once = || build(package, Arch::X86, &package.stage(&program, "x"), &example()).unwrap();
            assert_eq!(once(), once(), "{}", package.program.name);
        }
        assert_eq!(file_name(&ALL[1], Arch::X86, &example()), "nimbus-agent_1.2.3~rc.1+x_amd64.deb");
        let second = Source { packaging: NonZeroU16::new(2).unwrap(), ..example() };
        assert_eq!(file_name(&ALL[1], Arch::X86, &second), "nimbus-agent_1.2.3~rc.1+x-2_amd64.deb");
        assert!(control(&ALL[1], Arch::X86, 1, &second).contains("\nVersion: 1.2.3~rc.1+x-2\n"));
    }
}
