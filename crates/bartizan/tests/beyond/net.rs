//! Two machines as far as the network goes: namespaces with one cable between them.

use std::path::Path;
use std::process::Command;

/// The address of the one that runs the server.
pub(crate) const SERVER: &str = "10.99.0.1";

/// The address of the other one.
const OTHER: &str = "10.99.0.2";

/// Both machines; they go when this is dropped.
pub(crate) struct Net {
    server: String,
    other: String,
}

/// Whether namespaces can be made here; says so where they can't.
pub(crate) fn is_possible() -> bool {
    let root = nix::unistd::geteuid().is_root();
    let name = format!("bzt-try-{}", std::process::id());
    let tried = root && Path::new("/usr/sbin/ip").exists() && ip(&["netns", "add", &name]);
    if tried {
        ip(&["netns", "delete", &name]);
    } else {
        eprintln!("left out: a second machine, since network namespaces take root and iproute2");
    }
    tried
}

fn ip(words: &[&str]) -> bool {
    Command::new("/usr/sbin/ip").args(words).output().is_ok_and(|output| output.status.success())
}

impl Net {
    pub(crate) fn new() -> Net {
        let id = std::process::id();
        let net = Net { server: format!("bzt-a-{id}"), other: format!("bzt-b-{id}") };
        let (server, other) = (net.server.as_str(), net.other.as_str());
        // Names of devices have at most 15 letters.
        let (one, two) = (format!("bza{id}"), format!("bzb{id}"));
        let steps: [&[&str]; 10] = [
            &["netns", "add", server],
            &["netns", "add", other],
            &["link", "add", &one, "netns", server, "type", "veth", "peer", "name", &two, "netns", other],
            &["-n", server, "address", "add", &format!("{SERVER}/24"), "dev", &one],
            &["-n", other, "address", "add", &format!("{OTHER}/24"), "dev", &two],
            &["-n", server, "link", "set", &one, "up"],
            &["-n", other, "link", "set", &two, "up"],
            &["-n", server, "link", "set", "lo", "up"],
            &["-n", other, "link", "set", "lo", "up"],
            &["-n", server, "link", "show"],
        ];
        for step in steps {
            assert!(ip(step), "ip {}", step.join(" "));
        }
        net
    }

    /// A program on the machine that runs the server.
    pub(crate) fn on_server(&self, program: impl AsRef<Path>) -> Command {
        inside(&self.server, program.as_ref())
    }

    /// A program on the other machine.
    pub(crate) fn on_other(&self, program: impl AsRef<Path>) -> Command {
        inside(&self.other, program.as_ref())
    }
}

fn inside(name: &str, program: &Path) -> Command {
    let mut command = Command::new("/usr/sbin/ip");
    command.args(["netns", "exec", name]).arg(program).env_remove("BARTIZAN_CLIENT");
    command
}

impl Drop for Net {
    fn drop(&mut self) {
        ip(&["netns", "delete", &self.server]);
        ip(&["netns", "delete", &self.other]);
    }
}
