//! A fleet in a box: hosts that speak the agents' own language, and the faults that befall them.
//!
//! What a simulated host sends is what an agent sends, over the same link; only its facts are
//! made up. This room feeds tests, benchmarks and the demo. It refuses to be part of anything that runs in earnest.
//!
//! Read first: [`demo::Demo`] (a fleet with a story), [`host::Host`] (one simulated host), [`replica::Told`] (how a replica is found),
//! [`population::Population`] (a fleet of any size out of one number, for benchmarks).

pub mod demo;
pub mod host;
pub mod population;
pub mod replica;
