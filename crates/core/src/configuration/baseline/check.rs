//! Checks: trees of tests, as people write them.

use std::collections::BTreeMap;
use std::fmt;

use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::configuration::evaluate::Query;

mod problem;

/// How deep `all`, `any` and `not` may stand in each other.
const DEPTH_LIMIT: usize = 16;

/// The most tests in one check.
const TESTS_LIMIT: usize = 500;

/// The memory that one compiled pattern may take, in bytes.
const PATTERN_BYTES_LIMIT: usize = 1 << 20;

/// What must hold: one test, or tests combined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Every one of them holds.
    All(Vec<Check>),
    /// At least one of them holds.
    Any(Vec<Check>),
    /// It does not hold.
    Not(Box<Check>),
    File(Box<FileTest>),
    Line(LineTest),
    Setting(SettingTest),
    Sshd(SshdTest),
    SudoersDefault(SudoersDefaultTest),
    /// What sudoers grants. Fields: user, hosts, run_as, commands, no_password.
    Sudoers(Selection),
    Sysctl(SysctlTest),
    Package(PackageTest),
    Unit(UnitTest),
    Module(ModuleTest),
    /// Listening sockets. Fields: protocol (tcp, udp), address, port, loopback.
    Sockets(Selection),
    /// Accounts of passwd and shadow. Fields: name, uid, gid, home, shell, login, password (set,
    /// locked, empty, shadowed-elsewhere), hash, min_days, max_days, warn_days, inactive_days,
    /// home_exists, home_mode, home_owner, in_shadow, group_exists.
    Accounts(Selection),
    /// Groups. Fields: name, gid, members, password.
    Groups(Selection),
    /// What is mounted now. Fields: target, source, type, options.
    Mounts(Selection),
    /// What fstab would mount. Fields: target, source, type, options.
    Fstab(Selection),
}

/// Files that a path names; `*` and `?` stand for letters of one component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileTest {
    pub path: String,
    /// True where one must be there (so it is where nothing is said), false where none may.
    #[serde(default)]
    pub exists: Option<bool>,
    /// Where nothing is there, the test holds.
    #[serde(default)]
    pub or_absent: bool,
    #[serde(default)]
    pub kind: Option<Kind>,
    /// Permission bits, as four octal digits: `bits_within: "0640"` allows these and fewer.
    #[serde(default)]
    pub mode: Option<Condition>,
    /// The owner's name, or number where it has none.
    #[serde(default)]
    pub owner: Option<Condition>,
    /// The group's name, or number where it has none.
    #[serde(default)]
    pub group: Option<Condition>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    File,
    Folder,
    Other,
}

/// Lines of the files that a path names, without blank ones and those that begin with `#`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineTest {
    pub path: String,
    /// Which lines it is about.
    #[serde(rename = "where")]
    pub pattern: Pattern,
    /// What each of them must match.
    #[serde(default)]
    pub every: Option<Pattern>,
    /// Whether there must be one, or may be none.
    #[serde(default)]
    pub found: Option<bool>,
}

/// One setting of parsed files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingTest {
    /// In the order in which the program reads them: the last word counts. `*` and `?` stand for
    /// letters of one component; what is not there is skipped.
    pub files: Vec<String>,
    pub format: Format,
    /// The section of an ini or toml file.
    #[serde(default)]
    pub section: Option<String>,
    /// The key; a path with dots in json, yaml and toml.
    pub key: String,
    pub value: Condition,
}

/// How a file of settings is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `key value`, `key = value` or `key=value` lines.
    KeyValue,
    /// The same under `[section]` headers.
    Ini,
    Json,
    Yaml,
    /// Its `[table]` headers and one-line values.
    Toml,
}

/// What sshd does for every connection: its files, what they include, each `Match` block laid
/// over the rest, and compiled defaults for what nothing sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SshdTest {
    /// A keyword of sshd_config(5), in any case. Times are in seconds.
    pub keyword: String,
    pub value: Condition,
}

/// A default that sudoers sets for everybody: `use_pty`, `logfile`. A flag is true or false.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SudoersDefaultTest {
    pub name: String,
    pub value: Condition,
}

/// A kernel parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SysctlTest {
    pub key: String,
    pub value: Condition,
    /// Which values must be so: both where nothing is said.
    #[serde(default = "both")]
    pub of: Vec<SysctlSource>,
}

/// Where a kernel parameter's value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SysctlSource {
    /// In `/proc/sys`, now.
    Live,
    /// In sysctl.d, at the next boot.
    Configured,
}

fn both() -> Vec<SysctlSource> {
    vec![SysctlSource::Live, SysctlSource::Configured]
}

