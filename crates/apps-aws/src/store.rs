//! The record in the bucket. It is written only over what was read, so that of two runs one is told.

use std::time::Duration;

use apps::Error;
use finding::Exit;
use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::aws::Aws;
use crate::clock::seconds_left;
use crate::failure::{Failure, Kind};
use crate::holder::Holder;
use crate::observed::{read, read_aged};
use crate::record::{FORMAT, Record};

/// How long a run counts as alive without a sign of life, in seconds.
pub(crate) const LEASE: i64 = 60;

/// The record of an app, as it was last read or written.
#[derive(Debug)]
pub(crate) struct Store<'a> {
    aws: &'a Aws,
    key: String,
    held: Mutex<(Record, Option<String>)>,
    /// How old the record was when it was read, by the bucket's clock.
    age: Option<Duration>,
}

impl<'a> Store<'a> {
    /// Reads the record.
    pub(crate) async fn open(aws: &'a Aws, app_id: &str) -> Result<(Self, Option<Record>), Error> {
        let key = Record::key(app_id);
        let (record, etag, age) = match read_aged(aws, &key).await? {
            Some(found) => (Some(parse(&aws.at(&key), &found.bytes)?), Some(found.etag), found.age),
            None => (None, None, None),
        };
        let held = Mutex::new((record.clone().unwrap_or_else(|| Record::new(app_id)), etag));
        Ok((Self { aws, key, held, age }, record))
    }

    /// Refuses while another run is alive. `take_over` does not wait for a run on another machine.
    pub(crate) fn refuse_if_running(&self, record: Option<&Record>, take_over: bool) -> Result<(), Error> {
        let Some(running) = record.and_then(|record| record.running.as_ref()) else { return Ok(()) };
        let left = seconds_left(running.until, self.age, LEASE, Timestamp::now());
        if take_over || left <= 0 || Holder::has_ended(&running.holder) {
            return Ok(());
        }
        let what = format!(
            "{} of version `{}` is under way since {}: {}",
            running.operation, running.version, running.since, running.who
        );
        let hint = format!(
            "wait until it ends; if it was killed, the next run may continue in {left} seconds, and with `--take-over` at once"
        );
        Err(Error::new(Exit::Busy, what).hint(hint))
    }

    /// Writes the record, or removes it where it says nothing any more.
    pub(crate) async fn write(&self, record: Record) -> Result<(), Failure> {
        let mut held = self.held.lock().await;
        let etag = if record.is_empty() {
            self.remove(held.1.as_deref()).await?
        } else {
            Some(self.put(&record, held.1.as_deref()).await?)
        };
        *held = (record, etag);
        Ok(())
    }

    /// Says that the run is alive, until somebody else takes the record over.
    pub(crate) async fn keep_alive(&self) -> Failure {
        let every = Duration::from_secs(LEASE.unsigned_abs() / 3);
        loop {
            tokio::time::sleep(every).await;
            let mut held = self.held.lock().await;
            let mut record = held.0.clone();
            let Some(running) = &mut record.running else { continue };
            running.until = Timestamp::now().as_second() + LEASE;
            match self.put(&record, held.1.as_deref()).await {
                Ok(etag) => *held = (record, Some(etag)),
                Err(failure) if failure.is(&Kind::Changed) => return failure,
                // The next one may succeed; if none does, the run's own calls fail as well.
                Err(_) => {}
            }
        }
    }

    async fn put(&self, record: &Record, over: Option<&str>) -> Result<String, Failure> {
        let bytes = serde_json::to_vec_pretty(record).map_err(|error| Failure {
            action: "s3:PutObject",
            on: self.aws.at(&self.key),
            kind: Kind::Invalid,
            message: error.to_string(),
        })?;
        put(self.aws, &self.key, bytes, over).await
    }

    async fn remove(&self, over: Option<&str>) -> Result<Option<String>, Failure> {
        let Some(etag) = over else { return Ok(None) };
        match self.aws.s3.delete_object().bucket(&self.aws.bucket).key(&self.key).if_match(etag).send().await
        {
            Ok(_) => Ok(None),
            Err(error) => match Failure::new("s3:DeleteObject", self.aws.at(&self.key), &error) {
                failure if failure.is(&Kind::Missing) => Ok(None),
                failure => match read(self.aws, &self.key).await? {
                    None => Ok(None),
                    Some(_) => Err(failure),
                },
            },
        }
    }
}

/// Writes an object only over what was read, or only where nothing stands; gives what S3 calls the content.
pub(crate) async fn put(aws: &Aws, key: &str, bytes: Vec<u8>, over: Option<&str>) -> Result<String, Failure> {
    let put = aws.s3.put_object().bucket(&aws.bucket).key(key).content_type("application/json");
    let put = match over {
        Some(etag) => put.if_match(etag),
        None => put.if_none_match("*"),
    };
    let failure = match put.body(bytes.clone().into()).send().await {
        Ok(put) => return Ok(put.e_tag().unwrap_or_default().to_owned()),
        Err(error) => Failure::new("s3:PutObject", aws.at(key), &error),
    };
    // A call that is tried again finds what its first try wrote.
    if matches!(failure.kind, Kind::Changed | Kind::Missing)
        && let Some((found, etag)) = read(aws, key).await?
        && found == bytes
    {
        return Ok(etag);
    }
    Err(failure)
}

/// A record that this version understands.
pub(crate) fn parse(at: &str, bytes: &[u8]) -> Result<Record, Error> {
    let format =
        serde_json::from_slice::<serde_json::Value>(bytes).ok().and_then(|record| record["format"].as_u64());
    if let Some(format) = format.filter(|format| *format > u64::from(FORMAT)) {
        return Err(Error::new(
            Exit::Refused,
            format!("the deploy record `{at}` has format {format}, which a newer Mainstay wrote"),
        )
        .hint("upgrade Mainstay"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        Error::new(Exit::NeedsYou, format!("the deploy record `{at}` cannot be read: {error}"))
            .hint("look at it first: a proxy of the network may have answered in place of AWS. If the bucket holds it like this, restore its earlier version; if there is none, remove it and deploy with `--adopt`")
    })
}
