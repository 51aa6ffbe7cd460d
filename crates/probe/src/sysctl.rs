//! The `sysctl` section: live and configured values of the keys that matter for security.

use bartizan_core::fact::Section;
use bartizan_core::fact::sysctl::{Configured, Sysctl};
use bartizan_core::verdict::Reason;

use crate::look::{ATTRIBUTE, layered, note};
use crate::root::{CONFIGURATION, Error, Root};

/// The keys that are read: memory and process protection, file system links, then the network.
pub const KEYS: [&str; 64] = [
    "dev.tty.ldisc_autoload",
    "fs.protected_fifos",
    "fs.protected_hardlinks",
    "fs.protected_regular",
    "fs.protected_symlinks",
    "fs.suid_dumpable",
    "kernel.apparmor_restrict_unprivileged_userns",
    "kernel.core_pattern",
    "kernel.core_uses_pid",
    "kernel.ctrl-alt-del",
    "kernel.dmesg_restrict",
    "kernel.io_uring_disabled",
    "kernel.kexec_load_disabled",
    "kernel.kptr_restrict",
    "kernel.modprobe",
    "kernel.modules_disabled",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.perf_event_paranoid",
    "kernel.randomize_va_space",
    "kernel.sysrq",
    "kernel.unprivileged_bpf_disabled",
    "kernel.unprivileged_userns_clone",
    "kernel.yama.ptrace_scope",
    "net.core.bpf_jit_enable",
    "net.core.bpf_jit_harden",
    "net.ipv4.conf.all.accept_redirects",
    "net.ipv4.conf.all.accept_source_route",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.all.forwarding",
    "net.ipv4.conf.all.log_martians",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.all.secure_redirects",
    "net.ipv4.conf.all.send_redirects",
    "net.ipv4.conf.default.accept_redirects",
    "net.ipv4.conf.default.accept_source_route",
    "net.ipv4.conf.default.log_martians",
    "net.ipv4.conf.default.rp_filter",
    "net.ipv4.conf.default.secure_redirects",
    "net.ipv4.conf.default.send_redirects",
    "net.ipv4.icmp_echo_ignore_all",
    "net.ipv4.icmp_echo_ignore_broadcasts",
    "net.ipv4.icmp_ignore_bogus_error_responses",
    "net.ipv4.ip_forward",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_rfc1337",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_timestamps",
    "net.ipv6.conf.all.accept_ra",
    "net.ipv6.conf.all.accept_redirects",
    "net.ipv6.conf.all.accept_source_route",
    "net.ipv6.conf.all.disable_ipv6",
    "net.ipv6.conf.all.forwarding",
    "net.ipv6.conf.default.accept_ra",
    "net.ipv6.conf.default.accept_redirects",
    "net.ipv6.conf.default.accept_source_route",
    "net.ipv6.conf.default.disable_ipv6",
    "net.ipv6.conf.default.router_solicitations",
    "user.max_user_namespaces",
    "vm.mmap_min_addr",
    "vm.mmap_rnd_bits",
    "vm.overcommit_memory",
    "vm.swappiness",
    "vm.unprivileged_userfaultfd",
];

/// Where sysctl.d(5) looks, the earlier folder's file before the later's.
const FOLDERS: [&str; 5] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];

/// Read after all others by procps, and by systemd through a link in `/etc/sysctl.d`.
const LAST: &str = "/etc/sysctl.conf";

pub fn collect(root: &Root) -> Section<Sysctl> {
    let mut section = Section::new(Sysctl::default());
    if root.is_host() {
        read(root, &mut section);
    } else {
        section.miss("live settings", Reason::Unsupported);
    }
    let mut files = layered(root, &FOLDERS, ".conf", &mut section);
    let last = crate::look::text(root, LAST, CONFIGURATION, &mut section);
    files.extend(last.map(|text| (text, LAST.to_owned())));
    for (text, file) in files {
        configured(&text, &file, &mut section.body);
    }
    section
}

fn read(root: &Root, section: &mut Section<Sysctl>) {
    for key in KEYS {
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        match root.read_text(&path, ATTRIBUTE) {
            Ok(value) => {
                let words: Vec<_> = value.text.split_ascii_whitespace().collect();
                section.body.live.insert(key.to_owned(), words.join(" "));
            }
            // Some keys give no value to whoever may not set them.
            Err(Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::InvalidInput => {
                section.miss(path, Reason::Denied);
            }
            Err(error) => note(&path, &error, section),
        }
    }
}

fn configured(text: &str, file: &str, sysctl: &mut Sysctl) {
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        // A leading dash forgives a failure; keys may be written with slashes.
        let key = key.trim().trim_start_matches('-').replace('/', ".");
        if KEYS.contains(&key.as_str()) {
            let words: Vec<_> = value.split_ascii_whitespace().collect();
            sysctl.configured.insert(key, Configured { value: words.join(" "), file: file.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn the_file_that_is_read_last_has_the_last_word() {
        let root = tree::root(&[
            ("etc/sysctl.d/10-a.conf", "kernel.sysrq = 0\n-net/ipv4/ip_forward=1\n# kernel.panic = 1\n"),
            ("usr/lib/sysctl.d/50-b.conf", "kernel.sysrq=438\nkernel.unheard_of=1\n"),
            ("etc/sysctl.conf", "; a comment\nnet.ipv4.ip_forward = 0\n"),
        ]);
        let section = collect(&root);
        let seen: Vec<_> = section
            .body
            .configured
            .iter()
            .map(|(key, set)| (key.as_str(), set.value.as_str(), set.file.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                ("kernel.sysrq", "438", "/usr/lib/sysctl.d/50-b.conf"),
                ("net.ipv4.ip_forward", "0", "/etc/sysctl.conf"),
            ]
        );
        assert_eq!(section.unknown[0].reason, Reason::Unsupported);
    }

    #[test]
    fn live_values_have_single_spaces_and_missing_keys_are_missing() {
        let root = tree::root(&[("proc/sys/kernel/core_pattern", "|/bin/x\t%p \n")]);
        let mut section = Section::new(Sysctl::default());
        read(&root, &mut section);
        assert_eq!(
            section.body.live.into_iter().collect::<Vec<_>>(),
            [("kernel.core_pattern".to_owned(), "|/bin/x %p".to_owned())]
        );
        assert_eq!(section.unknown, []);
    }

    #[test]
    fn the_keys_are_sorted_and_each_stands_once() {
        assert!(KEYS.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn this_host_has_most_of_the_keys() {
        let section = collect(&Root::host());
        assert!(section.body.live.len() > 30, "{}", section.body.live.len());
    }
}
