//! What a function on AWS Lambda is sent, and what it answers: the part of API Gateway's events that Mattermost uses.

use std::collections::BTreeMap;

use base64::Engine as _;
use finding::{Exit, one_line};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Error;

/// How much of a function's words a message shows, in characters.
const SHOWN: usize = 300;

/// An event: a call, as a function gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// The path of the call.
    pub path: String,
    /// POST: calls have no other.
    #[serde(rename = "httpMethod")]
    pub method: String,
    /// That the body is JSON.
    pub headers: BTreeMap<String, String>,
    /// The query; calls have none.
    #[serde(rename = "rawQuery", skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// The call itself, JSON in a text.
    pub body: String,
}

impl Request {
    /// A call of `path` with this body.
    pub fn call(path: &str, body: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            method: "POST".to_owned(),
            headers: BTreeMap::from([("Content-Type".to_owned(), "application/json".to_owned())]),
            query: String::new(),
            body: body.into(),
        }
    }

    /// The call that Mattermost makes to see whether an app answers.
    pub fn ping() -> Self {
        Self::call("/ping", ping_body())
    }

    /// As bytes.
    pub fn to_json(&self) -> Vec<u8> {
        // Texts and maps of texts always serialize.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The body of `/ping`: a call with nothing in its context.
pub fn ping_body() -> String {
    call_body("/ping", None)
}

/// The body of a call of `path` with these values. Mattermost always sends the four empty texts and `oauth2`.
pub fn call_body(path: &str, values: Option<&Value>) -> String {
    // In Mattermost's order.
    #[derive(Serialize)]
    struct Body<'a> {
        path: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        values: Option<&'a Value>,
        context: Context,
    }
    #[derive(Serialize, Default)]
    struct Context {
        app_id: &'static str,
        mattermost_site_url: &'static str,
        app_path: &'static str,
        bot_user_id: &'static str,
        oauth2: BTreeMap<String, Value>,
    }
    serde_json::to_string(&Body { path, values, context: Context::default() }).unwrap_or_default()
}

/// What a function answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Its status, as in HTTP.
    pub status: u16,
    /// Its headers, those with several values too.
    pub headers: Vec<(String, String)>,
    /// Its body, decoded where it was base64.
    pub body: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: Option<f64>,
    headers: Option<BTreeMap<String, Value>>,
    multi_value_headers: Option<BTreeMap<String, Vec<Value>>>,
    is_base64_encoded: Option<bool>,
    body: Option<String>,
}

impl Response {
    /// Reads what a function answered. `function_error` is what AWS says beside it (`X-Amz-Function-Error`): `Handled` or `Unhandled`.
    ///
    /// # Errors
    /// The function failed, or its answer has another form.
    pub fn decode(function_error: Option<&str>, payload: &[u8]) -> Result<Self, Error> {
        if let Some(kind) = function_error {
            return Err(failed(kind, payload));
        }
        let answer: Answer = serde_json::from_slice(payload).map_err(|error| {
            let why = one_line(&error.to_string(), SHOWN);
            malformed(payload, &format!("it is not an object with statusCode and body: {why}"))
        })?;
        let status = answer.status_code.ok_or_else(|| malformed(payload, "it has no statusCode"))?;
        if status.fract() != 0.0 || !(100.0..=999.0).contains(&status) {
            return Err(malformed(payload, "its statusCode is no status of HTTP"));
        }
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let mut headers: Vec<(String, String)> =
            answer.headers.iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect();
        for (name, values) in answer.multi_value_headers.iter().flatten() {
            headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            headers.extend(values.iter().map(|value| (name.clone(), text(value))));
        }
        let body = answer.body.unwrap_or_default();
        let body = if answer.is_base64_encoded == Some(true) {
            let engine = base64::engine::general_purpose::STANDARD;
            engine
                .decode(&body)
                .map_err(|_| malformed(payload, "its body is not base64, as isBase64Encoded says"))?
        } else {
            body.into_bytes()
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 100 and 999"
        )]
        Ok(Self { status: status as u16, headers, body })
    }

    /// The answer to a call. Mattermost takes only the status 200, and only JSON.
    ///
    /// # Errors
    /// It has another status, or is no JSON.
    pub fn into_call_response(self) -> Result<Value, Error> {
        if self.status != 200 {
            let body = one_line(&String::from_utf8_lossy(&self.body), SHOWN);
            return Err(Error::new(
                Exit::NotVerified,
                format!("the function answered with status {}: {body}", self.status),
            )
            .hint("Mattermost takes an answer only with status 200; errors belong into the body: {\"type\": \"error\", \"text\": ...}"));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let body = one_line(&String::from_utf8_lossy(&self.body), SHOWN);
            Error::new(Exit::NotVerified, format!("the function's answer is not JSON: {error}: {body}"))
        })
    }

    /// As the JSON that a function would answer.
    pub fn to_json(&self) -> Value {
        let headers: BTreeMap<&String, &String> =
            self.headers.iter().map(|(name, value)| (name, value)).collect();
        match std::str::from_utf8(&self.body) {
            Ok(text) => {
                json!({"statusCode": self.status, "headers": headers, "isBase64Encoded": false, "body": text})
            }
            Err(_) => {
                let text = base64::engine::general_purpose::STANDARD.encode(&self.body);
                json!({"statusCode": self.status, "headers": headers, "isBase64Encoded": true, "body": text})
            }
        }
    }
}

