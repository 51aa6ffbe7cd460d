//! What is said next, and what its answer means.

use std::time::{Duration, Instant};

use bartizan_core::error::Class;
use bartizan_core::time::Timestamp;
use bartizan_probe::root::Limit;
use bartizan_wire::checkin::{Answer, Heartbeat, Pace};
use bartizan_wire::enrol::{Renewal, Renewed, Reply, Request};
use bartizan_wire::order::Offer;
use bartizan_wire::policy::Policy;
use bartizan_wire::report::Receipt;

use super::{Event, PACE_MS, POLICY_FILE, Runner, link, post, witness};
use crate::identity::Identity;
use crate::link::Link;
use crate::observe::Observers;
use crate::order::{self, Acted, Taker};
use crate::outbox::Parcel;
use crate::tls;

/// machine-id(5): 32 hexadecimal digits and a line feed.
const MACHINE_ID: Limit = Limit { name: "machine-id", bytes: 256 };

/// How long reports alone may keep a heartbeat away: it brings what their receipts do not.
const HEARTBEAT_AT_LEAST: Duration = Duration::from_secs(60);

/// How long to wait after a renewal that failed; a third of the certificate's life is left.
const RENEW_AGAIN: Duration = Duration::from_secs(600);

/// An exchange that came back.
#[derive(Debug)]
pub(crate) enum Done {
    Enrolled(Result<Reply, link::Error>),
    Renewed(Result<Renewed, link::Error>),
    Policy(Result<Option<Policy>, link::Error>),
    Reported(Parcel, Result<Receipt, link::Error>),
    /// The answer, and how far the clocks are apart at least.
    CheckedIn(Result<(Answer, Duration), link::Error>),
    Offered(Result<Offer, link::Error>),
}

impl Runner {
    /// Begins the next exchange where one is due and none is in flight.
    pub(super) fn exchange(&mut self) {
        let now = Instant::now();
        self.pending.looked_at = now;
        self.listen(now);
        if self.pending.busy || now < self.pending.not_before || self.status.clone {
            return;
        }
        let Some(identity) = &self.identity else { return self.enrol() };
        let clock = (self.clock)();
        match identity.validity() {
            Ok(validity) if clock >= validity.until => return self.expired(),
            Ok(validity) if clock >= validity.renew_at() && now >= self.pending.renew_not_before => {
                return self.renew(now);
            }
            Ok(_) => {}
            Err(error) => return self.problem(Class::Invalid, &error, None),
        }
        if self.policy.due {
            let held = self.policy.assigned;
            return self.say(|link| async move { Done::Policy(link.policy(held).await) });
        }
        match self.outbox.parcel() {
            Ok(Some(mut parcel)) => {
                let packed = std::mem::take(&mut parcel.packed);
                return self.say(|link| async move { Done::Reported(parcel, link.reports(packed).await) });
            }
            Ok(None) => {}
            Err(error) => return self.problem(Class::Unavailable, &error, None),
        }
        if self.orders.offered.take().is_some() {
            return self.say(|link| async move { Done::Offered(link.order().await) });
        }
        if self.is_ready() && now >= self.pending.check_in_at {
            let (heartbeat, clock) = (self.heartbeat(), std::sync::Arc::clone(&self.clock));
            self.say(|link| async move {
                let answer = link.heartbeat(&heartbeat).await;
                let received = clock();
                Done::CheckedIn(answer.map(|answer| {
                    let apart = apart(heartbeat.at, answer.at, received);
                    (answer, apart)
                }))
            });
        }
    }

