//! Writing bundles. What is written is checked on the way, so that nobody is handed a bundle that fails.

use std::io::Write;

use super::{Consistency, Content, End, Entry, Error, FORMAT, Head, Leaf, Line};
use crate::checkpoint::{Key, Signed};
use crate::entry::{BODY_BYTES_LIMIT, Body};
use crate::tree::proof;
use crate::tree::{Frontier, Node, leaf_hash};
use bartizan_core::digest::Digest;

/// Exports the whole log up to a checkpoint; `entries` gives its leaves in order, from the first.
pub fn export<W: Write>(
    mut out: W,
    key: &Key,
    checkpoint: &Signed,
    entries: impl IntoIterator<Item = Entry>,
) -> Result<(), Error> {
    head(&mut out, key, checkpoint, Content::Whole)?;
    let mut frontier = Frontier::new();
    for entry in entries {
        let line = leaf_line(&entry)?;
        frontier.append(leaf_hash(line.leaf.as_bytes()))?;
        write(&mut out, &Line::Leaf(Box::new(line)))?;
    }
    let head = checkpoint.checkpoint();
    if frontier.size() != head.size {
        return Err(Error::Leaves { expected: head.size, found: frontier.size() });
    }
    if frontier.root() != head.root {
        return Err(Error::Root);
    }
    end(&mut out, head.size)
}

/// Exports some leaves, each with its inclusion proof, and a consistency proof from each of the sizes
/// `since` (those of checkpoints that the reader may hold). `read` gives the hash of a stored node.
pub fn select<W: Write>(
    mut out: W,
    key: &Key,
    checkpoint: &Signed,
    since: &[u64],
    entries: impl IntoIterator<Item = (u64, Entry)>,
    mut read: impl FnMut(Node) -> Option<Digest>,
) -> Result<(), Error> {
    head(&mut out, key, checkpoint, Content::Selection)?;
    let head = checkpoint.checkpoint();
    for from in since.iter().copied() {
        let hashes = proof::consistency(from, head.size, &mut read)?;
        write(&mut out, &Line::Consistency { consistency: Consistency { from, hashes } })?;
    }
    let mut leaves = 0;
    for (index, entry) in entries {
        let mut line = leaf_line(&entry)?;
        let inclusion = proof::inclusion(index, head.size, &mut read)?;
        let hash = leaf_hash(line.leaf.as_bytes());
        if !proof::includes(&hash, index, head.size, &inclusion, &head.root) {
            return Err(Error::Root);
        }
        line.index = Some(index);
        line.inclusion = Some(inclusion);
        write(&mut out, &Line::Leaf(Box::new(line)))?;
        leaves += 1;
    }
    end(&mut out, leaves)
}

fn head<W: Write>(out: &mut W, key: &Key, checkpoint: &Signed, content: Content) -> Result<(), Error> {
    key.open(checkpoint.note())?;
    let head = Head {
        bundle: FORMAT.to_owned(),
        key: key.to_string(),
        checkpoint: checkpoint.note().to_owned(),
        content,
    };
    write(out, &Line::Head(head))
}

fn end<W: Write>(out: &mut W, leaves: u64) -> Result<(), Error> {
    write(out, &Line::End { end: End { leaves } })?;
    Ok(out.flush()?)
}

fn leaf_line(entry: &Entry) -> Result<Leaf, Error> {
    let Entry { envelope, body } = entry;
    if body.as_ref().is_some_and(|body| body.seal() != envelope.seal || body.text().len() > BODY_BYTES_LIMIT)
    {
        return Err(Error::Body { source_name: envelope.source.clone(), counter: envelope.counter });
    }
    let (body, salt) = match body {
        Some(Body::Open(text)) => (Some(text.clone()), None),
        Some(Body::Salted { text, salt }) => (Some(text.clone()), Some(hex::encode(salt))),
        None => (None, None),
    };
    Ok(Leaf { leaf: envelope.to_text()?, body, salt, index: None, inclusion: None })
}

fn write<W: Write>(out: &mut W, line: &Line) -> Result<(), Error> {
    serde_json::to_writer(&mut *out, line)?;
    Ok(out.write_all(b"\n")?)
}
