//! The `units` section: what the service manager would start, as the files say (systemd.unit(5)), and how its
//! units stand, as it says itself.

mod file;
mod script;
pub mod state;

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::digest::Digest;
use bartizan_core::fact::Section;
use bartizan_core::fact::unit::{self, DropIn, Enablement, Unit, Units};
use bartizan_core::verdict::Reason;

use crate::look::{names, note};
use crate::root::{CONFIGURATION, Root};
pub(crate) use file::settings;
use file::{Install, file_name, is_unit, template};

/// Where a file lies decides how long it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Etc,
    Run,
    Generated,
    Vendor,
}

/// Where the system manager looks, the earlier folder before the later (systemd.unit(5), table 1).
const FOLDERS: [(&str, Level); 8] = [
    ("/etc/systemd/system.control", Level::Etc),
    ("/etc/systemd/system", Level::Etc),
    ("/run/systemd/system", Level::Run),
    ("/run/systemd/generator", Level::Generated),
    ("/usr/local/lib/systemd/system", Level::Vendor),
    ("/usr/lib/systemd/system", Level::Vendor),
    ("/lib/systemd/system", Level::Vendor),
    ("/run/systemd/generator.late", Level::Generated),
];

/// Units that are kept in all.
const UNITS_LIMIT: usize = 20_000;

/// Links that are followed from an alias to the unit it stands for.
const ALIASES: usize = 8;

/// A unit's file, or the link that stands in its place.
struct Fragment {
    level: Level,
    path: String,
    link: Option<String>,
}

/// What the folders hold, by name.
#[derive(Default)]
struct Found {
    /// The file of each name that wins.
    fragments: BTreeMap<String, Fragment>,
    /// Other names: (name, unit it stands for, level), of every folder.
    aliases: Vec<(String, String, Level)>,
    /// Links in `.wants` and `.requires` folders: unit → (owner, whether it is required, level).
    links: BTreeMap<String, BTreeSet<(String, bool, Level)>>,
    /// Drop-ins: folder's name without `.d` → file name → path.
    drop_ins: BTreeMap<String, BTreeMap<String, String>>,
}

pub fn collect(root: &Root) -> Section<Units> {
    let mut section = Section::new(Units::default());
    let found = find(root, &mut section);
    let names: BTreeSet<&String> = found.fragments.keys().chain(found.links.keys()).collect();
    let of_drop_ins = found.drop_ins.keys().filter(|name| is_unit(name) && !name.contains("-."));
    let names: BTreeSet<&String> = names.into_iter().chain(of_drop_ins).collect();
    for name in names {
        if section.body.units.len() == UNITS_LIMIT {
            section.miss(format!("units after the first {UNITS_LIMIT}"), Reason::Unsupported);
            break;
        }
        // Another name for a unit is no unit of its own.
        if !found.is_alias(name) {
            let unit = unit(root, &found, name, &mut section);
            section.body.units.push(unit);
        }
    }
    section.body.default_target = found.stands_for("default.target");
    section.body.scripts = script::read(root, &mut section);
    match state::read(root) {
        Ok(states) => states.tell(&mut section.body),
        Err(reason) => section.miss(unit::STATES, reason),
    }
    section
}

fn find(root: &Root, section: &mut Section<Units>) -> Found {
    let mut found = Found::default();
    // Where /lib is /usr/lib, its units are the same files.
    let merged = matches!(root.link("/lib"), Ok(Some(_)));
    for (folder, level) in FOLDERS {
        if merged && folder.starts_with("/lib/") {
            continue;
        }
        for name in names(root, folder, section) {
            let path = format!("{folder}/{name}");
            if let Some(owner) = name.strip_suffix(".wants") {
                found.link_folder(root, &path, owner, false, level, section);
            } else if let Some(owner) = name.strip_suffix(".requires") {
                found.link_folder(root, &path, owner, true, level, section);
            } else if let Some(unit) = name.strip_suffix(".d") {
                found.drop_in_folder(root, &path, unit, section);
            } else if is_unit(&name) {
                found.fragment(root, path, name, level);
            }
        }
    }
    found
}

impl Found {
    fn fragment(&mut self, root: &Root, path: String, name: String, level: Level) {
        let link = root.link(&path).ok().flatten().map(|target| target.to_string_lossy().into_owned());
        if let Some(target) =
            link.as_deref().map(file_name).filter(|target| is_unit(target) && *target != name)
        {
            self.aliases.push((name.clone(), target.to_owned(), level));
        }
        self.fragments.entry(name).or_insert(Fragment { level, path, link });
    }

    fn link_folder(
        &mut self,
        root: &Root,
        folder: &str,
        owner: &str,
        required: bool,
        level: Level,
        section: &mut Section<Units>,
    ) {
        for name in names(root, folder, section) {
            // A link to /dev/null takes back one of a later folder; it wants nothing.
            let masked = root
                .link(format!("{folder}/{name}"))
                .is_ok_and(|target| target.is_some_and(|target| target.as_os_str() == "/dev/null"));
            if is_unit(&name) && !masked {
                self.links.entry(name).or_default().insert((owner.to_owned(), required, level));
            }
        }
    }

    fn drop_in_folder(&mut self, root: &Root, folder: &str, unit: &str, section: &mut Section<Units>) {
        for name in names(root, folder, section) {
            if name.ends_with(".conf") {
                let files = self.drop_ins.entry(unit.to_owned()).or_default();
                files.entry(name).or_insert_with_key(|name| format!("{folder}/{name}"));
            }
        }
    }

