//! `bartizan silence`: asking not to be told for a while.

use std::path::Path;

use bartizan_server::api::silence::{Created, List, Row};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows, count, printable};

/// List silences, make one, end one.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List silences that have not ended.
    List(Output),
    /// Ask that nobody be told of matching alerts for a while. They open and are seen all the same.
    Create(Create),
    /// End a silence now: what still fires is told.
    End(End),
}

#[derive(Debug, Args)]
struct Output {
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Create {
    /// A matcher over the alert's labels, as service=shop; all must hold, and one at least has to name its
    /// values, as service=~shop|mail does and service=~.* does not.
    #[arg(required = true, value_name = "MATCHER")]
    matchers: Vec<String>,
    /// Why nobody needs to be told.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// How long: 2h, 30m, 7d.
    #[arg(long, value_name = "DURATION", default_value = "2h")]
    lasts: String,
    /// Say whether it would be made, and make nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct End {
    /// The silence's identifier, as `silence list` prints it.
    id: String,
    /// Say which would end, and end nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    let client = Client::open(client)?;
    match arguments.verb {
        Verb::List(arguments) => {
            let list: List = client.get(&["silences"], &[])?;
            Printer::new(arguments.output).print(&list.silences, |silences| rows(silences))?;
        }
        Verb::Create(arguments) => {
            let body = json!({
                "matchers": arguments.matchers, "reason": arguments.reason, "lasts": arguments.lasts,
            });
            if arguments.dry_run {
                let state = client.rehearse(&["silences"], &body)?;
                return done(arguments.output.output, &arguments.matchers.join(" "), state);
            }
            let created: Created = client.post(&["silences"], &body)?;
            Printer::new(arguments.output.output).print(&created, |created| Rows {
                header: vec!["id", "ends", "holds"],
                rows: vec![vec![
                    created.id.clone(),
                    created.ends_at.clone(),
                    count(created.holds, "open alert", "open alerts"),
                ]],
            })?;
            if let Some(hint) = &created.hint {
                crate::up::summary::say(&printable(hint));
            }
        }
        Verb::End(arguments) => {
            if arguments.dry_run {
                let state = client.rehearse(&["silences", &arguments.id, "end"], &())?;
                return done(arguments.output.output, &arguments.id, state);
            }
            let left: List = client.post(&["silences", &arguments.id, "end"], &())?;
            Printer::new(arguments.output.output).print(&left.silences, |silences| rows(silences))?;
        }
    }
    Ok(Answer::Answered)
}

/// What a dry run says.
fn done(output: Format, silence: &str, state: &'static str) -> Result<Answer, Failure> {
    let told = json!({"silence": silence, "state": state});
    Printer::new(output).print(&told, |_| Rows {
        header: vec!["silence", "state"],
        rows: vec![vec![silence.to_owned(), state.to_owned()]],
    })?;
    Ok(Answer::Answered)
}

fn rows(silences: &[Row]) -> Rows {
    let row = |silence: &Row| {
        vec![
            silence.id.clone(),
            silence.matchers.join(" "),
            silence.owner.clone(),
            silence.reason.clone(),
            silence.ends_at.clone(),
            silence.holds.to_string(),
        ]
    };
    Rows {
        header: vec!["id", "matchers", "owner", "reason", "ends", "holds"],
        rows: silences.iter().map(row).collect(),
    }
}
