//! Stanzas of fields, as Debian writes its control data (deb-control(5), deb822(5)).
//!
//! A file is read stanza by stanza into one buffer, so that a list of eighty megabytes costs as much
//! memory as its longest stanza.

use std::io::{self, BufRead, Read};

/// The longest stanza: a kernel image's list of configuration files is a hundredth of it.
const STANZA_BYTES: usize = 8 << 20;

/// The stanzas of one file.
pub(super) struct Stanzas<R> {
    reader: R,
    /// The stanza that was read last.
    buffer: Vec<u8>,
    /// Lines read so far.
    lines: u64,
}

/// One stanza.
#[derive(Clone, Copy)]
pub(super) struct Stanza<'a> {
    bytes: &'a [u8],
    /// The line it begins at, from 1.
    pub(super) line: u64,
}

/// What comes next in a file.
pub(super) enum Next<'a> {
    Stanza(Stanza<'a>),
    /// A stanza longer than the limit, skipped; it begins at this line.
    TooLong(u64),
    End,
}

/// One field. The value goes on over continuation lines, as they are written.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
}

/// A line that is no field, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoField(pub(super) u64);

impl<R: BufRead> Stanzas<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), lines: 0 }
    }

    /// Passes over the stanzas at hand that begin with a field of this name, up to the first whose value is
    /// asked for. They are not copied: of a distribution's list a host asks for one in a hundred. A stanza
    /// that is not wholly at hand, or begins otherwise, is left to be read.
    pub(super) fn skip(&mut self, name: &[u8], is_asked: impl Fn(&[u8]) -> bool) -> io::Result<()> {
        loop {
            let bytes = self.reader.fill_buf()?;
            let (mut passed, mut lines) = (0, 0);
            while let Some((length, count)) =
                bytes.get(passed..).and_then(|rest| unasked(rest, name, &is_asked))
            {
                passed += length;
                lines += count;
            }
            self.reader.consume(passed);
            self.lines = self.lines.saturating_add(lines);
            if passed == 0 {
                return Ok(());
            }
        }
    }

    /// Reads on to the end of the next stanza.
    pub(super) fn next(&mut self) -> io::Result<Next<'_>> {
        self.buffer.clear();
        let mut first = self.lines.saturating_add(1);
        let mut too_long = false;
        loop {
            let before = self.buffer.len();
            if !self.line()? {
                break;
            }
            if is_blank(self.buffer.get(before..).unwrap_or_default()) {
                self.buffer.truncate(before);
                if before > 0 || too_long {
                    break;
                }
                first = self.lines.saturating_add(1);
                continue;
            }
            self.run()?;
            if self.buffer.len() >= STANZA_BYTES {
                too_long = true;
                // Of what is skipped nothing is kept but that it was there.
                self.buffer.truncate(1);
            }
        }
        if too_long {
            return Ok(Next::TooLong(first));
        }
        if self.buffer.is_empty() {
            return Ok(Next::End);
        }
        Ok(Next::Stanza(Stanza { bytes: &self.buffer, line: first }))
    }

    /// Appends the lines at hand up to the next that could be blank: a list is a million lines, most of
    /// which nobody asks for.
    fn run(&mut self) -> io::Result<()> {
        if self.buffer.last() != Some(&b'\n') {
            return Ok(());
        }
        let (run, lines) = lines_of_text(self.reader.fill_buf()?);
        self.buffer.extend_from_slice(run);
        self.lines = self.lines.saturating_add(lines);
        let length = run.len();
        self.reader.consume(length);
        Ok(())
    }

    /// Appends one line, or as much of it as a stanza may hold; tells whether there was one.
    fn line(&mut self) -> io::Result<bool> {
        let read = self.reader.by_ref().take(STANZA_BYTES as u64).read_until(b'\n', &mut self.buffer)?;
        if self.buffer.last() == Some(&b'\n') {
            self.lines = self.lines.saturating_add(1);
        }
        Ok(read > 0)
    }
}

impl<'a> Stanza<'a> {
    /// Its fields, in the order in which they are written.
    pub(super) fn fields(self) -> impl Iterator<Item = Result<Field<'a>, NoField>> {
        let mut rest = self.bytes;
        let mut line = self.line;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let start = line;
            let mut length = 0;
            // A field ends before the next line that begins with neither a space nor a tab.
            loop {
                let after = rest.get(length..).unwrap_or_default();
                if length > 0 && !matches!(after.first(), Some(b' ' | b'\t')) {
                    break;
                }
                line = line.saturating_add(1);
                length += after.iter().position(|byte| *byte == b'\n').map_or(after.len(), |end| end + 1);
            }
            let (text, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(field(text).ok_or(NoField(start)))
        })
    }
}

fn field(text: &[u8]) -> Option<Field<'_>> {
    let colon = text.iter().position(|byte| *byte == b':')?;
    let (name, value) = text.split_at_checked(colon)?;
    let sound = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    sound.then(|| Field { name, value: value.get(1..).unwrap_or_default().trim_ascii() })
}

