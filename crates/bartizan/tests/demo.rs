//! `bartizan up --demo`: a fleet with a story, four people to be, and nothing of the real one touched.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

#[path = "../../sim/tests/console/browser.rs"]
#[expect(dead_code, reason = "the tests of the console use more of it")]
mod browser;
#[path = "demo/tour.rs"]
mod tour;

/// How long the whole story may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// What the story tells of, in its order.
const TURNS: [&str; 9] =
    ["Drift", "Vulnerability", "Break-in", "Incident", "Dead rule", "Health", "Update", "Change", "Absence"];

fn program(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bartizan"));
    command.args(["up", "--demo", "--state"]).arg(state);
    command
}

/// A running demo, and what it says.
struct Demo {
    child: Child,
    state: PathBuf,
    /// The link that signs Ida in.
    link: String,
    said: Receiver<String>,
    http: reqwest::blocking::Client,
    server: String,
}

impl Demo {
    fn start(state: &Path) -> Demo {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut child = program(state).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut link = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut link).unwrap();
        assert!(link.starts_with("https://127.0.0.1:") && link.contains("/sign-in?link="), "{link}");
        let (sender, said) = channel();
        let talk = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || talk.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let file: Value = serde_json::from_slice(&fs::read(state.join("ida.json")).unwrap()).unwrap();
        let authority = file["authority"].as_str().unwrap().as_bytes();
        let http = reqwest::blocking::Client::builder()
            .add_root_certificate(reqwest::Certificate::from_pem(authority).unwrap())
            .build()
            .unwrap();
        let server = file["server"].as_str().unwrap().to_owned();
        Demo { child, state: state.to_owned(), link: link.trim().to_owned(), said, http, server }
    }

    /// What was said up to a line that has these words.
    fn until(&self, words: &str) -> Vec<String> {
        let (start, mut lines) = (Instant::now(), Vec::new());
        while !lines.last().is_some_and(|line: &String| line.contains(words)) {
            let left = LIMIT.checked_sub(start.elapsed()).unwrap_or_default();
            let line = self.said.recv_timeout(left);
            lines.push(line.unwrap_or_else(|_| panic!("`{words}` was not said: {lines:#?}")));
        }
        lines
    }

    fn token(&self, who: &str) -> String {
        let path = self.state.join(format!("{who}.json"));
        let file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        file["token"].as_str().unwrap().to_owned()
    }

    fn get(&self, who: &str, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.server)).bearer_auth(self.token(who)).send();
        answer.unwrap().error_for_status().unwrap().json().unwrap()
    }

    fn post(&self, who: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.server)).bearer_auth(self.token(who));
        let answer = request.json(body).send().unwrap();
        (answer.status().as_u16(), answer.json().unwrap())
    }

    /// The change that the story ends with: its identifier and its digest.
    fn change(&self) -> (String, String) {
        let changes = self.get("ida", "/api/v1/changes");
        let row = changes["changes"].as_array().unwrap().iter().find(|row| row["service"] == "shop").unwrap();
        (row["id"].as_str().unwrap().to_owned(), row["digest"].as_str().unwrap().to_owned())
    }

    /// Tells it to end, as Ctrl-C does; it ends well.
    fn stop(mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        self.until("stopped");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It has ended where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_story_is_told_of_what_the_server_really_made_of_it_and_stays_as_it_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(&folder.path().join("state"));
    let lines = demo.until("Your turn");
    for turn in TURNS {
        let told = lines.iter().filter(|line| line.starts_with(&format!("  {turn} "))).count();
        assert_eq!(told, 1, "{turn}: {lines:#?}");
    }
    assert!(
        !lines.iter().any(|line| line.contains("no alert came") || line.contains("stops here")),
        "{lines:#?}"
    );
    let assets = demo.get("mira", "/api/v1/assets");
    let assets = assets["assets"].as_array().unwrap();
    assert_eq!(assets.len(), 40);
    let count = |asset: &Value, verdict: &str| asset["verdicts"][verdict].as_u64().unwrap();
    let judged = |asset: &&Value| count(asset, "met") + count(asset, "unknown") > 10;
    assert_eq!(assets.iter().filter(judged).count(), 40, "each host is judged by what ships");
    let silent = assets.iter().filter(|asset| count(asset, "met") == 0).count();
    assert!(silent <= 1, "what was met is unknown on the printer's host alone, once it is silent");
    let described = demo.get("mira", "/api/v1/assets/shop-edge-1");
    let exploited = described["findings"].as_array().unwrap();
    let exploited = exploited.iter().find(|finding| finding["subject"] == "CVE-2026-90117").unwrap();
    assert_eq!(exploited["action"], "update haproxy to 2.6.12-1+deb12u3");
    assert!(exploited["kev_due"].is_string());
    let alerts = demo.get("mira", "/api/v1/alerts");
    let dead = alerts["alerts"].as_array().unwrap().iter().filter(|alert| alert["kind"] == "canary");
    let dead: Vec<(&Value, &Value)> = dead.map(|alert| (&alert["summary"], &alert["firing"])).collect();
    let told = json!("Root logged in to the shop can't fire: its canary does not match");
    assert_eq!(dead, [(&told, &json!(2))], "what ships can fire everywhere, and the one rule nowhere");
    // Mended, it is seen to match.
    let rule =
        include_str!("../../sim/src/demo/rule.yaml").replace("program: sshd", "program|startswith: sshd");
    let files = json!({"files": [{"name": "rule.yaml", "text": rule}]});
    assert_eq!(demo.post("ida", "/api/v1/environments/dev/apply", &files).0, 200);
    let start = Instant::now();
    loop {
        let alerts = demo.get("mira", "/api/v1/alerts?all=true");
        let dead = alerts["alerts"].as_array().unwrap().iter().find(|alert| alert["kind"] == "canary");
        if dead.unwrap()["stage"] == "resolved" {
            break;
        }
        assert!(start.elapsed() < LIMIT, "{alerts}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let mended = demo.get("mira", "/api/v1/assets/shop-edge-2").to_string();
    assert!(!mended.contains("CVE-2026-90117"), "what was seen to be gone is closed");
    demo.stop();

    let again = Demo::start(&folder.path().join("state"));
    again.until("told before");
    assert_eq!(again.get("mira", "/api/v1/assets")["assets"].as_array().unwrap().len(), 40);
    assert_eq!(again.get("mira", "/api/v1/changes")["changes"].as_array().unwrap().len(), 2);
    again.stop();
}

#[test]
fn four_people_walk_the_change_to_production_and_one_edited_byte_voids_it() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(&folder.path().join("state"));
    demo.until("  Change ");
    let (id, digest) = demo.change();
    let act = |who: &str, digest: &str, act: &str, target: &str| {
        let environment = if act == "test" { "test" } else { "" };
        let body = json!({"digest": digest, "target": target, "environment": environment});
        let (status, answer) = demo.post(who, &format!("/api/v1/changes/{id}/{act}"), &body);
        (status, answer["title"].as_str().unwrap_or_default().to_owned())
    };
    let walk = [
        ("ida", "apply", "test"),
        ("ida", "test", "prod"),
        ("noor", "review", "prod"),
        ("sam", "approve", "prod"),
    ];
    for (who, does, target) in walk {
        assert_eq!(act(who, &digest, does, target).0, 200, "{who} {does}");
    }
    // One byte of it, and nothing that was decided holds.
    let text = include_str!("../../sim/src/demo/proposal.yaml").replace("at_most: 3", "at_most: 2");
    let edit = json!({"service": "shop", "files": [{"name": "proposal.yaml", "text": text}]});
    assert_eq!(demo.post("ida", &format!("/api/v1/changes/{id}/edit"), &edit).0, 200);
    assert_eq!(act("ida", &digest, "apply", "prod").0, 409);
    let (_, edited) = demo.change();
    assert_ne!(edited, digest);
    let (status, why) = act("ida", &edited, "apply", "prod");
    assert!(status == 409 && why.contains("needs"), "{status} {why}");
    for (who, does, target) in walk {
        assert_eq!(act(who, &edited, does, target).0, 200, "{who} {does}");
    }
    assert_eq!(act("ida", &edited, "apply", "prod").0, 200);
    // The shop's hosts are given it at once, and judge by it.
    let start = Instant::now();
    loop {
        let asset = demo.get("sam", "/api/v1/baselines").to_string();
        if asset.contains("shop-ssh") {
            break;
        }
        assert!(start.elapsed() < LIMIT, "{asset}");
        std::thread::sleep(Duration::from_millis(200));
    }
    demo.stop();
}

fn refused(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    output
}

/// A folder that nobody else may look into, as state has to lie in.
fn private(folder: &Path) {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(folder).unwrap();
}

#[test]
fn a_demo_keeps_to_loopback_and_to_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("real");
    let says = |output: Output, words: &str| {
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(words), "{said}");
    };
    let mut beyond = program(&folder.path().join("beyond"));
    beyond.args(["--listen", "0.0.0.0"]);
    says(refused(beyond), "loopback");
    assert!(!folder.path().join("beyond").exists(), "nothing was made");
    for other in ["--feeds", "--notify", "--root", "--log", "--database", "--name"] {
        let mut with = program(&state);
        with.args([other, "x"]);
        says(refused(with), "--demo");
    }
    private(&state);
    fs::write(state.join("bartizan.db"), "").unwrap();
    says(refused(program(&state)), "is the state of a real");
    let demo = folder.path().join("demo");
    private(&demo);
    fs::write(demo.join("demo"), "").unwrap();
    let mut real = Command::new(env!("CARGO_BIN_EXE_bartizan"));
    real.args(["up", "--state"]).arg(&demo);
    says(refused(real), "is the state of a demo");
}
