//! How a run ends: the exit codes as types, and failures with their hints.

use std::fmt;
use std::process::ExitCode;

use bartizan_core::error::Class;

/// How a verb that could answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Exit 0.
    Answered,
    /// Exit 1: `--fail-on` found something at or above its level, or what was checked is not in order.
    Found,
    /// Exit 4: nothing found, but part of the asked scope is unknown.
    PartlyUnknown,
}

/// A verb that could not answer: what was being done, why it failed, what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    class: Class,
    message: String,
    hint: Option<String>,
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        ExitCode::from(match answer {
            Answer::Answered => 0,
            Answer::Found => 1,
            Answer::PartlyUnknown => 4,
        })
    }
}

impl Failure {
    /// A failure of this class; `message` says what was being done and what stood in the way.
    pub(crate) fn new(class: Class, message: impl fmt::Display) -> Self {
        Self { class, message: message.to_string(), hint: None }
    }

    /// The caller's mistake (exit 2).
    pub(crate) fn invalid(message: impl fmt::Display) -> Self {
        Self::new(Class::Invalid, message)
    }

    /// Our own store, disk or network stood in the way (exit 3).
    pub(crate) fn unavailable(message: impl fmt::Display) -> Self {
        Self::new(Class::Unavailable, message)
    }

    /// The same failure with a sentence that says what to do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// What kind of failure it is.
    #[cfg(feature = "server")]
    pub(crate) const fn class(&self) -> Class {
        self.class
    }

    /// What went wrong, and what to do about it.
    #[cfg(feature = "server")]
    pub(crate) fn into_words(self) -> (String, Option<String>) {
        (self.message, self.hint)
    }

    /// Says it on standard error and gives the exit code.
    #[expect(clippy::print_stderr, reason = "talk goes to standard error, and this is where it is said")]
    pub(crate) fn report(self) -> ExitCode {
        eprintln!("error: {}", self.message);
        if let Some(hint) = self.hint {
            eprintln!(" hint: {hint}");
        }
        ExitCode::from(self.class.exit_code())
    }
}
