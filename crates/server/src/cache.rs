//! A cache with bounded size, which never holds a value from before its last invalidation.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Entries are in two generations. Reading an old entry moves it to the young generation; when that is full, the old
/// generation is dropped. This keeps entries that are in use, costs O(1), and holds at most twice `capacity` entries.
pub(crate) struct Cache<K, V> {
    capacity: usize,
    inner: Mutex<Inner<K, V>>,
}

struct Inner<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// Counts invalidations. A value that was loaded before an invalidation must not be cached after it.
    epoch: u64,
}

/// The state of the cache when a load began; see [`Cache::put`].
#[derive(Clone, Copy)]
pub(crate) struct Epoch(u64);

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    pub(crate) fn new(capacity: usize) -> Cache<K, V> {
        let inner = Inner { young: HashMap::new(), old: HashMap::new(), epoch: 0 };
        Cache { capacity, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K, V>> {
        // No code that can panic runs under the lock, so the data behind a poisoned lock is still consistent.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cached value, or the epoch to give to [`Cache::put`] after loading it.
    pub(crate) fn get(&self, key: &K) -> Result<V, Epoch> {
        let mut inner = self.lock();
        if let Some(value) = inner.young.get(key) {
            return Ok(value.clone());
        }
        match inner.old.remove(key) {
            Some(value) => {
                inner.add(self.capacity, key.clone(), value.clone());
                Ok(value)
            }
            None => Err(Epoch(inner.epoch)),
        }
    }

    /// Caches a value whose load began at `epoch`, unless there was an invalidation since.
    pub(crate) fn put(&self, epoch: Epoch, key: K, value: V) {
        let mut inner = self.lock();
        if inner.epoch == epoch.0 {
            inner.add(self.capacity, key, value);
        }
    }

    /// The cached value, or the one that `load` returns, which is then cached.
    pub(crate) async fn get_or_load<E>(
        &self,
        key: K,
        load: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let epoch = match self.get(&key) {
            Ok(value) => return Ok(value),
            Err(epoch) => epoch,
        };
        let value = load.await?;
        self.put(epoch, key, value.clone());
        Ok(value)
    }

    /// The cached value, or the one that `make` returns, which is then cached.
    pub(crate) fn get_or_put(&self, key: K, make: impl FnOnce() -> V) -> V {
        let mut inner = self.lock();
        if let Some(value) = inner.young.get(&key) {
            return value.clone();
        }
        let value = inner.old.remove(&key).unwrap_or_else(make);
        inner.add(self.capacity, key, value.clone());
        value
    }

    /// Removes `key`.
    pub(crate) fn forget(&self, key: &K) {
        let mut inner = self.lock();
        inner.epoch += 1;
        inner.young.remove(key);
        inner.old.remove(key);
    }

    /// Removes every entry that `matches`.
    pub(crate) fn forget_where(&self, matches: impl Fn(&K, &V) -> bool) {
        let mut inner = self.lock();
        inner.epoch += 1;
        inner.young.retain(|key, value| !matches(key, value));
        inner.old.retain(|key, value| !matches(key, value));
    }
}

impl<K: Eq + Hash, V> Inner<K, V> {
    fn add(&mut self, capacity: usize, key: K, value: V) {
        if self.young.len() >= capacity {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(cache: &Cache<u32, u32>, key: u32) {
        if let Err(epoch) = cache.get(&key) {
            cache.put(epoch, key, key * 10);
        }
    }

    #[test]
    fn entries_in_use_stay_and_the_size_is_bounded() {
        let cache = Cache::new(4);
        for key in 0..100 {
            fill(&cache, key);
            fill(&cache, 0);
        }
        assert_eq!(cache.get(&0).ok(), Some(0));
        let inner = cache.lock();
        assert!(inner.young.len() + inner.old.len() <= 8);
    }

    #[tokio::test]
    async fn a_value_is_loaded_once_unless_it_is_invalidated_meanwhile() {
        let cache = Cache::new(4);
        let overtaken = async {
            cache.forget(&1);
            Ok::<_, ()>(10)
        };
        assert_eq!(cache.get_or_load(1, overtaken).await, Ok(10));
        assert_eq!(cache.get_or_load(1, async { Err(()) }).await, Err(()));
        assert_eq!(cache.get_or_load(1, async { Ok::<_, ()>(11) }).await, Ok(11));
        assert_eq!(cache.get_or_load(1, async { Err(()) }).await, Ok(11));
    }

    #[test]
    fn a_value_loaded_before_an_invalidation_is_not_cached() {
        let cache = Cache::new(4);
        let Err(epoch) = cache.get(&1) else { panic!("an empty cache has no entry") };
        cache.forget(&1);
        cache.put(epoch, 1, 10);
        assert!(cache.get(&1).is_err());
    }
}
