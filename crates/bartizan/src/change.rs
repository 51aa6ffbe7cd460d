//! `bartizan change`: proposed as documents, tested below, reviewed, approved, applied.

use std::path::{Path, PathBuf};

use bartizan_server::api::change::{Described, List, Past, Proposed, Row};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use crate::client::{Client, WOULD_BE};
use crate::document::files;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows, warn};

/// Propose changes, and walk them to production.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List changes, the newest first.
    List(Output),
    /// Show a change: how far it has come, what is missing, what it does to an environment.
    Show(Show),
    /// Propose documents as they are to be; prints the change's identifier and digest.
    Propose(Propose),
    /// Say that the change, as it is applied in a lower environment, was tested there.
    Test(Test),
    /// Review the change as a member of its service's team who did not write it.
    Review(Act),
    /// Approve the change for security.
    Approve(Act),
    /// Bring the change to an environment.
    Apply(Act),
    /// Take the change back.
    Withdraw(Withdraw),
}

#[derive(Debug, Args)]
struct Output {
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct One {
    /// The change's identifier, as `change list` prints it.
    id: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    one: One,
    /// The environment that it is compared with; the lowest that asks for approval where none is named.
    #[arg(long, value_name = "ENVIRONMENT")]
    target: Option<String>,
}

#[derive(Debug, Args)]
struct Propose {
    /// A file or folder of documents.
    #[arg(short, long = "file", value_name = "PATH", required = true)]
    files: Vec<PathBuf>,
    /// The service that the change belongs to.
    #[arg(long, value_name = "SERVICE")]
    service: String,
    /// Check the documents, say whether the change would be taken, and propose nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Doing {
    #[command(flatten)]
    one: One,
    /// Ask whether it would be accepted, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct Act {
    #[command(flatten)]
    doing: Doing,
    /// The environment that it is on the way to.
    #[arg(long, value_name = "ENVIRONMENT", default_value = "prod")]
    target: String,
    /// The digest that you looked at; an edit since then refuses the act.
    #[arg(long, value_name = "DIGEST")]
    digest: String,
}

#[derive(Debug, Args)]
struct Test {
    #[command(flatten)]
    act: Act,
    /// The lower environment where it was tested.
    #[arg(long, value_name = "ENVIRONMENT", default_value = "test")]
    environment: String,
    /// The test failed: an earlier pass is taken back, with what was decided because of it.
    #[arg(long)]
    failed: bool,
}

#[derive(Debug, Args)]
struct Withdraw {
    #[command(flatten)]
    doing: Doing,
    /// Why it is taken back.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// What became of an act on a change.
#[derive(Debug, Serialize)]
struct Done {
    id: String,
    act: &'static str,
    target: String,
    /// `accepted`, `pending` or `would be accepted`.
    state: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    let client = Client::open(client)?;
    match arguments.verb {
        Verb::List(arguments) => {
            let list: List = client.get(&["changes"], &[])?;
            Printer::new(arguments.output).print(&list.changes, |changes| rows(changes))?;
        }
        Verb::Show(arguments) => {
            let query: Vec<_> = arguments.target.iter().map(|target| ("target", target.clone())).collect();
            let change: Described = client.get(&["changes", &arguments.one.id], &query)?;
            Printer::new(arguments.one.output.output).print(&change, shown)?;
        }
        Verb::Propose(arguments) => propose(&client, &arguments)?,
        Verb::Test(arguments) => {
            let Test { act, environment, failed } = &arguments;
            let body = json!({
                "digest": act.digest, "target": act.target, "environment": environment, "failed": failed,
            });
            say(&client, &act.doing, "test", act.target.clone(), &body)?;
        }
        Verb::Review(arguments) => act(&client, &arguments, "review")?,
        Verb::Approve(arguments) => act(&client, &arguments, "approve")?,
        Verb::Apply(arguments) => act(&client, &arguments, "apply")?,
        Verb::Withdraw(arguments) => {
            let body = json!({"reason": arguments.reason});
            say(&client, &arguments.doing, "withdraw", String::new(), &body)?;
        }
    }
    Ok(Answer::Answered)
}

fn propose(client: &Client, arguments: &Propose) -> Result<(), Failure> {
    let read = files::read(&arguments.files)?;
    let body = json!({"service": arguments.service, "files": read.files});
    if arguments.dry_run {
        let warnings = client.foresee(&["changes"], &body)?;
        warn(&warnings);
        let target = arguments.service.clone();
        let done = Done { id: String::new(), act: "propose", target, state: WOULD_BE, warnings };
        return print(arguments.output.output, &done);
    }
    let proposed: Proposed = client.post(&["changes"], &body)?;
    warn(&proposed.warnings);
    Printer::new(arguments.output.output).print(&proposed, |proposed| Rows {
        header: vec!["id", "digest"],
        rows: vec![vec![proposed.id.clone(), proposed.digest.clone()]],
    })
}

fn act(client: &Client, arguments: &Act, act: &'static str) -> Result<(), Failure> {
    let body = json!({"digest": arguments.digest, "target": arguments.target});
    say(client, &arguments.doing, act, arguments.target.clone(), &body)
}

fn say(
    client: &Client,
    doing: &Doing,
    act: &'static str,
    target: String,
    body: &serde_json::Value,
) -> Result<(), Failure> {
    let one = &doing.one;
    let state = client.act(&["changes", &one.id, act], body, doing.dry_run)?;
    print(one.output.output, &Done { id: one.id.clone(), act, target, state, warnings: Vec::new() })
}

fn print(output: Format, done: &Done) -> Result<(), Failure> {
    Printer::new(output).print(done, |done| Rows {
        header: vec!["id", "act", "target", "state"],
        rows: vec![vec![done.id.clone(), done.act.to_owned(), done.target.clone(), done.state.to_owned()]],
    })
}

fn rows(changes: &[Row]) -> Rows {
    let row = |change: &Row| {
        let stages = change.stages.iter().filter(|stage| stage.decisions > 0);
        let stages: Vec<String> =
            stages.map(|stage| format!("{} for {}", stage.stage, stage.target)).collect();
        let applied = change.applied.iter().map(|applied| match applied.path.as_str() {
            "self_approved" | "break_glass" => {
                format!("{} ({})", applied.target, applied.path.replace('_', " "))
            }
            _ => applied.target.clone(),
        });
        let applied: Vec<String> = applied.collect();
        vec![
            change.id.clone(),
            change.service.clone(),
            change.documents.len().to_string(),
            if change.withdrawn { "withdrawn".to_owned() } else { stages.join(", ") },
            applied.join(", "),
            change.authors.join(", "),
            change.proposed_at.clone(),
        ]
    };
    let header = vec!["id", "service", "documents", "stage", "applied", "authors", "proposed"];
    Rows { header, rows: changes.iter().map(row).collect() }
}

/// An act that does not stand: what it was, whose, and why it counts for nothing.
fn outcome(past: &Past) -> String {
    let target = if past.target.is_empty() { String::new() } else { format!(" for {}", past.target) };
    let why = past.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{}{target} by {} at {}{why}", past.act, past.by, past.at)
}

fn shown(change: &Described) -> Rows {
    let row = &change.row;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut say = |field: &str, value: String| rows.push(vec![field.to_owned(), value]);
    say("id", row.id.clone());
    say("service", row.service.clone());
    for warning in &change.warnings {
        say("warning", warning.clone());
    }
    say("digest", row.digest.clone());
    say("proposed", format!("{} by {}", row.proposed_at, row.authors.join(", ")));
    for one in &change.differences {
        say("document", format!("{} {}, {} in {}", one.kind, one.name, one.fate, change.against));
    }
    for stage in &row.stages {
        say("stage", format!("{} for {}, which is {}", stage.stage, stage.target, stage.gate));
        for step in &stage.steps {
            let by = step.by.as_deref().unwrap_or("somebody");
            say("decision", format!("{} for {} by {by} at {}", step.step, stage.target, step.at));
        }
        if !stage.missing.is_empty() && !row.withdrawn {
            say("missing", format!("{} for {}", stage.missing.join(", "), stage.target));
        }
    }
    // What stands is told above, by its stage. What counts for nothing is told with the reason why.
    for past in change.history.iter().filter(|past| past.state != "stands") {
        say(&past.state, outcome(past));
    }
    for glass in &change.broken_glass {
        say(
            "glass broken",
            format!("for {} by {}, due {}: {}", glass.target, glass.by, glass.due, glass.reason),
        );
    }
    for applied in &row.applied {
        let right = applied.path.replace('_', " ");
        say(
            "applied",
            format!("{} by {} at {}, by the right: {right}", applied.target, applied.by, applied.at),
        );
    }
    if row.withdrawn {
        say("withdrawn", "yes".to_owned());
    }
    Rows { header: vec!["field", "value"], rows }
}
