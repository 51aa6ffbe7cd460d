//! `bartizan finding`: what is wrong over the fleet, and whose it is on one asset.

use std::path::Path;

use bartizan_core::severity::{self, Severity};
use bartizan_server::api::asset;
use bartizan_server::api::finding::held::{self, Described, Ended, Row};
use bartizan_server::api::finding::{Deadline, Finding, Group, List};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::json;

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows};

/// How many groups are asked for at a time.
const PAGE: &str = "1000";

/// List what is wrong over the fleet; take one of it on an asset, and say something of it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List each thing that is wrong, with how many assets have it; or all that is wrong with one asset.
    List(Listing),
    /// List findings that somebody owns or said something of, each on one asset.
    Held(Holding),
    /// Show a finding on one asset, with its history.
    Show(Shown),
    /// Give a finding on one asset to somebody; to yourself where nobody is named.
    Assign(Assign),
    /// Say what others have to know of a finding on one asset.
    Comment(Comment),
}

#[derive(Debug, Args)]
struct Listing {
    /// List findings of this kind alone.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// List findings of at least this severity, and what nobody rates: none, low, medium, high or critical.
    #[arg(long, value_name = "LEVEL")]
    severity: Option<Severity>,
    /// List what is wrong with this asset, by its name or identifier, each with its key.
    #[arg(long, value_name = "ASSET")]
    asset: Option<String>,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Holding {
    /// List those of one person alone, by name.
    #[arg(long, value_name = "PERSON")]
    owner: Option<String>,
    /// List those that have ended, too.
    #[arg(long)]
    all: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// Which finding it is about.
#[derive(Debug, Args)]
struct Which {
    /// Its key, as `finding list --asset` prints it.
    key: String,
    /// Its asset, by name or identifier; needed where nobody has put anything on it yet.
    #[arg(long, value_name = "ASSET")]
    asset: Option<String>,
}

#[derive(Debug, Args)]
struct Shown {
    #[command(flatten)]
    which: Which,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Assign {
    #[command(flatten)]
    which: Which,
    /// Whose it is to be, by name.
    #[arg(long, value_name = "PERSON")]
    to: Option<String>,
    /// Why, where it helps.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Ask whether it would be accepted, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Comment {
    #[command(flatten)]
    which: Which,
    /// What others have to know.
    text: String,
    /// Ask whether it would be accepted, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What became of an act on a finding.
#[derive(Debug, Serialize)]
struct Done {
    key: String,
    act: &'static str,
    /// `accepted`, `pending` or `would be accepted`.
    state: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Deviation,
    Vulnerability,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Kind::Deviation => "deviation",
            Kind::Vulnerability => "vulnerability",
        }
    }
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    let client = Client::open(client)?;
    match arguments.verb {
        Verb::List(arguments) => match &arguments.asset {
            Some(asset) => of_asset(&client, asset, &arguments)?,
            None => of_fleet(&client, &arguments)?,
        },
        Verb::Held(arguments) => {
            let owner = arguments.owner.unwrap_or_default();
            let asked = [("owner", owner), ("ended", arguments.all.to_string())];
            let list: held::List = client.get(&["findings", "held"], &asked)?;
            Printer::new(arguments.output).print(&list.findings, |findings| held_rows(findings))?;
        }
        Verb::Show(arguments) => {
            let Which { key, asset } = arguments.which;
            let on = [("asset", asset.unwrap_or_default())];
            let finding: Described = client.get(&["findings", "by-key", &key], &on)?;
            Printer::new(arguments.output).print(&finding, shown)?;
        }
        Verb::Assign(Assign { which, to, reason, dry_run, output }) => {
            let Which { key, asset } = which;
            let (asset, owner) = (asset.unwrap_or_default(), to.unwrap_or_default());
            let body = json!({"asset": asset, "owner": owner, "reason": reason});
            let state = client.act(&["findings", "by-key", &key, "assign"], &body, dry_run)?;
            told(output, Done { key, act: "assign", state })?;
        }
        Verb::Comment(Comment { which, text, dry_run, output }) => {
            let Which { key, asset } = which;
            let body = json!({"asset": asset.unwrap_or_default(), "text": text});
            let state = client.act(&["findings", "by-key", &key, "comment"], &body, dry_run)?;
            told(output, Done { key, act: "comment", state })?;
        }
    }
    Ok(Answer::Answered)
}

impl Listing {
    /// Whether something of this kind and severity is asked for.
    fn takes(&self, kind: &str, severity: Option<&String>) -> bool {
        // What nobody rates is below no level for sure.
        let severity = severity.and_then(|word| word.parse().ok()).unwrap_or(Severity::Critical);
        self.kind.is_none_or(|wanted| wanted.as_str() == kind)
            && self.severity.is_none_or(|least| severity >= least)
    }
}

fn of_fleet(client: &Client, arguments: &Listing) -> Result<(), Failure> {
    let kind = arguments.kind.map_or("", Kind::as_str);
    let mut groups = Vec::new();
    let mut from = Some(0_usize);
    while let Some(start) = from {
        let asked = [("kind", kind.to_owned()), ("from", start.to_string()), ("limit", PAGE.to_owned())];
        let list: List = client.get(&["findings"], &asked)?;
        groups.extend(list.findings);
        from = list.next;
    }
    let asked = |group: &Group| arguments.takes(&group.kind, group.severity.as_ref());
    let findings: Vec<Group> = groups.into_iter().filter(asked).collect();
    Printer::new(arguments.output).print(&findings, |findings| rows(findings))
}

fn of_asset(client: &Client, asset: &str, arguments: &Listing) -> Result<(), Failure> {
    let asset: asset::Described = client.get(&["assets", asset], &[])?;
    let asked = |finding: &Finding| arguments.takes(&finding.kind, finding.severity.as_ref());
    let findings: Vec<Finding> = asset.findings.into_iter().filter(asked).collect();
    Printer::new(arguments.output).print(&findings, |findings| asset_rows(findings))
}

fn told(output: Format, done: Done) -> Result<(), Failure> {
    Printer::new(output).print(&done, |done| Rows {
        header: vec!["key", "act", "state"],
        rows: vec![vec![done.key.clone(), done.act.to_owned(), done.state.to_owned()]],
    })
}

fn asset_rows(findings: &[Finding]) -> Rows {
    let row = |finding: &Finding| {
        vec![
            finding.key.clone(),
            finding.severity.clone().unwrap_or_else(|| severity::word(None).to_owned()),
            finding.kind.clone(),
            finding.subject.clone(),
            finding.object.clone(),
            finding.since.clone(),
            due(finding.due.as_ref()),
            finding.owner.clone().unwrap_or_default(),
            finding.action.clone(),
        ]
    };
    let header = vec!["key", "severity", "kind", "subject", "object", "since", "due", "owner", "action"];
    Rows { header, rows: findings.iter().map(row).collect() }
}

/// By when it has to be gone, and whether that has passed.
fn due(due: Option<&Deadline>) -> String {
    let overdue = |due: &Deadline| if due.overdue { " overdue" } else { "" };
    due.map(|due| format!("{}{}", due.at, overdue(due))).unwrap_or_default()
}

/// How a finding stands, in a word.
fn state(ended: Option<&Ended>) -> &str {
    ended.map_or("open", |ended| &ended.how)
}

fn held_rows(findings: &[Row]) -> Rows {
    let row = |finding: &Row| {
        vec![
            finding.key.clone(),
            finding.kind.clone(),
            finding.subject.clone(),
            finding.object.clone(),
            finding.asset.clone(),
            finding.owner.clone().unwrap_or_default(),
            finding.since.clone(),
            due(finding.due.as_ref()),
            state(finding.ended.as_ref()).to_owned(),
        ]
    };
    let header = vec!["key", "kind", "subject", "object", "asset", "owner", "since", "due", "state"];
    Rows { header, rows: findings.iter().map(row).collect() }
}

fn shown(finding: &Described) -> Rows {
    let told = &finding.row;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut say = |field: &str, value: String| rows.push(vec![field.to_owned(), value]);
    say("key", told.key.clone());
    say("kind", told.kind.clone());
    say("subject", told.subject.clone());
    if !told.object.is_empty() {
        say("package", told.object.clone());
    }
    say("asset", format!("{} of {} in {}", told.asset, told.service, told.environment));
    say("state", state(told.ended.as_ref()).to_owned());
    if let Some(ended) = &told.ended {
        say("ended", ended.at.clone());
    }
    if let Some(by) = told.ended.as_ref().and_then(|ended| ended.by.as_ref()) {
        say("withdrawn by", by.clone());
    }
    if let Some(now) = &finding.now {
        say("severity", now.severity.clone().unwrap_or_else(|| severity::word(None).to_owned()));
        say("verdict", now.verdict.clone());
        say("action", now.action.clone());
    }
    say("since", told.since.clone());
    if let Some(deadline) = &told.due {
        say("due", format!("{}, by {} ({})", due(Some(deadline)), deadline.policy, deadline.because));
    }
    say("backlog", if told.backlog { "yes" } else { "no" }.to_owned());
    say("came back", told.returns.to_string());
    say("owner", told.owner.clone().unwrap_or_else(|| "nobody".to_owned()));
    for entry in &finding.history {
        let by = entry.by.as_deref().unwrap_or("observed");
        say("history", format!("{}, {by}, {}: {}", entry.at, entry.happened, entry.text));
    }
    Rows { header: vec!["field", "value"], rows }
}

fn rows(findings: &[Group]) -> Rows {
    let row = |group: &Group| {
        vec![
            group.severity.clone().unwrap_or_else(|| severity::word(None).to_owned()),
            group.kind.clone(),
            group.subject.clone(),
            group.object.clone(),
            group.assets.to_string(),
            group.accepted.to_string(),
            group.kev_due.clone().unwrap_or_default(),
            group.title.clone(),
            group.action.clone(),
        ]
    };
    let header = vec![
        "severity",
        "kind",
        "subject",
        "object",
        "assets",
        "accepted",
        "exploited, due",
        "title",
        "action",
    ];
    Rows { header, rows: findings.iter().map(row).collect() }
}
