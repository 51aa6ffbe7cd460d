//! `bartizan-verify`: says offline whether a bundle is what the log signed.
//!
//! It reads the files it is given and nothing else: no network, no configuration, no
//! environment. Exit codes: 0 verified, 1 not verified, 2 the caller's mistake, 3 a file
//! could not be read.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::process::ExitCode;

use bartizan_ledger::bundle::verify::{CHECKPOINTS_LIMIT, Failure, Held, verify};
use bartizan_ledger::checkpoint::{BYTES_LIMIT, Key};

use crate::arguments::{Arguments, Asked};
use crate::words::{printable, verified};

mod arguments;
mod words;

/// Why there is no verdict.
enum Stop {
    /// Exit 2, with what to do about it.
    Mistake(String),
    /// Exit 3.
    Unreadable(String),
}

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).collect()) {
        Ok((text, code)) => say(&text, code),
        Err(Stop::Mistake(message)) => complain(&message, 2),
        Err(Stop::Unreadable(message)) => complain(&message, 3),
    }
}

fn run(words: Vec<OsString>) -> Result<(String, u8), Stop> {
    let arguments = match arguments::parse(words).map_err(Stop::Mistake)? {
        Asked::Help => return Ok((arguments::HELP.to_owned(), 0)),
        Asked::Version => return Ok((format!("bartizan-verify {}\n", env!("CARGO_PKG_VERSION")), 0)),
        Asked::Verify(arguments) => arguments,
    };
    let held = held(&arguments)?;
    let bundle = open(&arguments.bundle)?;
    match verify(BufReader::new(bundle), &held) {
        Ok(report) => Ok((verified(&report), 0)),
        Err(failure) if failure.is_unreadable() => Err(Stop::Unreadable(failure.to_string())),
        Err(failure) if failure.is_callers() => Err(Stop::Mistake(named(&failure, &arguments))),
        Err(failure) => Ok((format!("NOT VERIFIED: {}\n", printable(&named(&failure, &arguments))), 1)),
    }
}

/// What the caller holds: the key and the checkpoints, out of their files.
fn held(arguments: &Arguments) -> Result<Held, Stop> {
    if arguments.checkpoints.len() > CHECKPOINTS_LIMIT {
        return Err(Stop::Mistake(format!("at most {CHECKPOINTS_LIMIT} checkpoints may be given")));
    }
    let mut held = Held::default();
    for file in &arguments.checkpoints {
        held.checkpoints.push(read(file)?);
    }
    if let Some(key) = &arguments.key {
        // A key is text without a path's meaning; what does not read as one names a file.
        let written = key.to_str().and_then(|text| Key::parse(text).ok());
        held.key = Some(match written {
            Some(key) => key,
            None => Key::parse(&read(key)?)
                .map_err(|error| Stop::Mistake(format!("{}: {error}", key.to_string_lossy())))?,
        });
    }
    Ok(held)
}

/// The failure in words; a checkpoint that the caller holds is called by its file's name.
fn named(failure: &Failure, arguments: &Arguments) -> String {
    match failure {
        Failure::Held { number, error } => {
            let file = arguments.checkpoints.get(number.saturating_sub(1));
            let file = file.map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
            format!("{file}: {error}")
        }
        other => other.to_string(),
    }
}

fn read(file: &OsString) -> Result<String, Stop> {
    let mut text = String::new();
    let limited = open(file)?.take(BYTES_LIMIT as u64 + 1).read_to_string(&mut text);
    match limited {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(Stop::Mistake(format!("{}: it is not text", file.to_string_lossy())))
        }
        Err(error) => Err(Stop::Unreadable(format!("{}: {error}", file.to_string_lossy()))),
    }
}

fn open(file: &OsString) -> Result<File, Stop> {
    File::open(file).map_err(|error| {
        let message = format!("{}: {error}", file.to_string_lossy());
        match error.kind() {
            io::ErrorKind::NotFound => Stop::Mistake(message),
            _ => Stop::Unreadable(message),
        }
    })
}

fn say(text: &str, code: u8) -> ExitCode {
    // Whoever closed the pipe has read enough; the exit code still tells.
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(3),
        _ => ExitCode::from(code),
    }
}

#[expect(clippy::print_stderr, reason = "talk goes to standard error, and this is where it is said")]
fn complain(message: &str, code: u8) -> ExitCode {
    eprintln!("error: {}", printable(message));
    if code == 2 {
        eprintln!(" hint: bartizan-verify --help says how to call it");
    }
    ExitCode::from(code)
}
