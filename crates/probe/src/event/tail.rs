//! The end of a log file: new lines as they are written, through rotation and truncation.

use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bartizan_core::verdict::Reason;

use crate::root::Root;

/// The most that one look reads, in bytes: what is beyond comes with the next.
const LOOK_BYTES_LIMIT: u64 = 1 << 20;

/// The longest line that is kept whole, in bytes; what a longer one has beyond is dropped and counted.
pub const LINE_BYTES_LIMIT: usize = 16 << 10;

/// How far behind the end a source may fall before it skips ahead and counts the loss, in bytes.
const BEHIND_BYTES_LIMIT: u64 = 64 << 20;

/// Follows one log file by its path.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// The file that is being read, and how far.
    place: Option<Place>,
    /// The line whose end has not been written yet.
    partial: Vec<u8>,
    /// Whether the rest of an overlong line is being passed over.
    skipping: bool,
}

/// A place in a file that outlives a restart: the file by its identity, not its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub device: u64,
    pub inode: u64,
    pub offset: u64,
}

/// What one look brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub lines: Vec<String>,
    /// Lines and pieces of lines that were passed over.
    pub dropped: u64,
    /// Whether there is more to read at once.
    pub more: bool,
}

impl Tail {
    /// Follows `path` from its end: what stood there before is no news.
    pub fn from_end(root: &Root, path: impl Into<PathBuf>) -> Tail {
        let path = path.into();
        let place = root.metadata(&path).ok().map(|metadata| Place::end(&metadata));
        Tail { path, place, partial: Vec::new(), skipping: false }
    }

    /// Follows `path` from where an earlier look stopped.
    pub fn resume(path: impl Into<PathBuf>, place: Place) -> Tail {
        Tail { path: path.into(), place: Some(place), partial: Vec::new(), skipping: false }
    }

    /// The file's path inside the root.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where to resume: the start of the line that is not whole yet.
    pub fn place(&self) -> Option<Place> {
        let unread = self.partial.len() as u64;
        self.place.map(|place| Place { offset: place.offset.saturating_sub(unread), ..place })
    }

    /// Whole lines that were written since the last look. A file that is not there yet has none.
    pub fn look(&mut self, root: &Root) -> Result<Look, Reason> {
        let mut file = match root.open(&self.path) {
            Ok(file) => file,
            Err(crate::root::Error::Missing { .. }) => return Ok(Look::default()),
            Err(error) => return Err(error.reason()),
        };
        let metadata = file.metadata().map_err(|_| Reason::Error)?;
        let mut look = Look::default();
        let mut place = match self.place {
            Some(place) if place.is_in(&metadata) && place.offset <= metadata.len() => place,
            // Rotated or truncated: the file in view is a new one. What was written to the old
            // one after the last look is gone with its name, and a torn line with it.
            _ => {
                look.dropped += u64::from(!self.partial.is_empty());
                self.partial.clear();
                self.skipping = false;
                Place { offset: 0, ..Place::end(&metadata) }
            }
        };
        if metadata.len().saturating_sub(place.offset) > BEHIND_BYTES_LIMIT {
            place.offset = metadata.len().saturating_sub(LOOK_BYTES_LIMIT);
            self.partial.clear();
            self.skipping = true;
            look.dropped += 1;
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(place.offset)).map_err(|_| Reason::Error)?;
        file.take(LOOK_BYTES_LIMIT).read_to_end(&mut bytes).map_err(|_| Reason::Error)?;
        place.offset += bytes.len() as u64;
        look.more = place.offset < metadata.len();
        self.place = Some(place);
        self.take(&bytes, &mut look);
        Ok(look)
    }

    fn take(&mut self, bytes: &[u8], look: &mut Look) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            if !self.skipping {
                let room = LINE_BYTES_LIMIT.saturating_sub(self.partial.len());
                self.partial.extend(text.iter().take(room));
                if text.len() > room {
                    look.dropped += 1;
                    self.skipping = true;
                    look.lines.push(String::from_utf8_lossy(&self.partial).into_owned());
                    self.partial.clear();
                }
            }
            if ended {
                if !self.skipping {
                    look.lines.push(String::from_utf8_lossy(&self.partial).into_owned());
                }
                self.partial.clear();
                self.skipping = false;
            }
        }
    }
}

