//! Lines of sudoers(5): joining, comments, and splitting outside quotes and escapes.

/// Logical lines with the number of their first, from 1: continued lines joined, comments taken off.
pub(super) fn logical(text: &str) -> Vec<(u32, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(u32, String)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let (start, mut so_far) = open.take().unwrap_or((number, String::new()));
        if let Some(begun) = line.strip_suffix('\\') {
            so_far.push_str(begun);
            open = Some((start, so_far));
            continue;
        }
        so_far.push_str(line);
        lines.push((start, so_far));
    }
    lines.extend(open);
    lines
        .into_iter()
        .map(|(number, line)| (number, without_comment(&line).trim().to_owned()))
        .filter(|(_, line)| !line.is_empty())
        .collect()
}

/// A line up to its comment. `#include`, and a `#` before digits (a user's number), begin none.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with("#include") {
        return line;
    }
    let mut state = State::default();
    for (place, c) in line.char_indices() {
        let next = line.get(place + c.len_utf8()..).and_then(|rest| rest.chars().next());
        let number = next.is_some_and(|next| next.is_ascii_digit() || next == '-');
        if c == '#' && state.is_plain() && !number {
            return line.get(..place).unwrap_or(line);
        }
        state.step(c);
    }
    line
}

/// What the characters so far mean for the next.
#[derive(Default)]
struct State {
    quoted: bool,
    escaped: bool,
    parentheses: u32,
}

impl State {
    fn is_plain(&self) -> bool {
        !self.quoted && !self.escaped && self.parentheses == 0
    }

    fn step(&mut self, c: char) {
        if std::mem::take(&mut self.escaped) {
            return;
        }
        match c {
            '\\' => self.escaped = true,
            '"' => self.quoted = !self.quoted,
            '(' if !self.quoted => self.parentheses += 1,
            ')' if !self.quoted => self.parentheses = self.parentheses.saturating_sub(1),
            _ => {}
        }
    }
}

/// The parts between separators that stand outside quotes, escapes and parentheses.
pub(super) fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut state = State::default();
    for c in text.chars() {
        if c == separator && state.is_plain() {
            parts.push(String::new());
            continue;
        }
        state.step(c);
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

/// A list with commas, each item trimmed.
pub(super) fn list(text: &str) -> Vec<String> {
    split(text, ',').iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

/// Users and hosts, which only white space parts: commas bind what stands on their sides.
pub(super) fn users_and_hosts(text: &str) -> Option<(String, String)> {
    let mut users = String::new();
    let mut state = State::default();
    // Whether a comma or `!` binds what comes next, and whether white space parts it from what came before.
    let mut bound = true;
    let mut parted = false;
    for (place, c) in text.char_indices() {
        let plain = state.is_plain();
        if c.is_whitespace() && plain {
            parted = true;
            continue;
        }
        if parted && !bound && c != ',' {
            return Some((users, text.get(place..)?.trim().to_owned()));
        }
        bound = plain && matches!(c, ',' | '!');
        parted = false;
        state.step(c);
        users.push(c);
    }
    None
}
