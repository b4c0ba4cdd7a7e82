"""The served OpenAPI document against the real binary, by schemathesis. Started by `cargo xtask contract`.

Ends with one line that says what was found, and status 1 if anything falls short.
"""

import argparse
import asyncio
import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

from lib.frames import Frames
from lib.http import Operator, Partner, send
from lib.python_charger import PythonCharger
from lib.scenario import now
from lib.server import Server
from lib.sink import Sink

HERE = Path(__file__).parent

# More than any run asks for: what is tested here is the document, not the limits. The product's limits stay on.
LIMITS = "\n".join(
    [f"{kind}_{what} = 100000" for kind in ("read", "write", "events") for what in ("rate", "burst")]
    + ["failures_before_ban = 1000", "applications_per_hour = 10000", "applications_waiting_max = 10000"]
)

# What an applicant tells, as far as no schema can say what is right.
FORM = {
    "company": "Example Charging Ltd.",
    "credit_code": "91110000600037341L",
    "webhook_url": None,
    "contacts": [
        {"role": role, "name": "A", "phone": "0571 8888 0000", "email": f"{role}@example.org"}
        for role in ("business", "technical")
    ],
}

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "unsupported_method",
    "allow_header_conformance",
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, help="the chargeline binary")
    parser.add_argument("--examples", type=int, default=10, help="examples for each call")
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same examples")
    parser.add_argument("--only", help="calls whose path has this")
    parser.add_argument("--keep", action="store_true", help="keep the temporary directory")
    return parser.parse_args()


class World:
    """What the examples meet: a site with a tariff, a charger that answers, a partner with users, sessions and keys."""

    def __init__(self, server, sink):
        self.server, self.sink = server, sink
        self.operator = Operator(server.operator_url, server.token())
        self.password = uuid.uuid4().hex[:20]

    def make(self):
        operator = self.operator
        hours = {"regular_hours": [{"weekday": 1, "period_begin": "08:00", "period_end": "20:00"}]}
        site = {"name": "Site", "time_zone": "Asia/Shanghai", "hours": hours, "facilities": ["CAFE"]}
        operator.put("/sites/site-1", {**site, "position": {"lat": 31.2304, "lon": 121.4737}})
        plug = {"standard": "GBT_DC", "format": "CABLE", "power_type": "DC", "max_voltage": 750, "max_amperage": 250}
        plugs = [{**plug, "number": "00123401"}, plug]
        charger = {"site_id": "site-1", "connectors": plugs, "boot": "Accepted", "auth": "basic"}
        operator.put("/chargers/CP-1", {**charger, "password": self.password})
        slice_ = {"name": "flat", "from": "00:00", "to": "24:00", "electricity": 5000, "service": 5000}
        tariff = {"id": "flat", "currency": "CNY", "time_zone": "Asia/Shanghai", "slices": [slice_]}
        operator.put("/tariffs/flat", tariff)
        operator.post("/tariffs/flat/roll-out", {"version": 1})
        webhook = {"url": f"http://127.0.0.1:{self.sink.port}/contract"}
        partner = {"name": "Contract", "accounts": True, "sites": "all", "webhook": webhook}
        operator.put("/partners/contract", partner)
        self.key = operator.post("/partners/contract/keys")
        spare = operator.post("/partners/contract/keys")
        self.partner = Partner(self.server.partner_url, self.key["key_id"], self.key["secret"])
        self.sink.secret("contract", operator.post("/partners/contract/webhook/secret")["secret"])
        self.known = {"sites.id": "site-1", "chargers.id": "CP-1", "connector_id": 1, "key_id": spare["key_id"], "user_id": "user-1"}

    def fund(self):
        """Money for user-1: two operators agree on it."""
        amount = {"minor": 1000, "currency": "CNY"}
        self.partner.post("/users/user-1/top-ups", {"request_id": "known-account", "amount": amount}).expect(202)
        found = self.operator.get("/accounts?partner_id=contract&user_id=user-1")
        base = f"/accounts/{found['items'][0]['account']}/adjustments"
        proposed = self.operator.named("ada").post(base, {"amount": {**amount, "minor": 500000}, "reason": "test"})
        proposal = proposed["outcome"]["Proposed"]["proposal"]
        self.operator.named("bob").post(f"{base}/{proposal}/approve")

    def apply(self):
        """An application to look at."""
        self.applicant = secrets.token_urlsafe(32)
        url = f"{self.server.partner_url}/api/v1/applications"
        body = {"request_id": "known-application", "access_token": self.applicant, "application": FORM}
        made = send("POST", url, {"Content-Type": "application/json"}, json.dumps(body).encode()).expect(201)
        self.known["application_id"] = made["application_id"]

    def use(self):
        """What there is to read: an order, a session that charges, a reservation, a top-up."""
        self.apply()
        self.fund()
        place = {"charger_id": "CP-1", "user": {"id": "user-1"}}
        amount = {"minor": 5000, "currency": "CNY"}
        made = [
            ("/users/user-1/top-ups", {"amount": amount}, "top_up_id"),
            ("/reservations", {"charger_id": "CP-1", "connector_id": 2, "user": {"id": "user-2"}}, "reservation_id"),
            ("/sessions", {**place, "connector_id": 1}, "order_id"),
            ("/sessions", {**place, "connector_id": 1}, "session_id"),
        ]
        for path, body, name in made:
            answer = self.partner.post(path, {"request_id": f"known-{name}", **body}).expect(202)
            self.known[name] = answer["session_id" if path == "/sessions" else name]
            if path == "/sessions":
                self.until(f"/sessions/{self.known[name]}", "Charging")
            if name == "order_id":
                stop = f"/sessions/{self.known[name]}/stop"
                self.partner.post(stop, {"request_id": "known-stop"}).expect(202)
                self.until(f"/sessions/{self.known[name]}", "Ended")
                self.until(f"/orders/{self.known[name]}", "Free", "Paid", "Settled")
        # Of a few seconds there is no statement yet.
        self.known["statement_id"] = "2026-01-02"
        self.known["request_id"] = "known-session_id"

    def until(self, path, *wanted):
        """Waits until what is there has one of these statuses."""
        until = time.monotonic() + 20
        while (found := self.partner.get(path))["status"] not in wanted:
            if time.monotonic() > until:
                raise SystemExit(f"contract: {path} did not come to {wanted}: {found}")
            time.sleep(0.05)


