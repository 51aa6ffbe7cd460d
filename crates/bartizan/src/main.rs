//! The `bartizan` command: one file per noun, a printer, exit codes.
//!
//! This is a composition root: it alone reads the clock, the environment and the
//! command line, and hands them in. Data goes to standard output, talk to standard error.
//!
//! Read first: [`printer::Printer`] (how an answer is printed in each format),
//! [`exit::Failure`] (how an error becomes words, a hint and an exit code).

#[cfg(feature = "server")]
mod acceptance;
#[cfg(feature = "server")]
mod alert;
#[cfg(feature = "server")]
mod apply;
#[cfg(feature = "server")]
mod asset;
mod baseline;
#[cfg(feature = "server")]
mod change;
#[cfg(feature = "server")]
mod client;
mod completions;
mod detect;
#[cfg(feature = "server")]
mod doctor;
#[cfg(feature = "server")]
mod document;
#[cfg(feature = "server")]
mod drift;
#[cfg(feature = "server")]
mod enrolment;
#[cfg(feature = "server")]
mod environment;
mod exit;
mod explain;
mod facts;
mod feeds;
#[cfg(feature = "server")]
mod finding;
#[cfg(feature = "server")]
mod incident;
#[cfg(feature = "server")]
mod ledger;
mod man;
#[cfg(feature = "server")]
mod openapi;
#[cfg(feature = "server")]
mod order;
#[cfg(feature = "server")]
mod person;
mod printer;
#[cfg(feature = "server")]
mod review;
mod scan;
#[cfg(feature = "server")]
mod sign_in;
#[cfg(feature = "server")]
mod silence;
#[cfg(feature = "server")]
mod trend;
#[cfg(feature = "server")]
mod up;
mod versions;

use std::process::ExitCode;

use bartizan_core::time::Timestamp;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Watches a fleet: its configuration, its vulnerabilities, its health, its incidents.
#[derive(Debug, Parser)]
#[command(name = "bartizan", version, propagate_version = true, max_term_width = 100)]
struct Arguments {
    /// The client file, which says where the server is; the one that `up` writes where none is named.
    #[cfg(feature = "server")]
    #[arg(long, global = true, value_name = "FILE", env = "BARTIZAN_CLIENT")]
    client: Option<std::path::PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[cfg(feature = "server")]
    Acceptance(acceptance::Arguments),
    #[cfg(feature = "server")]
    Alert(alert::Arguments),
    #[cfg(feature = "server")]
    Apply(apply::Arguments),
    #[cfg(feature = "server")]
    Asset(asset::Arguments),
    Baseline(baseline::Arguments),
    #[cfg(feature = "server")]
    Change(change::Arguments),
    Completions(completions::Arguments),
    Detect(detect::Arguments),
    #[cfg(feature = "server")]
    Diff(apply::Diff),
    #[cfg(feature = "server")]
    Doctor(doctor::Arguments),
    #[cfg(feature = "server")]
    Document(document::Arguments),
    #[cfg(feature = "server")]
    Drift(drift::Arguments),
    #[cfg(feature = "server")]
    Enrolment(enrolment::Arguments),
    #[cfg(feature = "server")]
    Environment(environment::Arguments),
    /// Print the chain of one finding: package, source, record, range, process.
    Explain(explain::Arguments),
    Facts(facts::Arguments),
    /// Import advisories, and show which there are.
    Feeds(feeds::Arguments),
    #[cfg(feature = "server")]
    Finding(finding::Arguments),
    #[cfg(feature = "server")]
    Incident(incident::Arguments),
    #[cfg(feature = "server")]
    Ledger(ledger::Arguments),
    Man(man::Arguments),
    #[cfg(feature = "server")]
    Person(person::Arguments),
    #[cfg(feature = "server")]
    Openapi(openapi::Arguments),
    #[cfg(feature = "server")]
    Order(order::Arguments),
    #[cfg(feature = "server")]
    Review(review::Arguments),
    /// Find vulnerabilities, and what closes them.
    Scan(scan::Arguments),
    #[cfg(feature = "server")]
    SignIn(sign_in::Arguments),
    #[cfg(feature = "server")]
    Silence(silence::Arguments),
    #[cfg(feature = "server")]
    Trend(trend::Arguments),
    #[cfg(feature = "server")]
    Up(up::Arguments),
    /// Order versions as the native tools do.
    Versions(versions::Arguments),
}

