//! A function with AWS's client for Rust. The tests run it under our Runtime API; AWS Lambda runs it as `bootstrap` of `provided.al2023`.
#![allow(clippy::print_stderr, reason = "a function's log is what it prints")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

static CALLS: AtomicU32 = AtomicU32::new(0);

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let (event, context) = event.into_parts();
    let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    if event["path"] == "/error" {
        return Err("not a thing".into());
    }
    let sent: Value = serde_json::from_str(event["body"].as_str().unwrap_or("null"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let body = json!({
        "type": "ok",
        "text": "from Rust",
        "sent": sent,
        "calls": calls,
        "function": context.env_config.function_name,
        "request": !context.request_id.is_empty(),
        "left": u128::from(context.deadline).saturating_sub(now) as u64,
    });
    Ok(json!({
        "statusCode": 200,
        "headers": {"Content-Type": "application/json"},
        "body": body.to_string(),
    }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(handle)).await
}
