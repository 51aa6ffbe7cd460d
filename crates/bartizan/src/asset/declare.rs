//! `bartizan asset declare`: machines that no agent runs on, written down by hand or out of a CSV file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bartizan_core::asset::Class;
use bartizan_core::selector::Labels;
use bartizan_server::api::asset::{Declaration, Declared, List, Row};
use clap::Args;

use super::rows;
use crate::client::Client;
use crate::exit::Failure;
use crate::printer::{Format, Printer};

/// The largest CSV file, in bytes.
const FILE_BYTES_LIMIT: u64 = 64 << 20;

/// The columns that are no labels.
const COLUMNS: [&str; 4] = ["name", "class", "service", "environment"];

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The asset's name.
    #[arg(required_unless_present = "csv", conflicts_with = "csv", requires_all = ["service", "environment"])]
    name: Option<String>,
    /// What it is: server, database, network_device or hardware.
    #[arg(long, default_value_t, conflicts_with = "csv")]
    class: Class,
    /// The service that it belongs to.
    #[arg(long, conflicts_with = "csv")]
    service: Option<String>,
    /// The environment that it is in.
    #[arg(long, conflicts_with = "csv")]
    environment: Option<String>,
    /// A label. May be given more than once.
    #[arg(long, value_name = "NAME=VALUE", value_parser = label, conflicts_with = "csv")]
    label: Vec<(String, String)>,
    /// A file with the columns name, class, service and environment; every other column is a label.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Say what would be declared, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) fn run(client: &Client, arguments: Arguments) -> Result<(), Failure> {
    let assets = match &arguments.csv {
        Some(path) => read(path)?,
        None => vec![Declared {
            name: arguments.name.unwrap_or_default(),
            class: arguments.class,
            service: arguments.service.unwrap_or_default(),
            environment: arguments.environment.unwrap_or_default(),
            labels: arguments.label.into_iter().collect(),
        }],
    };
    let declaration = Declaration { assets, dry_run: arguments.dry_run };
    let list: List = client.post(&["assets"], &declaration)?;
    Printer::new(arguments.output).print(&list.assets, |assets: &Vec<Row>| rows(assets))
}

fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or_else(|| format!("`{text}` is no label: write NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The assets of a file; what is wrong names its line.
fn read(path: &Path) -> Result<Vec<Declared>, Failure> {
    let wrong = |what: String| Failure::invalid(format_args!("{}: {what}", path.display()));
    let bytes = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if bytes > FILE_BYTES_LIMIT {
        return Err(wrong(format!("has {bytes} bytes, more than {FILE_BYTES_LIMIT}")));
    }
    let reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path);
    let mut reader = reader.map_err(|error| wrong(error.to_string()))?;
    let header = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
    if let Some(missing) = COLUMNS.iter().find(|column| !header.iter().any(|name| name == **column)) {
        return Err(wrong(format!("has no column `{missing}`"))
            .hint("its first line names the columns: name,class,service,environment, then labels"));
    }
    let mut assets = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let mut told: BTreeMap<&str, &str> = header.iter().zip(record.iter()).collect();
        let mut take = |column: &str| told.remove(column).unwrap_or_default().to_owned();
        let class = take("class");
        let class = if class.is_empty() { Ok(Class::default()) } else { class.parse() };
        let class = class.map_err(|error| wrong(format!("line {line}: {error}")))?;
        let (name, service, environment) = (take("name"), take("service"), take("environment"));
        let labels = told.into_iter().filter(|(_, value)| !value.is_empty());
        let labels: Labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assets.push(Declared { name, class, service, environment, labels });
    }
    Ok(assets)
}
