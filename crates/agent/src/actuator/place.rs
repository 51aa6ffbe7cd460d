//! A file's place below a root: reached folder by folder, no link followed, and only through
//! folders that nobody but root may write to. Whoever could swap a folder for a link could else
//! turn what the agent writes into a write anywhere.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};

use bartizan_probe::root::Root;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use super::Problem;

/// The largest file that is edited, in bytes.
const FILE_BYTES_LIMIT: u64 = 1 << 20;

/// The mode of a file that an actuator makes.
const FRESH_MODE: u32 = 0o644;

/// A folder that is held open, and a name in it.
#[derive(Debug)]
pub(super) struct Place {
    folder: File,
    name: String,
    /// The path from the root, for messages.
    shown: String,
}

fn disk(doing: &'static str, path: &str) -> impl FnOnce(io::Error) -> Problem {
    let path = path.to_owned();
    move |source| match source.raw_os_error() {
        // What a link says to whoever follows none (open(2)).
        Some(code) if code == nix::Error::ELOOP as i32 => Problem::NotPlain(path),
        _ => Problem::Disk { doing, path, source },
    }
}

impl Place {
    /// The place of a path that `core::order::permit` has let through: absolute, without `..`.
    pub(super) fn of(root: &Root, path: &str) -> Result<Place, Problem> {
        let (folders, name) = path.rsplit_once('/').unwrap_or_default();
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let mut folder = File::open(root.path()).map_err(disk("open", "/"))?;
        let mut shown = String::new();
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            shown = format!("{shown}/{part}");
            let next = openat(folder.as_fd(), part, flags | OFlag::O_NOFOLLOW, Mode::empty());
            folder = match next {
                Ok(next) => File::from(next),
                // A link where a folder should be (open(2), O_NOFOLLOW with O_DIRECTORY).
                Err(nix::Error::ENOTDIR | nix::Error::ELOOP) => return Err(Problem::NotPlain(shown)),
                Err(error) => return Err(disk("open", &shown)(error.into())),
            };
            let metadata = folder.metadata().map_err(disk("look at", &shown))?;
            let ours = [0, geteuid().as_raw()].contains(&metadata.uid());
            let sticky = metadata.mode() & 0o1000 != 0;
            if !ours || (metadata.mode() & 0o022 != 0 && !sticky) {
                return Err(Problem::OpenFolder(shown));
            }
        }
        Ok(Place { folder, name: name.to_owned(), shown: path.to_owned() })
    }

    /// The file, opened to look at it; none where none is there.
    pub(super) fn open(&self) -> Result<Option<File>, Problem> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        match openat(self.folder.as_fd(), self.name.as_str(), flags, Mode::empty()) {
            Ok(file) => Ok(Some(File::from(file))),
            Err(nix::Error::ENOENT) => Ok(None),
            Err(error) => Err(disk("open", &self.shown)(error.into())),
        }
    }

    /// The text of a plain file; none where none is there.
    pub(super) fn read(&self) -> Result<Option<String>, Problem> {
        let Some(file) = self.open()? else { return Ok(None) };
        let metadata = file.metadata().map_err(disk("look at", &self.shown))?;
        if !metadata.is_file() {
            return Err(Problem::NotPlain(self.shown.clone()));
        }
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_LIMIT + 1).read_to_end(&mut bytes).map_err(disk("read", &self.shown))?;
        if bytes.len() as u64 > FILE_BYTES_LIMIT {
            return Err(Problem::TooLarge { path: self.shown.clone(), limit: FILE_BYTES_LIMIT });
        }
        let text = String::from_utf8(bytes).map_err(|error| Problem::NotText {
            path: self.shown.clone(),
            at: error.utf8_error().valid_up_to(),
        })?;
        Ok(Some(text))
    }

    /// Replaces the file wholly or not at all; owner and mode stay as they were.
    pub(super) fn write(&self, text: &str) -> Result<(), Problem> {
        let before = match self.open()? {
            Some(file) => Some(file.metadata().map_err(disk("look at", &self.shown))?),
            None => None,
        };
        let aside = format!(".{}.bartizan-new", self.name);
        // What a start before this one left half written.
        self.unlink(&aside)?;
        let done = self.write_aside(&aside, text, before.as_ref()).and_then(|()| {
            renameat(self.folder.as_fd(), aside.as_str(), self.folder.as_fd(), self.name.as_str())
                .map_err(io::Error::from)
        });
        if let Err(source) = done {
            // The one that is told is the first that went wrong.
            let _ = self.unlink(&aside);
            return Err(disk("write", &self.shown)(source));
        }
        self.folder.sync_all().map_err(disk("write", &self.shown))
    }

    fn write_aside(&self, aside: &str, text: &str, before: Option<&Metadata>) -> io::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(self.folder.as_fd(), aside, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
        file.write_all(text.as_bytes())?;
        if let Some(before) = before {
            fchown(&file, Some(before.uid()), Some(before.gid()))?;
        }
        let mode = before.map_or(FRESH_MODE, |before| before.mode() & 0o7777);
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()
    }

    /// Removes the file; one that is not there is no error.
    pub(super) fn remove(&self) -> Result<(), Problem> {
        self.unlink(&self.name)?;
        self.folder.sync_all().map_err(disk("write", &self.shown))
    }

    fn unlink(&self, name: &str) -> Result<(), Problem> {
        match unlinkat(self.folder.as_fd(), name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(nix::Error::ENOENT) => Ok(()),
            Err(error) => Err(disk("remove", &self.shown)(error.into())),
        }
    }
}
