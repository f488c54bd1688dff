"""A function that does whatever its caller asks, also what a function must not do."""
import base64
import http.client
import json
import os
import subprocess
import sys
import threading
import time

CALLS = 0
KEPT = []
HOARD = "import time; hoard = [b'x' * (8 << 20) for _ in range(10)]; time.sleep(60)"
STARTED = time.time()


def answer(body, status=200, **more):
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": body, **more}


def api():
    return http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])


def handler(event, context):
    global CALLS
    CALLS += 1
    path, call = event["path"], json.loads(event["body"] or "{}")
    if path == "/ping":
        return answer(json.dumps({"type": "ok", "text": "PONG", "pid": os.getpid(), "calls": CALLS}))
    if path == "/who":
        files = {}
        for name in call["read"]:
            try:
                with open(name) as file:
                    files[name] = file.read()
            except OSError as error:
                files[name] = type(error).__name__
        left = context.get_remaining_time_in_millis()
        return answer(json.dumps({"uid": os.getuid(), "files": files, "cwd": os.getcwd(), "left": left, "path": os.environ["PATH"],
                                  "secret": os.environ.get("SECRET"), "name": context.function_name}))
    if path == "/sleep":
        time.sleep(call["seconds"])
        return answer(json.dumps({"type": "ok", "pid": os.getpid()}))
    if path == "/base64":
        return answer(base64.b64encode(b'{"type":"ok"}').decode(), isBase64Encoded=True)
    if path == "/status":
        return answer("no such thing", call["status"])
    if path == "/error":
        raise KeyError("acting_user")
    if path == "/text":
        return "only a text"
    if path == "/large":
        return answer("x" * (7 << 20))
    if path == "/endless":
        connection = api()
        connection.putrequest("POST", f"/2018-06-01/runtime/invocation/{context.aws_request_id}/response")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        block = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
        for _ in range(2 << 10):
            connection.send(block)
        return answer("{}")
    if path == "/crash":
        os._exit(7)
    if path == "/fork":
        subprocess.Popen(["/bin/sleep", "300"], start_new_session=True)
        subprocess.Popen(["/bin/sleep", "300"])
        time.sleep(300)
    if path == "/print":
        line = "y" * 1000
        until = time.time() + 300
        while time.time() < until:
            print(line)
    if path == "/memory":
        hoard = []
        for _ in range(60):
            hoard.append(b"x" * (8 << 20))
            time.sleep(0.02)
        return answer("{}")
    if path == "/family":
        for _ in range(8):
            subprocess.Popen([sys.executable, "-c", HOARD], start_new_session=True)
        time.sleep(60)
    if path == "/swarm":
        for _ in range(call["count"]):
            subprocess.Popen(["/bin/sleep", "60"])
        time.sleep(60)
    if path == "/files":
        for index in range(40):
            with open(os.path.join(os.environ["TMPDIR"], f"file{index}"), "wb") as file:
                file.write(b"x" * (16 << 20))
        time.sleep(60)
    if path == "/later":
        hoards = {
            "memory": lambda: KEPT.append(b"x" * (400 << 20)),
            "family": lambda: [KEPT.append(subprocess.Popen([sys.executable, "-c", HOARD], start_new_session=True)) for _ in range(5)],
        }
        threading.Timer(0.2, hoards[call["what"]]).start()
        return answer(json.dumps({"type": "ok", "pid": os.getpid()}))
    if path == "/memfd":
        for _ in range(10):
            kept = os.memfd_create("kept")
            KEPT.append(kept)
            for _ in range(8):
                os.write(kept, b"x" * (8 << 20))
        time.sleep(60)
    if path == "/deleted":
        for index in range(12):
            name = os.path.join(os.environ["TMPDIR"], f"file{index}")
            file = open(name, "wb")
            os.unlink(name)
            KEPT.append(file)
            for _ in range(4):
                file.write(b"x" * (16 << 20))
                file.flush()
        time.sleep(60)
    if path == "/wrong-id":
        connection = api()
        connection.request("POST", "/2018-06-01/runtime/invocation/not-this-one/response", b"{}")
        refused = connection.getresponse()
        return answer(json.dumps({"status": refused.status, "said": refused.read().decode()}))
    if path == "/say":
        print("one line")
        print("another", file=sys.stderr)
        return answer("{}")
    return answer("not here", 404)
