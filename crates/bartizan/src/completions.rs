//! `bartizan completions`: what a shell completes after `bartizan`.

use clap::Args;
use clap_complete::Shell;

use crate::exit::{Answer, Failure};

/// Print the completions for a shell.
///
/// For bash: `bartizan completions bash > ~/.local/share/bash-completion/completions/bartizan`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(arguments: Arguments) -> Result<Answer, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::command(), "bartizan", &mut text);
    crate::printer::write_out(&String::from_utf8_lossy(&text))?;
    Ok(Answer::Answered)
}
