//! Space and inodes of the file systems that can fill up.

use bartizan_core::monitoring::health::{Measure, Quantity};
use bartizan_core::verdict::Reason;
use nix::errno::Errno;
use nix::sys::statvfs::statvfs;

use super::{Reading, read, share};
use crate::root::Root;

/// File systems that hold nothing of their own, are full by nature, or may hang when asked.
const LEFT_OUT: [&str; 36] = [
    "9p",
    "afs",
    "autofs",
    "binfmt_misc",
    "bpf",
    "ceph",
    "cgroup",
    "cgroup2",
    "cifs",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.gvfsd-fuse",
    "fuse.portal",
    "fuse.sshfs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "ncpfs",
    "nfs",
    "nfs4",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "smb3",
    "squashfs",
    "sysfs",
    "tracefs",
    "udf",
];

/// Mounts whose contents are the kernel's or the service manager's own.
const PLACES_LEFT_OUT: [&str; 4] = ["/dev", "/proc", "/run/credentials", "/sys"];

/// The most mounts that are measured in one sample.
const MOUNTS_LIMIT: usize = 1_000;

pub(super) fn measure(root: &Root, readings: &mut Vec<Reading>) {
    let mounts = if root.is_host() { read(root, "/proc/self/mounts") } else { Err(Reason::Unsupported) };
    match mounts {
        Ok(text) => {
            for place in places(&text) {
                measure_place(&place, readings);
            }
        }
        Err(reason) => {
            readings.push(Reading::new(Measure::DiskUsed, "", Err(reason)));
            readings.push(Reading::new(Measure::InodesUsed, "", Err(reason)));
        }
    }
}

fn measure_place(place: &str, readings: &mut Vec<Reading>) {
    let found = match statvfs(place) {
        Ok(found) => found,
        Err(errno) => {
            let reason = if errno == Errno::EACCES { Reason::Denied } else { Reason::Error };
            return readings.push(Reading::new(Measure::DiskUsed, place, Err(reason)));
        }
    };
    let used = found.blocks().saturating_sub(found.blocks_free());
    let space = used_share(used, found.blocks_available());
    readings.extend(space.map(|space| Reading::new(Measure::DiskUsed, place, Ok(space))));
    let used = found.files().saturating_sub(found.files_free());
    let inodes = used_share(used, found.files_available());
    readings.extend(inodes.map(|inodes| Reading::new(Measure::InodesUsed, place, Ok(inodes))));
}

/// As df counts: what is used, of what is used or may be had without privilege.
fn used_share(used: u64, available: u64) -> Option<Quantity> {
    share(used, used.checked_add(available)?)
}

/// The mount points to measure, each once; the last mount on a point is the one in view.
fn places(mounts: &str) -> Vec<String> {
    let mut places: Vec<String> = Vec::new();
    let mut devices: Vec<&str> = Vec::new();
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(device), Some(place), Some(kind)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let place = unescape(place);
        let left_out = LEFT_OUT.contains(&kind)
            || PLACES_LEFT_OUT.iter().any(|left_out| {
                place.strip_prefix(left_out).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
        // A bind mount shows a file system that is measured already.
        let seen = device.starts_with('/') && devices.contains(&device);
        if left_out || seen || places.contains(&place) || places.len() >= MOUNTS_LIMIT {
            continue;
        }
        devices.push(device);
        places.push(place);
    }
    places
}

/// Blanks, tabs, line ends and backslashes stand in the table as octal escapes (fstab(5)).
fn unescape(word: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(word.to_owned(), |word, (escape, plain)| word.replace(escape, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_system_that_can_fill_up_is_measured_once() {
        let mounts = "\
/dev/vda1 / ext4 rw 0 0
proc /proc proc rw 0 0
tmpfs /dev/shm tmpfs rw 0 0
tmpfs /mnt/small\\040one tmpfs rw 0 0
/dev/vda1 /var/bind ext4 rw 0 0
server:/x /net nfs4 rw 0 0
/dev/sr0 /cd iso9660 ro 0 0
broken
";
        assert_eq!(places(mounts), ["/", "/mnt/small one"]);
    }

    #[test]
    fn what_is_kept_for_root_counts_as_full() {
        assert_eq!(used_share(95, 0), Some(Quantity::Share(10_000)));
        assert_eq!(used_share(0, 0), None, "an empty file system has no share");
    }
}
