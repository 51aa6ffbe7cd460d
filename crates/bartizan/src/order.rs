//! `bartizan order`: what agents were asked to do, and how it ended.

use std::path::Path;

use bartizan_server::api::order::{List, Row};
use clap::{Args, Subcommand};

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows};

/// Show what agents were asked to do by enforcement.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List orders with their steps, the newest first.
    List(Listed),
}

#[derive(Debug, Args)]
struct Listed {
    /// Those of one asset: its name or identifier.
    #[arg(long, value_name = "NAME")]
    asset: Option<String>,
    /// How many orders.
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    let client = Client::open(client)?;
    let Verb::List(listed) = arguments.verb;
    let mut query = vec![("limit", listed.limit.to_string())];
    query.extend(listed.asset.map(|asset| ("asset", asset)));
    let list: List = client.get(&["orders"], &query)?;
    Printer::new(listed.output).print(&list.orders, |orders| rows(orders))?;
    Ok(Answer::Answered)
}

/// A row for each step: what an order does to a host is what it says there.
fn rows(orders: &[Row]) -> Rows {
    let row = |order: &Row| {
        let end = order.end.clone().unwrap_or_else(|| "open".to_owned());
        let step = |step: &bartizan_server::api::order::StepRow| {
            let told = step.told.clone().or_else(|| order.problem.clone()).unwrap_or_default();
            let outcome = step.outcome.clone().unwrap_or_else(|| end.clone());
            vec![
                order.asset.clone(),
                order.generation.to_string(),
                order.given_at.clone(),
                step.rule.clone(),
                outcome,
                told,
            ]
        };
        order.steps.iter().map(step).collect::<Vec<_>>()
    };
    Rows {
        header: vec!["asset", "generation", "given", "rule", "outcome", "told"],
        rows: orders.iter().flat_map(row).collect(),
    }
}
