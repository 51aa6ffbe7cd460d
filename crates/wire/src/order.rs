//! Orders on their way: what an agent is asked to do, with the signature over it.

use bartizan_core::order::Order;
use serde::{Deserialize, Serialize};

use crate::Versioned;

/// An order and its signature (Ed25519, RFC 8032, over [`Order::signed_bytes`]), in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    pub order: Order,
    pub signature: String,
}

/// What the server answers to an agent that asks for its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    pub wire: u32,
    /// The newest order whose outcome the server does not have; none where there is none.
    pub signed: Option<Signed>,
}

impl Versioned for Offer {
    fn version(&self) -> u32 {
        self.wire
    }
}
