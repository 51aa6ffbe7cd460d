//! `cargo xtask tidy`: holds the walls of the house. It runs inside the test suite too.

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};
use serde::de::DeserializeOwned;

mod baselines;
mod corridors;
mod decisions;
mod detections;
mod fuzz;
mod health;
mod incidents;
mod links;
mod text;
pub mod workspace;

/// Something that is not as the house has it: where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    pub place: String,
    pub message: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl Complaint {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

/// A file of the checkout that git knows or does not ignore.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path from the root of the checkout, with `/`.
    pub path: String,
    pub text: String,
}

/// Everything there is to complain about, in order.
pub fn complaints(root: &Path) -> Result<Vec<Complaint>> {
    let files = workspace::files(root)?;
    let mut complaints = corridors::check(&workspace::rooms()?);
    complaints.extend(baselines::check(&files));
    complaints.extend(detections::check(&files));
    complaints.extend(health::check(&files));
    complaints.extend(incidents::check(&files));
    complaints.extend(text::check(&files));
    complaints.extend(links::check(root, &files));
    complaints.extend(decisions::check(&files));
    complaints.extend(fuzz::check(&files));
    complaints.sort();
    Ok(complaints)
}

/// What the file of examples is called beside `NAME.yaml`.
const EXAMPLES: &str = ".example.json";

/// The examples that stand beside a file of content.
fn examples<T: DeserializeOwned>(file: &File, files: &[File]) -> std::result::Result<T, Complaint> {
    let beside = format!("{}{EXAMPLES}", file.path.trim_end_matches(".yaml"));
    let Some(found) = files.iter().find(|file| file.path == beside) else {
        return Err(Complaint::new(&file.path, format!("has no examples: put them into {beside}")));
    };
    serde_json::from_str(&found.text)
        .map_err(|error| Complaint::new(&beside, format!("its examples can't be read: {error}")))
}

/// Prints each complaint; an error where there is one.
pub fn run() -> Result<()> {
    let complaints = complaints(&crate::root())?;
    for complaint in &complaints {
        println!("{complaint}");
    }
    match complaints.len() {
        0 => println!("tidy"),
        1 => bail!("1 complaint"),
        n => bail!("{n} complaints"),
    }
    Ok(())
}