/// What Lambda says of a function that failed.
fn failed(kind: &str, payload: &[u8]) -> Error {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Failure {
        error_type: Option<String>,
        error_message: Option<String>,
    }
    let failure: Failure =
        serde_json::from_slice(payload).unwrap_or(Failure { error_type: None, error_message: None });
    let message = failure
        .error_message
        .unwrap_or_else(|| String::from_utf8_lossy(payload.get(..SHOWN * 4).unwrap_or(payload)).into_owned());
    let class = failure.error_type.map_or_else(String::new, |class| format!("{}: ", one_line(&class, 80)));
    let what = format!("the function failed: {class}{}", one_line(&message, SHOWN));
    let hint = match one_line(kind, 20).as_str() {
        "Unhandled" => "it ended before it answered: look at its log",
        _ => "it answered with an error: look at its log",
    };
    Error::new(Exit::NotVerified, what).hint(hint)
}

fn malformed(payload: &[u8], why: &str) -> Error {
    let shown = one_line(&String::from_utf8_lossy(payload.get(..SHOWN * 4).unwrap_or(payload)), SHOWN);
    Error::new(Exit::NotVerified, format!("the function's answer cannot be used: {why}: {shown}"))
        .hint("a function answers {\"statusCode\": 200, \"headers\": {...}, \"body\": \"<JSON as a text>\"}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_is_the_event_that_mattermost_sends() {
        let expected = r#"{"path":"/ping","httpMethod":"POST","headers":{"Content-Type":"application/json"},"body":"{\"path\":\"/ping\",\"context\":{\"app_id\":\"\",\"mattermost_site_url\":\"\",\"app_path\":\"\",\"bot_user_id\":\"\",\"oauth2\":{}}}"}"#;
        assert_eq!(String::from_utf8(Request::ping().to_json()).unwrap(), expected);
        let send = Request { query: "a=1".to_owned(), ..Request::call("/send", "{}") };
        let event: Value = serde_json::from_slice(&send.to_json()).unwrap();
        assert_eq!((&event["rawQuery"], &event["body"]), (&json!("a=1"), &json!("{}")));
    }

    fn decoded(payload: &str) -> Result<Response, String> {
        Response::decode(None, payload.as_bytes()).map_err(|error| error.what)
    }

    #[test]
    fn answers_are_decoded() {
        let good = r#"{"statusCode":200,"headers":{"Content-Type":"application/json"},"body":"{\"type\":\"ok\",\"text\":\"PONG\"}"}"#;
        let response = decoded(good).unwrap();
        assert_eq!(response.headers, [("Content-Type".to_owned(), "application/json".to_owned())]);
        assert_eq!(response.into_call_response().unwrap(), json!({"type": "ok", "text": "PONG"}));

        let base64 = r#"{"statusCode":200,"isBase64Encoded":true,"body":"eyJhIjoxfQ=="}"#;
        assert_eq!(decoded(base64).unwrap().into_call_response().unwrap(), json!({"a": 1}));

        let many = r#"{"statusCode":200.0,"headers":{"a":"1","B":2},"multiValueHeaders":{"A":["x","y"]},"body":null}"#;
        let response = decoded(many).unwrap();
        let pairs =
            [("B", "2"), ("A", "x"), ("A", "y")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!((response.headers, response.body), (pairs.to_vec(), Vec::new()));
    }

    #[test]
    fn what_is_no_answer_is_said() {
        for (payload, why) in [
            ("{\"body\":\"x\"}", "it has no statusCode"),
            ("{\"statusCode\":0}", "its statusCode is no status"),
            ("{\"statusCode\":200.5}", "its statusCode is no status"),
            ("\"text\"", "it is not an object"),
            ("", "it is not an object"),
            ("{\"statusCode\":200,\"isBase64Encoded\":true,\"body\":\"%\"}", "its body is not base64"),
        ] {
            assert!(decoded(payload).unwrap_err().contains(why), "{payload}");
        }
        let missing = decoded(r#"{"statusCode":404,"body":"no such path"}"#).unwrap();
        let error = missing.into_call_response().unwrap_err();
        assert_eq!(error.what, "the function answered with status 404: no such path");
        let text = decoded(r#"{"statusCode":200,"body":"hello"}"#).unwrap();
        assert!(text.into_call_response().unwrap_err().what.contains("is not JSON"));
    }

    #[test]
    fn a_function_that_failed_is_said_to_have_failed() {
        let payload =
            br#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 1 Error: exit status 1"}"#;
        let error = Response::decode(Some("Unhandled"), payload).unwrap_err();
        assert_eq!(error.what, "the function failed: Runtime.ExitError: RequestId: 1 Error: exit status 1");
        // What looks like an answer is none when AWS says that the function failed.
        assert!(Response::decode(Some("Handled"), br#"{"statusCode":200,"body":"{}"}"#).is_err());
        assert!(Response::decode(Some("Unhandled"), &[0xff, 0xfe]).is_err());
    }

    #[test]
    fn an_answer_survives_its_own_json() {
        for body in [b"{}".to_vec(), vec![0, 255]] {
            let response = Response { status: 200, headers: vec![("A".into(), "b".into())], body };
            let json = serde_json::to_vec(&response.to_json()).unwrap();
            assert_eq!(Response::decode(None, &json).unwrap(), response);
        }
    }
}
