//! What is known of the requests to one address, in the ways a reply is looked up by. It decides
//! nothing.

use std::collections::HashMap;
use std::time::Duration;

use super::due::{Age, Ages, Due};
use super::ending::hash;
use super::{Request, State};

/// The requests sent to one address.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) all: Shelf,
    pub(super) by_content: HashMap<(usize, u64), Shelf>,
    /// Payload lengths in rising order, and the requests of each.
    pub(super) lengths: Vec<(usize, usize)>,
    pub(super) echo: Option<Echo>,
}

impl Peer {
    pub(super) fn take(&mut self, age: Age, request: &Request) {
        self.all.take(age, request);
        let Some(key) = request.content() else { return };
        if let Some(shelf) = self.by_content.get_mut(&key) {
            shelf.take(age, request);
            if shelf.is_empty() {
                self.by_content.remove(&key);
            }
        }
        if let Ok(at) = self.lengths.binary_search_by_key(&key.0, |(length, _)| *length) {
            self.lengths[at].1 -= 1;
            if self.lengths[at].1 == 0 {
                self.lengths.remove(at);
            }
        }
    }

    pub(super) fn count_length(&mut self, length: usize) {
        match self.lengths.binary_search_by_key(&length, |(length, _)| *length) {
            Ok(at) => self.lengths[at].1 += 1,
            Err(at) => self.lengths.insert(at, (length, 1)),
        }
    }
}

/// Requests by what has become of them.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    waiting: Ages,
    given_up: Due,
    answered: Ages,
}

impl Shelf {
    pub(super) fn insert(&mut self, age: Age, request: &Request) {
        match request.state {
            State::Waiting => self.waiting.insert(age),
            State::GivenUp { .. } => {
                self.given_up.insert((request.deadline.unwrap_or_default(), age));
            }
            State::Answered => self.answered.insert(age),
        }
    }

    pub(super) fn take(&mut self, age: Age, request: &Request) {
        match request.state {
            State::Waiting => self.waiting.remove(age),
            State::GivenUp { .. } => {
                self.given_up.remove(&(request.deadline.unwrap_or_default(), age));
            }
            State::Answered => self.answered.remove(age),
        }
    }

    /// The oldest that waited at `at`, those included that were given up since.
    pub(super) fn waiting_at(&self, at: Duration) -> Option<Age> {
        let given_up = self.given_up.after(at).map(|&(_, age)| age);
        self.waiting.first().into_iter().chain(given_up).min()
    }

    pub(super) fn given_up_last(&self) -> Option<Age> {
        self.given_up.last().map(|&(_, age)| age)
    }

    pub(super) fn answered_last(&self) -> Option<Age> {
        self.answered.last()
    }

    pub(super) fn any(&self) -> Option<Age> {
        self.waiting.first().or(self.given_up_last()).or(self.answered_last())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.any().is_none()
    }
}

/// What an address put before a payload that it sent back, and whether it did so with another too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Echo {
    prefix: u64,
    payload: u64,
    pub(super) confirmed: bool,
}

impl Echo {
    pub(super) fn of(reply: &[u8], request: &Request) -> Self {
        let prefix = hash(&reply[..reply.len() - request.payload.len()]);
        Self { prefix, payload: request.hash, confirmed: false }
    }

    pub(super) fn with(self, seen: Self) -> Self {
        if self.prefix != seen.prefix {
            return seen;
        }
        Self { confirmed: self.confirmed || self.payload != seen.payload, ..self }
    }
}
