//! What waits to be written to a client. Datagrams wait within a bound of bytes and of age and the
//! oldest go first; what must not be lost is kept, and the session reads no more while that is over
//! its own bound. No I/O, no clock.

use std::collections::VecDeque;
use std::time::Duration;

use wire::RelayTime;

/// What one waiting message is reckoned to cost beside its payload, in bytes, so that empty
/// datagrams are bounded too: the entry, its allocation and its header.
pub const ENTRY_BYTES: usize = 128;

/// Bytes of messages that must not be lost, above which the session takes nothing more from its
/// client or its streams until the client has read.
pub const KEPT_BYTES: usize = 256 * 1024;

/// Word of dropped datagrams goes out at most this often while there are others to deliver.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// What is to be written next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<M> {
    /// A message.
    Message(M),
    /// Word of what was dropped since the last such word.
    Dropped(Dropped),
}

/// The bounds on waiting datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes, [`ENTRY_BYTES`] for each datagram included.
    pub bytes: usize,
    /// Time since arrival.
    pub age: Duration,
}

/// Datagrams that were dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many.
    pub datagrams: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Those of them that had waited too long; the others made room.
    pub aged: u64,
}

/// A queue of messages in the order they came, some of which may be dropped.
#[derive(Debug)]
pub struct Outbox<M> {
    bounds: Bounds,
    kept: VecDeque<(u64, usize, M)>,
    kept_bytes: usize,
    datagrams: VecDeque<Waiting<M>>,
    datagram_bytes: usize,
    next: u64,
    unreported: Dropped,
    total: Dropped,
    told_at: Option<RelayTime>,
}

#[derive(Debug)]
struct Waiting<M> {
    order: u64,
    since: RelayTime,
    payload_bytes: usize,
    message: M,
}

