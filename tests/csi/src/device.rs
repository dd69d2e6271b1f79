//! Files with a file system in them: how one is made, which loop devices have it, and where they are mounted. The last two
//! are as the kernel tells.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::system::run;

/// Below this mkfs.xfs has to be told that nobody supports so small a file system.
const SUPPORTED: u64 = 300 << 20;

/// Makes a sparse file of this size with an XFS in it, whatever was there before.
///
/// # Errors
/// When the file cannot be written, or mkfs.xfs refuses it.
pub async fn format(file: &Path, bytes: u64) -> anyhow::Result<()> {
    let made = std::fs::File::create(file).and_then(|file| file.set_len(bytes));
    made.with_context(|| format!("cannot make {}", file.display()))?;
    let path = file.display().to_string();
    let small = if bytes < SUPPORTED { &["--unsupported"][..] } else { &[] };
    run("mkfs.xfs", &[&["-q", "-f"], small, &[&path]].concat()).await.map(drop)
}

/// The loop devices of a file: one as long as it is mounted.
///
/// # Errors
/// When they cannot be listed.
pub async fn devices_of(file: &Path) -> anyhow::Result<Vec<String>> {
    let file = file.display().to_string();
    let said = run("losetup", &["--associated", &file, "--noheadings", "--output", "NAME"]).await?;
    Ok(said.split_whitespace().map(str::to_owned).collect())
}

/// Where a device is mounted, in this process's mount namespace.
///
/// # Errors
/// When the kernel does not tell.
pub fn mounts_of(device: &str) -> anyhow::Result<Vec<PathBuf>> {
    let all = std::fs::read_to_string("/proc/self/mountinfo").context("/proc/self/mountinfo")?;
    Ok(mounts_in(&all, device))
}

/// A line is `ID PARENT MAJOR:MINOR ROOT TARGET OPTIONS TAGS - TYPE DEVICE OPTIONS`, with any number of tags.
fn mounts_in(all: &str, device: &str) -> Vec<PathBuf> {
    let target = |line: &str| {
        let (of_mount, of_system) = line.split_once(" - ")?;
        let found = of_system.split(' ').nth(1)? == device;
        found.then(|| of_mount.split(' ').nth(4).map(unescaped).map(PathBuf::from)).flatten()
    };
    all.lines().filter_map(target).collect()
}

/// The kernel writes blanks and backslashes as a backslash with three octal digits.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_found_wherever_it_is_mounted() {
        let all = "22 1 254:0 / / rw - ext4 /dev/vda rw\n\
                   40 22 7:0 / /a\\040b/mount rw,relatime shared:3 master:1 - xfs /dev/loop0 rw\n\
                   41 22 7:0 / /c rw - xfs /dev/loop0 rw\n\
                   42 22 7:1 / /d rw - xfs /dev/loop01 rw\n";
        assert_eq!(mounts_in(all, "/dev/loop0"), [PathBuf::from("/a b/mount"), PathBuf::from("/c")]);
        assert_eq!(mounts_in(all, "/dev/loop2"), Vec::<PathBuf>::new());
    }
}
