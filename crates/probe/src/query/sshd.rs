//! What sshd does for every connection (sshd_config(5)).
//!
//! sshd keeps the first value that it meets for a keyword, and the values of a `Match` block that
//! applies outweigh those outside of all blocks. Each connection so gets, for each keyword, either
//! the global value or that of some block: one view for the global part and one for each block laid
//! over it hold every value that any connection can get. Options on the daemon's command line make
//! all of it unknown; what nothing sets is unknown where the build is not one whose compiled defaults
//! are known.

use std::collections::{BTreeMap, BTreeSet};

use bartizan_core::canonical::Value;
use bartizan_core::configuration::evaluate::{Field, Item};

use bartizan_core::verdict::Reason;

use super::view::{self, View};
use super::{Answer, Unseen};
use crate::root::Error;
use crate::ssh::default::DEFAULTS;
use crate::ssh::{KNOWN_BUILD, OPTIONS, has_options};

mod value;

const FILE: &str = "/etc/ssh/sshd_config";

/// How deep files may include each other, as in sshd (`SERVCONF_MAX_DEPTH`).
const DEPTH_LIMIT: usize = 16;

/// The most files that one configuration may read.
const FILES_LIMIT: usize = 256;

/// The most `Match` blocks.
const BLOCKS_LIMIT: usize = 1_000;

/// Values by keyword: one, or all that were given where a keyword may be given often.
type Settings = BTreeMap<String, Vec<String>>;

/// What holds under one condition.
#[derive(Debug, Default)]
struct Block {
    /// `sshd_config`, or `/etc/ssh/sshd_config:12 Match User git`.
    name: String,
    settings: Settings,
}

struct Reader<'a> {
    view: &'a dyn View,
    blocks: Vec<Block>,
    files: usize,
}

/// The global view and one for each `Match` block; none where there is no configuration. `build` is
/// the version of the server's package, where one is installed.
pub(super) fn views(view: &dyn View, build: Option<&str>) -> Answer {
    for (path, variable) in OPTIONS {
        if has_options(&view::optional(view, path)?.unwrap_or_default(), variable) {
            return Err(Unseen::unsupported(format!("{path} puts options on sshd's command line")));
        }
    }
    let known = build.is_some_and(|version| version.starts_with(KNOWN_BUILD));
    let global = Block { name: "sshd_config".to_owned(), ..Block::default() };
    let mut reader = Reader { view, blocks: vec![global], files: 0 };
    let text = match view.text(FILE) {
        Ok(text) => text,
        Err(Error::Missing { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    reader.read(FILE, &text, 0, 0)?;
    let mut blocks = reader.blocks.into_iter();
    let Some(global) = blocks.next() else { return Ok(Vec::new()) };
    let mut items = vec![item(&global.name, &global.settings, known)];
    for block in blocks {
        let mut settings = global.settings.clone();
        settings.extend(block.settings);
        items.push(item(&block.name, &settings, known));
    }
    Ok(items)
}

impl Reader<'_> {
    /// Reads one text into the block `current`; a `Match` ends with the file it stands in.
    fn read(&mut self, path: &str, text: &str, mut current: usize, depth: usize) -> Result<(), Unseen> {
        self.files += 1;
        if depth > DEPTH_LIMIT || self.files > FILES_LIMIT {
            return Err(Unseen::unparsable(format!("{path}: files include each other too deeply")));
        }
        let outer = current;
        for (number, line) in view::lines(text) {
            let words = value::words(line)
                .ok_or_else(|| Unseen::unparsable(format!("{path}:{number}: a quote is not closed")))?;
            let Some((keyword, words)) = words.split_first() else { continue };
            match value::keyword(keyword).as_str() {
                "include" => self.include(words, current, depth)?,
                "match" => {
                    if self.blocks.len() > BLOCKS_LIMIT {
                        return Err(Unseen::unparsable(format!("{path}: has too many Match blocks")));
                    }
                    current = self.blocks.len();
                    let within = match self.blocks.get(outer) {
                        Some(block) if outer > 0 => format!(" within {}", block.name),
                        _ => String::new(),
                    };
                    let name = format!("{path}:{number} Match {}{within}", words.join(" "));
                    self.blocks.push(Block { name, ..Block::default() });
                }
                keyword => {
                    if words.is_empty() {
                        return Err(Unseen::unparsable(format!("{path}:{number}: `{keyword}` has no value")));
                    }
                    if let Some(block) = self.blocks.get_mut(current) {
                        block.set(keyword, words);
                    }
                }
            }
        }
        Ok(())
    }

    fn include(&mut self, patterns: &[String], current: usize, depth: usize) -> Result<(), Unseen> {
        for pattern in patterns {
            let pattern =
                if pattern.starts_with('/') { pattern.clone() } else { format!("/etc/ssh/{pattern}") };
            for path in view::expand(self.view, &pattern)? {
                match self.view.text(&path) {
                    Ok(text) => self.read(&path, &text, current, depth + 1)?,
                    Err(Error::Missing { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}

impl Block {
    fn set(&mut self, keyword: &str, words: &[String]) {
        if value::is_list(keyword) {
            self.settings.entry(keyword.to_owned()).or_default().extend_from_slice(words);
        } else if value::last_counts(keyword) {
            self.settings.insert(keyword.to_owned(), words.to_vec());
        } else {
            self.settings.entry(keyword.to_owned()).or_insert_with(|| words.to_vec());
        }
    }
}

/// One view, with compiled defaults for what nothing sets where they are known.
fn item(name: &str, settings: &Settings, known: bool) -> Item {
    let defaults = DEFAULTS.iter().map(|(keyword, _)| *keyword);
    let keywords: BTreeSet<&str> = settings.keys().map(String::as_str).chain(defaults).collect();
    let fields = keywords.into_iter().map(|keyword| (keyword.to_owned(), field(settings, keyword, known)));
    Item { object: name.to_owned(), fields: fields.collect() }
}

fn field(settings: &Settings, keyword: &str, known: bool) -> Field {
    let default = DEFAULTS.iter().filter(|(name, _)| *name == keyword).map(|(_, value)| (*value).to_owned());
    let default: Vec<String> = default.collect();
    let Some(words) = settings.get(keyword) else {
        return match default.as_slice() {
            _ if !known => Reason::Unsupported.into(),
            [one] if value::is_algorithms(keyword) => list_of(value::algorithms("", one)).into(),
            _ if value::is_list(keyword) => list_of(default).into(),
            _ => value::plain(keyword, &default).into(),
        };
    };
    if value::is_algorithms(keyword) {
        let written = words.first().map(String::as_str).unwrap_or_default();
        if written.starts_with(['+', '-', '^']) && !known {
            return Reason::Unsupported.into();
        }
        let default = default.first().map(String::as_str).unwrap_or_default();
        return list_of(value::algorithms(written, default)).into();
    }
    if value::is_list(keyword) {
        return list_of(words.clone()).into();
    }
    value::plain(keyword, words).into()
}

fn list_of(words: Vec<String>) -> Value {
    Value::Array(words.into_iter().map(Value::from).collect())
}

#[cfg(test)]
mod tests;
