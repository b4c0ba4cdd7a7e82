"""The operator's and the partner's side of the HTTP interfaces, by the documents alone: docs/operator-api.md and
docs/partner-api.md. Nothing here knows the server's code."""

import hashlib
import hmac
import json
import secrets
import time
import urllib.error
import urllib.request


class Answer:
    """Status, headers and body of an HTTP answer."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.text = body.decode()
        self.json = json.loads(self.text) if self.text.startswith(("{", "[")) else None

    def expect(self, *statuses):
        if self.status not in statuses:
            raise AssertionError(f"HTTP {self.status}, expected {statuses}: {self.text[:500]}")
        return self.json


def send(method, url, headers, body):
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, dict(error.headers), error.read())


def sign(secret, method, target, body, timestamp, nonce):
    """The signature header of a request (EM-3)."""
    text = "\n".join(["v1", method.upper(), target, hashlib.sha256(body).hexdigest(), timestamp, nonce])
    return "v1=" + hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class Operator:
    """An operator with the token that the server made at its first start."""

    def __init__(self, url, token):
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def named(self, name):
        """Another operator, with an account and a token of its own."""
        self.put(f"/operators/{name}", {"name": name, "roles": ["administrator"]})
        made = self.call("POST", f"/operators/{name}/tokens", {"label": "test"}).expect(201)
        return Operator(self._url, made["token"])

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        return send(method, f"{self._url}/ops/v1{path}", self._headers, data)

    def put(self, path, body):
        return self.call("PUT", path, body).expect(200, 201, 204)

    def post(self, path, body=None):
        return self.call("POST", path, body or {}).expect(200, 201, 202)

    def get(self, path):
        return self.call("GET", path).expect(200)


class Partner:
    """A partner platform that signs its calls (EM-3)."""

    def __init__(self, url, key_id, secret):
        self._url = url
        self._key_id = key_id
        self._secret = secret

    def call(self, method, path, body=None, **changed):
        """A call, made again, signed anew, as long as it is told to come later (right after a restart, say)."""
        for _ in range(10):
            answer = self._call(method, path, body, **changed)
            if answer.status not in (429, 503):
                break
            time.sleep(float(answer.headers.get("retry-after", 1)))
        return answer

    def _call(self, method, path, body=None, **changed):
        """A signed call. `changed` replaces parts of what is signed or sent, to be refused: timestamp, nonce, secret."""
        path = f"/api/v1{path}"
        data = b"" if body is None else json.dumps(body).encode()
        timestamp = str(changed.get("timestamp", int(time.time())))
        nonce = changed.get("nonce", secrets.token_urlsafe(18))
        secret = changed.get("secret", self._secret)
        headers = {
            "X-Chargeline-Key": self._key_id,
            "X-Chargeline-Timestamp": timestamp,
            "X-Chargeline-Nonce": nonce,
            "X-Chargeline-Signature": sign(secret, method, path, data, timestamp, nonce),
            "Content-Type": "application/json",
        }
        return send(method, f"{self._url}{path}", headers, data if body is not None else None)

    def post(self, path, body):
        return self.call("POST", path, body)

    def get(self, path):
        return self.call("GET", path).expect(200)
