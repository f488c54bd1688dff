//! Notifications that are gathered, so that fewer mails are sent.

use std::collections::BTreeMap;

use super::compose::Told;
use crate::bounds::GATHERED_BYTES;
use crate::id::Id;

/// What was gathered, by account.
#[derive(Default)]
pub(super) struct Batches {
    of: BTreeMap<Id, Vec<Told>>,
    bytes: usize,
}

impl Batches {
    /// Adds a notification; returns those of the account if there are `most` now, or if all together take too much memory.
    pub(super) fn add(&mut self, user: Id, told: Told, most: usize) -> Option<Vec<Told>> {
        self.bytes += told.bytes();
        let own = self.of.entry(user).or_default();
        own.push(told);
        let is_full = own.len() >= most || self.bytes > GATHERED_BYTES;
        if is_full { self.take(user) } else { None }
    }

    fn take(&mut self, user: Id) -> Option<Vec<Told>> {
        let taken = self.of.remove(&user)?;
        self.bytes -= taken.iter().map(Told::bytes).sum::<usize>();
        Some(taken)
    }

    /// The accounts for which something was gathered.
    pub(super) fn users(&self) -> Vec<Id> {
        self.of.keys().copied().collect()
    }

    /// Those of an account, if the first is `seconds` old.
    pub(super) fn take_due(&mut self, user: Id, seconds: i64, now: i64) -> Option<Vec<Told>> {
        let first = self.of.get(&user)?.first()?.at;
        if now - first >= seconds.saturating_mul(1000) { self.take(user) } else { None }
    }

    pub(super) fn take_all(&mut self) -> BTreeMap<Id, Vec<Told>> {
        self.bytes = 0;
        std::mem::take(&mut self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(at: i64) -> Told {
        Told { at, ..Told::default() }
    }

    #[test]
    fn a_batch_ends_with_its_time_or_its_size() {
        let (ann, bob) = (Id::random(), Id::random());
        let mut batches = Batches::default();
        assert!(batches.add(ann, told(1_000), 3).is_none() && batches.add(bob, told(500_000), 3).is_none());
        assert!(batches.add(ann, told(2_000), 3).is_none());
        assert!(batches.take_due(ann, 900, 900_999).is_none());
        assert_eq!(batches.take_due(ann, 900, 901_000).map(|told| told.len()), Some(2));
        assert_eq!(batches.users(), [bob]);
        assert!(batches.add(bob, told(1), 3).is_none());
        assert_eq!(batches.add(bob, told(2), 3).map(|told| told.len()), Some(3));
        assert!(batches.users().is_empty() && batches.take_all().is_empty() && batches.bytes == 0);
    }
}
