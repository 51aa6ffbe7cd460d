//! What a rule's verdict hangs on, and stamps that tell whether it changed, by metadata alone
//! where a file is at hand.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;

use bartizan_core::configuration::evaluate::Query;
use bartizan_core::time::{Duration, Timestamp};
use bartizan_probe::root::{Limit, Root};

/// What the kernel shows as a file: its metadata tells nothing, its content is small.
const KERNEL_FILE: Limit = Limit { name: "kernel file", bytes: 4 << 20 };

/// How long a file has to be untouched before its metadata is believed to tell of every change:
/// two writes within one tick of the file system's clock look the same.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// The most paths that one pattern is followed to; a rule that names more is judged in turn anyway.
const PATHS_LIMIT: usize = 1_000;

const SYSCTL_FOLDERS: [&str; 5] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];

const MODPROBE_FOLDERS: [&str; 5] = [
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
];

const UNIT_FOLDERS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
];

/// One thing to look at for a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// The metadata of what stands at a path, or at those that a pattern names.
    Path(String),
    /// The content of a file of the kernel.
    Content(String),
    /// The packages that are installed.
    Packages,
}

/// How a source stood when it was looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    hash: u64,
    settled: bool,
}

/// Stamps of sources, with what patterns last named.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    /// By pattern: the folders that were listed, their state then, and the paths.
    expanded: BTreeMap<String, Expanded>,
    /// Counts changes of the packages.
    pub(super) packages: u64,
}

#[derive(Debug, Default)]
struct Expanded {
    folders: Vec<String>,
    stamp: u64,
    settled: bool,
    paths: Vec<String>,
}

impl Source {
    pub(super) fn path(path: &str) -> Source {
        Source::Path(path.to_owned())
    }

    fn within(folders: &[&str], suffix: &str) -> Vec<Source> {
        folders.iter().map(|folder| Source::Path(format!("{folder}/{suffix}"))).collect()
    }

    /// What the answer to a query hangs on. What is not listed here is judged in turn.
    pub(super) fn of(query: &Query) -> Vec<Source> {
        let paths = |paths: &[&str]| paths.iter().map(|path| Source::path(path)).collect::<Vec<_>>();
        match query {
            Query::File { path } | Query::Lines { path } => paths(&[path]),
            Query::Setting { files, .. } => files.iter().map(|file| Source::path(file)).collect(),
            Query::Sshd => paths(&["/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*"]),
            Query::SudoersDefaults | Query::SudoersRules => paths(&["/etc/sudoers", "/etc/sudoers.d/*"]),
            Query::Sysctl { key } => {
                let mut sources = Source::within(&SYSCTL_FOLDERS, "*.conf");
                sources.push(Source::path("/etc/sysctl.conf"));
                sources.push(Source::Content(format!("/proc/sys/{}", sysctl_path(key))));
                sources
            }
            Query::Package { .. } => vec![Source::Packages],
            Query::Unit { .. } => {
                let mut sources = paths(&UNIT_FOLDERS);
                sources.extend(Source::within(&UNIT_FOLDERS, "*.wants"));
                sources.extend(Source::within(&UNIT_FOLDERS, "*.requires"));
                sources.extend(paths(&["/run/systemd/units", "/etc/rc2.d", "/etc/rc3.d", "/etc/rc5.d"]));
                sources
            }
            Query::Module { .. } => {
                let mut sources = Source::within(&MODPROBE_FOLDERS, "*.conf");
                sources.push(Source::Content("/proc/modules".to_owned()));
                sources
            }
            Query::Accounts => paths(&["/etc/passwd", "/etc/shadow", "/etc/group"]),
            Query::Groups => paths(&["/etc/group", "/etc/gshadow"]),
            Query::Mounts => vec![Source::Content("/proc/self/mountinfo".to_owned())],
            Query::Fstab => paths(&["/etc/fstab"]),
            Query::Sockets => Vec::new(),
        }
    }

    /// Whether a query reads more than its sources show: homes of accounts, sockets.
    pub(super) fn is_in_turn(query: &Query) -> bool {
        matches!(query, Query::Sockets | Query::Accounts)
    }
}

impl Stamp {
    /// Whether something may have changed between this and a later stamp.
    pub(super) fn differs(self, later: Stamp) -> bool {
        self.hash != later.hash || !self.settled
    }
}

impl Stamps {
    /// How a source stands now.
    pub(super) fn stamp(&mut self, root: &Root, source: &Source, now: Timestamp) -> Stamp {
        match source {
            Source::Packages => Stamp { hash: self.packages, settled: true },
            Source::Content(path) => {
                let mut hasher = DefaultHasher::new();
                match root.read_text(path, KERNEL_FILE) {
                    Ok(text) => text.text.hash(&mut hasher),
                    Err(error) => error.reason().as_str().hash(&mut hasher),
                }
                Stamp { hash: hasher.finish(), settled: true }
            }
            Source::Path(path) if path.contains(['*', '?']) => self.pattern(root, path, now),
            Source::Path(path) => {
                let mut hasher = DefaultHasher::new();
                let settled = look(root, path, now, &mut hasher);
                Stamp { hash: hasher.finish(), settled }
            }
        }
    }

    fn pattern(&mut self, root: &Root, pattern: &str, now: Timestamp) -> Stamp {
        let held = self.expanded.entry(pattern.to_owned()).or_default();
        let (stamp, _) = look_all(root, &held.folders, now);
        // Names come and go with a change of their folder: without one they need no listing.
        if held.folders.is_empty() || stamp != held.stamp || !held.settled {
            let (folders, _) = expand(root, pattern);
            // Stamped before the listing that counts: what comes between shows the next time.
            let (stamp, settled) = look_all(root, &folders, now);
            let (_, paths) = expand(root, pattern);
            *held = Expanded { folders, stamp, settled, paths };
        }
        let mut hasher = DefaultHasher::new();
        held.paths.hash(&mut hasher);
        let mut settled = held.settled;
        for path in &held.paths {
            settled &= look(root, path, now, &mut hasher);
        }
        Stamp { hash: hasher.finish(), settled }
    }
}

