use super::*;
use crate::query::tree::Tree;
use bartizan_core::configuration::baseline::{Example, ExampleFile};

/// Each view as `name: keyword=value …` for the keywords asked for.
fn shown(files: &[(&str, &str)], keywords: &[&str]) -> Vec<String> {
    let file = |(path, text): &(&str, &str)| ((*path).to_owned(), ExampleFile::Text((*text).to_owned()));
    let tree = Tree::of(&Example { files: files.iter().map(file).collect(), ..Example::default() });
    let show = |item: &Item| {
        let pairs = keywords.iter().map(|keyword| match item.fields.get(*keyword) {
            Some(field) => format!("{keyword}={field}"),
            None => format!("{keyword} absent"),
        });
        format!("{}: {}", item.object, pairs.collect::<Vec<_>>().join(" "))
    };
    match views(&tree, Some("1:9.2p1-2+deb12u6")) {
        Ok(items) => items.iter().map(show).collect(),
        Err(unseen) => vec![format!("{}: {}", unseen.reason, unseen.message)],
    }
}

#[test]
fn the_first_value_counts_and_defaults_fill_the_rest() {
    let text = "permitrootlogin no\nPermitRootLogin yes\nLoginGraceTime 1m\n";
    let seen = shown(&[(FILE, text)], &["permitrootlogin", "logingracetime", "x11forwarding", "allowusers"]);
    assert_eq!(
        seen,
        ["sshd_config: permitrootlogin=no logingracetime=60 x11forwarding=no allowusers absent"]
    );
}

#[test]
fn of_two_limits_for_starting_connections_the_last_counts() {
    let seen = shown(&[(FILE, "MaxStartups 10:30:60\nMaxStartups 5\n")], &["maxstartups"]);
    assert_eq!(seen, ["sshd_config: maxstartups=5:30:5"]);
}

#[test]
fn included_files_are_read_where_they_are_included_in_the_order_of_their_names() {
    let files = [
        (FILE, "Include sshd_config.d/*.conf /etc/other\nPermitRootLogin yes\nMaxAuthTries 5\n"),
        ("/etc/ssh/sshd_config.d/20-b.conf", "PermitRootLogin without-password\n"),
        ("/etc/ssh/sshd_config.d/10-a.conf", "MaxAuthTries 3\n"),
        ("/etc/ssh/sshd_config.d/00-x.bak", "MaxAuthTries 1\n"),
    ];
    let seen = shown(&files, &["permitrootlogin", "maxauthtries"]);
    assert_eq!(seen, ["sshd_config: permitrootlogin=prohibit-password maxauthtries=3"]);
}

#[test]
fn each_match_block_is_a_view_of_its_own_over_the_global_one() {
    let files = [
        (FILE, "PermitRootLogin no\nInclude m.conf\nX11Forwarding yes\nMatch User git\n X11Forwarding no\n"),
        ("/etc/ssh/m.conf", "Match Address 10.0.0.0/8\nPermitRootLogin yes\n"),
    ];
    let seen = shown(&files, &["permitrootlogin", "x11forwarding"]);
    assert_eq!(
        seen,
        [
            "sshd_config: permitrootlogin=no x11forwarding=yes",
            "/etc/ssh/m.conf:1 Match Address 10.0.0.0/8: permitrootlogin=yes x11forwarding=yes",
            "/etc/ssh/sshd_config:4 Match User git: permitrootlogin=no x11forwarding=no",
        ]
    );
}

#[test]
fn users_of_several_lines_add_up() {
    let seen = shown(&[(FILE, "AllowUsers a b\nallowusers c\n")], &["allowusers"]);
    assert_eq!(seen, ["sshd_config: allowusers=a,b,c"]);
}

#[test]
fn no_configuration_gives_no_view_and_a_broken_or_endless_one_is_unparsable() {
    assert!(shown(&[], &[]).is_empty());
    assert!(shown(&[(FILE, "Banner \"x\n")], &[])[0].starts_with("unparsable: /etc/ssh/sshd_config:1"));
    assert!(shown(&[(FILE, "Include sshd_config\n")], &[])[0].starts_with("unparsable"));
}

#[test]
fn what_nothing_sets_is_unknown_for_another_build_and_all_is_with_options_on_the_command_line() {
    let file = |path: &str, text: &str| (path.to_owned(), ExampleFile::Text(text.to_owned()));
    let mut files = vec![file(FILE, "PermitRootLogin no\nCiphers +x\n")];
    let tree = |files: &[(String, ExampleFile)]| {
        Tree::of(&Example { files: files.iter().cloned().collect(), ..Example::default() })
    };
    let items = views(&tree(&files), Some("1:10.0p1-7")).unwrap();
    let shown = ["permitrootlogin", "ciphers", "usepam"].map(|keyword| items[0].fields[keyword].to_string());
    assert_eq!(shown, ["no", "unknown: unsupported", "unknown: unsupported"]);
    files.push(file("/etc/default/ssh", "SSHD_OPTS=\"-o PermitRootLogin=yes\"\n"));
    assert_eq!(views(&tree(&files), None).unwrap_err().reason, Reason::Unsupported);
}