    fn say<F: Future<Output = Done> + Send + 'static>(&mut self, exchange: impl FnOnce(Link) -> F) {
        self.pending.busy = true;
        let (exchange, events) = (exchange(self.link.clone()), self.events.clone());
        self.handle.spawn(async move { post(&events, Event::Done(Box::new(exchange.await))) });
    }

    fn heartbeat(&self) -> Heartbeat {
        Heartbeat {
            wire: bartizan_wire::VERSION,
            epoch: self.state.epoch(),
            sequence: self.outbox.composer.sequence(),
            root: self.outbox.composer.root(),
            policy: self.policy.judged,
            at: (self.clock)(),
            checkpoint: self
                .witness
                .as_ref()
                .and_then(|witness| witness.newest())
                .map_or(0, |newest| newest.checkpoint().size),
        }
    }

    fn enrol(&mut self) {
        let Some(key) = self.settings.enrolment_key.clone() else { return };
        let request = match self.key.request(&self.settings.name) {
            Ok(request) => request,
            Err(error) => return self.problem(Class::Bug, &error, None),
        };
        let machine = self.settings.root.read_text("/etc/machine-id", MACHINE_ID);
        let machine = machine.map(|text| text.text.trim().to_owned()).unwrap_or_default();
        let name = self.settings.name.clone();
        let request =
            Request { wire: bartizan_wire::VERSION, key: key.trim().to_owned(), request, name, machine };
        self.say(|link| async move { Done::Enrolled(link.enrol(&request).await) });
    }

    /// The certificate ran out while the agent was off. With an enrolment key it asks again, for the
    /// key that it has.
    fn expired(&mut self) {
        if self.settings.enrolment_key.is_none() {
            let hint = "make an enrolment key for this asset, and start the agent with --key or --key-file";
            return self.problem(Class::Denied, &"this agent's certificate has expired", Some(hint));
        }
        match tls::pinning(self.pinned).map(|config| self.connect(config)) {
            Ok(Ok(())) => self.enrol(),
            Ok(Err(error)) => self.failed(&error, None),
            Err(error) => self.problem(Class::Invalid, &error, None),
        }
    }

    fn renew(&mut self, now: Instant) {
        self.pending.renew_not_before = now + RENEW_AGAIN;
        match self.key.request(&self.settings.name) {
            Ok(request) => {
                let renewal = Renewal { wire: bartizan_wire::VERSION, request };
                self.say(|link| async move { Done::Renewed(link.renew(&renewal).await) });
            }
            Err(error) => self.problem(Class::Bug, &error, None),
        }
    }

    /// Takes what came back.
    pub(super) fn done(&mut self, done: Done) {
        self.pending.busy = false;
        match done {
            Done::Enrolled(Ok(reply)) => self.enrolled(reply),
            Done::Enrolled(Err(error)) => {
                let hint = matches!(error, link::Error::Refused { .. })
                    .then_some("the key may be used up, expired or mistyped: make a new one on the server");
                self.failed(&error, hint);
            }
            Done::Renewed(Ok(renewed)) => self.renewed(renewed.certificate),
            Done::Renewed(Err(error)) => self.failed(&error, None),
            Done::Policy(answer) => self.policy_answered(answer),
            Done::Reported(parcel, Ok(receipt)) => self.receipted(&parcel, receipt),
            Done::Reported(parcel, Err(error)) => {
                // A message that can't be right is not sent for ever; who we are may be mended.
                if matches!(error.class(), Class::Invalid | Class::Limit)
                    && matches!(error, link::Error::Refused { .. })
                    && let Err(error) = self.outbox.refuse(&parcel)
                {
                    self.problem(Class::Unavailable, &error, None);
                }
                self.failed(&error, None);
            }
            Done::CheckedIn(Ok((answer, apart))) => {
                self.observers.iter().for_each(|observers| observers.clock_offset(apart));
                self.answered(answer);
            }
            Done::CheckedIn(Err(error)) => self.failed(&error, None),
            Done::Offered(Ok(offer)) => self.offered(offer),
            Done::Offered(Err(error)) => self.failed(&error, None),
        }
    }

    fn enrolled(&mut self, reply: Reply) {
        let pace = reply.pace;
        let kept = Identity::enrolled(&self.state, reply, self.pinned)
            .map_err(crate::Error::from)
            .and_then(|identity| Ok((witness(&self.state, &identity)?, identity)));
        match kept {
            Ok((witness, identity)) => {
                tracing::info!(asset.id = %identity.asset, "enrolled");
                self.identity = Some(identity);
                self.witness = Some(witness);
                self.policy.due = true;
                self.reconnect();
                self.heard(pace);
            }
            Err(error) => {
                self.problem(error.class(), &error, error.hint());
                self.wait();
            }
        }
    }

    fn renewed(&mut self, certificate: String) {
        let Some(identity) = &self.identity else { return };
        match identity.renewed(&self.state, certificate) {
            Ok(identity) => {
                self.identity = Some(identity);
                self.reconnect();
            }
            Err(error) => self.problem(Class::Invalid, &error, None),
        }
    }

    /// From here on with the certificate that was given last.
    fn reconnect(&mut self) {
        let Some(identity) = &self.identity else { return };
        match tls::enrolled(identity, &self.key).map(|config| self.connect(config)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.failed(&error, None),
            Err(error) => self.problem(Class::Invalid, &error, None),
        }
    }

    fn connect(&mut self, config: rustls::ClientConfig) -> Result<(), link::Error> {
        let _inside = self.handle.enter();
        self.link = Link::new(&self.settings.server, config)?;
        if let Some(task) = self.nudges.task.take() {
            task.abort();
        }
        Ok(())
    }

    fn policy_answered(&mut self, answer: Result<Option<Policy>, link::Error>) {
        self.policy.due = false;
        self.policy.asked = true;
        match answer {
            Ok(None) => self.alive(),
            Ok(Some(policy)) => {
                self.alive();
                let kept = bartizan_wire::pack(&policy).map(|bytes| self.state.write(POLICY_FILE, &bytes));
                match kept {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => self.problem(error.class(), &error, None),
                    Err(error) => self.problem(error.class(), &error, None),
                }
                self.assign(policy);
            }
            // The next check-in tells again that there is another one. One that was denied is asked for
            // first, once the host is let in: its first report then has its verdicts.
            Err(error) => {
                let waits = matches!(error.class(), Class::Unavailable | Class::Denied);
                self.policy.due = self.policy.assigned.is_none() && waits;
                self.failed(&error, None);
            }
        }
    }

    fn receipted(&mut self, parcel: &Parcel, receipt: Receipt) {
        let pace = receipt.pace;
        match self.outbox.settle(parcel, receipt) {
            Ok(settled) => {
                if settled.acknowledged.is_some() {
                    self.status.acknowledged = settled.acknowledged;
                }
                self.heard(pace);
                // What a report told makes a check-in needless for a while.
                let latest = self.pending.checked_in + HEARTBEAT_AT_LEAST;
                self.pending.check_in_at = self.next_check_in().min(latest);
                if let Some(problem) = settled.refused.first() {
                    let text = format!("the server refused a report: {problem}");
                    self.problem(Class::Invalid, &text, None);
                    let wait = self.pending.refusals.failed(self.random.next_u32());
                    self.pending.not_before = Instant::now() + wait;
                } else {
                    self.pending.refusals.succeeded();
                }
                if settled.clone {
                    self.status.clone = true;
                    let hint =
                        "decide on the server which of the two machines is the asset; enrol the other anew";
                    let text = "another machine reports as this asset; this agent has stopped reporting";
                    self.problem(Class::Conflict, &text, Some(hint));
                }
            }
            Err(error) => {
                self.problem(Class::Unavailable, &error, None);
                self.wait();
            }
        }
    }

    fn answered(&mut self, answer: Answer) {
        self.heard(answer.pace);
        self.pending.checked_in = Instant::now();
        self.pending.check_in_at = self.next_check_in();
        if self.policy.assigned != Some(answer.policy) {
            self.policy.due = true;
        }
        if !answer.wanted.is_empty() {
            self.outbox.composer.want(&answer.wanted);
        }
        // What is in hand is not asked for again.
        self.orders.offered = answer.order.filter(|_| !self.orders.in_hand);
        if let Some(offered) = &answer.checkpoint {
            self.witness(offered);
        }
    }

    fn offered(&mut self, offer: Offer) {
        self.alive();
        let (Some(signed), Some(hand), Some(identity)) = (offer.signed, &self.hand, &self.identity) else {
            return;
        };
        self.orders.in_hand = true;
        hand.take(Taker { asset: identity.asset, key: identity.orders.clone() }, signed);
    }

    /// Takes what came of an order.
    pub(super) fn acted(&mut self, acted: Acted) {
        if let Acted::Begins(objects) = acted {
            return self.observers.iter().for_each(|observers| observers.setting(objects.clone()));
        }
        self.orders.in_hand = false;
        self.observers.iter().for_each(|observers| observers.setting(Vec::new()));
        match acted {
            Acted::Begins(_) => {}
            Acted::Over(outcome) => {
                self.outbox.composer.acted(outcome);
                // What was set shows in what is observed.
                self.observers.iter().for_each(Observers::hasten);
            }
            Acted::Waits => {}
            Acted::Failed(error @ order::Error::Signature) => self.forged(&error),
            Acted::Failed(error) => self.problem(Class::Unavailable, &error, None),
        }
    }

    fn next_check_in(&self) -> Instant {
        Instant::now() + Duration::from_millis(u64::from(self.status.pace_ms))
    }

    fn heard(&mut self, pace: Pace) {
        self.status.pace_ms = pace.next_ms.clamp(*PACE_MS.start(), *PACE_MS.end());
        self.alive();
    }

    /// The server is there: what kept us from it is over.
    fn alive(&mut self) {
        self.pending.backoff.succeeded();
        self.status.heard_at = Some((self.clock)());
        self.status.problem = None;
    }

    fn failed(&mut self, error: &link::Error, hint: Option<&str>) {
        self.problem(error.class(), error, hint.or(error.hint()));
        self.wait();
    }

    /// Nothing is said for a while.
    fn wait(&mut self) {
        self.pending.not_before = Instant::now() + self.pending.backoff.failed(self.random.next_u32());
    }

    /// Keeps the stream of nudges open; everything works without it.
    fn listen(&mut self, now: Instant) {
        if self.nudges.task.as_ref().is_some_and(tokio::task::JoinHandle::is_finished) {
            self.nudges.task = None;
            self.nudges.open_at = now + self.nudges.backoff.failed(self.random.next_u32());
        }
        let wanted = self.identity.is_some() && !self.status.clone && self.pending.backoff.is_clear();
        if !wanted || self.nudges.task.is_some() || now < self.nudges.open_at {
            return;
        }
        let (link, events) = (self.link.clone(), self.events.clone());
        self.nudges.task = Some(self.handle.spawn(async move {
            let Ok(mut nudges) = link.nudges().await else { return };
            while let Some(words) = nudges.next().await {
                // A nudge may be lost: one that finds no room is.
                let _ = events.try_send(Event::Nudged(words));
            }
        }));
    }
}

/// How far two clocks are apart at least: the other one was read at some time between sending and receiving.
fn apart(sent: Timestamp, answered: Timestamp, received: Timestamp) -> Duration {
    let (sent, answered, received) = (sent.as_millis(), answered.as_millis(), received.as_millis());
    // A clock that was set back in between says nothing of how long it took.
    let (first, last) = (sent.min(received), sent.max(received));
    let apart = first.saturating_sub(answered).max(answered.saturating_sub(last)).max(0);
    Duration::from_millis(apart.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_way_may_have_taken_is_no_offset() {
        let apart = |sent, answered, received| {
            let at = Timestamp::from_millis;
            apart(at(sent), at(answered), at(received)).as_millis()
        };
        assert_eq!(apart(1_000, 1_010, 1_400), 0);
        assert_eq!(apart(1_000, 900, 1_400), 100);
        assert_eq!(apart(1_000, 2_400, 1_400), 1_000);
        assert_eq!(apart(5_000, 900, 1_400), 500, "set back while the answer came");
        assert_eq!(apart(i64::MIN, i64::MAX, 0), i64::MAX as u128);
    }
}
