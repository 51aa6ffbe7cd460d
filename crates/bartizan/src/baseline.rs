//! `bartizan baseline`: the required configuration, judged on one machine, with no server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bartizan_core::configuration::baseline::{Baseline, KIND, Rule, schema};
use bartizan_core::configuration::evaluate::{self, Outcome, RuleResult};
use bartizan_core::digest::Digest;
use bartizan_core::document::{self, FILE_BYTES_LIMIT};
use bartizan_core::severity::Severity;
use bartizan_core::verdict::Verdict;
use bartizan_probe::packages;
use bartizan_probe::query::{HostProbe, try_examples};
use bartizan_probe::root::Root;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows, write_out};

/// How many faults of a document are told one by one; the rest are counted.
const FAULTS_TOLD: usize = 20;

/// Judge a host by baselines
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Evaluate the baselines of a file on this host, or on one that lies under a folder
    Evaluate(Evaluate),
    /// Run each rule's own examples: the passing ones must be met, the failing ones not
    Test {
        /// A file of Baseline documents
        file: PathBuf,
    },
    /// Print the JSON Schema of a Baseline document
    Schema,
}

#[derive(Debug, Args)]
struct Evaluate {
    /// A file of Baseline documents
    file: PathBuf,
    /// Ask the rules of this profile alone, with its values
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The folder under which the host's files lie
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    root: PathBuf,
    /// Exit 1 where a rule with at least this severity is not met, else 4 where one is unknown
    #[arg(long, value_name = "LEVEL")]
    fail_on: Option<Severity>,
    /// With --fail-on: what is unknown does not make the exit code 4
    #[arg(long, requires = "fail_on")]
    allow_unknown: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What a run found.
#[derive(Debug, Serialize)]
struct Report {
    root: PathBuf,
    baselines: Vec<Judged>,
    summary: Summary,
}

#[derive(Debug, Serialize)]
struct Judged {
    name: String,
    title: String,
    digest: Digest,
    profile: Option<String>,
    summary: Summary,
    rules: Vec<Row>,
}

/// One rule as it is printed.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    result: RuleResult,
    title: String,
    severity: Severity,
    references: BTreeMap<&'static str, Vec<String>>,
    rationale: String,
    remediation: String,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Summary {
    met: usize,
    not_met: usize,
    unknown: usize,
    not_applicable: usize,
}

pub(crate) fn run(arguments: Arguments) -> Result<Answer, Failure> {
    match arguments.verb {
        Verb::Evaluate(arguments) => evaluate(arguments),
        Verb::Test { file } => test(&file),
        Verb::Schema => {
            let mut text = serde_json::to_string_pretty(&schema()).map_err(Failure::unavailable)?;
            text.push('\n');
            write_out(&text)?;
            Ok(Answer::Answered)
        }
    }
}

fn evaluate(arguments: Evaluate) -> Result<Answer, Failure> {
    let baselines = load(&arguments.file)?;
    let profile = arguments.profile.as_deref();
    if let Some(name) = profile.filter(|name| !baselines.iter().any(|b| b.profiles.contains_key(*name))) {
        let known: Vec<&str> =
            baselines.iter().flat_map(|baseline| baseline.profiles.keys().map(String::as_str)).collect();
        let failure = Failure::invalid(format_args!("there is no profile `{name}` in the file"));
        return Err(match known.as_slice() {
            [] => failure.hint("it has no profiles at all"),
            known => failure.hint(format_args!("it has {}", known.join(", "))),
        });
    }
    let root = Root::at(&arguments.root).map_err(|error| Failure::new(error.class(), error))?;
    let installed = packages::collect(&root);
    let mut probe = HostProbe::new(root).with_package_section(installed);
    let judged = baselines.into_iter().map(|baseline| {
        // In a file of several, one that does not have the profile is asked as it stands.
        let profile = profile.filter(|name| baseline.profiles.contains_key(*name));
        judge(baseline, profile, &mut probe)
    });
    let baselines: Vec<Judged> = judged.collect();
    let mut summary = Summary::default();
    baselines.iter().for_each(|judged| summary.add(judged.summary));
    let report = Report { root: arguments.root, baselines, summary };
    Printer::new(arguments.output).print(&report, rows)?;
    tell(&summary);
    Ok(ended(&report, arguments.fail_on, arguments.allow_unknown))
}

fn judge(baseline: Baseline, profile: Option<&str>, probe: &mut HostProbe<Root>) -> Judged {
    let results = evaluate::run(&baseline, profile, probe);
    let mut summary = Summary::default();
    results.iter().for_each(|result| summary.count(&result.outcome));
    Judged {
        name: baseline.name,
        title: baseline.title,
        digest: baseline.digest,
        profile: profile.map(str::to_owned),
        summary,
        rules: baseline.rules.into_iter().zip(results).map(|(rule, result)| row(rule, result)).collect(),
    }
}

fn row(rule: Rule, result: RuleResult) -> Row {
    let references = [("cis", rule.references.cis), ("nist", rule.references.nist)];
    Row {
        title: rule.title,
        severity: rule.severity,
        references: references.into_iter().filter(|(_, controls)| !controls.is_empty()).collect(),
        rationale: rule.rationale,
        remediation: rule.remediation,
        result,
    }
}

/// The exit code: 1 outweighs 4, and neither comes without `--fail-on`.
fn ended(report: &Report, fail_on: Option<Severity>, allow_unknown: bool) -> Answer {
    let Some(level) = fail_on else { return Answer::Answered };
    let mut rules = report.baselines.iter().flat_map(|judged| &judged.rules);
    let bad = |row: &Row| row.severity >= level && row.result.outcome == Outcome::Judged(Verdict::NotMet);
    if rules.any(bad) {
        Answer::Found
    } else if report.summary.unknown > 0 && !allow_unknown {
        Answer::PartlyUnknown
    } else {
        Answer::Answered
    }
}

/// One line for each rule, with the first thing that was found.
fn rows(report: &Report) -> Rows {
    let mut rows = Vec::new();
    for judged in &report.baselines {
        rows.extend(judged.rules.iter().map(|row| {
            let found = found(&row.result);
            let id = row.result.rule.clone();
            vec![id, row.severity.to_string(), row.result.outcome.to_string(), row.title.clone(), found]
        }));
    }
    Rows { header: vec!["rule", "severity", "verdict", "title", "found"], rows }
}

/// The first thing that decided, or why nothing was asked.
fn found(result: &RuleResult) -> String {
    let verdict = match &result.outcome {
        Outcome::NotApplicable { reason } => return reason.clone(),
        Outcome::Judged(Verdict::Met) => return String::new(),
        Outcome::Judged(verdict) => verdict,
    };
    let decided = result.evidence.iter().find(|one| one.verdict == *verdict);
    decided
        .or(result.evidence.first())
        .map_or_else(String::new, |one| format!("{}: {}, should be {}", one.object, one.actual, one.expected))
}

#[expect(clippy::print_stderr, reason = "talk goes to standard error")]
fn tell(summary: &Summary) {
    let Summary { met, not_met, unknown, not_applicable } = summary;
    eprintln!("{met} met, {not_met} not met, {unknown} unknown; {not_applicable} not applicable");
}

fn test(file: &Path) -> Result<Answer, Failure> {
    let mut failed = Vec::new();
    let mut rules = 0;
    for baseline in load(file)? {
        rules += baseline.rules.len();
        let found = try_examples(&baseline).into_iter();
        failed.extend(
            found.map(|one| format!("{}: {} {}: {}", baseline.name, one.rule, one.place, one.message)),
        );
    }
    if failed.is_empty() {
        write_out(&format!("{rules} rules, each met and not met where it should be\n"))?;
        return Ok(Answer::Answered);
    }
    write_out(&format!("{}\n", failed.join("\n")))?;
    Ok(Answer::Found)
}

/// Reads the baselines of a file; every fault is told, with its line.
fn load(file: &Path) -> Result<Vec<Baseline>, Failure> {
    let name = file.display().to_string();
    let reading = |error: std::io::Error| Failure::invalid(format_args!("can't read {name}: {error}"));
    let length = std::fs::metadata(file).map_err(reading)?.len();
    if length > FILE_BYTES_LIMIT as u64 {
        return Err(Failure::invalid(format_args!(
            "{name} has {length} bytes; the limit is {FILE_BYTES_LIMIT}"
        )));
    }
    let text = std::fs::read_to_string(file).map_err(reading)?;
    let documents = document::parse(&name, &text).map_err(faults)?;
    if documents.is_empty() {
        return Err(Failure::invalid(format_args!("{name} holds no document")));
    }
    let (mut baselines, mut bad) = (Vec::new(), Vec::new());
    for document in documents {
        match Baseline::from_document(&document) {
            Ok(baseline) => baselines.push(baseline),
            Err(faults) => bad.extend(faults),
        }
    }
    if bad.is_empty() { Ok(baselines) } else { Err(faults(bad)) }
}

fn faults(faults: Vec<document::Fault>) -> Failure {
    let more = faults.len().saturating_sub(FAULTS_TOLD);
    let mut lines: Vec<String> = faults.iter().take(FAULTS_TOLD).map(ToString::to_string).collect();
    if more > 0 {
        lines.push(format!("{more} more"));
    }
    let hint = format!("`bartizan baseline schema` prints what a {KIND} document may hold");
    Failure::invalid(lines.join("\n       ")).hint(hint)
}

impl Summary {
    fn count(&mut self, outcome: &Outcome) {
        let place = match outcome {
            Outcome::Judged(Verdict::Met) => &mut self.met,
            Outcome::Judged(Verdict::NotMet) => &mut self.not_met,
            Outcome::Judged(Verdict::Unknown(_)) => &mut self.unknown,
            Outcome::NotApplicable { .. } => &mut self.not_applicable,
        };
        *place += 1;
    }

    fn add(&mut self, other: Summary) {
        self.met += other.met;
        self.not_met += other.not_met;
        self.unknown += other.unknown;
        self.not_applicable += other.not_applicable;
    }
}
