//! Packages for Fedora, RHEL, SUSE and their relatives.
//!
//! By the library `rpm`, as the format's headers and digests are more than a page; it needs no program of the system,
//! packs for any processor, and leaves out the build's time and host when it is told the source's date. Format 4 and
//! gzip, which every RPM in use reads.

use ::rpm::{BuildConfig, CompressionWithLevel, FileOptions, PackageBuilder};
use anyhow::Context as _;

use super::{Package, Scripts};
use crate::source::Source;
use crate::stage::Stage;
use crate::target::Arch;

/// The name of the package's file.
pub fn file_name(package: &Package, arch: Arch, source: &Source) -> String {
    format!("{}-{}-{}.{}.rpm", package.program.name, source.package_version(), source.packaging, arch.name())
}

/// The package as its bytes.
pub fn build(package: &Package, arch: Arch, stage: &Stage, source: &Source) -> anyhow::Result<Vec<u8>> {
    fill(package, arch, stage, source).with_context(|| format!("cannot pack {} as RPM", package.program.name))
}

fn fill(package: &Package, arch: Arch, stage: &Stage, source: &Source) -> anyhow::Result<Vec<u8>> {
    let program = package.program;
    let version = source.package_version();
    let mut builder =
        PackageBuilder::new(program.name, &version, source.licence, arch.name(), program.summary);
    let config =
        BuildConfig::v4().compression(CompressionWithLevel::Gzip(9)).source_date(source.date.seconds());
    builder.using_config(config);
    builder.release(source.packaging.to_string()).url(source.repository).description(program.description);
    let configuration = package.configuration();
    for (path, entry) in stage.entries() {
        let path = format!("/{path}");
        if entry.is_directory() {
            // What a path only passes through belongs to the system.
            if !entry.implied {
                builder.with_dir_entry(FileOptions::dir(path).permissions(entry.mode))?;
            }
            continue;
        }
        let is_configuration = configuration.contains(&path);
        let mut options = FileOptions::new(path).permissions(entry.mode);
        if is_configuration {
            options = options.config().noreplace();
        }
        builder.with_file_contents(entry.bytes()?.into_owned(), options)?;
    }
    if let Some(Scripts { after_install, before_removal, after_removal }) = package.scripts() {
        builder.post_install_script(after_install);
        builder.pre_uninstall_script(before_removal);
        builder.post_uninstall_script(after_removal);
    }
    let mut out = Vec::new();
    builder.build()?.write(&mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use ::rpm::{FileFlags, Package as Read};

    use super::*;
    use crate::package::ALL;
    use crate::source::tests::example;

    fn made(package: &Package) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        std::fs::write(&program, "program").unwrap();
        build(package, Arch::Arm, &package.stage(&program, "x"), &example()).unwrap()
    }

    #[test]
    fn it_is_the_same_twice() {
        for package in &ALL {
            assert_eq!(made(package), made(package), "{}", package.program.name);
        }
        assert_eq!(file_name(&ALL[1], Arch::Arm, &example()), "nimbus-agent-1.2.3~rc.1+x-1.aarch64.rpm");
    }

    #[test]
    fn a_reader_finds_what_was_put_in() {
        let read = Read::parse(&mut made(&ALL[1]).as_slice()).unwrap();
        assert_eq!(read.metadata.get_name().unwrap(), "nimbus-agent");
        assert_eq!(read.metadata.get_arch().unwrap(), "aarch64");
        let files = read.metadata.get_file_entries().unwrap();
        let find = |path: &str| files.iter().find(|file| file.path().to_str() == Some(path)).unwrap();
        assert_eq!(find("/usr/bin/nimbus-agent").permissions(), 0o755);
        let environment = find("/etc/nimbus/agent.env");
        assert_eq!(environment.permissions(), 0o600);
        assert!(environment.flags().contains(FileFlags::CONFIG | FileFlags::NOREPLACE));
        // The system's own directories are not this package's.
        assert!(files.iter().all(|file| file.path().to_str() != Some("/usr/bin")));
    }
}
