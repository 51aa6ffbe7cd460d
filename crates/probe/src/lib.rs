//! How facts are read from a host.
//!
//! Collectors read files and kernel interfaces under a [`root::Root`] and answer with core's
//! facts. This room starts no child process, opens no network connection, and judges nothing:
//! what it could not read it says, as a [`fault::Fault`] or an error with its reason.
//!
//! Read first: [`root::Root`] (how a file is read), [`section::collect`] (every section by its name),
//! [`fault::Collected`] (what a reader of records gives).

pub mod account;
pub mod certificate;
pub mod drift;
pub mod event;
pub mod fault;
pub mod hardware;
pub mod job;
pub mod kernel;
mod look;
pub mod measure;
pub mod module;
pub mod mount;
pub mod os;
pub mod packages;
pub mod process;
pub mod query;
pub mod root;
pub mod section;
pub mod socket;
pub mod ssh;
pub mod sysctl;
#[cfg(test)]
mod tree;
pub mod unit;
