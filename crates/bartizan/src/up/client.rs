//! The client file: how the other verbs on this machine reach the server that `up` started.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bartizan_core::id::PersonId;
use bartizan_server::{App, auth};

use crate::exit::Failure;

/// Its name in the folder of state.
const FILE: &str = "client.json";

/// The folder of state where nobody names one: the machine's for root, else the user's own.
#[expect(clippy::disallowed_methods, reason = "this is a composition root: here the environment is read")]
pub(super) fn state_folder() -> Result<PathBuf, Failure> {
    let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    let folder = folder.map(|folder| folder.join("bartizan"));
    folder.ok_or_else(|| {
        Failure::invalid("neither XDG_STATE_HOME nor HOME is set").hint("--state names a folder")
    })
}

/// Writes where the server is, what to trust, and a session, for this account alone.
pub(super) async fn write(app: &App, person: PersonId, state: &Path) -> Result<(), Failure> {
    let failed = |error: bartizan_store::Error| Failure::new(error.class(), error);
    let link = auth::link(&app.web, person).await.map_err(failed)?;
    let link = link.split_once('=').map(|(_, link)| link).unwrap_or_default();
    let token = auth::sign_in(&app.web, link).await.map_err(failed)?;
    let token = token.ok_or_else(|| Failure::unavailable("the store did not keep a sign-in link"))?;
    let client = serde_json::json!({
        "server": format!("https://127.0.0.1:{}", app.people().port()),
        "authority": app.authority(),
        "token": token,
    });
    let path = state.join(FILE);
    let aside = state.join("client.json.new");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)
        .and_then(|mut file| file.write_all(client.to_string().as_bytes()))
        .and_then(|()| fs::rename(&aside, &path));
    written.map_err(|error| Failure::unavailable(format_args!("can't write {}: {error}", path.display())))
}
