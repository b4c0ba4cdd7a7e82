"""What each charger does, and what must come of it: the same for all of them."""

import asyncio
import uuid
from datetime import datetime, timezone

from .sink import shown, until


class Checks:
    """What was found, in words."""

    def __init__(self):
        self.passed = []
        self.failed = []
        self._of = ""

    def begin(self, name):
        self._of = name

    def that(self, good, what):
        (self.passed if good else self.failed).append(f"{self._of}: {what}")
        if not good:
            print(f"peers: FAILED: {self._of}: {what}")

    def same(self, found, wanted, what):
        self.that(found == wanted, f"{what}: {found!r}, wanted {wanted!r}")


class Stage:
    """What a scenario plays on: a site, a charger and a partner of its own, set up through the operator API."""

    def __init__(self, name, server, operator, sink, checks, make_charger, make_partner):
        self.name, self.server, self.operator = name, server, operator
        self.sink, self.checks = sink, checks
        self.charger_id = f"CP-{name}"
        self.password = f"{uuid.uuid4().hex[:20]}"
        self._make_charger, self._make_partner = make_charger, make_partner

    def set_up(self):
        partner_id = f"partner-{self.name}"
        self.operator.put(f"/sites/site-{self.name}", {"name": f"Site {self.name}", "time_zone": "Asia/Shanghai"})
        charger = {"site_id": f"site-{self.name}", "connectors": 2, "boot": "Accepted", "auth": "basic"}
        self.operator.put(f"/chargers/{self.charger_id}", {**charger, "password": self.password})
        url = f"http://127.0.0.1:{self.sink.port}/{self.name}"
        self.operator.put(f"/partners/{partner_id}", {"name": self.name, "webhook": {"url": url}, "sites": "all"})
        self.key = self.operator.post(f"/partners/{partner_id}/keys")
        self.partner = self._make_partner(self.server.partner_url, self.key["key_id"], self.key["secret"])
        self.sink.secret(self.name, self.operator.post(f"/partners/{partner_id}/webhook/secret")["secret"])
        token = {"status": "Accepted", "partner_id": partner_id, "user_id": f"user-{self.name}"}
        self.operator.put(f"/tokens/RFID-{self.name}", token)
        self.operator.put(f"/tokens/BLOCKED-{self.name}", {"status": "Blocked"})
        self.charger = self._make_charger(self.server.ocpp_url, self.charger_id, self.password)

    def request_id(self):
        return f"req-{uuid.uuid4().hex[:16]}"

    async def event(self, kind, session_id=None):
        """The webhook of this kind, once it has come."""
        what = f"webhook {kind} of {session_id}"
        try:
            return await asyncio.to_thread(until, what, lambda: self.sink.find(self.name, kind, session_id))
        except AssertionError:
            print("peers: came so far:", *shown(self.sink.events(self.name)), sep="\n  ")
            raise

    async def session(self, session_id, what, condition):
        """The session, once `condition` holds."""
        get = lambda: self.partner.get(f"/sessions/{session_id}")  # noqa: E731
        return await asyncio.to_thread(until, f"{session_id}: {what}", lambda: (s := get()) and condition(s) and s)


def now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def reading(wh, power_w=7000):
    values = [
        {"value": str(wh), "measurand": "Energy.Active.Import.Register", "unit": "Wh", "context": "Sample.Periodic"},
        {"value": str(power_w), "measurand": "Power.Active.Import", "unit": "W"},
        {"value": "41", "measurand": "SoC", "unit": "Percent", "location": "EV"},
    ]
    return [{"timestamp": now(), "sampledValue": values}]


async def run(stage, further):
    """The whole scenario; `further` goes on with the charger before the end."""
    await asyncio.to_thread(stage.set_up)
    try:
        await begin(stage)
        remote = await remote_session(stage)
        local = await local_session_with_lost_answers(stage)
        killed = await session_over_a_kill(stage)
        await commands(stage)
        await further(stage)
        await told_everything(stage, [remote, local, killed])
    finally:
        await stage.charger.close()


