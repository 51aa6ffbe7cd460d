//! How files stand, for the judgement of drift: mode, owner and content of each, or where a link leads.
//!
//! A look reads again only what may have changed by its metadata. Content is read in blocks, so that a
//! large file costs as little memory as a small one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use bartizan_core::configuration::drift::{Drifts, Inventory, Object, UNREAD};
use bartizan_core::fact::{Section, Unseen};
use bartizan_core::time::{Duration, Timestamp};
use bartizan_core::verdict::Reason;
use sha2::{Digest as _, Sha256};

use crate::root::{Error, Root};

/// The most entries that are watched on one host.
pub const ENTRIES_LIMIT: usize = 50_000;

/// How deep folders are followed.
const DEPTH_LIMIT: usize = 40;

/// How much of a file's content counts.
const CONTENT_BYTES: u64 = 16 << 20;

/// What is read at once.
const BLOCK_BYTES: usize = 32 << 10;

/// The largest text of which the lines that change are told.
const TEXT_BYTES: u64 = 64 << 10;

/// How long an entry has to be untouched before its metadata is believed: two writes within one tick of
/// the file system's clock look the same.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// The entries below some places of a root.
#[derive(Debug)]
pub struct Files {
    root: Root,
    places: Vec<String>,
    entries: BTreeMap<String, Entry>,
    /// Folders and files that may not be read, and why.
    unseen: BTreeMap<String, Reason>,
    /// Whether there are more than can be watched.
    is_cut: bool,
}

#[derive(Debug)]
struct Entry {
    stamp: Option<Stamp>,
    line: String,
    is_folder: bool,
}

/// What tells of a change. None is kept of an entry that was changed a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    place: (u64, u64),
    size: u64,
    mode: u32,
    owner: (u32, u32),
    changed: (i64, i64),
    written: (i64, i64),
}

/// What drifts, as far as it can be told without the reference that an agent keeps: nothing is known of it.
pub fn collect() -> Section<Drifts> {
    let mut section = Section::new(Drifts::default());
    section.miss("the reference of an agent that watches", Reason::Unassigned);
    section
}

impl Files {
    /// Nothing yet: these are the places to look at, none of them within another.
    pub fn new(root: &Root, places: Vec<String>) -> Self {
        let (entries, unseen) = (BTreeMap::new(), BTreeMap::new());
        Self { root: root.clone(), places, entries, unseen, is_cut: false }
    }

    /// The places that are looked at.
    pub fn places(&self) -> &[String] {
        &self.places
    }

    /// Looks at everything.
    pub fn survey(&mut self, now: Timestamp) {
        self.is_cut = false;
        for place in self.places.clone() {
            self.look(&place, 0, true, now);
        }
    }

    /// Looks again at what stands in these folders; a folder that is new there is looked at whole.
    pub fn again(&mut self, folders: &BTreeSet<String>, now: Timestamp) {
        for folder in folders {
            if self.entries.get(folder).is_some_and(|entry| entry.is_folder) {
                self.look(folder, 0, false, now);
            }
            // A place that is a file, or is not there yet, shows by the folder in which it stands.
            let inside = |place: &&String| parent(place) == folder && !self.entries.contains_key(folder);
            for place in self.places.iter().filter(inside).cloned().collect::<Vec<_>>() {
                self.look(&place, 0, true, now);
            }
        }
    }

    /// The folders in which a change shows.
    pub fn folders(&self) -> BTreeSet<String> {
        let folders = self.entries.iter().filter(|(_, entry)| entry.is_folder).map(|(path, _)| path.as_str());
        let around = self.places.iter().map(|place| parent(place));
        folders.chain(around).map(str::to_owned).collect()
    }

