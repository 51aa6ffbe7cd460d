//! The `mounts` section: what is mounted, and what `/etc/fstab` asks for.

use bartizan_core::fact::Section;
use bartizan_core::fact::mount::{Configured, Mount, Mounts};
use bartizan_core::verdict::Reason;

use crate::look::{TABLE, text};
use crate::root::{CONFIGURATION, Root};

/// Options whose value is a secret (mount.cifs(8), mount.davfs(8), s3fs).
const SECRET: [&str; 6] = ["password", "password2", "pass", "passwd", "passwd_file", "secret"];

/// Mounts that are kept; a host with more has lost control of them.
const MOUNTS_LIMIT: usize = 50_000;

pub fn collect(root: &Root) -> Section<Mounts> {
    let mut section = Section::new(Mounts::default());
    if root.is_host() {
        read(root, &mut section);
    } else {
        section.miss("mounted file systems", Reason::Unsupported);
    }
    let table = text(root, "/etc/fstab", CONFIGURATION, &mut section).unwrap_or_default();
    section.body.configured = table.lines().filter_map(configured).collect();
    section
}

fn read(root: &Root, section: &mut Section<Mounts>) {
    let Some(table) = text(root, "/proc/self/mountinfo", TABLE, section) else {
        return section.miss("mounted file systems", Reason::Error);
    };
    for line in table.lines() {
        if section.body.mounted.len() == MOUNTS_LIMIT {
            return section.miss(format!("mounts after the first {MOUNTS_LIMIT}"), Reason::Unsupported);
        }
        match mounted(line) {
            Some(mount) => section.body.mounted.push(mount),
            None => section.miss("/proc/self/mountinfo", Reason::Unparsable),
        }
    }
    section.body.mounted.sort_by(|a, b| a.point.cmp(&b.point));
}

/// A line of proc_pid_mountinfo(5).
fn mounted(line: &str) -> Option<Mount> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (folder, point, options) = (mount.next()?, mount.next()?, mount.next()?);
    let mut filesystem = filesystem.split(' ');
    let (kind, source) = (filesystem.next()?, filesystem.next()?);
    let own: Vec<&str> = options.split(',').collect();
    let below: Vec<&str> = filesystem.next().unwrap_or_default().split(',').collect();
    let read_only = own.contains(&"ro") || below.contains(&"ro");
    let mut options: Vec<String> = own
        .into_iter()
        .chain(below)
        .filter(|option| !(option.is_empty() || read_only && *option == "rw"))
        .map(|option| without_secret(&unescape(option)))
        .collect();
    options.sort();
    options.dedup();
    Some(Mount {
        point: unescape(point),
        source: unescape(source),
        kind: kind.to_owned(),
        folder: unescape(folder),
        options,
    })
}

/// A line of fstab(5).
fn configured(line: &str) -> Option<Configured> {
    let mut fields = line.split_ascii_whitespace();
    let source = fields.next().filter(|source| !source.starts_with('#'))?;
    let (point, kind) = (fields.next()?, fields.next()?);
    let options = fields.next().unwrap_or("defaults");
    Some(Configured {
        point: unescape(point),
        source: unescape(source),
        kind: kind.to_owned(),
        options: options.split(',').map(|option| without_secret(&unescape(option))).collect(),
    })
}

/// An option as it may be shown: of one with a secret only the name.
fn without_secret(option: &str) -> String {
    match option.split_once('=') {
        Some((name, _)) if SECRET.contains(&name) => name.to_owned(),
        _ => option.to_owned(),
    }
}

/// Takes back the octal escapes of white space and backslash: `\040` is a space.
fn unescape(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        match code {
            Some(code) => {
                plain.push(char::from(code));
                plain.push_str(part.get(3..).unwrap_or_default());
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn a_mount_has_the_options_of_itself_and_of_its_file_system() {
        let mount =
            mounted("36 35 98:0 /data /mnt/a\\040b ro,noatime shared:1 - ext4 /dev/sda1 rw,errors=continue")
                .unwrap();
        assert_eq!((mount.point.as_str(), mount.folder.as_str()), ("/mnt/a b", "/data"));
        assert_eq!((mount.kind.as_str(), mount.source.as_str()), ("ext4", "/dev/sda1"));
        // Mounted read-only here, whatever the file system is elsewhere.
        assert_eq!(mount.options, ["errors=continue", "noatime", "ro"]);
        assert_eq!(mounted("36 35 98:0 / /mnt"), None);
    }

    #[test]
    fn a_password_in_fstab_is_not_kept() {
        let root = tree::root(&[(
            "etc/fstab",
            "# a comment\nUUID=1 / ext4 defaults 0 1\n//nas/x /srv/x cifs ro,username=backup,password=hunter2\n\n",
        )]);
        let section = collect(&root);
        let [top, share] = section.body.configured.try_into().unwrap();
        assert_eq!(top.options, ["defaults"]);
        assert_eq!(share.options, ["ro", "username=backup", "password"]);
        assert_eq!(section.unknown[0].reason, Reason::Unsupported);
    }

    #[test]
    fn this_host_has_a_root_file_system_and_its_proc() {
        let mounts = collect(&Root::host()).body.mounted;
        assert!(mounts.iter().any(|mount| mount.point == "/"));
        assert!(mounts.iter().any(|mount| mount.kind == "proc"));
    }
}
