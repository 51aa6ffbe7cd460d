//! `bartizan detect`: rules over a file of events, on one machine, with no server.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use bartizan_core::error::Class;
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_detect::detector::{Detector, Match};
use bartizan_detect::event::{Event, Source, flatten_windows};
use bartizan_detect::rules::Rules;
use bartizan_detect::syslog;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows};

mod canary;

/// The longest line of events that is read, in bytes.
const LINE_BYTES_LIMIT: u64 = 1 << 20;

/// How many faults of events are told one by one; the rest are counted.
const FAULTS_TOLD: usize = 5;

/// The year in which stamps without one are read: windows need nothing but differences.
const STAMP_YEAR: i16 = 1972;

/// Names under which events carry their time, the first that is there counts.
const TIME_FIELDS: [&str; 5] = ["@timestamp", "timestamp", "time", "UtcTime", "EventTime"];

/// Try Sigma rules on events: JSON lines, or lines of a system log
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A rule file, or a folder of them; may be given more than once
    #[arg(long, required = true, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// The file of events; `-` reads standard input
    #[arg(long, value_name = "FILE", required_unless_present = "canaries")]
    events: Option<PathBuf>,
    /// Instead of events, run the canaries that stand in NAME.example.json beside the rules
    #[arg(long, conflicts_with = "events")]
    canaries: bool,
    /// How the events are written
    #[arg(long, value_enum, default_value_t = Written::Json)]
    events_format: Written,
    /// Where JSON events come from, so that only its rules are tried: product=linux,service=sshd
    #[arg(long, value_parser = source, value_name = "KEY=VALUE,…")]
    source: Option<Source>,
    /// Exit 1 when a match, or a rule that can't fire, has at least this severity
    #[arg(long, value_name = "LEVEL")]
    fail_on: Option<Severity>,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Written {
    Json,
    Syslog,
}

/// What was found, and what could not be looked at.
#[derive(Debug, Default, Serialize)]
struct Report {
    rules: usize,
    events: usize,
    unreadable: usize,
    matches: Vec<Found>,
}

#[derive(Debug, Serialize)]
struct Found {
    line: usize,
    #[serde(flatten)]
    found: Match,
}

pub(crate) fn run(arguments: Arguments) -> Result<Answer, Failure> {
    let Some(path) = arguments.events.as_deref() else { return canary::run(&arguments) };
    let rules = load(&arguments.rules)?;
    let mut detector = Detector::new(&rules).map_err(Failure::invalid)?;
    let mut report = Report { rules: rules.len(), ..Report::default() };
    let mut events = open(path)?;
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let read = events.by_ref().take(LINE_BYTES_LIMIT + 1).read_until(b'\n', &mut bytes);
        if read.map_err(|error| reading(path, &error))? == 0 {
            break;
        }
        if bytes.len() as u64 > LINE_BYTES_LIMIT {
            let name = path.display();
            return Err(Failure::new(
                Class::Limit,
                format_args!("{name}:{number}: is longer than {LINE_BYTES_LIMIT} bytes"),
            ));
        }
        let text = String::from_utf8_lossy(&bytes);
        if text.trim().is_empty() {
            continue;
        }
        match event(&text, &arguments) {
            Ok(event) => {
                report.events += 1;
                let found = detector.look(&event);
                report.matches.extend(found.into_iter().map(|found| Found { line: number, found }));
            }
            Err(why) => {
                report.unreadable += 1;
                if report.unreadable <= FAULTS_TOLD {
                    tell(&format!("{}:{number}: {why}", path.display()));
                }
            }
        }
    }
    if report.unreadable > FAULTS_TOLD {
        tell(&format!("{} more lines could not be read", report.unreadable - FAULTS_TOLD));
    }
    Printer::new(arguments.output).print(&report, rows)?;
    let found = |level| report.matches.iter().any(|found| found.found.severity >= level);
    Ok(if arguments.fail_on.is_some_and(found) { Answer::Found } else { Answer::Answered })
}

#[expect(clippy::print_stderr, reason = "talk goes to standard error")]
fn tell(line: &str) {
    eprintln!("{}", crate::printer::printable(line));
}

fn rows(report: &Report) -> Rows {
    let row = |found: &Found| {
        let fields = found.found.fields.iter().map(|(name, value)| format!("{name}={value}"));
        let fields = fields.collect::<Vec<_>>().join(" ");
        vec![found.line.to_string(), found.found.severity.to_string(), found.found.title.clone(), fields]
    };
    let header = vec!["line", "severity", "rule", "fields"];
    Rows { header, rows: report.matches.iter().map(row).collect() }
}

fn load(paths: &[PathBuf]) -> Result<Rules, Failure> {
    let mut rules = Rules::default();
    for file in files(paths)? {
        let text = std::fs::read_to_string(&file).map_err(|error| reading(&file, &error))?;
        rules.read(&file.to_string_lossy(), &text);
    }
    if let Some(fault) = rules.faults().first() {
        let more = rules.faults().len() - 1;
        let failure = Failure::invalid(fault);
        return Err(if more > 0 {
            failure.hint(format_args!("{more} more files or rules can't be read"))
        } else {
            failure
        });
    }
    if rules.is_empty() { Err(none()) } else { Ok(rules) }
}

fn none() -> Failure {
    let failure = Failure::invalid("there is no rule in what --rules names");
    failure.hint("rules are files that end in .yml or .yaml")
}

/// The files of rules that these paths name.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    paths.iter().try_for_each(|path| collect(path, &mut files))?;
    Ok(files)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let metadata = std::fs::metadata(path).map_err(|error| reading(path, &error))?;
    if !metadata.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(|error| reading(path, &error))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let is_rule = path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
        let is_folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        if is_rule || is_folder {
            collect(&path, files)?;
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path).map_err(|error| reading(path, &error))?;
    Ok(Box::new(BufReader::new(file)))
}

fn reading(path: &Path, error: &io::Error) -> Failure {
    Failure::invalid(format_args!("can't read {}: {error}", path.display()))
}

fn event(text: &str, arguments: &Arguments) -> Result<Event, String> {
    match arguments.events_format {
        Written::Syslog => {
            let line = syslog::split(text).ok_or("is no log line: STAMP HOST PROGRAM[PID]: MESSAGE")?;
            let at = syslog::stamp(text, STAMP_YEAR).unwrap_or_default();
            Ok(syslog::event(&line, at))
        }
        Written::Json => {
            let fields: Map<String, Value> =
                serde_json::from_str(text.trim_end()).map_err(|error| error.to_string())?;
            let at = TIME_FIELDS.iter().find_map(|name| fields.get(*name)).and_then(time).unwrap_or_default();
            let source = arguments.source.clone().unwrap_or_default();
            Ok(Event { source, at, fields: flatten_windows(fields) })
        }
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64().map(Timestamp::from_millis),
    }
}

fn source(text: &str) -> Result<Source, String> {
    let mut source = Source::default();
    for pair in text.split(',') {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("`{pair}` is not KEY=VALUE"))?;
        let place = match key {
            "product" => &mut source.product,
            "category" => &mut source.category,
            "service" => &mut source.service,
            _ => return Err(format!("`{key}` is not product, category or service")),
        };
        *place = Some(value.to_owned());
    }
    Ok(source)
}
