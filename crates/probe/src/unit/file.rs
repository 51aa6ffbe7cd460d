//! Unit files and their names.

/// Endings of units that files describe.
const KINDS: [&str; 10] =
    ["automount", "mount", "path", "scope", "service", "slice", "socket", "swap", "target", "timer"];

/// What a unit's `[Install]` section would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Install {
    /// There is none, or nothing in it.
    None,
    /// It makes a link to the unit.
    Units,
    /// It only enables others (`Also=`) or names an instance.
    OthersOnly,
}

impl Install {
    pub(super) fn of(text: &str) -> Install {
        let mut found = Install::None;
        for (key, value) in settings(text, "Install") {
            match key {
                "WantedBy" | "RequiredBy" | "UpheldBy" | "Alias" if !value.is_empty() => {
                    return Install::Units;
                }
                "Also" | "DefaultInstance" if !value.is_empty() => found = Install::OthersOnly,
                _ => {}
            }
        }
        found
    }
}

/// The settings of one section of a unit file, in order (systemd.syntax(7)).
pub(crate) fn settings<'a>(text: &'a str, section: &str) -> Vec<(&'a str, &'a str)> {
    let mut inside = false;
    let mut settings = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            inside = name == section;
        } else if inside
            && !line.starts_with(['#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            settings.push((key.trim(), value.trim()));
        }
    }
    settings
}

/// Whether a file's name is a unit's.
pub(super) fn is_unit(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, kind)| !stem.is_empty() && KINDS.contains(&kind))
}

/// The template of an instance: `getty@.service` for `getty@tty1.service`.
pub(super) fn template(name: &str) -> Option<String> {
    let (stem, kind) = name.rsplit_once('.')?;
    let (prefix, instance) = stem.split_once('@')?;
    (!instance.is_empty()).then(|| format!("{prefix}@.{kind}"))
}

/// The last part of a path.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
