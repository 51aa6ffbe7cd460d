//! How many connections come from where, and whether anything happens on one.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use bartizan_core::id::AssetId;
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

use super::{ADDRESS_CONNECTIONS_LIMIT, ASSET_CONNECTIONS_LIMIT};

/// How many connections each address and each agent has.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<BTreeMap<Who, usize>>>);

/// By whom connections are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Address(IpAddr),
    Asset(AssetId),
}

/// One connection's place, until it is dropped; of an exempt address none is counted.
#[derive(Debug)]
pub(super) struct Seat(Option<(Places, Who)>);

impl Places {
    /// A place for a connection from this address; none where it has too many.
    pub(super) fn take(&self, address: IpAddr) -> Option<Seat> {
        let address = network(address.to_canonical());
        if address.is_loopback() {
            return Some(Seat(None));
        }
        self.seat(Who::Address(address), ADDRESS_CONNECTIONS_LIMIT)
    }

    /// A place for a connection of an agent, wherever it comes from; none where it has too many.
    pub(super) fn take_agent(&self, asset: AssetId) -> Option<Seat> {
        self.seat(Who::Asset(asset), ASSET_CONNECTIONS_LIMIT)
    }

    fn seat(&self, who: Who, limit: usize) -> Option<Seat> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = places.entry(who).or_default();
        if *taken >= limit {
            return None;
        }
        *taken += 1;
        Some(Seat(Some((self.clone(), who))))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((places, who)) = self.0.take() else { return };
        let mut places = places.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = places.get(&who).map_or(0, |taken| taken.saturating_sub(1));
        if left == 0 {
            places.remove(&who);
        } else {
            places.insert(who, left);
        }
    }
}

/// Whoever has one IPv6 address has its whole network of 64 bits (RFC 4291, section 2.5.1).
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

/// The requests in flight on one connection, and when the last one ended.
#[derive(Clone, Debug)]
pub(super) struct InFlight(Arc<Mutex<(usize, Instant)>>);

impl Default for InFlight {
    fn default() -> Self {
        Self(Arc::new(Mutex::new((0, Instant::now()))))
    }
}

/// A request in flight, until the last of its answer is sent.
#[derive(Debug)]
pub(super) struct Flight(InFlight);

impl InFlight {
    pub(super) fn begin(&self) -> Flight {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 += 1;
        Flight(self.clone())
    }

    fn now(&self) -> (usize, Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends once nothing was in flight for the limit.
    pub(super) async fn idle(&self, limit: Duration) {
        loop {
            let (flying, since) = self.now();
            let until = if flying > 0 { Instant::now() + limit } else { since + limit };
            if flying == 0 && until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut held = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = (held.0.saturating_sub(1), Instant::now());
    }
}

/// The body of an answer, in flight until it is sent.
#[derive(Debug)]
pub(super) struct Flying {
    pub(super) body: Body,
    pub(super) _flight: Flight,
}

impl hyper::body::Body for Flying {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_or_network_has_so_many_connections_and_this_machine_any_number() {
        let places = Places::default();
        let ends: Vec<IpAddr> =
            (0..ADDRESS_CONNECTIONS_LIMIT).map(|end| format!("2001:db8::{end:x}").parse().unwrap()).collect();
        let mut seats: Vec<_> = ends.iter().map(|end| places.take(*end).unwrap()).collect();
        assert!(places.take("2001:db8::ffff:1".parse().unwrap()).is_none(), "the same network");
        assert!(places.take("2001:db8:0:1::1".parse().unwrap()).is_some(), "another network");
        assert!(places.take("192.0.2.1".parse().unwrap()).is_some());
        drop(seats.pop());
        assert!(places.take("2001:db8::1".parse().unwrap()).is_some(), "one went");
        drop(seats);
        assert!(places.0.lock().unwrap().is_empty(), "nothing is kept of who is gone");
        for here in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let here: IpAddr = here.parse().unwrap();
            let seats: Vec<_> = (0..=ADDRESS_CONNECTIONS_LIMIT).map(|_| places.take(here)).collect();
            assert!(seats.iter().all(Option::is_some), "{here}");
        }
    }

    #[test]
    fn one_agent_has_so_many_connections_wherever_it_comes_from() {
        let places = Places::default();
        let asset = |number| AssetId::mint(bartizan_core::time::Timestamp::default(), [number; 10]);
        let mut seats: Vec<_> =
            (0..ASSET_CONNECTIONS_LIMIT).map(|_| places.take_agent(asset(1)).unwrap()).collect();
        assert!(places.take_agent(asset(1)).is_none());
        assert!(places.take_agent(asset(2)).is_some(), "another agent");
        drop(seats.pop());
        assert!(places.take_agent(asset(1)).is_some(), "one went");
    }

    #[tokio::test]
    async fn a_connection_is_idle_once_nothing_was_in_flight_for_the_limit() {
        let (limit, in_flight) = (Duration::from_millis(20), InFlight::default());
        let flight = in_flight.begin();
        let waits = tokio::time::timeout(limit * 5, in_flight.idle(limit)).await;
        assert!(waits.is_err(), "a request in flight, such as a stream of nudges, holds it open");
        drop(flight);
        in_flight.idle(limit).await;
    }
}
