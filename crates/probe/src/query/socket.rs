//! Listening sockets, as the kernel's tables list them (proc(5), `/proc/net/tcp` and its like).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bartizan_core::configuration::evaluate::Item;

use super::view::View;
use super::{Answer, Unseen};
use crate::root::Error;

/// TCP_LISTEN of the kernel's `tcp_states.h`.
const LISTEN: &str = "0A";

/// The tables: protocol, file.
const TABLES: [(&str, &str); 4] = [
    ("tcp", "/proc/net/tcp"),
    ("tcp", "/proc/net/tcp6"),
    ("udp", "/proc/net/udp"),
    ("udp", "/proc/net/udp6"),
];

/// Listening TCP sockets, and UDP sockets that are not connected.
pub(super) fn sockets(view: &dyn View) -> Answer {
    let mut items = Vec::new();
    let mut tables = 0;
    for (protocol, path) in TABLES {
        let text = match view.text(path) {
            Ok(text) => text,
            // A kernel without IPv6 has no table for it.
            Err(Error::Missing { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        tables += 1;
        for line in text.lines().skip(1).filter(|line| !line.trim().is_empty()) {
            let listening =
                parse(protocol, line).ok_or_else(|| Unseen::unparsable(format!("{path}: `{line}`")))?;
            items.extend(listening);
        }
    }
    if tables == 0 {
        return Err(Unseen::unsupported("there is no /proc/net/tcp"));
    }
    Ok(items)
}

/// One line of a table: none where it makes no sense, and nothing in it where it does not listen.
fn parse(protocol: &str, line: &str) -> Option<Option<Item>> {
    let mut words = line.split_whitespace().skip(1);
    let (address, port) = words.next()?.split_once(':')?;
    let remote = words.next()?;
    let state = words.next()?;
    let address = parse_address(address)?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let listens = match protocol {
        "tcp" => state == LISTEN,
        _ => remote.chars().all(|c| c == '0' || c == ':'),
    };
    if !listens {
        return Some(None);
    }
    let shown = match address {
        IpAddr::V4(address) => format!("{protocol} {address}:{port}"),
        IpAddr::V6(address) => format!("{protocol} [{address}]:{port}"),
    };
    let item = Item::new(shown)
        .with("protocol", protocol)
        .with("address", address.to_string())
        .with("port", u32::from(port))
        .with("loopback", address.to_canonical().is_loopback());
    Some(Some(item))
}

/// Each 32-bit word of an address is printed as the number that its bytes are on this machine.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = text.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match text.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn only_what_listens_is_listed() {
        let table = [
            ("tcp", "0: 0100007F:1F90 00000000:0000 0A", Some("tcp 127.0.0.1:8080")),
            ("tcp", "0: 00000000:0016 00000000:0000 0A", Some("tcp 0.0.0.0:22")),
            ("tcp", "0: 0100007F:1F90 0100007F:9C40 01", None),
            ("udp", "0: 00000000:0044 00000000:0000 07", Some("udp 0.0.0.0:68")),
            ("udp", "0: 0100007F:0044 0100007F:0035 01", None),
            (
                "tcp",
                "0: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A",
                Some("tcp [::1]:22"),
            ),
        ];
        for (protocol, line, expected) in table {
            let item = parse(protocol, line).unwrap();
            assert_eq!(item.as_ref().map(|item| item.object.as_str()), expected, "{line}");
            if expected.is_some_and(|text| text.contains("127.0.0.1") || text.contains("::1")) {
                assert_eq!(item.unwrap().fields["loopback"].to_string(), "true");
            }
        }
        assert!(parse("tcp", "0: 00:0016").is_none());
    }
}
