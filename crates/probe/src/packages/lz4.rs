//! The LZ4 frame format (version 1.6.4), in which apt keeps lists on hosts that compress them.
//!
//! Checksums are not compared: apt compared the repository's own when it fetched the list, and what
//! is broken here costs the list's remaining stanzas alone.

use std::io::{self, Read};

const MAGIC: u32 = 0x184D_2204;

/// The sixteen magic numbers of frames that a reader passes over.
const SKIPPABLE: std::ops::RangeInclusive<u32> = 0x184D_2A50..=0x184D_2A5F;

/// How far back a match may point.
const WINDOW_BYTES: usize = 64 << 10;

/// The bit of a block's length that says it is stored as it is.
const STORED: u32 = 1 << 31;

/// Decompresses a sequence of frames.
pub(super) struct Decoder<R> {
    reader: R,
    frame: Option<Frame>,
    /// The window, and after it the block that was read last.
    output: Vec<u8>,
    /// How much of the output was handed out.
    given: usize,
    /// One block as it is stored.
    input: Vec<u8>,
}

/// What a frame's descriptor says.
#[derive(Clone, Copy)]
struct Frame {
    block_bytes: usize,
    linked: bool,
    block_checksums: bool,
    content_checksum: bool,
}

impl<R: Read> Decoder<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, frame: None, output: Vec::new(), given: 0, input: Vec::new() }
    }

    /// Decompresses the next block; tells whether there was one.
    fn block(&mut self) -> io::Result<bool> {
        let frame = match self.frame {
            Some(frame) => frame,
            None => match self.descriptor()? {
                Some(frame) => frame,
                None => return Ok(false),
            },
        };
        self.frame = Some(frame);
        let length = u32::from_le_bytes(self.array()?);
        if length == 0 {
            self.frame = None;
            if frame.content_checksum {
                self.array::<4>()?;
            }
            return Ok(true);
        }
        let stored = length & STORED != 0;
        let length = usize::try_from(length & !STORED).map_err(|_| broken())?;
        if length > frame.block_bytes {
            return Err(broken());
        }
        self.input.resize(length, 0);
        self.reader.read_exact(&mut self.input)?;
        if frame.block_checksums {
            self.array::<4>()?;
        }
        let kept = if frame.linked { WINDOW_BYTES } else { 0 };
        self.output.drain(..self.output.len().saturating_sub(kept));
        self.given = self.output.len();
        if stored {
            self.output.extend_from_slice(&self.input);
            return Ok(true);
        }
        let limit = self.given.saturating_add(frame.block_bytes);
        decompress(&self.input, &mut self.output, limit).ok_or_else(broken)?;
        Ok(true)
    }

    /// Reads on to the next frame's first block; none at the end.
    fn descriptor(&mut self) -> io::Result<Option<Frame>> {
        loop {
            let mut magic = Vec::with_capacity(4);
            if self.reader.by_ref().take(4).read_to_end(&mut magic)? == 0 {
                return Ok(None);
            }
            let magic = u32::from_le_bytes(magic.try_into().map_err(|_| broken())?);
            if SKIPPABLE.contains(&magic) {
                let length = u64::from(u32::from_le_bytes(self.array()?));
                io::copy(&mut self.reader.by_ref().take(length), &mut io::sink())?;
                continue;
            }
            let [flags, sizes] = self.array()?;
            if magic != MAGIC || flags >> 6 != 1 {
                return Err(broken());
            }
            let has = |bit: u8| flags & (1 << bit) != 0;
            let block_bytes = match (sizes >> 4) & 7 {
                size @ 4..=7 => 1 << (8 + 2 * usize::from(size)),
                _ => return Err(broken()),
            };
            // The content's length, a dictionary's number and the header's checksum.
            let rest = if has(3) { 8 } else { 0 } + if has(0) { 4 } else { 0 } + 1;
            io::copy(&mut self.reader.by_ref().take(rest), &mut io::sink())?;
            self.output.clear();
            self.given = 0;
            return Ok(Some(Frame {
                block_bytes,
                linked: !has(5),
                block_checksums: has(4),
                content_checksum: has(2),
            }));
        }
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.output.get(self.given..).unwrap_or_default();
            let length = left.len().min(into.len());
            if length > 0 || into.is_empty() {
                if let (Some(to), Some(from)) = (into.get_mut(..length), left.get(..length)) {
                    to.copy_from_slice(from);
                }
                self.given += length;
                return Ok(length);
            }
            if !self.block()? {
                return Ok(0);
            }
        }
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is no LZ4 frame")
}

