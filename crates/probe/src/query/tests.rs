use std::collections::BTreeMap;

use bartizan_core::configuration::baseline::{Example, ExampleFile, Format};
use proptest::prelude::*;

use super::*;

/// Every file that some query reads.
const FILES: [&str; 24] = [
    "/etc/ssh/sshd_config",
    "/etc/default/ssh",
    "/etc/sudoers",
    "/etc/sudoers.d/a",
    "/etc/sysctl.d/a.conf",
    "/etc/modprobe.d/a.conf",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/fstab",
    "/etc/app",
    "/etc/init.d/a",
    "/etc/rc2.d/S01a",
    "/etc/systemd/system/a.service",
    "/etc/systemd/system/x.wants/a.service",
    "/lib/systemd/system/a.service",
    "/run/systemd/system/x",
    "/proc/sys/a/b",
    "/proc/modules",
    "/proc/net/tcp",
    "/proc/net/udp6",
    "/proc/self/mountinfo",
    "/home/a/.netrc",
    "/etc/ssh/a.conf",
];

fn queries() -> Vec<Query> {
    let formats = [Format::KeyValue, Format::Ini, Format::Json, Format::Yaml, Format::Toml];
    let setting = |format| Query::Setting {
        files: vec!["/etc/a*".into()],
        format,
        section: Some("a".into()),
        key: "b".into(),
    };
    let name = || "a".to_owned();
    let mut queries: Vec<Query> = formats.into_iter().map(setting).collect();
    queries.extend([
        Query::File { path: "/etc/*".into() },
        Query::Lines { path: "/home/*/.netrc".into() },
        Query::Sshd,
        Query::SudoersDefaults,
        Query::SudoersRules,
        Query::Sysctl { key: "a.b".into() },
        Query::Package { name: name() },
        Query::Unit { name: "a.service".into() },
        Query::Module { name: name() },
        Query::Sockets,
        Query::Accounts,
        Query::Groups,
        Query::Mounts,
        Query::Fstab,
    ]);
    queries
}

/// Text with the marks that formats give a meaning to, and some that none does.
fn hostile() -> impl Strategy<Value = String> {
    let words = [
        "Include a.conf",
        "Match",
        "User",
        "\"",
        "=",
        ":",
        "#",
        "\\\n",
        "\n",
        " ",
        "\t",
        "@includedir /etc/sudoers.d",
        "@include sudoers",
        "Defaults",
        "ALL",
        "(",
        ")",
        "NOPASSWD:",
        "install a",
        "-a.*",
        "a.b",
        "0A",
        "FFFFFFFF",
        " - ",
        "[a]",
        "{",
        "}",
        ",",
        "\u{fffd}",
        "é",
        "999999999999999999999",
        "$6$",
        "!",
        "/dev/null",
        "&a",
        "*a",
        "- ",
    ];
    let word = prop_oneof![4 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => ".{0,8}"];
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_text_in_any_file_stops_a_query(texts in prop::collection::vec(hostile(), FILES.len())) {
        let files: BTreeMap<_, _> = FILES
            .iter()
            .zip(texts)
            .map(|(path, text)| ((*path).to_owned(), ExampleFile::Text(text)))
            .collect();
        let mut probe = HostProbe::of_example(&Example { files, ..Example::default() });
        for query in queries() {
            if let Items::Unknown { message, .. } = probe.items(&query) {
                prop_assert!(!message.is_empty());
            }
        }
    }
}

fn packages() -> HostProbe<Tree> {
    let packages = [("a".to_owned(), "1.0-1".to_owned())];
    HostProbe::of_example(&Example { packages: Some(packages.into()), ..Example::default() })
}

fn ask(probe: &mut HostProbe<Tree>, name: &str) -> Result<usize, Reason> {
    match probe.items(&Query::Package { name: name.to_owned() }) {
        Items::Known(items) | Items::Unproven { items, .. } => Ok(items.len()),
        Items::Unknown { reason, .. } => Err(reason),
    }
}

#[test]
fn a_package_that_was_not_found_is_absent_only_where_all_were_seen() {
    let mut seen = packages();
    assert_eq!((ask(&mut seen, "a"), ask(&mut seen, "b")), (Ok(1), Ok(0)));
    let mut section = seen.packages.clone();
    section.miss("/var/lib/dpkg/status:7", Reason::Unparsable);
    let mut partly = packages().with_package_section(section);
    assert_eq!((ask(&mut partly, "a"), ask(&mut partly, "b")), (Ok(1), Err(Reason::Unparsable)));
    let mut none = HostProbe::new(Tree::default());
    assert_eq!(ask(&mut none, "a"), Err(Reason::Unsupported));
}

#[test]
fn under_a_folder_that_may_be_a_part_of_a_host_a_missing_folder_proves_nothing() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(place.path().join("etc/ssh")).unwrap();
    let mut probe = HostProbe::new(Root::at(place.path()).unwrap());
    let file = |path: &str| Query::File { path: path.to_owned() };
    let setting = |files: &[&str]| Query::Setting {
        files: files.iter().map(|&file| file.to_owned()).collect(),
        format: Format::Ini,
        section: None,
        key: "a".to_owned(),
    };
    for (query, missing) in [
        (file("/etc/shadow-"), None),
        (file("/etc/ssh/sshd_config.d/*.conf"), None),
        (file("/etc/apt/apt.conf.d/*"), Some("/etc/apt")),
        (file("/home/*/.rhosts"), Some("/home")),
        (file("/boot/grub/grub.cfg"), Some("/boot")),
        (setting(&["/etc/apt/a", "/etc/ssh/a"]), None),
        (setting(&["/etc/apt/a", "/usr/lib/a"]), Some("/etc/apt")),
        (Query::Fstab, None),
    ] {
        let unseen = match probe.items(&query) {
            Items::Unproven { folder, .. } => Some(folder),
            _ => None,
        };
        assert_eq!(unseen.as_deref(), missing, "{query}");
    }
}