impl<M> Outbox<M> {
    /// An empty queue.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            kept: VecDeque::new(),
            kept_bytes: 0,
            datagrams: VecDeque::new(),
            datagram_bytes: 0,
            next: 0,
            unreported: Dropped::default(),
            total: Dropped::default(),
            told_at: None,
        }
    }

    /// Queues a message that must not be lost; `bytes` is what it holds.
    pub fn push(&mut self, message: M, bytes: usize) {
        self.kept.push_back((self.next, bytes + ENTRY_BYTES, message));
        self.kept_bytes += bytes + ENTRY_BYTES;
        self.next += 1;
    }

    /// Queues a datagram that arrived at `now`; older ones go to make room.
    pub fn push_datagram(&mut self, message: M, payload_bytes: usize, now: RelayTime) {
        self.datagrams.push_back(Waiting { order: self.next, since: now, payload_bytes, message });
        self.datagram_bytes += payload_bytes + ENTRY_BYTES;
        self.next += 1;
        while self.datagram_bytes > self.bounds.bytes && self.datagrams.len() > 1 {
            self.drop_oldest(false);
        }
    }

    /// The next message, after those datagrams that have waited too long have gone.
    pub fn pop(&mut self, now: RelayTime) -> Option<Next<M>> {
        while self.datagrams.front().is_some_and(|front| now.since(front.since) > self.bounds.age) {
            self.drop_oldest(true);
        }
        let is_due = self.told_at.is_none_or(|told_at| now.since(told_at) >= TELL_EVERY);
        if self.unreported.datagrams > 0 && (is_due || self.is_empty()) {
            self.told_at = Some(now);
            return Some(Next::Dropped(std::mem::take(&mut self.unreported)));
        }
        let kept_first = match (self.kept.front(), self.datagrams.front()) {
            (None, None) => return None,
            (Some((order, ..)), Some(datagram)) => *order < datagram.order,
            (kept, _) => kept.is_some(),
        };
        if kept_first {
            let (_, bytes, message) = self.kept.pop_front()?;
            self.kept_bytes -= bytes;
            return Some(Next::Message(message));
        }
        self.take_oldest().map(|waiting| Next::Message(waiting.message))
    }

    /// Whether what must not be lost is over its bound.
    pub fn is_over(&self) -> bool {
        self.kept_bytes > KEPT_BYTES
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.datagrams.is_empty()
    }

    /// What was dropped in all.
    pub fn dropped(&self) -> Dropped {
        self.total
    }

    /// Gives memory back when nothing waits.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            self.kept = VecDeque::new();
            self.datagrams = VecDeque::new();
        }
    }

    fn take_oldest(&mut self) -> Option<Waiting<M>> {
        let waiting = self.datagrams.pop_front()?;
        self.datagram_bytes -= waiting.payload_bytes + ENTRY_BYTES;
        Some(waiting)
    }

    fn drop_oldest(&mut self, aged: bool) {
        let Some(waiting) = self.take_oldest() else { return };
        for count in [&mut self.unreported, &mut self.total] {
            count.datagrams += 1;
            count.bytes += waiting.payload_bytes as u64;
            count.aged += u64::from(aged);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> RelayTime {
        RelayTime(Duration::from_millis(millis))
    }

    fn outbox<M>(datagrams: usize) -> Outbox<M> {
        Outbox::new(Bounds {
            bytes: datagrams * (ENTRY_BYTES + 100),
            age: Duration::from_millis(200),
        })
    }

    fn drain(outbox: &mut Outbox<u32>, now: RelayTime) -> Vec<Next<u32>> {
        std::iter::from_fn(|| outbox.pop(now)).collect()
    }

    #[test]
    fn messages_leave_in_the_order_they_came() {
        let mut outbox = outbox(10);
        outbox.push_datagram(1, 100, at(0));
        outbox.push(2, 10);
        outbox.push_datagram(3, 100, at(0));
        outbox.push(4, 10);
        assert_eq!(drain(&mut outbox, at(0)), [1, 2, 3, 4].map(Next::Message));
    }

    #[test]
    fn the_oldest_datagrams_make_room_and_are_told_first() {
        let mut outbox = outbox(3);
        outbox.push(0, 10);
        for number in 1..=5 {
            outbox.push_datagram(number, 100, at(0));
        }
        let dropped = Dropped { datagrams: 2, bytes: 200, aged: 0 };
        let mut expected = vec![Next::Dropped(dropped)];
        expected.extend([0, 3, 4, 5].map(Next::Message));
        assert_eq!(drain(&mut outbox, at(0)), expected);
        assert_eq!(outbox.dropped(), dropped);
    }

    #[test]
    fn what_waited_too_long_is_not_delivered() {
        let mut outbox = outbox(10);
        outbox.push_datagram(1, 100, at(0));
        outbox.push_datagram(2, 100, at(150));
        outbox.push(3, 10);
        let dropped = Dropped { datagrams: 1, bytes: 100, aged: 1 };
        assert_eq!(outbox.pop(at(201)), Some(Next::Dropped(dropped)));
        assert_eq!(outbox.pop(at(201)), Some(Next::Message(2)));
        assert_eq!(outbox.pop(at(10_000)), Some(Next::Message(3)));
        assert_eq!(outbox.pop(at(10_000)), None);
    }

    #[test]
    fn word_of_drops_leaves_room_for_what_is_delivered() {
        let mut outbox = outbox(2);
        let mut told = 0;
        let mut delivered = 0;
        for number in 0..300_u32 {
            for _ in 0..3 {
                outbox.push_datagram(number, 100, at(u64::from(number)));
            }
            match outbox.pop(at(u64::from(number))) {
                Some(Next::Dropped(_)) => told += 1,
                Some(Next::Message(_)) => delivered += 1,
                None => {}
            }
        }
        assert_eq!((told, delivered), (3, 297));
    }

    #[test]
    fn one_datagram_is_held_however_large() {
        let mut outbox = outbox(1);
        outbox.push_datagram(1, 65_507, at(0));
        assert_eq!(outbox.pop(at(0)), Some(Next::Message(1)));
    }

    proptest! {
        #[test]
        fn every_datagram_is_delivered_or_counted_and_the_bound_holds(
            sizes in proptest::collection::vec(0_usize..2_000, 1..300),
            pops in proptest::collection::vec(any::<bool>(), 300),
        ) {
            let mut outbox = outbox(20);
            let (mut delivered, mut told) = (0, 0);
            let mut count = |next: Option<Next<usize>>| match next {
                Some(Next::Message(_)) => delivered += 1,
                Some(Next::Dropped(dropped)) => told += dropped.datagrams,
                None => {}
            };
            for (number, size) in sizes.iter().enumerate() {
                let now = at(number as u64 * 7);
                outbox.push_datagram(number, *size, now);
                prop_assert!(
                    outbox.datagram_bytes <= outbox.bounds.bytes || outbox.datagrams.len() == 1
                );
                if pops[number] {
                    count(outbox.pop(now));
                }
            }
            let last = at(sizes.len() as u64 * 7);
            while let Some(next) = outbox.pop(last) {
                count(Some(next));
            }
            prop_assert_eq!(outbox.datagram_bytes, 0);
            prop_assert_eq!(told, outbox.dropped().datagrams);
            prop_assert_eq!(delivered + told, sizes.len() as u64);
        }
    }
}
