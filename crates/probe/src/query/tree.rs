//! A tree of files in memory: the small host that an example describes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use bartizan_core::configuration::baseline::{
    Described, Example, ExampleFile, ExampleMount, ExampleProtocol, ExampleSocket,
};
use bartizan_core::fact::{Package, PackageManager};

use super::HostProbe;
use super::view::{Kind, Status, View};
use crate::root::Error;

/// Links followed for one path, as on Linux.
const LINKS: usize = 40;

/// Files by their absolute paths. Folders on the way to a file are there by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    files: BTreeMap<String, Described>,
}

impl Tree {
    /// The files of an example: those it describes, and those that its kernel and systemd would show.
    pub fn of(example: &Example) -> Tree {
        let mut tree = Tree::default();
        if let Some(parameters) = &example.sysctl {
            tree.folder("/proc/sys");
            for (key, value) in parameters {
                tree.put(&format!("/proc/sys/{}", super::sysctl::path(key)), &format!("{value}\n"));
            }
        }
        if let Some(units) = &example.units {
            tree.folder("/run/systemd/system");
            tree.folder("/run/systemd/units");
            tree.folder("/lib/systemd/system");
            for (name, unit) in units {
                let file = format!("/lib/systemd/system/{name}");
                tree.put(&file, "[Install]\nWantedBy=multi-user.target\n");
                if unit.enabled {
                    tree.put_link(&format!("/etc/systemd/system/multi-user.target.wants/{name}"), &file);
                }
                if unit.masked {
                    tree.put_link(&format!("/etc/systemd/system/{name}"), "/dev/null");
                }
                if unit.active {
                    tree.put_link(&format!("/run/systemd/units/invocation:{name}"), "0");
                }
            }
        }
        if let Some(sockets) = &example.sockets {
            for protocol in ["tcp", "tcp6", "udp", "udp6"] {
                tree.put(&format!("/proc/net/{protocol}"), &socket_table(sockets, protocol));
            }
        }
        if let Some(mounts) = &example.mounts {
            tree.put("/proc/self/mountinfo", &mount_table(mounts));
        }
        if let Some(modules) = &example.modules {
            let lines = modules.iter().map(|name| format!("{name} 16384 0 - Live 0x0000000000000000\n"));
            tree.put("/proc/modules", &lines.collect::<String>());
        }
        for (path, file) in &example.files {
            let file = match file {
                ExampleFile::Text(text) => Described { text: text.clone(), ..Described::default() },
                ExampleFile::File(described) => described.clone(),
            };
            tree.files.insert(path.clone(), file);
        }
        tree
    }

    fn put(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), Described { text: text.to_owned(), ..Described::default() });
    }

    fn put_link(&mut self, path: &str, target: &str) {
        let link = Described { link: Some(target.to_owned()), ..Described::default() };
        self.files.insert(path.to_owned(), link);
    }

    fn folder(&mut self, path: &str) {
        self.files.insert(path.to_owned(), Described { folder: true, ..Described::default() });
    }

    /// What stands at a path, links followed; a folder that only holds others has no entry.
    fn find(&self, path: &str) -> Result<Option<&Described>, Error> {
        let missing = || Error::Missing { path: PathBuf::from(path) };
        let mut at = path.trim_end_matches('/').to_owned();
        for _ in 0..LINKS {
            match self.files.get(&at) {
                Some(Described { link: Some(target), .. }) if target.starts_with('/') => at = target.clone(),
                Some(Described { link: Some(target), .. }) => {
                    let folder = at.rsplit_once('/').map_or("", |(folder, _)| folder);
                    at = format!("{folder}/{target}");
                }
                Some(file) => return Ok(Some(file)),
                None if self.holds_something(&at) => return Ok(None),
                None => return Err(missing()),
            }
        }
        Err(missing())
    }

    fn holds_something(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        self.files.range(inside.clone()..).next().is_some_and(|(next, _)| next.starts_with(&inside))
    }
}

impl View for Tree {
    fn text(&self, path: &str) -> Result<String, Error> {
        match self.find(path)? {
            Some(file) if !file.folder => Ok(file.text.clone()),
            _ => Err(Error::NotAFile { path: PathBuf::from(path) }),
        }
    }

