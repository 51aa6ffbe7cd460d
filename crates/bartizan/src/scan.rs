//! `bartizan scan`: which vulnerabilities the packages of a host or of an SBOM have, and what closes them.

mod action;
mod cyclonedx;
mod finding;
pub(crate) mod host;
mod sarif;
mod sbom;
mod table;

use std::path::{Path, PathBuf};

use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Reason;
use bartizan_core::vulnerability::matching::{Tuple, Verdict};
use bartizan_feeds::library::{Failed, Library};
use clap::ValueEnum;
use serde::Serialize;

use crate::exit::{self, Failure};
use crate::feeds::{self, FeedLine};
use crate::now;
use crate::printer::{self, Printer, write_out};

pub(crate) use finding::Finding;
pub(crate) use host::Candidates;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Find the vulnerabilities of the packages that are installed here, or under another root.
    Host {
        /// The root of the host: a folder with its files.
        #[arg(long, default_value = "/")]
        root: PathBuf,
        #[command(flatten)]
        how: How,
    },
    /// Find the vulnerabilities of the packages that an SBOM lists (CycloneDX or SPDX, as JSON).
    Sbom {
        /// The SBOM.
        file: PathBuf,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, clap::Args)]
struct How {
    /// Imported feeds, or a folder of raw ones [default: bartizan/feeds in $XDG_DATA_HOME or ~/.local/share]
    #[arg(long, value_name = "DIR")]
    feeds: Option<PathBuf>,
    /// Show also what is fixed and what is not affected.
    #[arg(long)]
    all: bool,
    /// Exit 1 where something with at least this severity is affected, else 4 where something is unknown.
    #[arg(long, value_name = "LEVEL")]
    fail_on: Option<Severity>,
    /// With --fail-on: what is unknown does not make the exit code 4.
    #[arg(long, requires = "fail_on")]
    allow_unknown: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// The formats of `-o`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
    Yaml,
    Csv,
    Sarif,
    Cyclonedx,
}

/// What was found on a host or in an SBOM, before it is judged.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub(crate) tuples: Vec<Tuple>,
    /// What the host's own repositories offer.
    pub(crate) candidates: Candidates,
    pub(crate) unknown: Vec<Unknown>,
}

/// A part of the asked scope of which nothing is known, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Unknown {
    pub(crate) what: String,
    pub(crate) reason: Reason,
    pub(crate) problem: String,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    scanned: Scanned,
    feeds: Vec<FeedLine>,
    findings: Vec<Finding>,
    unknown: Vec<Unknown>,
    /// What was judged.
    #[serde(skip)]
    tuples: Vec<Tuple>,
    /// What closes findings, the most first.
    actions: Vec<action::Action>,
    /// What has no fix, by what it is waiting for.
    without_fix: Vec<action::WithoutFix>,
}

/// What was looked at.
#[derive(Debug, Serialize)]
struct Scanned {
    /// `host` or `sbom`.
    kind: &'static str,
    /// The root or the file.
    place: String,
    packages: usize,
}

impl Unknown {
    pub(crate) fn of_feed(failed: &Failed) -> Self {
        Unknown { what: failed.what.clone(), reason: failed.reason, problem: failed.problem.clone() }
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<exit::Answer, Failure> {
    let now = now();
    let (kind, place, inventory, how) = match arguments.verb {
        Verb::Host { root, how } => ("host", root.clone(), host::read(&root)?, how),
        Verb::Sbom { file, how } => ("sbom", file.clone(), sbom::read(&file)?, how),
    };
    let scanned = Scanned { kind, place: place.display().to_string(), packages: inventory.tuples.len() };
    let answer = judge(scanned, inventory, how.feeds.as_deref(), now, how.all)?;
    print(&answer, how.output, now)?;
    Ok(ended(&answer, how.fail_on, how.allow_unknown))
}

fn judge(
    scanned: Scanned,
    mut inventory: Inventory,
    named: Option<&Path>,
    now: Timestamp,
    all: bool,
) -> Result<Answer, Failure> {
    let opened = feeds::open::open(named, now)?;
    let mut unknown = opened.unknown;
    unknown.append(&mut inventory.unknown);
    let (mut findings, mut lines) = (Vec::new(), Vec::new());
    if let Some(library) = &opened.library {
        lines = feeds::lines(library, now);
        findings = finding::find(&inventory, library, &lines, &mut unknown);
    }
    let (actions, without_fix) = action::plan(&inventory, &findings);
    if !all {
        findings.retain(|found| matches!(found.verdict, Verdict::Affected | Verdict::Unknown(_)));
    }
    unknown.sort();
    unknown.dedup();
    Ok(Answer { scanned, feeds: lines, findings, unknown, tuples: inventory.tuples, actions, without_fix })
}

fn print(answer: &Answer, format: Format, now: Timestamp) -> Result<(), Failure> {
    let plain = match format {
        Format::Table => return write_out(&table::text(answer)),
        Format::Sarif => return write_out(&printer::json(&sarif::log(answer))?),
        Format::Cyclonedx => return write_out(&printer::json(&cyclonedx::document(answer, now))?),
        Format::Json => printer::Format::Json,
        Format::Yaml => printer::Format::Yaml,
        Format::Csv => printer::Format::Csv,
    };
    Printer::new(plain).print(answer, table::rows)
}

/// Every finding of these packages, for whoever explains one.
pub(crate) fn explained(inventory: &Inventory, library: &Library, now: Timestamp) -> Vec<Finding> {
    finding::find(inventory, library, &feeds::lines(library, now), &mut Vec::new())
}

/// An affected build that nobody rated is below no level for sure: it makes the answer partly unknown.
fn ended(answer: &Answer, fail_on: Option<Severity>, allow_unknown: bool) -> exit::Answer {
    let Some(level) = fail_on else { return exit::Answer::Answered };
    let mut is_unknown = !answer.unknown.is_empty();
    for found in &answer.findings {
        match (found.verdict, &found.severity) {
            (Verdict::Affected, _) if level == Severity::None => return exit::Answer::Found,
            (Verdict::Affected, Some(severity)) if severity.rating >= level => return exit::Answer::Found,
            (Verdict::Affected, None) | (Verdict::Unknown(_), _) => is_unknown = true,
            _ => {}
        }
    }
    if is_unknown && !allow_unknown { exit::Answer::PartlyUnknown } else { exit::Answer::Answered }
}
