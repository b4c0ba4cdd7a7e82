"""A platform that becomes a partner of Chargeline, charges once, and settles, from docs/partner-api.md alone.

Needs Python 3.9 and the package `standardwebhooks`. It applies, waits to be approved, takes its credentials, pulls the catalogue,
starts and stops a session, receives and verifies webhooks, and downloads, compares and confirms its statement. Everything that it is
told is printed as a line of JSON; the last line is `done`.

    python3 native.py settings.json

`settings.json`: {"url": "https://…", "listen": 8088, "application": {as in POST /api/v1/applications}}
"""

import csv
import hashlib
import hmac
import io
import json
import queue
import secrets
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook

PATIENCE_S = 60


def say(what, told):
    print(json.dumps({what: told}, ensure_ascii=False), flush=True)


def send(method, url, data=None, headers=None):
    """Status, headers and body of an answer, whatever the status; again while the server asks us to wait."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with opener.open(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


class Applicant:
    """We, before we have a key."""

    def __init__(self, base):
        self.base, self.token = base, secrets.token_urlsafe(32)

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        status, _, answer = send(method, f"{self.base}/api/v1/applications{path}", data, headers)
        told = json.loads(answer)
        say(f"{method} /applications{path}", told)
        assert status < 300, told
        return told

    def becomes_partner(self, application):
        apply = {"request_id": secrets.token_hex(8), "access_token": self.token, "application": application}
        path = "/" + self.call("POST", "", apply)["application_id"]
        begun = time.monotonic()
        while (stage := self.call("GET", path)["stage"]) != "approved":
            assert stage == "waiting" and time.monotonic() - begun < PATIENCE_S, stage
            time.sleep(0.3)
        return self.call("POST", path + "/credentials", {"request_id": secrets.token_hex(8)})


class Partner:
    """We, with a key."""

    def __init__(self, base, credentials):
        self.base, self.key, self.secret = base, credentials["key_id"], credentials["secret"]

    def raw(self, method, target, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        while True:
            stamp, nonce = str(int(time.time())), secrets.token_urlsafe(18)
            text = "\n".join(["v1", method, target, hashlib.sha256(data).hexdigest(), stamp, nonce])
            signature = "v1=" + hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
            headers = {"X-Chargeline-Key": self.key, "X-Chargeline-Timestamp": stamp, "X-Chargeline-Nonce": nonce,
                       "X-Chargeline-Signature": signature, "Content-Type": "application/json"}
            status, headers, answer = send(method, self.base + target, data or None, headers)
            # 429 and 503 bind nothing: the same request, signed anew.
            if status not in (429, 503):
                assert status < 300, (method, target, status, answer)
                return headers, answer
            time.sleep(int(headers.get("Retry-After", "1")))

    def call(self, method, path, body=None):
        told = json.loads(self.raw(method, "/api/v1" + path, body)[1])
        say(f"{method} {path}", told)
        return told

    def all(self, path):
        """Every item of a list, page by page."""
        cursor = None
        while True:
            page = self.call("GET", path + "?limit=50" + (f"&cursor={cursor}" if cursor else ""))
            yield from page["items"]
            cursor = page.get("next")
            if not cursor:
                return


class Receiver:
    """Our endpoint: verified events, each once, in a queue."""

    def __init__(self, port):
        self.events, self.early, self.seen, self.verifier = queue.Queue(), [], set(), None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = receiver.take(body, self.headers)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def take(self, body, headers):
        if self.verifier is None:
            return 503, b""
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        # Raises, and so never answers 2xx, when the signature is wrong.
        event = self.verifier.verify(body.decode(), {name: headers[name] for name in names})
        if event["type"] == "webhook.verification":
            # Nothing else comes before this has been given back.
            return 200, event["data"]["challenge"].encode()
        if event["id"] not in self.seen:
            self.seen.add(event["id"])
            self.events.put(event)
        return 204, b""

    def wait(self, kind):
        """The next event of this type. Others may come before it: only those of one `order_key` come in order."""
        until = time.monotonic() + PATIENCE_S
        while not any(event["type"] == kind for event in self.early):
            event = self.events.get(timeout=max(0.1, until - time.monotonic()))
            say("webhook", event)
            self.early.append(event)
        found = next(event for event in self.early if event["type"] == kind)
        self.early.remove(found)
        return found["data"]


def free_connector(partner):
    """Where to charge, out of the catalogue."""
    sites = {site["site_id"] for site in partner.all("/sites")}
    for charger in partner.all("/chargers"):
        assert charger["site_id"] in sites
        for connector in charger["connectors"]:
            if charger["online"] and connector["status"] == "Available":
                price = partner.call("GET", f"/sites/{charger['site_id']}/tariff")
                assert price["currency"] == "CNY"
                return charger["charger_id"], connector["connector_id"]
    raise AssertionError("nothing is free")


def charge(partner, receiver):
    charger, connector = free_connector(partner)
    start = {"request_id": secrets.token_hex(8), "charger_id": charger, "connector_id": connector, "user": {"id": "user-7"}}
    session = partner.call("POST", "/sessions", start)["session_id"]
    assert partner.call("POST", "/sessions", start)["session_id"] == session, "said again, it is the same"
    assert receiver.wait("session.started")["session_id"] == session
    partner.call("POST", f"/sessions/{session}/stop", {"request_id": secrets.token_hex(8)})
    assert receiver.wait("session.stop_result")["accepted"]
    ended = receiver.wait("session.ended")
    paid = receiver.wait("order.paid")
    assert paid["order_id"] == ended["session_id"] == session
    return ended["energy_wh"]


def settle(partner, receiver, energy_wh):
    ready = receiver.wait("statement.ready")
    statement = partner.call("GET", f"/statements/{ready['statement_id']}")
    path = f"/statements/{statement['statement_id']}"
    headers, file = partner.raw("GET", f"/api/v1{path}/csv")
    digest = hashlib.sha256(file).hexdigest()
    assert digest == headers["x-content-sha256"] == statement["csv"]["sha256"]
    lines = list(csv.DictReader(io.StringIO(file.decode())))
    assert [int(line["energy_wh"]) for line in lines] == [energy_wh], lines
    confirmed = partner.call("POST", f"{path}/confirm", {"request_id": secrets.token_hex(8)})
    assert confirmed["status"] == "confirmed", confirmed
    receiver.wait("statement.confirmed")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        settings = json.load(file)
    receiver = Receiver(settings["listen"])
    credentials = Applicant(settings["url"]).becomes_partner(settings["application"])
    receiver.verifier = Webhook(credentials["webhook_secret"])
    partner = Partner(settings["url"], credentials)
    # The challenge came while we had no secret yet: now we can answer it, so we ask for another.
    partner.call("POST", "/webhooks/endpoints/default/verify", {"request_id": secrets.token_hex(8)})
    settle(partner, receiver, charge(partner, receiver))
    print("done")


main()
