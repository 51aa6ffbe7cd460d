//! `bartizan explain`: the chain of one finding, from the package to the processes that run it.

mod process;

use std::path::PathBuf;

use bartizan_core::vulnerability::advisory::Record;
use bartizan_core::vulnerability::matching::Tuple;
use serde::Serialize;

use crate::exit::{Answer, Failure};
use crate::feeds;
use crate::now;
use crate::printer::{Format, Printer, Rows};
use crate::scan::{Finding, explained, host};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The finding: VULNERABILITY/PACKAGE, as `scan` prints it.
    finding: String,
    /// The root of the host: a folder with its files.
    #[arg(long, default_value = "/")]
    root: PathBuf,
    /// Imported feeds, or a folder of raw ones [default: bartizan/feeds in $XDG_DATA_HOME or ~/.local/share]
    #[arg(long, value_name = "DIR")]
    feeds: Option<PathBuf>,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What is known of one finding.
#[derive(Debug, Serialize)]
struct Explanation {
    package: Tuple,
    finding: Finding,
    /// What the feeds say of the vulnerability in this package; the highest standing decides.
    records: Vec<Record>,
    processes: process::Running,
}

pub(crate) fn run(arguments: Arguments) -> Result<Answer, Failure> {
    let Some((_, package)) = arguments.finding.rsplit_once('/') else {
        return Err(Failure::invalid(format_args!("`{}` is no finding", arguments.finding))
            .hint("write it as VULNERABILITY/PACKAGE: CVE-2026-0001/libc6"));
    };
    let package = package.split(':').next().unwrap_or_default();
    let mut inventory = host::read(&arguments.root)?;
    inventory.tuples.retain(|tuple| tuple.package == package);
    if inventory.tuples.is_empty() {
        let root = arguments.root.display();
        return Err(Failure::invalid(format_args!("{package} is not installed in {root}"))
            .hint("`bartizan scan host --all` lists what is known"));
    }
    let now = now();
    let opened = feeds::open::open(arguments.feeds.as_deref(), now)?;
    let Some(library) = opened.library else {
        let problem = opened.unknown.into_iter().map(|unknown| unknown.problem).next();
        return Err(Failure::unavailable(problem.unwrap_or_default())
            .hint("`bartizan feeds import PATH` makes a library"));
    };
    let found = explained(&inventory, &library, now);
    let wanted = found.into_iter().find(|found| {
        found.id == arguments.finding
            || format!("{}/{}", found.vulnerability, found.package) == arguments.finding
    });
    let Some(finding) = wanted else {
        return Err(Failure::invalid(format_args!("no feed speaks of {}", arguments.finding))
            .hint("`bartizan scan host --all` lists what is known"));
    };
    let Some(tuple) = inventory.tuples.get(finding.tuple).cloned() else {
        return Err(Failure::unavailable("the package went away while it was explained"));
    };
    let mut records = Vec::new();
    for name in [&tuple.source, &tuple.package] {
        let all = library.records(&tuple.ecosystem, &tuple.release, name);
        let all = all.map_err(|error| feeds::failure(&error))?;
        let about = |record: &&Record| record.names().any(|name| name == finding.vulnerability);
        records.extend(all.iter().filter(about).cloned());
        if tuple.source == tuple.package {
            break;
        }
    }
    let processes = process::running(&arguments.root, &tuple);
    let explanation = Explanation { package: tuple, finding, records, processes };
    Printer::new(arguments.output).print(&explanation, rows)?;
    Ok(Answer::Answered)
}

/// The chain, a line for each link.
fn rows(explanation: &Explanation) -> Rows {
    let Explanation { package, finding, records, processes } = explanation;
    let mut rows = Vec::new();
    let mut say = |step: &str, text: String| rows.push(vec![step.to_owned(), text]);
    let origin = package.origin.as_deref().unwrap_or("an origin that the host does not tell");
    say(
        "package",
        format!("{} {} ({}), from {origin}", package.package, package.version, package.architecture),
    );
    say(
        "source",
        format!("{} {}, {} {}", package.source, package.source_version, package.ecosystem, package.release),
    );
    for record in records {
        let statement = serde_json::to_string(&record.statement).unwrap_or_default();
        say("record", format!("{} of {}: {statement}", record.id, record.feed));
    }
    say("range", finding.evidence.clone());
    let fix = finding
        .fix_state
        .map_or_else(String::new, |state| format!(", fix {}", state.as_str().replace('_', " ")));
    let fixed = finding.fixed.as_ref().map_or_else(String::new, |fixed| format!(" in {fixed}"));
    say("verdict", format!("{}{fix}{fixed}, by {}", finding.verdict.as_str(), finding.feed.name));
    for process in &processes.processes {
        say("process", format!("{} {} runs {}", process.pid, process.name, process.file));
    }
    if let Some(unknown) = &processes.unknown {
        say("process", format!("unknown: {unknown}"));
    } else if processes.processes.is_empty() {
        say("process", "none maps a file of the package now".to_owned());
    }
    Rows { header: vec!["step", "what"], rows }
}
