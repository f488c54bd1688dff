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
        values = call.get("values") if isinstance(call, dict) else None
        message = values.get("message") if isinstance(values, dict) else None
        said = isinstance(message, str) and message != ""
        return {"type": "ok", "text": f"You said: {message}" if said else "Hello, world"}
    return {"type": "error", "text": f"There is nothing at {path}"}


def answer_event(event):
    """What the app says to an event."""
    try:
        call = json.loads(event.get("body") or "{}")
    except ValueError:
        return {"type": "error", "text": "The call is not JSON"}
    return answer(event.get("path") or "", call)


def handler(event, context):
    """Lambda calls this with each event."""
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(answer_event(event)),
    }