/// Appends what one compressed block holds, as long as the output stays within the limit; none where
/// it is broken.
fn decompress(mut input: &[u8], output: &mut Vec<u8>, limit: usize) -> Option<()> {
    loop {
        let token = *input.split_off_first()?;
        let length = extended(usize::from(token >> 4), &mut input)?;
        let literals = input.split_off(..length)?;
        if output.len().checked_add(length)? > limit {
            return None;
        }
        output.extend_from_slice(literals);
        // The last sequence has literals only.
        if input.is_empty() {
            return Some(());
        }
        let distance =
            usize::from(u16::from_le_bytes([*input.split_off_first()?, *input.split_off_first()?]));
        let mut length = extended(usize::from(token & 15), &mut input)?.checked_add(4)?;
        if distance == 0 || output.len().checked_add(length)? > limit {
            return None;
        }
        let start = output.len().checked_sub(distance)?;
        // A match may overlap what it writes: then it repeats, and each copy doubles what there is.
        while length > 0 {
            let part = length.min(output.len() - start);
            output.extend_from_within(start..start + part);
            length -= part;
        }
    }
}

/// A length of which the token holds up to 15, and following bytes the rest.
fn extended(mut length: usize, input: &mut &[u8]) -> Option<usize> {
    if length == 15 {
        loop {
            let byte = *input.split_off_first()?;
            length = length.checked_add(usize::from(byte))?;
            if byte < 255 {
                break;
            }
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut output = Vec::new();
        Decoder::new(bytes).read_to_end(&mut output).map(|_| output)
    }

    /// A frame with blocks of up to 64 KiB, each with its stored bit.
    fn frame(flags: u8, blocks: &[(bool, &[u8])]) -> Vec<u8> {
        let mut bytes = MAGIC.to_le_bytes().to_vec();
        bytes.extend([flags, 0x40, 0]);
        for (stored, block) in blocks {
            let length = u32::try_from(block.len()).unwrap() | if *stored { STORED } else { 0 };
            bytes.extend(length.to_le_bytes());
            bytes.extend(*block);
        }
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn blocks_are_unpacked_stored_ones_copied_and_matches_reach_into_the_block_before() {
        // Three literals and a match of nine, three back; then a match of four, twelve back.
        let repeated = [0x35, b'a', b'b', b'c', 3, 0, 0x10, b'!'];
        let back = [0x00, 13, 0, 0x10, b'.'];
        let linked = frame(0x40, &[(false, &repeated), (false, &back), (true, b"end")]);
        assert_eq!(decode(&linked).unwrap(), b"abcabcabcabc!abca.end");
        let unlinked = frame(0x60, &[(false, &repeated), (false, &back)]);
        decode(&unlinked).unwrap_err();
    }

    #[test]
    fn frames_follow_each_other_and_those_to_be_skipped_are() {
        let mut bytes = frame(0x60, &[(true, b"one ")]);
        bytes.extend([0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3]);
        bytes.extend(frame(0x60, &[(false, &[0x30, b't', b'w', b'o'])]));
        assert_eq!(decode(&bytes).unwrap(), b"one two");
        assert_eq!(decode(b"").unwrap(), b"");
    }

    #[test]
    fn a_long_run_is_one_match() {
        // Literal `x`, then a match of 4 + 15 + 255 + 100, one back.
        let block = [0x1F, b'x', 1, 0, 255, 100, 0x00];
        assert_eq!(decode(&frame(0x60, &[(false, &block)])).unwrap(), vec![b'x'; 375]);
    }

    #[test]
    fn broken_frames_are_errors() {
        for bytes in [
            b"not a frame".to_vec(),
            frame(0x80, &[]),
            frame(0x60, &[(false, &[0x10])]),
            frame(0x60, &[(false, &[0x00, 0, 0, 0x00])]),
            frame(0x60, &[(false, &[0x00, 9, 0, 0x00])]),
            frame(0x60, &[(true, &[0; 65537])]),
            MAGIC.to_le_bytes().to_vec(),
        ] {
            decode(&bytes).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn no_block_is_too_much(block in prop::collection::vec(any::<u8>(), 1..200), flags in any::<u8>()) {
            let _ = decode(&frame(0x40, &[(false, &block)]));
            let _ = decode(&frame(flags, &[(false, &block)]));
        }
    }
}
