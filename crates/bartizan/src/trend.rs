//! `bartizan trend`: how the fleet stood over time.

use std::path::Path;

use bartizan_server::api::trend::{Sample, Trend};
use clap::{Args, ValueEnum};

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows};

/// Show how the fleet stood over time, and how its backlog burns down.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The time that each line stands for: minute for the last two hours, hour for the last two days, day for
    /// the last two years. Without it, the shortest that shows everything.
    #[arg(long, value_enum)]
    step: Option<Step>,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    Minute,
    Hour,
    Day,
}

impl Step {
    const fn as_str(self) -> &'static str {
        match self {
            Step::Minute => "minute",
            Step::Hour => "hour",
            Step::Day => "day",
        }
    }
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    let client = Client::open(client)?;
    let query: Vec<_> = arguments.step.map(|step| ("step", step.as_str().to_owned())).into_iter().collect();
    let trend: Trend = client.get(&["trend"], &query)?;
    tell(&trend);
    Printer::new(arguments.output).print(&trend, |trend| Rows {
        header: vec![
            "from",
            "assets",
            "met",
            "not met",
            "unknown",
            "vulnerabilities",
            "high or critical",
            "unrated",
            "exploited",
            "alerts",
            "backlog",
            "ended",
        ],
        rows: trend.samples.iter().map(row).collect(),
    })?;
    Ok(Answer::Answered)
}

fn row(sample: &Sample) -> Vec<String> {
    // How grave they are is as unknown as how many there are.
    let known = |figure: u64| sample.vulnerabilities.map(|_| figure);
    let figures = [
        Some(sample.assets),
        Some(sample.met),
        Some(sample.not_met),
        Some(sample.unknown),
        sample.vulnerabilities,
        known(sample.severe),
        known(sample.unrated),
        sample.exploited,
        Some(sample.open_alerts),
        Some(sample.backlog_open),
        Some(sample.backlog_ended),
    ];
    let word =
        |figure: &Option<u64>| figure.map_or_else(|| "unknown".to_owned(), |figure| figure.to_string());
    std::iter::once(sample.start.clone()).chain(figures.iter().map(word)).collect()
}

/// What the lines don't say, for people.
#[expect(clippy::print_stderr, reason = "talk goes to standard error")]
fn tell(trend: &Trend) {
    if trend.samples.is_empty() {
        eprintln!("nothing was written down yet: the first line comes with the first report");
        return;
    }
    let backlog = &trend.backlog;
    if let Some(due) = &backlog.due {
        let (open, ended, limit) = (backlog.open, backlog.ended, &backlog.limit);
        eprintln!(
            "backlog: {open} open, {ended} ended; all of it is due by {due}, {limit} after the newest asset came"
        );
    }
}
