//! `bartizan environment`: the rungs that changes climb, and what each asks for.

use std::path::Path;

use bartizan_server::api::environment::{List, Row};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::json;

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows};

/// List environments, and declare what one asks for.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List environments, the lowest first, and what each asks of a change.
    List(Output),
    /// Declare an environment self-approved, as a team of one may, or approved again. Each change
    /// that is applied there says so.
    Declare(Declare),
}

#[derive(Debug, Args)]
struct Output {
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What an environment may be declared to ask for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Gate {
    /// Nothing, and every change there says so.
    SelfApproved,
    /// A test below, the service team's review, security's approval.
    Approved,
}

#[derive(Debug, Args)]
struct Declare {
    /// The environment.
    environment: String,
    /// What it asks for from now on.
    #[arg(value_enum)]
    gate: Gate,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

/// What became of a declaration.
#[derive(Debug, Serialize)]
struct Done {
    environment: String,
    gate: &'static str,
    /// `accepted`, `pending` or `would be accepted`.
    state: &'static str,
}

impl Gate {
    const fn as_str(self) -> &'static str {
        match self {
            Gate::SelfApproved => "self-approved",
            Gate::Approved => "approved",
        }
    }
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    let client = Client::open(client)?;
    match arguments.verb {
        Verb::List(arguments) => {
            let list: List = client.get(&["environments"], &[])?;
            Printer::new(arguments.output).print(&list.environments, |rows| table(rows))?;
        }
        Verb::Declare(arguments) => declare(&client, arguments)?,
    }
    Ok(Answer::Answered)
}

fn declare(client: &Client, arguments: Declare) -> Result<(), Failure> {
    let gate = arguments.gate.as_str();
    let list: List = client.get(&["environments"], &[])?;
    if !list.environments.iter().any(|row| row.name == arguments.environment) {
        let known: Vec<&str> = list.environments.iter().map(|row| row.name.as_str()).collect();
        let missing = format!("there is no environment `{}`", arguments.environment);
        return Err(Failure::invalid(missing).hint(format_args!("there are {}", known.join(", "))));
    }
    let body = json!({"gate": gate, "reason": arguments.reason});
    let path = ["environments", arguments.environment.as_str(), "declare"];
    let state = client.act(&path, &body, arguments.dry_run)?;
    let done = Done { environment: arguments.environment, gate, state };
    Printer::new(arguments.output.output).print(&done, |done| Rows {
        header: vec!["environment", "gate", "state"],
        rows: vec![vec![done.environment.clone(), done.gate.to_owned(), done.state.to_owned()]],
    })
}

fn table(environments: &[Row]) -> Rows {
    let rows = environments.iter().map(|row| vec![row.name.clone(), row.gate.clone()]);
    Rows { header: vec!["environment", "asks for"], rows: rows.collect() }
}
