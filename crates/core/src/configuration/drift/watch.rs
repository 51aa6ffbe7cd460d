//! What is watched for drift. A document of kind `Drift`.

use serde::{Deserialize, Serialize};

use super::{Kind, Object};
use crate::document::{Document, Fault};
use crate::severity::Severity;

/// The word in documents.
pub const KIND: &str = "Drift";

/// The most watches of one document, and patterns of one watch.
const WATCHES_LIMIT: usize = 100;
const PATTERNS_LIMIT: usize = 200;

/// The `spec` of a `Drift` document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watches {
    /// An object belongs to the first that names it.
    pub watches: Vec<Watch>,
}

/// Objects that are watched together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// What its alerts are called by.
    pub id: String,
    /// Files, folders and links. `*` stands for any part of one name, `**` for any number of folders.
    pub files: Vec<Pattern>,
    /// What is not watched, though a pattern of this watch names it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Pattern>,
    pub severity: Severity,
    /// What drifts where one of these does, in words.
    pub summary: String,
}

/// A path with wildcards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Watches {
    /// Reads a `Drift` document; a fault names the line of what is wrong.
    pub fn from_document(document: &Document) -> Result<Watches, Fault> {
        let read: Watches = document.spec_as()?;
        let fault = |key: &str, message: String| Err(document.fault(key, message));
        if read.watches.len() > WATCHES_LIMIT {
            return fault("watches", format!("a document has at most {WATCHES_LIMIT} watches"));
        }
        for (place, watch) in read.watches.iter().enumerate() {
            let at = format!("watches[{place}]");
            if read.watches.iter().take(place).any(|other| other.id == watch.id) {
                return fault(&format!("{at}.id"), "stands here twice".to_owned());
            }
            if watch.files.is_empty() {
                return fault(&format!("{at}.files"), "names nothing: write paths, as /etc/**".to_owned());
            }
            for (key, patterns) in [("files", &watch.files), ("except", &watch.except)] {
                if patterns.len() > PATTERNS_LIMIT {
                    return fault(&format!("{at}.{key}"), format!("takes at most {PATTERNS_LIMIT} patterns"));
                }
                let bad = patterns.iter().position(|pattern| !pattern.is_sound());
                if let Some(bad) = bad {
                    let message = "is no path from the root: write it as /etc/hosts, /etc/*.conf or /etc/**";
                    return fault(&format!("{at}.{key}[{bad}]"), message.to_owned());
                }
            }
        }
        Ok(read)
    }

    /// The watch that an object belongs to; none where it is not watched.
    pub fn of(&self, object: &Object) -> Option<&Watch> {
        self.watches.iter().find(|watch| watch.has(object))
    }

    /// The folders and files where a look for watched files begins, none within another.
    pub fn places(&self) -> Vec<&str> {
        let mut places: Vec<&str> =
            self.watches.iter().flat_map(|watch| &watch.files).map(Pattern::place).collect();
        places.sort_unstable();
        let mut apart: Vec<&str> = Vec::new();
        for place in places {
            let lies_in = |outer: &str| place.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
            if !apart.iter().any(|outer| place == *outer || lies_in(outer)) {
                apart.push(place);
            }
        }
        apart
    }
}

impl Watch {
    fn has(&self, object: &Object) -> bool {
        let names = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(&object.name));
        object.kind == Kind::File && names(&self.files) && !names(&self.except)
    }
}

impl Pattern {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    fn is_sound(&self) -> bool {
        let parts = self.0.strip_prefix('/').map(|rest| rest.split('/'));
        parts.is_some_and(|mut parts| {
            parts.all(|part| !matches!(part, "" | "." | "..") && (part == "**" || !part.contains("**")))
        })
    }

    /// Whether it names this path.
    pub fn matches(&self, path: &str) -> bool {
        let pattern: Vec<&str> = self.0.split('/').collect();
        let path: Vec<&str> = path.split('/').collect();
        follow(&pattern, &path)
    }

    /// The path up to its first wildcard: what it names lies there or below.
    fn place(&self) -> &str {
        let Some(wild) = self.0.find('*') else { return &self.0 };
        let end = self.0.get(..wild).and_then(|open| open.rfind('/')).unwrap_or(0);
        self.0.get(..end).filter(|place| !place.is_empty()).unwrap_or("/")
    }
}

