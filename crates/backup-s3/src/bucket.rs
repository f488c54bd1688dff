//! The files of a repository as objects of a bucket.

use std::sync::{Arc, mpsc};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use backup::{Entry, Store, StoreError};
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use crate::connect::Place;
use crate::failure::{Call, Failure, Kind, LIST, READ, REMOVE, WRITE};

/// A bucket of S3, or of what speaks its protocol, below a prefix.
///
/// Its calls block, and may be made from any thread.
#[derive(Debug)]
pub struct Bucket {
    inner: Arc<Inner>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

#[derive(Debug)]
struct Inner {
    place: Place,
    client: Client,
}

impl Bucket {
    /// Connects nothing yet: whether the bucket is there is known at the first call.
    ///
    /// # Errors
    /// No region is known; the file of credentials cannot be used.
    pub fn new(place: Place) -> Result<Self, StoreError> {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).thread_name("backup-s3").enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::io("use", place.location(), &error))?;
        let made = place.clone();
        let client = on(&runtime, &place, async move { made.client().await })?;
        Ok(Self { inner: Arc::new(Inner { place, client }), runtime: Some(runtime) })
    }

    /// Runs a call to its end.
    fn call<T: Send + 'static, F: Future<Output = Result<T, StoreError>> + Send + 'static>(
        &self,
        call: impl FnOnce(Arc<Inner>) -> F,
    ) -> Result<T, StoreError> {
        match &self.runtime {
            Some(runtime) => on(runtime, &self.inner.place, call(Arc::clone(&self.inner))),
            None => Err(gone(&self.inner.place)),
        }
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // A runtime must not be waited for where others are at work.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn on<T: Send + 'static>(
    runtime: &Runtime,
    place: &Place,
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let (answer, answered) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        let _ = answer.send(work.await);
    });
    answered.recv().unwrap_or_else(|_| Err(gone(place)))
}

fn gone(place: &Place) -> StoreError {
    let why = "the call ended without an answer".to_owned();
    StoreError { action: "use", at: place.location(), why, missing: false }
}

impl Inner {
    fn key(&self, name: &str) -> String {
        match self.place.prefix.is_empty() {
            true => name.to_owned(),
            false => format!("{}/{name}", self.place.prefix),
        }
    }

    fn prefix(&self, folder: &str) -> String {
        if folder.is_empty() && self.place.prefix.is_empty() {
            return String::new();
        }
        let key = self.key(folder);
        if key.ends_with('/') { key } else { format!("{key}/") }
    }

