//! The clock and the random source, as the composition root handed them in.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bartizan_core::time::Timestamp;
use rand::RngCore;

/// What no judge may ask for itself: the time, and chance.
#[derive(Clone)]
pub struct Ambient {
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    random: Arc<Mutex<dyn RngCore + Send>>,
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ambient").finish_non_exhaustive()
    }
}

impl Ambient {
    /// A clock and a random source that is fit for keys.
    pub fn new(
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        random: impl RngCore + Send + 'static,
    ) -> Self {
        Self { clock: Arc::new(clock), random: Arc::new(Mutex::new(random)) }
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Fresh random bytes.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        // A panic elsewhere leaves the source as random as it was.
        self.random.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        bytes
    }

    /// A fresh secret that people and agents carry around: 32 bytes as URL-safe base64.
    pub fn token(&self) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.random::<32>())
    }
}
