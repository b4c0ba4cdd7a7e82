#!/usr/bin/env python3
"""Writes `cases.json`: OCPI 2.2.1 tariffs with sessions whose periods are cut at every border of the tariff, as OCPI asks."""
import json, pathlib
from datetime import datetime, timedelta, timezone

CASES = []


def pc(kind, price, step=1, vat=None):
    return {"type": kind, "price": price, "step_size": step, **({"vat": vat} if vat is not None else {})}


def el(*components, **restrictions):
    return {"price_components": list(components), **({"restrictions": restrictions} if restrictions else {})}


def case(name, zone, elements, start, periods, currency="EUR", **more):
    """`periods`: (seconds, Wh) or (seconds, Wh, "parked")."""
    tariff = {"country_code": "DE", "party_id": "ALL", "id": "T1", "currency": currency, "elements": elements,
              "last_updated": "2020-01-01T00:00:00Z", **more}
    at, told = datetime.fromisoformat(start).astimezone(timezone.utc), []
    for period in periods:
        told.append({"at": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "seconds": period[0], "wh": period[1], "parked": len(period) > 2})
        at += timedelta(seconds=period[0])
    CASES.append({"name": name, "time_zone": zone, "tariff": tariff, "periods": told, "end": at.strftime("%Y-%m-%dT%H:%M:%SZ")})


H, B, Z = 3600, "Europe/Berlin", "Europe/Amsterdam"
case("0.25 a kWh: 20 kWh are 5.00", Z, [el(pc("ENERGY", 0.25, 1, 10.0))], "2026-05-05T10:00+02:00", [(H, 20000)])
case("with a start fee: 5.50", Z, [el(pc("FLAT", 0.5, 1, 20.0), pc("ENERGY", 0.25, 1, 10.0))], "2026-05-05T10:00+02:00", [(H, 20000)])
case("parking 40 minutes at a step of 15: 7.00", Z, [el(pc("FLAT", 0.5, 1, 20.0), pc("ENERGY", 0.25, 1, 10.0), pc("PARKING_TIME", 2.0, 900, 20.0))],
     "2026-05-05T10:00+02:00", [(H, 20000), (2400, 0, "parked")])
case("at most 10.00", Z, [el(pc("ENERGY", 0.25, 1, 10.0))], "2026-05-05T10:00+02:00", [(H, 50000)], max_price={"excl_vat": 10.0, "incl_vat": 11.0})
case("at least 0.50", Z, [el(pc("ENERGY", 0.25, 1, 10.0))], "2026-05-05T10:00+02:00", [(H, 1000)], min_price={"excl_vat": 0.5, "incl_vat": 0.55})
case("2.00 an hour for two and a half: 5.00", Z, [el(pc("TIME", 2.0, 60, 10.0))], "2026-05-05T10:00+02:00", [(9000, 20000)])
case("3.00 an hour, 5.00 parking", Z, [el(pc("TIME", 3.0, 60, 10.0), pc("PARKING_TIME", 5.0, 300, 20.0))], "2026-05-05T10:00+02:00",
     [(9000, 20000), (2520, 0, "parked")])
DAY = [el(pc("ENERGY", 0.20, 500), start_time="00:00", end_time="17:00"), el(pc("ENERGY", 0.27, 500), start_time="17:00", end_time="20:00"),
       el(pc("ENERGY", 0.20, 500))]
case("step of energy over 17:00", Z, DAY, "2026-05-05T16:50+02:00", [(600, 1000), (600, 1100)])
case("day and night", B, [el(pc("ENERGY", 0.5), start_time="06:00", end_time="22:00"), el(pc("ENERGY", 0.2))], "2026-05-05T21:00+02:00", [(H, 11000), (H, 9000)])
NIGHT = [el(pc("ENERGY", 0.2), start_time="22:00", end_time="06:00"), el(pc("ENERGY", 0.5))]
case("a night over midnight", B, NIGHT, "2026-05-05T21:00+02:00", [(H, 11000), (8 * H, 16000), (H, 7000)])
case("a night over the change forward", B, NIGHT, "2026-03-28T21:00+01:00", [(H, 11000), (7 * H, 14000), (H, 7000)])
case("a night over the change back", B, NIGHT, "2026-10-24T21:00+02:00", [(H, 11000), (9 * H, 18000), (H, 7000)])
WEEK = [el(pc("ENERGY", 0.55), start_time="14:00", end_time="20:00", day_of_week=["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"]),
        el(pc("ENERGY", 0.25), day_of_week=["SATURDAY", "SUNDAY"]), el(pc("ENERGY", 0.3))]
case("Friday evening into Saturday", "America/New_York", WEEK, "2026-06-05T19:00-04:00", [(H, 5000), (4 * H, 20000), (2 * H, 10000)], "USD")
case("Sunday into Monday afternoon", "America/New_York", WEEK, "2026-06-07T23:00-04:00", [(H, 2000), (14 * H, 28000), (H, 3000)], "USD")
DATES = [el(pc("ENERGY", 0.9), start_date="2026-07-01", end_date="2026-09-01"), el(pc("ENERGY", 0.4))]
case("into a season", B, DATES, "2026-06-30T23:00+02:00", [(H, 10000), (H, 10000)])
case("out of a season", B, DATES, "2026-08-31T23:00+02:00", [(H, 10000), (H, 10000)])
case("no price in a hole", B, [el(pc("ENERGY", 0.4), start_time="08:00", end_time="20:00")], "2026-05-05T19:00+02:00", [(H, 10000), (H, 10000)])
case("dimensions are looked up apart", B, [el(pc("TIME", 6.0, 1), start_time="08:00", end_time="20:00"), el(pc("ENERGY", 0.35))],
     "2026-05-05T19:00+02:00", [(H, 10000), (H, 10000)])
case("parking dearer by day", B, [el(pc("ENERGY", 0.3), pc("PARKING_TIME", 6.0), start_time="06:00", end_time="22:00"), el(pc("ENERGY", 0.3), pc("PARKING_TIME", 1.5))],
     "2026-05-05T20:00+02:00", [(H, 10000), (H, 0, "parked"), (2 * H, 0, "parked")])
case("flat fee by the time of start", B, [el(pc("FLAT", 2.0), start_time="06:00", end_time="22:00"), el(pc("FLAT", 1.0)), el(pc("ENERGY", 0.3))],
     "2026-05-05T23:00+02:00", [(H, 10000)])
case("time only, steps of five minutes", B, [el(pc("TIME", 3.6, 300))], "2026-05-05T10:00+02:00", [(421, 1000)])
case("no energy", B, [el(pc("ENERGY", 0.4), pc("FLAT", 1.0))], "2026-05-05T10:00+02:00", [(600, 0)])
case("a zone of a quarter hour", "Asia/Kathmandu", NIGHT, "2026-05-05T21:30+05:45", [(1800, 5000), (1800, 5000)], "NPR")
pathlib.Path(__file__).with_name("cases.json").write_text("[\n" + ",\n".join(map(json.dumps, CASES)) + "\n]\n")
print(len(CASES), "cases")
