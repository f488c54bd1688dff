//! What AWS answered in place of what was asked for, in words.

use apps::Error;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use finding::Exit;

/// What kind of failure it was: decisions are made by this, never by text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The thing is not there.
    Missing,
    /// The bucket is not there.
    NoBucket,
    /// It is there already.
    Exists,
    /// A conditional write found something else than expected.
    Changed,
    /// Another change of the same thing is under way.
    Unsettled,
    /// A role that was just made is not known to Lambda yet.
    RoleNotReady,
    /// AWS allows no more of them.
    Full,
    Throttled,
    Expired,
    /// AWS does not accept them, or they cannot be had.
    Credentials,
    /// Nobody said any, and no place that AWS's chain knows has some.
    NoCredentials,
    Denied,
    /// The bucket is in another region.
    Elsewhere(Option<String>),
    /// The bucket's name belongs to another account.
    NotYours,
    /// The bucket exists and may not be read: S3 does not say why.
    Closed,
    /// What this machine takes for the time is not what AWS does.
    Clock,
    /// AWS finds what was sent wrong.
    Invalid,
    /// No answer came.
    Unreached,
    /// Something else answered than AWS: a proxy, or a network's page for signing in.
    Stranger,
    /// AWS itself failed.
    Service,
}

/// A call that failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// Such as `lambda:CreateFunction`: the name that IAM policies use.
    pub(crate) action: &'static str,
    /// The function, key or policy that it was about.
    pub(crate) on: String,
    pub(crate) kind: Kind,
    pub(crate) message: String,
}

/// By AWS's codes. A code that is not here is `Invalid` below status 500, `Service` from there on.
const CODES: [(&str, Kind); 42] = [
    ("NoSuchKey", Kind::Missing),
    ("NotFound", Kind::Missing),
    ("NoSuchEntity", Kind::Missing),
    ("NoSuchTagSet", Kind::Missing),
    ("NoSuchPublicAccessBlockConfiguration", Kind::Missing),
    ("ResourceNotFoundException", Kind::Missing),
    ("NoSuchBucket", Kind::NoBucket),
    ("EntityAlreadyExists", Kind::Exists),
    ("BucketAlreadyOwnedByYou", Kind::Exists),
    ("BucketAlreadyExists", Kind::NotYours),
    ("PreconditionFailed", Kind::Changed),
    ("ConditionalRequestConflict", Kind::Changed),
    ("ResourceConflictException", Kind::Unsettled),
    ("OperationAborted", Kind::Unsettled),
    ("ConcurrentModification", Kind::Unsettled),
    ("LimitExceeded", Kind::Full),
    ("LimitExceededException", Kind::Full),
    ("Throttling", Kind::Throttled),
    ("ThrottlingException", Kind::Throttled),
    ("ThrottledException", Kind::Throttled),
    ("TooManyRequestsException", Kind::Throttled),
    ("TooManyRequests", Kind::Throttled),
    ("RequestLimitExceeded", Kind::Throttled),
    ("SlowDown", Kind::Throttled),
    ("ExpiredToken", Kind::Expired),
    ("ExpiredTokenException", Kind::Expired),
    ("RequestExpired", Kind::Expired),
    ("TokenRefreshRequired", Kind::Expired),
    ("RequestTimeTooSkewed", Kind::Clock),
    ("InvalidClientTokenId", Kind::Credentials),
    ("InvalidAccessKeyId", Kind::Credentials),
    ("UnrecognizedClientException", Kind::Credentials),
    ("SignatureDoesNotMatch", Kind::Credentials),
    ("InvalidSignatureException", Kind::Credentials),
    ("IncompleteSignature", Kind::Credentials),
    ("MissingAuthenticationToken", Kind::Credentials),
    ("InvalidToken", Kind::Credentials),
    ("AccessDenied", Kind::Denied),
    ("AccessDeniedException", Kind::Denied),
    ("AuthorizationHeaderMalformed", Kind::Elsewhere(None)),
    ("PermanentRedirect", Kind::Elsewhere(None)),
    ("IllegalLocationConstraintException", Kind::Elsewhere(None)),
];