/// A package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackageTest {
    pub name: String,
    /// True where nothing is said.
    #[serde(default = "yes")]
    pub installed: bool,
    /// Every installed one has at least this version, in its package manager's order.
    #[serde(default)]
    pub at_least: Option<String>,
}

fn yes() -> bool {
    true
}

/// A unit of systemd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitTest {
    pub name: String,
    /// Whether there is a unit file.
    #[serde(default)]
    pub installed: Option<bool>,
    /// Whether something pulls it in at boot.
    #[serde(default)]
    pub enabled: Option<bool>,
    #[serde(default)]
    pub active: Option<bool>,
    #[serde(default)]
    pub masked: Option<bool>,
}

/// A kernel module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModuleTest {
    pub name: String,
    #[serde(default)]
    pub loaded: Option<bool>,
    /// Whether `install NAME /bin/false` (or `true`) in modprobe.d keeps it out.
    #[serde(default)]
    pub disabled: Option<bool>,
    /// Whether `blacklist NAME` in modprobe.d keeps it from loading by itself.
    #[serde(default)]
    pub blacklisted: Option<bool>,
}

/// Things of one sort: which, and what must hold for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Which of them it is about: those of which all this holds. All of them where nothing is said.
    #[serde(default, rename = "where")]
    pub chosen: BTreeMap<String, Condition>,
    /// What must hold for each of these.
    #[serde(default)]
    pub every: BTreeMap<String, Condition>,
    /// Whether there must be one, or may be none.
    #[serde(default)]
    pub found: Option<bool>,
    /// A field in which no two of them may be alike.
    #[serde(default)]
    pub unique: Option<String>,
}

/// What a value must be: everything that is said here. A value that is not set fails, unless
/// `absent` or `or_absent` says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Condition {
    pub equals: Option<Scalar>,
    pub not_equals: Option<Scalar>,
    #[schemars(with = "Option<Values>")]
    pub one_of: Option<Vec<Scalar>>,
    #[schemars(with = "Option<Values>")]
    pub none_of: Option<Vec<Scalar>>,
    /// A whole number.
    pub at_least: Option<Scalar>,
    /// A whole number.
    pub at_most: Option<Scalar>,
    /// A regular expression that matches somewhere in it.
    pub matches: Option<Pattern>,
    /// A regular expression that matches nowhere in it.
    pub not_matches: Option<Pattern>,
    /// Words that are all in it; words stand between commas and white space.
    #[schemars(with = "Option<Values>")]
    pub contains: Option<Vec<Scalar>>,
    /// Words of which none is in it.
    #[schemars(with = "Option<Values>")]
    pub excludes: Option<Vec<Scalar>>,
    /// The only words that may be in it.
    #[schemars(with = "Option<Values>")]
    pub within: Option<Vec<Scalar>>,
    /// Octal permission bits; it has these or fewer.
    pub bits_within: Option<Scalar>,
    /// A version, in the order of the item's package manager.
    pub version_at_least: Option<String>,
    /// It is not set.
    pub absent: bool,
    /// Or it is not set.
    pub or_absent: bool,
}

/// A list of values as people may write it.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the schema is made from its shape")]
enum Values {
    List(Vec<Scalar>),
    /// `${name}` of a variable that is a list.
    Variable(String),
}

/// Text, a whole number or a truth value. They compare by their text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    Bool(bool),
    Integer(i64),
    Text(String),
}

/// A regular expression, compiled.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.0.as_str())
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let built = RegexBuilder::new(&text).size_limit(PATTERN_BYTES_LIMIT).build();
        built.map(Pattern).map_err(|error| {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default().trim();
            serde::de::Error::custom(format_args!("the pattern `{text}` can't be read: {why}"))
        })
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "regex"})
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Text(text) => f.write_str(text),
            Scalar::Integer(number) => write!(f, "{number}"),
            Scalar::Bool(truth) => write!(f, "{truth}"),
        }
    }
}

impl From<bool> for Scalar {
    fn from(truth: bool) -> Self {
        Scalar::Bool(truth)
    }
}

impl Scalar {
    /// As a whole number.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Scalar::Integer(number) => Some(*number),
            Scalar::Text(text) => text.trim().parse().ok(),
            Scalar::Bool(_) => None,
        }
    }

    /// As permission bits written in octal.
    pub fn bits(&self) -> Option<u32> {
        match self {
            Scalar::Text(text) => u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o7777),
            _ => None,
        }
    }
}

