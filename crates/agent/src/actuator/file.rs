//! Who owns a file, and who may do what with it.

use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};

use bartizan_probe::root::{Limit, Root};

use super::place::Place;
use super::{Look, Problem};

/// passwd(5) and group(5) of a large site without a directory.
const ACCOUNTS: Limit = Limit { name: "list of accounts", bytes: 16 << 20 };

/// What shall hold; what is none may be as it likes.
#[derive(Debug)]
pub(super) struct Wanted {
    mode: Option<u32>,
    owner: Option<u32>,
    group: Option<u32>,
}

impl Wanted {
    /// Names are looked up in the root's own lists.
    pub(super) fn new(
        root: &Root,
        mode: Option<&str>,
        owner: Option<&str>,
        group: Option<&str>,
    ) -> Result<Self, Problem> {
        let mode = mode.map(|mode| {
            u32::from_str_radix(mode, 8).map_err(|_| Problem::Unsupported(format!("the mode {mode}")))
        });
        Ok(Self {
            mode: mode.transpose()?,
            owner: owner.map(|name| number(root, "account", "/etc/passwd", name)).transpose()?,
            group: group.map(|name| number(root, "group", "/etc/group", name)).transpose()?,
        })
    }

    pub(super) fn look(&self, root: &Root, path: &str) -> Result<Look, Problem> {
        self.met(&open(root, path)?, path)
    }

    pub(super) fn set(&self, root: &Root, path: &str, loosen: bool) -> Result<(), Problem> {
        let file = open(root, path)?;
        let disk = |doing| {
            let path = path.to_owned();
            move |source| Problem::Disk { doing, path, source }
        };
        let metadata = file.metadata().map_err(disk("look at"))?;
        if metadata.is_file() && metadata.nlink() > 1 {
            return Err(Problem::Linked(path.to_owned()));
        }
        let is = metadata.mode() & 0o7777;
        // The sticky bit takes rights away.
        if let Some(mode) = self.mode.filter(|mode| !loosen && mode & !is & 0o0777 != 0) {
            return Err(Problem::Loosens { path: path.to_owned(), is, mode });
        }
        // Before the mode: giving a file away clears its set-id bits.
        if self.owner.is_some() || self.group.is_some() {
            fchown(&file, self.owner, self.group).map_err(disk("change the owner of"))?;
        }
        if let Some(mode) = self.mode {
            file.set_permissions(Permissions::from_mode(mode)).map_err(disk("change the mode of"))?;
        }
        Ok(())
    }

    fn met(&self, file: &File, path: &str) -> Result<Look, Problem> {
        let metadata = file.metadata().map_err(|source| Problem::Disk {
            doing: "look at",
            path: path.to_owned(),
            source,
        })?;
        let (mode, owner, group) = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
        let as_wanted = |wanted: Option<u32>, is| wanted.is_none_or(|wanted| wanted == is);
        Ok(Look {
            so: as_wanted(self.mode, mode) && as_wanted(self.owner, owner) && as_wanted(self.group, group),
            is: format!("mode {mode:04o}, owner {owner}, group {group}"),
        })
    }
}

fn open(root: &Root, path: &str) -> Result<File, Problem> {
    let file = Place::of(root, path)?.open()?;
    file.ok_or_else(|| Problem::NoSuch { what: "file", name: path.to_owned() })
}

/// The number of an account or a group: the third field of its line.
fn number(root: &Root, what: &'static str, list: &str, name: &str) -> Result<u32, Problem> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let no_such = || Problem::NoSuch { what, name: name.to_owned() };
    let text = root.read_text(list, ACCOUNTS).map_err(|_| no_such())?.text;
    let fields = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut numbers = fields.filter_map(|fields| match fields.as_slice() {
        [is, _, number, ..] if *is == name => number.parse().ok(),
        _ => None,
    });
    numbers.next().ok_or_else(no_such)
}
