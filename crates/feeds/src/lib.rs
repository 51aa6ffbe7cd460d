//! Advisory and catalogue formats: bytes to core types.
//!
//! Each format has a pure reader that hands out what it reads piece by piece, under named limits.
//! Only [`library::Library`] touches files: it keeps imported feeds on disk and reads of them what
//! a question needs. This room refuses to know the network, clocks, hosts and the database.
//!
//! Read first: [`debian::read`] (a reader), [`library::Library`] (imported feeds),
//! [`error::Error`] (what a broken feed says of itself).

pub mod debian;
pub mod epss;
pub mod error;
pub mod kev;
pub mod library;
pub mod osv;
mod rating;