impl Condition {
    /// It is exactly this.
    pub fn equal(value: impl Into<Scalar>) -> Self {
        Condition { equals: Some(value.into()), ..Condition::default() }
    }
}

impl Check {
    /// What a single test asks for, and what must hold for the answer; none for a combination.
    pub fn question(&self) -> Option<(Query, Selection)> {
        let every = |conditions: Vec<(&str, Option<Condition>)>| -> BTreeMap<String, Condition> {
            let given = conditions.into_iter();
            given.filter_map(|(field, condition)| Some((field.to_owned(), condition?))).collect()
        };
        let flag = |value: Option<bool>| value.map(Condition::equal);
        let hold = |every: BTreeMap<String, Condition>| Selection { every, ..Selection::default() };
        Some(match self {
            Check::All(_) | Check::Any(_) | Check::Not(_) => return None,
            Check::File(test) => (Query::File { path: test.path.clone() }, test.selection()),
            Check::Line(test) => (Query::Lines { path: test.path.clone() }, test.selection()),
            Check::Setting(test) => {
                let query = Query::Setting {
                    files: test.files.clone(),
                    format: test.format,
                    section: test.section.clone(),
                    key: test.key.clone(),
                };
                (query, hold(every(vec![("value", Some(test.value.clone()))])))
            }
            Check::Sshd(test) => {
                let keyword = test.keyword.to_ascii_lowercase();
                let every = every(vec![(keyword.as_str(), Some(test.value.clone()))]);
                (Query::Sshd, Selection { found: Some(true), ..hold(every) })
            }
            Check::SudoersDefault(test) => {
                (Query::SudoersDefaults, hold(every(vec![(&test.name, Some(test.value.clone()))])))
            }
            Check::Sysctl(test) => {
                let of = |source, field| (field, test.of.contains(&source).then(|| test.value.clone()));
                let every =
                    every(vec![of(SysctlSource::Live, "live"), of(SysctlSource::Configured, "configured")]);
                (Query::Sysctl { key: test.key.clone() }, hold(every))
            }
            Check::Package(test) => {
                let newer = test
                    .at_least
                    .clone()
                    .map(|version| Condition { version_at_least: Some(version), ..Condition::default() });
                let every = every(vec![("version", newer)]);
                let query = Query::Package { name: test.name.clone() };
                (query, Selection { found: Some(test.installed), ..hold(every) })
            }
            Check::Unit(test) => {
                let every = every(vec![
                    ("installed", flag(test.installed)),
                    ("enabled", flag(test.enabled)),
                    ("active", flag(test.active)),
                    ("masked", flag(test.masked)),
                ]);
                (Query::Unit { name: test.name.clone() }, hold(every))
            }
            Check::Module(test) => {
                let every = every(vec![
                    ("loaded", flag(test.loaded)),
                    ("disabled", flag(test.disabled)),
                    ("blacklisted", flag(test.blacklisted)),
                ]);
                (Query::Module { name: test.name.clone() }, hold(every))
            }
            Check::Sudoers(selection) => (Query::SudoersRules, selection.clone()),
            Check::Sockets(selection) => (Query::Sockets, selection.clone()),
            Check::Accounts(selection) => (Query::Accounts, selection.clone()),
            Check::Groups(selection) => (Query::Groups, selection.clone()),
            Check::Mounts(selection) => (Query::Mounts, selection.clone()),
            Check::Fstab(selection) => (Query::Fstab, selection.clone()),
        })
    }
}

impl FileTest {
    fn selection(&self) -> Selection {
        if self.exists == Some(false) {
            return Selection { found: Some(false), ..Selection::default() };
        }
        let kind = self.kind.map(|kind| {
            let word = match kind {
                Kind::File => "file",
                Kind::Folder => "folder",
                Kind::Other => "other",
            };
            Condition::equal(Scalar::Text(word.to_owned()))
        });
        let fields = [
            ("kind", kind),
            ("mode", self.mode.clone()),
            ("owner", self.owner.clone()),
            ("group", self.group.clone()),
        ];
        let every = fields.into_iter().filter_map(|(field, condition)| Some((field.to_owned(), condition?)));
        Selection { every: every.collect(), found: (!self.or_absent).then_some(true), ..Selection::default() }
    }
}

impl LineTest {
    fn selection(&self) -> Selection {
        let text = |pattern: &Pattern| {
            let condition = Condition { matches: Some(pattern.clone()), ..Condition::default() };
            BTreeMap::from([("text".to_owned(), condition)])
        };
        Selection {
            chosen: text(&self.pattern),
            every: self.every.as_ref().map(text).unwrap_or_default(),
            found: self.found,
            unique: None,
        }
    }
}
