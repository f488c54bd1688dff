//! The lease of an environment, and what its instances remember: one object of the bucket, written under a condition.
//!
//! Its age is told by the bucket's clock alone, so that the clocks of two instances may differ.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use finding::Exit;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::environment::Environment;
use super::notice::Notice;
use super::{Bucket, Shared};
use crate::Error;

/// What the keys of Mainstay's own objects begin with.
pub(super) const PREFIX: &str = "mainstay/";

/// How long a lease lasts after it was written.
pub(super) const LASTS: Duration = Duration::from_secs(5 * 60);
/// How often it is written while there is work.
pub(super) const RENEWED: Duration = Duration::from_secs(60);
/// How long its holder works without having written it: less than it lasts, for what is under way.
const TRUSTED: Duration = Duration::from_secs(4 * 60);
/// The most notices that are kept for later.
const MOST_NOTICES: usize = 100;

/// The version of the record.
const FORMAT: u32 = 1;

/// What the object holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    format: u32,
    /// Which instance works.
    holder: Option<Holder>,
    /// Bundles that failed, by key.
    #[serde(default)]
    pub(super) failed: BTreeMap<String, Failure>,
    /// What has not been said yet.
    #[serde(default)]
    pub(super) notices: Vec<Notice>,
}

impl Default for Record {
    fn default() -> Self {
        Self { format: FORMAT, holder: None, failed: BTreeMap::new(), notices: Vec::new() }
    }
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    /// Random: no two are the same.
    id: String,
    /// Which machine and process, for people.
    place: String,
}

impl Holder {
    /// This process.
    pub(super) fn this_process() -> Self {
        let random: u128 = rand::random();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self {
            id: format!("{random:032x}"),
            place: format!("{}, process {}", host.trim(), std::process::id()),
        }
    }
}

/// How a bundle failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    /// The content that failed.
    pub(super) etag: String,
    /// How often.
    pub(super) failures: u32,
    /// When it failed last.
    pub(super) last: Timestamp,
    /// Why.
    pub(super) what: String,
}

/// What to do about the object as it was found.
#[derive(Debug, PartialEq, Eq)]
enum Claim {
    /// It is free: this is remembered.
    Free(Record),
    /// Somebody works.
    Held(String),
    /// It cannot be read.
    Damaged(String),
}

fn claim(found: Option<&Shared>) -> Claim {
    let Some(found) = found else { return Claim::Free(Record::default()) };
    match serde_json::from_slice::<Record>(&found.bytes) {
        Ok(record) if record.format > FORMAT => Claim::Damaged(format!("it has format {}", record.format)),
        Ok(record) => match record.holder {
            Some(holder) if found.age < LASTS => Claim::Held(holder.place),
            _ => Claim::Free(Record { holder: None, ..record }),
        },
        Err(error) => Claim::Damaged(error.to_string()),
    }
}

/// A lease that this instance holds.
pub(super) struct Lease {
    key: String,
    etag: String,
    holder: Holder,
    written: Instant,
    /// What is remembered; [`Lease::write`] keeps it.
    pub(super) record: Record,
}

/// Where the object of an environment is.
pub(super) fn key(environment: &Environment) -> String {
    format!("{PREFIX}apps-deployer/{environment}.json")
}

/// What is remembered, without taking the lease.
pub(super) async fn remembered(bucket: &impl Bucket, environment: &Environment) -> Result<Record, Error> {
    match claim(bucket.read_shared(&key(environment)).await?.as_ref()) {
        Claim::Free(record) => Ok(record),
        Claim::Held(_) => Ok(Record::default()),
        Claim::Damaged(why) => Err(damaged(&key(environment), &why)),
    }
}

fn damaged(key: &str, why: &str) -> Error {
    Error::new(Exit::NeedsYou, format!("the record {key} in the bucket cannot be read: {why}")).hint(
        "a newer Mainstay may have written it: use that one. If it is damaged, delete the object: bundles that failed are then tried again at once, \
         and nothing else changes",
    )
}

impl Lease {
    /// Takes the lease.
    ///
    /// # Errors
    /// Another instance has it ([`Exit::Busy`]), or the bucket cannot be used.
    pub(super) async fn take(
        bucket: &impl Bucket,
        environment: &Environment,
        holder: &Holder,
    ) -> Result<Self, Error> {
        let key = key(environment);
        let found = bucket.read_shared(&key).await?;
        let record = match claim(found.as_ref()) {
            Claim::Free(record) => record,
            Claim::Held(place) => return Err(busy(environment, &place)),
            Claim::Damaged(why) => return Err(damaged(&key, &why)),
        };
        let etag = found.map_or_else(String::new, |found| found.etag);
        let mut lease = Self { key, etag, holder: holder.clone(), written: Instant::now(), record };
        lease.record.holder = Some(holder.clone());
        if lease.put(bucket).await? { Ok(lease) } else { Err(busy(environment, "it was quicker")) }
    }

