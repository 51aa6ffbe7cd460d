//! A fleet in a box: hosts that speak the agents' own language, and the faults that befall them.
//!
//! What a simulated host sends is what an agent sends, over the same link; only its facts are
//! made up. This room feeds tests. It refuses to be part of anything that runs in earnest.
//!
//! Read first: [`host::Host`] (one simulated host), [`replica::Told`] (how a replica is found).

pub mod host;
pub mod replica;
