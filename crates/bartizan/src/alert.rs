//! `bartizan alert`: what a human must look at, and what people do about it.

use std::path::Path;

use bartizan_server::api::alert::{Described, List, Row, Silenced};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows};

/// List alerts, take them on, end them.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List open alerts, the newest first.
    List(Listing),
    /// Show an alert with its places, and who was told.
    Show(One),
    /// Take an alert on.
    Acknowledge(Act),
    /// End an alert, with the reason why nobody needs to look at it.
    Close(Close),
}

#[derive(Debug, Args)]
struct Listing {
    /// List those that have ended, too.
    #[arg(long)]
    all: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct One {
    /// The alert's identifier, as `alert list` prints it.
    id: String,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Act {
    #[command(flatten)]
    one: One,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct Close {
    #[command(flatten)]
    act: Act,
    /// Why nobody needs to look at it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// What became of an act on an alert.
#[derive(Debug, Serialize)]
struct Done {
    id: String,
    summary: String,
    act: &'static str,
    /// `accepted`, `pending` or `would be accepted`.
    state: &'static str,
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    let client = Client::open(client)?;
    match arguments.verb {
        Verb::List(arguments) => {
            let query: &[_] = if arguments.all { &[("all", "true".to_owned())] } else { &[] };
            let list: List = client.get(&["alerts"], query)?;
            Printer::new(arguments.output).print(&list.alerts, |alerts| rows(alerts))?;
        }
        Verb::Show(arguments) => {
            let alert: Described = client.get(&["alerts", &arguments.id], &[])?;
            Printer::new(arguments.output).print(&alert, shown)?;
        }
        Verb::Acknowledge(arguments) => act(&client, &arguments, "acknowledge", &())?,
        Verb::Close(arguments) => {
            let body = serde_json::json!({"reason": arguments.reason});
            act(&client, &arguments.act, "close", &body)?;
        }
    }
    Ok(Answer::Answered)
}

fn act(client: &Client, arguments: &Act, act: &'static str, body: &impl Serialize) -> Result<(), Failure> {
    let alert: Described = client.get(&["alerts", &arguments.one.id], &[])?;
    let state = client.act(&["alerts", &alert.row.id, act], body, arguments.dry_run)?;
    let done = Done { id: alert.row.id, summary: alert.row.summary, act, state };
    Printer::new(arguments.one.output).print(&done, |done| {
        let row = vec![done.id.clone(), done.summary.clone(), done.act.to_owned(), done.state.to_owned()];
        Rows { header: vec!["id", "summary", "act", "state"], rows: vec![row] }
    })
}

fn rows(alerts: &[Row]) -> Rows {
    let row = |alert: &Row| {
        vec![
            alert.id.clone(),
            alert.severity.clone(),
            alert.stage.clone(),
            alert.summary.clone(),
            alert.service.clone(),
            alert.environment.clone(),
            alert.firing.to_string(),
            alert.opened_at.clone(),
            alert.acknowledged_by.clone().unwrap_or_default(),
            alert.silenced.as_ref().map(|held| held.until.clone()).unwrap_or_default(),
        ]
    };
    let header = vec![
        "id",
        "severity",
        "stage",
        "summary",
        "service",
        "environment",
        "firing",
        "opened",
        "acknowledged by",
        "silenced until",
    ];
    Rows { header, rows: alerts.iter().map(row).collect() }
}

fn shown(alert: &Described) -> Rows {
    let told = &alert.row;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut say = |field: &str, value: String| rows.push(vec![field.to_owned(), value]);
    say("id", told.id.clone());
    say("kind", told.kind.clone());
    say("subject", told.subject.clone());
    say("service", format!("{} in {}", told.service, told.environment));
    say("severity", told.severity.clone());
    say("summary", told.summary.clone());
    say("opened", told.opened_at.clone());
    say("stage", told.stage.clone());
    if let Some(at) = &told.ended_at {
        say("ended", at.clone());
    }
    if let Some(reason) = &alert.reason {
        say("reason", reason.clone());
    }
    if let Some(person) = &told.acknowledged_by {
        say("acknowledged by", person.clone());
    }
    if let Some(rule) = &alert.rule {
        say("rule", format!("{}/{}: {}", rule.kind, rule.document, rule.title));
        if let Some(description) = &rule.description {
            say("description", description.clone());
        }
        if let Some(remediation) = &rule.remediation {
            say("what to do", remediation.clone());
        }
        for innocent in &rule.false_positives {
            say("may be", innocent.clone());
        }
    }
    for place in &alert.places {
        let object = if place.object.is_empty() { String::new() } else { format!(" {}", place.object) };
        say(
            "place",
            format!("{}{object}, {} since {}: {}", place.asset, place.state, place.since, place.summary),
        );
    }
    if let Some(held) = &told.silenced {
        let Silenced { silence, owner, until, reason } = held;
        say("held back", format!("by silence {silence} of {owner} until {until}: {reason}"));
    } else if alert.notifications.is_empty() && told.stage == "open" {
        say("told", "nobody yet: no route leads to a receiver, or the first notification waits".to_owned());
    }
    for sent in &alert.notifications {
        let problem = sent.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
        say("told", format!("{}, {} at {}, {}{problem}", sent.receiver, sent.occasion, sent.at, sent.state));
    }
    Rows { header: vec!["field", "value"], rows }
}