/// The tree of verbs, with the words that are the same for all of them.
fn command() -> clap::Command {
    complete(Arguments::command())
}

fn complete(mut command: clap::Command) -> clap::Command {
    let has_format = command.get_arguments().any(|argument| argument.get_id() == "output");
    if has_format {
        command = command.mut_arg("output", |argument| match argument.get_help() {
            Some(_) => argument,
            None => argument.help("How the answer is printed"),
        });
    }
    command.mut_subcommands(complete)
}

fn main() -> ExitCode {
    let arguments = Arguments::from_arg_matches(&command().get_matches());
    match arguments.map_or_else(|error| error.exit(), run) {
        Ok(code) => code.into(),
        Err(failure) => failure.report(),
    }
}

fn run(arguments: Arguments) -> Result<exit::Answer, exit::Failure> {
    #[cfg(feature = "server")]
    let client = arguments.client.as_deref();
    match arguments.verb {
        #[cfg(feature = "server")]
        Verb::Acceptance(arguments) => acceptance::run(arguments, client),
        #[cfg(feature = "server")]
        Verb::Alert(arguments) => alert::run(arguments, client),
        #[cfg(feature = "server")]
        Verb::Apply(arguments) => apply::run(arguments, client),
        #[cfg(feature = "server")]
        Verb::Asset(arguments) => asset::run(arguments, client),
        Verb::Baseline(arguments) => baseline::run(arguments),
        #[cfg(feature = "server")]
        Verb::Change(arguments) => change::run(arguments, client),
        Verb::Completions(arguments) => completions::run(arguments),
        Verb::Detect(arguments) => detect::run(arguments),
        #[cfg(feature = "server")]
        Verb::Diff(arguments) => apply::diff(arguments, client),
        #[cfg(feature = "server")]
        Verb::Doctor(arguments) => doctor::run(arguments, client),
        #[cfg(feature = "server")]
        Verb::Document(arguments) => document::run(arguments, client),
        #[cfg(feature = "server")]
        Verb::Drift(arguments) => drift::run(arguments, client),
        #[cfg(feature = "server")]
        Verb::Enrolment(arguments) => enrolment::run(arguments, client),
        #[cfg(feature = "server")]
        Verb::Environment(arguments) => environment::run(arguments, client),
        Verb::Explain(arguments) => explain::run(arguments),
        Verb::Facts(arguments) => facts::run(arguments),
        Verb::Feeds(arguments) => feeds::run(arguments),
        #[cfg(feature = "server")]
        Verb::Finding(arguments) => finding::run(arguments, client),
        #[cfg(feature = "server")]
        Verb::Incident(arguments) => incident::run(arguments, client),
        #[cfg(feature = "server")]
        Verb::Ledger(arguments) => ledger::run(arguments, client),
        Verb::Man(arguments) => man::run(arguments),
        #[cfg(feature = "server")]
        Verb::Person(arguments) => person::run(arguments, client),
        #[cfg(feature = "server")]
        Verb::Openapi(arguments) => openapi::run(arguments),
        #[cfg(feature = "server")]
        Verb::Order(arguments) => order::run(arguments, client),
        #[cfg(feature = "server")]
        Verb::Review(arguments) => review::run(arguments, client),
        Verb::Scan(arguments) => scan::run(arguments),
        #[cfg(feature = "server")]
        Verb::SignIn(arguments) => sign_in::run(arguments, client),
        #[cfg(feature = "server")]
        Verb::Silence(arguments) => silence::run(arguments, client),
        #[cfg(feature = "server")]
        Verb::Trend(arguments) => trend::run(arguments, client),
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

#[cfg(test)]
mod tests {
    use super::command;

    /// Every verb and option that says nothing of itself.
    fn silent(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        let path = format!("{path} {}", command.get_name());
        if command.get_about().is_none() {
            found.push(path.clone());
        }
        for argument in command.get_arguments() {
            if argument.get_help().or(argument.get_long_help()).is_none() && !argument.is_hide_set() {
                found.push(format!("{path} {}", argument.get_id()));
            }
        }
        command.get_subcommands().for_each(|verb| silent(verb, &path, found));
    }

    #[test]
    fn every_verb_and_every_option_says_what_it_is_for() {
        let mut found = Vec::new();
        silent(&command(), "", &mut found);
        assert!(found.is_empty(), "{found:#?}");
    }

    #[test]
    fn the_tree_of_verbs_holds_together() {
        command().debug_assert();
    }
}