async def status(stage, connector, status):
    await stage.charger.call(
        "StatusNotification", connectorId=connector, errorCode="NoError", status=status, timestamp=now()
    )


async def begin(stage):
    """Authentication, boot, statuses."""
    charger, checks = stage.charger, stage.checks
    checks.same(await charger.refused("wrong-password-0123"), 401, "a wrong password is refused")
    checks.same(await charger.connect(), "ocpp1.6", "the sub-protocol is negotiated")
    boot = await charger.call("BootNotification", chargePointVendor="Peers", chargePointModel=stage.name)
    checks.same(boot["status"], "Accepted", "the charger is accepted at boot")
    checks.that(boot["interval"] > 0, f"the heartbeat interval is positive: {boot['interval']}")
    for connector in (0, 1, 2):
        await status(stage, connector, "Available")
    beat = await charger.call("Heartbeat")
    came = datetime.fromisoformat(beat["current_time"].replace("Z", "+00:00"))
    checks.that(abs((datetime.now(timezone.utc) - came).total_seconds()) < 30, "a heartbeat gives the time")
    seen = await asyncio.to_thread(stage.partner.get, f"/chargers/{stage.charger_id}")
    checks.that("Available" in str(seen), f"the partner sees the connectors: {str(seen)[:300]}")


async def remote_session(stage):
    """Start and stop by signed partner calls."""
    charger, checks, partner = stage.charger, stage.checks, stage.partner
    stage.sink.refuse_once(stage.name, "session.started")
    request = {"request_id": stage.request_id(), "charger_id": stage.charger_id, "connector_id": 1}
    request["user"] = {"id": "user-1", "phone": "13800138000"}
    forged = await asyncio.to_thread(partner.call, "POST", "/sessions", request, secret="cs_forged")
    checks.same(forged.status, 401, "a forged signature is refused")
    old = await asyncio.to_thread(partner.call, "POST", "/sessions", request, timestamp=1_600_000_000)
    checks.same(old.status, 401, "an old timestamp is refused")
    answer = await asyncio.to_thread(partner.post, "/sessions", request)
    started = answer.expect(202)
    session_id = started["session_id"]
    checks.same(started["status"], "Starting", "a start is answered before the charger is")
    again = await asyncio.to_thread(partner.post, "/sessions", request)
    checks.same(again.json, started, "the same request gets the same answer (EM-5)")
    other = await asyncio.to_thread(partner.post, "/sessions", {**request, "connector_id": 2})
    checks.same(other.status, 409, "the same request_id with another body is a conflict")
    command = await charger.asked("RemoteStartTransaction")
    checks.same(command.get("connector_id"), 1, "the charger is told the connector")
    await status(stage, 1, "Preparing")
    begun = await charger.call(
        "StartTransaction", connectorId=1, idTag=command["id_tag"], meterStart=1000, timestamp=now()
    )
    transaction = begun["transaction_id"]
    checks.that(transaction > 0, f"the transaction id is positive: {transaction}")
    checks.same(begun["id_tag_info"]["status"], "Accepted", "the remote start's tag is accepted")
    await status(stage, 1, "Charging")
    operation = await asyncio.to_thread(partner.get, f"/operations/{request['request_id']}")
    checks.same((operation["kind"], operation["status"]), ("start", "Succeeded"), "the operation has succeeded")
    for wh in (1500, 2500):
        await charger.call("MeterValues", connectorId=1, transactionId=transaction, meterValue=reading(wh))
    session = await stage.session(session_id, "energy is seen", lambda s: s["energy_wh"] == 1500)
    checks.same(session["status"], "Charging", "the session is charging")
    checks.same(session.get("soc_percent"), 41, "the state of charge is seen")
    await stop_remotely(stage, session_id, transaction)
    ended = await stage.session(session_id, "it has ended", lambda s: s["status"] == "Ended")
    checks.same(ended["energy_wh"], 2000, "the energy is the difference of the register")
    event = await stage.event("session.started", session_id)
    checks.same(event["id"], stage.sink.refused(stage.name, "session.started"), "a refused webhook comes again")
    return session_id


