//! `bartizan up` on a small machine of its own: what is broken is told, what is mended is seen.
#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use bartizan_ledger::bundle::verify::Held;
use serde_json::Value;

/// How long anything may take that is not promised faster.
const LIMIT: Duration = Duration::from_secs(60);

/// How soon an alert has to be there after something broke.
const PROMISE: Duration = Duration::from_secs(5);

/// A machine in a folder: Debian 12 with one old package.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Machine {
        let machine = Machine { folder: tempfile::tempdir().unwrap() };
        let release = "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nPRETTY_NAME=\"Debian 12\"\n";
        machine.write("etc/os-release", release);
        machine.write("etc/hostname", "small\n");
        machine.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
        machine.write("etc/group", "root:x:0:\n");
        machine.write("var/log/auth.log", "");
        machine.write(
            "var/lib/dpkg/status",
            "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\n\
             Version: 3.0.9-1\n\n",
        );
        machine
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.root().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn log(&self, line: &str) {
        let mut file =
            fs::OpenOptions::new().append(true).open(self.root().join("var/log/auth.log")).unwrap();
        writeln!(file, "{line}").unwrap();
    }

    /// Feeds that know two faults of the old package, one of them exploited.
    fn feeds(&self) -> PathBuf {
        let folder = self.folder.path().join("raw-feeds");
        fs::create_dir_all(&folder).unwrap();
        let tracker = r#"{"openssl": {
            "CVE-2023-0001": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "3.0.11-1", "urgency": "high"}}},
            "CVE-2023-0002": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "3.0.9-1", "urgency": "low"}}}}}"#;
        fs::write(folder.join("tracker.json"), tracker).unwrap();
        let exploited = r#"{"catalogVersion": "2024.01.01", "dateReleased": "2024-01-01T00:00:00.000Z", "count": 1,
            "vulnerabilities": [{"cveID": "CVE-2023-0001", "vendorProject": "OpenSSL", "product": "OpenSSL",
            "vulnerabilityName": "A fault", "dateAdded": "2024-01-01", "shortDescription": "x",
            "requiredAction": "Update", "dueDate": "2024-01-22", "knownRansomwareCampaignUse": "Unknown"}]}"#;
        fs::write(folder.join("known_exploited_vulnerabilities.json"), exploited).unwrap();
        folder
    }
}

