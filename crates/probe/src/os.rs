//! The `os` section: which operating system lies under the root (os-release(5)).

use bartizan_core::fact::{OperatingSystem, Section};

use crate::root::{CONFIGURATION, Error, Root};

/// Where it stands; the first that is there counts.
const FILES: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// What os-release(5) has for a system that gives no `ID`.
const DEFAULT_ID: &str = "linux";

/// What it has for one that gives no `PRETTY_NAME`.
const DEFAULT_NAME: &str = "Linux";

/// What Debian appends to the codename of a release that is not out yet.
const UNRELEASED: &str = "/sid";

pub fn collect(root: &Root) -> Section<OperatingSystem> {
    match read(root) {
        Ok(system) => Section::new(system),
        Err(error) => {
            let mut section = Section::new(OperatingSystem::default());
            section.miss(FILES[0], error.reason());
            section
        }
    }
}

/// The operating system. Fails where neither file can be read.
pub fn read(root: &Root) -> Result<OperatingSystem, Error> {
    let [first, second] = FILES;
    let text = match root.read_text(first, CONFIGURATION) {
        // Whoever has neither is told of the one that people know.
        Err(missing @ Error::Missing { .. }) => match root.read_text(second, CONFIGURATION) {
            Err(Error::Missing { .. }) => return Err(missing),
            other => other?,
        },
        other => other?,
    };
    Ok(parse(&text.text))
}

fn parse(text: &str) -> OperatingSystem {
    let mut system = OperatingSystem::default();
    let mut version = String::new();
    for line in text.lines() {
        let line = line.trim();
        let Some((key, value)) = line.split_once('=') else { continue };
        if line.starts_with('#') {
            continue;
        }
        let Some(value) = unquote(value) else { continue };
        // As in a shell, the last assignment counts.
        match key {
            "ID" => system.id = value,
            "VERSION_ID" => system.version_id = value,
            "VERSION_CODENAME" => system.codename = value,
            "PRETTY_NAME" => system.name = value,
            "VERSION" => version = value,
            "ID_LIKE" => system.id_like = value.split_ascii_whitespace().map(str::to_owned).collect(),
            _ => {}
        }
    }
    if system.codename.is_empty() && system.id == "debian" {
        system.codename = debian_codename(&version, &system.name).unwrap_or_default().to_owned();
    }
    for (field, default) in [(&mut system.id, DEFAULT_ID), (&mut system.name, DEFAULT_NAME)] {
        if field.is_empty() {
            default.clone_into(field);
        }
    }
    system
}

/// The codename of a Debian older than the field for it: `8 (jessie)` in `VERSION`, or of one that
/// is not released, which has no `VERSION`: `Debian GNU/Linux bullseye/sid`.
fn debian_codename<'a>(version: &'a str, name: &'a str) -> Option<&'a str> {
    let word = match version.split_once('(') {
        Some((_, rest)) => rest.split_once(')')?.0,
        None => name.split_ascii_whitespace().last()?.strip_suffix(UNRELEASED)?,
    };
    (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase())).then_some(word)
}

/// The value of one assignment by the shell's quoting rules; none where a quote is left open.
/// What follows white space outside of quotes is not part of it.
fn unquote(text: &str) -> Option<String> {
    let mut value = String::with_capacity(text.len());
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), closing) if open == closing => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, '\\') => value.extend(characters.next()),
            (Some('"'), '\\') => match characters.next()? {
                escaped @ ('"' | '\\' | '$' | '`') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            (None, space) if space.is_ascii_whitespace() => break,
            (_, other) => value.push(other),
        }
    }
    quote.is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use bartizan_core::verdict::Reason;
    use proptest::prelude::*;

    use super::*;
    use crate::tree;

    #[test]
    fn values_are_unquoted_as_a_shell_does() {
        for (text, value) in [
            ("debian", Some("debian")),
            ("\"Debian GNU/Linux\"", Some("Debian GNU/Linux")),
            ("'a \"b\" \\$c'", Some("a \"b\" \\$c")),
            (r#""a \"b\" \$c \`d \\ \n""#, Some(r#"a "b" $c `d \ \n"#)),
            (r"a\ b", Some("a b")),
            ("a'b c'\"d\"", Some("ab cd")),
            ("a # comment", Some("a")),
            ("", Some("")),
            ("\"open", None),
            ("\"open\\", None),
        ] {
            assert_eq!(unquote(text).as_deref(), value, "{text}");
        }
    }

    #[test]
    fn the_release_is_read_from_etc_and_else_from_usr() {
        let root = tree::root(&[
            ("etc/os-release", "-> ../usr/lib/os-release"),
            (
                "usr/lib/os-release",
                "# ID=no\nID=rocky\nID_LIKE=\"rhel centos  fedora\"\nVERSION_ID='9.4'\n\nnonsense\n\
                 VERSION=\"9.4 (Blue Onyx)\"\nPRETTY_NAME=\"Rocky Linux 9.4 (Blue Onyx)\"\r\n",
            ),
        ]);
        let expected = OperatingSystem {
            id: "rocky".to_owned(),
            version_id: "9.4".to_owned(),
            codename: String::new(),
            name: "Rocky Linux 9.4 (Blue Onyx)".to_owned(),
            id_like: ["rhel", "centos", "fedora"].map(str::to_owned).to_vec(),
        };
        assert_eq!(read(&root).unwrap(), expected);
        let root = tree::root(&[("usr/lib/os-release", "ID=alpine\nVERSION_ID=3.20.1\n")]);
        assert_eq!(read(&root).unwrap().version_id, "3.20.1");
    }

    #[test]
    fn a_debian_has_its_codename_with_the_field_or_without() {
        for (text, version_id, codename) in [
            ("ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n", "12", "bookworm"),
            ("ID=debian\nVERSION_ID=\"8\"\nVERSION=\"8 (jessie)\"\n", "8", "jessie"),
            ("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux bullseye/sid\"\n", "", "bullseye"),
            (
                "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux trixie/sid\"\nVERSION_CODENAME=trixie\n",
                "",
                "trixie",
            ),
            ("ID=debian\nVERSION=\"9 (Odd Name)\"\n", "", ""),
            ("ID=centos\nVERSION=\"7 (core)\"\n", "", ""),
        ] {
            let system = parse(text);
            assert_eq!(
                (system.version_id.as_str(), system.codename.as_str()),
                (version_id, codename),
                "{text}"
            );
        }
    }

    #[test]
    fn an_empty_file_gives_the_defaults_and_none_at_all_an_error_and_an_unknown() {
        let system = parse("");
        assert_eq!((system.id.as_str(), system.name.as_str()), ("linux", "Linux"));
        let root = tree::root(&[]);
        assert!(matches!(read(&root), Err(Error::Missing { path }) if path.ends_with("etc/os-release")));
        let section = collect(&root);
        assert_eq!((section.unknown[0].what.as_str(), section.unknown[0].reason), (FILES[0], Reason::Error));
    }

    #[test]
    fn this_host_tells_the_same_twice() {
        tree::is_stable(|| collect(&Root::host()));
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "(?s).{0,200}|([A-Z_]{1,8}=[\"'a \\\\$\n]{0,12}){0,6}") {
            parse(&text);
        }
    }
}
