//! Event sources: what happens on a host, as it happens.
//!
//! A source is asked for what is new; it never blocks, never holds more than its limit, and
//! counts what it had to pass over.

pub mod process;
pub mod tail;
