//! What can be wrong with a check that has the right shape.

use std::collections::BTreeMap;

use super::{Check, Condition, DEPTH_LIMIT, FileTest, Selection, TESTS_LIMIT};

type Problem = (String, String);

const SUDOERS: &[&str] = &["user", "hosts", "run_as", "commands", "no_password"];
const SOCKETS: &[&str] = &["protocol", "address", "port", "loopback"];
const GROUPS: &[&str] = &["name", "gid", "members", "password"];
const MOUNTS: &[&str] = &["target", "source", "type", "options"];
const ACCOUNTS: &[&str] = &[
    "name",
    "uid",
    "gid",
    "home",
    "shell",
    "login",
    "password",
    "hash",
    "min_days",
    "max_days",
    "warn_days",
    "inactive_days",
    "home_exists",
    "home_mode",
    "home_owner",
    "in_shadow",
    "group_exists",
];

impl Check {
    /// Each problem with its place below the check, like `all[1].file.path`.
    pub(in crate::configuration::baseline) fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut tests = 0;
        self.look(String::new(), 0, &mut tests, &mut found);
        if tests > TESTS_LIMIT {
            found.push((String::new(), format!("has {tests} tests; the limit is {TESTS_LIMIT}")));
        }
        found
    }

    fn look(&self, path: String, depth: usize, tests: &mut usize, found: &mut Vec<Problem>) {
        if depth > DEPTH_LIMIT {
            found.push((path, format!("stands deeper than {DEPTH_LIMIT} levels")));
            return;
        }
        let at = |step: &str| if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") };
        match self {
            Check::All(checks) => look_each(&at("all"), checks, depth, tests, found),
            Check::Any(checks) => look_each(&at("any"), checks, depth, tests, found),
            Check::Not(check) => check.look(at("not"), depth + 1, tests, found),
            _ => {
                *tests += 1;
                self.look_leaf(&at, found);
            }
        }
    }

    fn look_leaf(&self, at: &dyn Fn(&str) -> String, found: &mut Vec<Problem>) {
        let mut condition = |path: &str, condition: &Condition| {
            found.extend(condition.problem().map(|message| (at(path), message)));
        };
        match self {
            Check::All(_) | Check::Any(_) | Check::Not(_) => {}
            Check::File(test) => {
                for (path, given) in [("mode", &test.mode), ("owner", &test.owner), ("group", &test.group)] {
                    given.iter().for_each(|given| condition(&format!("file.{path}"), given));
                }
                found.extend(test.problem().map(|(path, message)| (at(path), message.to_owned())));
            }
            Check::Line(test) => {
                if !test.path.starts_with('/') {
                    found.push((at("line.path"), ABSOLUTE.to_owned()));
                }
                if test.every.is_none() && test.found.is_none() {
                    found.push((at("line"), "takes `every`, `found` or both".to_owned()));
                }
            }
            Check::Setting(test) => {
                condition("setting.value", &test.value);
                for (n, _) in test.files.iter().enumerate().filter(|(_, file)| !file.starts_with('/')) {
                    found.push((at(&format!("setting.files[{n}]")), ABSOLUTE.to_owned()));
                }
                if test.files.is_empty() {
                    found.push((at("setting.files"), "names no file".to_owned()));
                }
            }
            Check::Sshd(test) => condition("sshd.value", &test.value),
            Check::SudoersDefault(test) => condition("sudoers_default.value", &test.value),
            Check::Sysctl(test) => {
                condition("sysctl.value", &test.value);
                if test.of.is_empty() {
                    found.push((at("sysctl.of"), "names no source: live, configured or both".to_owned()));
                }
            }
            Check::Package(test) => {
                if !test.installed && test.at_least.is_some() {
                    let message = "a package that may not be installed has no version".to_owned();
                    found.push((at("package.at_least"), message));
                }
            }
            Check::Unit(test) => {
                if [test.installed, test.enabled, test.active, test.masked].iter().all(Option::is_none) {
                    let message = "asks nothing: write installed, enabled, active or masked".to_owned();
                    found.push((at("unit"), message));
                }
            }
            Check::Module(test) => {
                if [test.loaded, test.disabled, test.blacklisted].iter().all(Option::is_none) {
                    let message = "asks nothing: write loaded, disabled or blacklisted".to_owned();
                    found.push((at("module"), message));
                }
            }
            Check::Sudoers(selection) => selection.look(&at("sudoers"), SUDOERS, found),
            Check::Sockets(selection) => selection.look(&at("sockets"), SOCKETS, found),
            Check::Accounts(selection) => selection.look(&at("accounts"), ACCOUNTS, found),
            Check::Groups(selection) => selection.look(&at("groups"), GROUPS, found),
            Check::Mounts(selection) => selection.look(&at("mounts"), MOUNTS, found),
            Check::Fstab(selection) => selection.look(&at("fstab"), MOUNTS, found),
        }
    }
}