async def charge(charger):
    """Begins and ends transactions as it is told to."""
    transactions = {}
    while True:
        action, payload = await charger.told()
        if action == "RemoteStartTransaction":
            connector = payload["connector_id"]
            place = {"connectorId": connector, "idTag": payload["id_tag"], "timestamp": now()}
            begun = await charger.call("StartTransaction", meterStart=1000, **place)
            transactions[begun["transaction_id"]] = connector
        elif action == "RemoteStopTransaction" and transactions.pop(payload["transaction_id"], None):
            end = {"meterStop": 1000, "timestamp": now(), "transactionId": payload["transaction_id"]}
            await charger.call("StopTransaction", **end)


def charger_in_background(world):
    """A charger that is connected and does as it is told, on a thread of its own until the process ends."""
    ready = threading.Event()

    async def live():
        charger = PythonCharger(world.server.ocpp_url, "CP-1", world.password, Frames())
        await charger.connect()
        await charger.call("BootNotification", chargePointVendor="V", chargePointModel="M")
        for connector, status in ((1, "Preparing"), (2, "Available")):
            await charger.call(
                "StatusNotification", connectorId=connector, errorCode="NoError", status=status, timestamp=now()
            )
        ready.set()
        await charge(charger)

    threading.Thread(target=lambda: asyncio.run(live()), daemon=True).start()
    if not ready.wait(20):
        raise SystemExit("contract: the charger did not come up")


def schemathesis(args, world):
    """Runs it; its exit status and how many cases it says that it made."""
    program = Path(sys.executable).with_name("schemathesis")
    command = [program, "--config-file", HERE / "schemathesis.toml", "run", f"{world.server.partner_url}/openapi.json"]
    command += ["--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--mode", "all"]
    command += ["--max-examples", str(args.examples), "--seed", str(args.seed), "--request-timeout", "20"]
    command += ["--continue-on-failure"]
    if args.only:
        command += ["--include-path-regex", re.escape(args.only)]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "lib.contract_hooks",
        "PYTHONPATH": str(HERE),
        "CHARGELINE_KEY": world.key["key_id"],
        "CHARGELINE_SECRET": world.key["secret"],
        "CHARGELINE_APPLICANT": world.applicant,
        "CHARGELINE_FORM": json.dumps(FORM),
        "CHARGELINE_KNOWN": json.dumps(world.known),
        "COLUMNS": "120",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(world.server.directory / "hypothesis"),
    }
    done = subprocess.run(
        list(map(str, command)), env=environment, cwd=world.server.directory, stdout=subprocess.PIPE, text=True
    )
    print(done.stdout)
    found = re.search(r"(\d+) generated", done.stdout)
    return done.returncode, int(found.group(1)) if found else 0


def main():
    args = arguments()
    begun = time.monotonic()
    with Sink() as sink, Server(args.server, sink.port, keep=args.keep) as server:
        server.api = LIMITS
        server.stop()
        server.configure()
        server.start()
        world = World(server, sink)
        world.make()
        charger_in_background(world)
        world.use()
        status, cases = schemathesis(args, world)
        alive = server.alive() and world.partner.call("GET", "/sites").status == 200
        if status or not alive:
            server.show_log()
    good = status == 0 and alive and cases > 0
    took = time.monotonic() - begun
    print(f"contract: {cases} calls in {took:.0f} s, {'all as documented' if good else 'FAILED, see above'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