    fn status(&self, path: &str) -> Result<Status, Error> {
        let described = self.find(path)?.cloned();
        let file = described.unwrap_or(Described { folder: true, ..Described::default() });
        let usual = if file.folder { 0o755 } else { 0o644 };
        let mode = file.mode.as_deref().map(|mode| u32::from_str_radix(mode, 8));
        let mode = match mode {
            Some(Ok(mode)) => mode,
            // An example that can't be read must not prove anything.
            Some(Err(_)) => {
                let source = std::io::Error::other("its mode is not octal");
                return Err(Error::Read { path: PathBuf::from(path), source });
            }
            None => usual,
        };
        let kind = if file.folder { Kind::Folder } else { Kind::File };
        Ok(Status { kind, mode, uid: file.uid, gid: file.gid })
    }

    fn names(&self, path: &str) -> Result<Vec<String>, Error> {
        if self.find(path)?.is_some_and(|file| !file.folder) {
            return Err(Error::NotAFile { path: PathBuf::from(path) });
        }
        let inside = format!("{}/", path.trim_end_matches('/'));
        let below = self.files.keys().filter_map(|other| other.strip_prefix(&inside));
        let mut names: Vec<String> =
            below.filter_map(|rest| rest.split('/').next()).map(str::to_owned).collect();
        names.dedup();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn link(&self, path: &str) -> Result<Option<String>, Error> {
        match self.files.get(path) {
            Some(file) => Ok(file.link.clone()),
            None => self.find(path).map(|_| None),
        }
    }

    /// An example says all that it means.
    fn may_be_part(&self) -> bool {
        false
    }
}

impl HostProbe<Tree> {
    /// A probe of the host that an example describes.
    pub fn of_example(example: &Example) -> Self {
        let probe = HostProbe::new(Tree::of(example));
        let Some(packages) = &example.packages else { return probe };
        let package = |(name, version): (&String, &String)| Package {
            name: name.clone(),
            architecture: "amd64".to_owned(),
            version: version.clone(),
            source: name.clone(),
            source_version: version.clone(),
            manager: PackageManager::Dpkg,
            origin: None,
            provides: Vec::new(),
        };
        probe.with_packages(packages.iter().map(package).collect())
    }
}

/// The sockets of one protocol as the kernel's table lists them (proc(5), `/proc/net/tcp`).
fn socket_table(sockets: &[ExampleSocket], protocol: &str) -> String {
    let state = if protocol.starts_with("tcp") { "0A" } else { "07" };
    let mut table = "  sl  local_address rem_address   st\n".to_owned();
    for socket in sockets {
        let (name, address) = match (socket.protocol, socket.address) {
            (ExampleProtocol::Tcp, IpAddr::V4(address)) => ("tcp", address.octets().to_vec()),
            (ExampleProtocol::Tcp, IpAddr::V6(address)) => ("tcp6", address.octets().to_vec()),
            (ExampleProtocol::Udp, IpAddr::V4(address)) => ("udp", address.octets().to_vec()),
            (ExampleProtocol::Udp, IpAddr::V6(address)) => ("udp6", address.octets().to_vec()),
        };
        if name != protocol {
            continue;
        }
        let words = address.chunks_exact(4).map(|word| {
            let word = word.try_into().map_or(0, u32::from_ne_bytes);
            format!("{word:08X}")
        });
        let words: String = words.collect();
        let nobody = "0".repeat(words.len());
        let _ = writeln!(table, "   0: {words}:{:04X} {nobody}:0000 {state}", socket.port);
    }
    table
}

/// The mounts as `/proc/self/mountinfo` lists them (proc(5)).
fn mount_table(mounts: &[ExampleMount]) -> String {
    let mut table = String::new();
    for (n, mount) in mounts.iter().enumerate() {
        let ExampleMount { target, source, kind, options } = mount;
        let _ = writeln!(table, "{n} 1 0:{n} / {target} {options} - {kind} {source} rw");
    }
    table
}