/// A receiver of webhooks: each body that was posted.
fn receiver() -> (String, Receiver<Value>) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", socket.local_addr().unwrap());
    let (sender, received) = channel();
    std::thread::spawn(move || {
        for stream in socket.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            reader
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .unwrap();
            if sender.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    (url, received)
}

/// A running `bartizan up`.
struct Up {
    child: Child,
    state: PathBuf,
}

impl Up {
    fn start(machine: &Machine, notify: &str) -> Up {
        let state = machine.folder.path().join("state");
        let child = Command::new(env!("CARGO_BIN_EXE_bartizan"))
            .args(["up", "--port", "0", "--agent-port", "0", "--notify", notify, "--state"])
            .arg(&state)
            .arg("--root")
            .arg(machine.root())
            .arg("--feeds")
            .arg(machine.feeds())
            .args(["--log", "/var/log/auth.log"])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut up = Up { child, state };
        let mut line = String::new();
        BufReader::new(up.child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("https://127.0.0.1:") && line.contains("/sign-in?link="), "{line}");
        up
    }

    /// Asks the API, as a program on this machine does.
    fn get(&self, path: &str) -> Value {
        let answer = self.ask(path);
        // What is not there yet has no members to be asked for.
        if answer.status() == 404 {
            return Value::Null;
        }
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().unwrap()
    }

    fn download(&self, path: &str) -> Vec<u8> {
        self.ask(path).error_for_status().unwrap().bytes().unwrap().to_vec()
    }

    fn ask(&self, path: &str) -> reqwest::blocking::Response {
        let client: Value =
            serde_json::from_slice(&fs::read(self.state.join("client.json")).unwrap()).unwrap();
        let authority = client["authority"].as_str().unwrap().as_bytes();
        let http = reqwest::blocking::Client::builder()
            .add_root_certificate(reqwest::Certificate::from_pem(authority).unwrap())
            .build()
            .unwrap();
        let url = format!("{}{path}", client["server"].as_str().unwrap());
        http.get(url).bearer_auth(client["token"].as_str().unwrap()).send().unwrap()
    }

    /// Asks again until the answer is as it should be.
    fn until(&self, path: &str, good: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let answer = self.get(path);
            if good(&answer) {
                return answer;
            }
            assert!(start.elapsed() < LIMIT, "{path} stays {answer:#}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Tells it to end, as Ctrl-C does; it ends well.
    fn stop(mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // It has ended where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next message that says this, within the promise.
fn told(received: &Receiver<Value>, status: &str, text: &str) -> Value {
    let start = Instant::now();
    loop {
        let left = PROMISE.checked_sub(start.elapsed()).unwrap_or_default();
        let message = received.recv_timeout(left);
        let message =
            message.unwrap_or_else(|_| panic!("nobody was told within {PROMISE:?}: {status} {text}"));
        let summary = message["commonAnnotations"]["summary"].as_str().unwrap();
        if message["status"] == status && summary.contains(text) {
            return message;
        }
    }
}

fn finding<'a>(described: &'a Value, subject: &str) -> Option<&'a Value> {
    described["findings"].as_array()?.iter().find(|finding| finding["subject"] == subject)
}

#[test]
fn what_breaks_is_told_within_seconds_and_what_is_mended_is_seen_to_be() {
    // Whoever was first has installed it, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let machine = Machine::new();
    let (url, received) = receiver();
    let up = Up::start(&machine, &url);
    let seen = up.until("/api/v1/assets/small", |asset| {
        finding(asset, "CVE-2023-0001").is_some() && asset["verdicts"]["met"].as_u64() > Some(0)
    });
    let exploited = finding(&seen, "CVE-2023-0001").unwrap();
    assert_eq!(exploited["kev_due"], "2024-01-22");
    assert_eq!(exploited["action"], "update openssl to 3.0.11-1");
    assert!(finding(&seen, "CVE-2023-0002").is_none(), "that one is fixed");
    let rule = "debian-12/file-passwd";
    assert!(finding(&seen, rule).is_none(), "{seen:#}");
    assert!(received.try_recv().is_err(), "first sight of a machine pages nobody");

    machine.mode("etc/passwd", 0o666);
    told(&received, "firing", "small: ");
    up.until("/api/v1/assets/small", |asset| finding(asset, rule).is_some());
    machine.mode("etc/passwd", 0o644);
    told(&received, "resolved", "small: ");
    up.until("/api/v1/assets/small", |asset| finding(asset, rule).is_none());

    for _ in 0..6 {
        machine.log("Nov 24 03:31:55 small sshd[7]: Failed password for root from 192.0.2.9 port 4242 ssh2");
    }
    told(&received, "firing", "192.0.2.9");

    // The package is updated: the finding closes because the old build is seen to be gone.
    machine.write(
        "var/lib/dpkg/status",
        "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\n\
         Version: 3.0.11-1\n\n",
    );
    up.until("/api/v1/assets/small", |asset| finding(asset, "CVE-2023-0001").is_none());
    let alerts = up.get("/api/v1/alerts?all=true");
    let alerts = alerts["alerts"].as_array().unwrap().len();
    up.stop();

    // A second start carries on: the same machine, the same alerts, one ledger.
    let up = Up::start(&machine, &url);
    assert_eq!(up.get("/api/v1/assets")["assets"].as_array().unwrap().len(), 1);
    assert_eq!(up.get("/api/v1/alerts?all=true")["alerts"].as_array().unwrap().len(), alerts);
    up.until("/api/v1/ledger", |ledger| ledger["head"]["waiting"] == 0);
    verify(&up);
    up.stop();
}

/// The ledger verifies outside of the server, and tells of all that happened.
fn verify(up: &Up) {
    let bundle = up.download("/api/v1/ledger/bundle");
    let report = bartizan_ledger::verify(bundle.as_slice(), &Held::default()).unwrap();
    assert!(report.checkpoint.size > 20, "{report:?}");
    let text = String::from_utf8(bundle).unwrap();
    for kind in ["enrolment", "transitions", "alert_opened", "alert_ended", "delivery", "feed_import"] {
        assert!(text.contains(&format!(r#"\"kind\":\"{kind}\""#)), "no {kind} in the ledger");
    }
}

#[test]
fn mail_that_can_not_be_sent_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "secret\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    let file = password.to_str().unwrap();
    let table: [(&[&str], &str); 5] = [
        (&["--notify", "mailto:ada@example.org"], "--smtp names one"),
        (
            &["--notify", "mailto:ada", "--smtp", "smtp://127.0.0.1:1"],
            "is no address such as person@example.org",
        ),
        (&["--smtp", "smtp://ada:secret@mail.example.org"], "--smtp-password-file"),
        (&["--smtp", "http://mail.example.org"], "is no address of a relay"),
        (
            &["--smtp", "smtps://mail.example.org", "--smtp-user", "ada", "--smtp-password-file", file],
            "chmod 600",
        ),
    ];
    for (words, said) in table {
        let state = folder.path().join("state");
        let mut run = Command::new(env!("CARGO_BIN_EXE_bartizan"));
        let output = run.arg("up").args(words).arg("--state").arg(&state).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {text}");
        assert!(text.contains(said), "{words:?}: {text}");
        assert!(!text.contains("ada:secret"), "{text}");
        assert!(!state.exists(), "{words:?} made something");
    }
}
