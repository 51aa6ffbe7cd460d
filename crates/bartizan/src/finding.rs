//! `bartizan finding`: what is wrong over the fleet.

use std::path::Path;

use bartizan_core::severity::{self, Severity};
use bartizan_server::api::finding::{Group, List};
use clap::{Args, Subcommand, ValueEnum};

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows};

/// How many groups are asked for at a time.
const PAGE: &str = "1000";

/// List what is wrong over the fleet.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List each thing that is wrong, with how many assets have it.
    List(Listing),
}

#[derive(Debug, Args)]
struct Listing {
    /// List findings of this kind alone.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// List findings of at least this severity, and what nobody rates: none, low, medium, high or critical.
    #[arg(long, value_name = "LEVEL")]
    severity: Option<Severity>,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
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
    let Verb::List(arguments) = arguments.verb;
    let client = Client::open(client)?;
    let kind = arguments.kind.map_or("", Kind::as_str);
    let mut groups = Vec::new();
    let mut from = Some(0_usize);
    while let Some(start) = from {
        let asked = [("kind", kind.to_owned()), ("from", start.to_string()), ("limit", PAGE.to_owned())];
        let list: List = client.get(&["findings"], &asked)?;
        groups.extend(list.findings);
        from = list.next;
    }
    let asked = |group: &Group| {
        // What nobody rates is below no level for sure.
        let severity = group.severity.as_ref().and_then(|word| word.parse().ok());
        arguments.severity.is_none_or(|least| severity.unwrap_or(Severity::Critical) >= least)
    };
    let findings: Vec<Group> = groups.into_iter().filter(asked).collect();
    Printer::new(arguments.output).print(&findings, |findings| rows(findings))?;
    Ok(Answer::Answered)
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
