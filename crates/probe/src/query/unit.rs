//! Units of systemd, as its files tell.
//!
//! A unit is enabled where something wants or requires it, or where an init script starts it.
//! It is active where systemd exports an invocation for it (`/run/systemd/units`), which it
//! removes as soon as the unit is not.

use std::collections::BTreeSet;

use bartizan_core::configuration::evaluate::{Field, Item};
use bartizan_core::verdict::Reason;

use super::view::{self, View};
use super::{Answer, Unseen};
use crate::root::Error;

/// The folders of units, the first that has a unit wins (systemd.unit(5)).
const FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The folders of init scripts' links for the run levels with services.
const RUN_LEVELS: [&str; 4] = ["/etc/rc2.d", "/etc/rc3.d", "/etc/rc4.d", "/etc/rc5.d"];

/// One item: installed, enabled, active, masked.
pub(super) fn unit(view: &dyn View, name: &str, wanted: &Result<BTreeSet<String>, Unseen>) -> Answer {
    let vendor = view::exists(view, "/usr/lib/systemd/system")? || view::exists(view, "/lib/systemd/system")?;
    if !vendor {
        return Err(Unseen::unsupported("there are no units of systemd"));
    }
    let (mut installed, masked) = file(view, name)?;
    // `getty@tty1.service` is made from `getty@.service`.
    if let Some((template, instance)) = name.split_once('@').filter(|_| !installed && !masked)
        && let Some((_, suffix)) = instance.rsplit_once('.')
    {
        (installed, _) = file(view, &format!("{template}@.{suffix}"))?;
    }
    let script = name.strip_suffix(".service").unwrap_or(name);
    let script = view::exists(view, &format!("/etc/init.d/{script}"))?;
    let enabled = match wanted {
        Ok(wanted) => Field::from(!masked && (installed || script) && wanted.contains(name)),
        Err(unseen) => unseen.reason.into(),
    };
    let item = Item::new(format!("unit {name}"));
    let item = item.with("installed", installed || masked || script).with("masked", masked);
    Ok(vec![item.with("enabled", enabled).with("active", active(view, name))])
}

/// Whether there is a file of that name, and whether it is masked: the first folder decides.
fn file(view: &dyn View, name: &str) -> Result<(bool, bool), Error> {
    for folder in FOLDERS {
        match view.link(&format!("{folder}/{name}")) {
            Ok(link) => {
                let masked = link.as_deref() == Some("/dev/null");
                // A link that outlived its unit is none, and hides none.
                if masked || link.is_none() || view::exists(view, &format!("{folder}/{name}"))? {
                    return Ok((!masked, masked));
                }
            }
            Err(Error::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((false, false))
}

fn active(view: &dyn View, name: &str) -> Field {
    match view::exists(view, "/run/systemd/system") {
        Ok(true) => {}
        // Another init, or a container without one: nobody here knows what runs.
        Ok(false) => return Reason::Unsupported.into(),
        Err(error) => return error.reason().into(),
    }
    match view.names("/run/systemd/units") {
        Ok(names) => Field::from(names.contains(&format!("invocation:{name}"))),
        Err(Error::Missing { .. }) => Reason::Unsupported.into(),
        Err(error) => error.reason().into(),
    }
}

/// The names of all units that a `.wants` or `.requires` folder or a run level holds.
pub(super) fn wanted(view: &dyn View) -> Result<BTreeSet<String>, Unseen> {
    let mut wanted = BTreeSet::new();
    for folder in FOLDERS {
        for name in view::optional_names(view, folder)? {
            if name.ends_with(".wants") || name.ends_with(".requires") {
                wanted.extend(view::optional_names(view, &format!("{folder}/{name}"))?);
            }
        }
    }
    for folder in RUN_LEVELS {
        for name in view::optional_names(view, folder)? {
            let script =
                name.strip_prefix('S').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
            wanted.extend(script.map(|script| format!("{script}.service")));
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::tree::Tree;
    use bartizan_core::configuration::baseline::{Described, Example, ExampleFile, ExampleUnit};

    fn fields(tree: &Tree, name: &str) -> [String; 4] {
        let item = unit(tree, name, &wanted(tree)).unwrap().remove(0);
        ["installed", "enabled", "active", "masked"].map(|field| item.fields[field].to_string())
    }

    #[test]
    fn units_are_read_from_their_files() {
        let unit = |enabled, active, masked| ExampleUnit { enabled, active, masked };
        let units = [
            ("on.service".to_owned(), unit(true, true, false)),
            ("off.service".to_owned(), unit(false, false, false)),
            ("masked.service".to_owned(), unit(true, false, true)),
            ("made@.service".to_owned(), unit(false, false, false)),
        ];
        let tree = Tree::of(&Example { units: Some(units.into()), ..Example::default() });
        assert_eq!(fields(&tree, "on.service"), ["true", "true", "true", "false"]);
        assert_eq!(fields(&tree, "off.service"), ["true", "false", "false", "false"]);
        assert_eq!(fields(&tree, "masked.service"), ["true", "false", "false", "true"]);
        assert_eq!(fields(&tree, "made@one.service"), ["true", "false", "false", "false"]);
        assert_eq!(fields(&tree, "none.service"), ["false", "false", "false", "false"]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_no_unit() {
        let mut example = Example { units: Some([].into()), ..Example::default() };
        for (path, target) in [
            ("/etc/systemd/system/gone.service", "/lib/systemd/system/gone.service"),
            ("/etc/systemd/system/multi-user.target.wants/gone.service", "/lib/systemd/system/gone.service"),
        ] {
            let link = Described { link: Some(target.to_owned()), ..Described::default() };
            example.files.insert(path.to_owned(), ExampleFile::File(link));
        }
        let tree = Tree::of(&example);
        assert_eq!(fields(&tree, "gone.service"), ["false", "false", "false", "false"]);
    }

    #[test]
    fn without_a_running_systemd_nobody_knows_what_is_active() {
        let files = [("/lib/systemd/system/a.service".to_owned(), String::new())];
        let files =
            files.map(|(path, text)| (path, bartizan_core::configuration::baseline::ExampleFile::Text(text)));
        let tree = Tree::of(&Example { files: files.into(), ..Example::default() });
        assert_eq!(fields(&tree, "a.service")[2], "unknown: unsupported");
        let bare = Tree::default();
        assert_eq!(unit(&bare, "a.service", &wanted(&bare)).unwrap_err().reason, Reason::Unsupported);
    }
}
