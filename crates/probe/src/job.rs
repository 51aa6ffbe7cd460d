//! The `jobs` section: what runs by the clock, from cron, timers and at.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use bartizan_core::digest::Digest;
use bartizan_core::fact::Section;
use bartizan_core::fact::job::{Job, Jobs, Kind};
use bartizan_core::time::Timestamp;
use bartizan_core::verdict::Reason;

use crate::look::{names, note, text};
use crate::root::{CONFIGURATION, Root};
use crate::unit;

/// Crontabs with a user's name in each line.
const SYSTEM_TABLE: &str = "/etc/crontab";
const SYSTEM_FOLDER: &str = "/etc/cron.d";

/// Crontabs of users, named after them: Debian's, Red Hat's, Alpine's.
const USER_FOLDERS: [&str; 3] = ["/var/spool/cron/crontabs", "/var/spool/cron", "/etc/crontabs"];

/// Folders of scripts, and how often they run.
const SCRIPT_FOLDERS: [(&str, &str); 5] = [
    ("/etc/cron.hourly", "hourly"),
    ("/etc/cron.daily", "daily"),
    ("/etc/cron.weekly", "weekly"),
    ("/etc/cron.monthly", "monthly"),
    ("/etc/cron.yearly", "yearly"),
];

/// Where at keeps its jobs: Debian, Red Hat.
const AT_FOLDERS: [&str; 2] = ["/var/spool/cron/atjobs", "/var/spool/at"];

/// Settings of a timer that say when (systemd.timer(5)).
const TIMES: [&str; 6] =
    ["OnActiveSec", "OnBootSec", "OnStartupSec", "OnUnitActiveSec", "OnUnitInactiveSec", "OnCalendar"];

/// Jobs that are kept in all.
const JOBS_LIMIT: usize = 50_000;

pub fn collect(root: &Root) -> Section<Jobs> {
    let mut section = Section::new(Jobs::default());
    tables(root, &mut section);
    scripts(root, &mut section);
    timers(root, &mut section);
    at(root, &mut section);
    section.body.jobs.sort();
    section.body.jobs.dedup();
    if section.body.jobs.len() > JOBS_LIMIT {
        section.body.jobs.truncate(JOBS_LIMIT);
        section.miss(format!("jobs after the first {JOBS_LIMIT}"), Reason::Unsupported);
    }
    section
}

fn tables(root: &Root, section: &mut Section<Jobs>) {
    let mut files: Vec<(String, Option<String>)> = vec![(SYSTEM_TABLE.to_owned(), None)];
    for name in names(root, SYSTEM_FOLDER, section).into_iter().filter(|name| is_read(name)) {
        files.push((format!("{SYSTEM_FOLDER}/{name}"), None));
    }
    for folder in USER_FOLDERS {
        for name in names(root, folder, section).into_iter().filter(|name| is_read(name)) {
            let path = format!("{folder}/{name}");
            if root.metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
                files.push((path, Some(name)));
            }
        }
    }
    for (path, user) in files {
        for line in text(root, &path, CONFIGURATION, section).unwrap_or_default().lines() {
            match entry(&path, line, user.as_deref()) {
                Line::Job(job) => section.body.jobs.push(job),
                Line::Nothing => {}
                Line::Broken => section.miss(path.as_str(), Reason::Unparsable),
            }
        }
    }
    for line in text(root, "/etc/anacrontab", CONFIGURATION, section).unwrap_or_default().lines() {
        section.body.jobs.extend(anacron(line));
    }
}

/// Files that package managers and editors leave behind are not read by cron.
fn is_read(name: &str) -> bool {
    !name.starts_with('.') && !name.ends_with('~') && !name.contains(".dpkg-") && !name.contains(".rpm")
}

enum Line {
    Job(Job),
    Nothing,
    Broken,
}

/// A line of crontab(5); `user` is whose table it is, where the line does not say.
fn entry(file: &str, line: &str, user: Option<&str>) -> Line {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') || is_variable(line) {
        return Line::Nothing;
    }
    // A leading dash silences the log (SUSE).
    let line = line.strip_prefix('-').unwrap_or(line);
    let fields = if line.starts_with('@') { 1 } else { 5 };
    let Some((schedule, rest)) = take_words(line, fields) else { return Line::Broken };
    let (user, command) = match user {
        Some(user) => (user.to_owned(), rest),
        None => match take_words(rest, 1) {
            Some(taken) => taken,
            None => return Line::Broken,
        },
    };
    if command.is_empty() {
        return Line::Broken;
    }
    Line::Job(command_job(file, schedule, user, command))
}

fn command_job(file: &str, schedule: String, user: String, command: &str) -> Job {
    Job {
        kind: Kind::Cron,
        file: file.to_owned(),
        schedule,
        user,
        program: program(command),
        digest: Some(Digest::of_bytes(command.as_bytes())),
    }
}