async def stop_remotely(stage, session_id, transaction):
    charger, checks = stage.charger, stage.checks
    stop = await asyncio.to_thread(
        stage.partner.post, f"/sessions/{session_id}/stop", {"request_id": stage.request_id()}
    )
    stop.expect(202)
    command = await charger.asked("RemoteStopTransaction")
    checks.same(command["transaction_id"], transaction, "the charger is told which transaction to stop")
    answer = await charger.call(
        "StopTransaction", transactionId=transaction, meterStop=3000, timestamp=now(), reason="Remote"
    )
    checks.that(answer is not None, "a stop is confirmed")
    await status(stage, 1, "Finishing")
    await status(stage, 1, "Available")
    result = await stage.event("session.stop_result", session_id)
    checks.same(result["data"]["accepted"], True, "the partner is told that the stop was accepted")
    ended = await stage.event("session.ended", session_id)
    checks.same(ended["data"]["energy_wh"], 2000, "the partner is told the energy")


async def reconnect(stage):
    await stage.charger.connect()
    await stage.charger.call("BootNotification", chargePointVendor="Peers", chargePointModel=stage.name)


async def local_session_with_lost_answers(stage):
    """RFID at the charger; answers are lost, the connection breaks in mid-charge, messages come again (CH-7)."""
    charger, checks = stage.charger, stage.checks
    tag = f"RFID-{stage.name}"
    for tried, wanted in [(tag, "Accepted"), (f"BLOCKED-{stage.name}", "Blocked"), ("NOBODY", "Invalid")]:
        answer = await charger.call("Authorize", idTag=tried)
        checks.same(answer["id_tag_info"]["status"], wanted, f"the tag {tried}")
    await status(stage, 2, "Preparing")
    start = {"connectorId": 2, "idTag": tag, "meterStart": 5000, "timestamp": now()}
    first_id = str(uuid.uuid4())
    await charger.call_and_lose_answer("StartTransaction", first_id, **start)
    await reconnect(stage)
    again = await charger.call("StartTransaction", unique_id=first_id, **start)
    transaction = again["transaction_id"]
    once_more = await charger.call("StartTransaction", **start)
    checks.same(once_more["transaction_id"], transaction, "a repeated start gets the same transaction id")
    await status(stage, 2, "Charging")
    values = {"connectorId": 2, "transactionId": transaction, "meterValue": reading(5600)}
    await charger.send_and_cut("MeterValues", str(uuid.uuid4()), **values)
    await reconnect(stage)
    await status(stage, 2, "Charging")
    await charger.call("MeterValues", **values)
    stop = {"transactionId": transaction, "meterStop": 6200, "timestamp": now(), "idTag": tag, "reason": "Local"}
    await charger.call_and_lose_answer("StopTransaction", str(uuid.uuid4()), **stop)
    await reconnect(stage)
    checks.that(await charger.call("StopTransaction", **stop) is not None, "a repeated stop is confirmed")
    await status(stage, 2, "Available")
    listed = await asyncio.to_thread(stage.partner.get, f"/sessions?user_id=user-{stage.name}&limit=10")
    ours = [s for s in listed["items"] if s["connector_id"] == 2]
    checks.same(len(ours), 1, "repeated messages make one session")
    session = await stage.session(ours[0]["session_id"], "it has ended", lambda s: s["status"] == "Ended")
    checks.same(session["energy_wh"], 1200, "the energy is counted once")
    checks.same(session.get("transaction_id"), transaction, "the session names its transaction")
    await stage.event("session.ended", session["session_id"])
    return session["session_id"]


