"""Reservations with a charger that knows them: told of each, the user let in by card, a stranger refused (RS-1, RS-3)."""

import asyncio

from .scenario import now, status
from .sink import until


async def run(stage):
    charger, checks, partner = stage.charger, stage.checks, stage.partner
    card = f"RFID-{stage.name}"
    await status(stage, 1, "Available")
    reservation = await reserved(stage, f"user-{stage.name}")
    told = await charger.asked("ReserveNow")
    checks.same((told["connector_id"], told["id_tag"]), (1, told.get("parent_id_tag")), "the charger is told of it")
    await status(stage, 1, "Reserved")
    own = await charger.call("Authorize", idTag=card)
    group = own["id_tag_info"].get("parent_id_tag")
    checks.same(group, told["id_tag"], "the user's card belongs to the reservation's group")
    request = {"request_id": stage.request_id(), "charger_id": stage.charger_id, "connector_id": 1}
    refused = await asyncio.to_thread(partner.post, "/sessions", {**request, "user": {"id": "somebody-else"}})
    checks.same((refused.status, refused.json["error"]["code"]), (409, "connector_reserved"), "others are refused")
    begun = await charger.call(
        "StartTransaction",
        connectorId=1,
        idTag=card,
        meterStart=9000,
        reservationId=told["reservation_id"],
        timestamp=now(),
    )
    checks.same(begun["id_tag_info"]["status"], "Accepted", "the user is let in")
    over = await state(stage, reservation, "Fulfilled")
    checks.same(over["arrival"], "charger", "the charger named the reservation")
    session = await asyncio.to_thread(partner.get, f"/sessions/{over['session_id']}")
    checks.same(session["reservation_id"], reservation, "the session is linked to it")
    await charger.call("StopTransaction", transactionId=begun["transaction_id"], meterStop=9100, timestamp=now())
    await status(stage, 1, "Available")
    other = await reserved(stage, "user-of-another-day")
    told = await charger.asked("ReserveNow")
    cancel = {"request_id": stage.request_id()}
    await asyncio.to_thread(partner.post, f"/reservations/{other}/cancel", cancel)
    gone = await charger.asked("CancelReservation")
    checks.same(gone["reservation_id"], told["reservation_id"], "the charger is told of the end")
    await state(stage, other, "Cancelled")


async def reserved(stage, user):
    request = {"request_id": stage.request_id(), "charger_id": stage.charger_id, "connector_id": 1}
    answer = await asyncio.to_thread(stage.partner.post, "/reservations", {**request, "user": {"id": user}})
    return answer.expect(202)["reservation_id"]


async def state(stage, reservation, wanted):
    get = lambda: stage.partner.get(f"/reservations/{reservation}")  # noqa: E731
    return await asyncio.to_thread(
        until, f"{reservation}: {wanted}", lambda: (found := get()) and found["status"] == wanted and found
    )
