//! Configuration and change management: what is required, and how it may be modified.

pub mod change;
