//! Starts of programs: told by the kernel where it does, else seen by looking at /proc again and again.
//!
//! The kernel's process connector tells of every start as it happens, to root in the first namespaces of
//! users and processes. Elsewhere two looks are compared, and what comes and goes between them is not seen.
//! Either way the source says of itself which it is, and what it can't see.

mod connector;
mod message;
mod start;
mod table;

use bartizan_core::fact::Unseen;
use bartizan_core::fact::source::Way;
use bartizan_core::verdict::Reason;

use crate::root::Root;
use connector::Connector;
use table::Table;

pub use start::Start;

/// Starts that one look gives; what is beyond is dropped and counted.
pub const STARTS_LIMIT: usize = 10_000;

/// Watches the processes of a host.
#[derive(Debug)]
pub struct Starts {
    source: Source,
    /// Why the kernel does not tell, where it does not.
    refused: Option<Reason>,
}

#[derive(Debug)]
enum Source {
    Connector(Connector),
    Table(Table),
}

/// What one look brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub starts: Vec<Start>,
    /// Starts that were passed over: more than one look gives, or told by the kernel faster than they were
    /// read. The kernel says that it had to drop some, not how many: each such word counts as one.
    pub dropped: u64,
    /// How many starts were not seen, at most: programs that ended before they could be looked at. The table
    /// counts threads with them.
    pub missed_at_most: u64,
}

impl Starts {
    /// Opens the best way there is. What runs already is no news.
    pub fn open(root: &Root) -> Starts {
        let opened = if root.is_host() { Connector::open() } else { Err(Reason::Unsupported) };
        match opened {
            Ok(connector) => Starts { source: Source::Connector(connector), refused: None },
            Err(reason) => Starts::by_table(reason),
        }
    }

    /// Looks at /proc, as where the kernel does not tell for this reason.
    pub fn by_table(refused: Reason) -> Starts {
        Starts { source: Source::Table(Table::default()), refused: Some(refused) }
    }

    /// Which way it is.
    pub fn way(&self) -> Way {
        match self.source {
            Source::Connector(_) => Way::ProcConnector,
            Source::Table(_) => Way::ProcTable,
        }
    }

    /// What this source can't see, sorted.
    pub fn unknown(&self) -> Vec<Unseen> {
        let unseen = |what: &str, reason| Unseen { what: what.to_owned(), reason };
        let mut unknown = match self.source {
            Source::Connector(_) => {
                vec![unseen("programs that end before they can be looked at", Reason::Unsupported)]
            }
            Source::Table(_) => {
                vec![unseen("processes that start and end between two looks", Reason::Unsupported)]
            }
        };
        unknown.extend(self.refused.map(|reason| unseen("the kernel's process connector", reason)));
        unknown.sort();
        unknown
    }

    /// Whether a look costs next to nothing where nothing started.
    pub fn is_cheap(&self) -> bool {
        matches!(self.source, Source::Connector(_))
    }

    /// Starts since the last look, in their order. The first look of a table gives none.
    pub fn look(&mut self, root: &Root) -> Result<Look, Reason> {
        match &mut self.source {
            Source::Connector(connector) => {
                let (look, ended) = connector.look();
                if let Some(reason) = ended {
                    // What starts from here until the table's first look is over is not seen: one loss.
                    *self = Starts::by_table(reason);
                    return Ok(Look { dropped: look.dropped + 1, ..look });
                }
                Ok(look)
            }
            Source::Table(table) => table.look(root),
        }
    }
}

#[cfg(test)]
mod tests;
