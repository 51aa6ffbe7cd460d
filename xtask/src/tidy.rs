//! `cargo xtask tidy`: holds the walls of the house. It runs inside the test suite too.

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

mod baselines;
mod corridors;
mod decisions;
mod detections;
mod fuzz;
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
    complaints.extend(text::check(&files));
    complaints.extend(links::check(root, &files));
    complaints.extend(decisions::check(&files));
    complaints.extend(fuzz::check(&files));
    complaints.sort();
    Ok(complaints)
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
