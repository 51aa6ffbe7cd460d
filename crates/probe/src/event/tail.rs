//! The end of a log file: new lines as they are written, through rotation and truncation.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use bartizan_core::verdict::Reason;

use crate::root::Root;

/// The most that one look reads, in bytes: what is beyond comes with the next.
const LOOK_BYTES_LIMIT: u64 = 1 << 20;

/// The longest line that is kept whole, in bytes; what a longer one has beyond is dropped and counted.
pub const LINE_BYTES_LIMIT: usize = 16 << 10;

/// How far behind the end a source may fall before it skips ahead and counts the loss, in bytes.
const BEHIND_BYTES_LIMIT: u64 = 64 << 20;

/// By how many bytes before the place one knows that a file is still the one that was read.
const KNOWN_BYTES: usize = 64;

/// Follows one log file by its path.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// The file that is being read, and how far.
    place: Option<Place>,
    /// That file, open: what is written to it before it is rotated away is read under whatever name it has.
    open: Option<File>,
    /// What stands before the place.
    known: Vec<u8>,
    /// The line whose end has not been written yet.
    partial: Vec<u8>,
    /// Whether the rest of an overlong line is being passed over.
    skipping: bool,
}

/// A place in a file: the file by its identity, not its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    device: u64,
    inode: u64,
    offset: u64,
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
        let mut tail =
            Tail { path, place: None, open: None, known: Vec::new(), partial: Vec::new(), skipping: false };
        if let Ok(file) = root.open(&tail.path)
            && let Ok(metadata) = file.metadata()
        {
            let place = Place::end(&metadata);
            tail.known = before(&file, place.offset);
            (tail.place, tail.open) = (Some(place), Some(file));
        }
        tail
    }

    /// The file's path inside the root.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whole lines that were written since the last look. A file that is not there yet has none.
    pub fn look(&mut self, root: &Root) -> Result<Look, Reason> {
        let mut look = Look::default();
        let file = match root.open(&self.path) {
            Ok(file) => Some(file),
            Err(crate::root::Error::Missing { .. }) => None,
            Err(error) => return Err(error.reason()),
        };
        let metadata = file.as_ref().map(File::metadata).transpose().map_err(|_| Reason::Error)?;
        let is_same = |place: Place| metadata.as_ref().is_some_and(|metadata| place.is_in(metadata));
        if let (Some(place), Some(old)) = (self.place, self.open.take()) {
            // What was written to it before it was rotated away, or after it lost its name.
            self.read(old, place, &mut look)?;
            if look.more || is_same(place) || file.is_none() {
                return Ok(look);
            }
        }
        let (Some(file), Some(metadata)) = (file, metadata) else { return Ok(look) };
        // A new file, and a torn line went with the old one.
        look.dropped += u64::from(!self.partial.is_empty());
        self.begin();
        self.read(file, Place { offset: 0, ..Place::end(&metadata) }, &mut look)?;
        Ok(look)
    }

    /// Reads on in a file, as far as one look reads.
    fn read(&mut self, mut file: File, mut place: Place, look: &mut Look) -> Result<(), Reason> {
        let length = file.metadata().map_err(|_| Reason::Error)?.len();
        // Truncated, and perhaps written to since: what came between the last look and that is gone.
        if length < place.offset || (length > place.offset && before(&file, place.offset) != self.known) {
            look.dropped += 1;
            self.begin();
            place.offset = 0;
        }
        if length.saturating_sub(place.offset) > BEHIND_BYTES_LIMIT {
            place.offset = length.saturating_sub(LOOK_BYTES_LIMIT);
            self.partial.clear();
            self.skipping = true;
            look.dropped += 1;
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(place.offset)).map_err(|_| Reason::Error)?;
        (&mut file).take(LOOK_BYTES_LIMIT).read_to_end(&mut bytes).map_err(|_| Reason::Error)?;
        place.offset += bytes.len() as u64;
        look.more |= place.offset < length;
        if !bytes.is_empty() || self.known.is_empty() {
            self.known = before(&file, place.offset);
        }
        (self.place, self.open) = (Some(place), Some(file));
        self.take(&bytes, look);
        Ok(())
    }

    /// Forgets the line that was begun: it has no end any more.
    fn begin(&mut self) {
        self.partial.clear();
        self.known.clear();
        self.skipping = false;
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

/// The bytes before a place in a file, as far as they tell it from another.
fn before(file: &File, offset: u64) -> Vec<u8> {
    let count = usize::try_from(offset).unwrap_or(usize::MAX).min(KNOWN_BYTES);
    let mut bytes = vec![0; count];
    // What can't be read is another file's for sure.
    match file.read_exact_at(&mut bytes, offset - count as u64) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
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
    fn what_was_written_before_a_rotation_is_read_after_it() {
        let log = Log::new("old\n");
        let mut tail = Tail::from_end(&log.root, "/log");
        log.write(b"last\n");
        std::fs::rename(log.folder.path().join("log"), log.folder.path().join("log.1")).unwrap();
        log.write(b"new\n");
        let look = tail.look(&log.root).unwrap();
        assert_eq!((look.lines, look.dropped), (vec!["last".to_owned(), "new".to_owned()], 0));
        // Between the two names there is none, and what is written then counts, too.
        std::fs::rename(log.folder.path().join("log"), log.folder.path().join("log.2")).unwrap();
        let path = log.folder.path().join("log.2");
        OpenOptions::new().append(true).open(path).unwrap().write_all(b"late\n").unwrap();
        assert_eq!(log.lines(&mut tail), ["late"]);
    }

    #[test]
    fn a_file_that_was_truncated_and_has_grown_past_its_place_is_read_anew_and_that_is_counted() {
        let log = Log::new("one\ntwo\n");
        let mut tail = Tail::from_end(&log.root, "/log");
        std::fs::write(log.folder.path().join("log"), "three\nfour\nfive\n").unwrap();
        let look = tail.look(&log.root).unwrap();
        assert_eq!(look.lines, ["three", "four", "five"]);
        assert_eq!(look.dropped, 1, "what came before it was truncated is gone");
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
