//! A bucket in memory, with a clock of its own, that can fall silent at any call.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use apps::Error;
use apps::deployer::{Bucket, Object, Page, Shared, Tags};
use finding::Exit;
use jiff::Timestamp;
use tokio::sync::Notify;

struct Stored {
    bytes: Vec<u8>,
    etag: String,
    tags: Tags,
    written: Duration,
}

#[derive(Default)]
struct Inside {
    objects: BTreeMap<String, Stored>,
    clock: Duration,
    counter: u64,
    calls: Vec<String>,
    /// From this call on nothing is answered; `true`: the call itself still has its effect.
    silent: Option<(usize, bool)>,
}

#[derive(Default)]
pub(crate) struct MemoryBucket {
    inside: Mutex<Inside>,
    is_silent: Notify,
}

impl MemoryBucket {
    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        let mut inside = self.inside.lock().unwrap();
        inside.clock += Duration::from_secs(1);
        inside.counter += 1;
        let (etag, written) = (format!("\"{}\"", inside.counter), inside.clock);
        inside
            .objects
            .insert(key.to_owned(), Stored { bytes: bytes.to_vec(), etag, tags: Tags::new(), written });
    }

    pub(crate) fn tag(&self, key: &str, name: &str, value: &str) {
        let mut inside = self.inside.lock().unwrap();
        inside.objects.get_mut(key).unwrap().tags.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn tags_of(&self, key: &str) -> Tags {
        self.inside.lock().unwrap().objects[key].tags.clone()
    }

    pub(crate) fn text(&self, key: &str) -> String {
        String::from_utf8(self.inside.lock().unwrap().objects[key].bytes.clone()).unwrap()
    }

    pub(crate) fn pass_time(&self, seconds: u64) {
        self.inside.lock().unwrap().clock += Duration::from_secs(seconds);
    }

    /// The calls since the last time.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.inside.lock().unwrap().calls)
    }

    pub(crate) fn fall_silent(&self, at: Option<(usize, bool)>) {
        let mut inside = self.inside.lock().unwrap();
        inside.calls.clear();
        inside.silent = at;
    }

    /// Ends when a call is not answered.
    pub(crate) async fn silenced(&self) {
        self.is_silent.notified().await;
    }

    async fn call<T>(&self, name: String, effect: impl FnOnce(&mut Inside) -> T) -> T {
        let answered = {
            let mut inside = self.inside.lock().unwrap();
            let number = inside.calls.len();
            inside.calls.push(name);
            match inside.silent {
                Some((at, _)) if number > at => None,
                Some((at, false)) if number == at => None,
                Some((at, true)) if number == at => {
                    effect(&mut inside);
                    None
                }
                _ => Some(effect(&mut inside)),
            }
        };
        match answered {
            Some(answer) => {
                tokio::task::yield_now().await;
                answer
            }
            None => {
                self.is_silent.notify_one();
                std::future::pending().await
            }
        }
    }
}

impl Bucket for MemoryBucket {
    fn name(&self) -> &str {
        "bundles"
    }

    async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, Error> {
        let after = next.unwrap_or_default().to_owned();
        self.call("list".to_owned(), |inside| {
            let all: Vec<_> =
                inside.objects.iter().filter(|(key, _)| key.starts_with(prefix) && **key > after).collect();
            let objects: Vec<_> = all
                .iter()
                .take(1000)
                .map(|(key, stored)| Object {
                    key: (*key).clone(),
                    etag: stored.etag.clone(),
                    size: stored.bytes.len() as u64,
                    modified: Timestamp::UNIX_EPOCH + stored.written,
                })
                .collect();
            let next = (all.len() > 1000).then(|| objects[999].key.clone());
            Ok(Page { objects, next })
        })
        .await
    }

    async fn tags(&self, key: &str) -> Result<Option<Tags>, Error> {
        self.call(format!("tags {key}"), |inside| {
            Ok(inside.objects.get(key).map(|stored| stored.tags.clone()))
        })
        .await
    }

    async fn set_tags(&self, key: &str, tags: &Tags) -> Result<(), Error> {
        self.call(format!("set tags {key}"), |inside| {
            inside.objects.get_mut(key).unwrap().tags = tags.clone();
            Ok(())
        })
        .await
    }

    async fn download(&self, object: &Object, into: &Path, _: u64) -> Result<(), Error> {
        self.call(format!("download {}", object.key), |inside| {
            let stored = &inside.objects[&object.key];
            if stored.etag != object.etag {
                return Err(Error::new(Exit::NotReady, "it has changed"));
            }
            std::fs::write(into, &stored.bytes).map_err(|error| Error::new(Exit::NotReady, error.to_string()))
        })
        .await
    }

    async fn read_shared(&self, key: &str) -> Result<Option<Shared>, Error> {
        self.call(format!("read {key}"), |inside| {
            let clock = inside.clock;
            Ok(inside.objects.get(key).map(|stored| Shared {
                bytes: stored.bytes.clone(),
                etag: stored.etag.clone(),
                age: clock - stored.written,
            }))
        })
        .await
    }

    async fn write_shared(
        &self,
        key: &str,
        bytes: Vec<u8>,
        expected: Option<&str>,
    ) -> Result<Option<String>, Error> {
        let expected = expected.map(str::to_owned);
        self.call(format!("write {key}"), |inside| {
            if inside.objects.get(key).map(|stored| stored.etag.clone()) != expected {
                return Ok(None);
            }
            inside.counter += 1;
            let (etag, written) = (format!("\"{}\"", inside.counter), inside.clock);
            inside
                .objects
                .insert(key.to_owned(), Stored { bytes, etag: etag.clone(), tags: Tags::new(), written });
            Ok(Some(etag))
        })
        .await
    }
}