impl Place {
    fn end(metadata: &std::fs::Metadata) -> Place {
        Place { device: metadata.dev(), inode: metadata.ino(), offset: metadata.len() }
    }

    fn is_in(self, metadata: &std::fs::Metadata) -> bool {
        (self.device, self.inode) == (metadata.dev(), metadata.ino())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;

    struct Log {
        folder: tempfile::TempDir,
        root: Root,
    }

    impl Log {
        fn new(text: &str) -> Log {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("log"), text).unwrap();
            let root = Root::at(folder.path()).unwrap();
            Log { folder, root }
        }

        fn write(&self, text: &[u8]) {
            let path = self.folder.path().join("log");
            OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text).unwrap();
        }

        fn lines(&self, tail: &mut Tail) -> Vec<String> {
            tail.look(&self.root).unwrap().lines
        }
    }

    #[test]
    fn only_what_is_written_after_the_start_is_news() {
        let log = Log::new("old\n");
        let mut tail = Tail::from_end(&log.root, "/log");
        assert!(log.lines(&mut tail).is_empty());
        log.write(b"one\ntwo\n");
        assert_eq!(log.lines(&mut tail), ["one", "two"]);
        assert!(log.lines(&mut tail).is_empty());
    }

    #[test]
    fn a_line_comes_when_it_is_whole() {
        let log = Log::new("");
        let mut tail = Tail::from_end(&log.root, "/log");
        log.write(b"hal");
        assert!(log.lines(&mut tail).is_empty());
        log.write(b"f\n\xff\n");
        assert_eq!(log.lines(&mut tail), ["half", "\u{fffd}"]);
    }

    #[test]
    fn a_rotated_file_is_read_from_its_start() {
        let log = Log::new("old\n");
        let mut tail = Tail::from_end(&log.root, "/log");
        std::fs::rename(log.folder.path().join("log"), log.folder.path().join("log.1")).unwrap();
        assert!(log.lines(&mut tail).is_empty(), "a file that is not there yet has no lines");
        log.write(b"new\n");
        assert_eq!(log.lines(&mut tail), ["new"]);
    }

    #[test]
    fn a_truncated_file_is_read_from_its_start() {
        let log = Log::new("a long line\n");
        let mut tail = Tail::from_end(&log.root, "/log");
        std::fs::write(log.folder.path().join("log"), "x\n").unwrap();
        assert_eq!(log.lines(&mut tail), ["x"]);
    }

    #[test]
    fn a_restart_goes_on_at_the_first_line_that_was_not_whole() {
        let log = Log::new("");
        let mut tail = Tail::from_end(&log.root, "/log");
        log.write(b"one\ntw");
        assert_eq!(log.lines(&mut tail), ["one"]);
        let place = tail.place().unwrap();
        log.write(b"o\n");
        let mut resumed = Tail::resume("/log", place);
        assert_eq!(log.lines(&mut resumed), ["two"]);
    }

    #[test]
    fn an_overlong_line_is_cut_and_counted_and_the_next_one_is_whole() {
        let log = Log::new("");
        let mut tail = Tail::from_end(&log.root, "/log");
        log.write(&vec![b'x'; LINE_BYTES_LIMIT + 5]);
        log.write(b"\nnext\n");
        let look = tail.look(&log.root).unwrap();
        assert_eq!(look.dropped, 1);
        assert_eq!(look.lines.len(), 2);
        assert_eq!(look.lines[0].len(), LINE_BYTES_LIMIT);
        assert_eq!(look.lines[1], "next");
    }

    #[test]
    fn what_one_look_does_not_reach_comes_with_the_next() {
        let log = Log::new("");
        let mut tail = Tail::from_end(&log.root, "/log");
        let line = [b"y".repeat(1_023).as_slice(), b"\n"].concat();
        log.write(&line.repeat(1_500));
        let first = tail.look(&log.root).unwrap();
        assert!(first.more);
        let second = tail.look(&log.root).unwrap();
        assert!(!second.more);
        assert_eq!(first.lines.len() + second.lines.len(), 1_500);
    }
}
