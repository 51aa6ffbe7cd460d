//! Messages of the kernel's process connector (linux/netlink.h, linux/connector.h, linux/cn_proc.h).
//!
//! A datagram is a netlink header of 16 bytes, a connector header of 20, and an event: what happened, on
//! which processor, when, and two numbers that depend on what it was. All in the machine's own byte order.

/// Index and value of the process connector (`CN_IDX_PROC`, `CN_VAL_PROC`).
const PROCESSES: [u32; 2] = [1, 1];

/// `NLMSG_DONE`: a message that stands alone.
const DONE: u16 = 3;

const NETLINK_BYTES: usize = 16;
const CONNECTOR_BYTES: usize = 20;

/// `PROC_EVENT_EXEC`: a process runs another program.
const EXEC: u32 = 0x2;

/// Where an event's own numbers begin: after what, processor and time.
const DATA_BYTES: usize = 16;

/// What a datagram tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// The kernel answers that it tells from now on, or the error number why not.
    Acknowledged { error: u32 },
    /// A process, by its number (of all its threads), runs another program.
    Started { pid: u32 },
    /// Something that is not asked for.
    Other,
}

/// What is asked of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Tell of everything that processes do; kernels of all ages know it.
    All,
    /// Tell of starts alone: before Linux 6.6 a kernel passes this over and goes on with everything.
    StartsAlone,
}

impl Request {
    /// The datagram that asks; `sender` is the socket's own number.
    pub(super) fn bytes(self, sender: u32) -> Vec<u8> {
        /// `PROC_CN_MCAST_LISTEN`.
        const LISTEN: u32 = 1;
        let words: &[u32] = match self {
            Request::All => &[LISTEN],
            Request::StartsAlone => &[LISTEN, EXEC],
        };
        let data: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let length = u16::try_from(data.len()).unwrap_or_default();
        let total = u32::try_from(NETLINK_BYTES + CONNECTOR_BYTES + data.len()).unwrap_or_default();
        let mut bytes = Vec::new();
        bytes.extend(total.to_ne_bytes());
        bytes.extend(DONE.to_ne_bytes());
        bytes.extend(0_u16.to_ne_bytes());
        bytes.extend(0_u32.to_ne_bytes());
        bytes.extend(sender.to_ne_bytes());
        bytes.extend(PROCESSES.iter().flat_map(|word| word.to_ne_bytes()));
        bytes.extend([0; 8]);
        bytes.extend(length.to_ne_bytes());
        bytes.extend(0_u16.to_ne_bytes());
        bytes.extend(data);
        bytes
    }
}

/// Reads a datagram; none where it is no message of the process connector.
pub(super) fn parse(datagram: &[u8]) -> Option<Message> {
    let (netlink, rest) = datagram.split_at_checked(NETLINK_BYTES)?;
    let told = usize::try_from(word(netlink, 0)?).ok()?;
    let (connector, data) = rest.split_at_checked(CONNECTOR_BYTES)?;
    if told > datagram.len() || [word(connector, 0)?, word(connector, 4)?] != PROCESSES {
        return None;
    }
    let length = usize::from(u16::from_ne_bytes(connector.get(16..18)?.try_into().ok()?));
    let event = data.get(..length)?;
    match word(event, 0)? {
        0 => Some(Message::Acknowledged { error: word(event, DATA_BYTES)? }),
        EXEC => Some(Message::Started { pid: word(event, DATA_BYTES + 4)? }),
        _ => Some(Message::Other),
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A datagram as the kernel sends it: what, and the two numbers behind the time.
    pub(super) fn datagram(what: u32, numbers: [u32; 2]) -> Vec<u8> {
        let mut event: Vec<u8> = [what, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
        event.extend(7_u64.to_ne_bytes());
        event.extend(numbers.iter().flat_map(|word| word.to_ne_bytes()));
        event.resize(40, 0);
        let mut bytes = Request::All.bytes(0);
        bytes.truncate(NETLINK_BYTES + CONNECTOR_BYTES);
        bytes[32..34].copy_from_slice(&40_u16.to_ne_bytes());
        bytes.extend(event);
        let total = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&total.to_ne_bytes());
        bytes
    }

    #[test]
    fn starts_and_answers_are_told_apart_from_the_rest() {
        let table = [
            (0, [0, 0], Message::Acknowledged { error: 0 }),
            (0, [1, 0], Message::Acknowledged { error: 1 }),
            (EXEC, [41, 40], Message::Started { pid: 40 }),
            (0x1, [1, 1], Message::Other),
            (0x8000_0000, [1, 1], Message::Other),
        ];
        for (what, numbers, expected) in table {
            assert_eq!(parse(&datagram(what, numbers)), Some(expected), "{what:#x}");
        }
    }

    #[test]
    fn a_message_of_another_connector_or_a_torn_one_is_none() {
        let whole = datagram(EXEC, [41, 40]);
        let mut other = whole.clone();
        other[16] = 9;
        assert_eq!(parse(&other), None);
        for length in 0..whole.len() - 1 {
            assert_eq!(parse(&whole[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_request_tells_its_own_length() {
        assert_eq!(Request::All.bytes(5).len(), 40);
        assert_eq!(Request::StartsAlone.bytes(5)[..4], 44_u32.to_ne_bytes());
    }

    proptest! {
        #[test]
        fn no_bytes_bring_it_down(bytes in prop::collection::vec(any::<u8>(), 0..100), cut in 0_usize..80) {
            let _ = parse(&bytes);
            let mut torn = datagram(EXEC, [1, 2]);
            torn.truncate(cut);
            torn.extend(bytes);
            let _ = parse(&torn);
        }
    }
}