    /// Renews the lease. A bucket that is out of reach for a while is no loss of it.
    ///
    /// # Errors
    /// Another instance has it now, or the bucket has been out of reach for too long.
    pub(super) async fn renew(&mut self, bucket: &impl Bucket) -> Result<(), Error> {
        match self.write(bucket).await {
            Err(error) if error.exit != Exit::Busy && self.written.elapsed() < TRUSTED => Ok(()),
            result => result,
        }
    }

    /// Keeps what is remembered, which also renews the lease.
    ///
    /// # Errors
    /// Another instance has it now, or the bucket cannot be written.
    pub(super) async fn write(&mut self, bucket: &impl Bucket) -> Result<(), Error> {
        let surplus = self.record.notices.len().saturating_sub(MOST_NOTICES);
        self.record.notices.drain(..surplus);
        if self.put(bucket).await? {
            return Ok(());
        }
        Err(Error::new(Exit::Busy, "another instance has taken over this environment")
            .hint("this one was silent for too long; the other one goes on"))
    }

    /// Gives the lease back. Should that fail, it ends by itself.
    pub(super) async fn give_back(mut self, bucket: &impl Bucket) {
        self.record.holder = None;
        let _ = self.put(bucket).await;
    }

    async fn put(&mut self, bucket: &impl Bucket) -> Result<bool, Error> {
        let bytes = serde_json::to_vec_pretty(&self.record)
            .map_err(|error| Error::new(Exit::Bug, format!("the record cannot be written: {error}")))?;
        let started = Instant::now();
        let expected = (!self.etag.is_empty()).then_some(self.etag.as_str());
        if let Some(etag) = bucket.write_shared(&self.key, bytes, expected).await? {
            (self.etag, self.written) = (etag, started);
            return Ok(true);
        }
        // A write whose answer was lost is ours all the same.
        let found = bucket.read_shared(&self.key).await?;
        let ours = found.filter(|found| {
            serde_json::from_slice::<Record>(&found.bytes)
                .is_ok_and(|record| record.holder.is_some_and(|holder| holder.id == self.holder.id))
        });
        let Some(found) = ours else { return Ok(false) };
        let bytes = serde_json::to_vec_pretty(&self.record).unwrap_or_default();
        match bucket.write_shared(&self.key, bytes, Some(&found.etag)).await? {
            Some(etag) => {
                (self.etag, self.written) = (etag, started);
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

fn busy(environment: &Environment, place: &str) -> Error {
    Error::new(Exit::Busy, format!("another instance deploys the apps of `{environment}` ({place})")).hint(format!(
        "wait until it ends; the lease of an instance that was killed ends by itself, {} minutes after its last sign of life",
        LASTS.as_secs() / 60
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(record: &Record, age: u64) -> Shared {
        Shared {
            bytes: serde_json::to_vec(record).expect("JSON"),
            etag: "1".to_owned(),
            age: Duration::from_secs(age),
        }
    }

    #[test]
    fn a_lease_ends_when_its_holder_is_silent() {
        let holder = Holder { id: "1".to_owned(), place: "there".to_owned() };
        let held = Record { holder: Some(holder), ..Record::default() };
        assert_eq!(claim(None), Claim::Free(Record::default()));
        assert_eq!(claim(Some(&shared(&held, 299))), Claim::Held("there".to_owned()));
        assert_eq!(claim(Some(&shared(&held, 300))), Claim::Free(Record::default()));
        assert_eq!(claim(Some(&shared(&Record::default(), 0))), Claim::Free(Record::default()));
        let newer = Record { format: 2, ..Record::default() };
        assert!(matches!(claim(Some(&shared(&newer, 999))), Claim::Damaged(_)));
        let garbled = Shared { bytes: b"{".to_vec(), ..shared(&held, 999) };
        assert!(matches!(claim(Some(&garbled)), Claim::Damaged(_)));
    }

    #[test]
    fn a_record_of_the_first_format_is_read() {
        let text = include_str!("../../tests/golden/deployer-record-1.json");
        let record: Record = serde_json::from_str(text).expect("format 1");
        assert_eq!((record.failed.len(), record.notices.len()), (1, 1));
        assert_eq!(serde_json::to_string_pretty(&record).expect("JSON"), text.trim_end());
    }
}
