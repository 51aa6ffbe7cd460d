//! A small machine of its own for `bartizan up`, and a receiver of what it tells.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take that is not promised faster.
const LIMIT: Duration = Duration::from_secs(60);

/// How soon an alert has to be there after something broke.
const PROMISE: Duration = Duration::from_secs(5);

/// A machine in a folder: Debian 12 with one old package.
pub(crate) struct Machine {
    pub(crate) folder: tempfile::TempDir,
}

impl Machine {
    pub(crate) fn new() -> Machine {
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

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    pub(crate) fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.root().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Feeds that know two faults of the old package, one of them exploited.
    pub(crate) fn feeds(&self) -> PathBuf {
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
pub(crate) fn receiver() -> (String, Receiver<Value>) {
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
pub(crate) struct Up {
    child: Child,
    pub(crate) state: PathBuf,
}

impl Up {
    pub(crate) fn start(machine: &Machine, notify: &str) -> Up {
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
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = self.ask(path);
        // What is not there yet has no members to be asked for.
        if answer.status() == 404 {
            return Value::Null;
        }
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().unwrap()
    }

    pub(crate) fn download(&self, path: &str) -> Vec<u8> {
        self.ask(path).error_for_status().unwrap().bytes().unwrap().to_vec()
    }

    pub(crate) fn ask(&self, path: &str) -> reqwest::blocking::Response {
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
    pub(crate) fn until(&self, path: &str, good: impl Fn(&Value) -> bool) -> Value {
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
    pub(crate) fn stop(mut self) {
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
pub(crate) fn told(received: &Receiver<Value>, status: &str, text: &str) -> Value {
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
