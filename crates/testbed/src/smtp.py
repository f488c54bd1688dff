"""A mail server that keeps nothing: prints its port, then each message taken as a line of JSON.

One argument, JSON: tls ("", "starttls", "implicit"), certificate, key, user, password, mechanisms not offered,
what it requires, SMTPUTF8, what it offers instead of AUTH, replies that refuse a command, and a port other than any free one.
"""
import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

want = json.loads(sys.argv[1])


class Handler:
    def refusal(self, command):
        return want.get("refuse", {}).get(command)

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        if "offers" in want:
            responses = [line for line in responses if "AUTH" not in line]
            responses[-1:-1] = want["offers"]
        return responses

    async def handle_MAIL(self, server, session, envelope, address, options):
        if refusal := self.refusal("MAIL"):
            return refusal
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if refusal := self.refusal("RCPT"):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if refusal := self.refusal("DATA"):
            return refusal
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        print(json.dumps({
            "greeting": session.host_name,
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": [[name, str(value)] for name, value in message.items()],
            "text": content(message, "plain"),
            "html": content(message, "html"),
            "user": (session.auth_data or b"").decode() or None,
            "tls": session.ssl is not None or want["tls"] == "implicit",
            "defects": [str(defect) for defect in message.defects],
        }), flush=True)
        return "250 OK: taken"


def content(message, kind):
    part = message.get_body((kind,))
    return part.get_content() if part else None


def authenticate(server, session, envelope, mechanism, data):
    right = (data.login.decode(), data.password.decode()) == (want["user"], want["password"])
    if right:
        return AuthResult(success=True, auth_data=data.login)
    # Some servers say too much.
    said = f"535 5.7.8 wrong password: {data.password.decode()}"
    return AuthResult(success=False, handled=False, message=said)


def context():
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(want["certificate"], want["key"])
    return made


async def main():
    tls = want["tls"]
    options = {
        "authenticator": authenticate if want.get("user") else None,
        "auth_require_tls": tls == "starttls",
        "auth_required": want.get("auth_required", False),
        "require_starttls": want.get("tls_required", False),
        "auth_exclude_mechanism": want.get("without", []),
        "enable_SMTPUTF8": want.get("utf8", False),
        "tls_context": context() if tls == "starttls" else None,
    }
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Handler(), loop=loop, **options), "127.0.0.1", want.get("port", 0),
        ssl=context() if tls == "implicit" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
