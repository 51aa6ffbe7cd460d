//! Who is told of alerts, when, and what is told where nobody can be.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use bartizan_core::document;
use bartizan_core::id::AssetId;
use bartizan_core::monitoring::alert::Alert;
use bartizan_core::monitoring::signal::{Kind, Signal, State};
use bartizan_core::selector::Labels;
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_server::ambient::Ambient;
use bartizan_server::{App, Settings};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

mod delivery;
mod route;
mod silence;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "the server runs in earnest here: its clock is the machine's")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

/// A server without hosts.
struct House {
    app: App,
    _folder: tempfile::TempDir,
}

impl House {
    async fn start(clock: fn() -> Timestamp) -> House {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::in_folder(folder.path());
        let app = App::start(&settings, Ambient::new(clock, StdRng::seed_from_u64(5))).await.unwrap();
        House { app, _folder: folder }
    }

    /// Sends every alert of `dev` to one URL at once.
    async fn route_to(&self, url: &str) {
        let text = format!(
            "kind: Route\nname: main\nspec:\n  receivers: [{{name: pager, webhook: {{url: \"{url}\"}}}}]\n  \
             route: {{receiver: pager, group_wait: 0s}}\n"
        );
        let documents = document::parse("routes.yaml", &text).unwrap();
        bartizan_server::api::document::apply_documents(&self.app.web, "dev", documents).await.unwrap();
    }

    /// A disk of the service `shop` in `dev` fills.
    async fn disk_fills(&self, at: Timestamp) {
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let signal = Signal {
            kind: Kind::Health,
            subject: "disk-space".to_owned(),
            asset: AssetId::mint(at, [2; 10]),
            object: "/srv".to_owned(),
            state: State::Firing,
            severity: Severity::High,
            labels: Labels::from([label("service", "shop"), label("environment", "dev")]),
            summary: "a file system is nearly full".to_owned(),
            at,
            backlog: false,
        };
        self.app.web.store.append_signals(&[(0, signal)]).await.unwrap();
        self.app.web.nudges.alert();
    }

    /// The alert with this subject once it stands so; `after` is done after each change that is shown.
    async fn until(&self, subject: &str, good: impl Fn(&Alert) -> bool, after: impl Fn()) -> Alert {
        let mut shown = self.app.web.nudges.shown();
        let found = async {
            loop {
                let mut alerts = self.app.web.store.alerts(false, 100).await.unwrap().into_iter();
                if let Some(alert) = alerts.find(|alert| alert.group.subject == subject && good(alert)) {
                    return alert;
                }
                shown.changed().await.unwrap();
                after();
            }
        };
        tokio::time::timeout(LIMIT, found).await.unwrap()
    }
}
