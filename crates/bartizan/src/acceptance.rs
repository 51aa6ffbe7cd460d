//! `bartizan acceptance`: findings that stay open on purpose, by whom and until when.

use std::path::Path;

use bartizan_server::api::Ruled;
use bartizan_server::api::acceptance::{Described, List, Preview, Proposed, Row};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows, talk, warn};

/// List risk acceptances, look what a scope takes in, propose, approve, review, withdraw.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List acceptances that have not ended, the one that ends first before the others.
    List(Listing),
    /// Show an acceptance, and the findings that it takes in now.
    Show(One),
    /// Say which findings a scope would take in, before anybody asks for it.
    Preview(Scoped),
    /// Propose an acceptance. It covers nothing until security approved it and its control holds.
    Propose(Propose),
    /// Approve an acceptance for security, as somebody who neither wrote it nor owns the risk.
    Approve(Act),
    /// Say whether a manual control holds. One that does not ends the acceptance at once.
    Review(Review),
    /// Take an acceptance back, or turn it down: its findings are open again.
    Withdraw(Withdraw),
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
    /// The acceptance's identifier, as `acceptance list` prints it.
    id: String,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Scoped {
    /// A matcher, as vulnerability=CVE-2024-1, rule=ssh-.* or service=shop; all must hold.
    #[arg(required = true, value_name = "MATCHER")]
    scope: Vec<String>,
    /// The rule that has to hold meanwhile, as BASELINE/RULE: our own checks look at it.
    #[arg(long, value_name = "BASELINE/RULE")]
    rule: Option<String>,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Propose {
    #[command(flatten)]
    scoped: Scoped,
    /// What a person looks at, where no check can see it.
    #[arg(long, value_name = "TEXT", conflicts_with = "rule", requires = "review_by")]
    manual: Option<String>,
    /// When that person looks next: a time, or a span from now on, as 14d.
    #[arg(long, value_name = "TIME")]
    review_by: Option<String>,
    /// Why it is not mended now.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Until when: a time, or a span from now on, as 30d; a year at most.
    #[arg(long, value_name = "TIME")]
    until: String,
    /// Who answers for the risk; you where nobody is named.
    #[arg(long, value_name = "PERSON")]
    owner: Option<String>,
    /// Say what it would take in, and propose nothing.
    #[arg(long)]
    dry_run: bool,
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
struct Review {
    #[command(flatten)]
    act: Act,
    /// It does not hold.
    #[arg(long, conflicts_with = "review_by")]
    failed: bool,
    /// It holds; when to look next: a time, or a span from now on, as 14d.
    #[arg(long, value_name = "TIME", required_unless_present = "failed")]
    review_by: Option<String>,
}

#[derive(Debug, Args)]
struct Withdraw {
    #[command(flatten)]
    act: Act,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// What became of an act on an acceptance.
#[derive(Debug, Serialize)]
struct Done {
    id: String,
    scope: String,
    act: &'static str,
    /// `accepted`, `pending` or `would be accepted`.
    state: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    let client = Client::open(client)?;
    match arguments.verb {
        Verb::List(arguments) => {
            let query: &[_] = if arguments.all { &[("all", "true".to_owned())] } else { &[] };
            let list: List = client.get(&["acceptances"], query)?;
            Printer::new(arguments.output).print(&list.acceptances, |acceptances| rows(acceptances))?;
        }
        Verb::Show(arguments) => {
            let acceptance: Described = client.get(&["acceptances", &arguments.id], &[])?;
            Printer::new(arguments.output).print(&acceptance, shown)?;
        }
        Verb::Preview(arguments) => preview(&client, &arguments)?,
        Verb::Propose(arguments) => propose(&client, &arguments)?,
        Verb::Approve(arguments) => act(&client, &arguments, "approve", &json!({}))?,
        Verb::Review(arguments) => {
            let body = json!({"holds": !arguments.failed, "review_by": arguments.review_by});
            act(&client, &arguments.act, "review", &body)?;
        }
        Verb::Withdraw(arguments) => {
            act(&client, &arguments.act, "withdraw", &json!({"reason": arguments.reason}))?;
        }
    }
    Ok(Answer::Answered)
}

fn preview(client: &Client, scoped: &Scoped) -> Result<(), Failure> {
    let body = json!({"scope": scoped.scope, "rule": scoped.rule});
    let preview: Preview = client.post(&["acceptances", "preview"], &body)?;
    if let Some(stands) = &preview.control_stands {
        talk(&format!("the control stands there: {stands}"));
    }
    warn(&preview.warnings);
    Printer::new(scoped.output).print(&preview, |preview| {
        let row = |one: &bartizan_server::api::acceptance::Covered| {
            vec![one.kind.clone(), one.subject.clone(), one.object.clone(), one.assets.to_string()]
        };
        let header = vec!["kind", "subject", "object", "assets"];
        Rows { header, rows: preview.findings.iter().map(row).collect() }
    })
}

fn propose(client: &Client, arguments: &Propose) -> Result<(), Failure> {
    let Propose { scoped, .. } = arguments;
    let body = json!({
        "scope": scoped.scope,
        "rule": scoped.rule,
        "manual": arguments.manual,
        "review_by": arguments.review_by,
        "reason": arguments.reason,
        "until": arguments.until,
        "owner": arguments.owner,
    });
    if arguments.dry_run {
        talk(&format!("the acceptance {}; it takes in:", client.rehearse(&["acceptances"], &body)?));
        return preview(client, scoped);
    }
    let proposed: Proposed = client.post(&["acceptances"], &body)?;
    let scope = scoped.scope.join(", ");
    warn(&proposed.warnings);
    let Proposed { id, ruled, warnings } = proposed;
    let done = Done { id, scope, act: "propose", state: state(ruled), warnings };
    told(scoped.output, &done)
}

const fn state(ruled: Ruled) -> &'static str {
    match ruled {
        Ruled::Accepted => "accepted",
        Ruled::Pending => "pending",
    }
}

fn act(client: &Client, arguments: &Act, act: &'static str, body: &Value) -> Result<(), Failure> {
    let acceptance: Described = client.get(&["acceptances", &arguments.one.id], &[])?;
    let state = client.act(&["acceptances", &acceptance.row.id, act], body, arguments.dry_run)?;
    let scope = acceptance.row.scope.join(", ");
    let done = Done { id: acceptance.row.id, scope, act, state, warnings: Vec::new() };
    told(arguments.one.output, &done)
}

fn told(output: Format, done: &Done) -> Result<(), Failure> {
    Printer::new(output).print(done, |done| {
        let row = vec![done.id.clone(), done.scope.clone(), done.act.to_owned(), done.state.to_owned()];
        Rows { header: vec!["id", "scope", "act", "state"], rows: vec![row] }
    })
}

fn rows(acceptances: &[Row]) -> Rows {
    let row = |row: &Row| {
        vec![
            row.id.clone(),
            row.state.replace('_', " "),
            row.scope.join(", "),
            row.owner.clone(),
            row.control.name.clone(),
            row.until.clone(),
        ]
    };
    let header = vec!["id", "state", "scope", "owner", "while this holds", "until"];
    Rows { header, rows: acceptances.iter().map(row).collect() }
}

fn shown(acceptance: &Described) -> Rows {
    let row = &acceptance.row;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut say = |field: &str, value: String| rows.push(vec![field.to_owned(), value]);
    say("id", row.id.clone());
    say("state", row.state.replace('_', " "));
    say("scope", row.scope.join(", "));
    say("reason", row.reason.clone());
    say("owner", row.owner.clone());
    say("until", row.until.clone());
    say("control", format!("{}, {}", row.control.name, row.control.kind));
    if let Some(by) = &row.control.review_by {
        say("review by", by.clone());
    }
    say("proposed", format!("{} by {}", row.proposed_at, row.author));
    if let (Some(by), Some(at)) = (&row.approved_by, &row.approved_at) {
        say("approved", format!("{at} by {by}"));
    }
    if let Some(since) = &row.since {
        say("in force since", since.clone());
    }
    if let Some(flagged) = &row.flagged {
        say("flagged", format!("the control is unknown since {}: {}", flagged.since, flagged.reason));
    }
    if let Some(ended) = &row.ended {
        let by = ended.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let reason = ended.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        say("ended", format!("{}{by} at {}{reason}", ended.how.replace('_', " "), ended.at));
    }
    if let Some(stands) = &acceptance.preview.control_stands {
        say("control stands", stands.clone());
    }
    if acceptance.preview.findings.is_empty() {
        say("takes in", "no finding now".to_owned());
    }
    for one in &acceptance.preview.findings {
        let object = if one.object.is_empty() { String::new() } else { format!(" in {}", one.object) };
        let assets = if one.assets == 1 { "asset" } else { "assets" };
        say("takes in", format!("{} {}{object} on {} {assets}", one.kind, one.subject, one.assets));
    }
    Rows { header: vec!["field", "value"], rows }
}