    /// How everything stands that is `watched`.
    pub fn inventory(&self, watched: impl Fn(&Object) -> bool) -> Inventory {
        let objects = self.entries.iter().map(|(path, entry)| (Object::file(path.clone()), entry));
        let standing = objects.filter(|(object, _)| watched(object));
        let standing = standing.map(|(object, entry)| (object, entry.line.clone())).collect();
        // Of a file that may not be read, mode and owner are seen.
        let unseen = self.unseen.keys().filter(|path| !self.entries.contains_key(*path));
        let mut unseen: Vec<Object> = unseen.map(|path| Object::file(path.clone())).collect();
        if self.is_cut {
            unseen.push(Object::file("/"));
        }
        Inventory { standing, unseen }
    }

    /// What could not be seen, and why.
    pub fn unseen(&self) -> impl Iterator<Item = Unseen> {
        let cut = self.is_cut.then(|| Unseen {
            what: format!("more than {ENTRIES_LIMIT} files"),
            reason: Reason::Unsupported,
        });
        let unseen = self.unseen.iter();
        unseen.map(|(path, reason)| Unseen { what: path.clone(), reason: *reason }).chain(cut)
    }

    /// The text of a file that everybody on the host may read where it stands; none of any other: what others may
    /// not read there is told to nobody. Links are not followed.
    pub fn text(&self, path: &str) -> Option<String> {
        if self.root.link(path).ok()?.is_some() {
            return None;
        }
        let mut folder = parent(path);
        loop {
            if self.root.metadata(folder).ok()?.mode() & 0o001 == 0 && folder != "/" {
                return None;
            }
            if folder == "/" {
                break;
            }
            folder = parent(folder);
        }
        let file = self.root.open(path).ok()?;
        let metadata = file.metadata().ok()?;
        if metadata.mode() & 0o004 == 0 || metadata.len() > TEXT_BYTES {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(TEXT_BYTES).read_to_end(&mut bytes).ok()?;
        String::from_utf8(bytes).ok()
    }

    /// Looks at a path, and at what a folder holds: all of it, or as far as it is new.
    fn look(&mut self, path: &str, depth: usize, whole: bool, now: Timestamp) {
        if !self.look_alone(path, now) {
            return;
        }
        let below = format!("{}/", path.trim_end_matches('/'));
        self.unseen.remove(&below);
        let names = match self.root.names(path) {
            Ok(names) if depth < DEPTH_LIMIT => names,
            Ok(_) => {
                self.unseen.insert(below, Reason::Unsupported);
                return;
            }
            Err(Error::Missing { .. }) => return self.forget(path),
            Err(error) => {
                self.unseen.insert(below, error.reason());
                return;
            }
        };
        let names: BTreeSet<String> = names.into_iter().map(|name| format!("{below}{name}")).collect();
        let gone: Vec<String> = self
            .entries
            .range(below.clone()..)
            .map(|(child, _)| child)
            .take_while(|child| child.starts_with(&below))
            .filter(|child| parent(child) == path && !names.contains(*child))
            .cloned()
            .collect();
        gone.iter().for_each(|child| self.forget(child));
        for child in names {
            let known = self.entries.get(&child);
            if known.is_none() && self.entries.len() >= ENTRIES_LIMIT {
                self.is_cut = true;
            } else if whole || known.is_none_or(|entry| !entry.is_folder) {
                self.look(&child, depth + 1, true, now);
            } else {
                self.look_alone(&child, now);
            }
        }
    }

    /// Looks at a path and at nothing below it; tells whether it is a folder.
    fn look_alone(&mut self, path: &str, now: Timestamp) -> bool {
        self.unseen.remove(path);
        match self.describe(path, now) {
            Ok(true) => return true,
            // It may have been a folder before.
            Ok(false) => self.forget_below(path),
            Err(Error::Missing { .. }) => self.forget(path),
            Err(error) => drop(self.unseen.insert(path.to_owned(), error.reason())),
        }
        false
    }

    /// Notes how a path stands; tells whether it is a folder.
    fn describe(&mut self, path: &str, now: Timestamp) -> Result<bool, Error> {
        let (stamp, line, is_folder) = match self.root.link(path)? {
            Some(target) => (None, format!("link to {}", target.display()), false),
            None => {
                let metadata = self.root.metadata(path)?;
                let stamp = Stamp::of(&metadata);
                if self.entries.get(path).is_some_and(|held| held.stamp == Some(stamp)) {
                    return Ok(metadata.is_dir());
                }
                let line = self.line(path, &metadata)?;
                let is_known = stamp.is_settled(now) && !self.unseen.contains_key(path);
                (is_known.then_some(stamp), line, metadata.is_dir())
            }
        };
        self.entries.insert(path.to_owned(), Entry { stamp, line, is_folder });
        Ok(is_folder)
    }

    fn line(&mut self, path: &str, metadata: &Metadata) -> Result<String, Error> {
        let kind = metadata.file_type();
        let rights = format!("{:04o} {}:{}", metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
        if kind.is_file() {
            return Ok(match self.content(path) {
                Ok(content) => format!("{rights} {content}"),
                Err(error @ Error::Missing { .. }) => return Err(error),
                Err(error) => {
                    // Its mode and its owner are seen all the same.
                    self.unseen.insert(path.to_owned(), error.reason());
                    format!("{rights}{UNREAD}")
                }
            });
        }
        let word = if kind.is_dir() {
            "folder"
        } else if kind.is_fifo() {
            "pipe"
        } else if kind.is_socket() {
            "socket"
        } else {
            "device"
        };
        Ok(format!("{word} {rights}"))
    }

    fn content(&self, path: &str) -> Result<String, Error> {
        let file = self.root.open(path)?;
        let failed = |source: io::Error| Error::Read { path: path.into(), source };
        let size = file.metadata().map_err(failed)?.len();
        let (mut hasher, mut block) = (Sha256::new(), vec![0; BLOCK_BYTES]);
        let mut content = file.take(CONTENT_BYTES);
        loop {
            let read = content.read(&mut block).map_err(failed)?;
            if read == 0 {
                break;
            }
            hasher.update(block.get(..read).unwrap_or_default());
        }
        let digest = hex::encode(hasher.finalize());
        Ok(if size > CONTENT_BYTES {
            format!("{size} bytes, the first {CONTENT_BYTES} of them sha256:{digest}")
        } else {
            format!("sha256:{digest}")
        })
    }

    fn forget(&mut self, path: &str) {
        self.entries.remove(path);
        self.unseen.remove(path);
        self.forget_below(path);
    }

    fn forget_below(&mut self, path: &str) {
        let below = format!("{}/", path.trim_end_matches('/'));
        self.entries.retain(|child, _| !child.starts_with(&below));
        self.unseen.retain(|child, _| !child.starts_with(&below));
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            place: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            written: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    fn is_settled(self, now: Timestamp) -> bool {
        let (seconds, nanos) = self.changed;
        let changed = Timestamp::from_millis(seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000));
        // A stamp from the future says nothing of the clock's grain.
        now.since(changed).max(changed.since(now)) > SETTLED_AFTER
    }
}

/// The folder in which a path stands.
fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((folder, _)) => folder,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use bartizan_core::configuration::drift::Standing;

    use super::*;
    use crate::tree;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn files(root: &Root, places: &[&str]) -> Files {
        let mut files = Files::new(root, places.iter().map(|place| (*place).to_owned()).collect());
        files.survey(NOW);
        files
    }

    fn standing(files: &Files) -> Standing {
        files.inventory(|_| true).standing
    }

    fn paths(files: &Files) -> Vec<String> {
        standing(files).into_keys().map(|object| object.name).collect()
    }

    fn again(files: &mut Files, folders: &[&str]) {
        files.again(&folders.iter().map(|folder| (*folder).to_owned()).collect(), NOW);
    }

    #[test]
    fn files_folders_and_links_stand_each_by_a_line() {
        let root = tree::root(&[("etc/a/hosts", "x\n")]);
        fs::set_permissions(root.path().join("etc/a/hosts"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("../a/hosts", root.path().join("etc/a/link")).unwrap();
        let files = files(&root, &["/etc/a"]);
        let standing = standing(&files);
        let line = |path: &str| standing[&Object::file(path)].clone();
        assert!(line("/etc/a").starts_with("folder 07"), "{}", line("/etc/a"));
        // Of `x` and a line feed, by sha256sum.
        let digest = "sha256:73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac";
        assert!(line("/etc/a/hosts").starts_with("0640 "), "{}", line("/etc/a/hosts"));
        assert!(line("/etc/a/hosts").ends_with(digest), "{}", line("/etc/a/hosts"));
        assert_eq!(line("/etc/a/link"), "link to ../a/hosts");
    }

    #[test]
    fn a_change_shows_by_another_look_at_its_folder_alone() {
        let root = tree::root(&[("etc/a/hosts", "x\n"), ("etc/b/hosts", "x\n")]);
        let mut files = files(&root, &["/etc"]);
        let before = standing(&files);
        for folder in ["a", "b"] {
            fs::write(root.path().join(format!("etc/{folder}/hosts")), "y\n").unwrap();
        }
        again(&mut files, &["/etc/a"]);
        let after = standing(&files);
        let changed: Vec<String> = before
            .iter()
            .filter(|(object, line)| after[object] != **line)
            .map(|(object, _)| object.name.clone())
            .collect();
        assert_eq!(changed, ["/etc/a/hosts"]);
        files.survey(NOW);
        assert_ne!(standing(&files), after);
    }

    #[test]
    fn what_comes_is_looked_at_whole_and_what_goes_is_forgotten() {
        let root = tree::root(&[("etc/a/b/c", "x")]);
        let mut files = files(&root, &["/etc"]);
        fs::create_dir_all(root.path().join("etc/new/deep")).unwrap();
        fs::write(root.path().join("etc/new/deep/file"), "x").unwrap();
        fs::remove_dir_all(root.path().join("etc/a")).unwrap();
        again(&mut files, &["/etc", "/etc/a", "/etc/a/b"]);
        assert_eq!(paths(&files), ["/etc", "/etc/new", "/etc/new/deep", "/etc/new/deep/file"]);
        fs::remove_dir_all(root.path().join("etc/new")).unwrap();
        fs::write(root.path().join("etc/new"), "a file now").unwrap();
        again(&mut files, &["/etc"]);
        assert_eq!(paths(&files), ["/etc", "/etc/new"]);
    }

    #[test]
    fn a_place_that_is_a_file_shows_by_the_folder_in_which_it_stands() {
        let root = tree::root(&[("etc/other", "x")]);
        let mut files = files(&root, &["/etc/hosts"]);
        assert!(paths(&files).is_empty());
        assert!(files.folders().contains("/etc"));
        fs::write(root.path().join("etc/hosts"), "x").unwrap();
        again(&mut files, &["/etc"]);
        assert_eq!(paths(&files), ["/etc/hosts"]);
        fs::remove_file(root.path().join("etc/hosts")).unwrap();
        again(&mut files, &["/etc"]);
        assert!(paths(&files).is_empty());
    }

    #[test]
    fn a_text_is_told_only_where_everybody_may_read_it() {
        let root = tree::root(&[("etc/open", "x"), ("etc/closed", "x"), ("etc/large", &"x".repeat(70_000))]);
        fs::set_permissions(root.path().join("etc/closed"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(root.path().join("etc/bytes"), b"\xff\xfe").unwrap();
        symlink("open", root.path().join("etc/link")).unwrap();
        fs::create_dir_all(root.path().join("etc/private")).unwrap();
        fs::write(root.path().join("etc/private/file"), "x").unwrap();
        fs::set_permissions(root.path().join("etc/private"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(root.path().join("etc"), fs::Permissions::from_mode(0o755)).unwrap();
        let files = files(&root, &["/etc"]);
        assert_eq!(files.text("/etc/open").as_deref(), Some("x"));
        for path in
            ["/etc/closed", "/etc/large", "/etc/bytes", "/etc/none", "/etc", "/etc/link", "/etc/private/file"]
        {
            assert_eq!(files.text(path), None, "{path}");
        }
    }
}
