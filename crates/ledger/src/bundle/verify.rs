//! Reading bundles: the offline verifier's judgement.
//!
//! From the bundle alone it sees what was altered, reordered or removed. What a log's owner
//! can still do with the log's own key, cut it short or write it anew, shows only against
//! a checkpoint that was kept elsewhere.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use bartizan_core::digest::Digest;

use super::{Consistency, Content, FORMAT, Head, LINE_BYTES_LIMIT, Leaf, Line, PROOFS_LIMIT};
use crate::checkpoint::{self, Checkpoint, Key, Signed};
use crate::entry::{self, Body, Counters, Envelope, Salt};
use crate::tree::{self, Frontier, leaf_hash, proof};

/// The most checkpoints that one run compares with.
pub const CHECKPOINTS_LIMIT: usize = 1_000;

/// What the reader of a bundle holds beside it.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// The log's public key; where none is held, the bundle's own is taken, and the report says so.
    pub key: Option<Key>,
    /// Checkpoints kept elsewhere, as notes.
    pub checkpoints: Vec<String>,
}

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub checkpoint: Checkpoint,
    pub content: Content,
    pub key: Key,
    /// Whether the key was compared with one that the reader holds.
    pub key_held: bool,
    pub leaves: u64,
    pub sources: usize,
    /// Bodies that were there, and fit their leaves.
    pub bodies: u64,
    /// Leaves whose body is not in the bundle: erased, or withheld.
    pub bodies_absent: u64,
    /// The sizes of the checkpoints held that the bundle's log continues; an empty one, which every log
    /// continues, is none.
    pub continues: Vec<u64>,
}

impl Report {
    /// Up to how many leaves truncation is excluded: the newest checkpoint kept elsewhere that the log was
    /// compared with; none where there is no such.
    pub fn truncation_excluded_up_to(&self) -> Option<u64> {
        self.continues.iter().max().copied()
    }
}

