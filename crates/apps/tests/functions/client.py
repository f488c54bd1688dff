"""Calls are answered by AWS's client for Python, which the package brings."""

import json

calls = 0


def handler(event, context):
    global calls
    calls += 1
    if event["path"] == "/error":
        raise TypeError("not a thing")
    body = {
        "type": "ok",
        "text": "from Python",
        "sent": json.loads(event["body"]),
        "calls": calls,
        "function": context.function_name,
        "request": context.aws_request_id != "",
        "left": context.get_remaining_time_in_millis(),
    }
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}
