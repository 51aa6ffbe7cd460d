//! A server in this process with a person, a client file, and agents of small roots.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use bartizan_agent::Agent;
use bartizan_core::id::PersonId;
use bartizan_core::person::Person;
use bartizan_core::role::Role;
use bartizan_core::time::Timestamp;
use bartizan_core::trend::Step;
use bartizan_probe::root::Root;
use bartizan_server::ambient::Ambient;
use bartizan_server::api::posture::{Posture, posture};
use bartizan_server::{App, Settings, auth};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long anything may take before the test fails.
const LIMIT: Duration = Duration::from_secs(60);

/// One rule: a file is there.
pub(crate) const BASELINE: &str = "kind: Baseline
name: marked
owner: platform
spec:
  title: Marked hosts
  rules:
    - id: mark
      title: The mark is there
      severity: high
      rationale: So that something can be wrong.
      check: {file: {path: /etc/mark, exists: true}}
      remediation: Make /etc/mark.
      examples:
        pass: [{files: {/etc/mark: x}}]
        fail: [{files: {/etc/other: x}}]
";

/// A house: everything goes when it is dropped.
pub(crate) struct House {
    runtime: Runtime,
    app: std::cell::RefCell<Option<App>>,
    agents: Vec<Agent>,
    folder: TempDir,
}

#[expect(clippy::disallowed_methods, reason = "a test composes the program, and reads the clock for it")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

/// The program, without what this machine's environment says.
pub(crate) fn bartizan(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bartizan"));
    command.args(words).env_remove("BARTIZAN_CLIENT");
    command
}

pub(crate) fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap();
    format!("exit {code}\n--- out\n{}--- err\n{}", text(&output.stdout), text(&output.stderr))
}

