//! Nudges: server-sent events whose data is one word. They may be lost; nothing depends on them.

use reqwest::Response;

/// The most bytes that are kept of a line: the words are short.
const LINE_BYTES_LIMIT: usize = 256;

/// What the server asks to be looked at now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nudge {
    /// There is another policy.
    Policy,
    /// The server wants to hear from us.
    Report,
    /// There is an order for somebody; the next check-in tells for whom.
    Order,
}

/// The open stream.
#[derive(Debug)]
pub struct Nudges {
    response: Response,
    lines: Lines,
}

impl Nudges {
    pub(super) fn new(response: Response) -> Self {
        Self { response, lines: Lines::default() }
    }

    /// The next nudges; none where the stream has ended.
    pub async fn next(&mut self) -> Option<Vec<Nudge>> {
        loop {
            let chunk = self.response.chunk().await.ok()??;
            let nudges = self.lines.take(&chunk);
            if !nudges.is_empty() {
                return Some(nudges);
            }
        }
    }
}

/// Lines out of chunks (HTML standard, section 9.2.6), as far as a word of data needs it.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
}

impl Lines {
    fn take(&mut self, chunk: &[u8]) -> Vec<Nudge> {
        let mut nudges = Vec::new();
        for byte in chunk {
            match byte {
                b'\n' | b'\r' => nudges.extend(nudge(&std::mem::take(&mut self.line))),
                byte if self.line.len() < LINE_BYTES_LIMIT => self.line.push(*byte),
                // What is longer is no word of ours; its beginning is no longer one either.
                _ => {}
            }
        }
        nudges
    }
}

fn nudge(line: &[u8]) -> Option<Nudge> {
    match line.strip_prefix(b"data:")?.trim_ascii() {
        b"policy" => Some(Nudge::Policy),
        b"report" => Some(Nudge::Report),
        b"order" => Some(Nudge::Order),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_across_chunks_and_what_is_no_word_is_passed_over() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b": ping\n\nda"), []);
        assert_eq!(
            lines.take(b"ta: policy\r\n\r\ndata:report\n\ndata: reboot\n\n"),
            [Nudge::Policy, Nudge::Report]
        );
        assert_eq!(lines.take(&[b'x'; 10_000]), []);
        assert_eq!(lines.line.len(), LINE_BYTES_LIMIT);
        assert_eq!(lines.take(b"\ndata: policy\n"), [Nudge::Policy]);
    }
}
