//! A real SMTP server in a process of its own: Debian's aiosmtpd.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The interpreter that Debian's packages are for.
const PYTHON: &str = "/usr/bin/python3";

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mail/sink.py");

/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A running server. It is killed when this is dropped.
pub(crate) struct Sink {
    child: Child,
    pub(crate) port: u16,
    events: UnboundedReceiver<Value>,
}

/// Whether there is one on this machine; says so where there is none.
pub(crate) fn is_here() -> bool {
    let here = Path::new("/usr/lib/python3/dist-packages/aiosmtpd/__init__.py").exists();
    if !here {
        eprintln!("left out: mail, since python3-aiosmtpd is not installed");
    }
    here
}

/// A certificate, its key, and the password of the user `pager`.
pub(crate) type Guarded<'a> = Option<(&'a Path, &'a Path, &'a str)>;

impl Sink {
    /// On this port; 0 takes a free one.
    pub(crate) async fn start(port: u16, guarded: Guarded<'_>) -> Sink {
        let mut command = Command::new(PYTHON);
        command.arg(PROGRAM).arg(port.to_string()).stdout(Stdio::piped()).stdin(Stdio::null());
        if let Some((certificate, key, password)) = guarded {
            command.arg(certificate).arg(key).arg(password);
        }
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, mut events) = unbounded_channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        let ready: Value = tokio::time::timeout(LIMIT, events.recv()).await.unwrap().unwrap();
        let port = ready.get("port").and_then(Value::as_u64).unwrap();
        Sink { child, port: u16::try_from(port).unwrap(), events }
    }

    /// The next mail that came in.
    pub(crate) async fn mail(&mut self) -> Mail {
        Mail(tokio::time::timeout(LIMIT, self.events.recv()).await.unwrap().unwrap())
    }

    /// Whether more came in than was taken.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.events.try_recv().is_err()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One mail as the server got it.
#[derive(Debug)]
pub(crate) struct Mail(Value);

impl Mail {
    /// Whom it was delivered to: each address has a delivery of its own.
    pub(crate) fn to(&self) -> &str {
        let to = self.0.get("to").and_then(Value::as_array).unwrap();
        assert_eq!(to.len(), 1, "{to:?}");
        to.first().and_then(Value::as_str).unwrap()
    }

    pub(crate) fn data(&self) -> &str {
        self.0.get("data").and_then(Value::as_str).unwrap()
    }

    pub(crate) fn over_tls(&self) -> bool {
        self.0.get("tls").and_then(Value::as_bool).unwrap()
    }

    /// The value of a header that stands on one line.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.data().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap()
    }
}
