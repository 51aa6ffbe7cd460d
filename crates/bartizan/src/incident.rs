//! `bartizan incident`: coordinated responses, and what people do with them.

use std::path::Path;

use bartizan_server::api::Ruled;
use bartizan_server::api::incident::{self as api, Described, List, Opened, Row};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::json;

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows};

/// List incidents, open one, walk it to its end.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List open incidents, the newest first.
    List(Listing),
    /// Show an incident with its timeline.
    Show(One),
    /// Open an incident by hand.
    Open(Open),
    /// Say that you work on an incident and on its open alerts; it is yours where it was nobody's.
    Acknowledge(Doing),
    /// Give an incident to somebody; to yourself where nobody is named.
    Assign(Assign),
    /// Judge an incident's severity anew, on its three axes.
    Rate(Rate),
    /// Bring an incident to its next stage: assess, diagnose or stabilise.
    Advance(Advance),
    /// Write into an incident's timeline.
    Note(Told),
    /// Close an incident, with the reason.
    Close(Told),
}

#[derive(Debug, Args)]
struct Listing {
    /// List those that were closed, too.
    #[arg(long)]
    all: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct One {
    /// The incident's identifier, as `incident list` prints it.
    id: String,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Doing {
    /// The incident's identifier, as `incident list` prints it.
    id: String,
    /// Ask whether it would be accepted, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Open {
    /// What happened, in one line.
    title: String,
    /// The alert that it is about.
    #[arg(long, value_name = "ALERT")]
    alert: Option<String>,
    /// Ask whether it would be accepted, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Assign {
    #[command(flatten)]
    doing: Doing,
    /// Whose it is to be.
    #[arg(long, value_name = "PERSON")]
    person: Option<String>,
}

/// The three axes; what is not named stays as it is.
#[derive(Debug, Args)]
struct Rate {
    #[command(flatten)]
    doing: Doing,
    /// How badly what people need is hit.
    #[arg(long, value_enum, required_unless_present_any = ["spread", "sensitivity"])]
    impact: Option<Impact>,
    /// How far it goes.
    #[arg(long, value_enum)]
    spread: Option<Spread>,
    /// Whose data it touches.
    #[arg(long, value_enum)]
    sensitivity: Option<Sensitivity>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Impact {
    Unnoticed,
    Degraded,
    Serious,
    Lost,
}

#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Spread {
    OneAsset,
    OneService,
    ManyServices,
}

#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Sensitivity {
    Public,
    Internal,
    Secret,
    Customer,
}

#[derive(Debug, Args)]
struct Advance {
    #[command(flatten)]
    doing: Doing,
    /// The stage that it has come to.
    stage: String,
}

#[derive(Debug, Args)]
struct Told {
    #[command(flatten)]
    doing: Doing,
    /// What others have to know, or why it is over.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// What became of an act on an incident.
#[derive(Debug, Serialize)]
struct Done {
    id: String,
    act: &'static str,
    /// `accepted`, `pending` or `would be accepted`.
    state: &'static str,
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    let client = Client::open(client)?;
    match arguments.verb {
        Verb::List(arguments) => {
            let query: &[_] = if arguments.all { &[("all", "true".to_owned())] } else { &[] };
            let list: List = client.get(&["incidents"], query)?;
            Printer::new(arguments.output).print(&list.incidents, |incidents| rows(incidents))?;
        }
        Verb::Show(arguments) => {
            let incident: Described = client.get(&["incidents", &arguments.id], &[])?;
            Printer::new(arguments.output).print(&incident, shown)?;
        }
        Verb::Open(arguments) => {
            let body = json!({"title": arguments.title, "alert": arguments.alert});
            let done = if arguments.dry_run {
                let state = client.rehearse(&["incidents"], &body)?;
                Done { id: String::new(), act: "open", state }
            } else {
                let opened: Opened = client.post(&["incidents"], &body)?;
                Done { id: opened.id, act: "open", state: state(opened.ruled) }
            };
            told(arguments.output, done)?;
        }
        Verb::Acknowledge(doing) => act(&client, &doing, "acknowledge", &json!({}))?,
        Verb::Assign(arguments) => {
            act(&client, &arguments.doing, "assign", &json!({"person": arguments.person}))?;
        }
        Verb::Rate(arguments) => rate(&client, &arguments)?,
        Verb::Advance(arguments) => {
            act(&client, &arguments.doing, "advance", &json!({"stage": arguments.stage}))?;
        }
        Verb::Note(arguments) => act(&client, &arguments.doing, "note", &json!({"text": arguments.reason}))?,
        Verb::Close(arguments) => {
            act(&client, &arguments.doing, "close", &json!({"reason": arguments.reason}))?;
        }
    }
    Ok(Answer::Answered)
}

const fn state(ruled: Ruled) -> &'static str {
    match ruled {
        Ruled::Accepted => "accepted",
        Ruled::Pending => "pending",
    }
}

fn act(client: &Client, doing: &Doing, act: &'static str, body: &serde_json::Value) -> Result<(), Failure> {
    let state = client.act(&["incidents", &doing.id, act], body, doing.dry_run)?;
    told(doing.output, Done { id: doing.id.clone(), act, state })
}

/// The API takes all three axes: what is not named is what it was.
fn rate(client: &Client, arguments: &Rate) -> Result<(), Failure> {
    let held: Described = client.get(&["incidents", &arguments.doing.id], &[])?;
    let mut body = json!({
        "impact": held.row.impact, "spread": held.row.spread, "sensitivity": held.row.sensitivity,
        "reason": arguments.reason,
    });
    let named = [
        ("impact", arguments.impact.map(|impact| json!(impact))),
        ("spread", arguments.spread.map(|spread| json!(spread))),
        ("sensitivity", arguments.sensitivity.map(|sensitivity| json!(sensitivity))),
    ];
    for (axis, value) in named {
        if let (Some(value), Some(held)) = (value, body.get_mut(axis)) {
            *held = value;
        }
    }
    act(client, &arguments.doing, "rate", &body)
}

fn told(output: Format, done: Done) -> Result<(), Failure> {
    Printer::new(output).print(&done, |done| Rows {
        header: vec!["id", "act", "state"],
        rows: vec![vec![done.id.clone(), done.act.to_owned(), done.state.to_owned()]],
    })
}

fn rows(incidents: &[Row]) -> Rows {
    let row = |incident: &Row| {
        vec![
            incident.id.clone(),
            incident.severity.clone(),
            incident.stage.clone(),
            incident.title.clone(),
            incident.owner.clone().unwrap_or_default(),
            incident.alerts.to_string(),
            incident.opened_at.clone(),
        ]
    };
    let header = vec!["id", "severity", "stage", "title", "owner", "alerts", "opened"];
    Rows { header, rows: incidents.iter().map(row).collect() }
}

fn shown(incident: &Described) -> Rows {
    let row = &incident.row;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut say = |field: &str, value: String| rows.push(vec![field.to_owned(), value]);
    say("id", row.id.clone());
    say("title", row.title.clone());
    say("severity", row.severity.clone());
    say("axes", format!("impact {}, spread {}, sensitivity {}", row.impact, row.spread, row.sensitivity));
    say("stage", row.stage.clone());
    say("owner", row.owner.clone().unwrap_or_default());
    say("opened", row.opened_at.clone());
    if let (Some(at), Some(reason)) = (&incident.closed_at, &incident.reason) {
        say("closed", format!("{at}: {reason}"));
    }
    for alert in &incident.alert_ids {
        say("alert", alert.clone());
    }
    for entry in &incident.timeline {
        say("timeline", line(entry));
    }
    Rows { header: vec!["field", "value"], rows }
}

/// One entry of a timeline.
fn line(entry: &api::Told) -> String {
    let Some(alert) = &entry.alert else {
        let by = entry.by.as_deref().unwrap_or("a rule");
        return format!("{} {by} {} {}", entry.at, entry.happened.replace('_', " "), entry.text);
    };
    let done = entry.happened.trim_start_matches("alert_");
    let by = entry.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let why = if entry.text.is_empty() { String::new() } else { format!(": {}", entry.text) };
    format!("{} alert {} ({}) {done}{by}{why}", entry.at, alert.id, alert.summary)
}
