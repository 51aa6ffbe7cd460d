//! Section `sshd` of a simulated host.

use bartizan_core::fact::ssh::{HostKey, Match, Setting, Source, Sshd};

use super::super::population::{Plan, Purpose};

/// Where the settings stand.
const FILE: &str = "/etc/ssh/sshd_config";

/// The settings that the server would run with; `root_login` where somebody let root in.
pub(super) fn sshd(plan: &Plan, root_login: bool) -> Sshd {
    let root = if root_login { "yes" } else { "no" };
    let passwords = if plan.service == "office" { "yes" } else { "no" };
    let tries = if plan.service == "shop" { "3" } else { "4" };
    let written = [
        ("maxauthtries", tries),
        ("passwordauthentication", passwords),
        ("permitrootlogin", root),
        ("x11forwarding", "no"),
    ];
    let setting = |(line, (key, value)): (u32, (&str, &str))| Setting {
        key: key.to_owned(),
        value: value.to_owned(),
        source: Source::File { path: FILE.to_owned(), line },
    };
    let mut settings: Vec<Setting> = (12..).zip(written).map(setting).collect();
    settings.push(Setting {
        key: "strictmodes".to_owned(),
        value: "yes".to_owned(),
        source: Source::Default,
    });
    settings.sort();
    let files = vec![FILE.to_owned()];
    let matches = (plan.purpose == Purpose::Files).then(|| Match {
        criteria: "User scanner".to_owned(),
        path: FILE.to_owned(),
        line: 40,
        settings: vec![setting((41, ("passwordauthentication", "yes")))],
    });
    let key = HostKey {
        path: "/etc/ssh/ssh_host_ed25519_key.pub".to_owned(),
        kind: "ssh-ed25519".to_owned(),
        bits: None,
        fingerprint: fingerprint(plan),
    };
    Sshd { installed: true, files, settings, matches: matches.into_iter().collect(), host_keys: vec![key] }
}

/// As ssh-keygen prints one: letters that differ from host to host.
fn fingerprint(plan: &Plan) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |place: usize| {
        let number = plan.roll(&format!("host key {place}"), 64);
        usize::try_from(number)
            .ok()
            .and_then(|number| LETTERS.get(number))
            .map_or('A', |byte| char::from(*byte))
    };
    format!("SHA256:{}", (0..43).map(letter).collect::<String>())
}
