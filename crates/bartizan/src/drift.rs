//! `bartizan drift`: what was modified on an asset and no change explains.

use std::path::Path;

use bartizan_server::api::drift::{Explanation, List};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows};

/// See what was modified on an asset and no change explains, and account for it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List what drifts on an asset.
    List(One),
    /// Account for one modification: from now on the object shall stand as it does.
    Explain(Explain),
}

#[derive(Debug, Args)]
struct One {
    /// The asset's name or identifier.
    asset: String,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Explain {
    /// The asset's name or identifier.
    asset: String,
    /// What drifts, as `drift list` prints it: file:/etc/hosts.
    object: String,
    /// Why it was modified.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The digest of what you looked at, as `drift list` prints it.
    #[arg(long, value_name = "DIGEST")]
    digest: String,
    /// Say what would be asked for, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What became of an explanation.
#[derive(Debug, Serialize)]
struct Done {
    asset: String,
    object: String,
    state: &'static str,
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    let client = Client::open(client)?;
    match arguments.verb {
        Verb::List(one) => {
            let list: List = client.get(&["assets", &one.asset, "drift"], &[])?;
            if list.objects.is_none() {
                talk(&format!(
                    "nothing is known of drift on {}: no Drift document applies to it, or its agent has not told yet",
                    list.asset
                ));
            }
            list.unseen.iter().for_each(|unseen| talk(&format!("not seen: {unseen}")));
            if list.more > 0 {
                talk(&format!("{} more drift that are not told by name", list.more));
            }
            Printer::new(one.output).print(&list, rows)?;
        }
        Verb::Explain(explain) => {
            let wanted =
                Explanation { object: explain.object, digest: explain.digest, reason: explain.reason };
            let state = client.act(&["assets", &explain.asset, "drift"], &wanted, explain.dry_run)?;
            let done = Done { asset: explain.asset, object: wanted.object, state };
            Printer::new(explain.output).print(&done, |done| Rows {
                header: vec!["asset", "object", "state"],
                rows: vec![vec![done.asset.clone(), done.object.clone(), done.state.to_owned()]],
            })?;
        }
    }
    Ok(Answer::Answered)
}

#[expect(clippy::print_stderr, reason = "talk goes to standard error")]
fn talk(line: &str) {
    eprintln!("{}", crate::printer::printable(line));
}

fn rows(list: &List) -> Rows {
    let row = |drift: &bartizan_server::api::drift::Row| {
        let lines = if drift.lines.is_empty() { "not told".to_owned() } else { drift.lines.join("; ") };
        vec![drift.object.clone(), drift.way.clone(), lines, drift.digest.clone()]
    };
    Rows { header: vec!["object", "what", "lines", "digest"], rows: list.drifts.iter().map(row).collect() }
}
