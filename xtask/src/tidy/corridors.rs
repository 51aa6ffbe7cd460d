//! Corridors: which room may depend on which, and what the judgement room may never know.

use super::Complaint;
use super::workspace::Room;

/// For each room, the rooms that it may depend on. A room that is not here is a new wall:
/// it takes a decision record and a line.
const CORRIDORS: [(&str, &[&str]); 14] = [
    ("core", &[]),
    ("scap", &["core"]),
    ("feeds", &["core"]),
    ("detect", &["core"]),
    ("ledger", &["core"]),
    ("wire", &["core"]),
    ("store", &["core", "ledger"]),
    ("probe", &["core"]),
    ("agent", &["core", "wire", "detect", "scap", "probe", "ledger"]),
    ("server", &["core", "wire", "detect", "feeds", "ledger", "store"]),
    ("verify", &["ledger"]),
    ("sim", &["core", "wire", "detect", "feeds", "ledger", "store", "server", "agent", "probe"]),
    (
        "bartizan",
        &["agent", "core", "detect", "feeds", "ledger", "probe", "scap", "server", "sim", "store", "wire"],
    ),
    ("xtask", &["core", "detect", "probe"]),
];

/// Crates that would let the judgement room do more than judge.
const NOT_IN_CORE: [&str; 10] =
    ["tokio", "futures", "sqlx", "sea-orm", "reqwest", "hyper", "axum", "rand", "tracing", "nix"];

/// Crates that speak SQL: `store` alone may.
const SQL: [&str; 4] = ["sqlx", "sea-orm", "sea-orm-migration", "rusqlite"];

pub(super) fn check(rooms: &[Room]) -> Vec<Complaint> {
    rooms.iter().flat_map(check_room).collect()
}

fn check_room(room: &Room) -> Vec<Complaint> {
    let place = format!("room {}", room.name);
    let Some((_, allowed)) = CORRIDORS.iter().find(|(name, _)| *name == room.name) else {
        let message = "is not in the table of corridors: add it, with a decision record that says why";
        return vec![Complaint::new(place, message)];
    };
    let walled = room.rooms.iter().filter(|other| !allowed.contains(&other.as_str())).map(|other| {
        format!("must not depend on {other}: move the code, or the wall with a decision record")
    });
    let knows = room
        .crates
        .iter()
        .filter(|name| room.name == "core" && NOT_IN_CORE.contains(&name.as_str()))
        .map(|name| format!("the judgement room must not know {name}"));
    let sql = room
        .crates
        .iter()
        .filter(|name| room.name != "store" && SQL.contains(&name.as_str()))
        .map(|name| format!("{name} speaks SQL, which lives in store alone"));
    walled.chain(knows).chain(sql).map(|message| Complaint::new(place.clone(), message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(name: &str, rooms: &[&str], crates: &[&str]) -> usize {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        check(&[Room { name: name.to_owned(), rooms: set(rooms), crates: set(crates) }]).len()
    }

    #[test]
    fn an_agent_that_knows_the_store_is_complained_of() {
        assert_eq!(complaints("agent", &["core", "wire"], &["tokio"]), 0);
        assert_eq!(complaints("agent", &["core", "store"], &[]), 1);
    }

    #[test]
    fn a_core_that_knows_async_is_complained_of() {
        assert_eq!(complaints("core", &[], &["serde"]), 0);
        assert_eq!(complaints("core", &[], &["tokio"]), 1);
    }

    #[test]
    fn sql_outside_the_store_is_complained_of() {
        assert_eq!(complaints("store", &["core"], &["sqlx"]), 0);
        assert_eq!(complaints("server", &["core"], &["sqlx"]), 1);
    }

    #[test]
    fn a_room_without_a_line_is_complained_of() {
        assert_eq!(complaints("attic", &[], &[]), 1);
    }
}