/// Whether the parts of a pattern name the parts of a path. It goes back to the last `**` alone, so that its work is at
/// most the product of both lengths.
fn follow(pattern: &[&str], path: &[&str]) -> bool {
    let (mut at, mut reached) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while let Some(part) = path.get(reached) {
        match pattern.get(at) {
            Some(&"**") => {
                back = Some((at, reached));
                at += 1;
            }
            Some(wanted) if names(wanted, part) => {
                at += 1;
                reached += 1;
            }
            _ => match back {
                Some((from, passed)) => {
                    back = Some((from, passed + 1));
                    (at, reached) = (from + 1, passed + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|part| *part == "**")
}

/// Whether one name fits a part of a pattern, in which `*` stands for any letters.
fn names(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(found) => rest = rest.get(found + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
kind: Drift
name: host
spec:
  watches:
    - id: access
      files: [/etc/passwd, /etc/ssh/**]
      severity: high
      summary: who may log in
    - id: configuration
      files: [/etc/**]
      except: ['/etc/**/*.swp', /etc/mtab]
      severity: medium
      summary: configuration
";

    fn read(text: &str) -> Result<Watches, Fault> {
        Watches::from_document(&crate::document::parse("d.yaml", text).unwrap()[0])
    }

    #[test]
    fn an_object_belongs_to_the_first_watch_that_names_it() {
        let watches = read(DOCUMENT).unwrap();
        let table = [
            ("/etc/passwd", Some("access")),
            ("/etc/ssh/sshd_config.d/a.conf", Some("access")),
            ("/etc/ssh", Some("access")),
            ("/etc/hosts", Some("configuration")),
            ("/etc/a/b/.x.swp", None),
            ("/etc/x.swp", None),
            ("/etc/mtab", None),
            ("/usr/etc/hosts", None),
            ("/etcetera", None),
        ];
        for (path, watch) in table {
            assert_eq!(watches.of(&Object::file(path)).map(|watch| watch.id.as_str()), watch, "{path}");
        }
        assert_eq!(watches.of(&Object::new(Kind::Package, "/etc/hosts")), None);
        assert_eq!(watches.places(), ["/etc"]);
    }

    #[test]
    fn a_wildcard_stands_for_part_of_one_name_and_two_for_folders() {
        let table = [
            ("/a/*.conf", "/a/x.conf", true),
            ("/a/*.conf", "/a/.conf", true),
            ("/a/*.conf", "/a/b/x.conf", false),
            ("/a/x*y*z", "/a/xyyz", true),
            ("/a/x*y*z", "/a/xz", false),
            ("/a/xx*xx", "/a/xxx", false),
            ("/**/c", "/a/b/c", true),
            ("/**/c", "/c", true),
            ("/a/**/b/**", "/a/x/b/y/b", true),
            ("/a/**/b", "/a/b/b/c", false),
        ];
        for (pattern, path, names) in table {
            assert_eq!(Pattern::new(pattern).matches(path), names, "{pattern} {path}");
        }
    }

    #[test]
    fn a_look_begins_before_the_first_wildcard_and_at_no_place_twice() {
        let files = ["/etc/ssh/*.conf", "/etc/ssh", "/srv/**/x", "/etc/sshd", "/opt/a*/b"];
        let files = files.map(Pattern::new).to_vec();
        let watch =
            Watch { id: "w".into(), files, except: Vec::new(), severity: Severity::Low, summary: "w".into() };
        assert_eq!(Watches { watches: vec![watch] }.places(), ["/etc/ssh", "/etc/sshd", "/opt", "/srv"]);
    }

    #[test]
    fn a_watch_that_makes_no_sense_is_refused_with_its_line() {
        let table = [
            (DOCUMENT.replace("/etc/passwd", "etc/passwd"), "d.yaml:6: "),
            (DOCUMENT.replace("/etc/passwd", "/etc/../passwd"), "d.yaml:6: "),
            (DOCUMENT.replace("/etc/passwd", "/etc/a**"), "d.yaml:6: "),
            (DOCUMENT.replace("id: configuration", "id: access"), "d.yaml:9: "),
            (DOCUMENT.replace("[/etc/passwd, /etc/ssh/**]", "[]"), "d.yaml:6: "),
            (DOCUMENT.replace("summary: who", "sumary: who"), "d.yaml:8: "),
        ];
        for (text, place) in table {
            let fault = read(&text).unwrap_err().to_string();
            assert!(fault.starts_with(place), "{fault}\nexpected {place}");
        }
    }
}
