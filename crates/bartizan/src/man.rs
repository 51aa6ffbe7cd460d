//! `bartizan man`: the manual.

use std::path::PathBuf;

use clap::Args;

use crate::exit::{Answer, Failure};

/// Print the manual's page, or write every page into a folder.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The folder; `man -l DIR/bartizan.1` reads a page of it.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(arguments: Arguments) -> Result<Answer, Failure> {
    let command = crate::command();
    let Some(folder) = arguments.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).map_err(Failure::unavailable)?;
        crate::printer::write_out(&String::from_utf8_lossy(&page))?;
        return Ok(Answer::Answered);
    };
    let failed =
        |error: std::io::Error| Failure::invalid(format_args!("can't write {}: {error}", folder.display()));
    std::fs::create_dir_all(&folder).map_err(failed)?;
    clap_mangen::generate_to(command, &folder).map_err(failed)?;
    Ok(Answer::Answered)
}
