//! The `sockets` section: what listens, in every network namespace in view, and whose it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bartizan_core::fact::Section;
use bartizan_core::fact::socket::{Owner, Protocol, Socket, Sockets};
use bartizan_core::verdict::Reason;

use crate::look::{TABLE, text};
use crate::process;
use crate::root::{Error, Root};

/// The kernel's tables, and the state of a socket that waits for others (include/net/tcp_states.h):
/// LISTEN for TCP; for UDP, CLOSE, which is not connected.
const TABLES: [(&str, Protocol, &str); 4] = [
    ("tcp", Protocol::Tcp, "0A"),
    ("tcp6", Protocol::Tcp, "0A"),
    ("udp", Protocol::Udp, "07"),
    ("udp6", Protocol::Udp, "07"),
];

/// Network namespaces that are looked into beside the observer's own.
const NAMESPACES_LIMIT: usize = 256;

/// A line of one of the tables.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    address: IpAddr,
    port: u16,
    uid: u32,
    inode: u64,
}

/// What a look at the processes tells: who holds which socket, and which namespaces there are.
#[derive(Default)]
struct Holders {
    by_inode: BTreeMap<u64, BTreeSet<Owner>>,
    /// Each network namespace with one process that lives in it.
    namespaces: BTreeMap<String, u32>,
    denied: u64,
}

pub fn collect(root: &Root) -> Section<Sockets> {
    let mut section = Section::new(Sockets::default());
    if root.is_host() {
        read(root, &mut section);
    } else {
        section.miss("listening sockets", Reason::Unsupported);
    }
    section
}

fn read(root: &Root, section: &mut Section<Sockets>) {
    let holders = holders(root, section);
    let own = process::namespace(root, "self", "net").ok().flatten();
    let mut listening = BTreeSet::new();
    table(root, "/proc/self/net", &holders, false, &mut listening, section);
    let others: Vec<_> = holders.namespaces.iter().filter(|(name, _)| Some(*name) != own.as_ref()).collect();
    for (_, pid) in others.iter().take(NAMESPACES_LIMIT) {
        table(root, &format!("/proc/{pid}/net"), &holders, true, &mut listening, section);
    }
    if others.len() > NAMESPACES_LIMIT {
        section.miss(format!("network namespaces after the first {NAMESPACES_LIMIT}"), Reason::Unsupported);
    }
    if holders.denied > 0 {
        section.miss(format!("open files of {} processes", holders.denied), Reason::Denied);
    }
    section.body.listening = listening.into_iter().collect();
}

fn holders(root: &Root, section: &mut Section<Sockets>) -> Holders {
    let mut holders = Holders::default();
    let pids = process::pids(root).unwrap_or_else(|error| {
        section.miss("/proc", error.reason());
        Vec::new()
    });
    for pid in pids {
        if let Ok(Some(namespace)) = process::namespace(root, &pid.to_string(), "net") {
            holders.namespaces.entry(namespace).or_insert(pid);
        }
        let files = match process::open_files(root, pid) {
            Ok(files) => files,
            Err(Error::Denied { .. }) => {
                holders.denied += 1;
                continue;
            }
            Err(_) => continue,
        };
        let inodes: Vec<u64> = files.iter().filter_map(|target| socket_inode(target)).collect();
        if inodes.is_empty() {
            continue;
        }
        let executable = process::executable(root, pid).ok().flatten().map(|(path, _)| path);
        let owner = Owner { name: process::name(root, pid).unwrap_or_default(), executable };
        for inode in inodes {
            holders.by_inode.entry(inode).or_default().insert(owner.clone());
        }
    }
    holders
}

/// `socket:[12345]`.
fn socket_inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn table(
    root: &Root,
    folder: &str,
    holders: &Holders,
    foreign: bool,
    listening: &mut BTreeSet<Socket>,
    section: &mut Section<Sockets>,
) {
    for (name, protocol, state) in TABLES {
        let path = format!("{folder}/{name}");
        // Without IPv6 there are no such tables.
        let text = text(root, &path, TABLE, section).unwrap_or_default();
        for line in text.lines().skip(1) {
            let Some(line) = waiting(line, state) else { continue };
            let owners = holders.by_inode.get(&line.inode).cloned().unwrap_or_default().into_iter().collect();
            let Line { address, port, uid, .. } = line;
            listening.insert(Socket { protocol, address, port, uid, owners, foreign });
        }
    }
}

/// A line of /proc/net/tcp and its kin (proc_pid_net(5)), where its socket waits in that state for anybody.
fn waiting(line: &str, state: &str) -> Option<Line> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, local, remote, line_state, _, _, _, uid, _, inode, ..] = fields.as_slice() else { return None };
    let anybody = remote.chars().all(|c| matches!(c, '0' | ':'));
    if *line_state != state || !anybody {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    Some(Line {
        address: parse_address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        uid: uid.parse().ok()?,
        inode: inode.parse().ok()?,
    })
}

/// Words of 32 bits, each printed as a number in the host's own byte order.
fn parse_address(digits: &str) -> Option<IpAddr> {
    let word = |place: usize| {
        let digits = digits.get(place * 8..place * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    match digits.len() {
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
    use std::net::{TcpListener, UdpSocket};

    use super::*;
    use crate::tree;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_line_of_the_kernel_gives_address_port_user_and_inode() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 4711 1 0 100";
        let expected = Line { address: IpAddr::from([127, 0, 0, 1]), port: 8080, uid: 999, inode: 4711 };
        assert_eq!(waiting(line, "0A"), Some(expected));
        assert_eq!(waiting(&line.replace(" 0A ", " 01 "), "0A"), None);
        assert_eq!(waiting(&line.replace("00000000:0000", "0100007F:0035"), "0A"), None);
        let loopback = parse_address("00000000000000000000000001000000").unwrap();
        assert_eq!(loopback, IpAddr::from(Ipv6Addr::LOCALHOST));
    }

    #[test]
    fn this_hosts_sockets_come_with_the_process_that_holds_them() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sockets = collect(&Root::host()).body.listening;
        let find =
            |protocol, port| sockets.iter().find(|s| s.protocol == protocol && s.port == port).unwrap();
        let seen = find(Protocol::Tcp, tcp.local_addr().unwrap().port());
        assert!(!seen.foreign);
        assert_eq!(seen.address, IpAddr::from([127, 0, 0, 1]));
        let program = std::env::current_exe().unwrap();
        assert!(seen.owners.iter().any(|owner| owner.executable.as_deref() == program.to_str()), "{seen:?}");
        assert_eq!(find(Protocol::Udp, udp.local_addr().unwrap().port()).owners, seen.owners);
    }

    #[test]
    fn another_root_has_no_sockets_and_says_so() {
        assert_eq!(collect(&tree::root(&[])).unknown[0].reason, Reason::Unsupported);
    }
}
