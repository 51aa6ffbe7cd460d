//! The `modules` section: loaded kernel modules, and what modprobe is told of others.

use bartizan_core::fact::Section;
use bartizan_core::fact::module::{Modules, Replaced, Rule};
use bartizan_core::verdict::Reason;

use crate::look::{TABLE, layered, text};
use crate::root::Root;

/// Where modprobe.d(5) looks, the earlier folder's file before the later's.
const FOLDERS: [&str; 5] = [
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
];

pub fn collect(root: &Root) -> Section<Modules> {
    let mut section = Section::new(Modules::default());
    if root.is_host() {
        // A kernel without modules has no such file.
        let table = text(root, "/proc/modules", TABLE, &mut section).unwrap_or_default();
        let mut loaded: Vec<String> =
            table.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
        loaded.sort();
        section.body.loaded = loaded;
    } else {
        section.miss("loaded modules", Reason::Unsupported);
    }
    for (text, file) in layered(root, &FOLDERS, ".conf", &mut section) {
        read(&text, &file, &mut section.body);
    }
    section.body.blacklisted.sort();
    section.body.blacklisted.dedup_by(|later, earlier| later.name == earlier.name);
    section.body.replaced.sort();
    section
}

fn read(text: &str, file: &str, modules: &mut Modules) {
    // A line that ends in a backslash goes on in the next.
    let text = text.replace("\\\n", " ");
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(verb), Some(name)) = (words.next(), words.next()) else { continue };
        // To modprobe, `-` and `_` are one.
        let (name, file) = (name.replace('-', "_"), file.to_owned());
        match (verb, words.next()) {
            ("blacklist", _) => modules.blacklisted.push(Rule { name, file }),
            ("install", Some(program)) => {
                modules.replaced.push(Replaced { name, program: program.to_owned(), file });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree;

    #[test]
    fn the_file_in_etc_hides_its_namesake_and_a_link_to_null_hides_it_whole() {
        let root = tree::root(&[
            ("etc/modprobe.d/a.conf", "blacklist usb-storage\ninstall cramfs /bin/false\n#blacklist x\n"),
            ("usr/lib/modprobe.d/a.conf", "blacklist hidden\n"),
            ("etc/modprobe.d/b.conf", "-> /dev/null"),
            ("usr/lib/modprobe.d/b.conf", "blacklist masked\n"),
            ("usr/lib/modprobe.d/c.conf", "install dccp \\\n  /bin/true --quiet\nblacklist usb_storage"),
            ("usr/lib/modprobe.d/readme", "blacklist no\n"),
        ]);
        let section = collect(&root);
        let modules = section.body;
        assert_eq!(
            modules.blacklisted,
            [Rule { name: "usb_storage".to_owned(), file: "/etc/modprobe.d/a.conf".to_owned() }]
        );
        let replaced: Vec<_> =
            modules.replaced.iter().map(|module| (module.name.as_str(), module.program.as_str())).collect();
        assert_eq!(replaced, [("cramfs", "/bin/false"), ("dccp", "/bin/true")]);
        assert_eq!(section.unknown[0].reason, Reason::Unsupported);
    }

    #[test]
    fn this_host_tells_the_same_twice() {
        tree::is_stable(|| collect(&Root::host()));
    }
}
