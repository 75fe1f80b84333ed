//! Sets of requests in an order: by when something is due, or by age. Only the order is known here.

use std::collections::VecDeque;
use std::time::Duration;

/// The order in which requests began.
pub(super) type Age = u64;

/// Requests by when something is due, then by age, in rising order. Most come at the end and go from
/// the front. A tree would move less in other cases, and cost the page's wasm ten kilobytes.
#[derive(Debug, Default)]
pub(super) struct Due(VecDeque<(Duration, Age)>);

impl Due {
    pub(super) fn insert(&mut self, item: (Duration, Age)) {
        if self.0.back().is_none_or(|last| *last < item) {
            self.0.push_back(item);
        } else if let Err(at) = self.0.binary_search(&item) {
            self.0.insert(at, item);
        }
    }

    pub(super) fn remove(&mut self, item: &(Duration, Age)) {
        if let Ok(at) = self.0.binary_search(item) {
            self.0.remove(at);
        }
    }

    pub(super) fn first(&self) -> Option<&(Duration, Age)> {
        self.0.front()
    }

    pub(super) fn last(&self) -> Option<&(Duration, Age)> {
        self.0.back()
    }

    /// The first that is due after `at`.
    pub(super) fn after(&self, at: Duration) -> Option<&(Duration, Age)> {
        self.0.get(self.0.partition_point(|(due, _)| *due <= at))
    }
}

/// Requests in the order of their age.
#[derive(Debug, Default)]
pub(super) struct Ages(Due);

impl Ages {
    pub(super) fn insert(&mut self, age: Age) {
        self.0.insert((Duration::ZERO, age));
    }

    pub(super) fn remove(&mut self, age: Age) {
        self.0.remove(&(Duration::ZERO, age));
    }

    pub(super) fn first(&self) -> Option<Age> {
        self.0.first().map(|&(_, age)| age)
    }

    pub(super) fn last(&self) -> Option<Age> {
        self.0.last().map(|&(_, age)| age)
    }

    /// From the oldest.
    pub(super) fn iter(&self) -> impl Iterator<Item = Age> + '_ {
        self.0.0.iter().map(|&(_, age)| age)
    }
}
