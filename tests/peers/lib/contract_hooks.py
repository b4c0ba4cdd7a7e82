"""What schemathesis is told about this API: how a call is signed, and the names of things that there are.

Loaded by schemathesis itself (`SCHEMATHESIS_HOOKS`); `contract.py` hands the key and the names over in the environment.
"""

import json
import os
import secrets
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import requests
import schemathesis

sys.path.insert(0, str(Path(__file__).parents[1]))
from lib.http import sign  # noqa: E402

KEY, SECRET = os.environ["CHARGELINE_KEY"], os.environ["CHARGELINE_SECRET"]
APPLICANT = os.environ["CHARGELINE_APPLICANT"]
KNOWN = json.loads(os.environ["CHARGELINE_KNOWN"])


class Signed(requests.auth.AuthBase):
    """Signs the request as it leaves (EM-3), whatever was made up for its headers."""

    def __call__(self, request):
        parts = urlsplit(request.url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        timestamp, nonce = str(int(time.time())), secrets.token_urlsafe(18)
        request.headers["X-Chargeline-Key"] = KEY
        request.headers["X-Chargeline-Timestamp"] = timestamp
        request.headers["X-Chargeline-Nonce"] = nonce
        if parts.path.startswith("/api/v1/applications"):
            # The only calls that no key signs.
            request.headers["Authorization"] = f"Bearer {APPLICANT}"
        request.headers["X-Chargeline-Signature"] = sign(SECRET, request.method, target, body, timestamp, nonce)
        return request


schemathesis.auth.set_from_requests(Signed())


def named(path, name):
    """The name of a thing that there is, for a parameter of a path."""
    return KNOWN.get(f"{path.removeprefix('/api/v1').split('/')[1]}.{name}") or KNOWN.get(name)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes of a well-formed call one that means something. What is wrong on purpose is left as it is."""
    parameters = case.path_parameters or {}
    if parameters.get("key_id") == KEY:
        # Our own key stays what it is, or nothing could be said of the calls after it.
        parameters["key_id"] = KNOWN["key_id"]
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    even = sum(map(ord, "".join(map(str, parameters.values())))) % 2 == 0
    for name in parameters:
        # Every other call is aimed at something that exists: made-up names end at 404 and show little.
        if even and named(case.path, name):
            parameters[name] = named(case.path, name)
    query(case.path, case.query or {})
    if isinstance(case.body, dict):
        body(case.path, case.body)


def query(path, parameters):
    """A cursor is opaque and comes from an answer only; a time range is both ends, alone; statuses are asked for in one way.
    No schema can say any of it."""
    parameters.pop("cursor", None)
    parameters.pop("after", None)
    if path.endswith("/statuses") and "connectors" in parameters:
        parameters.pop("site_id", None)
    if path.endswith("/resolve") and len(parameters.get("code", "")) % 2:
        parameters["code"] = "00123401"
    if "from" in parameters or "to" in parameters:
        parameters.pop("from", None)
        parameters.pop("to", None)


def digits(value):
    """To JSON Schema 100.0 is a whole number; the document says in words that they are written without a fraction."""
    for key, member in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(member, float) and member.is_integer():
            value[key] = int(member)
        elif isinstance(member, (dict, list)):
            digits(member)


def body(path, members):
    """What a schema cannot say of bodies."""
    digits(members)
    if "request_id" in members:
        # Each operation a name of its own, or most would be refused as another's.
        members["request_id"] = secrets.token_hex(16)
    if isinstance(members.get("networks"), list):
        # A network has no host bits; and a list that shuts out the caller is refused.
        members["networks"] = ["127.0.0.0/8", "192.0.2.7"][: len(members["networks"])]
    amount = members.get("amount")
    if isinstance(amount, dict) and "currency" in amount:
        # Not every three letters are a currency, and the bounds of a payment are this server's configuration.
        amount["currency"], amount["minor"] = "CNY", abs(amount["minor"]) % 10_000 + 1
    if "access_token" in members:
        members["access_token"] = secrets.token_urlsafe(32)
    if isinstance(form := members.get("application"), dict):
        # Check digits, an address, one person for each of two things.
        valid = json.loads(os.environ["CHARGELINE_FORM"])
        form.update(valid, networks=[])
        if not form.get("note"):
            form["note"] = "none"
        form["note"] = "".join(filter(str.isprintable, form["note"]))[:1000]
    if "/webhooks/endpoints" in path:
        # One schema serves the choice of events and that of sites, so their bounds are in words; a URL has to pass the address guard.
        if isinstance(members.get("url"), str):
            members["url"] = "http://127.0.0.1:9/hook"
        for choice, valid in (("events", "session.ended"), ("sites", "site-1")):
            if isinstance(members.get(choice), list):
                members[choice] = [valid]
    if path.endswith("/replay"):
        # Exactly one of three choices; ids must be of events that are kept.
        for choice in ("event_ids", "from", "to"):
            members.pop(choice, None)
        members["all_dead"] = True
