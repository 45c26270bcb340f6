//! Small file systems of our own, where the machine lets us mount them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// Copies of an image that are tried until nothing was written meanwhile.
const MAX_COPIES: usize = 20;

/// An ext4 file system in a file, mounted.
pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
    is_mounted: bool,
}

/// Why loop mounts are not to be had here; `None` when they are.
pub fn missing(scratch: &Path) -> Option<String> {
    let image = scratch.join("probe.img");
    let found = Disk::make(&image, 16).and_then(Disk::unmount);
    let _ = fs::remove_file(&image);
    found.err().map(|fault| format!("loop mounts are not allowed here ({fault:#})"))
}

impl Disk {
    /// Makes a file system of so many MiB and mounts it. Nothing of it is left to be written later.
    pub fn make(image: &Path, mib: u64) -> Result<Self> {
        File::create(image)?.set_len(mib << 20)?;
        let options = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-m", "0", "-N", "4096", "-E", options])
            .arg(image))?;
        Self::mount(image)
    }

    /// Mounts an image. Its journal is replayed, as after a power cut.
    pub fn mount(image: &Path) -> Result<Self> {
        let mount = image.with_extension("mount");
        fs::create_dir_all(&mount)?;
        run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(&mount))?;
        Ok(Self { image: image.to_owned(), mount, is_mounted: true })
    }

    pub fn root(&self) -> &Path {
        &self.mount
    }

    pub fn free_bytes(&self) -> Result<u64> {
        let found = rustix::fs::statvfs(&self.mount)?;
        Ok(found.f_bavail * found.f_frsize)
    }

    /// What the disk holds now, as another image: what the system has not written is not in it.
    pub fn cut(&self, to: &Path) -> Result<()> {
        for _ in 0..MAX_COPIES {
            let before = self.writes()?;
            super::world::copy_tree(&self.image, to)?;
            if self.writes()? == before {
                return Ok(());
            }
            // A disk that loses power holds what it held at one moment, so the copy has to be of
            // one.
            fs::remove_file(to)?;
        }
        bail!("the disk never rests")
    }

    /// Writes that the device has taken so far.
    fn writes(&self) -> Result<u64> {
        let output =
            Command::new("findmnt").args(["-n", "-o", "SOURCE"]).arg(&self.mount).output()?;
        let device = String::from_utf8(output.stdout)?;
        let name = device.trim().strip_prefix("/dev/").context("a loop device")?;
        let stat = fs::read_to_string(format!("/sys/block/{name}/stat"))?;
        let writes = stat.split_whitespace().nth(4).context("writes of the device")?;
        Ok(writes.parse()?)
    }

    /// Takes it away; what is in it is written.
    pub fn unmount(mut self) -> Result<()> {
        self.try_unmount()
    }

    fn try_unmount(&mut self) -> Result<()> {
        if !self.is_mounted {
            return Ok(());
        }
        // A process that was killed lets go a moment later.
        for _ in 0..50 {
            if run(Command::new("umount").arg(&self.mount)).is_ok() {
                self.is_mounted = false;
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        run(Command::new("umount").arg("-l").arg(&self.mount))?;
        self.is_mounted = false;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.try_unmount();
    }
}

/// Fills a file system until so many bytes are free.
pub fn fill(disk: &Disk, balloon: &Path, leave_bytes: u64) -> Result<()> {
    let file = File::create(balloon)?;
    let flags = rustix::fs::FallocateFlags::empty();
    let mut len = 0;
    // Each turn takes half of what is too much, or the last block.
    for _ in 0..200 {
        let free = disk.free_bytes()?;
        let Some(more) = free.checked_sub(leave_bytes).filter(|more| *more >= 4_096) else { break };
        let step = (more / 2).max(4_096);
        if rustix::fs::fallocate(&file, flags, len, step).is_err() {
            break;
        }
        len += step;
    }
    ensure!(len > 0, "nothing was filled");
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().context("a tool of file systems")?;
    if !output.status.success() {
        bail!(
            "{} says: {}",
            command.get_program().to_string_lossy(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
