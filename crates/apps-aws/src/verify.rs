//! Whether a deployed version answers: `/ping` through Lambda, a static file from the bucket, and the manifest.

use std::collections::BTreeSet;

use apps::Error;
use aws_sdk_lambda::primitives::Blob;
use base64::Engine as _;
use finding::Exit;
use serde_json::{Value, json};

use crate::aws::Aws;

use crate::failure::Failure;
use crate::observed::{document, read};
use crate::record::{Function, Release};
use crate::{digest, policy};

/// What was seen of a version.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Seen {
    /// What `/ping` answered, and of which function.
    pub ping: String,
    /// The file that was read.
    pub file: String,
}

/// Calls the function that answers `/ping`, and reads a file and the manifest.
///
/// # Errors
/// No answer, another answer, other bytes.
pub(crate) async fn verify(aws: &Aws, release: &Release) -> Result<Seen, Error> {
    let ping = match route(&release.functions, "/ping") {
        Some(function) => ping(aws, &function.lambda).await?,
        // Mattermost asks nobody then, and counts the app as reachable.
        None => "no function answers /ping".to_owned(),
    };
    let mut file = String::new();
    for object in release.objects.first().into_iter().chain([&release.manifest]) {
        let found = read(aws, &object.key).await?;
        let is_same = found.is_some_and(|(bytes, _)| {
            object.sha256.starts_with(FOREIGN) || digest::sha256(&bytes) == object.sha256
        });
        if !is_same {
            return Err(Error::new(
                Exit::NotVerified,
                format!("`{}` does not hold what was written", aws.at(&object.key)),
            )
            .hint("deploy again; if it happens again, look who else writes to this bucket"));
        }
        if file.is_empty() {
            file.clone_from(&object.key);
        }
    }
    Ok(Seen { ping, file })
}

/// Whether the invoke policy names every function of a release.
///
/// # Errors
/// It does not: another tool has written an earlier document over it.
pub(crate) async fn may_call(aws: &Aws, release: &Release) -> Result<(), Error> {
    let mut arns = BTreeSet::new();
    for function in &release.functions {
        arns.insert(aws.function_arn(&function.lambda).await?);
    }
    let found = document(aws, &release.policy).await?;
    let missing =
        found.map_or_else(|| arns.iter().cloned().collect(), |found| policy::missing(&found.document, &arns));
    let Some(arn) = missing.first() else { return Ok(()) };
    Err(Error::new(
        Exit::NotVerified,
        format!("the policy `{}` does not let Mattermost call `{arn}`", release.policy),
    )
    .hint("another tool changed the policy at the same time: deploy again when it has ended"))
}

/// What the SHA-256 of a file begins with that another tool deployed: it is not known.
pub(crate) const FOREIGN: &str = "etag-";

/// The function that answers a path: the longest prefix, and of equal ones the first.
pub(crate) fn route<'a>(functions: &'a [Function], path: &str) -> Option<&'a Function> {
    let matching = functions.iter().filter(|function| path.starts_with(&function.path));
    matching.fold(None, |best: Option<&Function>, next| match best {
        Some(best) if best.path.len() >= next.path.len() => Some(best),
        _ => Some(next),
    })
}

async fn ping(aws: &Aws, lambda: &str) -> Result<String, Error> {
    let body = r#"{"path":"/ping","context":{"app_id":"","mattermost_site_url":"","app_path":"","bot_user_id":"","oauth2":{}}}"#;
    let event = json!({ "path": "/ping", "httpMethod": "POST", "headers": { "Content-Type": "application/json" }, "body": body });
    let invoke = aws.lambda.invoke().function_name(lambda).payload(Blob::new(event.to_string()));
    let answer =
        invoke.send().await.map_err(|error| Failure::new("lambda:InvokeFunction", lambda, &error))?;
    let payload = answer.payload().map(|payload| payload.as_ref().to_vec()).unwrap_or_default();
    judge(answer.function_error(), &payload).map(|said| format!("{lambda} answered {said}")).map_err(|why| {
        Error::new(Exit::NotVerified, format!("`/ping` of the function `{lambda}`: {why}"))
            .hint("every app on AWS must answer `/ping`, or Mattermost refuses to install it; `mainstay apps call BUNDLE /ping` tries it here")
    })
}

/// What an answer to `/ping` says, or what is wrong with it.
fn judge(function_error: Option<&str>, payload: &[u8]) -> Result<String, String> {
    let shown = finding::one_line(&String::from_utf8_lossy(payload), 300);
    if let Some(error) = function_error {
        return Err(format!("the function failed ({error}): {shown}"));
    }
    let answer: Value =
        serde_json::from_slice(payload).map_err(|_| format!("the answer is no JSON: {shown}"))?;
    match answer["statusCode"].as_i64() {
        Some(200) => {}
        Some(status) => return Err(format!("status {status}: {shown}")),
        None => return Err(format!("the answer has no `statusCode`: {shown}")),
    }
    let body = answer["body"].as_str().unwrap_or_default();
    let body = if answer["isBase64Encoded"] == true {
        let engine = base64::engine::general_purpose::STANDARD;
        engine
            .decode(body)
            .map_err(|_| format!("`isBase64Encoded` is true, but `body` is no base64: {shown}"))?
    } else {
        body.as_bytes().to_vec()
    };
    let call: Value = serde_json::from_slice(&body).map_err(|_| format!("its body is no JSON: {shown}"))?;
    match call["type"].as_str().unwrap_or("ok") {
        "" | "ok" => Ok(call["text"].as_str().unwrap_or("ok").to_owned()),
        other => Err(format!("the app says `{other}`: {shown}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_when_mattermost_would_take_it() {
        let pong = json!({ "statusCode": 200, "body": "{\"type\":\"ok\",\"text\":\"PONG\"}" }).to_string();
        assert_eq!(judge(None, pong.as_bytes()), Ok("PONG".into()));
        let encoded = json!({ "statusCode": 200, "isBase64Encoded": true, "body": "e30=" }).to_string();
        assert_eq!(judge(None, encoded.as_bytes()), Ok("ok".into()));
        for (error, payload, why) in [
            (Some("Unhandled"), "{\"errorMessage\":\"boom\"}", "the function failed (Unhandled)"),
            (None, "null", "no `statusCode`"),
            (None, "{\"statusCode\":404,\"body\":\"\"}", "status 404"),
            (None, "{\"statusCode\":200,\"body\":\"hello\"}", "its body is no JSON"),
            (None, "{\"statusCode\":200,\"body\":\"{\\\"type\\\":\\\"error\\\"}\"}", "the app says `error`"),
        ] {
            let said = judge(error, payload.as_bytes()).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn the_longest_path_answers_and_of_equals_the_first() {
        let function =
            |name: &str, path: &str| Function { name: name.into(), path: path.into(), ..Function::default() };
        let functions = [function("main", "/"), function("a", "/ping"), function("b", "/ping")];
        assert_eq!(route(&functions, "/ping").unwrap().name, "a");
        assert_eq!(route(&functions, "/x").unwrap().name, "main");
        assert!(route(&functions[1..], "/x").is_none());
    }
}
