//! Starts as the kernel tells of them: a thread reads its messages, and at once what /proc says of the
//! process; whoever looks takes what it has gathered.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bartizan_core::verdict::Reason;
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use super::message::{Message, Request, parse};
use super::{Look, STARTS_LIMIT, Start};
use crate::look::TABLE;
use crate::process::boot_ms;
use crate::root::Root;

/// The multicast group of the process connector (`CN_IDX_PROC`).
const GROUP: u32 = 1;

/// How long the kernel may take to say that it tells: outside its first namespaces it never answers.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);

/// Messages that may stand before that answer: what processes do meanwhile, where others listen, too.
const BEFORE_ANSWER_LIMIT: usize = 10_000;

/// How long the thread waits for a message before it looks whether it is still wanted.
const WAIT: Duration = Duration::from_secs(5);

/// What the kernel keeps of messages that were not read yet, in bytes: some thousand starts.
const KERNEL_BYTES: usize = 1 << 20;

/// What is kept of starts that nobody has looked at yet, in bytes.
const GATHERED_BYTES_LIMIT: usize = 2 << 20;

/// The stack of the thread, in bytes: it walks flat tables.
const STACK_BYTES: usize = 256 << 10;

/// The longest message: a header, a header and an event.
const MESSAGE_BYTES: usize = 512;

/// Starts that the kernel told of.
#[derive(Debug)]
pub(super) struct Connector {
    gathered: Arc<Mutex<Gathered>>,
    over: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Gathered {
    starts: VecDeque<Start>,
    bytes: usize,
    dropped: u64,
    missed: u64,
    /// Why the thread has ended.
    ended: Option<Reason>,
}

impl Connector {
    /// Asks the kernel to tell, and waits until it says that it does.
    pub(super) fn open() -> Result<Connector, Reason> {
        let root = Root::host();
        let table = root.read_text("/proc/stat", TABLE).map_err(|error| error.reason())?.text;
        let boot_ms = boot_ms(&table).ok_or(Reason::Unparsable)?;
        let socket = subscribe().map_err(|error| match error {
            Errno::ACCESS | Errno::PERM => Reason::Denied,
            // It is not built in, or does not answer here.
            Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT | Errno::NOENT | Errno::CONNREFUSED | Errno::AGAIN => {
                Reason::Unsupported
            }
            _ => Reason::Error,
        })?;
        let connector = Connector { gathered: Arc::default(), over: Arc::default() };
        let (gathered, over) = (Arc::clone(&connector.gathered), Arc::clone(&connector.over));
        let run = move || {
            let reason = listen(&socket, &root, boot_ms, &gathered, &over);
            lock(&gathered).ended = Some(reason);
        };
        std::thread::Builder::new()
            .name("starts".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(run)
            .map_err(|_| Reason::Error)?;
        Ok(connector)
    }

    /// What was gathered since the last look; and why nothing more comes, where that is so.
    pub(super) fn look(&mut self) -> (Look, Option<Reason>) {
        let mut gathered = lock(&self.gathered);
        let Gathered { starts, dropped, missed, ended, .. } = std::mem::take(&mut *gathered);
        (Look { starts: starts.into(), dropped, missed_at_most: missed }, ended)
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        // The thread sees it when it next wakes, and takes the socket with it.
        self.over.store(true, Ordering::Relaxed);
    }
}

/// What a thread that panicked has gathered is still good: each start was put in whole.
fn lock(gathered: &Mutex<Gathered>) -> std::sync::MutexGuard<'_, Gathered> {
    gathered.lock().unwrap_or_else(PoisonError::into_inner)
}

fn subscribe() -> rustix::io::Result<OwnedFd> {
    let family = AddressFamily::NETLINK;
    let socket =
        rustix::net::socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(netlink::CONNECTOR))?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, GROUP))?;
    // Root alone may have more than the system's limit; less room only means that more may be lost.
    let _ = sockopt::set_socket_recv_buffer_size_force(&socket, KERNEL_BYTES)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, KERNEL_BYTES));
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(ANSWER_LIMIT))?;
    let own = rustix::net::getsockname(&socket).and_then(SocketAddrNetlink::try_from)?;
    rustix::net::send(&socket, &Request::All.bytes(own.pid()), SendFlags::empty())?;
    answered(&socket)?;
    rustix::net::send(&socket, &Request::StartsAlone.bytes(own.pid()), SendFlags::empty())?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(WAIT))?;
    Ok(socket)
}

