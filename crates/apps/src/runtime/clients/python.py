"""Runs a Python function for Mainstay: with AWS's own client (awslambdaric) where it can be imported, otherwise with the loop below."""
import importlib
import json
import os
import sys
import time
import traceback

ROOT = os.environ["LAMBDA_TASK_ROOT"]
API = os.environ["AWS_LAMBDA_RUNTIME_API"]
HANDLER = sys.argv[1]


class Context:
    def __init__(self, headers):
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers.get("Lambda-Runtime-Invoked-Function-Arn", "")
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self):
        return max(self._deadline - int(time.time() * 1000), 0)


def failure(error):
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "stackTrace": traceback.format_exception(type(error), error, error.__traceback__),
    }


def loop():
    import http.client

    connection = http.client.HTTPConnection(API)

    def post(path, answer, headers=None):
        body = json.dumps(answer).encode()
        connection.request("POST", "/2018-06-01/runtime/" + path, body, headers or {})
        connection.getresponse().read()

    try:
        module, name = HANDLER.rsplit(".", 1)
        function = getattr(importlib.import_module(module.replace("/", ".")), name)
    except BaseException as error:
        traceback.print_exc()
        post("init/error", failure(error), {"Lambda-Runtime-Function-Error-Type": "Runtime.ImportModuleError"})
        sys.exit(1)
    while True:
        connection.request("GET", "/2018-06-01/runtime/invocation/next")
        answer = connection.getresponse()
        event = json.loads(answer.read())
        context = Context(answer.headers)
        path = "invocation/" + context.aws_request_id
        try:
            result = function(event, context)
            json.dumps(result)
        except Exception as error:
            traceback.print_exc()
            post(path + "/error", failure(error))
        else:
            post(path + "/response", result)
        sys.stdout.flush()


sys.path.insert(0, ROOT)
try:
    from awslambdaric import __main__ as aws
except ImportError:
    aws = None
if aws:
    aws.main(["awslambdaric", HANDLER])
else:
    loop()
