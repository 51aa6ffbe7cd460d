//! One setting of a file of lines. Everything else in the file, comments among it, stays as it is.

use bartizan_core::configuration::baseline::Format;
use bartizan_probe::root::Root;

use super::place::Place;
use super::{Look, Problem};

/// Which setting, and where.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    file: &'a str,
    section: Option<&'a str>,
    key: &'a str,
    /// sshd_config(5): the first value holds, keywords have no case, and a `Match` line ends what
    /// holds for all.
    sshd: bool,
}

/// A line of the file.
enum Line<'a> {
    Section(&'a str),
    /// The key, and what stands before and after its value.
    Setting {
        key: &'a str,
        value: &'a str,
    },
    /// Ends the part that holds for all.
    Match,
    Other,
}

impl<'a> Setting<'a> {
    pub(super) fn new(
        file: &'a str,
        format: Format,
        section: Option<&'a str>,
        key: &'a str,
    ) -> Result<Self, Problem> {
        let section = match format {
            Format::KeyValue => None,
            Format::Ini => Some(section.unwrap_or_default()),
            Format::Json | Format::Yaml | Format::Toml => {
                return Err(Problem::Unsupported(format!("{key} in {file}: its format is not one of lines")));
            }
        };
        let sshd = file.starts_with("/etc/ssh/sshd_config");
        Ok(Self { file, section, key, sshd })
    }

    pub(super) fn look(&self, root: &Root, value: &str) -> Result<Look, Problem> {
        let text = Place::of(root, self.file)?.read()?.unwrap_or_default();
        let held = self.values(&text);
        let is = if self.sshd { held.first() } else { held.last() };
        Ok(match is {
            Some(is) => Look { so: is == value, is: is.clone() },
            None => Look { so: false, is: "not set".to_owned() },
        })
    }

    pub(super) fn set(&self, root: &Root, value: &str) -> Result<(), Problem> {
        let place = Place::of(root, self.file)?;
        let text = place.read()?.unwrap_or_default();
        place.write(&self.edit(&text, value))
    }

    /// The values that the file gives to the setting, in their order.
    fn values(&self, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut here = self.section.is_none_or(str::is_empty);
        for line in text.lines() {
            match self.line(line) {
                Line::Section(name) => here = self.section == Some(name),
                Line::Match => break,
                Line::Setting { key, value } if here && self.is(key) => {
                    found.push(unquoted(value).to_owned())
                }
                Line::Setting { .. } | Line::Other => {}
            }
        }
        found
    }

    /// The text with the setting: in place where it stands, else at the end of its section.
    fn edit(&self, text: &str, value: &str) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut here = self.section.is_none_or(str::is_empty);
        let mut end = here.then_some(0);
        let mut set = false;
        for (place, line) in lines.iter_mut().enumerate() {
            match self.line(line) {
                Line::Section(name) => here = self.section == Some(name),
                Line::Match => break,
                Line::Setting { key, value: old } if here && self.is(key) => {
                    let start = line.len() - line.trim_end().len();
                    let head = line.len() - start - old.len();
                    let kept = line.get(..head).unwrap_or_default();
                    *line = format!("{kept}{value}");
                    set = true;
                }
                Line::Setting { .. } | Line::Other => {}
            }
            // Blank lines at the end of a section separate it from the next.
            if here && !line.trim().is_empty() {
                end = Some(place + 1);
            }
        }
        if !set {
            let separator = if self.section.is_some() || lines.iter().any(|line| line.contains('=')) {
                if self.sshd { " " } else { " = " }
            } else {
                " "
            };
            let fresh = format!("{}{separator}{value}", self.key);
            match end {
                Some(end) => lines.insert(end, fresh),
                None => lines.extend([format!("[{}]", self.section.unwrap_or_default()), fresh]),
            }
        }
        lines.push(String::new());
        lines.join("\n")
    }

    fn is(&self, key: &str) -> bool {
        if self.sshd { key.eq_ignore_ascii_case(self.key) } else { key == self.key }
    }

    fn line<'t>(&self, line: &'t str) -> Line<'t> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || (self.section.is_some() && line.starts_with(';')) {
            return Line::Other;
        }
        if self.section.is_some()
            && let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
        {
            return Line::Section(name.trim());
        }
        let end = line.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(line.len());
        let (key, rest) = line.split_at(end);
        if self.sshd && key.eq_ignore_ascii_case("match") {
            return Line::Match;
        }
        let rest = rest.trim_start();
        let value = rest.strip_prefix('=').map_or(rest, str::trim_start);
        Line::Setting { key, value }
    }
}