/// What differs from run to run.
pub(crate) fn filters() -> Vec<(&'static str, &'static str)> {
    vec![
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[id]"),
        (r"sha256:[0-9a-f]{64}", "[digest]"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
        (r"(/[\w.-]+)*/\.tmp\w+", "[folder]"),
        (r"(--key |key  +|link=)[\w-]{20,}", "$1[secret]"),
        (r"(\S+)\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+", "[ledger key]"),
        (r"\d+ leaves verify", "[leaves] leaves verify"),
        (r"[\d.]+ [KMGT]iB", "[size]"),
        (r" {2,}", "  "),
    ]
}

impl House {
    pub(crate) fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::in_folder(folder.path());
        let ambient = Ambient::new(now, StdRng::from_os_rng());
        let app = runtime.block_on(App::start(&settings, ambient)).unwrap();
        let token = runtime.block_on(sign_in(&app, "ada", &[Role::Operator, Role::Admin]));
        let house = Self { runtime, app: std::cell::RefCell::new(Some(app)), agents: Vec::new(), folder };
        house.write_client(&house.address(), &house.authority(), &token);
        house
    }

    fn with_app<T>(&self, ask: impl FnOnce(&App) -> T) -> T {
        ask(self.app.borrow().as_ref().unwrap())
    }

    fn address(&self) -> String {
        self.with_app(|app| format!("https://{}", app.people()))
    }

    fn authority(&self) -> String {
        self.with_app(|app| app.authority().to_owned())
    }

    pub(crate) fn agents(&self) -> String {
        self.with_app(|app| format!("https://{}", app.agents()))
    }

    pub(crate) fn fingerprint(&self) -> String {
        self.with_app(|app| app.fingerprint().to_string())
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> (PathBuf, String) {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        (path, self.path(name))
    }

    fn write_client(&self, server: &str, authority: &str, token: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let agents = self.agents();
        let client = serde_json::json!({
            "server": server, "agents": agents, "authority": authority, "token": token,
        });
        let (path, _) = self.file("client.json", &client.to_string());
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// From here on the client file trusts another house's authority.
    pub(crate) fn trust(&self, other: &House) {
        self.write_client(&self.address(), &other.authority(), "x");
    }

    /// Ends the session in the client file.
    pub(crate) fn sign_out(&self) {
        self.write_client(&self.address(), &self.authority(), "ended");
    }

    pub(crate) fn stop_server(&self) {
        let app = self.app.borrow_mut().take().unwrap();
        self.runtime.block_on(app.stop());
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        bartizan(words).args(["--client", &self.path("client.json")]).output().unwrap()
    }

    pub(crate) fn shown(&self, words: &[&str]) -> String {
        shown(&self.run(words))
    }

    pub(crate) fn json(&self, words: &[&str]) -> serde_json::Value {
        let output = self.run(&[words, &["-o", "json"]].concat());
        assert!(output.status.success(), "{words:?}: {}", shown(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// A client file of somebody else, by a link that `ada` made for them.
    pub(crate) fn signed_in_as(&self, name: &str) -> String {
        let made = self.json(&["person", "sign-in-link", name]);
        let next = made.pointer("/0/next").and_then(serde_json::Value::as_str).unwrap();
        let link = next.split_once("link=").unwrap().1.to_owned();
        let web = self.with_app(|app| app.web.clone());
        let token = self.runtime.block_on(auth::sign_in(&web, &link)).unwrap().unwrap();
        let own = std::fs::read_to_string(self.path("client.json")).unwrap();
        let mut client: serde_json::Value = serde_json::from_str(&own).unwrap();
        client.as_object_mut().unwrap().insert("token".to_owned(), token.into());
        self.file(&format!("{name}.json"), &client.to_string()).1
    }

    pub(crate) fn run_as(&self, client: &str, words: &[&str]) -> Output {
        bartizan(words).args(["--client", client]).output().unwrap()
    }

    /// Whether a sign-in link opens a session.
    pub(crate) fn opens(&self, link: &str) -> bool {
        let web = self.with_app(|app| app.web.clone());
        self.runtime.block_on(auth::sign_in(&web, link)).unwrap().is_some()
    }

    /// Starts an agent of a small root, by a key that the program made, and waits for its verdicts.
    pub(crate) fn enrol(&mut self, name: &str, mark: &str) {
        self.enrol_host(name, mark);
        let wanted = self.agents.len() as u64;
        self.until(|posture| posture.met + posture.not_met == wanted);
    }

    /// The same without a mark, for a baseline of so many rules.
    pub(crate) fn enrol_with(&mut self, name: &str, rules: u64) {
        self.enrol_host(name, "");
        self.until(|posture| posture.met + posture.not_met == rules);
    }

    pub(crate) fn until_accepted(&self, findings: u64) {
        self.until(|posture| posture.accepted == findings);
    }

    /// The client file of somebody else on the team of the shop.
    pub(crate) fn client_of(&self, name: &str, role: Role) -> String {
        let token = self.with_app(|app| self.runtime.block_on(sign_in(app, name, &[role])));
        let client = serde_json::json!({
            "server": self.address(), "authority": self.authority(), "token": token,
        });
        self.file(&format!("{name}.json"), &client.to_string()).1
    }

    fn enrol_host(&mut self, name: &str, mark: &str) {
        let root = self.folder.path().join(name);
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(root.join("etc/passwd"), format!("{name}:x:0:0::/root:/bin/sh\n")).unwrap();
        if !mark.is_empty() {
            std::fs::write(root.join("etc/mark"), mark).unwrap();
        }
        let made = self.json(&["enrolment", "create", "--service", "shop", "--environment", "dev"]);
        let settings = bartizan_agent::Settings {
            folder: self.folder.path().join(format!("{name}.state")),
            server: self.agents(),
            authority_fingerprint: self.fingerprint(),
            enrolment_key: made.get("key").and_then(serde_json::Value::as_str).map(str::to_owned),
            name: name.to_owned(),
            root: Root::at(&root).unwrap(),
            logs: Vec::new(),
            local: PathBuf::from("/nonexistent"),
        };
        let _inside = self.runtime.enter();
        let random = Box::new(StdRng::from_os_rng());
        self.agents.push(Agent::start(settings, Arc::new(now), random).unwrap());
    }

    pub(crate) fn until_alerted(&self) {
        self.until(|posture| posture.open_alerts > 0);
    }

    pub(crate) fn until_logged(&self, leaves: u64) {
        self.until(|posture| posture.ledger >= leaves);
    }

    /// Waits until so many rules that are not met were written down.
    pub(crate) fn until_written(&self, not_met: u64) {
        let web = self.with_app(|app| app.web.clone());
        let mut shown = web.nudges.shown();
        self.runtime.block_on(async {
            let written = async {
                let newest = async || {
                    let samples = web.store.trend(Step::Minute, now()).await.unwrap();
                    samples.last().map(|sample| sample.figures.not_met)
                };
                while newest().await != Some(not_met) {
                    shown.changed().await.unwrap();
                }
            };
            assert!(tokio::time::timeout(LIMIT, written).await.is_ok(), "no figures were written down");
        });
    }

    /// Waits until the fleet stands like this.
    fn until(&self, wanted: impl Fn(&Posture) -> bool) {
        let web = self.with_app(|app| app.web.clone());
        let mut shown = web.nudges.shown();
        self.runtime.block_on(async {
            let stands = async {
                while !wanted(&posture(&web).await.unwrap()) {
                    shown.changed().await.unwrap();
                }
            };
            if tokio::time::timeout(LIMIT, stands).await.is_err() {
                panic!("the fleet never stood as it should: {:?}", posture(&web).await);
            }
        });
    }
}

impl Drop for House {
    fn drop(&mut self) {
        for agent in self.agents.drain(..) {
            self.runtime.block_on(agent.stop());
        }
        if let Some(app) = self.app.borrow_mut().take() {
            self.runtime.block_on(app.stop());
        }
    }
}

async fn sign_in(app: &App, name: &str, roles: &[Role]) -> String {
    let ambient = &app.web.ambient;
    let person = Person {
        id: PersonId::mint(ambient.now(), ambient.random()),
        name: name.to_owned(),
        roles: roles.iter().copied().collect(),
        services: ["shop".to_owned()].into(),
        grants: Vec::new(),
        disabled: false,
    };
    app.web.store.put_person(&person, ambient.now(), ambient.random()).await.unwrap();
    let link = auth::link(&app.web, person.id).await.unwrap();
    let link = link.split_once('=').unwrap().1.to_owned();
    auth::sign_in(&app.web, &link).await.unwrap().unwrap()
}
