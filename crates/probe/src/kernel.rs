//! The `kernel` section: what runs, what is installed, what is patched live.

use std::collections::BTreeMap;

use bartizan_core::fact::Section;
use bartizan_core::fact::kernel::{Installed, Kernel, LivePatch, Running};
use bartizan_core::verdict::Reason;

use crate::look::{attribute, names};
use crate::root::Root;

/// What a kernel image's name begins with; the rest is its release.
const IMAGES: [&str; 3] = ["vmlinuz-", "vmlinux-", "Image-"];

/// Endings that package managers give to files they moved aside.
const ASIDE: [&str; 4] = [".old", ".bak", ".dpkg-bak", ".rpmsave"];

pub fn collect(root: &Root) -> Section<Kernel> {
    let mut section = Section::new(Kernel::default());
    section.body.installed = installed(root, &mut section);
    if root.is_host() {
        running(root, &mut section);
    } else {
        section.miss("running kernel", Reason::Unsupported);
    }
    section
}

fn running(root: &Root, section: &mut Section<Kernel>) {
    let release = attribute(root, "/proc/sys/kernel/osrelease", section);
    let version = attribute(root, "/proc/sys/kernel/version", section);
    let line = attribute(root, "/proc/cmdline", section);
    section.body.running = match (release, version) {
        (Some(release), Some(version)) => {
            Some(Running { release, version, parameters: parameters(&line.unwrap_or_default()) })
        }
        _ => {
            section.miss("running kernel", Reason::Error);
            None
        }
    };
    for name in names(root, "/sys/kernel/livepatch", section) {
        let path = format!("/sys/kernel/livepatch/{name}/enabled");
        let enabled = attribute(root, &path, section).is_some_and(|value| value == "1");
        section.body.live_patches.push(LivePatch { name, enabled });
    }
}

fn installed(root: &Root, section: &mut Section<Kernel>) -> Vec<Installed> {
    // Release → whether there is an image, whether there are modules.
    let mut releases: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for name in names(root, "/boot", section) {
        let release = IMAGES.iter().find_map(|prefix| name.strip_prefix(prefix));
        if let Some(release) = release.filter(|release| !ASIDE.iter().any(|end| release.ends_with(end))) {
            releases.entry(release.to_owned()).or_default().0 = true;
        }
    }
    for release in names(root, "/lib/modules", section) {
        // Fedora and its kin keep the image beside the modules.
        let image = root.exists(format!("/lib/modules/{release}/vmlinuz"));
        let entry = releases.entry(release).or_default();
        entry.0 |= image;
        entry.1 = true;
    }
    releases.into_iter().map(|(release, (image, modules))| Installed { release, image, modules }).collect()
}

/// The boot command line, split at white space outside double quotes.
fn parameters(line: &str) -> Vec<String> {
    let mut quoted = false;
    line.split(|c: char| {
        quoted ^= c == '"';
        c.is_ascii_whitespace() && !quoted
    })
    .filter(|word| !word.is_empty())
    .map(str::to_owned)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn a_kernel_is_installed_by_its_image_or_its_modules() {
        let root = tree::root(&[
            ("boot/vmlinuz-6.1.0-2-amd64", ""),
            ("boot/vmlinuz-6.1.0-1-amd64.dpkg-bak", ""),
            ("lib/modules/6.1.0-2-amd64/modules.dep", ""),
            ("lib/modules/6.1.0-1-amd64/modules.dep", ""),
            ("lib/modules/6.8.5-fc40/vmlinuz", ""),
        ]);
        let section = collect(&root);
        let seen: Vec<_> = section
            .body
            .installed
            .iter()
            .map(|kernel| (kernel.release.as_str(), kernel.image, kernel.modules))
            .collect();
        assert_eq!(
            seen,
            [("6.1.0-1-amd64", false, true), ("6.1.0-2-amd64", true, true), ("6.8.5-fc40", true, true)]
        );
    }

    #[test]
    fn another_root_has_no_running_kernel_and_says_so() {
        let section = collect(&tree::root(&[]));
        assert_eq!(section.body, Kernel::default());
        assert_eq!(section.unknown[0].reason, Reason::Unsupported);
    }

    #[test]
    fn a_quoted_parameter_keeps_its_spaces() {
        assert_eq!(parameters("quiet  dyndbg=\"file a.c +p\" ro"), ["quiet", "dyndbg=\"file a.c +p\"", "ro"]);
    }

    #[test]
    fn this_host_runs_a_kernel() {
        let section = collect(&Root::host());
        let running = section.body.running.unwrap();
        assert!(running.release.starts_with(|c: char| c.is_ascii_digit()), "{}", running.release);
    }
}
