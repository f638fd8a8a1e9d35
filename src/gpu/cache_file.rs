//! Files in the user's cache folder, one for each adapter, driver and version of Gristmill, by which programs start faster.
//! Nothing depends on them: a file that is damaged, foreign or cannot be written is passed over. A program that writes one
//! removes files that were not used for long.

use crate::kernel::{Caps, Fingerprint};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Longer files are neither read nor written.
const MAX_BYTES: u64 = 256 << 20;

/// The age at which an unused file is removed. Files of other versions are not removed at once, since programs with different
/// versions may share the folder.
const UNUSED: Duration = DAY.saturating_mul(90);

/// Where measurements and compiled kernels are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CacheFolder {
    /// `gristmill` in the user's cache folder: `$XDG_CACHE_HOME` or `~/.cache`, `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on
    /// Windows. In a browser nothing is kept. Files that no program used for 90 days are removed.
    #[default]
    User,
    /// A folder of the caller's, which is made when it does not exist. Drivers run the compiled kernels that they find there, so
    /// give write permission to trusted users only.
    At(PathBuf),
    /// Nothing is kept.
    Off,
}

impl CacheFolder {
    /// The folder, if there is one.
    pub fn path(&self) -> Option<PathBuf> {
        match self {
            _ if cfg!(target_arch = "wasm32") => None,
            CacheFolder::User => user_folder().map(|folder| folder.join("gristmill")),
            CacheFolder::At(path) => Some(path.clone()),
            CacheFolder::Off => None,
        }
    }
}

fn user_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if cfg!(windows) {
        absolute("LOCALAPPDATA")
    } else if cfg!(target_vendor = "apple") {
        absolute("HOME").map(|home| home.join("Library/Caches"))
    } else {
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))
    }
}

/// One file of the cache: a line that says what it is, one that says for which device, one with a checksum, then the payload.
#[derive(Clone, Debug)]
pub(crate) struct CacheFile {
    path: PathBuf,
    /// The first two lines.
    heading: String,
}

impl CacheFile {
    /// The file of a kind of content; `about` is what else it depends on, beside adapter, driver and version.
    pub(crate) fn new(folder: &Path, kind: &str, about: &str, caps: &Caps) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let device = line(&format!("{}; {}; gristmill {version}; {about}", caps.name, caps.driver));
        let name: String = caps.name.chars().filter(char::is_ascii_alphanumeric).take(24).collect();
        let path = folder.join(format!("{name}-{:016x}.{kind}", Fingerprint::of(device.as_bytes())));
        CacheFile { path, heading: format!("gristmill {kind} 1\n{device}\n") }
    }

    /// The payload, when the file is there and whole.
    pub(crate) fn read(&self) -> Option<Vec<u8>> {
        if fs::metadata(&self.path).ok()?.len() > MAX_BYTES {
            return None;
        }
        if is_older(&self.path, DAY) {
            // A program that only reads the file keeps it from being removed.
            let touched = File::options().append(true).open(&self.path).and_then(|file| file.set_modified(SystemTime::now()));
            touched.unwrap_or_else(|error| log::debug!("{} cannot be marked as used: {error}", self.path.display()));
        }
        let found = fs::read(&self.path).ok()?;
        let payload = self.open(&found);
        if payload.is_none() {
            log::debug!("{} is damaged or foreign, and is made anew", self.path.display());
        }
        payload.map(<[u8]>::to_vec)
    }

    fn open<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let rest = bytes.strip_prefix(self.heading.as_bytes())?;
        let end = rest.iter().position(|b| *b == b'\n')?;
        let payload = &rest[end + 1..];
        (rest[..end] == *checksum(payload).as_bytes()).then_some(payload)
    }

    /// Replaces the payload by what `merge` makes of it; `None` leaves the file alone. Other processes see the old file or the
    /// new one. Processes that write at the same time take turns, and each merges with the file of the one before.
    pub(crate) fn update(&self, merge: impl FnOnce(Option<Vec<u8>>) -> Option<Vec<u8>>) {
        if let Err(error) = self.try_update(merge) {
            log::debug!("{} cannot be written: {error}", self.path.display());
        }
    }

    fn try_update(&self, merge: impl FnOnce(Option<Vec<u8>>) -> Option<Vec<u8>>) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Released when closed. Where files cannot be locked, the last writer wins.
        let lock = File::create(self.path.with_extension("lock"))?;
        let _ = lock.lock();
        let Some(payload) = merge(self.read()) else { return Ok(()) };
        if payload.len() as u64 > MAX_BYTES {
            return Ok(());
        }
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let unique = format!("{}-{}.new", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let temporary = self.path.with_extension(unique);
        let written = write(&temporary, &[self.heading.as_bytes(), checksum(&payload).as_bytes(), b"\n", &payload]);
        let replaced = written.and_then(|()| fs::rename(&temporary, &self.path));
        match (&replaced, self.path.parent()) {
            (Ok(()), Some(folder)) => sweep(folder),
            _ => drop(fs::remove_file(&temporary)),
        }
        replaced
    }
}

/// Whether a regular file was last modified longer ago than `age`.
fn is_older(path: &Path, age: Duration) -> bool {
    let found = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file);
    let elapsed = found.and_then(|metadata| metadata.modified().ok()?.elapsed().ok());
    elapsed.is_some_and(|elapsed| elapsed > age)
}

/// The stem of a file's name, if [`CacheFile`] makes such names.
fn stem(name: &str) -> Option<&str> {
    let (stem, _) = name.split_once('.')?;
    let (device, hash) = stem.rsplit_once('-')?;
    let is_name = device.chars().all(|c| c.is_ascii_alphanumeric()) && hash.len() == 16;
    (is_name && hash.chars().all(|c| c.is_ascii_hexdigit())).then_some(stem)
}

/// Removes cache files of any version that are [`UNUSED`]. A caller's folder may hold other files, which stay.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let Some(stem) = name.to_str().and_then(stem) else { continue };
        let extension = path.extension().unwrap_or_default();
        // A lock is removed with its file, and a file that does not begin like a cache file is not ours.
        if extension == "lock" || !is_older(&path, UNUSED) || !begins_like_ours(&path) {
            continue;
        }
        let lock_path = folder.join(stem).with_extension("lock");
        // The lock is held until the file is gone, as it is while a file is replaced. A process that waits for the old lock and
        // one that makes a new lock may then write at the same time: the last one wins.
        let lock = File::options().write(true).open(&lock_path).map(|lock| (lock.try_lock(), lock));
        let is_held = matches!(lock, Ok((Err(TryLockError::WouldBlock), _)));
        if !is_held && is_older(&path, UNUSED) && fs::remove_file(&path).is_ok() && extension != "new" {
            let _ = fs::remove_file(&lock_path);
        }
    }
}

/// Whether a file begins as all cache files do, or is a beginning of that.
fn begins_like_ours(path: &Path) -> bool {
    const MARK: &[u8] = b"gristmill ";
    let mut found = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MARK.len() as u64).read_to_end(&mut found));
    read.is_ok() && MARK.starts_with(&found)
}

fn write(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    parts.iter().try_for_each(|part| file.write_all(part))
}

fn checksum(payload: &[u8]) -> String {
    format!("checksum {:016x} of {} bytes", Fingerprint::of(payload), payload.len())
}
