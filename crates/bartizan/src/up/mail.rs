//! How `up` sends mail: the relay, and who we are to it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bartizan_server::channels::email::Relay;
use bartizan_server::channels::email::relay::{Fault, Login};

use crate::exit::Failure;

/// The largest file with a password, in bytes.
const PASSWORD_BYTES_LIMIT: u64 = 4 << 10;

/// Bits of a file's mode by which others than its owner may read or write it.
const OTHERS: u32 = 0o077;

#[derive(Debug, Default, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Where mail is handed over: smtp://HOST:PORT (STARTTLS; in the clear on this machine alone) or smtps://HOST.
    #[arg(long, value_name = "URL", help_heading = "Mail")]
    smtp: Option<String>,
    /// The address that mail comes from; bartizan@HOST of --name where it is left out.
    #[arg(long, value_name = "ADDRESS", help_heading = "Mail", requires = "smtp")]
    smtp_from: Option<String>,
    /// Whom the relay knows us as.
    #[arg(long, value_name = "NAME", help_heading = "Mail", requires = "smtp_password_file")]
    smtp_user: Option<String>,
    /// A file that holds the relay's password, which its owner alone may read.
    #[arg(long, value_name = "FILE", help_heading = "Mail", requires = "smtp_user")]
    smtp_password_file: Option<PathBuf>,
    /// A certificate in PEM that the relay's was signed by, where it is no public one.
    #[arg(long, value_name = "FILE", help_heading = "Mail", requires = "smtp")]
    smtp_authority: Option<PathBuf>,
}

impl Arguments {
    /// The relay, where one is named.
    pub(super) fn relay(&self, host: Option<&str>) -> Result<Option<Relay>, Failure> {
        let Some(url) = &self.smtp else { return Ok(None) };
        let login = match (&self.smtp_user, &self.smtp_password_file) {
            (Some(user), Some(file)) => Some(Login::new(user.clone(), password(file)?)),
            _ => None,
        };
        let from = match &self.smtp_from {
            Some(from) => from.clone(),
            None => format!("bartizan@{}", host.unwrap_or("localhost")),
        };
        let mut relay = Relay::parse(url, &from, login).map_err(|fault| refused(url, &from, fault))?;
        if let Some(path) = &self.smtp_authority {
            let unread = |error| Failure::invalid(format_args!("can't read {}: {error}", path.display()));
            relay.authority = Some(fs::read_to_string(path).map_err(unread)?);
        }
        Ok(Some(relay))
    }
}

fn refused(url: &str, from: &str, fault: Fault) -> Failure {
    match fault {
        // What was written is not repeated: it holds a secret.
        Fault::Secret => Failure::invalid(format_args!("--smtp {fault}"))
            .hint("--smtp-user names the user, --smtp-password-file a file with the password"),
        Fault::From => Failure::invalid(format_args!("--smtp-from {from}: {fault}")),
        Fault::Url | Fault::Login => Failure::invalid(format_args!("--smtp {url} {fault}")),
    }
}

fn password(path: &Path) -> Result<String, Failure> {
    let unread = |error| Failure::invalid(format_args!("can't read {}: {error}", path.display()));
    let about = fs::metadata(path).map_err(unread)?;
    if about.permissions().mode() & OTHERS != 0 {
        let open = format!("others than its owner may read {}", path.display());
        return Err(Failure::invalid(open).hint(format_args!("chmod 600 {}", path.display())));
    }
    if about.len() > PASSWORD_BYTES_LIMIT {
        return Err(Failure::invalid(format_args!("{} is too large for a password", path.display())));
    }
    let text = fs::read_to_string(path).map_err(unread)?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(Failure::invalid(format_args!("{} holds no password", path.display()))),
        password => Ok(password.to_owned()),
    }
}