    /// The unit that a name stands for, where it is not a unit's own; an instance of a template is its own.
    fn stands_for(&self, name: &str) -> Option<String> {
        let mut current = name.to_owned();
        for _ in 0..ALIASES {
            let Some(link) = self.fragments.get(&current).and_then(|fragment| fragment.link.as_deref())
            else {
                break;
            };
            let target = file_name(link);
            if !is_unit(target) || target == current || template(&current).as_deref() == Some(target) {
                break;
            }
            current = target.to_owned();
        }
        (current != name).then_some(current)
    }

    /// Whether the name is only another for a unit that is there.
    fn is_alias(&self, name: &str) -> bool {
        self.stands_for(name).is_some_and(|unit| self.fragments.get(&unit).is_some_and(Fragment::is_own))
    }

    /// Whether a link of that level starts the unit, one of its instances, or stands for it.
    fn is_linked(&self, name: &str, level: Level) -> bool {
        let is_it = |other: &str| other == name || template(other).as_deref() == Some(name);
        let wanted = self
            .links
            .iter()
            .any(|(other, links)| is_it(other) && links.iter().any(|(_, _, at)| *at == level));
        wanted || self.aliases.iter().any(|(_, target, at)| target == name && *at == level)
    }
}

fn unit(root: &Root, found: &Found, name: &str, section: &mut Section<Units>) -> Unit {
    let own = found.fragments.get(name);
    let of_template = || template(name).and_then(|template| found.fragments.get(&template));
    let fragment = own.or_else(of_template);
    let content = fragment.map_or(Content::Missing, |fragment| fragment.read(root, section));
    let links = found.links.get(name);
    let owners = |required: bool| {
        let links = links.into_iter().flatten().filter(|(_, hard, _)| *hard == required);
        links.map(|(owner, _, _)| owner.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let aliases: BTreeSet<&String> =
        found.aliases.iter().filter(|(_, target, _)| target == name).map(|(alias, _, _)| alias).collect();
    Unit {
        name: name.to_owned(),
        path: fragment.map(|fragment| fragment.path.clone()),
        digest: content.bytes().map(Digest::of_bytes),
        enablement: enablement(found, name, fragment, &content),
        aliases: aliases.into_iter().cloned().collect(),
        wanted_by: owners(false),
        required_by: owners(true),
        drop_ins: drop_ins(root, found, name),
        state: None,
    }
}

/// What a unit's file holds.
enum Content {
    Bytes(Vec<u8>),
    /// Nothing: an empty file or `/dev/null` masks the unit.
    Mask,
    /// There is no file, or nobody may read it.
    Missing,
}

impl Content {
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Content::Bytes(bytes) => Some(bytes),
            Content::Mask | Content::Missing => None,
        }
    }
}

impl Fragment {
    fn is_null(&self) -> bool {
        self.link.as_deref() == Some("/dev/null")
    }

    /// Whether a file stands here itself, and no link to another unit.
    fn is_own(&self) -> bool {
        self.link.as_deref().is_none_or(|target| !is_unit(file_name(target)))
    }

    fn read(&self, root: &Root, section: &mut Section<Units>) -> Content {
        // It leads to no file.
        if self.is_null() {
            return Content::Mask;
        }
        match root.read(&self.path, CONFIGURATION) {
            Ok(bytes) if bytes.is_empty() => Content::Mask,
            Ok(bytes) => Content::Bytes(bytes),
            Err(error) => {
                note(&self.path, &error, section);
                Content::Missing
            }
        }
    }
}

fn enablement(found: &Found, name: &str, fragment: Option<&Fragment>, content: &Content) -> Enablement {
    let Some(fragment) = fragment else { return Enablement::Missing };
    let bytes = match content {
        Content::Bytes(bytes) => bytes,
        Content::Mask if matches!(fragment.level, Level::Run | Level::Generated) => {
            return Enablement::MaskedRuntime;
        }
        Content::Mask => return Enablement::Masked,
        Content::Missing => return Enablement::Bad,
    };
    if found.is_linked(name, Level::Etc) {
        return Enablement::Enabled;
    }
    if found.is_linked(name, Level::Run) {
        return Enablement::EnabledRuntime;
    }
    if fragment.level == Level::Generated {
        return Enablement::Generated;
    }
    match Install::of(&String::from_utf8_lossy(bytes)) {
        Install::Units => Enablement::Disabled,
        Install::OthersOnly => Enablement::Indirect,
        Install::None => Enablement::Static,
    }
}

/// Drop-ins of the unit's own name, its template, its names shortened at dashes, and its type; of two
/// files with one name the nearer folder's counts, and they apply in the order of their names.
fn drop_ins(root: &Root, found: &Found, name: &str) -> Vec<DropIn> {
    let mut folders = vec![name.to_owned()];
    folders.extend(template(name));
    if let Some((stem, kind)) = name.rsplit_once('.') {
        let dashes: Vec<usize> = stem.match_indices('-').map(|(place, _)| place).collect();
        folders
            .extend(dashes.iter().rev().filter_map(|place| Some(format!("{}.{kind}", stem.get(..=*place)?))));
        folders.push(kind.to_owned());
    }
    let mut files: BTreeMap<&String, &String> = BTreeMap::new();
    for folder in folders {
        for (file, path) in found.drop_ins.get(&folder).into_iter().flatten() {
            files.entry(file).or_insert(path);
        }
    }
    files
        .into_values()
        .map(|path| {
            let digest = root.read(path, CONFIGURATION).ok().map(|bytes| Digest::of_bytes(&bytes));
            DropIn { path: path.clone(), digest }
        })
        .collect()
}

#[cfg(test)]
mod tests;
