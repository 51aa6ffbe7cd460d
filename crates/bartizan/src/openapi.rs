//! `bartizan openapi`: the description of the server's API.

use clap::Args;

use crate::exit::{Answer, Failure};

/// Print the description of the server's API (OpenAPI 3.1), as `/api/v1/openapi.json` serves it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: Arguments) -> Result<Answer, Failure> {
    let text = crate::printer::json(&bartizan_server::api::openapi::document())?;
    crate::printer::write_out(&text)?;
    Ok(Answer::Answered)
}
