"""A Mattermost app: it answers /ping, /bindings and /send."""

import json

FORM = {
    "title": "Say hello",
    "icon": "icon.png",
    "fields": [{"type": "text", "name": "message", "label": "message"}],
    "submit": {"path": "/send"},
}

BINDINGS = [
    {"location": "/channel_header", "bindings": [
        {"location": "send-button", "icon": "icon.png", "label": "Say hello", "form": FORM},
    ]},
    {"location": "/command", "bindings": [
        {"icon": "icon.png", "label": "{{id}}", "description": "Says hello", "hint": "[send]", "bindings": [
            {"location": "send", "label": "send", "form": FORM},
        ]},
    ]},
]


def answer(path, call):
    """What the app says to a call."""
    if path == "/ping":
        return {"type": "ok", "text": "PONG"}
    if path == "/bindings":
        return {"type": "ok", "data": BINDINGS}
    if path == "/send":
        message = (call.get("values") or {}).get("message")
        return {"type": "ok", "text": f"You said: {message}" if message else "Hello, world"}
    return {"type": "error", "text": f"There is nothing at {path}"}


def handler(event, context):
    """Lambda calls this with each event."""
    call = json.loads(event.get("body") or "{}")
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(answer(event.get("path", ""), call)),
    }
