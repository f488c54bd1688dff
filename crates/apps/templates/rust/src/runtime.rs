//! Asks Lambda for events and answers them. Lambda's interface is plain HTTP on this machine; AWS's crate `lambda_runtime` does the same
//! with more comfort and more dependencies.

use std::io::{BufRead, BufReader, Error, Read, Write};
use std::net::TcpStream;

use serde_json::{json, Value};

/// Serves until Lambda ends the process.
pub fn serve(answer: fn(&str, &Value) -> Value) -> std::io::Result<()> {
    let host = std::env::var("AWS_LAMBDA_RUNTIME_API")
        .map_err(|_| Error::other("AWS_LAMBDA_RUNTIME_API is not set: this runs on Lambda"))?;
    let base = "/2018-06-01/runtime/invocation/";
    loop {
        let (id, event) = exchange(&host, "GET", &format!("{base}next"), "")?;
        let id = id.ok_or_else(|| Error::other("Lambda gave no event"))?;
        let event: Value = serde_json::from_slice(&event).unwrap_or_default();
        let path = event["path"].as_str().unwrap_or_default();
        let body = event["body"].as_str().filter(|body| !body.is_empty()).unwrap_or("{}");
        let said = match serde_json::from_str(body) {
            Ok(call) => answer(path, &call),
            Err(_) => json!({"type": "error", "text": "The call is not JSON"}),
        };
        let response = json!({
            "statusCode": 200,
            "headers": {"Content-Type": "application/json"},
            "body": said.to_string(),
        });
        exchange(&host, "POST", &format!("{base}{id}/response"), &response.to_string())?;
    }
}

/// Sends a request; gives the event's id and the body of the answer.
fn exchange(host: &str, method: &str, path: &str, body: &str) -> std::io::Result<(Option<String>, Vec<u8>)> {
    let mut stream = TcpStream::connect(host)?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut reader = BufReader::new(stream);
    let (mut id, mut length, mut chunked) = (None, None, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "lambda-runtime-aws-request-id" => id = Some(value.trim().to_owned()),
                "content-length" => length = value.trim().parse::<u64>().ok(),
                "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
                _ => {}
            }
        }
    }
    let mut body = Vec::new();
    if chunked {
        read_chunks(&mut reader, &mut body)?;
    } else if let Some(length) = length {
        reader.take(length).read_to_end(&mut body)?;
    } else {
        reader.read_to_end(&mut body)?;
    }
    Ok((id, body))
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> std::io::Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16)
            .map_err(|_| Error::other("a chunk has no length"))?;
        if length == 0 {
            return Ok(());
        }
        reader.by_ref().take(length).read_to_end(body)?;
        reader.read_line(&mut line)?;
    }
}