impl Failure {
    pub(crate) fn new<E>(
        action: &'static str,
        on: impl Into<String>,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let response = error.raw_response();
        let status = response.map(|response| response.status().as_u16());
        let said = error.message().or(error.code()).filter(|said| !said.is_empty()).map(str::to_owned);
        let message = said.unwrap_or_else(|| match (error, status) {
            (SdkError::ServiceError(_), Some(status)) => format!("status {status}, and nothing said why"),
            _ => last_cause(error),
        });
        let kind = match (credentials(error), error) {
            (Some(CredentialsError::CredentialsNotLoaded(_)), _) => Kind::NoCredentials,
            // The chain of credentials answers before anything is sent.
            (Some(_), _) => Kind::Credentials,
            (None, SdkError::ServiceError(_)) => kind(error.code(), status, &message),
            (None, SdkError::ResponseError(_)) => kind(None, status, &message),
            (None, SdkError::ConstructionFailure(_)) => Kind::Invalid,
            _ => Kind::Unreached,
        };
        let body = response.and_then(|response| response.body().bytes()).unwrap_or_default();
        let kind = match kind {
            _ if error.code().is_none() && is_strange(action, status, body) => Kind::Stranger,
            Kind::Elsewhere(None) => {
                let region = response.and_then(|response| response.headers().get("x-amz-bucket-region"));
                Kind::Elsewhere(region.map(str::to_owned).or_else(|| expected_region(&message)))
            }
            other => other,
        };
        Self { action, on: on.into(), kind, message: finding::one_line(&message, 400) }
    }

    pub(crate) fn is(&self, kind: &Kind) -> bool {
        self.kind == *kind
    }

