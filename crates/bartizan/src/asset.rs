//! `bartizan asset`: who is watched, and what is known of each.

use std::path::Path;

use bartizan_core::error::Class;
use bartizan_core::severity;
use bartizan_server::api::asset::{Because, Described, List, Row};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::facts::flatten;
use crate::printer::{Format, Printer, Rows};

mod declare;
mod diff;

/// The most pages of assets that are asked for: a million assets.
const PAGES_LIMIT: usize = 5_000;

/// List assets, show what is known of one, compare two, let one in, retire one.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List all assets.
    List(Listing),
    /// Show all that is told of one asset: its sections and its findings.
    Show(One),
    /// Print a section of an asset's facts.
    Facts(Facts),
    /// Tell how the facts of two assets differ.
    Diff(diff::Arguments),
    /// Write down assets that no agent runs on: they are listed, and unknown, until they are retired.
    Declare(declare::Arguments),
    /// Let a host in that waits in quarantine: from then on its reports are taken.
    Approve(Act),
    /// Take an asset out of service: nobody misses its reports any more.
    Retire(Act),
}

#[derive(Debug, Args)]
struct Listing {
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct One {
    /// The asset's name or identifier.
    name: String,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Facts {
    /// The asset's name or identifier.
    name: String,
    /// The section: packages, accounts, kernel, …; `asset show` lists those that it has.
    section: String,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Act {
    /// The asset's name or identifier.
    name: String,
    /// Why; it stands in the ledger beside who did it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Say what would become of it, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What became of an asset.
#[derive(Debug, Serialize)]
struct Became {
    id: String,
    name: String,
    life: String,
    dry_run: bool,
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    let client = Client::open(client)?;
    match arguments.verb {
        Verb::List(arguments) => {
            let list = List { assets: all(&client)?, after: None };
            Printer::new(arguments.output).print(&list.assets, |assets| rows(assets))?;
        }
        Verb::Show(arguments) => {
            let asset = one(&client, &arguments.name)?;
            Printer::new(arguments.output).print(&asset, shown)?;
        }
        Verb::Facts(arguments) => {
            let path = ["assets", &arguments.name, "facts", &arguments.section];
            let facts: serde_json::Value = client.get(&path, &[])?;
            Printer::new(arguments.output).print(&facts, |facts| {
                let mut flat = Vec::new();
                flatten("", facts, &mut flat);
                let rows = flat.into_iter().map(|(fact, value)| vec![fact, value]).collect();
                Rows { header: vec!["fact", "value"], rows }
            })?;
        }
        Verb::Diff(arguments) => diff::run(&client, &arguments)?,
        Verb::Declare(arguments) => declare::run(&client, arguments)?,
        Verb::Approve(arguments) => act(&client, "approve", "enrolled", arguments)?,
        Verb::Retire(arguments) => act(&client, "retire", "retired", arguments)?,
    }
    Ok(Answer::Answered)
}

/// All that is told of one asset, by its name or identifier.
fn one(client: &Client, name: &str) -> Result<Described, Failure> {
    client.get(&["assets", name], &[]).map_err(|failure: Failure| match failure.class() {
        Class::NotFound => failure.hint("`bartizan asset list` names those there are"),
        _ => failure,
    })
}

/// Every asset, page by page.
pub(crate) fn all(client: &Client) -> Result<Vec<Row>, Failure> {
    let mut assets = Vec::new();
    let mut after: Option<u32> = None;
    for _ in 0..PAGES_LIMIT {
        let query: Vec<_> = after.iter().map(|after| ("after", after.to_string())).collect();
        let mut page: List = client.get(&["assets"], &query)?;
        assets.append(&mut page.assets);
        after = page.after;
        if after.is_none() {
            return Ok(assets);
        }
    }
    Err(Failure::new(Class::Limit, format_args!("there are more than {} assets", assets.len())))
}

fn rows(assets: &[Row]) -> Rows {
    let row = |asset: &Row| {
        vec![
            asset.name.clone(),
            asset.class.clone(),
            asset.service.clone(),
            asset.environment.clone(),
            asset.life.clone(),
            asset.last_seen.clone().unwrap_or_else(|| "never".to_owned()),
            asset.verdicts.met.to_string(),
            asset.verdicts.not_met.to_string(),
            asset
                .unknown
                .as_ref()
                .map_or_else(|| asset.verdicts.unknown.to_string(), |reason| format!("all: {reason}")),
        ]
    };
    let header =
        vec!["name", "class", "service", "environment", "life", "last seen", "met", "not met", "unknown"];
    Rows { header, rows: assets.iter().map(row).collect() }
}

fn shown(asset: &Described) -> Rows {
    let told = &asset.row;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut say = |field: &str, value: String| rows.push(vec![field.to_owned(), value]);
    say("id", told.id.clone());
    say("name", told.name.clone());
    say("class", told.class.clone());
    say("service", told.service.clone());
    say("environment", told.environment.clone());
    say("life", told.life.clone());
    say("enrolled", asset.enrolled_at.clone());
    let seen = told.last_seen.clone().unwrap_or_else(|| "never".to_owned());
    say("last seen", if told.absent_since.is_some() { format!("{seen}, absent since") } else { seen });
    let verdicts = told.verdicts;
    if let Some(reason) = &told.unknown {
        say("unknown", format!("everything: {reason}"));
    }
    say("rules", format!("{} met, {} not met, {} unknown", verdicts.met, verdicts.not_met, verdicts.unknown));
    for (label, value) in &asset.labels {
        say("label", format!("{label}={value}"));
    }
    for section in &asset.sections {
        say("section", format!("{}, observed {}", section.name, section.observed_at));
    }
    for source in &told.unseen_sources {
        say("no detection sees", source.clone());
    }
    let kinds = [("finding", &asset.findings), ("unknown", &asset.unknown_findings)];
    for (field, finding) in kinds.into_iter().flat_map(|(field, all)| all.iter().map(move |one| (field, one)))
    {
        let object = if finding.object.is_empty() { String::new() } else { format!(" {}", finding.object) };
        say(
            field,
            format!(
                "{} {}{object}, {}, {} since {}: {}",
                finding.kind,
                finding.subject,
                finding.severity.as_deref().unwrap_or(severity::word(None)),
                finding.verdict,
                finding.since,
                finding.title
            ),
        );
    }
    Rows { header: vec!["field", "value"], rows }
}

/// Does something with an asset: the verb of the API, and what the asset becomes by it.
fn act(client: &Client, verb: &str, becomes: &str, arguments: Act) -> Result<(), Failure> {
    let Act { name, reason, dry_run, output } = arguments;
    let described = one(client, &name)?;
    let asset: Row = match dry_run {
        true => {
            client.rehearse(&["assets", &described.row.id, verb], &Because { reason })?;
            described.row
        }
        false => client.post(&["assets", &described.row.id, verb], &Because { reason })?,
    };
    let became = Became { id: asset.id, name: asset.name, life: asset.life, dry_run };
    Printer::new(output).print(&became, |asset| {
        let becomes = if asset.dry_run { format!("would become {becomes}") } else { String::new() };
        Rows {
            header: vec!["id", "name", "life", "dry run"],
            rows: vec![vec![asset.id.clone(), asset.name.clone(), asset.life.clone(), becomes]],
        }
    })
}
