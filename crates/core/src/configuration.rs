//! Configuration and change management: what is required, and how it may be modified.

pub mod baseline;
pub mod change;
pub mod drift;
pub mod enforcement;
pub mod evaluate;
pub mod review;
