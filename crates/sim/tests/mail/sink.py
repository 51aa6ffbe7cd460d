"""An SMTP server that tests send to: it says what it was given, one JSON object a line.

    sink.py PORT [CERTIFICATE KEY PASSWORD]

PORT 0 takes a free one. With a certificate it takes mail over STARTTLS from the user `pager` alone.
It refuses addresses that begin with `refused`, and never answers for those that begin with `held`.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def say(**event):
    print(json.dumps(event), flush=True)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"):
            return "550 5.1.1 there is no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        say(
            event="mail",
            sender=envelope.mail_from,
            to=envelope.rcpt_tos,
            tls=session.ssl is not None,
            data=envelope.content.decode("utf-8"),
        )
        if any(address.startswith("held") for address in envelope.rcpt_tos):
            await asyncio.Event().wait()
        return "250 OK"


def settings(words):
    if not words:
        return {}
    certificate, key, password = words
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def authenticate(server, session, envelope, mechanism, data):
        good = data.login == b"pager" and data.password == password.encode()
        return AuthResult(success=good, handled=good)

    return {
        "tls_context": context,
        "require_starttls": True,
        "authenticator": authenticate,
        "auth_required": True,
    }


async def main():
    port, *words = sys.argv[1:]
    extra = settings(words)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Handler(), **extra), "127.0.0.1", int(port))
    say(event="ready", port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(main())
