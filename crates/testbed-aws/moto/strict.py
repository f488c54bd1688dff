"""moto, with the checks of IAM that AWS makes and moto 5.2.5 does not make, or makes wrongly.

Each change names what moto does. The first argument is a file: a line of JSON for each check is added to it. The others are moto's own.
"""

import json
import re
import sys
from html import unescape
from urllib.parse import unquote

from moto.awslambda.responses import LambdaResponse
from moto.core.exceptions import JsonRESTError, _RESTError
from moto.core.responses import BaseResponse
from moto.iam import access_control
from moto.iam.responses import IamResponse
from moto.s3 import responses as s3
from moto.server import main

LOG = open(sys.argv.pop(1), "a", buffering=1)
Request = access_control.IAMRequestBase


# moto signs something else than the body: of a form its own encoding, and of a call that has neither body, form nor query its headers
# (`data=self._body or self._data`, and `_data` falls back to the headers). So it refuses the signature of every ListFunctions,
# GetFunction, DeleteFunction and invocation without a payload, whoever made it, and of forms that Python would encode otherwise.
set_up = BaseResponse.setup_class
create_aws_request = Request._create_aws_request


def with_its_bytes(self, request, *args, **named):
    sent = request.get_data(cache=True)
    set_up(self, request, *args, **named)
    if not self.raw_body:
        self.raw_body = sent


def with_its_body_alone(self):
    kept, self._data = self._data, b""
    try:
        return create_aws_request(self)
    finally:
        self._data = kept


BaseResponse.setup_class = with_its_bytes
Request._create_aws_request = with_its_body_alone


# moto checks the one action that a call is named after. AWS also looks whether the caller may give tags to what it makes, pass the role on
# to Lambda, read the code that it tells Lambda to take from S3, and read what it copies.
TAGGED = {
    "iam:CreateUser": "iam:TagUser",
    "iam:CreateRole": "iam:TagRole",
    "iam:CreatePolicy": "iam:TagPolicy",
    "lambda:CreateFunction": "lambda:TagResource",
}
check_action_permitted = Request.check_action_permitted


def permitted(self, resource):
    # Its name in policies differs from the call's.
    called = {"lambda:Invoke": "lambda:InvokeFunction"}.get(self._action, self._action)
    check(self, called, resource)
    if called in ("lambda:CreateFunction", "lambda:UpdateFunctionConfiguration", "lambda:UpdateFunctionCode"):
        body = json.loads(self._body or b"{}")
        if body.get("Tags"):
            check(self, TAGGED[called], resource)
        if "Role" in body:
            check(self, "iam:PassRole", body["Role"])
        code = body.get("Code", body)
        if "S3Key" in code:
            check(self, "s3:GetObject", f"arn:aws:s3:::{code['S3Bucket']}/{code['S3Key']}")
    elif called in TAGGED and any(name.startswith("Tags.") for name in self._data):
        check(self, TAGGED[called], resource)
    source = self._headers.get("x-amz-copy-source")
    if called == "s3:PutObject" and source:
        check(self, "s3:GetObject", "arn:aws:s3:::" + unquote(source).lstrip("/"))


def check(self, action, resource):
    self._action = action
    self.resource = resource
    line = {"user": self._access_key.arn.rsplit("/", 1)[-1], "action": action, "resource": resource, "allowed": True}
    try:
        check_action_permitted(self, resource)
    except Exception:
        line["allowed"] = False
        raise
    finally:
        print(json.dumps(line), file=LOG)


Request.check_action_permitted = permitted


# moto does not say which resource was refused, answers a call of Lambda in XML, and one of IAM in the form of EC2.
def denied(self):
    user, action = self._access_key.arn, self._action
    resource = self.resource
    why = f"because no identity-based policy allows the {action} action"
    text = f"User: {user} is not authorized to perform: {action} on resource: {resource} {why}"
    if self._service == "lambda":
        error = JsonRESTError("AccessDeniedException", text)
    else:
        error = _RESTError("AccessDenied", text)
        error.description = error.description.replace("<Errors>", "").replace("</Errors>", "")
    error.code = 403
    raise error


access_control.IAMRequest._raise_access_denied = denied


# moto takes `*` for the resource of every call of Lambda, and of all calls of IAM but those for roles: a statement for one policy
# or one function never applies.
def lambda_resource(self):
    account, region = self.current_account, self.region
    path = unquote(self.path)
    tagged = re.search(r"/tags/(arn:.*)$", path)
    named = re.search(r"/functions/([^/]+)", path)
    name = named.group(1) if named else None
    if tagged:
        return tagged.group(1)
    if not name and self.method == "POST" and path.rstrip("/").endswith("/functions"):
        name = json.loads(self.body)["FunctionName"]
    return f"arn:aws:lambda:{region}:{account}:function:{name}" if name else "*"


def iam_resource(self):
    value = lambda name: (self.data.get(name) or [None])[0]
    for kind, name in (("role", "RoleName"), ("group", "GroupName"), ("user", "UserName")):
        if value(name):
            return f"arn:aws:iam::{self.current_account}:{kind}/{value(name)}"
    if value("AccessKeyId"):
        for user in self.backend.users.values():
            if any(key.access_key_id == value("AccessKeyId") for key in user.access_keys):
                return f"arn:aws:iam::{self.current_account}:user/{user.name}"
    if value("PolicyName"):
        return f"arn:aws:iam::{self.current_account}:policy/{value('PolicyName')}"
    return value("PolicyArn") or "*"


LambdaResponse._determine_resource = lambda_resource
IamResponse._determine_resource = iam_resource


# moto names these calls of S3 after themselves; AWS's actions have other names.
BUCKET = s3.ACTION_MAP["BUCKET"]
BUCKET["HEAD"]["DEFAULT"] = "ListBucket"
BUCKET["GET"]["publicAccessBlock"] = "GetBucketPublicAccessBlock"
BUCKET["PUT"]["publicAccessBlock"] = "PutBucketPublicAccessBlock"

# moto asks whether the caller may delete the bucket's name, where AWS asks for each object.
authorize_s3 = s3.S3Response._authenticate_and_authorize_s3_action


def each_object(self, bucket_name=None, key_name=None):
    if key_name is None and self.data.get("Action") == "DeleteObject":
        for key in re.findall(r"<Key>(.*?)</Key>", self.body if isinstance(self.body, str) else self.body.decode()):
            authorize_s3(self, bucket_name, unescape(key))
    else:
        authorize_s3(self, bucket_name=bucket_name, key_name=key_name)


s3.S3Response._authenticate_and_authorize_s3_action = each_object

main(sys.argv[1:])
