"""The partners' webhook endpoint: verifies each call with PyPI `standardwebhooks` and keeps what came."""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError


class Listener(ThreadingHTTPServer):
    """The server under test is killed, so its connections break: no news."""

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Sink:
    """One HTTP server for all partners; a partner's path is `/NAME`."""

    def __init__(self):
        self.received = []
        self.unverified = []
        self._secrets = {}
        self._refuse_once = {}
        self._lock = threading.Lock()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status, answer = sink.take(self.path.strip("/"), dict(self.headers), body)
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._http = Listener(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]

    def __enter__(self):
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()

    def secret(self, name, secret):
        self._secrets[name] = secret

    def refuse_once(self, name, kind):
        """The first try of the next event of this kind is answered 503."""
        self._refuse_once[name, kind] = None

    def take(self, name, headers, body):
        with self._lock:
            if name not in self._secrets:
                # The challenge may come before the secret, which is in the answer to the call that set the endpoint.
                event = json.loads(body)
                if event["type"] == "webhook.verification":
                    return 200, event["data"]["challenge"].encode()
            try:
                event = Webhook(self._secrets[name]).verify(body, headers)
            except (KeyError, ValueError, WebhookVerificationError) as error:
                self.unverified.append(f"{name}: {error!r}: {body[:200]!r}")
                return 400, b""
            lower = {key.lower(): value for key, value in headers.items()}
            if lower["webhook-id"] != event["id"]:
                self.unverified.append(f"{name}: webhook-id {lower['webhook-id']} is not the body's {event['id']}")
            if event["type"] == "webhook.verification":
                return 200, event["data"]["challenge"].encode()
            key = name, event["type"]
            if self._refuse_once.get(key, False) is None:
                self._refuse_once[key] = event["id"]
                return 503, b""
            self.received.append((name, event))
            return 204, b""

    def refused(self, name, kind):
        """The id of the event whose first try was refused."""
        return self._refuse_once.get((name, kind))

    def events(self, name):
        """What came for a partner, each id once, in the order of first arrival."""
        with self._lock:
            seen = {}
            for to, event in self.received:
                if to == name:
                    seen.setdefault(event["id"], event)
            return list(seen.values())

    def find(self, name, kind, session_id=None):
        for event in self.events(name):
            if event["type"] == kind and session_id in (None, event["data"].get("session_id")):
                return event
        return None


def shown(events):
    """Events in short, for a message."""
    return [json.dumps([e["type"], e.get("order_key"), e.get("sequence")]) for e in events]


def until(what, condition, seconds=20.0):
    """Waits for something that the server does in its own time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")
