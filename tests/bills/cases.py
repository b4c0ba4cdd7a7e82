"""The tariffs and sessions of the worked bills. `by_hand` is the total in minor units, worked out on paper."""
from datetime import datetime


def ms(text):
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def piece(name, a, b, electricity, service=0, **more):
    return {"name": name, "from": a, "to": b, "electricity": electricity, "service": service, **more}


def tariff(id, zone, currency, slices, **more):
    return {"id": id, "version": 1, "currency": currency, "time_zone": zone, "slices": slices, **more}


WORK, REST = ["mon", "tue", "wed", "thu", "fri"], ["sat", "sun"]
SUMMER, NOT_SUMMER = [{"from": "07-01", "to": "08-31"}], [{"from": "09-01", "to": "06-30"}]
TOU = [piece("valley", "00:00", "07:00", 3000, 8000), piece("flat", "07:00", "10:00", 7000, 8000),
       piece("peak", "10:00", "15:00", 10000, 8000), piece("flat", "15:00", "18:00", 7000, 8000),
       piece("sharp", "18:00", "21:00", 12000, 8000), piece("flat", "21:00", "23:00", 7000, 8000),
       piece("valley", "23:00", "24:00", 3000, 8000)]
NIGHT = lambda **more: [piece("valley", "00:00", "06:00", 2000, **more), piece("flat", "06:00", "22:00", 5000, **more),
                        piece("valley", "22:00", "24:00", 2000, **more)]
HOURS = [piece("flat" if h % 2 else "peak", f"{h:02}:00", f"{h + 1:02}:00", 1000 + 100 * h, 10 * h) for h in range(24)]

TARIFFS = {t["id"]: t for t in [
    tariff("plain", "Asia/Shanghai", "CNY", [piece("flat", "00:00", "24:00", 10000)]),
    tariff("tou", "Asia/Shanghai", "CNY", TOU, occupancy={"grace_minutes": 15, "per_minute": 5000, "cap": 300000},
           reservation={"deposit": 200000, "free_cancel_minutes": 5, "late_cancel_fee": 50000, "no_show_fee": 100000}),
    tariff("summer", "Asia/Shanghai", "CNY", [
        piece("valley", "00:00", "08:00", 3000, 5000),
        piece("sharp", "08:00", "24:00", 15000, 5000, seasons=SUMMER),
        piece("peak", "08:00", "24:00", 9000, 5000, seasons=NOT_SUMMER)]),
    tariff("winter", "Europe/Berlin", "EUR", [
        piece("peak", "00:00", "24:00", 6000, seasons=[{"from": "12-15", "to": "01-15"}]),
        piece("flat", "00:00", "24:00", 4000, seasons=[{"from": "01-16", "to": "12-14"}])]),
    tariff("leap", "Europe/London", "GBP", [
        piece("peak", "00:00", "24:00", 5000, seasons=[{"from": "02-29", "to": "02-29"}]),
        piece("flat", "00:00", "24:00", 3000, seasons=[{"from": "03-01", "to": "02-28"}])]),
    tariff("berlin", "Europe/Berlin", "EUR", NIGHT()),
    tariff("berlin_2to3", "Europe/Berlin", "EUR", [piece("flat", "00:00", "02:00", 4000), piece("peak", "02:00", "03:00", 8000),
                                                   piece("flat", "03:00", "24:00", 4000)]),
    tariff("berlin_time", "Europe/Berlin", "EUR", [piece("valley", "00:00", "06:00", 2000, time=10000, parking=20000),
                                                   piece("flat", "06:00", "24:00", 5000, time=30000, parking=60000)],
           start_fee=5000, vat={"energy": 1900, "time": 1900, "parking": 700, "start_fee": 1900}),
    tariff("york", "America/New_York", "USD", [
        piece("valley", "00:00", "24:00", 2500, weekdays=REST),
        piece("flat", "00:00", "14:00", 3000, weekdays=WORK), piece("peak", "14:00", "20:00", 5500, weekdays=WORK),
        piece("flat", "20:00", "24:00", 3000, weekdays=WORK)]),
    tariff("lord_howe", "Australia/Lord_Howe", "AUD", [piece("flat", "00:00", "01:45", 3000), piece("peak", "01:45", "02:15", 9000),
                                                       piece("flat", "02:15", "24:00", 3000)]),
    tariff("nepal", "Asia/Kathmandu", "NPR", NIGHT()),
    tariff("tokyo", "Asia/Tokyo", "JPY", [piece("valley", "00:00", "07:00", 250000), piece("flat", "07:00", "24:00", 355000)]),
    tariff("kuwait", "Asia/Kuwait", "KWD", [piece("flat", "00:00", "24:00", 123)]),
    tariff("santiago", "America/Santiago", "CLP", [piece("peak", "00:00", "01:00", 9000000), piece("flat", "01:00", "23:00", 1500000),
                                                   piece("valley", "23:00", "24:00", 500000)]),
    tariff("capped", "Asia/Shanghai", "CNY", TOU, start_fee=10000, minimum={"before_tax": 50000}, maximum={"before_tax": 600000}),
    tariff("bounded_tax", "Europe/Berlin", "EUR", [piece("flat", "00:00", "24:00", 2500)],
           minimum={"before_tax": 20000, "with_tax": 22000}, maximum={"before_tax": 100000, "with_tax": 110000}, vat={"energy": 1000}),
    tariff("steps", "Europe/Berlin", "EUR", [piece("flat", "00:00", "17:00", 2000, steps={"energy_wh": 500, "time_s": 300, "parking_s": 900},
                                                   time=12000, parking=24000),
                                             piece("peak", "17:00", "24:00", 2700, steps={"energy_wh": 1000, "time_s": 600, "parking_s": 900},
                                                   time=36000, parking=24000)]),
    tariff("fees", "Europe/Berlin", "EUR", [piece("flat", "00:00", "12:00", 3000), piece("peak", "12:00", "24:00", 3000, start_fee=15000)],
           start_fee=5000),
    tariff("free", "Asia/Shanghai", "CNY", [piece("flat", "00:00", "24:00", 0)]),
    tariff("half_cent", "Europe/Berlin", "EUR", [piece("flat", "00:00", "12:00", 5000), piece("peak", "12:00", "24:00", 5000)]),
    tariff("holiday", "Asia/Shanghai", "CNY", [
        piece("valley", "00:00", "24:00", 5000, dates={"from": "2026-10-01", "until": "2026-10-08"}),
        piece("flat", "00:00", "24:00", 9000, dates={"until": "2026-10-01"}),
        piece("flat", "00:00", "24:00", 9000, dates={"from": "2026-10-08"})]),
    tariff("hours", "Asia/Shanghai", "CNY", HOURS),
]}


