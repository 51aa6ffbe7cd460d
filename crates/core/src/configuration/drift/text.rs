//! What changed in a text, told without its secrets.

use similar::{ChangeTag, TextDiff};

/// The most lines that are told of one text.
const LINES_LIMIT: usize = 40;

/// The longest line that is told, in characters.
const LINE_LIMIT: usize = 200;

/// What stands in place of a secret.
const MASK: &str = "[masked]";

/// Words that say that what follows them on a line is nobody's business.
const SECRETS: [&str; 21] = [
    "pass",
    "pwd",
    "pw=",
    "auth=",
    "key=",
    "key:",
    "key =",
    "secret",
    "token",
    "credential",
    "community",
    "private",
    "apikey",
    "api_key",
    "api-key",
    "accesskey",
    "access_key",
    "psk",
    "bearer",
    "cookie",
    "authkey",
];

/// Values that are no secret, whatever announces them.
const SETTINGS: [&str; 8] = ["yes", "no", "true", "false", "on", "off", "none", "sufficient"];

/// Words beside which a number is a limit and no secret.
const LIMITS: [&str; 8] = ["max", "min", "len", "days", "age", "tries", "retry", "timeout"];

/// Of texts with more lines only their numbers are told: to find what differs would take long.
const COMPARED_LIMIT: usize = 2_000;

/// From so many characters on a word of letters and digits mixed is taken for a key or a hash.
const KEY_LENGTH: usize = 20;

/// The lines that went and came between two texts, masked, each with `-` or `+` before it.
pub fn difference(before: &str, after: &str) -> Vec<String> {
    let count = |text: &str| text.lines().count();
    let (old, new) = (count(before), count(after));
    if old.max(new) > COMPARED_LIMIT {
        return vec![format!("… {old} line{} became {new}", if old == 1 { "" } else { "s" })];
    }
    let diff = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    let mut more = 0_u64;
    for change in diff.iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Equal => continue,
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
        };
        if lines.len() == LINES_LIMIT {
            more += 1;
            continue;
        }
        lines.push(format!("{sign}{}", shown(change.value())));
    }
    if more > 0 {
        lines.push(format!("… and {more} more lines"));
    }
    lines
}

fn shown(line: &str) -> String {
    let masked = mask(line.trim_end());
    match masked.char_indices().nth(LINE_LIMIT) {
        Some((end, _)) => format!("{}…", masked.get(..end).unwrap_or_default()),
        None => masked,
    }
}

/// A line without what looks like a secret: what follows a word that announces one, the password of an
/// address, and long words of letters and digits mixed. It masks too much rather than too little.
pub fn mask(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let announced = SECRETS.iter().filter_map(|word| Some(lower.find(word)? + word.len())).min();
    let (open, secret) = line.split_at_checked(announced.unwrap_or(line.len())).unwrap_or((line, ""));
    let mut told: String = open.split_inclusive(|letter: char| !is_of_a_key(letter)).map(word).collect();
    // The rest of the word that announces it, and what parts the two, may be read.
    let key = secret.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != '-');
    let (rest, value) = secret.split_at_checked(key.unwrap_or(secret.len())).unwrap_or((secret, ""));
    told.push_str(rest);
    let parting = value.find(|letter: char| !letter.is_whitespace() && !matches!(letter, '=' | ':'));
    let (parting, value) = value.split_at_checked(parting.unwrap_or(value.len())).unwrap_or((value, ""));
    told.push_str(parting);
    let bare = value.trim().trim_matches(['"', '\'', ';', ',']).to_ascii_lowercase();
    let is_limit = LIMITS.iter().any(|word| lower.contains(word));
    let is_number = is_limit && bare.len() <= 5 && bare.bytes().all(|byte| byte.is_ascii_digit());
    let is_open = bare.is_empty() || is_number || SETTINGS.contains(&bare.as_str());
    told.push_str(if is_open { value } else { MASK });
    without_passwords(&told)
}

fn is_of_a_key(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '_' | '-' | '$' | '.')
}

/// A word with the letter that ended it; masked where it looks like a key. Paths and host names do not.
fn word(text: &str) -> String {
    let end = text.find(|letter: char| !is_of_a_key(letter)).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let longest = word.split(['/', '.', '-', '_']).map(str::len).max().unwrap_or(0);
    let has = |kind: fn(&char) -> bool| word.chars().any(|letter| kind(&letter));
    let mixed = has(char::is_ascii_digit) && has(char::is_ascii_alphabetic);
    let hash = word.starts_with('$') && word.len() >= KEY_LENGTH;
    if hash || longest >= KEY_LENGTH && mixed { format!("{MASK}{rest}") } else { text.to_owned() }
}

/// Addresses without the password in them (RFC 3986, section 3.2.1).
fn without_passwords(line: &str) -> String {
    let mut told = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("://") {
        told.push_str(before);
        told.push_str("://");
        let word = after.find(char::is_whitespace).unwrap_or(after.len());
        let host = after.get(..word).and_then(|word| word.rfind('@')).unwrap_or(0);
        let path = after
            .get(host..)
            .and_then(|rest| rest.find(|letter: char| letter.is_whitespace() || letter == '/'));
        let end = path.map_or(after.len(), |path| host + path);
        let (authority, tail) = after.split_at_checked(end).unwrap_or((after, ""));
        match authority.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
            Some((user, host)) => told.push_str(&format!("{user}:{MASK}@{host}")),
            None => told.push_str(authority),
        }
        rest = tail;
    }
    told.push_str(rest);
    told
}
