//! Kernel parameters: in force now, and configured for the next boot.

use bartizan_core::configuration::evaluate::{Field, Item};
use bartizan_core::verdict::Reason;

use super::Answer;
use super::view::{self, View};
use crate::root::Error;

/// The folders of sysctl.d(5), the first that has a file of some name wins.
const FOLDERS: [&str; 5] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];

/// One item: `live` from `/proc/sys`, `configured` from sysctl.d.
pub(super) fn parameter(view: &dyn View, key: &str) -> Answer {
    let item = Item::new(format!("sysctl {key}"));
    let item = item.with_some("live", live(view, key));
    let configured = match configured(view, key) {
        Ok(value) => value.map(Field::from),
        Err(error) => Some(error.reason().into()),
    };
    Ok(vec![item.with_some("configured", configured)])
}

/// The file of a parameter below `/proc/sys`. As sysctl.d(5) has it, the first separator decides
/// whether `.` or `/` parts the key.
pub(super) fn path(key: &str) -> String {
    match key.find(['.', '/']).and_then(|at| key.get(at..=at)) {
        Some(".") => key
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
        _ => key.to_owned(),
    }
}

fn live(view: &dyn View, key: &str) -> Option<Field> {
    match view.text(&format!("/proc/sys/{}", path(key))) {
        Ok(text) => Some(one_line(&text).into()),
        Err(Error::Missing { .. }) => match view::exists(view, "/proc/sys") {
            Ok(true) => None,
            // Without a kernel in view nobody can say what is in force.
            Ok(false) => Some(Reason::Unsupported.into()),
            Err(error) => Some(error.reason().into()),
        },
        Err(error) => Some(error.reason().into()),
    }
}

/// Values with several numbers stand with one space between them.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The value that systemd-sysctl would set at boot. A line that names the key counts more than one
/// whose pattern matches it; `-key` without a value keeps patterns off it.
fn configured(view: &dyn View, key: &str) -> Result<Option<String>, Error> {
    let wanted = path(key);
    let mut named = None;
    let mut pattern = None;
    let mut kept_off = false;
    for file in view::drop_ins(view, &FOLDERS, ".conf")? {
        let Some(text) = view::optional(view, &file)? else { continue };
        for (_, line) in view::lines(&text).filter(|(_, line)| !line.starts_with(';')) {
            let (name, value) = match line.split_once('=') {
                Some((name, value)) => (name.trim(), Some(one_line(value))),
                None => (line, None),
            };
            let (optional, name) = match name.strip_prefix('-') {
                Some(name) => (true, path(name.trim())),
                None => (false, path(name)),
            };
            match value {
                Some(value) if name == wanted => named = Some(value),
                Some(value) if name.contains(['*', '?']) && matches_each(&name, &wanted) => {
                    pattern = Some(value);
                }
                None if optional && name == wanted => kept_off = true,
                _ => {}
            }
        }
    }
    Ok(named.or(if kept_off { None } else { pattern }))
}

/// Whether a pattern matches a path component by component.
fn matches_each(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(&path).all(|(pattern, part)| view::matches(pattern, part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::tree::Tree;
    use bartizan_core::configuration::baseline::{Example, ExampleFile};

    fn item(files: &[(&str, &str)], key: &str) -> Item {
        let text = |text: &str| ExampleFile::Text(text.to_owned());
        let files = files.iter().map(|(path, content)| ((*path).to_owned(), text(content)));
        let tree = Tree::of(&Example { files: files.collect(), ..Example::default() });
        parameter(&tree, key).unwrap().remove(0)
    }

    fn field(item: &Item, name: &str) -> String {
        item.fields.get(name).map_or("absent".to_owned(), ToString::to_string)
    }

    #[test]
    fn the_last_line_by_file_name_counts_and_a_folder_hides_a_later_ones_file() {
        let files = [
            ("/usr/lib/sysctl.d/50-a.conf", "kernel.x = 1\nkernel.y = 1\n"),
            ("/etc/sysctl.d/50-a.conf", "kernel/x=2\n"),
            ("/etc/sysctl.d/60-b.conf", "-kernel.x =\t3 4\n; kernel.x = 9\n"),
            ("/proc/sys/kernel/x", "3\t4\n"),
        ];
        let found = item(&files, "kernel.x");
        assert_eq!((field(&found, "configured"), field(&found, "live")), ("3 4".into(), "3 4".into()));
        let found = item(&files, "kernel.y");
        assert_eq!((field(&found, "configured"), field(&found, "live")), ("absent".into(), "absent".into()));
    }

    #[test]
    fn a_named_key_outweighs_a_pattern_and_a_dash_keeps_patterns_off() {
        let text =
            "net.ipv4.conf.all.rp_filter = 1\nnet.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.eth0.rp_filter\n";
        let files = [("/etc/sysctl.d/a.conf", text)];
        for (interface, expected) in [("all", "1"), ("default", "2"), ("eth0", "absent")] {
            let key = format!("net.ipv4.conf.{interface}.rp_filter");
            assert_eq!(field(&item(&files, &key), "configured"), expected, "{interface}");
        }
    }

    #[test]
    fn a_slash_key_keeps_the_dots_of_an_interface() {
        assert_eq!(path("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
        assert_eq!(path("net/ipv4/conf/eth0.1/rp_filter"), "net/ipv4/conf/eth0.1/rp_filter");
        assert_eq!(path("net.ipv4.conf.eth0/1.rp_filter"), "net/ipv4/conf/eth0.1/rp_filter");
    }

    #[test]
    fn without_a_kernel_in_view_the_live_value_is_unknown() {
        assert_eq!(field(&item(&[], "kernel.x"), "live"), "unknown: unsupported");
    }
}