    /// The failure for whoever called the command.
    pub(crate) fn into_error(self) -> Error {
        let Self { action, on, kind, message } = self;
        let subject = if on.is_empty() { action.to_owned() } else { format!("{action} on `{on}`") };
        let bucket = on.split('/').next().unwrap_or_default().to_owned();
        let (exit, what, hint) = match kind {
            Kind::Denied => return denied(action, &on, &message),
            Kind::Missing => (Exit::NotReady, format!("{subject}: it is not there: {message}"), "run `mainstay apps aws init`".to_owned()),
            Kind::NoBucket => (
                Exit::NotReady,
                format!("there is no bucket `{bucket}`"),
                "run `mainstay apps aws init`, which creates it, or name another with `--bucket`".to_owned(),
            ),
            Kind::Exists => (Exit::Refused, format!("{subject}: it exists already"), "choose another name".to_owned()),
            Kind::Changed => (
                Exit::Busy,
                format!("{subject}: another run changed it meanwhile"),
                "wait until the other run ends, then run the command again".to_owned(),
            ),
            Kind::Unsettled => (
                Exit::Busy,
                format!("{subject}: another change of it is under way"),
                "wait a minute, then run the command again".to_owned(),
            ),
            Kind::RoleNotReady => (
                Exit::NotReady,
                format!("{subject}: Lambda cannot assume the execution role: {message}"),
                "a new role needs up to a minute; its trust policy must name `lambda.amazonaws.com` (`mainstay apps aws init` makes one)".to_owned(),
            ),
            Kind::Full => (
                Exit::NotReady,
                format!("{subject}: AWS allows no more: {message}"),
                "remove what is no longer used, or ask AWS for a higher quota, then run the command again".to_owned(),
            ),
            Kind::Throttled => (
                Exit::NotReady,
                format!("{subject}: AWS throttles this account's calls, also after several attempts"),
                "wait a minute, then run the command again: it continues where this run stopped".to_owned(),
            ),
            Kind::Expired => (
                Exit::NotReady,
                format!("{subject}: the credentials have expired"),
                "get new ones (a session token lasts hours), then run the command again".to_owned(),
            ),
            Kind::Credentials => (
                Exit::NotReady,
                format!("{subject}: the credentials cannot be used: {message}"),
                "`--plan` says where they come from; check the key's id, its secret and its session token".to_owned(),
            ),
            Kind::NoCredentials => (
                Exit::NotReady,
                format!("{subject}: no credentials of AWS were found"),
                "none were found: set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or name a profile of ~/.aws/config with `--profile`".to_owned(),
            ),
            Kind::Elsewhere(region) => (
                Exit::Settings,
                region.as_ref().map_or_else(
                    || format!("the bucket `{bucket}` is in another region than the one that was asked"),
                    |region| format!("the bucket `{bucket}` is in `{region}`"),
                ),
                region.map_or_else(
                    || "say its region with `--region` or `MM_APPS_AWS_REGION`".to_owned(),
                    |region| format!("say `--region {region}`, or name a bucket of this region with `--bucket`"),
                ),
            ),
            Kind::NotYours => (
                Exit::Refused,
                format!("the bucket's name `{bucket}` belongs to another account"),
                "names of buckets are unique in all of AWS: choose another with `--bucket` or `MM_APPS_S3_BUCKET`".to_owned(),
            ),
            Kind::Closed => (
                Exit::Refused,
                format!("the bucket `{bucket}` exists, and these credentials may not read it: it belongs to another account, or they lack `s3:ListBucket`"),
                format!("choose another with `--bucket` or `MM_APPS_S3_BUCKET`; or, if it is yours, add this statement to a policy of the user or role: {}", statement("s3:ListBucket", &format!("arn:aws:s3:::{bucket}"))),
            ),
            Kind::Clock => (
                Exit::NotReady,
                format!("{subject}: this machine's clock is not AWS's: {message}"),
                "set the clock, then run the command again: `timedatectl` shows whether it is synchronized, `timedatectl set-ntp true` turns that on".to_owned(),
            ),
            Kind::Invalid => (Exit::NotReady, format!("{subject}: AWS refused it: {message}"), "correct what AWS names".to_owned()),
            Kind::Unreached => (
                Exit::NotReady,
                format!("{subject}: AWS cannot be reached: {message}"),
                "check the network, the region and the endpoint (`--plan` says which), then run the command again".to_owned(),
            ),
            Kind::Stranger => (
                Exit::NotReady,
                format!("{subject}: the answer is not one of AWS: {message}"),
                "a proxy or a sign-in page of the network may have answered: check the network and the endpoint (`--plan` says which), then run the command again".to_owned(),
            ),
            Kind::Service => (
                Exit::NotReady,
                format!("{subject}: AWS failed, also after several attempts: {message}"),
                "wait a minute, then run the command again: it continues where this run stopped".to_owned(),
            ),
        };
        Error::new(exit, what).hint(hint)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.into_error()
    }
}

/// The causes of an error, the error first.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// The first cause, which says most: those above it only name the layers that it went through.
fn last_cause(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

/// Why there are no credentials, if that is why nothing was sent.
fn credentials<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a CredentialsError> {
    causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>())
}

