//! The judgement room: Bartizan's nouns, and the pure functions that judge them.
//!
//! Everything here is decided from what is passed in. This room refuses to know
//! async, SQL, files, sockets, environment variables, clocks and randomness: a judge
//! gets one immutable input that carries `now`, and answers with data.
//!
//! Read first: [`canonical::Value`] (what every digest is over), [`verdict::Verdict`]
//! (the three answers and why a fourth does not exist), [`document::Document`] (what
//! people write).

pub mod acceptance;
pub mod asset;
pub mod canonical;
pub mod clock;
pub mod configuration;
pub mod digest;
pub mod document;
pub mod enrolment;
pub mod error;
pub mod fact;
pub mod factor;
pub mod finding;
pub mod id;
pub mod incident;
pub mod monitoring;
pub mod order;
pub mod person;
pub mod posture;
pub mod role;
pub mod selector;
pub mod severity;
pub mod time;
pub mod trend;
pub mod verdict;
pub mod vulnerability;