fn look_all(root: &Root, paths: &[String], now: Timestamp) -> (u64, bool) {
    let mut hasher = DefaultHasher::new();
    let mut settled = true;
    for path in paths {
        settled &= look(root, path, now, &mut hasher);
    }
    (hasher.finish(), settled)
}

/// Hashes a path's metadata; tells whether its last change lies long enough back.
fn look(root: &Root, path: &str, now: Timestamp, hasher: &mut DefaultHasher) -> bool {
    match root.metadata(path) {
        Ok(found) => {
            let place = (found.dev(), found.ino(), found.size(), found.mode(), found.uid(), found.gid());
            let times = (found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec());
            (place, times).hash(hasher);
            let changed = Timestamp::from_millis(
                found.ctime().saturating_mul(1_000).saturating_add(found.ctime_nsec() / 1_000_000),
            );
            // A stamp from the future says nothing of the clock's grain; waiting for it would take years.
            now.since(changed).max(changed.since(now)) > SETTLED_AFTER
        }
        Err(error) => {
            error.reason().as_str().hash(hasher);
            true
        }
    }
}

/// The folders that were listed for a pattern, and the paths that it names.
fn expand(root: &Root, pattern: &str) -> (Vec<String>, Vec<String>) {
    let mut folders = Vec::new();
    let mut paths = vec![String::new()];
    for component in pattern.split('/').filter(|component| !component.is_empty()) {
        let mut next = Vec::new();
        for path in &paths {
            if component.contains(['*', '?']) {
                let folder = if path.is_empty() { "/".to_owned() } else { path.clone() };
                let names = root.names(&folder).unwrap_or_default();
                folders.push(folder);
                let hit = |name: &&String| matches(component.as_bytes(), name.as_bytes());
                next.extend(names.iter().filter(hit).map(|name| format!("{path}/{name}")));
            } else {
                next.push(format!("{path}/{component}"));
            }
        }
        next.truncate(PATHS_LIMIT);
        paths = next;
    }
    (folders, paths)
}

/// Whether a name matches a pattern of `*` (any letters) and `?` (one byte): a letter of several
/// bytes only makes more files watched than the rule reads.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n, mut star) = (0, 0, None);
    while let Some(byte) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => (p, n) = (p + 1, n + 1),
            _ => match &mut star {
                Some((after, taken)) => {
                    *taken += 1;
                    (p, n) = (*after, *taken);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|rest| *rest == b'*')
}

/// A key's place under /proc/sys: the first separator tells which of the two spellings it is (sysctl.d(5)).
fn sysctl_path(key: &str) -> String {
    if key.find(['.', '/']).and_then(|at| key.as_bytes().get(at)) == Some(&b'/') {
        return key.to_owned();
    }
    let turn = |letter| match letter {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    key.chars().map(turn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const NOW: Timestamp = Timestamp::from_millis(0);

    #[test]
    fn each_kind_of_change_to_a_file_shows_and_no_change_shows_none() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path()).unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("d")).unwrap();
        fs::write(at("d/a.conf"), "1").unwrap();
        let mut stamps = Stamps::default();
        let source = Source::path("/d/*.conf");
        let mut last = stamps.stamp(&root, &source, NOW);
        let mut step = |change: &dyn Fn(), expected: bool, what: &str| {
            change();
            // The folder's listing settles with the first look after a change.
            let next = stamps.stamp(&root, &source, NOW);
            assert_eq!(last.hash != next.hash, expected, "{what}");
            last = next;
        };
        step(&|| (), false, "nothing");
        step(&|| fs::write(at("d/a.conf"), "22").unwrap(), true, "content");
        step(&|| fs::write(at("d/b.conf"), "").unwrap(), true, "a new file");
        step(&|| fs::write(at("d/c.txt"), "").unwrap(), false, "a file that the pattern does not name");
        step(&|| fs::rename(at("d/c.txt"), at("d/a.conf")).unwrap(), true, "another file in its place");
        step(&|| fs::remove_file(at("d/b.conf")).unwrap(), true, "a file gone");
        step(
            &|| {
                use std::os::unix::fs::PermissionsExt as _;
                fs::set_permissions(at("d/a.conf"), fs::Permissions::from_mode(0o600)).unwrap();
            },
            true,
            "its mode",
        );
        step(&|| (), false, "nothing again");
    }

    #[test]
    fn a_file_that_was_written_a_moment_ago_is_looked_at_again() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path()).unwrap();
        fs::write(folder.path().join("a"), "1").unwrap();
        let written = folder.path().join("a").metadata().unwrap().ctime();
        let mut stamps = Stamps::default();
        let mut differs_at = |seconds: i64| {
            let now = Timestamp::from_millis((written + seconds) * 1_000);
            let stamp = stamps.stamp(&root, &Source::path("/a"), now);
            stamp.differs(stamp)
        };
        assert!(differs_at(1));
        assert!(!differs_at(5));
        assert!(!differs_at(-100));
    }

    #[test]
    fn keys_of_sysctl_are_found_in_both_spellings() {
        let table = [
            ("kernel.kptr_restrict", "kernel/kptr_restrict"),
            ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
            ("net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ];
        for (key, expected) in table {
            assert_eq!(sysctl_path(key), expected);
        }
    }
}
