//! The agent: collects facts, evaluates at the edge, spools, and links to its server.
//!
//! It observes. It refuses to know the store and the server's rooms; it takes nothing from the
//! server but what its fixed vocabulary has words for. A collector that hangs costs itself
//! alone, a server that is away costs nothing but time, and what must be dropped is counted.
//!
//! Read first: [`state::State`] (what outlives a restart), [`spool::Spool`] (what waits for the
//! server), [`schedule::Schedule`] (how collectors are run).

pub mod detection;
pub mod health;
pub mod identity;
pub mod link;
pub mod observe;
pub mod report;
pub mod schedule;
pub mod spool;
pub mod state;
pub mod tls;
