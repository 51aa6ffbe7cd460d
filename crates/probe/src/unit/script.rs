//! Scripts of System V init, and the run levels that start and stop them.

use bartizan_core::digest::Digest;
use bartizan_core::fact::Section;
use bartizan_core::fact::unit::{Script, Units};

use crate::look::{names, note};
use crate::root::{CONFIGURATION, Root};

const LEVELS: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "S"];

/// Files in `/etc/init.d` that are no service's.
const NO_SCRIPTS: [&str; 4] = ["README", "skeleton", "functions", "rc"];

pub(super) fn read(root: &Root, section: &mut Section<Units>) -> Vec<Script> {
    let links: Vec<(&str, Vec<String>)> =
        LEVELS.iter().map(|level| (*level, names(root, &format!("/etc/rc{level}.d"), section))).collect();
    let mut scripts = Vec::new();
    for name in names(root, "/etc/init.d", section) {
        if NO_SCRIPTS.contains(&name.as_str()) || name.starts_with('.') {
            continue;
        }
        let path = format!("/etc/init.d/{name}");
        let digest = match root.read(&path, CONFIGURATION) {
            Ok(bytes) => Some(Digest::of_bytes(&bytes)),
            Err(error) => {
                note(&path, &error, section);
                None
            }
        };
        let levels = |sign: char| {
            let has = |links: &[String]| links.iter().any(|link| is_link(link, sign, &name));
            links.iter().filter(|(_, links)| has(links)).map(|(level, _)| (*level).to_owned()).collect()
        };
        scripts.push(Script { digest, started_in: levels('S'), stopped_in: levels('K'), name });
    }
    scripts
}

/// `S01cron`: the sign, two digits of order, the script's name.
fn is_link(link: &str, sign: char, name: &str) -> bool {
    link.strip_prefix(sign)
        .and_then(|rest| rest.split_at_checked(2))
        .is_some_and(|(order, script)| order.bytes().all(|b| b.is_ascii_digit()) && script == name)
}