/// A value without the quotes around it.
fn unquoted(value: &str) -> &str {
    let inside = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edited(file: &str, section: Option<&str>, text: &str, key: &str, value: &str) -> String {
        let format = if section.is_some() { Format::Ini } else { Format::KeyValue };
        Setting::new(file, format, section, key).unwrap().edit(text, value)
    }

    #[test]
    fn a_value_is_replaced_where_it_stands_and_the_rest_stays() {
        let text = "# about\nUMASK\t\t022\nOTHER yes # why\n";
        assert_eq!(
            edited("/etc/login.defs", None, text, "UMASK", "027"),
            "# about\nUMASK\t\t027\nOTHER yes # why\n"
        );
        let spaced = "a = 1\nb=2   \n";
        assert_eq!(edited("/etc/x", None, spaced, "b", "3"), "a = 1\nb=3\n");
    }

    #[test]
    fn a_setting_that_is_not_there_comes_to_the_end_in_the_manner_of_the_file() {
        assert_eq!(edited("/etc/x", None, "a = 1\n\n", "b", "2"), "a = 1\nb = 2\n\n");
        assert_eq!(edited("/etc/x", None, "A 1\n#B 3\n", "B", "2"), "A 1\n#B 3\nB 2\n");
        assert_eq!(edited("/etc/x", None, "", "B", "2"), "B 2\n");
    }

    #[test]
    fn a_section_keeps_its_own() {
        let text = "[one]\nk = 1\n\n[two]\nk = 2\n";
        assert_eq!(edited("/etc/x", Some("one"), text, "k", "9"), "[one]\nk = 9\n\n[two]\nk = 2\n");
        assert_eq!(edited("/etc/x", Some("one"), text, "n", "9"), "[one]\nk = 1\nn = 9\n\n[two]\nk = 2\n");
        assert_eq!(edited("/etc/x", Some("three"), text, "k", "9"), format!("{text}[three]\nk = 9\n"));
    }

    #[test]
    fn sshd_takes_the_first_value_and_what_is_set_stands_before_any_match() {
        let file = "/etc/ssh/sshd_config";
        let text = "Port 22\npermitrootlogin yes\n\nMatch User backup\n  PermitRootLogin no\n";
        let after = edited(file, None, text, "PermitRootLogin", "no");
        assert_eq!(after, "Port 22\npermitrootlogin no\n\nMatch User backup\n  PermitRootLogin no\n");
        let after = edited(file, None, text, "X11Forwarding", "no");
        assert_eq!(
            after,
            "Port 22\npermitrootlogin yes\nX11Forwarding no\n\nMatch User backup\n  PermitRootLogin no\n"
        );
    }

    proptest! {
        #[test]
        fn what_is_set_is_read_back_and_set_again_changes_nothing(text in "([a-c#\\[\\]=; \t\n]{0,60})", value in "[a-z0-9]{1,8}") {
            for (file, section) in [("/etc/x", None), ("/etc/x", Some("a")), ("/etc/ssh/sshd_config", None)] {
                let format = if section.is_some() { Format::Ini } else { Format::KeyValue };
                let setting = Setting::new(file, format, section, "key").unwrap();
                let once = setting.edit(&text, &value);
                prop_assert_eq!(setting.values(&once), vec![value.clone()]);
                prop_assert_eq!(setting.edit(&once, &value), once);
            }
        }
    }
}
