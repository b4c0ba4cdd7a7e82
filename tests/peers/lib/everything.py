"""Every message of OCPP 1.6 and of its security extension that the first scenario leaves out: each command to the charger,
each notification from it, what is refused before it is sent, and the charger's settings."""

import asyncio
from datetime import datetime, timedelta, timezone

from . import reservation
from .scenario import now, reading, status
from .sink import until

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
FILES = "https://files.example.org"
HASH = {"hashAlgorithm": "SHA256", "issuerNameHash": "aa", "issuerKeyHash": "bb", "serialNumber": "01"}


def profile(purpose, kind="Absolute", number=1, level=0, **more):
    """A charging profile; `more` replaces members, of the schedule by `schedule`."""
    schedule = {
        "duration": 3600,
        "startSchedule": now(),
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.1, "numberPhases": 3}, {"startPeriod": 600, "limit": 8}],
        "minChargingRate": 0.5,
    }
    schedule.update(more.pop("schedule", {}))
    schedule = {key: value for key, value in schedule.items() if value is not None}
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": schedule,
        **more,
    }


def commands(tag):
    """Every command outside Core, and those of Remote Trigger with every message: kind, payload."""
    far = "2030-01-01T00:00:00.000Z"
    yield "GetDiagnostics", {"location": f"{FILES}/d/", "retries": 2, "retryInterval": 60, "startTime": now()}
    yield "UpdateFirmware", {"location": f"{FILES}/f", "retrieveDate": now(), "retries": 1, "retryInterval": 60}
    yield "GetLocalListVersion", {}
    full = [{"idTag": tag, "idTagInfo": {"status": "Accepted", "expiryDate": far, "parentIdTag": "GROUP"}}]
    yield "SendLocalList", {"listVersion": 6, "updateType": "Full", "localAuthorizationList": full}
    # Without a version it gets the next one.
    yield "SendLocalList", {"updateType": "Differential", "localAuthorizationList": [{"idTag": "GONE"}]}
    yield "CancelReservation", {"reservationId": 7}
    yield "SetChargingProfile", {"connectorId": 0, "csChargingProfiles": profile("ChargePointMaxProfile")}
    daily = profile("TxDefaultProfile", "Recurring", 2, 1, recurrencyKind="Daily", validFrom=now(), validTo=far)
    yield "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": daily}
    relative = profile("TxDefaultProfile", "Relative", 3, 2, schedule={"startSchedule": None, "chargingRateUnit": "W"})
    yield "SetChargingProfile", {"connectorId": 2, "csChargingProfiles": relative}
    yield "GetCompositeSchedule", {"connectorId": 1, "duration": 3600, "chargingRateUnit": "A"}
    yield "ClearChargingProfile", {"id": 3}
    yield "ClearChargingProfile", {"connectorId": 1, "chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 1}
    plain = ["BootNotification", "FirmwareStatusNotification", "Heartbeat"]
    for message in [*plain, "DiagnosticsStatusNotification"]:
        yield "TriggerMessage", {"requestedMessage": message}
    for message in [*plain, "LogStatusNotification", "SignChargePointCertificate"]:
        yield "ExtendedTriggerMessage", {"requestedMessage": message}
    for kind in ("TriggerMessage", "ExtendedTriggerMessage"):
        for message in ("MeterValues", "StatusNotification"):
            yield kind, {"requestedMessage": message, "connectorId": 1}
    for log, number in (("DiagnosticsLog", 1), ("SecurityLog", 2)):
        where = {"remoteLocation": f"{FILES}/l/", "oldestTimestamp": now(), "latestTimestamp": far}
        yield "GetLog", {"logType": log, "requestId": number, "retries": 1, "retryInterval": 60, "log": where}
    firmware = {"location": f"{FILES}/f", "retrieveDateTime": now(), "installDateTime": far}
    firmware.update(signingCertificate=PEM, signature="c2lnbmF0dXJl")
    yield "SignedUpdateFirmware", {"requestId": 3, "retries": 1, "retryInterval": 60, "firmware": firmware}
    for kind in ("CentralSystemRootCertificate", "ManufacturerRootCertificate"):
        yield "InstallCertificate", {"certificateType": kind, "certificate": PEM}
        yield "GetInstalledCertificateIds", {"certificateType": kind}
    yield "DeleteCertificate", {"certificateHashData": HASH}
    yield "CertificateSigned", {"certificateChain": PEM + PEM}


def refused(tag):
    """What is not sent: kind, payload, the member that is named."""
    yield "GetDiagnostics", {"location": "https://elsewhere.example.com/"}, "payload.location"
    yield "SendLocalList", {"listVersion": 1, "updateType": "Differential"}, "payload.listVersion"
    many = [{"idTag": f"TAG{n}", "idTagInfo": {"status": "Accepted"}} for n in range(4)]
    yield "SendLocalList", {"updateType": "Full", "localAuthorizationList": many}, "payload.localAuthorizationList"
    twice = [{"idTag": tag}, {"idTag": tag.lower()}]
    wrong = {"updateType": "Differential", "localAuthorizationList": twice}
    yield "SendLocalList", wrong, "payload.localAuthorizationList[1].idTag"
    idle = {"connectorId": 1, "csChargingProfiles": profile("TxProfile")}
    yield "SetChargingProfile", idle, "payload.csChargingProfiles.chargingProfilePurpose"
    yield "SetChargingProfile", {"connectorId": 1, "csChargingProfiles": profile("ChargePointMaxProfile")}, "payload.connectorId"
    high = {"connectorId": 1, "csChargingProfiles": profile("TxDefaultProfile", level=11)}
    yield "SetChargingProfile", high, "payload.csChargingProfiles.stackLevel"
    yield "ReserveNow", {"connectorId": 9, "expiryDate": now(), "idTag": tag, "reservationId": 1}, "payload.connectorId"
    yield "InstallCertificate", {"certificateType": "CentralSystemRootCertificate", "certificate": "x"}, "payload.certificate"


async def send(stage, kind, payload):
    """A command by the operator API, seen by the charger; what came of it."""
    path = f"/chargers/{stage.charger_id}/commands"
    given = await asyncio.to_thread(stage.operator.post, path, {"kind": kind, "payload": payload})
    asked = await stage.charger.asked(kind)
    get = lambda: stage.operator.get(f"{path}/{given['command_id']}")  # noqa: E731
    done = lambda: (c := get()) and c["state"] not in ("Pending", "Sent") and c  # noqa: E731
    command = await asyncio.to_thread(until, f"the result of {kind}", done)
    stage.checks.same(command["state"], "Accepted", f"{kind} {payload} ends as accepted: {command}")
    stage.checks.that(isinstance(command["result"], dict), f"{kind} has the charger's answer: {command}")
    return asked


async def all_commands(stage):
    checks, tag = stage.checks, f"RFID-{stage.name}"
    for kind, payload in commands(tag):
        asked = await send(stage, kind, payload)
        if payload.get("updateType") == "Full":
            checks.same(asked["local_authorization_list"][0]["id_tag"], tag, "the charger gets the tokens in the clear")
        if payload.get("updateType") == "Differential":
            checks.same(asked["list_version"], 7, "a list without a version gets the next one")
    soon = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat(timespec="milliseconds")
    reserve = {"connectorId": 2, "expiryDate": soon.replace("+00:00", "Z"), "idTag": tag, "parentIdTag": "GROUP", "reservationId": 7}
    asked = await send(stage, "ReserveNow", reserve)
    checks.same((asked["id_tag"], asked["parent_id_tag"]), (tag, "GROUP"), "the charger knows for whom it reserves")
    path = f"/chargers/{stage.charger_id}/commands"
    for kind, payload, field in refused(tag):
        answer = await asyncio.to_thread(stage.operator.call, "POST", path, {"kind": kind, "payload": payload})
        details = answer.json.get("error", {}).get("details", [])
        named = [detail["field"] for detail in details if detail["problem"] and detail["allowed"]]
        checks.that(answer.status in (400, 409), f"{kind} {payload} is refused: {answer.status}")
        checks.that(field in named, f"{field} is named: {answer.text[:300]}")


async def profiles_of_a_transaction(stage):
    """TxProfile while a transaction runs, and within a remote start."""
    charger, checks = stage.charger, stage.checks
    within = {"connectorId": 1, "idTag": f"RFID-{stage.name}"}
    within["chargingProfile"] = profile("TxProfile", "Relative", 4, schedule={"startSchedule": None})
    asked = await send(stage, "RemoteStartTransaction", within)
    checks.same(asked["charging_profile"]["charging_profile_id"], 4, "a remote start brings its profile")
    await status(stage, 1, "Preparing")
    begun = await charger.call(
        "StartTransaction", connectorId=1, idTag=asked["id_tag"], meterStart=100, timestamp=now()
    )
    transaction = begun["transaction_id"]
    await charger.call("MeterValues", connectorId=1, transactionId=transaction, meterValue=reading(150))
    running = {"connectorId": 1, "csChargingProfiles": profile("TxProfile", number=5, transactionId=transaction)}
    asked = await send(stage, "SetChargingProfile", running)
    found = asked["cs_charging_profiles"]["transaction_id"]
    checks.same(found, transaction, "the profile names the transaction")
    shown = await asyncio.to_thread(stage.operator.get, f"/chargers/{stage.charger_id}")
    held = sorted(held["id"] for held in shown["device"]["profiles"])
    checks.same(held, [1, 5], "the operator sees the profiles that the charger holds")
    await charger.call("StopTransaction", transactionId=transaction, meterStop=200, timestamp=now(), reason="Local")
    await status(stage, 1, "Available")


async def all_notifications(stage):
    charger, checks = stage.charger, stage.checks
    told = [
        ("FirmwareStatusNotification", {"status": "Downloaded"}),
        ("DiagnosticsStatusNotification", {"status": "Uploaded"}),
        ("LogStatusNotification", {"status": "Uploading", "requestId": 2}),
        ("SignedFirmwareStatusNotification", {"status": "SignatureVerified", "requestId": 3}),
    ]
    for action, payload in told:
        checks.same(await charger.call(action, **payload), {}, f"{action} is confirmed")
    unknown = await charger.call("DataTransfer", vendorId="peers", messageId="m", data="d")
    checks.same(unknown["status"], "UnknownVendorId", "a vendor that nobody knows is told so")
    for kind in ("InvalidMessages", "TamperDetectionActivated"):
        event = {"type": kind, "timestamp": now(), "techInfo": "the door"}
        checks.same(await charger.call("SecurityEventNotification", **event), {}, f"{kind} is confirmed")
    csr = "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n"
    signed = await charger.call("SignCertificate", csr=csr)
    checks.same(signed, {"status": "Rejected"}, "without an authority a certificate is refused")
    shown = await asyncio.to_thread(stage.operator.get, f"/chargers/{stage.charger_id}")
    device = shown["device"]
    reports = {report["kind"]: (report["status"], report.get("request_id")) for report in device["reports"]}
    wanted = {
        "firmware": ("Downloaded", None),
        "diagnostics": ("Uploaded", None),
        "log": ("Uploading", 2),
        "signed_firmware": ("SignatureVerified", 3),
    }
    checks.same(reports, wanted, "the operator sees how transfers go")
    events = [(event["type"], event["critical"]) for event in device["security_events"]]
    checks.same(events, [("TamperDetectionActivated", True), ("InvalidMessages", False)], "and security events")
    alerts = await asyncio.to_thread(stage.operator.get, "/alerts?limit=100")
    codes = [alert["code"] for alert in alerts["items"] if alert["subject"] == f"charger/{stage.charger_id}"]
    for code in ("security_event", "certificate_refused"):
        checks.that(code in codes, f"operators are told of {code}: {codes}")
    checks.same(device["local_list"], {"sent": 7, "accepted": 7, "told": 7, "next": 8}, "and the list's versions")
    held = sorted(held["id"] for held in device["profiles"])
    checks.same(held, [1], f"and the profiles that the charger holds: {device['profiles']}")


async def settings(stage):
    """What was read after the boot, what differs, what was corrected (OP-1)."""
    shown = await asyncio.to_thread(stage.operator.get, f"/chargers/{stage.charger_id}")
    found = shown["device"]["configuration"]
    values = {key["key"]: key.get("value") for key in found["keys"]}
    stage.checks.same(values["ChargeProfileMaxStackLevel"], "10", "settings are read and kept")
    stage.checks.same(values["ConnectionTimeOut"], "50", "what differed and could be changed was changed")
    differing = {item["key"]: (item["why"], item["actual"]) for item in found["differences"] if "actual" in item}
    wanted = {"MeterValueSampleInterval": ("read_only", "900")}
    stage.checks.same(differing, wanted, "what cannot be changed is shown")
    changes = {change["key"]: (change["status"], change["by"]) for change in found["changes"]}
    stage.checks.same(changes["ConnectionTimeOut"], ("Accepted", "system"), f"with its result: {changes}")


async def run(stage):
    await all_commands(stage)
    await profiles_of_a_transaction(stage)
    await all_notifications(stage)
    await reservation.run(stage)
    await settings(stage)