async def session_over_a_kill(stage):
    """The server is killed with -9 in mid-charge: what was acknowledged holds, what is repeated changes nothing (RT-4)."""
    charger, checks, partner = stage.charger, stage.checks, stage.partner
    request = {"request_id": stage.request_id(), "charger_id": stage.charger_id, "connector_id": 1}
    request["user"] = {"id": "user-2"}
    started = (await asyncio.to_thread(partner.post, "/sessions", request)).expect(202)
    command = await charger.asked("RemoteStartTransaction")
    start = {"connectorId": 1, "idTag": command["id_tag"], "meterStart": 9000, "timestamp": now()}
    transaction = (await charger.call("StartTransaction", **start))["transaction_id"]
    stage.server.kill()
    await charger.cut()
    await asyncio.to_thread(stage.server.start)
    await reconnect(stage)
    again = await charger.call("StartTransaction", **start)
    checks.same(again["transaction_id"], transaction, "the same transaction id after a kill")
    same = await asyncio.to_thread(partner.post, "/sessions", request)
    checks.same(same.json, started, "the same request gets the same answer after a kill")
    await charger.call("MeterValues", connectorId=1, transactionId=transaction, meterValue=reading(9400))
    await charger.call(
        "StopTransaction", transactionId=transaction, meterStop=9500, timestamp=now(), reason="EVDisconnected"
    )
    await status(stage, 1, "Available")
    session_id = started["session_id"]
    ended = await stage.session(session_id, "it has ended", lambda s: s["status"] == "Ended")
    checks.same(ended["energy_wh"], 500, "the energy is whole after a kill")
    await stage.event("session.ended", session_id)
    return session_id


async def commands(stage):
    """Commands of an operator reach the charger, and their results are found."""
    wanted = [
        ("GetConfiguration", {"key": ["HeartbeatInterval"]}),
        ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "300"}),
        ("TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 1}),
        ("UnlockConnector", {"connectorId": 1}),
        ("ClearCache", {}),
        ("DataTransfer", {"vendorId": "peers"}),
        ("ChangeAvailability", {"connectorId": 2, "type": "Operative"}),
        ("Reset", {"type": "Soft"}),
    ]
    path = f"/chargers/{stage.charger_id}/commands"
    for kind, payload in wanted:
        given = await asyncio.to_thread(stage.operator.post, path, {"kind": kind, "payload": payload})
        await stage.charger.asked(kind)
        get = lambda: stage.operator.get(f"{path}/{given['command_id']}")  # noqa: E731, B023
        done = lambda: (c := get()) and c["state"] not in ("Pending", "Sent") and c  # noqa: E731, B023
        command = await asyncio.to_thread(until, f"the result of {kind}", done)
        stage.checks.that("result" in command, f"{kind} has a result: {command}")


async def told_everything(stage, session_ids):
    """Webhooks came without gaps and in order, and `GET /events` has the same."""
    checks = stage.checks
    for session_id in session_ids:
        key = f"session/{session_id}"
        ours = [e for e in stage.sink.events(stage.name) if e["order_key"] == key]
        checks.same([e["sequence"] for e in ours], list(range(1, len(ours) + 1)), f"{key} without gaps, in order")
        checks.same(ours[-1]["type"], "session.ended", f"the last word on {key}")
    pulled, cursor = {}, ""
    while True:
        page = await asyncio.to_thread(stage.partner.get, f"/events?limit=5{cursor}")
        pulled.update({event["id"]: event for event in page["items"]})
        if not page["items"]:
            break
        cursor = f"&after={page['next']}"
    pushed = {e["id"]: e for e in stage.sink.events(stage.name) if e["type"].startswith("session.")}
    missing = set(pushed) - set(pulled)
    checks.that(not missing, f"GET /events has every event that was pushed; missing: {missing}")
    strangers = [e for e in pulled.values() if e["partner_id"] != f"partner-{stage.name}"]
    checks.that(not strangers, "GET /events shows nobody else's events")