    async fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let prefix = self.prefix(folder);
        let own = self.prefix("");
        let list = self.client.list_objects_v2().bucket(&self.place.bucket).prefix(&prefix);
        // Directly in the root, or all below a folder.
        let list = if folder.is_empty() { list.delimiter("/") } else { list };
        let mut pages = list.into_paginator().send();
        let mut entries = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| Failure::new(&self.place, LIST, "", &error))?;
            for object in page.contents() {
                let key = object.key().unwrap_or_default();
                // Some tools make an object for a folder.
                let Some(name) =
                    key.strip_prefix(&own).filter(|name| !name.is_empty() && !name.ends_with('/'))
                else {
                    continue;
                };
                let size = u64::try_from(object.size().unwrap_or(0)).unwrap_or(0);
                entries.push(Entry { name: name.to_owned(), size });
            }
        }
        Ok(entries)
    }

    async fn get(&self, name: &str, range: Option<(u64, u64)>) -> Result<Bytes, StoreError> {
        let key = self.key(name);
        let get = self.client.get_object().bucket(&self.place.bucket).key(&key);
        let get = match range {
            Some((offset, length)) => get.range(format!("bytes={offset}-{}", offset + length - 1)),
            None => get,
        };
        let answer = get.send().await.map_err(|error| Failure::new(&self.place, READ, &key, &error))?;
        let announced = answer.content_length().and_then(|length| u64::try_from(length).ok());
        let expected = range.map(|(_, length)| length).or(announced);
        let wrong = |why: String| Failure::corrupted(&self.place, READ, &key, why);
        if let (Some(announced), Some(expected)) = (announced, expected)
            && announced != expected
        {
            return Err(wrong(format!("{announced} bytes were sent, {expected} were expected")).into());
        }
        let collected = answer.body.collect().await;
        let bytes =
            collected.map_err(|error| wrong(format!("the connection was cut: {error}")))?.into_bytes();
        match expected {
            Some(expected) if bytes.len() as u64 != expected => {
                Err(wrong(format!("{} bytes came, {expected} were expected", bytes.len())).into())
            }
            _ => Ok(bytes),
        }
    }

    /// What the storage says that it has.
    async fn size(&self, key: &str, call: Call) -> Result<Option<u64>, StoreError> {
        match self.client.head_object().bucket(&self.place.bucket).key(key).send().await {
            Ok(head) => Ok(head.content_length().and_then(|length| u64::try_from(length).ok())),
            Err(error) => match Failure::new(&self.place, READ, key, &error) {
                failure if failure.kind == Kind::Missing => {
                    let why = "the storage took it, and does not have it".to_owned();
                    Err(Failure::corrupted(&self.place, call, key, why).into())
                }
                failure => Err(failure.into()),
            },
        }
    }

    async fn put(&self, name: &str, content: Bytes) -> Result<(), StoreError> {
        let key = self.key(name);
        let sent = content.len() as u64;
        let put = self.client.put_object().bucket(&self.place.bucket).key(&key);
        let put = put.body(ByteStream::from(content)).send().await;
        put.map_err(|error| Failure::new(&self.place, WRITE, &key, &error))?;
        match self.size(&key, WRITE).await? {
            Some(size) if size != sent => {
                let why = format!("{sent} bytes were sent, and the storage has {size}");
                Err(Failure::corrupted(&self.place, WRITE, &key, why).into())
            }
            _ => Ok(()),
        }
    }

    async fn create(&self, name: &str, content: Bytes) -> Result<bool, StoreError> {
        let key = self.key(name);
        // Some storage does not look at the condition of the call.
        match self.client.head_object().bucket(&self.place.bucket).key(&key).send().await {
            Ok(_) => return Ok(false),
            Err(error) => match Failure::new(&self.place, READ, &key, &error) {
                failure if failure.kind == Kind::Missing => {}
                failure => return Err(failure.into()),
            },
        }
        let put = self.client.put_object().bucket(&self.place.bucket).key(&key).if_none_match("*");
        if let Err(error) = put.body(ByteStream::from(content.clone())).send().await {
            let failure = Failure::new(&self.place, WRITE, &key, &error);
            if failure.kind != Kind::Taken {
                return Err(failure.into());
            }
        }
        // A call that was tried again finds what its first attempt wrote.
        match self.get(name, None).await {
            Ok(found) => Ok(found == content),
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn remove(&self, name: &str) -> Result<(), StoreError> {
        let key = self.key(name);
        let removed = self.client.delete_object().bucket(&self.place.bucket).key(&key).send().await;
        match removed.map_err(|error| Failure::new(&self.place, REMOVE, &key, &error)) {
            Err(failure) if failure.kind != Kind::Missing => Err(failure.into()),
            _ => Ok(()),
        }
    }
}

impl Store for Bucket {
    fn location(&self) -> String {
        self.inner.place.location()
    }

    fn list(&self, folder: &str) -> Result<Vec<Entry>, StoreError> {
        let folder = folder.to_owned();
        self.call(|inner| async move { inner.list(&folder).await })
    }

    fn read(&self, name: &str) -> Result<Bytes, StoreError> {
        let name = name.to_owned();
        self.call(|inner| async move { inner.get(&name, None).await })
    }

    fn read_range(&self, name: &str, offset: u64, length: u64) -> Result<Bytes, StoreError> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        let name = name.to_owned();
        self.call(move |inner| async move { inner.get(&name, Some((offset, length))).await })
    }

    fn write(&self, name: &str, content: &[Bytes]) -> Result<(), StoreError> {
        let name = name.to_owned();
        let content = match content {
            [one] => one.clone(),
            several => several.concat().into(),
        };
        self.call(|inner| async move { inner.put(&name, content).await })
    }

    fn create(&self, name: &str, content: &[u8]) -> Result<bool, StoreError> {
        let (name, content) = (name.to_owned(), Bytes::copy_from_slice(content));
        self.call(|inner| async move { inner.create(&name, content).await })
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.call(|inner| async move { inner.remove(&name).await })
    }
}
