//! `bartizan versions`: orders versions as the native tools do.

use std::cmp::Ordering;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use bartizan_core::vulnerability::version::{self, Scheme};

use crate::exit::{Answer, Failure};
use crate::printer::{printable, write_out};

/// The longest line of standard input, in bytes: no version that any tool accepts comes near.
const LINE_BYTES: u64 = 64 << 10;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Compare two versions: prints <, = or >.
    ///
    /// Without A and B it reads pairs from standard input, one a line with a tab between them,
    /// and prints -1, 0 or 1 for each, or ? where there is no order (and then ends with 2).
    Compare(Compare),
}

#[derive(Debug, clap::Args)]
struct Compare {
    /// Whose order: deb, rpm, apk, semver or pep440.
    #[arg(long)]
    scheme: Scheme,
    #[arg(allow_hyphen_values = true, requires = "b")]
    /// One version; pairs are read from standard input where none is named.
    a: Option<String>,
    #[arg(allow_hyphen_values = true)]
    /// The other version.
    b: Option<String>,
}

/// The pairs that got a `?`.
#[derive(Debug, Default)]
struct Unordered {
    lines: u64,
    count: u64,
    /// The first one: its line and what is wrong.
    first: Option<(u64, String)>,
}

pub(crate) fn run(arguments: Arguments) -> Result<Answer, Failure> {
    let Verb::Compare(Compare { scheme, a, b }) = arguments.verb;
    match (a, b) {
        (Some(a), Some(b)) => one(scheme, &a, &b),
        _ => many(scheme),
    }
}

fn one(scheme: Scheme, a: &str, b: &str) -> Result<Answer, Failure> {
    let order =
        version::compare(scheme, a, b).map_err(|error| Failure::invalid(printable(&error.to_string())))?;
    write_out(match order {
        Ordering::Less => "<\n",
        Ordering::Equal => "=\n",
        Ordering::Greater => ">\n",
    })?;
    Ok(Answer::Answered)
}

fn many(scheme: Scheme) -> Result<Answer, Failure> {
    let mut input = BufReader::with_capacity(1 << 16, io::stdin().lock());
    let mut output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let unordered = match copy(scheme, &mut input, &mut output) {
        Ok(unordered) => unordered,
        // Whoever read the answers has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Answer::Answered),
        Err(error) => {
            return Err(Failure::unavailable(format_args!("can't compare from standard input: {error}")));
        }
    };
    match unordered.first {
        None => Ok(Answer::Answered),
        Some((line, problem)) => Err(Failure::invalid(format_args!(
            "{} of {} pairs have no order; the first, line {line}: {}",
            unordered.count,
            unordered.lines,
            printable(&problem)
        ))
        .hint("a line is two versions with a tab between them")),
    }
}

/// Answers line by line. What was answered is written out before more input is waited for.
fn copy(scheme: Scheme, input: &mut BufReader<impl Read>, output: &mut impl Write) -> io::Result<Unordered> {
    let mut unordered = Unordered::default();
    let mut line = Vec::new();
    loop {
        if input.buffer().is_empty() {
            output.flush()?;
        }
        line.clear();
        if input.by_ref().take(LINE_BYTES + 1).read_until(b'\n', &mut line)? == 0 {
            output.flush()?;
            return Ok(unordered);
        }
        unordered.lines += 1;
        let answer: Result<&[u8], String> = if line.last() != Some(&b'\n') && line.len() as u64 > LINE_BYTES {
            input.skip_until(b'\n')?;
            Err(format!("it is longer than {LINE_BYTES} bytes"))
        } else {
            compare_line(scheme, &line)
        };
        match answer {
            Ok(answer) => output.write_all(answer)?,
            Err(problem) => {
                unordered.count += 1;
                unordered.first.get_or_insert((unordered.lines, problem));
                output.write_all(b"?\n")?;
            }
        }
    }
}

fn compare_line(scheme: Scheme, line: &[u8]) -> Result<&'static [u8], String> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    let (a, b) = match text.split_once('\t') {
        Some((a, b)) if !b.contains('\t') => (a, b),
        _ => return Err("it does not have one tab".to_owned()),
    };
    match version::compare(scheme, a, b) {
        Ok(Ordering::Less) => Ok(b"-1\n"),
        Ok(Ordering::Equal) => Ok(b"0\n"),
        Ok(Ordering::Greater) => Ok(b"1\n"),
        Err(error) => Err(error.to_string()),
    }
}
