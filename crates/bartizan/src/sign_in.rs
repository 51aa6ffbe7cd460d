//! `bartizan sign-in`: a fresh way into the console.

use std::path::Path;

use bartizan_server::api::session::SignInLink;
use clap::Args;

use crate::client::Client;
use crate::exit::{Answer, Failure};
use crate::printer::{printable, write_out};

/// Print a URL that signs you in to the console, once.
#[derive(Debug, Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: Arguments, client: Option<&Path>) -> Result<Answer, Failure> {
    let client = Client::open(client)?;
    let link: SignInLink = client.post(&["sign-in-links"], &())?;
    write_out(&format!("{}{}\n", client.public(), printable(&link.path)))?;
    Ok(Answer::Answered)
}
