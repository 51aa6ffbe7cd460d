//! The signed Merkle log: append, checkpoint, prove, verify.
//!
//! The tree is RFC 6962's, its head is a C2SP checkpoint in a signed note, its leaves are
//! canonical JSON envelopes that hold a digest of the body or a salted commitment to it.
//! This room computes over hashes that its caller keeps. It refuses to know where they
//! are kept, what time it is, and where a salt or a key comes from.
//!
//! Read first: [`tree::Frontier`] (append without reading the tree back),
//! [`checkpoint::Key`] (what a signed head is worth), [`bundle`] (what leaves the house, and
//! the verifier of it).
//!
//! The tree's arithmetic is written here, and not taken from `tlog_tiles`, because that
//! crate asserts where a hostile proof must be an answer, and would bring a URL parser into
//! the small verifier. It is the oracle of this room's tests instead.

pub mod bundle;
pub mod checkpoint;
pub mod entry;
pub mod tree;
pub mod witness;

pub use bundle::export::{export, select};
pub use bundle::verify::verify;
