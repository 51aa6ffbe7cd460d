//! The printer: one answer, printed as a table, JSON, YAML or CSV.

use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::exit::Failure;

/// The formats of `-o`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Json,
    Yaml,
    Csv,
}

/// Rows under a header: what the table and CSV formats print.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) header: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// Prints answers on standard output.
#[derive(Debug)]
pub(crate) struct Printer {
    format: Format,
}

impl Printer {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    /// Prints `data` as JSON or YAML, or `rows` of it as a table or CSV.
    pub(crate) fn print<T: Serialize>(&self, data: &T, rows: impl FnOnce(&T) -> Rows) -> Result<(), Failure> {
        let text = match self.format {
            Format::Json => json(data)?,
            Format::Yaml => serde_saphyr::to_string(data).map_err(Failure::unavailable)?,
            Format::Csv => csv(&rows(data))?,
            Format::Table => table(&rows(data)),
        };
        write_out(&text)
    }
}

/// Writes text to standard output; a reader that went away (`| head`) is no failure.
pub(crate) fn write_out(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::unavailable(format_args!("can't write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Says something beside the answer, on standard error.
#[expect(clippy::print_stderr, reason = "talk goes to standard error")]
pub(crate) fn talk(line: &str) {
    eprintln!("{}", printable(line));
}

/// Says what may be a mistake.
pub(crate) fn warn(warnings: &[String]) {
    for warning in warnings {
        talk(&format!("warning: {warning}"));
    }
}

pub(crate) fn json<T: Serialize>(data: &T) -> Result<String, Failure> {
    let mut text = serde_json::to_string_pretty(data).map_err(Failure::unavailable)?;
    text.push('\n');
    Ok(text)
}

fn csv(rows: &Rows) -> Result<String, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&rows.header).map_err(Failure::unavailable)?;
    for row in &rows.rows {
        writer.write_record(row).map_err(Failure::unavailable)?;
    }
    let bytes = writer.into_inner().map_err(Failure::unavailable)?;
    String::from_utf8(bytes).map_err(Failure::unavailable)
}

/// A number with its noun: `1 alert`, `2 alerts`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Cells come from hosts and feeds: control characters would drive the reader's terminal.
pub(crate) fn printable(cell: &str) -> String {
    cell.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

pub(crate) fn table(rows: &Rows) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(rows.header.iter().map(|name| name.to_uppercase()));
    for row in &rows.rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
