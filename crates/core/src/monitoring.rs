//! Protective monitoring: health and detections become signals, signals become alerts, and
//! alerts reach somebody.
//!
//! Read first: [`signal::Signal`] (what was noticed on one asset), [`alert::step`] (how
//! signals gather into one thing that a human must look at), [`route::Routes`] (who is told).

pub mod alert;
pub mod flood;
pub mod glass;
pub mod health;
pub mod notification;
pub mod route;
pub mod signal;
pub mod silence;
