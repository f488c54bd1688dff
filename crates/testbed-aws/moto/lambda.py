"""Runs a function of Python as Lambda does: AWS's own client, under the least of a Runtime API. It shares nothing with Mainstay's.

    lambda.py CODE_DIRECTORY HANDLER < EVENTS

Each line of EVENTS is the event of a call; for each, a line is printed: whether the function failed, and its payload.
"""

import http.server
import json
import os
import queue
import subprocess
import sys
import threading
import time

code, handler = sys.argv[1:]
events, answers = queue.Queue(), queue.Queue()


class Api(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        number, event = events.get()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", str(number))
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 30_000))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:f")
        # Without these two AWS's client crashes.
        self.send_header("Content-Type", "application/json")
        self.send_header("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000")
        self.send_header("Content-Length", str(len(event)))
        self.end_headers()
        self.wfile.write(event)

    def do_POST(self):
        payload = self.rfile.read(int(self.headers["Content-Length"])).decode()
        answers.put({"failed": self.path.endswith("/error"), "payload": payload})
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
environment = dict(
    os.environ,
    AWS_LAMBDA_RUNTIME_API="127.0.0.1:%d" % server.server_port,
    AWS_LAMBDA_FUNCTION_NAME="f",
    LAMBDA_TASK_ROOT=code,
    PYTHONPATH=code,
)
client = subprocess.Popen([sys.executable, "-m", "awslambdaric", handler], cwd=code, env=environment, stdout=sys.stderr)
try:
    for number, line in enumerate(sys.stdin):
        events.put((number, line.strip().encode()))
        print(json.dumps(answers.get(timeout=30)), flush=True)
finally:
    client.kill()
    client.wait()
