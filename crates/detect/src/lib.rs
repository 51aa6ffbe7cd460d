//! Detection: events in, matches out.
//!
//! Sigma rules and correlations (Sigma specification 2.0) are compiled once; an event is
//! tried against the rules of its own log source alone. This room is pure: it reads no file
//! and asks no clock; an event carries its time.
//!
//! Read first: [`rules::Rules`] (what was loaded, and what was refused), [`event::Event`]
//! (what is looked at), [`detector::Detector`] (what looks), [`canary::Canary`] (what proves that a rule can fire).

pub mod canary;
pub mod detector;
pub mod event;
pub mod example;
pub mod journal;
pub mod rules;
pub mod start;
pub mod syslog;
