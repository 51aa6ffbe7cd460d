//! Unpacking on a thread of its own, so that what is unpacked can be read meanwhile.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope};

/// What is unpacked at once.
const BLOCK_BYTES: usize = 64 << 10;

/// How many blocks may wait to be read.
const BLOCKS: usize = 32;

/// What a reader on another thread gives.
pub(super) struct Unpacked {
    blocks: Receiver<io::Result<Vec<u8>>>,
    /// The block that is being read; an empty one comes last.
    block: Vec<u8>,
    /// How much of it was read.
    given: usize,
    ended: bool,
}

impl Unpacked {
    /// Starts to read; the thread ends with the reader's end, its first error, or when nobody listens.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        reader: impl Read + Send + 'scope,
    ) -> io::Result<Self> {
        let (sender, blocks) = sync_channel(BLOCKS);
        Builder::new().name("unpack".to_owned()).spawn_scoped(scope, move || unpack(reader, &sender))?;
        Ok(Self { blocks, block: Vec::new(), given: 0, ended: false })
    }
}

fn unpack(mut reader: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        let read = reader.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block);
        // What came before an error is sound; an empty block says that all was read.
        let is_last = block.is_empty();
        let sound = if is_last && read.is_err() { Ok(()) } else { sender.send(Ok(block)) };
        if sound.is_err() || (is_last && read.is_ok()) {
            return;
        }
        if let Err(error) = read {
            // Nobody who listens is nobody to tell.
            let _ = sender.send(Err(error));
            return;
        }
    }
}

impl Read for Unpacked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Unpacked {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.given >= self.block.len() && !self.ended {
            (self.block, self.given) = (Vec::new(), 0);
            match self.blocks.recv() {
                Ok(Ok(block)) if block.is_empty() => self.ended = true,
                Ok(Ok(block)) => self.block = block,
                Ok(Err(error)) => {
                    self.ended = true;
                    return Err(error);
                }
                Err(_) => {
                    self.ended = true;
                    return Err(io::Error::other("the thread that unpacks it broke off"));
                }
            }
        }
        Ok(self.block.get(self.given..).unwrap_or_default())
    }

    fn consume(&mut self, length: usize) {
        self.given = self.given.saturating_add(length).min(self.block.len());
    }
}
