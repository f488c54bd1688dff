//! Who may change the invoke policy now. All apps share the policy, and IAM has no conditional write: an object in the bucket, which
//! is written only where none stands, lets one run after the other change it.

use std::time::Duration;

use apps::Error;
use finding::Exit;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::aws::Aws;
use crate::clock::seconds_left;
use crate::failure::{Failure, Kind};
use crate::holder::Holder;
use crate::observed::read_aged;

/// Where leases stand, in the bucket.
pub(crate) const PREFIX: &str = "mainstay/policies/";

/// The key of a policy's lease.
pub(crate) fn key(policy: &str) -> String {
    format!("{PREFIX}{policy}.json")
}

/// How long a lease counts without a sign of life, in seconds.
const LEASE: i64 = 60;

/// After which time it is written again before the policy is changed.
const RENEW: Duration = Duration::from_secs(20);

/// How long a run waits for the others.
const WAIT: Duration = Duration::from_secs(180);

/// What stands in the object.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Held {
    /// The app whose run changes the policy.
    app_id: String,
    /// The process: see `Holder`.
    holder: String,
    /// When it was written: tells two leases of one process apart.
    at: String,
    /// Until when it counts, in seconds since 1970.
    until: i64,
}

/// The right to change a policy, until it is given back.
#[derive(Debug)]
pub(crate) struct Lease<'a> {
    aws: &'a Aws,
    key: String,
    app_id: &'a str,
    holder: &'a str,
    etag: String,
    written: Instant,
}

impl<'a> Lease<'a> {
    /// Waits until no other run changes this policy.
    ///
    /// # Errors
    /// What S3 answers; the other runs do not end.
    pub(crate) async fn take(
        aws: &'a Aws,
        policy: &str,
        app_id: &'a str,
        holder: &'a str,
    ) -> Result<Self, Error> {
        let (key, written) = (key(policy), Instant::now());
        let mut lease = Self { aws, key, app_id, holder, etag: String::new(), written };
        let (began, mut pause) = (Instant::now(), Duration::from_millis(50));
        // At first nothing is expected to stand there.
        let (mut held, mut over): (Option<(Held, Option<Duration>)>, _) = (None, None);
        loop {
            if held.as_ref().is_none_or(is_over) {
                match lease.put(over.as_deref()).await {
                    Ok(()) => return Ok(lease),
                    // Another run was faster.
                    Err(failure) if matches!(failure.kind, Kind::Changed | Kind::Missing) => {}
                    Err(failure) => return Err(failure.into()),
                }
            }
            let found = read_aged(aws, &lease.key).await?;
            held = found
                .as_ref()
                .and_then(|found| Some((serde_json::from_slice(&found.bytes).ok()?, found.age)));
            over = found.map(|found| found.etag);
            if held.as_ref().is_none_or(is_over) && began.elapsed() < WAIT {
                continue;
            }
            if began.elapsed() > WAIT {
                let whose = held
                    .as_ref()
                    .map_or_else(String::new, |(held, _)| format!(", now for `{}`", held.app_id));
                return Err(Error::new(
                    Exit::Busy,
                    format!("other runs change the policy `{policy}` all the time{whose}"),
                )
                .hint("wait until they end, then run the command again"));
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// Says that the run is alive, before it changes the policy.
    ///
    /// # Errors
    /// Another run has taken the lease over meanwhile.
    pub(crate) async fn renew(&mut self) -> Result<(), Failure> {
        if self.written.elapsed() < RENEW {
            return Ok(());
        }
        let etag = self.etag.clone();
        self.put(Some(&etag)).await
    }

    /// Gives it back. If that fails, its time runs out.
    pub(crate) async fn give_back(self) {
        let delete = self.aws.s3.delete_object().bucket(&self.aws.bucket).key(&self.key);
        let _ = delete.if_match(&self.etag).send().await;
    }

    async fn put(&mut self, over: Option<&str>) -> Result<(), Failure> {
        let now = Timestamp::now();
        let held = Held {
            app_id: self.app_id.to_owned(),
            holder: self.holder.to_owned(),
            at: now.to_string(),
            until: now.as_second() + LEASE,
        };
        let bytes = serde_json::to_vec(&held).map_err(|error| Failure {
            action: "s3:PutObject",
            on: self.aws.at(&self.key),
            kind: Kind::Invalid,
            message: error.to_string(),
        })?;
        self.written = Instant::now();
        self.etag = crate::store::put(self.aws, &self.key, bytes, over).await?;
        Ok(())
    }
}

fn is_over((held, age): &(Held, Option<Duration>)) -> bool {
    seconds_left(held.until, *age, LEASE, Timestamp::now()) <= 0 || Holder::has_ended(&held.holder)
}
