//! `bartizan apply` and `bartizan diff`: documents from files into an environment.

use std::path::{Path, PathBuf};

use bartizan_server::api::document::{Applied, Files};
use clap::Args;

use crate::client::Client;
use crate::document;
use crate::document::files::{Compared, State, compare, read};
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows};

#[derive(Debug, Args)]
struct Named {
    /// A file of documents, or a folder of them; may be given more than once.
    #[arg(short, long = "file", required = true, num_args = 1.., value_name = "PATH")]
    file: Vec<PathBuf>,
    /// The environment.
    #[arg(long, value_name = "NAME", default_value = bartizan_server::api::document::OPEN_ENVIRONMENT)]
    environment: String,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// Apply policy documents in an environment that asks for no decision.
///
/// Every document is checked first: either all are applied, or none.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    named: Named,
    /// Check the documents, say what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Tell how documents in files differ from those that are applied.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    named: Named,
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    if arguments.dry_run {
        return diff(Diff { named: arguments.named }, client);
    }
    let named = arguments.named;
    let files = read(&named.file)?;
    let client = Client::open(client)?;
    let body = Files { files: files.files };
    let applied: Applied = client.post(&["environments", &named.environment, "apply"], &body)?;
    Printer::new(named.output).print(&applied, done)?;
    Ok(Answer::Answered)
}

pub(crate) fn diff(arguments: Diff, client: Option<&Path>) -> Result<Answer, Failure> {
    let named = arguments.named;
    let files = read(&named.file)?;
    let client = Client::open(client)?;
    let compared = compare(&files, &document::all(&client)?, &named.environment);
    Printer::new(named.output).print(&compared, |compared| rows(compared))?;
    Ok(Answer::Answered)
}

fn done(applied: &Applied) -> Rows {
    let told = |state: State, documents: &[String]| -> Vec<Vec<String>> {
        documents.iter().map(|document| vec![state.as_str().to_owned(), document.clone()]).collect()
    };
    let mut rows = told(State::New, &applied.created);
    rows.extend(told(State::Changed, &applied.changed));
    rows.push(vec![State::Same.as_str().to_owned(), format!("{} documents", applied.unchanged)]);
    Rows { header: vec!["state", "document"], rows }
}

fn rows(compared: &[Compared]) -> Rows {
    let row = |document: &Compared| {
        vec![document.state.as_str().to_owned(), document.kind.clone(), document.name.clone()]
    };
    Rows { header: vec!["state", "kind", "name"], rows: compared.iter().map(row).collect() }
}
