//! The client file: how the other verbs on this machine reach the server that `up` started.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use bartizan_core::id::PersonId;
use bartizan_core::time::Duration;
use bartizan_server::web::Web;
use bartizan_server::{App, auth};

use crate::client::File;
use crate::exit::Failure;

/// What fraction of a session's length passes before the next is opened.
const RENEWALS: i64 = 2;

/// Writes the client file, and keeps its session from expiring.
pub(super) struct Writer {
    web: Web,
    file: File,
    person: PersonId,
    path: PathBuf,
}

impl Writer {
    /// For this person; the file lies at this path. `name` is how other machines reach this one.
    pub(super) fn new(app: &App, person: PersonId, path: PathBuf, name: Option<&str>) -> Self {
        let file = File {
            server: format!("https://127.0.0.1:{}", app.people().port()),
            agents: Some(format!("https://{}:{}", name.unwrap_or("127.0.0.1"), app.agents().port())),
            console: name.map(|name| format!("https://{name}:{}", app.people().port())),
            authority: app.authority().to_owned(),
            token: String::new(),
        };
        Self { web: app.web.clone(), file, person, path }
    }

    /// Writes where the server is, what to trust, and a fresh session, for this account alone.
    pub(super) async fn write(&mut self) -> Result<(), Failure> {
        let failed = |error: bartizan_store::Error| Failure::new(error.class(), error);
        self.file.token = auth::local_session(&self.web, self.person).await.map_err(failed)?;
        let text = crate::printer::json(&self.file)?;
        let (path, aside) = (&self.path, self.path.with_extension("json.new"));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&aside, path));
        written.map_err(|error| Failure::unavailable(format_args!("can't write {}: {error}", path.display())))
    }

    /// Writes again, long before the session in the file expires, until it is dropped.
    pub(super) async fn keep(mut self) {
        let pause = auth::SESSION.as_millis() / RENEWALS;
        let pause = Duration::from_millis(u32::try_from(pause).unwrap_or(u32::MAX)).to_std();
        loop {
            tokio::time::sleep(pause).await;
            if let Err(failure) = self.write().await {
                super::summary::say(&format!("client file: {}", failure.into_words().0));
            }
        }
    }
}