def use(start, end, end_wh, readings=(), start_wh=0, gap_s=180, parked=(), **more):
    """`readings`: (moment, Wh) or (moment, Wh, "late")."""
    told = [{"at": ms(r[0]), "wh": r[1], **({"late": True} if len(r) > 2 else {})} for r in readings]
    spans = [{"from": ms(a), "to": ms(b)} for a, b in parked]
    return {"start": ms(start), "end": ms(end), "start_wh": start_wh, "end_wh": end_wh, "readings": told, "parked": spans,
            "gap_after_ms": gap_s * 1000, **more}


def steady(start, end, wh, every_s=900, start_wh=0, **more):
    """Even power, a reading every `every_s`, each rounded down to whole Wh."""
    a, b = ms(start), ms(end)
    readings = [{"at": t, "wh": start_wh + wh * (t - a) // (b - a)} for t in range(a + every_s * 1000, b, every_s * 1000)]
    return {"start": a, "end": b, "start_wh": start_wh, "end_wh": start_wh + wh, "readings": readings, "parked": [],
            "gap_after_ms": 3 * every_s * 1000, **more}


CASES = []


def case(name, by, usage, hand=None):
    CASES.append({"name": name, "tariff": by, "usage": usage, **({"by_hand": hand} if hand is not None else {})})


S = "+08:00"
case("one slice, ten kWh at one yuan", "plain", steady(f"2026-03-03T09:00{S}", f"2026-03-03T10:00{S}", 10000), 1000)
case("register does not begin at zero", "plain", steady(f"2026-03-03T09:00{S}", f"2026-03-03T10:00{S}", 10000, start_wh=123456), 1000)
case("no energy at all", "plain", use(f"2026-03-03T09:00{S}", f"2026-03-03T09:20{S}", 0), 0)
case("one Wh rounds to nothing", "plain", use(f"2026-03-03T09:00{S}", f"2026-03-03T09:01{S}", 1), 0)
case("five Wh round up to a fen", "plain", use(f"2026-03-03T09:00{S}", f"2026-03-03T09:01{S}", 5), 1)
case("an instant with energy", "plain", use(f"2026-03-03T09:00{S}", f"2026-03-03T09:00{S}", 700), 70)
case("end before start", "plain", use(f"2026-03-03T09:00{S}", f"2026-03-03T08:00{S}", 700), 70)
case("register lower at the end", "plain", use(f"2026-03-03T09:00{S}", f"2026-03-03T10:00{S}", 500, start_wh=1000), 0)
# Peak 1.00 + 0.80, flat 0.70 + 0.80: 10 kWh in each.
case("over one slice border, read at the border", "tou", use(f"2026-03-03T14:00{S}", f"2026-03-03T16:00{S}", 20000, [(f"2026-03-03T15:00{S}", 10000)], gap_s=7200), 1000 + 800 + 700 + 800)
case("over one slice border, split by time", "tou", use(f"2026-03-03T14:00{S}", f"2026-03-03T16:00{S}", 20000, gap_s=7200), 3300)
case("over one slice border, a gap", "tou", use(f"2026-03-03T14:00{S}", f"2026-03-03T16:00{S}", 20000, gap_s=180), 3300)
case("ends exactly at a border", "tou", use(f"2026-03-03T14:00{S}", f"2026-03-03T15:00{S}", 10000, gap_s=7200), 1800)
case("begins exactly at a border", "tou", use(f"2026-03-03T15:00{S}", f"2026-03-03T16:00{S}", 10000, gap_s=7200), 1500)
case("a second reading at the border belongs before it", "tou", use(f"2026-03-03T14:00{S}", f"2026-03-03T16:00{S}", 20000, [(f"2026-03-03T15:00{S}", 9000), (f"2026-03-03T15:00{S}", 10000)], gap_s=7200), 3300)
case("over midnight within the valley", "tou", steady(f"2026-03-03T23:30{S}", f"2026-03-04T00:30{S}", 10000))
case("from evening to morning", "tou", steady(f"2026-03-03T20:00{S}", f"2026-03-04T08:00{S}", 36000))
case("a whole day", "tou", steady(f"2026-03-03T00:00{S}", f"2026-03-04T00:00{S}", 240000, every_s=1800), None)
case("one Wh either side of a border", "tou", use(f"2026-03-03T14:59:30{S}", f"2026-03-03T15:00:30{S}", 2, gap_s=180))
case("odd Wh split over a border: the half goes before it", "tou", use(f"2026-03-03T14:59:30{S}", f"2026-03-03T15:00:30{S}", 3, gap_s=180))
case("over four borders in one gap", "tou", use(f"2026-03-03T09:13:20{S}", f"2026-03-03T21:47:11{S}", 54321, gap_s=180))
case("gap of three hours over two borders between readings", "tou", use(f"2026-03-03T13:00{S}", f"2026-03-03T19:00{S}", 30000, [(f"2026-03-03T14:59{S}", 9000), (f"2026-03-03T18:01{S}", 25000)], gap_s=3 * 3600 - 1))
case("late reading", "tou", use(f"2026-03-03T14:00{S}", f"2026-03-03T16:00{S}", 20000, [(f"2026-03-03T14:30{S}", 6000, "late")], gap_s=7200))
case("readings out of order", "tou", use(f"2026-03-03T14:00{S}", f"2026-03-03T16:00{S}", 20000, [(f"2026-03-03T15:30{S}", 15000), (f"2026-03-03T14:30{S}", 4000, "late"), (f"2026-03-03T15:00{S}", 9000)], gap_s=7200))
case("backfilled after an outage", "tou", use(f"2026-03-03T17:00{S}", f"2026-03-03T22:00{S}", 35000, [(f"2026-03-03T17:{m:02}{S}", m * 100) for m in range(10, 60, 10)] + [(f"2026-03-03T{h}:{m:02}{S}", 6000 + (h - 18) * 7000 + m * 100, "late") for h in (18, 19, 20) for m in (0, 20, 40)], gap_s=1800))
case("a register that goes back is left out", "tou", use(f"2026-03-03T14:00{S}", f"2026-03-03T16:00{S}", 20000, [(f"2026-03-03T14:30{S}", 8000), (f"2026-03-03T14:45{S}", 7000), (f"2026-03-03T15:00{S}", 10000)], gap_s=7200), 3300)
case("a reading above the final register is left out", "tou", use(f"2026-03-03T14:00{S}", f"2026-03-03T16:00{S}", 20000, [(f"2026-03-03T15:00{S}", 90000)], gap_s=7200), 3300)
case("a reading after the end is left out", "tou", use(f"2026-03-03T14:00{S}", f"2026-03-03T16:00{S}", 20000, [(f"2026-03-03T16:30{S}", 20000)], gap_s=7200), 3300)
case("a reading before the start is left out", "tou", use(f"2026-03-03T14:00{S}", f"2026-03-03T16:00{S}", 20000, [(f"2026-03-03T13:30{S}", 100)], gap_s=7200), 3300)
case("settled from the last reading", "tou", use(f"2026-03-03T14:00{S}", f"2026-03-03T14:40{S}", 6000, [(f"2026-03-03T14:20{S}", 3000)], gap_s=7200, estimated=True), 1080)
case("no energy over a border", "tou", use(f"2026-03-03T14:00{S}", f"2026-03-03T16:00{S}", 0), 0)
case("vehicle full: energy in the first slice only", "tou", use(f"2026-03-03T14:00{S}", f"2026-03-03T23:30{S}", 9000, [(f"2026-03-03T14:50{S}", 9000)], gap_s=43200), 1620)
case("into the summer at midnight", "summer", steady(f"2026-06-30T20:00{S}", f"2026-07-01T10:00{S}", 28000, every_s=3600))
case("out of the summer at midnight", "summer", steady(f"2026-08-31T22:00{S}", f"2026-09-01T09:00{S}", 22000, every_s=1800))
case("within the summer", "summer", steady(f"2026-07-15T07:00{S}", f"2026-07-15T09:00{S}", 20000), 800 + 2000)
case("season over the new year: new year's night", "winter", steady("2026-12-31T22:00+01:00", "2027-01-01T02:00+01:00", 20000), 1200)
case("season over the new year: begins", "winter", steady("2026-12-14T23:00+01:00", "2026-12-15T01:00+01:00", 20000), 400 + 600)
case("season over the new year: ends", "winter", steady("2027-01-15T23:00+01:00", "2027-01-16T01:00+01:00", 20000), 600 + 400)
case("a season of one leap day", "leap", steady("2028-02-28T23:00+00:00", "2028-03-01T01:00+00:00", 26000, every_s=3600), 30 + 1200 + 30)
case("no leap day this year", "leap", steady("2027-02-28T23:00+00:00", "2027-03-01T01:00+00:00", 20000), 600)
case("clock goes forward: the night has five hours", "berlin", steady("2026-03-29T00:00+01:00", "2026-03-29T06:00+02:00", 25000, every_s=1800), 500)
case("clock goes forward: valley ends by the wall clock", "berlin", steady("2026-03-29T05:00+02:00", "2026-03-29T07:00+02:00", 20000), 200 + 500)
case("clock goes back: the night has seven hours", "berlin", steady("2026-10-25T00:00+02:00", "2026-10-25T06:00+01:00", 35000, every_s=1800), 700)
case("clock goes forward: the hour from two to three is not there", "berlin_2to3", steady("2026-03-29T01:00+01:00", "2026-03-29T04:00+02:00", 20000), 800)
case("clock goes back: the hour from two to three is there twice", "berlin_2to3", steady("2026-10-25T01:00+02:00", "2026-10-25T04:00+01:00", 40000), 400 + 1600 + 400)
case("clock goes back: begins in the second two o'clock", "berlin_2to3", steady("2026-10-25T02:30+01:00", "2026-10-25T03:30+01:00", 10000), 400 + 200)
case("clock goes back: a gap over the change", "berlin_2to3", use("2026-10-25T01:30+02:00", "2026-10-25T03:30+01:00", 30000))
case("half-hour change forward", "lord_howe", steady("2026-10-04T01:00+10:30", "2026-10-04T03:00+11:00", 18000, every_s=600))
case("half-hour change back", "lord_howe", steady("2026-04-05T01:00+11:00", "2026-04-05T03:00+10:30", 30000, every_s=600))
case("midnight that is not there", "santiago", steady("2026-09-05T22:30-04:00", "2026-09-06T02:00-03:00", 25000, every_s=600))
case("eleven o'clock twice", "santiago", steady("2026-04-04T22:30-03:00", "2026-04-05T01:30-04:00", 40000, every_s=600))
case("a zone of a quarter hour", "nepal", steady("2026-05-05T21:30+05:45", "2026-05-05T22:30+05:45", 10000), 250 + 100)
case("the same moment in another zone", "berlin", steady("2026-05-05T21:30+05:45", "2026-05-05T22:30+05:45", 10000), 500)
case("a currency without decimals", "tokyo", steady("2026-05-05T06:00+09:00", "2026-05-05T08:00+09:00", 20000), 250 + 355)
case("a currency without decimals rounds to the whole", "tokyo", use("2026-05-05T06:00+09:00", "2026-05-05T06:10+09:00", 1010, gap_s=3600), 25)
case("a currency with three decimals", "kuwait", steady("2026-05-05T06:00+03:00", "2026-05-05T08:00+03:00", 20000), 246)
case("Friday night into Saturday", "york", steady("2026-06-05T19:00-04:00", "2026-06-06T02:00-04:00", 35000, every_s=1800), 275 + 600 + 250)
case("Sunday night into Monday", "york", steady("2026-06-07T22:00-04:00", "2026-06-08T15:00-04:00", 34000, every_s=3600), 100 + 840 + 110)
case("weekday afternoon in the week of the change", "york", steady("2026-03-09T13:00-04:00", "2026-03-09T15:00-04:00", 20000), 300 + 550)
case("Sunday of the change forward", "york", steady("2026-03-08T00:00-05:00", "2026-03-09T00:00-04:00", 46000, every_s=3600), 1150)
case("time, parking, start fee and tax", "berlin_time", use("2026-05-05T05:00+02:00", "2026-05-05T08:00+02:00", 20000, [("2026-05-05T06:00+02:00", 10000), ("2026-05-05T07:00+02:00", 20000)], gap_s=7200, parked=[("2026-05-05T07:00+02:00", "2026-05-05T08:00+02:00")]), (50 + 200 + 100 + 500 + 300) + 600 + 219 + 42)
case("parking that overlaps counts once", "berlin_time", use("2026-05-05T07:00+02:00", "2026-05-05T09:00+02:00", 0, parked=[("2026-05-05T07:30+02:00", "2026-05-05T08:30+02:00"), ("2026-05-05T08:00+02:00", "2026-05-05T08:45+02:00"), ("2026-05-05T06:00+02:00", "2026-05-05T07:10+02:00")]))
case("no energy, but time and start fee", "berlin_time", use("2026-05-05T07:00+02:00", "2026-05-05T07:30+02:00", 0), 50 + 150 + 38)
case("parking over midnight and a slice border", "berlin_time", use("2026-05-05T23:00+02:00", "2026-05-06T07:00+02:00", 5000, [("2026-05-05T23:30+02:00", 5000)], gap_s=86400, parked=[("2026-05-05T23:40+02:00", "2026-05-06T07:00+02:00")]))
case("time over the change forward is real time", "berlin_time", use("2026-03-29T01:00+01:00", "2026-03-29T07:00+02:00", 0), None)
case("the least that a session costs", "capped", use(f"2026-03-03T14:00{S}", f"2026-03-03T14:05{S}", 100, gap_s=7200), 500)
case("the most that a session costs", "capped", steady(f"2026-03-03T14:00{S}", f"2026-03-03T20:00{S}", 60000), 6000)
case("cut back over several lines", "capped", steady(f"2026-03-03T10:00{S}", f"2026-03-03T22:00{S}", 120000, every_s=1800), 6000)
case("exactly at the most", "capped", use(f"2026-03-03T15:00{S}", f"2026-03-03T16:00{S}", 39333, gap_s=7200))
case("least with tax", "bounded_tax", steady("2026-05-05T10:00+02:00", "2026-05-05T11:00+02:00", 1000), 220)
case("most with tax", "bounded_tax", steady("2026-05-05T10:00+02:00", "2026-05-05T14:00+02:00", 50000), 1100)
case("between the bounds with tax", "bounded_tax", steady("2026-05-05T10:00+02:00", "2026-05-05T14:00+02:00", 20000), 550)
case("steps of energy and time in one slice", "steps", use("2026-05-05T10:00+02:00", "2026-05-05T10:07+02:00", 1200, gap_s=3600), 24 + 14 + 6 + 6)
case("steps over a border: those of the last slice", "steps", use("2026-05-05T16:50+02:00", "2026-05-05T17:05+02:00", 1500, [("2026-05-05T17:00+02:00", 1000)], gap_s=3600), 20 + 20 + 14 + 30 + 14 + 30)
case("steps when parking comes last", "steps", use("2026-05-05T10:00+02:00", "2026-05-05T10:42+02:00", 2000, [("2026-05-05T10:30+02:00", 2000)], gap_s=3600, parked=[("2026-05-05T10:30+02:00", "2026-05-05T10:42+02:00")]), 40 + 60 + 48 + 12)
case("start fee of the tariff", "fees", steady("2026-05-05T10:00+02:00", "2026-05-05T11:00+02:00", 10000), 50 + 300)
case("start fee of a slice that comes later", "fees", steady("2026-05-05T11:00+02:00", "2026-05-05T13:00+02:00", 20000), 150 + 600)
case("energy with nothing to pay is told", "free", steady(f"2026-03-03T14:00{S}", f"2026-03-03T15:00{S}", 10000), 0)
case("each line is rounded once, halves up", "half_cent", use("2026-05-05T11:00+02:00", "2026-05-05T13:00+02:00", 20, gap_s=7200), 1 + 1)
case("a week of holidays: begins", "holiday", steady(f"2026-09-30T23:00{S}", f"2026-10-01T01:00{S}", 20000), 900 + 500)
case("a week of holidays: ends", "holiday", steady(f"2026-10-07T23:00{S}", f"2026-10-08T01:00{S}", 20000), 500 + 900)
case("twenty-four slices", "hours", steady(f"2026-03-03T00:00{S}", f"2026-03-04T00:00{S}", 240000, every_s=1800))
case("three days", "tou", steady(f"2026-03-03T05:00{S}", f"2026-03-06T05:00{S}", 300000, every_s=7200))
case("ten days without a reading", "tou", use(f"2026-03-01T05:00{S}", f"2026-03-11T05:00{S}", 1000000))
case("a month over the change of the clock", "berlin", steady("2026-03-15T00:00+01:00", "2026-04-15T00:00+02:00", 7430000, every_s=86400))

STAYS = []


def staying(name, charged, spans, hand=None, by="tou"):
    STAYS.append({"name": name, "tariff": by, "charged": ms(charged), "occupied": [[ms(a), ms(b)] for a, b in spans],
                  **({"by_hand": hand} if hand is not None else {})})


T = lambda text: f"2026-03-03T{text}{S}"
staying("gone within the grace time", T("14:00"), [(T("14:00"), T("14:14:59"))], 0)
staying("gone exactly at the end of the grace time", T("14:00"), [(T("14:00"), T("14:15"))], 0)
staying("a minute after it", T("14:00"), [(T("14:00"), T("14:16"))], 50)
staying("minutes that are not full are free", T("14:00"), [(T("14:00"), T("14:16:59"))], 50)
staying("an hour", T("14:00"), [(T("14:00"), T("15:15"))], 3000)
staying("the cap", T("14:00"), [(T("14:00"), T("18:00"))], 3000)
staying("unknown minutes are free", T("14:00"), [(T("14:00"), T("14:25")), (T("14:45"), T("14:55"))], 1000)
staying("what is known twice counts once", T("14:00"), [(T("14:00"), T("14:30")), (T("14:20"), T("14:40"))], 1250)
staying("nothing is known", T("14:00"), [], 0)
staying("over midnight", T("23:50"), [(T("23:50"), f"2026-03-04T00:25{S}")], 1000)