const ABSOLUTE: &str = "a path begins with `/`";

fn look_each(path: &str, checks: &[Check], depth: usize, tests: &mut usize, found: &mut Vec<Problem>) {
    if checks.is_empty() {
        found.push((path.to_owned(), "is empty".to_owned()));
    }
    for (n, check) in checks.iter().enumerate() {
        check.look(format!("{path}[{n}]"), depth + 1, tests, found);
    }
}

impl FileTest {
    fn problem(&self) -> Option<(&'static str, &'static str)> {
        let asks = self.kind.is_some() || self.mode.is_some() || self.owner.is_some() || self.group.is_some();
        if !self.path.starts_with('/') {
            return Some(("file.path", ABSOLUTE));
        }
        match self.exists {
            Some(false) if asks || self.or_absent => {
                Some(("file.exists", "what may not be there has no other conditions"))
            }
            Some(true) if self.or_absent => Some(("file.or_absent", "clashes with `exists`")),
            None if !asks => Some(("file", "asks nothing: write exists, kind, mode, owner or group")),
            _ => None,
        }
    }
}

impl Selection {
    fn look(&self, path: &str, fields: &[&str], found: &mut Vec<Problem>) {
        let unknown = |field: &str| {
            let known = fields.join(", ");
            format!("there is no field `{field}` here: there are {known}")
        };
        for (key, conditions) in [("where", &self.chosen), ("every", &self.every)] {
            look_fields(&format!("{path}.{key}"), conditions, fields, &unknown, found);
        }
        if let Some(field) = self.unique.as_deref().filter(|field| !fields.contains(field)) {
            found.push((format!("{path}.unique"), unknown(field)));
        }
        if self.every.is_empty() && self.found.is_none() && self.unique.is_none() {
            found.push((path.to_owned(), "asks nothing: write every, found or unique".to_owned()));
        }
        if self.found == Some(false) && (!self.every.is_empty() || self.unique.is_some()) {
            found.push((format!("{path}.found"), "what may not be there has no other conditions".to_owned()));
        }
    }
}

fn look_fields(
    path: &str,
    conditions: &BTreeMap<String, Condition>,
    fields: &[&str],
    unknown: &dyn Fn(&str) -> String,
    found: &mut Vec<Problem>,
) {
    for (field, condition) in conditions {
        if !fields.contains(&field.as_str()) {
            found.push((format!("{path}.{field}"), unknown(field)));
        }
        found.extend(condition.problem().map(|message| (format!("{path}.{field}"), message)));
    }
}

impl Condition {
    fn problem(&self) -> Option<String> {
        if *self == Condition::default()
            || (Condition { or_absent: false, ..self.clone() }) == Condition::default()
        {
            return Some("asks nothing: write equals, one_of, at_least, matches, absent …".to_owned());
        }
        if self.absent && (Condition { absent: false, ..self.clone() }) != Condition::default() {
            return Some(
                "what is absent has no value: write `or_absent` beside another condition".to_owned(),
            );
        }
        for (name, given) in [("at_least", &self.at_least), ("at_most", &self.at_most)] {
            if let Some(given) = given.as_ref().filter(|given| given.integer().is_none()) {
                return Some(format!("`{name}` takes a whole number, not `{given}`"));
            }
        }
        let bits = self.bits_within.as_ref().filter(|bits| bits.bits().is_none());
        bits.map(|bits| format!("`bits_within` takes octal digits in quotes, like \"0640\", not `{bits}`"))
    }
}
