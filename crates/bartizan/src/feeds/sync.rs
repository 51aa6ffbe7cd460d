//! `bartizan feeds sync`: fetches feeds from where they are published, and imports what is new.

use std::path::PathBuf;
use std::sync::Arc;

use bartizan_core::document;
use bartizan_core::vulnerability::source::FeedSource;
use bartizan_server::feed_sync::{self, Outcome, Synced, Wanted};

use super::{bar, open};
use crate::exit::{Answer, Failure};
use crate::now;
use crate::printer::{Format, Printer, Rows, printable};

/// The sources that ship.
const PUBLIC: &str = include_str!("../../../../content/feeds/public.yaml");

/// Fetch feeds from where they are published, and import what is new.
///
/// What a source has not changed is not fetched again. One that can't be reached is `unknown since` the
/// first time that it could not, and what was known of it stays; that is an answer, and no error.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Fetch this source, too, or from elsewhere where NAME is one that ships: debian, osv-debian, kev,
    /// epss. A new NAME begins with its format: osv-alpine=https://… May be given more than once.
    #[arg(long, value_name = "NAME=URL")]
    source: Vec<FeedSource>,
    /// A file of FeedSource documents, instead of those that ship.
    #[arg(long, value_name = "FILE")]
    sources: Option<PathBuf>,
    /// Fetch these sources alone. May be given more than once.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// The folder of the imported feeds [default: bartizan/feeds in $XDG_DATA_HOME or ~/.local/share]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// How long fetching one source may take: 15m.
    #[arg(long, value_name = "DURATION")]
    timeout: Option<bartizan_core::time::Duration>,
    /// The largest file that is fetched, in bytes.
    #[arg(long, value_name = "BYTES")]
    limit: Option<u64>,
    /// Take a feed also where it lost more than half of its records.
    #[arg(long)]
    force: bool,
    /// List the sources, and fetch nothing.
    #[arg(long)]
    dry_run: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) fn run(arguments: Arguments) -> Result<Answer, Failure> {
    let sources = chosen(&arguments)?;
    if arguments.dry_run {
        let listed: Vec<(String, String)> =
            sources.into_iter().map(|source| (source.name, source.url)).collect();
        Printer::new(arguments.output).print(&listed, |listed| Rows {
            header: vec!["source", "url"],
            rows: listed.iter().map(|(name, url)| vec![name.clone(), url.clone()]).collect(),
        })?;
        return Ok(Answer::Answered);
    }
    let library = match &arguments.into {
        Some(into) => into.clone(),
        None => open::default_folder()?,
    };
    let wanted = Wanted { sources, library, force: arguments.force, bytes_limit: arguments.limit };
    let synced = fetch(&wanted)?;
    Printer::new(arguments.output).print(&synced, |synced| Rows {
        header: vec!["source", "outcome", "note"],
        rows: synced.iter().map(row).collect(),
    })?;
    Ok(Answer::Answered)
}

/// The sources that ship or that a file names, with what the command line says of them.
fn chosen(arguments: &Arguments) -> Result<Vec<FeedSource>, Failure> {
    let (name, text) = match &arguments.sources {
        None => ("public.yaml".to_owned(), PUBLIC.to_owned()),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::invalid(format_args!("can't read {}: {error}", path.display())))?;
            (path.display().to_string(), text)
        }
    };
    let broken = |faults: Vec<document::Fault>| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Failure::invalid(lines.join("\n"))
    };
    let documents = document::parse(&name, &text).map_err(broken)?;
    let mut sources = Vec::new();
    for document in &documents {
        sources.push(FeedSource::from_document(document).map_err(|fault| broken(vec![fault]))?);
    }
    for named in &arguments.source {
        match sources.iter_mut().find(|source| source.name == named.name) {
            Some(source) => source.url.clone_from(&named.url),
            None => sources.push(named.clone()),
        }
    }
    let known: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
    if let Some(missing) = arguments.only.iter().find(|name| !known.contains(name)) {
        return Err(Failure::invalid(format_args!("there is no source `{missing}`"))
            .hint(format_args!("there are {}", known.join(", "))));
    }
    sources.retain(|source| arguments.only.is_empty() || arguments.only.contains(&source.name));
    for source in &mut sources {
        source.timeout = arguments.timeout.unwrap_or(source.timeout);
    }
    Ok(sources)
}

/// Fetches and imports, with a bar on standard error where that is a terminal.
fn fetch(wanted: &Wanted) -> Result<Vec<Synced>, Failure> {
    // The provider of the process: another crate's default would be another one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::unavailable(format_args!("can't start: {error}")))?;
    let shown = bar();
    let drawn = shown.clone();
    let tell = Arc::new(move |what: &str, done: u64, total: Option<u64>| {
        if drawn.message() != what {
            drawn.set_message(what.to_owned());
        }
        drawn.set_length(total.unwrap_or(done));
        drawn.set_position(done);
    });
    let synced = runtime.block_on(feed_sync::sync(wanted, now, tell));
    shown.finish_and_clear();
    synced.map_err(|error| Failure::new(error.class(), printable(&error.to_string())))
}

fn row(synced: &Synced) -> Vec<String> {
    let (outcome, note) = match &synced.outcome {
        Outcome::Updated { bytes, feeds } => {
            ("updated".to_owned(), format!("{bytes} bytes: {}", feeds.join(", ")))
        }
        Outcome::Unchanged => ("unchanged".to_owned(), String::new()),
        Outcome::HeldBack { problem } => ("held back".to_owned(), format!("{problem}; --force takes it")),
        Outcome::Unknown { since, reason, problem } => {
            (format!("unknown since {since}"), format!("{reason}: {problem}"))
        }
    };
    vec![synced.source.clone(), outcome, note]
}
