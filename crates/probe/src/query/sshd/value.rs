//! Keywords and values of sshd_config(5), in one form each.

/// Other names of keywords.
const ALIASES: [(&str, &str); 6] = [
    ("challengeresponseauthentication", "kbdinteractiveauthentication"),
    ("skeyauthentication", "kbdinteractiveauthentication"),
    ("pubkeyacceptedkeytypes", "pubkeyacceptedalgorithms"),
    ("hostbasedacceptedkeytypes", "hostbasedacceptedalgorithms"),
    ("dsaauthentication", "pubkeyauthentication"),
    ("keepalive", "tcpkeepalive"),
];

/// Keywords that may be given often, each time with more words.
const LISTS: [&str; 12] = [
    "acceptenv",
    "allowgroups",
    "allowusers",
    "authenticationmethods",
    "denygroups",
    "denyusers",
    "hostkey",
    "listenaddress",
    "permitlisten",
    "permitopen",
    "port",
    "setenv",
];

/// Keywords whose value is a list of algorithms that `+`, `-` and `^` change against the default.
const ALGORITHMS: [&str; 3] = ["ciphers", "kexalgorithms", "macs"];

/// Keywords whose value is a time.
const TIMES: [&str; 2] = ["clientaliveinterval", "logingracetime"];

/// A keyword in small letters, under its newest name.
pub(super) fn keyword(written: &str) -> String {
    let small = written.to_ascii_lowercase();
    let alias = ALIASES.iter().find(|(old, _)| *old == small);
    alias.map_or(small, |(_, new)| (*new).to_owned())
}

pub(super) fn is_list(keyword: &str) -> bool {
    LISTS.contains(&keyword)
}

/// sshd overwrites this one where it is given again, unlike all others.
pub(super) fn last_counts(keyword: &str) -> bool {
    keyword == "maxstartups"
}

pub(super) fn is_algorithms(keyword: &str) -> bool {
    ALGORITHMS.contains(&keyword)
}

/// The words of a line: the keyword, an optional `=`, values with or without quotes, up to a `#`
/// that begins a word. None where a quote is not closed.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let word = if let Some(inside) = rest.strip_prefix('"') {
            let (word, after) = inside.split_once('"')?;
            rest = after;
            word
        } else {
            let is_end = |c: char| c.is_whitespace() || (words.is_empty() && c == '=');
            let (word, after) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
            rest = after;
            word
        };
        words.push(word.to_owned());
        rest = rest.trim_start();
        if words.len() == 1 {
            rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
        }
    }
    Some(words)
}

/// A value in the form that conditions compare: truth values in small letters, times in seconds,
/// one name for what has two.
pub(super) fn plain(keyword: &str, words: &[String]) -> String {
    let text = words.join(" ");
    let small = text.to_ascii_lowercase();
    if TIMES.contains(&keyword) {
        return seconds(&small).map_or(text, |seconds| seconds.to_string());
    }
    match (keyword, small.as_str()) {
        // A single number is where dropping begins and where it ends.
        ("maxstartups", number) if !number.contains(':') => format!("{number}:30:{number}"),
        ("permitrootlogin", "without-password") => "prohibit-password".to_owned(),
        ("loglevel" | "syslogfacility" | "fingerprinthash", _) => text.to_ascii_uppercase(),
        (_, "yes" | "true") => "yes".to_owned(),
        (_, "no" | "false") => "no".to_owned(),
        ("permitrootlogin" | "allowtcpforwarding" | "compression" | "gatewayports" | "banner", _)
            if !text.starts_with('/') =>
        {
            small
        }
        _ => text,
    }
}

/// A time like `120`, `2m` or `1h30m` in seconds.
fn seconds(text: &str) -> Option<u64> {
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        let number: u64 = digits.parse().ok()?;
        let mut letters = after.chars();
        let unit = match letters.next() {
            None | Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            Some(_) => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = letters.as_str();
    }
    (!text.is_empty()).then_some(total)
}

/// A list of algorithms as sshd would use it: `+` adds to the default, `-` takes from it, `^` puts first.
pub(super) fn algorithms(written: &str, default: &str) -> Vec<String> {
    let split = |text: &str| -> Vec<String> {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    let base = split(default);
    let Some(mark) = written.chars().next() else { return base };
    let given = split(written.trim_start_matches(['+', '-', '^']));
    match mark {
        '+' => {
            let more = given.into_iter().filter(|name| !base.contains(name));
            base.iter().cloned().chain(more).collect()
        }
        '-' => {
            let taken =
                |name: &String| given.iter().any(|pattern| crate::query::view::matches(pattern, name));
            base.into_iter().filter(|name| !taken(name)).collect()
        }
        '^' => {
            let rest = base.iter().filter(|name| !given.contains(name)).cloned().collect::<Vec<_>>();
            given.into_iter().chain(rest).collect()
        }
        _ => split(written),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds() {
        let table = [("120", Some(120)), ("2m", Some(120)), ("1h30m5", Some(5_405)), ("x", None), ("", None)];
        for (text, expected) in table {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn a_line_has_words_with_quotes_and_an_equals_sign() {
        let table = [
            ("Banner \"/etc/my issue\"", Some(vec!["Banner", "/etc/my issue"])),
            ("Port=22", Some(vec!["Port", "22"])),
            ("Port = 22 # why", Some(vec!["Port", "22"])),
            ("AllowUsers a b=c", Some(vec!["AllowUsers", "a", "b=c"])),
            ("Banner \"x", None),
        ];
        for (line, expected) in table {
            let expected = expected.map(|words| words.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn marks_change_the_default_list_of_algorithms() {
        let table = [("", "a,b,c"), ("x,y", "x,y"), ("+c,d", "a,b,c,d"), ("-b*", "a,c"), ("^c,d", "c,d,a,b")];
        for (written, expected) in table {
            assert_eq!(algorithms(written, "a,b,c").join(","), expected, "{written}");
        }
    }
}