/// How long the stanza is that the bytes begin with, its blank line among it, and how many lines; none
/// where its end is not at hand, or where its first field is another one or has a value that is asked for.
fn unasked(bytes: &[u8], name: &[u8], is_asked: impl Fn(&[u8]) -> bool) -> Option<(usize, u64)> {
    let text = bytes.strip_prefix(name)?.strip_prefix(b":")?;
    let (value, after) = text.split_at_checked(memchr::memchr(b'\n', text)?)?;
    let goes_on = matches!(after.get(1)?, b' ' | b'\t');
    if goes_on || is_asked(value.trim_ascii()) {
        return None;
    }
    let mut lines = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        lines += 1;
        let after = bytes.get(end + 1..)?;
        if *after.first()? > b' ' {
            continue;
        }
        let blank = memchr::memchr(b'\n', after)?;
        if is_blank(after.get(..blank)?) {
            return Some((end + 1 + blank + 1, lines + 1));
        }
    }
    None
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// The whole lines before the first that begins with white space, and how many they are.
fn lines_of_text(bytes: &[u8]) -> (&[u8], u64) {
    let (mut length, mut lines) = (0, 0_u64);
    if bytes.first().is_some_and(|byte| *byte > b' ') {
        for end in memchr::memchr_iter(b'\n', bytes) {
            (length, lines) = (end + 1, lines + 1);
            if bytes.get(length).is_some_and(|after| *after <= b' ') {
                break;
            }
        }
    }
    (bytes.get(..length).unwrap_or_default(), lines)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A stanza's line and its fields.
    type Parts = (u64, Vec<Result<(String, String), NoField>>);
    type Parsed = Vec<Parts>;

    fn parse(bytes: &[u8]) -> Parsed {
        parse_of(bytes, false)
    }

    /// The stanzas; without those of a `P` that is `b`, as far as they are passed over.
    fn parse_of(reader: impl BufRead, skips: bool) -> Parsed {
        let mut stanzas = Stanzas::new(reader);
        let mut parsed = Vec::new();
        loop {
            if skips {
                stanzas.skip(b"P", |value| value != b"b").unwrap();
            }
            match stanzas.next().unwrap() {
                Next::Stanza(stanza) => {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    let fields = stanza.fields();
                    let fields = fields.map(|field| field.map(|field| (text(field.name), text(field.value))));
                    parsed.push((stanza.line, fields.collect()));
                }
                Next::TooLong(line) => parsed.push((line, Vec::new())),
                Next::End => return parsed,
            }
        }
    }

    fn pair(name: &str, value: &str) -> Result<(String, String), NoField> {
        Ok((name.to_owned(), value.to_owned()))
    }

    #[test]
    fn stanzas_are_parted_by_blank_lines_and_know_their_own() {
        let parsed = parse(b"\n \nA: 1\nB:  two \n more\n .\n\tand\nC:\n \t\n\nD: x:y\r\n");
        assert_eq!(
            parsed,
            [
                (3, vec![pair("A", "1"), pair("B", "two \n more\n .\n\tand"), pair("C", "")]),
                (11, vec![pair("D", "x:y")]),
            ]
        );
    }

    #[test]
    fn a_line_that_is_no_field_is_told_by_its_number() {
        let parsed = parse(b"A: 1\n\n lost\nB: 2\nno field\n:empty\nC: 3");
        let fields = vec![Err(NoField(3)), pair("B", "2"), Err(NoField(5)), Err(NoField(6)), pair("C", "3")];
        assert_eq!(parsed, [(1, vec![pair("A", "1")]), (3, fields)]);
    }

    #[test]
    fn stanzas_that_nobody_asks_for_are_passed_over_and_counted() {
        let text = b"P: b\nV: 1\n\nP: b\nT: x,\n y\n\nP: a\nV: 2\n\nP: b\n";
        let fields = vec![pair("P", "a"), pair("V", "2")];
        // The last has no end at hand, and is read.
        assert_eq!(parse_of(&text[..], true), [(8, fields), (11, vec![pair("P", "b")])]);
    }

    #[test]
    fn a_stanza_over_the_limit_costs_itself() {
        let mut bytes = b"A: 1\n\nB: ".to_vec();
        bytes.resize(bytes.len() + 2 * STANZA_BYTES, b'x');
        bytes.extend(b"\nC: 2\n\nD: 3\n");
        assert_eq!(parse(&bytes), [(1, vec![pair("A", "1")]), (3, vec![]), (6, vec![pair("D", "3")])]);
    }

    proptest! {
        #[test]
        fn lines_run_up_to_the_first_that_could_be_blank(text in "([aB:]{0,90}[ \t]?\n){0,6}[a ]{0,9}") {
            let mut length = 0;
            for line in text.split_inclusive('\n') {
                if !line.ends_with('\n') || line.starts_with([' ', '\t', '\n']) {
                    break;
                }
                length += line.len();
            }
            let (run, lines) = lines_of_text(text.as_bytes());
            prop_assert_eq!(run, &text.as_bytes()[..length]);
            prop_assert_eq!(lines, run.iter().filter(|byte| **byte == b'\n').count() as u64);
        }

        #[test]
        fn what_is_passed_over_is_what_nobody_asks_for(
            text in "((P|Q): ?[ab]\n|P:\n a\n| ?\t?\n|x\n| b\n){0,12}",
            block in 1_usize..40,
        ) {
            let asked = |name: &str| name != "b";
            let is_asked = |(_, fields): &Parts| match fields.first() {
                Some(Ok((name, value))) => name != "P" || asked(value),
                _ => true,
            };
            let read = |skips| parse_of(std::io::BufReader::with_capacity(block, text.as_bytes()), skips);
            let (mut all, mut some) = (read(false), read(true));
            all.retain(is_asked);
            some.retain(is_asked);
            prop_assert_eq!(all, some);
        }

        #[test]
        fn no_bytes_are_too_much(bytes in prop::collection::vec(prop::sample::select(b"aB:  \n\n\t\r\xff".to_vec()), 0..200)) {
            parse(&bytes);
        }
    }
}