/// Why a bundle is not verified.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("can't read the bundle: {0}")]
    Read(#[from] std::io::Error),
    #[error("this is no bundle: its first line is not the head of one")]
    NotABundle,
    #[error("the bundle has the form `{0}`; this program reads `{FORMAT}`")]
    Format(String),
    #[error("line {line} is longer than {LINE_BYTES_LIMIT} bytes")]
    LineTooLong { line: u64 },
    #[error("line {line} can't be read: {why}")]
    Line { line: u64, why: String },
    #[error("the bundle ends after line {line} without its last line: something was removed")]
    Cut { line: u64 },
    #[error("the bundle's last line counts {counted} leaves, it holds {found}")]
    Count { counted: u64, found: u64 },
    #[error("the bundle's key is not the key you hold")]
    Key,
    #[error("the bundle's checkpoint: {0}")]
    Checkpoint(checkpoint::Error),
    #[error("checkpoint {number} that you hold: {error}")]
    Held { number: usize, error: checkpoint::Error },
    #[error("more than {CHECKPOINTS_LIMIT} checkpoints to compare with")]
    TooManyCheckpoints,
    #[error("more than {PROOFS_LIMIT} consistency proofs in the bundle")]
    TooManyProofs,
    #[error("line {line}: the leaf is damaged: {error}")]
    Leaf { line: u64, error: entry::Error },
    #[error("line {line}: entries were removed, reordered or repeated: {error}")]
    Counter { line: u64, error: entry::Error },
    #[error("line {line}: the body does not fit its leaf: it was altered")]
    Body { line: u64 },
    #[error("line {line}: the leaf is not in the log where the bundle says: it was altered or moved")]
    Inclusion { line: u64 },
    #[error("the log has {expected} leaves, the bundle holds {found}: leaves were removed or added")]
    Leaves { expected: u64, found: u64 },
    #[error("the leaves do not give the signed root: some were altered, reordered or replaced")]
    Root,
    #[error("truncated: the log has {size} leaves, the checkpoint that you hold has {held}")]
    Truncated { size: u64, held: u64 },
    #[error("rewritten: the log does not continue the checkpoint that you hold at {held} leaves")]
    Rewritten { held: u64 },
    #[error("the bundle has no proof from the checkpoint that you hold at {held} leaves")]
    Unproved { held: u64 },
    #[error(transparent)]
    Tree(#[from] tree::Error),
}

impl Failure {
    /// Whether the file is no bundle at all or what the reader holds is unusable: the caller's mistake.
    pub const fn is_callers(&self) -> bool {
        matches!(self, Failure::NotABundle | Failure::Format(_) | Failure::TooManyCheckpoints)
            || matches!(
                self,
                Failure::Held { error: checkpoint::Error::Malformed(_) | checkpoint::Error::TooLong(_), .. }
            )
    }

    /// Whether the file could not be read to its end.
    pub const fn is_unreadable(&self) -> bool {
        matches!(self, Failure::Read(_))
    }
}

/// Verifies a bundle as a stream. Memory is bounded by one line and the limits of this module.
pub fn verify(bundle: impl BufRead, held: &Held) -> Result<Report, Failure> {
    let mut lines = Lines { bundle, line: 0, buffer: Vec::new() };
    let head = lines.head()?;
    let mut run = Run::begin(&head, held)?;
    loop {
        match lines.next()? {
            None => return Err(Failure::Cut { line: lines.line }),
            Some(Line::Head(_)) => return Err(lines.fault("a second head")),
            Some(Line::Consistency { consistency }) => run.consistency(consistency)?,
            Some(Line::Leaf(leaf)) => run.leaf(*leaf, lines.line)?,
            Some(Line::End { end }) => {
                if lines.next()?.is_some() {
                    return Err(lines.fault("there is more after the last line"));
                }
                return run.finish(end.leaves);
            }
        }
    }
}

struct Lines<R> {
    bundle: R,
    line: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    fn head(&mut self) -> Result<Head, Failure> {
        // Whatever stands on the first line, if it is no head, the file is something else.
        let head = match self.next() {
            Ok(Some(Line::Head(head))) => head,
            Err(Failure::Read(error)) => return Err(Failure::Read(error)),
            _ => return Err(Failure::NotABundle),
        };
        if head.bundle == FORMAT { Ok(head) } else { Err(Failure::Format(head.bundle)) }
    }

    fn next(&mut self) -> Result<Option<Line>, Failure> {
        self.buffer.clear();
        let limit = LINE_BYTES_LIMIT as u64 + 1;
        self.bundle.by_ref().take(limit).read_until(b'\n', &mut self.buffer)?;
        if self.buffer.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        if self.buffer.len() > LINE_BYTES_LIMIT {
            return Err(Failure::LineTooLong { line: self.line });
        }
        match serde_json::from_slice(&self.buffer) {
            Ok(line) => Ok(Some(line)),
            Err(error) => Err(self.fault(&format!("it is no line of a bundle ({error})"))),
        }
    }

    fn fault(&self, why: &str) -> Failure {
        Failure::Line { line: self.line, why: why.to_owned() }
    }
}

/// One run over a bundle.
struct Run {
    key: Key,
    key_held: bool,
    head: Signed,
    content: Content,
    held: Vec<Checkpoint>,
    proofs: BTreeMap<u64, Vec<Digest>>,
    frontier: Frontier,
    /// The root that the whole log had at the sizes of checkpoints held.
    roots: BTreeMap<u64, Digest>,
    counters: Counters,
    after: Option<u64>,
    leaves: u64,
    bodies: u64,
}

impl Run {
    fn begin(head: &Head, held: &Held) -> Result<Run, Failure> {
        if held.checkpoints.len() > CHECKPOINTS_LIMIT {
            return Err(Failure::TooManyCheckpoints);
        }
        let own = Key::parse(&head.key).map_err(Failure::Checkpoint)?;
        let key = held.key.clone().unwrap_or_else(|| own.clone());
        if key != own {
            return Err(Failure::Key);
        }
        let opened = key.open(&head.checkpoint).map_err(Failure::Checkpoint)?;
        let mut checkpoints = Vec::new();
        for (place, note) in held.checkpoints.iter().enumerate() {
            let fault = |error| Failure::Held { number: place + 1, error };
            checkpoints.push(key.open(note).map_err(fault)?.checkpoint().clone());
        }
        let size = opened.checkpoint().size;
        if let Some(longer) = checkpoints.iter().map(|held| held.size).filter(|held| *held > size).max() {
            return Err(Failure::Truncated { size, held: longer });
        }
        let wanted = |size| checkpoints.iter().any(|held: &Checkpoint| held.size == size);
        let roots = if wanted(0) { BTreeMap::from([(0, tree::empty_root())]) } else { BTreeMap::new() };
        Ok(Run {
            key_held: held.key.is_some(),
            key,
            head: opened,
            content: head.content,
            held: checkpoints,
            proofs: BTreeMap::new(),
            frontier: Frontier::new(),
            roots,
            counters: Counters::new(),
            after: None,
            leaves: 0,
            bodies: 0,
        })
    }

    fn consistency(&mut self, proof: Consistency) -> Result<(), Failure> {
        if self.proofs.len() >= PROOFS_LIMIT {
            return Err(Failure::TooManyProofs);
        }
        self.proofs.insert(proof.from, proof.hashes);
        Ok(())
    }

    fn leaf(&mut self, leaf: Leaf, line: u64) -> Result<(), Failure> {
        let envelope = Envelope::parse(&leaf.leaf).map_err(|error| Failure::Leaf { line, error })?;
        let hash = leaf_hash(leaf.leaf.as_bytes());
        let head = self.head.checkpoint();
        match self.content {
            Content::Whole => {
                let counted = self.counters.count(&envelope.source, envelope.counter);
                counted.map_err(|error| Failure::Counter { line, error })?;
                self.frontier.append(hash)?;
                let size = self.frontier.size();
                if size > head.size {
                    return Err(Failure::Leaves { expected: head.size, found: size });
                }
                if self.held.iter().any(|held| held.size == size) {
                    self.roots.insert(size, self.frontier.root());
                }
            }
            Content::Selection => {
                let (index, proof) = leaf.index.zip(leaf.inclusion).ok_or(Failure::Inclusion { line })?;
                let in_order = self.after.is_none_or(|after| index > after);
                if !in_order || !proof::includes(&hash, index, head.size, &proof, &head.root) {
                    return Err(Failure::Inclusion { line });
                }
                self.after = Some(index);
            }
        }
        self.leaves += 1;
        self.body(&envelope, leaf.body, leaf.salt).map_err(|()| Failure::Body { line })
    }

    fn body(&mut self, envelope: &Envelope, text: Option<String>, salt: Option<String>) -> Result<(), ()> {
        let body = match (text, salt) {
            (None, None) => return Ok(()),
            (Some(text), None) => Body::Open(text),
            (Some(text), Some(salt)) => {
                let mut bytes: Salt = [0; 32];
                hex::decode_to_slice(salt, &mut bytes).map_err(|_| ())?;
                Body::Salted { text, salt: bytes }
            }
            (None, Some(_)) => return Err(()),
        };
        if body.seal() != envelope.seal {
            return Err(());
        }
        self.bodies += 1;
        Ok(())
    }

    fn finish(self, counted: u64) -> Result<Report, Failure> {
        let head = self.head.checkpoint();
        if counted != self.leaves {
            return Err(Failure::Count { counted, found: self.leaves });
        }
        if self.content == Content::Whole {
            if self.leaves != head.size {
                return Err(Failure::Leaves { expected: head.size, found: self.leaves });
            }
            if self.frontier.root() != head.root {
                return Err(Failure::Root);
            }
        }
        for held in &self.held {
            self.compare(held)?;
        }
        Ok(Report {
            content: self.content,
            key: self.key,
            key_held: self.key_held,
            leaves: self.leaves,
            sources: self.counters.sources(),
            bodies: self.bodies,
            bodies_absent: self.leaves - self.bodies,
            continues: self.held.iter().map(|held| held.size).filter(|size| *size > 0).collect(),
            checkpoint: head.clone(),
        })
    }

    /// Whether this log continues a checkpoint that was kept elsewhere.
    fn compare(&self, held: &Checkpoint) -> Result<(), Failure> {
        let head = self.head.checkpoint();
        let same = match self.content {
            _ if held.size == head.size => held.root == head.root,
            Content::Whole => self.roots.get(&held.size) == Some(&held.root),
            Content::Selection => {
                let proof = self.proofs.get(&held.size).ok_or(Failure::Unproved { held: held.size })?;
                proof::continues((held.size, &held.root), (head.size, &head.root), proof)
            }
        };
        if same { Ok(()) } else { Err(Failure::Rewritten { held: held.size }) }
    }
}
