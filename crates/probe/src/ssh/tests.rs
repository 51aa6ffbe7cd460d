use super::*;
use crate::tree;

const DEBIAN: (&str, &str) = (
    "var/lib/dpkg/status",
    "Package: other\nVersion: 1\n\nPackage: openssh-server\nStatus: install ok installed\nVersion: 1:9.2p1-2+deb12u3\n",
);

fn value<'a>(sshd: &'a Sshd, key: &str) -> Vec<&'a str> {
    values(&sshd.settings, key).iter().map(|setting| setting.value.as_str()).collect()
}

#[test]
fn the_first_value_counts_and_an_include_is_read_in_its_place() {
    let root = tree::root(&[
        DEBIAN,
        (
            "etc/ssh/sshd_config",
            "Include sshd_config.d/*.conf\nPermitRootLogin yes\nUsePAM yes\nusepam no\nPort 22\nPort 2222\n",
        ),
        ("etc/ssh/sshd_config.d/20.conf", "PermitRootLogin no\n"),
        ("etc/ssh/sshd_config.d/10.conf", "MaxAuthTries 3\nAllowUsers a b\n"),
        ("etc/ssh/sshd_config.d/30.conf.bak", "UsePAM no\n"),
    ]);
    let section = collect(&root);
    let sshd = &section.body;
    assert_eq!(value(sshd, "permitrootlogin"), ["no"]);
    assert_eq!(value(sshd, "usepam"), ["yes"]);
    assert_eq!(value(sshd, "port"), ["22", "2222"]);
    assert_eq!(value(sshd, "allowusers"), ["a", "b"]);
    let login = values(&sshd.settings, "permitrootlogin")[0];
    assert_eq!(login.source, Source::File { path: "/etc/ssh/sshd_config.d/20.conf".to_owned(), line: 1 });
    assert_eq!(values(&sshd.settings, "x11forwarding")[0].source, Source::Default);
    assert_eq!(section.unknown, []);
}

#[test]
fn a_match_block_is_kept_apart_and_ends_with_the_included_file() {
    let root = tree::root(&[
        DEBIAN,
        (
            "etc/ssh/sshd_config",
            "Include a.conf\nPasswordAuthentication no\nMatch User backup\nInclude b.conf\nX11Forwarding no\n",
        ),
        ("etc/ssh/a.conf", "Match Address 10.0.0.0/8\n PasswordAuthentication yes\n"),
        ("etc/ssh/b.conf", "PermitTTY no\nMatch Group x\nPermitTTY yes\n"),
    ]);
    let sshd = collect(&root).body;
    assert_eq!(value(&sshd, "passwordauthentication"), ["no"]);
    let blocks: Vec<_> = sshd
        .matches
        .iter()
        .map(|block| {
            (block.criteria.as_str(), block.settings.iter().map(|set| set.key.as_str()).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(
        blocks,
        [
            ("Address 10.0.0.0/8", vec!["passwordauthentication"]),
            ("User backup", vec!["permittty", "x11forwarding"]),
            ("User backup Group x", vec!["permittty"]),
        ]
    );
}

#[test]
fn defaults_of_another_build_are_unknown() {
    let root =
        tree::root(&[("etc/ssh/sshd_config", "UsePAM yes\n"), ("etc/default/ssh", "SSHD_OPTS=\"-4\"\n")]);
    let section = collect(&root);
    assert_eq!(section.body.settings.len(), 1);
    let unseen: Vec<_> = section.unknown.iter().map(|unseen| unseen.what.as_str()).collect();
    assert_eq!(
        unseen,
        ["options on sshd's command line from /etc/default/ssh", "settings that nothing sets"]
    );
}

#[test]
fn an_include_that_includes_itself_ends() {
    let root = tree::root(&[DEBIAN, ("etc/ssh/sshd_config", "Include sshd_config\n")]);
    assert_eq!(collect(&root).unknown[0].reason, Reason::Unsupported);
}

#[test]
fn a_host_without_sshd_has_no_settings_and_nothing_unknown() {
    assert_eq!(collect(&tree::root(&[])), Section::new(Sshd::default()));
}

#[test]
fn a_keyword_alone_is_named() {
    let root = tree::root(&[DEBIAN, ("etc/ssh/sshd_config", "\nUsePAM\n")]);
    assert_eq!(collect(&root).unknown[0].what, "/etc/ssh/sshd_config:2");
}

#[test]
fn this_host_tells_the_same_twice() {
    tree::is_stable(|| collect(&Root::host()));
}
