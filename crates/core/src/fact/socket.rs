//! Section `sockets`: what listens on the network, and whose it is.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sockets {
    /// Sorted. Process and socket numbers are left out: a restarted service listens as before.
    pub listening: Vec<Socket>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Socket {
    pub protocol: Protocol,
    /// The local address; `0.0.0.0` and `::` listen on every one.
    pub address: IpAddr,
    pub port: u16,
    /// The user whose socket it is, by number.
    pub uid: u32,
    /// The processes that hold it, sorted; empty where none was in view.
    pub owners: Vec<Owner>,
    /// Whether it lies in another network namespace than the observer's, as a container's does.
    pub foreign: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    Tcp,
    Udp,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// The process's own name for itself, cut at 15 bytes by the kernel.
    pub name: String,
    /// The file it runs, in its own mount namespace; none where that may not be seen.
    pub executable: Option<String>,
}
