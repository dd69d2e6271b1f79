//! Volumes: each is one sparse file with an XFS in it, mounted over a loop device.
//!
//! A loop device is made by `mount` and belongs to the mount: the kernel takes it back with the last one, also when the
//! driver is killed and its namespaces end. So nothing is left behind that has to be found again, and what is
//! mounted is asked of the kernel each time.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::sync::Mutex;

use crate::device::{devices_of, format, mounts_of};
use crate::size::rounded;
use crate::system::run;

/// The longest name of a volume: that of a PersistentVolume made of a uid has 40 characters.
const LONGEST_NAME: usize = 63;

/// The volumes of one directory.
pub struct Volumes {
    dir: PathBuf,
    /// One change at a time: two calls for one volume must not meet, and there are few volumes.
    change: Mutex<()>,
}

impl Volumes {
    /// Those in `dir`, which is made if need be.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        // The kernel names a loop device's file by its whole path.
        let dir = dir.canonicalize().with_context(|| dir.display().to_string())?;
        Ok(Self { dir, change: Mutex::default() })
    }

    /// Whether there is such a volume.
    pub fn has(&self, name: &str) -> bool {
        self.file(name).is_some_and(|file| file.is_file())
    }

    /// Makes a volume of at least this many bytes, unless it is there, and returns how many it has.
    ///
    /// # Errors
    /// When the name or the size is out of range, or the file system cannot be made.
    pub async fn make(&self, name: &str, bytes: u64) -> anyhow::Result<u64> {
        let _change = self.change.lock().await;
        let file = self.file(name).with_context(|| format!("{name:?} cannot be the name of a volume"))?;
        if !file.exists() {
            // It gets its name when it is whole: what has a name need not be looked into.
            let unfinished = self.dir.join(format!(".{name}"));
            format(&unfinished, rounded(bytes)?).await?;
            std::fs::rename(&unfinished, &file).with_context(|| file.display().to_string())?;
        }
        size_of(&file)
    }

    /// Mounts a volume at `target`, unless it is mounted there.
    ///
    /// # Errors
    /// When there is no such volume, or it cannot be mounted.
    pub async fn mount(&self, name: &str, target: &Path, options: &[String]) -> anyhow::Result<()> {
        let _change = self.change.lock().await;
        if self.targets(name).await?.iter().any(|it| it == target) {
            return Ok(());
        }
        std::fs::create_dir_all(target).with_context(|| format!("cannot make {}", target.display()))?;
        let options = [&["loop".to_owned()], options].concat().join(",");
        let (file, target) = (self.there(name)?.display().to_string(), target.display().to_string());
        run("mount", &["-t", "xfs", "-o", &options, &file, &target]).await.map(drop)
    }

    /// Takes a volume from `target`, if it is there, and removes the empty directory.
    ///
    /// # Errors
    /// When it cannot be unmounted.
    pub async fn unmount(&self, name: &str, target: &Path) -> anyhow::Result<()> {
        let _change = self.change.lock().await;
        if self.targets(name).await?.iter().any(|it| it == target) {
            run("umount", &[&target.display().to_string()]).await?;
        }
        match std::fs::remove_dir(target) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", target.display()))
            }
            _ => Ok(()),
        }
    }

    /// Grows a mounted volume to at least this many bytes, and returns how many it has; it never shrinks. Each step may
    /// have been done before.
    ///
    /// # Errors
    /// When it is not mounted, or cannot grow.
    pub async fn grow(&self, name: &str, bytes: u64) -> anyhow::Result<u64> {
        let _change = self.change.lock().await;
        let (file, bytes) = (self.there(name)?, rounded(bytes)?);
        let mounted = self.targets(name).await?;
        let target =
            mounted.first().with_context(|| format!("{name} is not mounted, and grows only then"))?;
        if size_of(&file)? < bytes {
            let opened = std::fs::File::options().write(true).open(&file);
            opened.and_then(|file| file.set_len(bytes)).with_context(|| file.display().to_string())?;
        }
        for device in self.devices(name).await? {
            run("losetup", &["-c", &device]).await?;
        }
        run("xfs_growfs", &[&target.display().to_string()]).await?;
        size_of(&file)
    }

    /// Where a volume is mounted; nowhere if there is none of this name.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub async fn targets(&self, name: &str) -> anyhow::Result<Vec<PathBuf>> {
        let mut all = Vec::new();
        for device in self.devices(name).await? {
            all.extend(mounts_of(&device)?);
        }
        Ok(all)
    }

    /// Removes a volume's file, and says whether it is gone: not as long as a loop device has it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub async fn remove(&self, name: &str) -> anyhow::Result<bool> {
        let _change = self.change.lock().await;
        if !self.devices(name).await?.is_empty() {
            return Ok(false);
        }
        if self.has(name) {
            let file = self.there(name)?;
            std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
        Ok(true)
    }

    /// Unmounts all volumes, at the end. A pod that still runs keeps its own mount as long as it lives, and the loop device
    /// with it.
    ///
    /// # Errors
    /// When the directory cannot be read or a volume not be unmounted.
    pub async fn unmount_all(&self) -> anyhow::Result<()> {
        let _change = self.change.lock().await;
        for entry in std::fs::read_dir(&self.dir).with_context(|| self.dir.display().to_string())? {
            for target in self.targets(&entry?.file_name().to_string_lossy()).await? {
                run("umount", &["--lazy", &target.display().to_string()]).await?;
            }
        }
        Ok(())
    }

    async fn devices(&self, name: &str) -> anyhow::Result<Vec<String>> {
        if self.has(name) { devices_of(&self.there(name)?).await } else { Ok(Vec::new()) }
    }

    fn there(&self, name: &str) -> anyhow::Result<PathBuf> {
        self.file(name).filter(|file| file.is_file()).with_context(|| format!("there is no volume {name:?}"))
    }

    /// The file of a volume, if it can have this name.
    fn file(&self, name: &str) -> Option<PathBuf> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let good = (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(allowed);
        good.then(|| self.dir.join(name))
    }
}

fn size_of(file: &Path) -> anyhow::Result<u64> {
    Ok(file.metadata().with_context(|| file.display().to_string())?.len())
}
