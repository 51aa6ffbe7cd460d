//! `bartizan document`: which policy documents are applied where.

use std::path::Path;

use bartizan_server::api::document::{List, Row};
use clap::{Args, Subcommand};

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows};

pub(crate) mod files;

/// List policy documents.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the documents that are applied.
    List(Listing),
}

#[derive(Debug, Args)]
struct Listing {
    /// List documents of this environment alone.
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    let Verb::List(arguments) = arguments.verb;
    let client = Client::open(client)?;
    let asked = |row: &Row| arguments.environment.as_ref().is_none_or(|name| *name == row.environment);
    let documents: Vec<Row> = all(&client)?.into_iter().filter(asked).collect();
    Printer::new(arguments.output).print(&documents, |documents| rows(documents))?;
    Ok(Answer::Answered)
}

/// The documents of all environments.
pub(crate) fn all(client: &Client) -> Result<Vec<Row>, Failure> {
    Ok(client.get::<List>(&["documents"], &[])?.documents)
}

fn rows(documents: &[Row]) -> Rows {
    let row = |row: &Row| {
        vec![
            row.environment.clone(),
            row.kind.clone(),
            row.name.clone(),
            row.owner.clone().unwrap_or_default(),
            row.digest.clone(),
            row.applied_at.clone(),
            row.change.clone().unwrap_or_default(),
        ]
    };
    let header = vec!["environment", "kind", "name", "owner", "digest", "applied", "change"];
    Rows { header, rows: documents.iter().map(row).collect() }
}
