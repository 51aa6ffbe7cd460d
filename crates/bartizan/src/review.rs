//! `bartizan review`: the yearly look at each baseline, by its team and by security.

use std::path::Path;

use bartizan_server::api::review::{Described, List, Row, Saying};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{Format, Printer, Rows, count};

/// Review baselines: list when each is due, look at one, say what is to become of it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List baselines with when their review is due.
    List(Output),
    /// Show what a review looks at: what changed since the last, what it finds, what was said.
    Show(Show),
    /// Say for one side that a baseline is kept, changed or retired.
    Say(Say),
}

#[derive(Debug, Args)]
struct Output {
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct Show {
    /// The baseline's name.
    baseline: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Say {
    /// The baseline's name.
    baseline: String,
    /// What is to become of it.
    word: Word,
    /// The digest of what you looked at, as `review show` prints it.
    #[arg(long, value_name = "DIGEST")]
    digest: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// For whom you speak, where your roles let you speak for both.
    #[arg(long, value_name = "SIDE")]
    side: Option<Side>,
    /// Say what would be asked for, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Word {
    Keep,
    Change,
    Retire,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Side {
    ServiceTeam,
    Security,
}

/// What became of a saying.
#[derive(Debug, Serialize)]
struct Done {
    baseline: String,
    word: String,
    state: &'static str,
}

pub(crate) fn run(arguments: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    use bartizan_core::configuration::review as core;
    let client = Client::open(client)?;
    match arguments.verb {
        Verb::List(output) => {
            let list: List = client.get(&["reviews"], &[])?;
            Printer::new(output.output).print(&list.reviews, |reviews| rows(reviews))?;
        }
        Verb::Show(show) => {
            let review: Described = client.get(&["reviews", &show.baseline], &[])?;
            Printer::new(show.output.output).print(&review, described)?;
        }
        Verb::Say(say) => {
            let word = match say.word {
                Word::Keep => core::Word::Keep,
                Word::Change => core::Word::Change,
                Word::Retire => core::Word::Retire,
            };
            let side = say.side.map(|side| match side {
                Side::ServiceTeam => core::Side::ServiceTeam,
                Side::Security => core::Side::Security,
            });
            let saying = Saying { digest: say.digest, side, word, reason: say.reason };
            let state = client.act(&["reviews", &say.baseline], &saying, say.dry_run)?;
            let done = Done { baseline: say.baseline, word: word.to_string(), state };
            Printer::new(say.output.output).print(&done, |done| Rows {
                header: vec!["baseline", "word", "state"],
                rows: vec![vec![done.baseline.clone(), done.word.clone(), done.state.to_owned()]],
            })?;
        }
    }
    Ok(Answer::Answered)
}

fn rows(reviews: &[Row]) -> Rows {
    let row = |review: &Row| {
        vec![
            review.baseline.clone(),
            review.owner.clone().unwrap_or_default(),
            review.standing.clone(),
            review.due_at.clone(),
            review
                .last
                .as_ref()
                .map_or_else(|| "never".to_owned(), |last| format!("{} {}", last.word, last.at)),
            review.digest.clone(),
        ]
    };
    Rows {
        header: vec!["baseline", "owner", "standing", "due", "last", "digest"],
        rows: reviews.iter().map(row).collect(),
    }
}

fn described(review: &Described) -> Rows {
    let row = &review.row;
    let mut rows = vec![
        ("digest", row.digest.clone()),
        ("owner", row.owner.clone().unwrap_or_else(|| "nobody".to_owned())),
        ("standing", format!("{}, due {}", row.standing, row.due_at)),
        (
            "finds now",
            format!(
                "{} not met, {} unknown, {} met",
                review.verdicts.not_met, review.verdicts.unknown, review.verdicts.met
            ),
        ),
        ("alerts since", review.caught.to_string()),
        ("accepted", review.accepted.len().to_string()),
    ];
    if review.without_verdict > 0 {
        let rules = count(review.without_verdict, "rule", "rules");
        rows.push(("without a verdict", format!("{rules}: not applicable, or not judged yet")));
    }
    if let Some(last) = &row.last {
        rows.push(("last review", format!("{} at {}", last.word, last.at)));
    }
    rows.extend(
        row.said
            .iter()
            .map(|said| ("said", format!("{}: {} by {}: {}", said.side, said.word, said.by, said.reason))),
    );
    rows.extend(review.differences.iter().map(|one| ("rule", format!("{} {}", one.rule, one.what))));
    Rows {
        header: vec!["what", "how"],
        rows: rows.into_iter().map(|(what, how)| vec![what.to_owned(), how]).collect(),
    }
}
