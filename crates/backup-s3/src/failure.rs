//! What the storage answers, in words.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use backup::StoreError;

use crate::connect::{ATTEMPTS, Place};

/// A call: the permission that it needs, and the verb for messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) verb: &'static str,
    pub(crate) permission: &'static str,
}

pub(crate) const LIST: Call = Call { verb: "list", permission: "s3:ListBucket" };
pub(crate) const READ: Call = Call { verb: "read", permission: "s3:GetObject" };
pub(crate) const WRITE: Call = Call { verb: "write", permission: "s3:PutObject" };
pub(crate) const REMOVE: Call = Call { verb: "remove", permission: "s3:DeleteObject" };

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Missing,
    NoBucket,
    /// Somebody else was there first.
    Taken,
    Elsewhere,
    Expired,
    UnknownKey,
    WrongSecret,
    NoCredentials,
    Clock,
    Denied,
    Throttled,
    Corrupted,
    Range,
    Full,
    Service,
    Refused,
    Unreached,
}

/// The codes of S3 and of what speaks its protocol.
const CODES: [(&str, Kind); 28] = [
    ("NoSuchKey", Kind::Missing),
    ("NotFound", Kind::Missing),
    ("NoSuchBucket", Kind::NoBucket),
    ("PreconditionFailed", Kind::Taken),
    ("ConditionalRequestConflict", Kind::Taken),
    ("PermanentRedirect", Kind::Elsewhere),
    ("TemporaryRedirect", Kind::Elsewhere),
    ("AuthorizationHeaderMalformed", Kind::Elsewhere),
    ("IllegalLocationConstraintException", Kind::Elsewhere),
    ("ExpiredToken", Kind::Expired),
    ("RequestExpired", Kind::Expired),
    ("TokenRefreshRequired", Kind::Expired),
    ("InvalidAccessKeyId", Kind::UnknownKey),
    ("InvalidToken", Kind::UnknownKey),
    ("NotSignedUp", Kind::UnknownKey),
    ("SignatureDoesNotMatch", Kind::WrongSecret),
    ("RequestTimeTooSkewed", Kind::Clock),
    ("AccessDenied", Kind::Denied),
    ("AllAccessDisabled", Kind::Denied),
    ("SlowDown", Kind::Throttled),
    ("TooManyRequests", Kind::Throttled),
    ("RequestLimitExceeded", Kind::Throttled),
    ("BadDigest", Kind::Corrupted),
    ("XAmzContentSHA256Mismatch", Kind::Corrupted),
    ("InvalidRange", Kind::Range),
    ("QuotaExceeded", Kind::Full),
    ("XMinioStorageFull", Kind::Full),
    ("EntityTooLarge", Kind::Full),
];

fn kind(code: Option<&str>, status: Option<u16>) -> Kind {
    let code = code.unwrap_or_default();
    if let Some((_, kind)) = CODES.iter().find(|(known, _)| *known == code) {
        return kind.clone();
    }
    match status {
        Some(301 | 307) => Kind::Elsewhere,
        Some(401 | 403) => Kind::Denied,
        Some(404) => Kind::Missing,
        Some(412) => Kind::Taken,
        Some(416) => Kind::Range,
        Some(429) => Kind::Throttled,
        Some(507) => Kind::Full,
        Some(500..) => Kind::Service,
        _ => Kind::Refused,
    }
}

/// A call that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    call: Call,
    at: String,
    why: String,
}

