//! The agent: collects facts, evaluates at the edge, spools, and links to its server.
//!
//! It observes, and does what an order says where its host's own administrator allows that. It refuses to know the store and the server's rooms; it takes nothing from the
//! server but what its fixed vocabulary has words for. A collector that hangs costs itself
//! alone, a server that is away costs nothing but time, and what must be dropped is counted.
//!
//! Read first: [`Agent`] (the door), [`report::Composer`] (what is told when), [`state::State`] (what outlives a restart), [`spool::Spool`] (what waits for the
//! server), [`schedule::Schedule`] (how collectors are run).

pub mod actuator;
mod agent;
pub mod backoff;
pub mod canary;
pub mod detection;
pub mod drift;
mod error;
pub mod health;
pub mod identity;
pub mod link;
pub mod local;
pub mod observe;
pub mod order;
pub mod outbox;
pub mod report;
mod runner;
pub mod schedule;
pub mod spool;
pub mod state;
pub mod tls;

pub use agent::{Agent, Problem, Settings, Status};
pub use error::Error;
