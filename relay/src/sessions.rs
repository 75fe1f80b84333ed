//! How many sessions there are and whose, and the word to all of them that the relay stops.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::config::Limits;

/// The places of one relay.
#[derive(Debug)]
pub struct Sessions {
    limit: usize,
    limit_per_client: usize,
    taken: Arc<Mutex<Taken>>,
    stop: watch::Sender<bool>,
    /// Every place holds a receiver, so that its closing tells that all have gone.
    places: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_client: HashMap<IpAddr, usize>,
    named: u64,
}

/// No place is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// In the whole relay.
    #[error("the relay has {0} sessions, its limit")]
    Relay(usize),
    /// For this client.
    #[error("your address has {0} sessions, its limit")]
    Client(usize),
    /// The relay stops.
    #[error("the relay is stopping")]
    Stopping,
}

impl Full {
    /// What would help.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Relay(_) => "--max-sessions sets the limit; a session that ends makes room",
            Self::Client(_) => "--max-sessions-per-client sets the limit; one that ends makes room",
            Self::Stopping => "try again when it has been started anew",
        }
    }
}

/// One session's place, given back when dropped.
#[derive(Debug)]
pub struct Place {
    client: IpAddr,
    name: String,
    taken: Arc<Mutex<Taken>>,
    stop: watch::Receiver<bool>,
    _present: watch::Receiver<()>,
}

impl Sessions {
    /// No session yet.
    pub fn new(limits: &Limits) -> Self {
        Self {
            limit: limits.sessions,
            limit_per_client: limits.sessions_per_client,
            taken: Arc::default(),
            stop: watch::Sender::new(false),
            places: watch::Sender::new(()),
        }
    }

    /// Takes a place for a session of `client`.
    ///
    /// # Errors
    /// When none is left.
    pub fn enter(&self, client: IpAddr) -> Result<Place, Full> {
        if *self.stop.borrow() {
            return Err(Full::Stopping);
        }
        let client = client.to_canonical();
        let mut taken = lock(&self.taken);
        if taken.total >= self.limit {
            return Err(Full::Relay(self.limit));
        }
        let of_client = taken.by_client.get(&client).copied().unwrap_or(0);
        if of_client >= self.limit_per_client {
            return Err(Full::Client(self.limit_per_client));
        }
        taken.by_client.insert(client, of_client + 1);
        taken.total += 1;
        taken.named += 1;
        // Not a secret: it only tells one session from another in logs and on screens.
        let name = format!("{:08x}", RandomState::new().hash_one(taken.named) >> 32);
        Ok(Place {
            client,
            name,
            taken: self.taken.clone(),
            stop: self.stop.subscribe(),
            _present: self.places.subscribe(),
        })
    }

    /// Tells every session that the relay stops; no place is given any more.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Done when the relay stops.
    pub fn stopping(&self) -> impl Future<Output = ()> + use<> {
        stopped(self.stop.subscribe())
    }

    /// Done when every place has been given back.
    pub async fn ended(&self) {
        self.places.closed().await;
    }
}

impl Place {
    /// The session's identity.
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// Done when the relay stops.
    pub fn stopping(&self) -> impl Future<Output = ()> + use<> {
        stopped(self.stop.clone())
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the relay is gone, which is as good as stopping.
    let _ = stop.wait_for(|stop| *stop).await;
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.total -= 1;
        if let Some(count) = taken.by_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.by_client.remove(&self.client);
            }
        }
    }
}

/// The counts are whole between any two statements, so a panic elsewhere leaves them usable.
fn lock(taken: &Mutex<Taken>) -> std::sync::MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_bounded_and_given_back() {
        let sessions =
            Sessions::new(&Limits { sessions: 3, sessions_per_client: 2, ..Limits::default() });
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = sessions.enter(a).expect("a place");
        let _second = sessions.enter(a).expect("a place");
        assert_eq!(sessions.enter(a).map(drop), Err(Full::Client(2)));
        let _third = sessions.enter(b).expect("a place");
        assert_eq!(sessions.enter(b).map(drop), Err(Full::Relay(3)));
        drop(first);
        drop(sessions.enter(b).expect("a place again"));
    }

    #[tokio::test]
    async fn stopping_is_told_to_all_and_waits_for_all() {
        let sessions = Sessions::new(&Limits::default());
        let place = sessions.enter(IpAddr::from([127, 0, 0, 1])).expect("a place");
        sessions.stop();
        place.stopping().await;
        assert_eq!(sessions.enter(IpAddr::from([127, 0, 0, 1])).map(drop), Err(Full::Stopping));
        drop(place);
        sessions.ended().await;
    }
}