impl Failure {
    /// Of an object of the place; `""` for the bucket.
    pub(crate) fn new<E>(place: &Place, call: Call, key: &str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let response = error.raw_response();
        let status = response.map(|response| response.status().as_u16());
        let kind = match (no_credentials(error), error) {
            (true, _) => Kind::NoCredentials,
            (false, SdkError::ServiceError(_)) => kind(error.code(), status),
            (false, SdkError::ResponseError(_)) => kind(None, status),
            (false, SdkError::ConstructionFailure(_)) => Kind::Refused,
            _ => Kind::Unreached,
        };
        let said = error.message().or(error.code()).filter(|said| !said.is_empty()).map(str::to_owned);
        let said = said.unwrap_or_else(|| match (error, status) {
            (SdkError::ServiceError(_), Some(status)) => format!("status {status}"),
            _ => last_cause(error),
        });
        let region = response.and_then(|response| response.headers().get("x-amz-bucket-region"));
        let region = region.map(str::to_owned).or_else(|| expected_region(&said));
        let said = finding::one_line(&said, 300);
        let why = words(place, call, key, &kind, &said, region.as_deref());
        Self { kind, call, at: at(place, key), why }
    }

    /// The storage's answer is not what it should be.
    pub(crate) fn corrupted(place: &Place, call: Call, key: &str, why: String) -> Self {
        Self { kind: Kind::Corrupted, call, at: at(place, key), why }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        let missing = failure.kind == Kind::Missing;
        StoreError { action: failure.call.verb, at: failure.at, why: failure.why, missing }
    }
}

fn at(place: &Place, key: &str) -> String {
    if key.is_empty() { place.location() } else { format!("s3://{}/{key}", place.bucket) }
}

fn words(place: &Place, call: Call, key: &str, kind: &Kind, said: &str, region: Option<&str>) -> String {
    let bucket = &place.bucket;
    match kind {
        Kind::Missing => "it does not exist".to_owned(),
        Kind::NoBucket => {
            format!("there is no bucket `{bucket}`; create it, or correct its name or the endpoint")
        }
        Kind::Taken => "somebody else wrote it first".to_owned(),
        Kind::Elsewhere => match region {
            Some(region) => format!("the bucket `{bucket}` is in region `{region}`; set `region` to that"),
            None => format!("the bucket `{bucket}` is in another region; set `region` to that ({said})"),
        },
        Kind::Expired => "the credentials have expired; get new ones".to_owned(),
        Kind::UnknownKey => {
            format!("the storage does not know the access key; correct its id, or create it ({said})")
        }
        Kind::WrongSecret => {
            format!("the secret key does not belong to the access key; correct it ({said})")
        }
        Kind::NoCredentials => format!(
            "no credentials were found ({said}); set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or name a file with `credentials`"
        ),
        Kind::Clock => {
            format!("this machine's clock is not the storage's; set it: `timedatectl set-ntp true` ({said})")
        }
        Kind::Denied => {
            let resource = if call.permission == LIST.permission {
                format!("arn:aws:s3:::{bucket}")
            } else {
                format!("arn:aws:s3:::{bucket}/{}", if key.is_empty() { "*" } else { key })
            };
            format!(
                "the credentials may not call `{}` on {resource}, or the bucket is somebody else's; allow it in the policy of their user ({said})",
                call.permission
            )
        }
        Kind::Throttled => format!(
            "the storage throttles these calls, also after {ATTEMPTS} attempts; wait a minute, or set `limit` lower"
        ),
        Kind::Corrupted => format!("it was damaged on its way: {said}"),
        Kind::Range => format!("it is shorter than was expected: {said}"),
        Kind::Full => format!("the storage takes no more: {said}"),
        Kind::Service => {
            format!(
                "the storage failed, also after {ATTEMPTS} attempts: {said}; wait a minute, then try again"
            )
        }
        Kind::Refused => format!("the storage refused it: {said}"),
        Kind::Unreached => {
            let endpoint = place.endpoint.as_deref().unwrap_or("Amazon S3");
            format!("{endpoint} cannot be reached: {said}; check the network and the endpoint")
        }
    }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

/// The first cause says most: those above it only name the layers that it went through.
fn last_cause(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

fn no_credentials(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| cause.downcast_ref::<CredentialsError>().is_some())
}

/// The region in `... the region 'us-east-1' is wrong; expecting 'eu-west-1'`.
fn expected_region(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("expecting '")?;
    Some(rest.split_once('\'')?.0.to_owned())
}
