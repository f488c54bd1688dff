//! A Mattermost app: it answers `/ping`, `/bindings` and `/send`.

mod runtime;

use serde_json::{json, Value};

/// What the app says to a call.
fn answer(path: &str, call: &Value) -> Value {
    match path {
        "/ping" => json!({"type": "ok", "text": "PONG"}),
        "/bindings" => json!({"type": "ok", "data": bindings()}),
        "/send" => match call["values"]["message"].as_str() {
            Some(message) if !message.is_empty() => {
                json!({"type": "ok", "text": format!("You said: {message}")})
            }
            _ => json!({"type": "ok", "text": "Hello, world"}),
        },
        other => json!({"type": "error", "text": format!("There is nothing at {other}")}),
    }
}

fn bindings() -> Value {
    let form = json!({
        "title": "Say hello",
        "icon": "icon.png",
        "fields": [{"type": "text", "name": "message", "label": "message"}],
        "submit": {"path": "/send"},
    });
    json!([
        {"location": "/channel_header", "bindings": [
            {"location": "send-button", "icon": "icon.png", "label": "Say hello", "form": form},
        ]},
        {"location": "/command", "bindings": [
            {"icon": "icon.png", "label": "{{id}}", "description": "Says hello", "hint": "[send]", "bindings": [
                {"location": "send", "label": "send", "form": form},
            ]},
        ]},
    ])
}

fn main() -> std::io::Result<()> {
    runtime::serve(answer)
}
