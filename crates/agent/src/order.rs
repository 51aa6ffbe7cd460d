//! Orders, as this agent takes them: the signature by the pinned key, the judgement, the steps,
//! and the book in which each is written before it is done and after.
//!
//! The book is one file of the agent's folder, replaced wholly at each step. A start after a crash
//! finds in it what was under way and how things stood before: what is told as the former state is
//! never the agent's own half-done work.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};

use bartizan_core::configuration::baseline::Fix;
use bartizan_core::configuration::drift::Object;
use bartizan_core::id::AssetId;
use bartizan_core::order::permit;
use bartizan_core::order::{self, Ending, Next, Order, Outcome, Refusal, Standing, Step, StepOutcome, Taken};
use bartizan_probe::root::Root;
use bartizan_wire::order::Signed;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::observe::Clock;
use crate::{actuator, local, state};

/// The longest that is told of how something was or what went wrong, in bytes.
const TEXT_BYTES_LIMIT: usize = 1_024;

/// Why nothing is done by an order, and nothing is written of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the server offers an order whose signature is not by the key that was pinned at enrolment")]
    Signature,
    #[error("the order can't be read: {0}")]
    Order(#[from] bartizan_core::canonical::Error),
    #[error("can't keep the book of orders: {0}")]
    Book(String),
}

/// What came of an order that was offered.
#[derive(Debug)]
pub enum Acted {
    /// It is begun: these objects are being set.
    Begins(Vec<Object>),
    /// It is over: the server is told.
    Over(Outcome),
    /// Its time has not come: the server offers it again.
    Waits,
    Failed(Error),
}

/// Who takes orders, and by which key.
#[derive(Clone, Debug)]
pub struct Taker {
    pub asset: AssetId,
    /// The Ed25519 public key, in hexadecimal.
    pub key: String,
}

/// The last order that was taken, and how far it has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Book {
    taken: Option<Taken>,
    steps: Vec<Written>,
    /// What is told of it, once it is over.
    outcome: Option<Outcome>,
}

/// What is written of a step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Written {
    /// It is under way; how things stood before.
    Begun {
        before: String,
    },
    Over(StepOutcome),
}

/// The thread that carries orders out, one after another: nothing else waits for a step.
#[derive(Debug)]
pub struct Hand {
    offers: Sender<(Taker, Box<Signed>)>,
}

/// Tells of an order on its way.
type Tell = Box<dyn Fn(Acted) + Send>;

impl Hand {
    /// Starts the thread. `file` is where the book is kept, `local` what the host allows.
    pub fn start<T: From<Acted> + Send + 'static>(
        root: Root,
        file: PathBuf,
        local: PathBuf,
        clock: Clock,
        sink: SyncSender<T>,
    ) -> std::io::Result<Hand> {
        let (offers, received): (_, Receiver<(Taker, Box<Signed>)>) = channel();
        let told = sink.clone();
        // Whoever is gone needs not to be told.
        let tell: Tell = Box::new(move |acted| drop(told.send(acted.into())));
        let desk = Desk { root, file, local, clock, tell };
        std::thread::Builder::new().name("bartizan-act".to_owned()).spawn(move || {
            for (taker, signed) in received {
                let acted = desk.take(&taker, &signed).unwrap_or_else(Acted::Failed);
                if sink.send(acted.into()).is_err() {
                    return;
                }
            }
        })?;
        Ok(Hand { offers })
    }

    /// Takes an order in hand.
    pub fn take(&self, taker: Taker, signed: Signed) {
        // A thread that is gone has said so; the server offers the order again.
        let _ = self.offers.send((taker, Box::new(signed)));
    }
}

/// What the thread works with.
struct Desk {
    root: Root,
    file: PathBuf,
    local: PathBuf,
    clock: Clock,
    tell: Tell,
}

impl Desk {
    fn take(&self, taker: &Taker, signed: &Signed) -> Result<Acted, Error> {
        let order = &signed.order;
        verify(&taker.key, signed)?;
        let digest = order.digest()?;
        let mut book = self.open()?;
        let taken = Taken { generation: order.generation, digest };
        if book.taken == Some(taken)
            && let Some(outcome) = book.outcome
        {
            // It is over, and the server lost what was told: it is told again.
            return Ok(Acted::Over(outcome));
        }
        let (mut allowed, doubt) = match local::read(&self.local) {
            Ok(allowed) => (allowed, None),
            Err(error) => (order::Allowed::default(), Some(error.to_string())),
        };
        allowed.host.own = self.own();
        let loosen = allowed.host.settings.clone();
        let standing = Standing { asset: taker.asset, last: book.taken, allowed };
        match order::judge(order, &digest, &standing, (self.clock)()) {
            Ok(Next::Wait { .. }) => Ok(Acted::Waits),
            Ok(Next::Begin) => {
                book = Book { taken: Some(taken), ..Book::default() };
                self.carry_out(order, book, &loosen).map(Acted::Over)
            }
            Ok(Next::Resume) => self.carry_out(order, book, &loosen).map(Acted::Over),
            // What was begun in time is told as far as it came.
            Err(Refusal::Late(_)) if book.taken == Some(taken) => {
                self.carry_out(order, book, &loosen).map(Acted::Over)
            }
            Err(refusal) => {
                let reason = match (&refusal, doubt) {
                    (Refusal::Off(_), Some(doubt)) => format!("{refusal}: {doubt}"),
                    _ => refusal.to_string(),
                };
                let outcome = self.outcome(taken, Ending::Refused(reason));
                // An order of ours that may not be done is done with; another's is not taken at all.
                if !matches!(refusal, Refusal::OtherAsset | Refusal::Older { .. } | Refusal::Forked(_)) {
                    let book = Book { taken: Some(taken), outcome: Some(outcome.clone()), ..Book::default() };
                    self.keep(&book)?;
                }
                Ok(Acted::Over(outcome))
            }
        }
    }

