//! Messages of the relay that wait to be read. Bounded: a page too slow for what comes lets the
//! oldest datagrams go, and says how many. Calls' answers and events never go.

use std::collections::VecDeque;

use wire::Message;

/// Most messages that wait.
pub const MESSAGES: usize = 50_000;
/// Most bytes that wait.
pub const BYTES: usize = 32 * 1024 * 1024;

/// Messages that wait to be read.
#[derive(Debug, Default)]
pub struct Inbox {
    messages: VecDeque<Message>,
    bytes: usize,
    dropped: u64,
}

impl Inbox {
    /// A message came.
    pub fn push(&mut self, message: Message) {
        self.bytes += message.len();
        self.messages.push_back(message);
        while self.messages.len() > MESSAGES || self.bytes > BYTES {
            let binary = |message: &Message| matches!(message, Message::Binary(_));
            let place = self.messages.iter().position(binary).unwrap_or(0);
            let Some(gone) = self.messages.remove(place) else { return };
            self.bytes -= gone.len();
            self.dropped += 1;
        }
    }

    /// The oldest message.
    pub fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len();
        Some(message)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many went unread since this was last asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Forgets all; the connection is another now.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_datagrams_go_and_events_stay() {
        let mut inbox = Inbox::default();
        inbox.push(Message::Text("event".to_owned()));
        for n in 0..MESSAGES + 10 {
            inbox.push(Message::Binary(n.to_string().into_bytes().into()));
        }
        assert_eq!((inbox.len(), inbox.take_dropped(), inbox.take_dropped()), (MESSAGES, 11, 0));
        assert_eq!(inbox.pop(), Some(Message::Text("event".to_owned())));
        assert_eq!(inbox.pop(), Some(Message::Binary("11".into())));
        inbox.clear();
        inbox.push(Message::Binary(vec![0; BYTES].into()));
        inbox.push(Message::Binary(vec![0; 1].into()));
        assert_eq!((inbox.len(), inbox.take_dropped()), (1, 1));
    }
}