/// `NAME = value`: a setting for the commands that follow.
fn is_variable(line: &str) -> bool {
    line.split_once('=').is_some_and(|(name, _)| {
        let name = name.trim().trim_matches(['"', '\'']);
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// The first words, with single spaces between them, and what follows them.
fn take_words(line: &str, count: usize) -> Option<(String, &str)> {
    let mut rest = line.trim_start();
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let end = rest.find(char::is_whitespace)?;
        let (word, after) = rest.split_at_checked(end)?;
        words.push(word);
        rest = after.trim_start();
    }
    Some((words.join(" "), rest))
}

/// The first word that is no assignment: an assignment may be a secret.
fn program(command: &str) -> String {
    let word = command.split_ascii_whitespace().find(|word| !word.contains('='));
    word.unwrap_or_default().to_owned()
}

/// `period delay name command` of anacrontab(5).
fn anacron(line: &str) -> Option<Job> {
    let line = line.trim();
    if line.starts_with('#') || is_variable(line) {
        return None;
    }
    let (fields, command) = take_words(line, 3)?;
    let mut fields = fields.split(' ');
    let (period, delay) = (fields.next()?, fields.next()?);
    let schedule = if period.starts_with('@') { period.to_owned() } else { format!("every {period} days") };
    let schedule = format!("{schedule}, {delay} minutes late");
    Some(command_job("/etc/anacrontab", schedule, "root".to_owned(), command))
}

fn scripts(root: &Root, section: &mut Section<Jobs>) {
    for (folder, schedule) in SCRIPT_FOLDERS {
        for name in names(root, folder, section).into_iter().filter(|name| is_read(name)) {
            let path = format!("{folder}/{name}");
            let digest = digest(root, &path, section);
            section.body.jobs.push(Job {
                kind: Kind::Folder,
                schedule: schedule.to_owned(),
                user: "root".to_owned(),
                program: path.clone(),
                digest,
                file: path,
            });
        }
    }
}

fn digest(root: &Root, path: &str, section: &mut Section<Jobs>) -> Option<Digest> {
    match root.read(path, CONFIGURATION) {
        Ok(bytes) => Some(Digest::of_bytes(&bytes)),
        Err(error) => {
            note(path, &error, section);
            None
        }
    }
}

/// Timers that something starts.
fn timers(root: &Root, section: &mut Section<Jobs>) {
    let units = unit::collect(root).body.units;
    let path = |name: &str| units.iter().find(|unit| unit.name == name).and_then(|unit| unit.path.clone());
    for timer in units.iter().filter(|unit| unit.name.ends_with(".timer")) {
        let started = !timer.wanted_by.is_empty() || !timer.required_by.is_empty();
        let (Some(file), Some(digest), true) = (&timer.path, timer.digest, started) else { continue };
        let mut read = text(root, file, CONFIGURATION, section).unwrap_or_default();
        for drop_in in &timer.drop_ins {
            read.push('\n');
            read.push_str(&text(root, &drop_in.path, CONFIGURATION, section).unwrap_or_default());
        }
        let settings = unit::settings(&read, "Timer");
        let named =
            settings.iter().rev().find(|(key, _)| *key == "Unit").map(|(_, value)| (*value).to_owned());
        let stem = timer.name.trim_end_matches(".timer");
        let program = named.unwrap_or_else(|| format!("{stem}.service"));
        let service =
            path(&program).and_then(|path| text(root, &path, CONFIGURATION, section)).unwrap_or_default();
        let user = unit::settings(&service, "Service").into_iter().rev().find(|(key, _)| *key == "User");
        section.body.jobs.push(Job {
            kind: Kind::Timer,
            file: file.clone(),
            schedule: timer_schedule(&settings),
            user: user.map_or("root", |(_, user)| user).to_owned(),
            program,
            digest: Some(digest),
        });
    }
}

/// All times a timer elapses; an empty setting takes back those before it.
fn timer_schedule(settings: &[(&str, &str)]) -> String {
    let mut times: Vec<String> = Vec::new();
    for (key, value) in settings.iter().filter(|(key, _)| TIMES.contains(key)) {
        if value.is_empty() {
            times.retain(|time| !time.starts_with(&format!("{key}=")));
        } else {
            times.push(format!("{key}={value}"));
        }
    }
    times.join("; ")
}

fn at(root: &Root, section: &mut Section<Jobs>) {
    let users = users(root);
    for folder in AT_FOLDERS {
        for name in names(root, folder, section) {
            let Some(at) = at_time(&name) else { continue };
            let file = format!("{folder}/{name}");
            let Ok(metadata) = root.metadata(&file) else { continue };
            let user = users.get(&metadata.uid()).cloned().unwrap_or_else(|| metadata.uid().to_string());
            let digest = digest(root, &file, section);
            section.body.jobs.push(Job {
                kind: Kind::At,
                file,
                schedule: at.to_string(),
                user,
                program: "sh".to_owned(),
                digest,
            });
        }
    }
}

/// A job's file is named by its queue, five hex digits of its number, and eight of its minute since 1970.
fn at_time(name: &str) -> Option<Timestamp> {
    let (queue, minutes) = (name.get(..1)?, name.get(6..)?);
    let known = queue.starts_with(|c: char| c.is_ascii_alphabetic());
    if !known || name.len() != 14 {
        return None;
    }
    u32::from_str_radix(name.get(1..6)?, 16).ok()?;
    let minutes = u32::from_str_radix(minutes, 16).ok()?;
    Some(Timestamp::from_millis(i64::from(minutes) * 60_000))
}

/// Names by number, for the owners of files.
fn users(root: &Root) -> BTreeMap<u32, String> {
    let accounts = crate::account::collect(root).body;
    accounts.users.into_iter().rev().map(|user| (user.uid, user.name)).collect()
}

#[cfg(test)]
mod tests;