    /// Does the steps that are left, in their order, up to one that fails.
    fn carry_out(&self, order: &Order, mut book: Book, loosen: &BTreeSet<String>) -> Result<Outcome, Error> {
        self.keep(&book)?;
        let sets = order.steps.iter().flat_map(|Step::Fix { fix, .. }| actuator::objects(fix));
        (self.tell)(Acted::Begins(sets.collect()));
        let mut failed =
            book.steps.iter().any(|step| matches!(step, Written::Over(StepOutcome::Failed { .. })));
        for (place, step) in order.steps.iter().enumerate() {
            let over = match book.steps.get(place) {
                Some(Written::Over(_)) => continue,
                _ if failed || (self.clock)() >= order.not_after => StepOutcome::Left,
                _ => self.step(step, &mut book, place, loosen)?,
            };
            failed |= matches!(over, StepOutcome::Failed { .. });
            book.steps.truncate(place);
            book.steps.push(Written::Over(over));
            self.keep(&book)?;
        }
        let over = book.steps.iter().filter_map(|step| match step {
            Written::Over(over) => Some(over.clone()),
            Written::Begun { .. } => None,
        });
        let taken = Taken { generation: order.generation, digest: order.digest()? };
        let outcome = self.outcome(taken, Ending::CarriedOut(over.collect()));
        book.outcome = Some(outcome.clone());
        self.keep(&book)?;
        Ok(outcome)
    }

    fn step(
        &self,
        step: &Step,
        book: &mut Book,
        place: usize,
        loosen: &BTreeSet<String>,
    ) -> Result<StepOutcome, Error> {
        let Step::Fix { fix, .. } = step;
        let loosen = loosen.contains(&permit::name(fix));
        let failed = |problem: actuator::Problem| StepOutcome::Failed { problem: cut(problem.to_string()) };
        let begun = match book.steps.get(place) {
            Some(Written::Begun { before }) => Some(before.clone()),
            _ => None,
        };
        let before = match (begun, actuator::look(fix, &self.root)) {
            (Some(before), Ok(look)) if look.so => return Ok(StepOutcome::Done { before }),
            (Some(before), _) => before,
            (None, Ok(look)) if look.so => return Ok(StepOutcome::Unchanged),
            (None, Ok(look)) => cut(look.is),
            (None, Err(problem)) => return Ok(failed(problem)),
        };
        book.steps.truncate(place);
        book.steps.push(Written::Begun { before: before.clone() });
        self.keep(book)?;
        Ok(match self.set(fix, loosen) {
            Ok(()) => StepOutcome::Done { before },
            Err(problem) => failed(problem),
        })
    }

    fn set(&self, fix: &Fix, loosen: bool) -> Result<(), actuator::Problem> {
        tracing::info!(order.fix = ?fix, "setting what an order says");
        actuator::set(fix, &self.root, loosen)
    }

    /// Where this agent keeps what is its own, be it elsewhere than usual.
    fn own(&self) -> Vec<String> {
        let places = [Some(self.local.as_path()), self.file.parent()].into_iter().flatten();
        places.filter_map(|place| place.to_str().map(str::to_owned)).collect()
    }

    fn outcome(&self, taken: Taken, ending: Ending) -> Outcome {
        let Taken { generation, digest } = taken;
        Outcome { generation, digest, at: (self.clock)(), ending }
    }

    fn open(&self) -> Result<Book, Error> {
        match std::fs::read(&self.file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| Error::Book(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Book::default()),
            Err(error) => Err(Error::Book(error.to_string())),
        }
    }

    fn keep(&self, book: &Book) -> Result<(), Error> {
        let bytes = serde_json::to_vec(book).map_err(|error| Error::Book(error.to_string()))?;
        state::replace(&self.file, &bytes).map_err(|error| Error::Book(error.to_string()))
    }
}

/// Whether the pinned key signed the order.
fn verify(key: &str, signed: &Signed) -> Result<(), Error> {
    let bytes = signed.order.signed_bytes()?;
    let (Ok(key), Ok(signature)) = (hex::decode(key), hex::decode(&signed.signature)) else {
        return Err(Error::Signature);
    };
    UnparsedPublicKey::new(&ED25519, key).verify(&bytes, &signature).map_err(|_| Error::Signature)
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES_LIMIT));
    text
}

#[cfg(test)]
mod tests;
