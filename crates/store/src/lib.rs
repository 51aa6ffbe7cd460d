//! The only SQL: one [`Store`] on SQLite or PostgreSQL.
//!
//! Domain types come in and go out at the door; rows, statements and the two engines' ways
//! stay inside. The same statements run on both engines, and one suite of tests runs on both.
//! This room judges nothing: it keeps what it is given, in transactions that hold together
//! what must not come apart.
//!
//! Read first: [`Store`] (opening), [`report`] (how a report is committed), [`log`] (how logs
//! are numbered so that a reader who passed a number never misses an earlier one).

pub mod acceptance;
pub mod alert;
pub mod asset;
pub mod change;
pub mod decision;
pub mod document;
pub mod drift;
mod engine;
pub mod enrolment;
pub mod environment;
pub mod factor;
pub mod feed;
pub mod finding;
pub mod incident;
mod last_seen;
pub mod ledger;
pub mod log;
pub mod matching;
mod migration;
pub mod notification;
mod numbers;
pub mod order;
pub mod person;
pub mod posture;
pub mod report;
pub mod retention;
pub mod review;
pub mod schema;
pub mod secret;
pub mod section;
pub mod signal;
pub mod silence;
pub mod subject;
pub mod trend;
pub mod tuple;
pub mod vulnerability;

pub use engine::{Error, Place, Store};
