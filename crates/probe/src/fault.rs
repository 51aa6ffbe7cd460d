//! What was collected, and what stood in the way of the rest.

use std::fmt;

/// Items, and the faults met on the way: a broken record costs that record, never the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected<T> {
    pub items: T,
    pub faults: Vec<Fault>,
}

/// One thing that could not be read, or made no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it is called inside the root.
    pub file: String,
    pub place: Option<Place>,
    /// What is wrong there, in a few words.
    pub problem: String,
}

/// Where in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line, from 1.
    Line(u64),
    /// A byte, from 0.
    Offset(u64),
}

impl<T: Default> Default for Collected<T> {
    fn default() -> Self {
        Self { items: T::default(), faults: Vec::new() }
    }
}

impl Fault {
    pub fn new(file: impl Into<String>, place: Option<Place>, problem: impl fmt::Display) -> Self {
        Self { file: file.into(), place, problem: problem.to_string() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(Place::Line(line)) => write!(f, "{}:{line}: {}", self.file, self.problem),
            Some(Place::Offset(offset)) => write!(f, "{} at byte {offset}: {}", self.file, self.problem),
            None => write!(f, "{}: {}", self.file, self.problem),
        }
    }
}
