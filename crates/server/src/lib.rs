//! The server: takes reports in, derives what follows from them, shows and tells people.
//!
//! One [`App`] is one replica: two listeners (people and their programs, agents), the stages,
//! the channels. Everything that lasts is in the store. This room refuses to know how facts
//! are read, and asks no clock and no random source but the ones it was given.
//!
//! Read first: [`App`] (how it starts and stops), [`intake::Intake`] (what agents send),
//! [`stages`] (what is derived, and by whom).

pub mod acceptance;
pub mod ambient;
pub mod api;
pub mod app;
pub mod auth;
pub mod channels;
mod console;
pub mod feed_sync;
pub mod intake;
pub mod keys;
pub mod listener;
pub mod nudge;
pub mod order;
pub mod policy;
pub mod problem;
mod signal;
pub mod stages;
pub mod stale;
pub mod tasks;
pub mod web;

pub use app::{App, Reach, Settings};
