//! The `bartizan` command: one file per noun, a printer, exit codes.
//!
//! This is a composition root: it alone reads the clock, the environment and the
//! command line, and hands them in. Data goes to standard output, talk to standard error.
//!
//! Read first: [`printer::Printer`] (how an answer is printed in each format),
//! [`exit::Failure`] (how an error becomes words, a hint and an exit code).

mod baseline;
mod detect;
mod exit;
mod explain;
mod facts;
mod feeds;
mod printer;
mod scan;
#[cfg(feature = "server")]
mod up;
mod versions;

use std::process::ExitCode;

use bartizan_core::time::Timestamp;
use clap::{Parser, Subcommand};

/// Watches a fleet: its configuration, its vulnerabilities, its health, its incidents.
#[derive(Debug, Parser)]
#[command(name = "bartizan", version, propagate_version = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Baseline(baseline::Arguments),
    Detect(detect::Arguments),
    /// Print the chain of one finding: package, source, record, range, process.
    Explain(explain::Arguments),
    Facts(facts::Arguments),
    /// Import advisories, and show which there are.
    Feeds(feeds::Arguments),
    /// Find vulnerabilities, and what closes them.
    Scan(scan::Arguments),
    #[cfg(feature = "server")]
    Up(up::Arguments),
    /// Order versions as the native tools do.
    Versions(versions::Arguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code.into(),
        Err(failure) => failure.report(),
    }
}

fn run(arguments: Arguments) -> Result<exit::Answer, exit::Failure> {
    match arguments.verb {
        Verb::Baseline(arguments) => baseline::run(arguments),
        Verb::Detect(arguments) => detect::run(arguments),
        Verb::Explain(arguments) => explain::run(arguments),
        Verb::Facts(arguments) => facts::run(arguments),
        Verb::Feeds(arguments) => feeds::run(arguments),
        Verb::Scan(arguments) => scan::run(arguments),
        #[cfg(feature = "server")]
        Verb::Up(arguments) => up::run(arguments),
        Verb::Versions(arguments) => versions::run(arguments),
    }
}

/// The time, read where an answer begins and handed on.
#[expect(clippy::disallowed_methods, reason = "a composition root reads the clock")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