/// Waits until the kernel says that it tells.
fn answered(socket: &OwnedFd) -> rustix::io::Result<()> {
    for _ in 0..BEFORE_ANSWER_LIMIT {
        match receive(socket)? {
            Some(Message::Acknowledged { error: 0 }) => return Ok(()),
            Some(Message::Acknowledged { .. }) => return Err(Errno::PERM),
            _ => {}
        }
    }
    Err(Errno::AGAIN)
}

/// One message of the kernel's; none where somebody else sent it.
fn receive(socket: &OwnedFd) -> rustix::io::Result<Option<Message>> {
    let mut bytes = [0; MESSAGE_BYTES];
    let (read, _, sender) = rustix::net::recvfrom(socket, &mut bytes, RecvFlags::empty())?;
    let of_kernel = sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok());
    // Other programs of root can send to the group; the kernel's own number is 0.
    if of_kernel.is_none_or(|sender| sender.pid() != 0) {
        return Ok(None);
    }
    Ok(bytes.get(..read).and_then(parse))
}

/// Gathers until nobody wants it, or it goes no further.
fn listen(
    socket: &OwnedFd,
    root: &Root,
    boot_ms: i64,
    gathered: &Mutex<Gathered>,
    over: &AtomicBool,
) -> Reason {
    while !over.load(Ordering::Relaxed) {
        match receive(socket) {
            Ok(Some(Message::Started { pid })) => {
                let start = Start::read(root, pid, boot_ms);
                lock(gathered).take(start);
            }
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            // More came than was read: the kernel has dropped some.
            Err(Errno::NOBUFS) => lock(gathered).dropped += 1,
            Err(_) => return Reason::Error,
        }
    }
    Reason::Unassigned
}

impl Gathered {
    /// Takes a start; none is a program that has ended before it could be looked at.
    fn take(&mut self, start: Option<Start>) {
        let Some(start) = start else {
            self.missed += 1;
            return;
        };
        let bytes = start.bytes();
        if self.starts.len() >= STARTS_LIMIT || self.bytes + bytes > GATHERED_BYTES_LIMIT {
            self.dropped += 1;
        } else {
            self.bytes += bytes;
            self.starts.push_back(start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_core::time::Timestamp;

    fn start(command_line: &str) -> Start {
        Start {
            pid: 1,
            started: Timestamp::default(),
            name: "a".to_owned(),
            executable: None,
            command_line: command_line.to_owned(),
            uid: 0,
            parent: 0,
            parent_executable: None,
        }
    }

    #[test]
    fn what_nobody_looks_at_is_bounded_and_the_rest_is_counted() {
        let mut connector = Connector { gathered: Arc::default(), over: Arc::default() };
        let line = "x".repeat(8 << 10);
        for _ in 0..1_000 {
            lock(&connector.gathered).take(Some(start(&line)));
        }
        lock(&connector.gathered).take(None);
        let (look, ended) = connector.look();
        assert!(look.starts.len() * line.len() <= GATHERED_BYTES_LIMIT, "{}", look.starts.len());
        assert_eq!(look.starts.len() as u64 + look.dropped, 1_000);
        assert_eq!((look.missed_at_most, ended), (1, None));
        lock(&connector.gathered).take(Some(start("a")));
        assert_eq!(connector.look().0.starts.len(), 1, "a look makes room");
    }

    #[test]
    fn messages_faster_than_they_are_read_are_counted_as_loss() {
        let Ok(socket) = subscribe() else {
            println!("left out: this kernel's process connector can't be opened here");
            return;
        };
        // The least room the kernel gives: a few messages.
        sockopt::set_socket_recv_buffer_size(&socket, 1).unwrap();
        for _ in 0..100 {
            std::process::Command::new("/bin/true").status().unwrap();
        }
        let gathered = Mutex::new(Gathered::default());
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| listen(&socket, &Root::host(), 0, &gathered, &over));
            while lock(&gathered).dropped == 0 {
                std::thread::yield_now();
            }
            over.store(true, Ordering::Relaxed);
        });
        assert!(lock(&gathered).dropped >= 1);
    }
}
