//! Kernel modules: loaded now, kept out by modprobe.d.

use bartizan_core::configuration::evaluate::{Field, Item};

use super::view::{self, View};
use super::{Answer, Unseen};
use crate::root::Error;

/// The folders of modprobe.d(5), the first that has a file of some name wins.
const FOLDERS: [&str; 5] = [
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
];

/// One item: loaded, disabled, blacklisted.
pub(super) fn module(view: &dyn View, name: &str) -> Answer {
    let wanted = plain(name);
    let loaded = match view.text("/proc/modules") {
        Ok(text) => {
            let names = text.lines().filter_map(|line| line.split_whitespace().next());
            Field::from(names.map(plain).any(|loaded| loaded == wanted))
        }
        Err(Error::Missing { .. }) => Unseen::unsupported("").reason.into(),
        Err(error) => error.reason().into(),
    };
    let (mut disabled, mut blacklisted) = (false, false);
    for file in view::drop_ins(view, &FOLDERS, ".conf")? {
        let Some(text) = view::optional(view, &file)? else { continue };
        for (_, line) in view::lines(&text) {
            let mut words = line.split_whitespace();
            let (verb, module, program) = (words.next(), words.next(), words.next());
            if module.map(plain).as_deref() != Some(wanted.as_str()) {
                continue;
            }
            match (verb, program) {
                (Some("blacklist"), _) => blacklisted = true,
                (Some("install"), Some(program)) => {
                    disabled = matches!(program.rsplit('/').next(), Some("false" | "true"));
                }
                _ => {}
            }
        }
    }
    let item = Item::new(format!("module {name}"));
    Ok(vec![item.with("loaded", loaded).with("disabled", disabled).with("blacklisted", blacklisted)])
}

/// modprobe takes `-` and `_` for the same letter.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::tree::Tree;
    use bartizan_core::configuration::baseline::{Example, ExampleFile};

    #[test]
    fn a_module_is_kept_out_by_an_install_line_that_does_nothing() {
        let table = [
            ("install usb-storage /bin/false\n", "true", "false"),
            ("install usb_storage /usr/bin/true\nblacklist usb-storage\n", "true", "true"),
            ("install usb-storage /sbin/modprobe --ignore-install usb-storage\n", "false", "false"),
            ("# install usb-storage /bin/false\n", "false", "false"),
        ];
        for (text, disabled, blacklisted) in table {
            let files = [("/etc/modprobe.d/a.conf".to_owned(), ExampleFile::Text(text.to_owned()))];
            let modules = Some(vec!["usb_storage".to_owned()]);
            let tree = Tree::of(&Example { files: files.into(), modules, ..Example::default() });
            let item = module(&tree, "usb-storage").unwrap().remove(0);
            let field = |name: &str| item.fields[name].to_string();
            assert_eq!(
                [field("loaded"), field("disabled"), field("blacklisted")],
                ["true", disabled, blacklisted],
                "{text}"
            );
        }
    }
}
