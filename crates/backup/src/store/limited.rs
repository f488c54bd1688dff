//! A store that is read and written no faster than its user allows.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Entry, Store, StoreError};

/// A store with a limit in bytes a second, for reading and writing together.
pub struct Limited {
    store: Arc<dyn Store>,
    rate: u64,
    /// When what was read and written so far is paid for.
    free: Mutex<Instant>,
}

impl Limited {
    /// The same store, with at most `rate` bytes a second.
    pub fn new(store: Arc<dyn Store>, rate: u64) -> Limited {
        Limited { store, rate: rate.max(1), free: Mutex::new(Instant::now()) }
    }

    /// Waits until so many bytes may pass.
    fn pass(&self, bytes: u64) {
        let cost = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
        let turn = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*free).max(Instant::now());
            *free = turn + cost;
            turn + cost
        };
        std::thread::sleep(turn.saturating_duration_since(Instant::now()));
    }
}

impl Store for Limited {
    fn location(&self) -> String {
        self.store.location()
    }

    fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        self.store.list(folder)
    }

    fn read(&self, name: &str) -> Result<Bytes, StoreError> {
        let bytes = self.store.read(name)?;
        self.pass(bytes.len() as u64);
        Ok(bytes)
    }

    fn read_range(&self, name: &str, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        self.pass(length);
        self.store.read_range(name, offset, length)
    }

    fn write(&self, name: &str, content: &[Bytes]) -> Result<(), StoreError> {
        self.pass(content.iter().map(|part| part.len() as u64).sum());
        self.store.write(name, content)
    }

    fn create(&self, name: &str, content: &[u8]) -> Result<bool, StoreError> {
        self.store.create(name, content)
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.store.remove(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Directory;

    #[test]
    fn what_is_read_and_written_takes_its_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Limited::new(Arc::new(Directory::new(dir.path())), 1_000_000);
        let began = Instant::now();
        store.write("a", &[Bytes::from(vec![0; 100_000])]).expect("written");
        store.read("a").expect("read");
        assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
    }
}
