//! `bartizan ledger`: its head and newest entries, bundles of it, and whether they are what was signed.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use bartizan_core::error::Class;
use bartizan_ledger::bundle::verify::{Held, Report, verify};
use bartizan_ledger::checkpoint::{BYTES_LIMIT, Key};
use bartizan_server::api::ledger::{Head, List, Row};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows, write_out};

/// Show the ledger, take it out of the house, verify it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the newest entries; `-o json` has the signed head and the bodies, too.
    Show(Show),
    /// Write the whole ledger to a file that `bartizan-verify` checks offline.
    Export(Export),
    /// Write the ledger's newest checkpoint: kept elsewhere, it shows that nothing up to it was cut off.
    Checkpoint(Checkpoint),
    /// Prove that the ledger has one entry: a bundle of it alone, which `bartizan-verify` checks offline.
    Prove(Prove),
    /// Verify a bundle, or the server's ledger where no file is named. Exit 1: it is not verified.
    Verify(Verify),
}

#[derive(Debug, Args)]
struct Show {
    /// Show the entries before this leaf, instead of the newest.
    #[arg(long, value_name = "LEAF")]
    before: Option<u64>,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Export {
    /// The file; `-` is standard output.
    file: PathBuf,
}

#[derive(Debug, Args)]
struct Checkpoint {
    /// The file; standard output where none is named.
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Prove {
    /// The entry's leaf, as `ledger show` numbers them.
    leaf: u64,
    /// The file; standard output where none is named.
    file: Option<PathBuf>,
    /// A checkpoint that was kept elsewhere: the bundle then proves that the ledger continues it, too.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Verify {
    /// A bundle; the server's ledger is fetched where none is named.
    file: Option<PathBuf>,
    /// A checkpoint that was kept elsewhere: only it shows that nothing was cut off. May be given more
    /// than once.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// The ledger's public key, where you hold it; the bundle's own is taken otherwise.
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Option<Key>,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What verifying gave.
#[derive(Debug, Serialize)]
struct Verified {
    verified: bool,
    /// Why it is not verified.
    problem: Option<String>,
    leaves: Option<u64>,
    sources: Option<usize>,
    root: Option<String>,
    key: Option<String>,
    key_held: bool,
    truncation_excluded: bool,
    /// Up to how many leaves; what came after may have been cut off.
    truncation_excluded_up_to: Option<u64>,
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    match arguments.verb {
        Verb::Show(arguments) => {
            let query: Vec<_> = arguments.before.iter().map(|leaf| ("before", leaf.to_string())).collect();
            let list: List = Client::open(client)?.get(&["ledger"], &query)?;
            Printer::new(arguments.output).print(&list, rows)?;
            Ok(Answer::Answered)
        }
        Verb::Export(arguments) => {
            download(&Client::open(client)?, &["ledger", "bundle"], &[], &arguments.file)
        }
        Verb::Checkpoint(arguments) => keep(&Client::open(client)?, arguments.file.as_deref()),
        Verb::Prove(arguments) => prove(&arguments, client),
        Verb::Verify(arguments) => verdict(arguments, client),
    }
}

fn rows(list: &List) -> Rows {
    let row = |entry: &Row| {
        vec![
            entry.leaf.to_string(),
            entry.at.clone(),
            entry.source.clone(),
            entry.counter.to_string(),
            entry.kind.clone(),
        ]
    };
    let header = vec!["leaf", "at", "source", "counter", "kind"];
    Rows { header, rows: list.entries.iter().map(row).collect() }
}

/// Fetches a bundle into a file, or to standard output.
fn download(
    client: &Client,
    from: &[&str],
    query: &[(&str, String)],
    path: &Path,
) -> Result<Answer, Failure> {
    if path == Path::new("-") {
        client.download(from, query, &mut std::io::stdout().lock())?;
        return Ok(Answer::Answered);
    }
    let failed =
        |error: &std::io::Error| Failure::invalid(format_args!("can't write {}: {error}", path.display()));
    // Written aside, so that a fetch that fails leaves no half of a ledger under that name.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let aside = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
    let mut out = BufWriter::new(aside);
    let bytes = client.download(from, query, &mut out)?;
    out.flush().map_err(|error| failed(&error))?;
    let aside = out.into_inner().map_err(|error| failed(error.error()))?;
    aside.persist(path).map_err(|error| failed(&error.error))?;
    crate::up::summary::say(&format!("{bytes} bytes in {}", path.display()));
    Ok(Answer::Answered)
}

/// Writes the newest checkpoint, as `--checkpoint` of `bartizan-verify` takes it.
fn keep(client: &Client, file: Option<&Path>) -> Result<Answer, Failure> {
    let head: Head = client.get(&["ledger", "head"], &[])?;
    let note = head.note.ok_or_else(|| {
        Failure::new(Class::NotFound, "the ledger has no entry yet")
            .hint("the first follows the first change")
    })?;
    let Some(file) = file.filter(|file| *file != Path::new("-")) else {
        write_out(&note)?;
        return Ok(Answer::Answered);
    };
    std::fs::write(file, &note)
        .map_err(|error| Failure::invalid(format_args!("can't write {}: {error}", file.display())))?;
    crate::up::summary::say(&format!("the checkpoint of {} entries in {}", head.size, file.display()));
    Ok(Answer::Answered)
}

fn prove(arguments: &Prove, client: Option<&Path>) -> Result<Answer, Failure> {
    let client = Client::open(client)?;
    let mut query = Vec::new();
    if let Some(path) = &arguments.checkpoint {
        let head: Head = client.get(&["ledger", "head"], &[])?;
        let key = Key::parse(&head.key).map_err(Failure::unavailable)?;
        let held = key.open(&checkpoint(path)?).map_err(|error| {
            Failure::invalid(format_args!("{}: {error}", path.display()))
                .hint("it takes a checkpoint that this server's ledger signed")
        })?;
        query.push(("since", held.checkpoint().size.to_string()));
    }
    let leaf = arguments.leaf.to_string();
    let file = arguments.file.as_deref().unwrap_or(Path::new("-"));
    download(&client, &["ledger", "proof", &leaf], &query, file)
}

/// Fetches the server's ledger as a bundle, into a file that goes with its handle.
pub(crate) fn fetch(client: &Client) -> Result<BufReader<File>, Failure> {
    let failed = |error: std::io::Error| Failure::unavailable(format_args!("can't keep a bundle: {error}"));
    let mut file = tempfile::tempfile().map_err(failed)?;
    client.download(&["ledger", "bundle"], &[], &mut file)?;
    file.rewind().map_err(failed)?;
    Ok(BufReader::new(file))
}

fn verdict(arguments: Verify, client: Option<&Path>) -> Result<Answer, Failure> {
    let mut held = Held { key: arguments.key, checkpoints: Vec::new() };
    for path in &arguments.checkpoint {
        held.checkpoints.push(checkpoint(path)?);
    }
    let bundle: Box<dyn BufRead> = match &arguments.file {
        Some(path) => Box::new(BufReader::new(open(path)?)),
        None => Box::new(fetch(&Client::open(client)?)?),
    };
    let verified = match verify(bundle, &held) {
        Ok(report) => good(&report),
        Err(failure) if failure.is_unreadable() => return Err(Failure::unavailable(failure)),
        Err(failure) if failure.is_callers() => return Err(Failure::invalid(failure)),
        Err(failure) => Verified {
            verified: false,
            problem: Some(failure.to_string()),
            leaves: None,
            sources: None,
            root: None,
            key: None,
            key_held: held.key.is_some(),
            truncation_excluded: false,
            truncation_excluded_up_to: None,
        },
    };
    Printer::new(arguments.output).print(&verified, told)?;
    Ok(if verified.verified { Answer::Answered } else { Answer::Found })
}

fn good(report: &Report) -> Verified {
    Verified {
        verified: true,
        problem: None,
        leaves: Some(report.leaves),
        sources: Some(report.sources),
        root: Some(report.checkpoint.root.to_string()),
        key: Some(report.key.to_string()),
        key_held: report.key_held,
        truncation_excluded: report.truncation_excluded_up_to().is_some(),
        truncation_excluded_up_to: report.truncation_excluded_up_to(),
    }
}

fn told(verified: &Verified) -> Rows {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut say = |field: &str, value: String| rows.push(vec![field.to_owned(), value]);
    say("verdict", if verified.verified { "verified" } else { "NOT VERIFIED" }.to_owned());
    if let Some(problem) = &verified.problem {
        say("problem", problem.clone());
    }
    if let (Some(leaves), Some(sources)) = (verified.leaves, verified.sources) {
        say("leaves", format!("{leaves} from {sources} sources"));
    }
    if let Some(root) = &verified.root {
        say("root", root.clone());
    }
    if let Some(key) = &verified.key {
        let held = if verified.key_held { "the one you hold" } else { "the bundle's own: compare it" };
        say("key", format!("{key} ({held})"));
    }
    if verified.verified {
        let truncation = match verified.truncation_excluded_up_to {
            Some(size) => {
                format!("excluded up to size {size}, not beyond: it continues the checkpoint that you hold")
            }
            None => {
                "truncation not excluded: --checkpoint names a checkpoint that was kept elsewhere".to_owned()
            }
        };
        say("truncation", truncation);
    }
    Rows { header: vec!["field", "value"], rows }
}

fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| Failure::invalid(format_args!("can't read {}: {error}", path.display())))
}

fn key(text: &str) -> Result<Key, String> {
    Key::parse(text).map_err(|error| error.to_string())
}

fn checkpoint(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    open(path)?
        .take(BYTES_LIMIT as u64 + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::invalid(format_args!("can't read {}: {error}", path.display())))?;
    Ok(text)
}