/// An answer, or nothing where the thing is not there.
pub(crate) fn optional<T, E>(
    action: &'static str,
    on: &str,
    answer: Result<T, SdkError<E, HttpResponse>>,
) -> Result<Option<T>, Failure>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match answer.map_err(|error| Failure::new(action, on, &error)) {
        Ok(found) => Ok(Some(found)),
        Err(failure) if failure.is(&Kind::Missing) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// A change that may have been made already: by an earlier run, or by a call whose answer was lost.
pub(crate) fn made<T, E>(
    action: &'static str,
    on: &str,
    answer: Result<T, SdkError<E, HttpResponse>>,
) -> Result<(), Failure>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match answer.map_err(|error| Failure::new(action, on, &error)) {
        Ok(_) => Ok(()),
        Err(failure) if failure.is(&Kind::Exists) => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn kind(code: Option<&str>, status: Option<u16>, message: &str) -> Kind {
    let code = code.unwrap_or_default();
    // The one case that AWS tells apart by its text alone.
    if code == "InvalidParameterValueException" && message.contains("cannot be assumed") {
        return Kind::RoleNotReady;
    }
    if code == "ResourceConflictException" && message.to_lowercase().contains("already exist") {
        return Kind::Exists;
    }
    // A signature counts for five minutes, and AWS has no code of its own for one that is older or from the future.
    if message.starts_with("Signature expired") || message.starts_with("Signature not yet current") {
        return Kind::Clock;
    }
    if let Some((_, kind)) = CODES.iter().find(|(known, _)| *known == code) {
        return kind.clone();
    }
    match status {
        Some(301 | 307) => Kind::Elsewhere(None),
        Some(403) => Kind::Denied,
        Some(404) => Kind::Missing,
        Some(412) => Kind::Changed,
        Some(429) => Kind::Throttled,
        Some(500..) => Kind::Service,
        _ => Kind::Invalid,
    }
}

/// Whether an answer without a code of AWS's is none of AWS's: a failure that says success, a page of HTML, or a redirect from a service that
/// never redirects. What it says of a thing, such as that it is missing, then says nothing.
fn is_strange(action: &str, status: Option<u16>, body: &[u8]) -> bool {
    let start = String::from_utf8_lossy(body.get(..200).unwrap_or(body)).trim_start().to_ascii_lowercase();
    let is_page = start.starts_with("<!doctype html") || start.starts_with("<html");
    match status {
        Some(200..300) => true,
        Some(300..400) => is_page || !action.starts_with("s3:"),
        Some(400..500) => is_page,
        _ => false,
    }
}

/// The region in `... the region 'us-east-1' is wrong; expecting 'eu-west-1'`.
fn expected_region(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("expecting '")?;
    Some(rest.split_once('\'')?.0.to_owned())
}

/// A permission is missing: names it, and the line that a policy needs.
fn denied(action: &'static str, on: &str, message: &str) -> Error {
    // AWS says which permission it looked for, where it differs from the call: `iam:PassRole` for `lambda:CreateFunction`.
    let (wanted, resource) = named_in(message);
    let wanted = wanted.unwrap_or_else(|| action.to_owned());
    let service = wanted.split(':').next().unwrap_or_default().to_owned();
    let resource = resource.unwrap_or_else(|| match service.as_str() {
        "s3" if on.contains('/') => format!("arn:aws:s3:::{on}"),
        "s3" if !on.is_empty() => format!("arn:aws:s3:::{on}"),
        _ => "*".to_owned(),
    });
    let line = statement(&wanted, &resource);
    let needed = match (on, wanted == action) {
        ("", true) => String::new(),
        ("", false) => format!(" (needed for {action})"),
        _ => format!(" (needed for {action} on `{on}`)"),
    };
    Error::new(Exit::NotReady, format!("the credentials may not call `{wanted}`{needed}"))
        .hint(format!("add this statement to a policy of the user or role that deploys: {line}"))
}

/// What a policy needs.
fn statement(action: &str, resource: &str) -> String {
    format!("{{\"Effect\": \"Allow\", \"Action\": \"{action}\", \"Resource\": \"{resource}\"}}")
}

/// The action and the resource in `... is not authorized to perform: ACTION on resource: ARN ...`.
fn named_in(message: &str) -> (Option<String>, Option<String>) {
    let word_after = |mark: &str| {
        let (_, rest) = message.split_once(mark)?;
        let word = rest.split_whitespace().next()?.trim_matches(['"', '.', ',']);
        Some(word.to_owned())
    };
    (
        word_after("to perform: ").filter(|word| word.contains(':')),
        word_after("on resource: ").filter(|word| word.starts_with("arn:")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(code: &str, status: u16, message: &str) -> Error {
        let kind = kind(Some(code), Some(status), message);
        Failure { action: "lambda:CreateFunction", on: "abc_1_f".into(), kind, message: message.into() }
            .into_error()
    }

    #[test]
    fn a_missing_permission_names_the_action_and_the_line_to_add() {
        let message = "User: arn:aws:iam::1:user/u is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/r because no identity-based policy allows it";
        let error = told("AccessDeniedException", 403, message);
        assert!(error.what.contains("may not call `iam:PassRole`"), "{error}");
        let hint = error.hint.unwrap();
        assert!(
            hint.contains(
                r#"{"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::1:role/r"}"#
            ),
            "{hint}"
        );
        let error = told("AccessDenied", 403, "Access Denied");
        assert!(error.what.contains("may not call `lambda:CreateFunction`"), "{error}");
    }

    #[test]
    fn what_went_wrong_is_said_in_words() {
        let denied = Failure {
            action: "lambda:ListFunctions",
            on: String::new(),
            kind: Kind::Denied,
            message: String::new(),
        };
        assert_eq!(denied.into_error().what, "the credentials may not call `lambda:ListFunctions`");
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let layered = std::io::Error::other(std::io::Error::other(refused));
        assert_eq!(last_cause(&layered), "connection refused");
        let none = SdkError::<std::io::Error, ()>::construction_failure(CredentialsError::not_loaded("none"));
        assert!(credentials(&none).is_some());
    }

    #[test]
    fn what_something_else_answered_is_not_taken_for_what_aws_says() {
        for (action, status, body) in [
            ("lambda:ListFunctions", 200, "<html>Sign in</html>"),
            ("iam:GetRole", 200, ""),
            ("iam:GetRole", 301, ""),
            ("s3:ListBucket", 307, "\n<!DOCTYPE html>"),
            ("s3:GetObject", 404, "<HTML>not here"),
        ] {
            assert!(is_strange(action, Some(status), body.as_bytes()), "{action} {status}");
        }
        for (action, status, body) in [
            ("s3:ListBucket", 301, ""),
            ("s3:GetObject", 404, ""),
            ("lambda:GetFunction", 404, "{}"),
            ("iam:GetRole", 403, "<ErrorResponse>"),
            ("s3:GetObject", 502, "<html>"),
        ] {
            assert!(!is_strange(action, Some(status), body.as_bytes()), "{action} {status}");
        }
        let failure = Failure {
            action: "iam:GetRole",
            on: "r".into(),
            kind: Kind::Stranger,
            message: "status 200".into(),
        };
        let error = failure.into_error();
        assert!(
            error.what.contains("not one of AWS")
                && error.hint.is_some_and(|hint| hint.contains("sign-in page"))
        );
    }

    #[test]
    fn each_kind_has_its_exit_and_a_hint() {
        for (code, status, message, exit) in [
            ("ThrottlingException", 429, "", Exit::NotReady),
            ("ExpiredToken", 400, "", Exit::NotReady),
            ("InvalidAccessKeyId", 403, "", Exit::NotReady),
            ("PermanentRedirect", 301, "", Exit::Settings),
            ("BucketAlreadyExists", 409, "", Exit::Refused),
            ("PreconditionFailed", 412, "", Exit::Busy),
            ("ResourceConflictException", 409, "in progress", Exit::Busy),
            ("InternalFailure", 500, "", Exit::NotReady),
            ("InvalidParameterValueException", 400, "The role cannot be assumed by Lambda.", Exit::NotReady),
        ] {
            let error = told(code, status, message);
            assert_eq!(error.exit, exit, "{code}");
            assert!(error.hint.is_some_and(|hint| !hint.is_empty()));
        }
        assert_eq!(
            kind(Some("ResourceConflictException"), Some(409), "Function already exist: f"),
            Kind::Exists
        );
        assert_eq!(kind(None, Some(404), ""), Kind::Missing);
    }
}
