//! How much each client address has at the moment, so that no single one can take everything.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One client, as far as limits can tell: an IPv4 address, or the /64 network that every IPv6 client has to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    V4(Ipv4Addr),
    V6(u64),
}

impl Client {
    pub(crate) fn of(address: IpAddr) -> Client {
        match address.to_canonical() {
            IpAddr::V4(address) => Client::V4(address),
            // The upper half: the shift leaves 64 bits.
            IpAddr::V6(address) => Client::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// What each client has of one thing. Only clients that have some are kept.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    counts: Mutex<HashMap<Client, usize>>,
}

impl Addresses {
    /// One more for the client, unless it has `limit` already.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr, limit: usize) -> Option<Seat> {
        let client = Client::of(address);
        let mut counts = self.counts();
        let count = counts.entry(client).or_default();
        if *count >= limit {
            // A limit of 0 must not leave an entry behind.
            if *count == 0 {
                counts.remove(&client);
            }
            return None;
        }
        *count += 1;
        Some(Seat { client, of: Arc::clone(self) })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Client, usize>> {
        // No code that holds the lock leaves the table half changed.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that a client has; it is given back on drop.
#[derive(Debug)]
pub(crate) struct Seat {
    client: Client,
    of: Arc<Addresses>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.of.counts();
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
        let of = |text: &str| Client::of(text.parse().unwrap());
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_leaves_nothing() {
        let addresses = Arc::new(Addresses::default());
        let one: IpAddr = [192, 0, 2, 1].into();
        let other: IpAddr = [192, 0, 2, 2].into();
        let seats: Vec<Seat> = (0..3).map(|_| addresses.take(one, 3).unwrap()).collect();
        assert!(addresses.take(one, 3).is_none());
        let third = addresses.take(other, 3).unwrap();
        drop(seats);
        assert!(addresses.take(one, 3).is_some() && addresses.take(other, 0).is_none());
        drop(third);
        assert!(addresses.counts().is_empty());
    }
}
