//! Resolving a path inside a root, as a chroot would and without its privilege.
//!
//! Each component is opened relative to its parent's descriptor without following links, so
//! nothing that is renamed or linked meanwhile leads outside. `..` goes back along the
//! descriptors that led here, never by the file system's own parent. (openat2(2) with
//! `RESOLVE_IN_ROOT` does the same where the kernel has it and no filter refuses it.)

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix::dir::Dir;
use nix::fcntl::{OFlag, open as open_at_path, openat, readlinkat};
use nix::sys::stat::Mode;

/// Links followed for one path, as many as Linux itself follows (path_resolution(7)).
const LINKS: usize = 40;

/// Flags that make opening safe: nothing waits, nothing is inherited, no terminal is taken.
const READ: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);
const HANDLE: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// What is left of a path, the next step last.
enum Step {
    Root,
    Up,
    Name(OsString),
}

/// Opens what stands at the path for reading.
pub(super) fn open(root: &Path, path: &Path) -> io::Result<File> {
    if root == Path::new("/") {
        return Ok(File::from(open_at_path(path, READ, Mode::empty())?));
    }
    let (parent, name) = walk(root, path)?;
    Ok(File::from(openat(&parent, name.as_os_str(), READ.union(OFlag::O_NOFOLLOW), Mode::empty())?))
}

/// A handle on what stands at the path, which can be asked for metadata and no more.
pub(super) fn handle(root: &Path, path: &Path) -> io::Result<File> {
    if root == Path::new("/") {
        return Ok(File::from(open_at_path(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?));
    }
    let (parent, name) = walk(root, path)?;
    Ok(File::from(openat(&parent, name.as_os_str(), HANDLE, Mode::empty())?))
}

/// What the link at the path says; `InvalidInput` where it is no link (readlink(2)).
pub(super) fn link(root: &Path, path: &Path) -> io::Result<PathBuf> {
    if root == Path::new("/") {
        return std::fs::read_link(path);
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let folder = openat(handle(root, folder)?, ".", HANDLE | OFlag::O_DIRECTORY, Mode::empty())?;
    Ok(PathBuf::from(readlinkat(&folder, name)?))
}

/// The names in the folder at the path; more than `limit` are an error.
pub(super) fn names(root: &Path, path: &Path, limit: usize) -> io::Result<Vec<String>> {
    let mut folder = Dir::from_fd(open(root, path)?.into())?;
    let mut names = Vec::new();
    for entry in folder.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if names.len() == limit {
            return Err(io::Error::other(format!("the folder has more than {limit} entries")));
        }
        // A name that is not UTF-8 can't be opened by its text, and no database has one.
        if let Ok(name) = std::str::from_utf8(name) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// The folder that holds what the path names, and its name there, all links resolved.
fn walk(root: &Path, path: &Path) -> io::Result<(File, OsString)> {
    let top = File::from(open_at_path(root, HANDLE | OFlag::O_DIRECTORY, Mode::empty())?);
    let mut folders = vec![top];
    let mut steps = Vec::new();
    push(&mut steps, path);
    let mut links = 0;
    while let Some(step) = steps.pop() {
        let name = match step {
            Step::Root => {
                folders.truncate(1);
                continue;
            }
            Step::Up => {
                folders.truncate(folders.len().saturating_sub(1).max(1));
                continue;
            }
            Step::Name(name) => name,
        };
        let Some(parent) = folders.last() else { break };
        let next = File::from(openat(parent, name.as_os_str(), HANDLE, Mode::empty())?);
        if next.metadata()?.is_symlink() {
            links += 1;
            if links > LINKS {
                return Err(io::Error::other("too many levels of symbolic links"));
            }
            let target = readlinkat(parent, name.as_os_str())?;
            push(&mut steps, Path::new(&target));
        } else if steps.is_empty() {
            return Ok((folders.pop().unwrap_or(next), name));
        } else {
            folders.push(next);
        }
    }
    // The path ended at a folder that is already open: `/`, or one that `..` led back to.
    let last = folders.pop().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    Ok((last, OsString::from(OsStr::from_bytes(b"."))))
}

/// Puts the path's steps before those that are left.
fn push(steps: &mut Vec<Step>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::RootDir | Component::Prefix(_) => steps.push(Step::Root),
            Component::ParentDir => steps.push(Step::Up),
            Component::Normal(name) => steps.push(Step::Name(name.to_owned())),
            Component::CurDir => {}
        }
    }
}
