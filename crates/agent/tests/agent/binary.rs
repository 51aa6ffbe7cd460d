//! The program: how it starts, ends, and says what stands in its way.

use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::Host;
use crate::server::{KEY, Server};

fn run(host: &Host, server: &str, fingerprint: &str, key: Option<&str>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bartizan-agent"));
    command.args(["run", "--server", server, "--fingerprint", fingerprint, "--name", "web-1"]);
    command.arg("--state").arg(host.folder.path().join("state"));
    command.arg("--root").arg(host.folder.path().join("root"));
    if let Some(key) = key {
        let file = host.folder.path().join("key");
        std::fs::write(&file, format!("{key}\n")).unwrap();
        command.arg("--key-file").arg(file);
    }
    command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

/// The exit code, and what was said.
async fn ended(child: Child) -> (Option<i32>, String) {
    let output = tokio::time::timeout(crate::server::LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_enrols_reports_and_ends_well_when_it_is_told_to() {
    let (server, host) = (Server::start().await, Host::new());
    let child = run(&host, &server.url(), &server.fingerprint.to_string(), Some(KEY));
    server.until("a report", |script| script.reports.first().cloned()).await;
    let second = run(&host, &server.url(), &server.fingerprint.to_string(), Some(KEY));
    let (code, said) = ended(second).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("another agent uses") && said.contains("hint: stop the other agent"), "{said}");
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    let (code, said) = ended(child).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("enrolled") && !said.contains(KEY), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_says_what_to_do_where_it_can_not_enrol() {
    let (server, host) = (Server::start().await, Host::new());
    let fingerprint = server.fingerprint.to_string();
    let wrong = format!("sha256:{}", "0".repeat(64));
    let table = [
        (fingerprint.as_str(), Some("mistyped"), "hint: the key may be used up, expired or mistyped"),
        (wrong.as_str(), Some(KEY), "hint: take the fingerprint from the server itself"),
        ("sha256:12", Some(KEY), "hint: write it as the server prints it"),
        (fingerprint.as_str(), None, "hint: make an enrolment key on the server"),
    ];
    for (fingerprint, key, expected) in table {
        let (code, said) = ended(run(&host, &server.url(), fingerprint, key)).await;
        assert!(code == Some(2) && said.contains(expected), "{code:?} {said}");
    }
}
