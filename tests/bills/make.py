#!/usr/bin/env python3
"""Works out the bills of `bills.json` without a line of Chargeline's code: exact fractions, the wall clock of `zoneinfo`, one
minute at a time. `python3 tests/bills/make.py` writes the table anew; `--check` fails when it would change.

The rules it follows are those of docs/tariffs.md. Bills marked `by_hand` carry the total worked out on paper; the script
stops when its own differs. Moments are given as local time with an offset or as UTC, never computed.
"""
import json, sys, pathlib
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from zoneinfo import ZoneInfo

UTC = timezone.utc
DIGITS = {"CNY": 2, "EUR": 2, "USD": 2, "JPY": 0, "KWD": 3, "AUD": 2, "NPR": 2, "CLP": 0, "GBP": 2}
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def half_away(x):
    """To the nearest integer, halves away from zero."""
    whole = abs(x) + Fraction(1, 2)
    floor = whole.numerator // whole.denominator
    return floor if x >= 0 else -floor


def ms(text):
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int(moment.timestamp() * 1000)


def minute_of(text):
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


def applies(piece, local):
    if DAYS[local.weekday()] not in piece.get("weekdays", DAYS):
        return False
    day = local.strftime("%m-%d")
    seasons = piece.get("seasons", [])
    inside = lambda s: s["from"] <= day <= s["to"] if s["from"] <= s["to"] else day >= s["from"] or day <= s["to"]
    if seasons and not any(inside(s) for s in seasons):
        return False
    dates, date = piece.get("dates", {}), local.strftime("%Y-%m-%d")
    if dates.get("from", date) > date or dates.get("until", "9999") <= date:
        return False
    now = local.hour * 60 + local.minute
    return minute_of(piece["from"]) <= now < minute_of(piece["to"])


def slice_at(tariff, at):
    local = datetime.fromtimestamp(at // 1000, UTC).astimezone(ZoneInfo(tariff["time_zone"]))
    found = [n for n, piece in enumerate(tariff["slices"]) if applies(piece, local)]
    assert len(found) == 1, (tariff["id"], local, found)
    return found[0]


def passages(tariff, start, end):
    """[(slice, from, to)] with equal neighbours put together."""
    found, at = [], start
    while at < end:
        upto = min(end, at - at % 60000 + 60000)
        piece = slice_at(tariff, at)
        if found and found[-1][0] == piece:
            found[-1][2] = upto
        else:
            found.append([piece, at, upto])
        at = upto
    return found or [[slice_at(tariff, start), start, end]]


def knots(usage):
    """The readings that count: in order of time, never falling, within the session."""
    end = (max(usage["end"], usage["start"]), max(usage["end_wh"], usage["start_wh"]))
    points, left_out = [(usage["start"], usage["start_wh"], False)], False
    for r in sorted(usage["readings"], key=lambda r: (r["at"], r["wh"])):
        inside = usage["start"] <= r["at"] <= end[0] and usage["start_wh"] <= r["wh"] <= end[1]
        if inside and r["wh"] >= points[-1][1]:
            points.append((r["at"], r["wh"], r.get("late", False)))
        else:
            left_out = True
    return points + [(*end, False)], left_out


def register(points, at):
    """What the register showed, or would have shown on the straight line between two readings: the last reading at `at`."""
    exact = [wh for when, wh, _ in points if when == at]
    if exact:
        return exact[-1]
    for (t0, w0, _), (t1, w1, _) in zip(points, points[1:]):
        if t0 < at < t1:
            return w0 + half_away(Fraction((w1 - w0) * (at - t0), t1 - t0))
    raise AssertionError(at)


def bill(tariff, usage):
    digits = 10 ** DIGITS[tariff["currency"]]
    money = lambda price, count, per: half_away(Fraction(price * count * digits, 10000 * per))
    end = max(usage["end"], usage["start"])
    points, left_out = knots(usage)
    parts, lines, own_vat = passages(tariff, usage["start"], end), [], tariff.get("vat", {})
    flags = set(["estimated"] if usage.get("estimated") else []) | set(["reading_left_out"] if left_out else [])

    def add(kind, piece, count, price, per, rate, marks=()):
        lines.append({"kind": kind, "slice": piece, "count": count, "amount": money(price, count, per),
                      "flags": sorted(marks), "_rate": rate, "_price": price, "_per": per})

    vat = lambda piece: tariff["slices"][piece].get("vat", own_vat)
    fees = [(p, tariff["slices"][p]["start_fee"]) for p, _, _ in parts if "start_fee" in tariff["slices"][p]]
    piece, fee = (fees or [(parts[0][0], tariff.get("start_fee", 0))])[0]
    if fee:
        add("start_fee", piece, 1, fee, 1, vat(piece).get("start_fee"))
    parked, covered = [], None
    for span in sorted(usage.get("parked", []), key=lambda s: s["from"]):
        begin = max(span["from"], covered or span["from"])
        if begin < span["to"]:
            parked.append((begin, span["to"]))
            covered = span["to"]
    energy_last, time_total, time_last = None, 0, None
    for n, (piece, a, b) in enumerate(parts):
        s = tariff["slices"][piece]
        wh = (register(points, b) if b > a else points[-1][1]) - (points[0][1] if n == 0 else register(points, a))
        if n == len(parts) - 1:
            wh = points[-1][1] - (points[0][1] if n == 0 else register(points, a))
        gap = any(t1 - t0 > usage["gap_after_ms"] and t0 < b and t1 > a and not (a <= t0 and t1 <= b)
                  for (t0, _, _), (t1, _, _) in zip(points, points[1:]))
        late = any(is_late and a < t1 and t0 < b
                   for (t0, _, _), (t1, _, is_late) in zip(points, points[1:]))
        # A late reading exactly at the line's beginning is behind the line before it.
        marks = (["gap_split_by_time"] if gap else []) + (["late_reading"] if late else [])
        if wh > 0:
            energy_last = piece
            add("electricity", piece, wh, s["electricity"], 1000, vat(piece).get("energy"), marks)
            if s.get("service"):
                add("service", piece, wh, s["service"], 1000, vat(piece).get("energy"), marks)
            flags |= set(marks)
        still = sum(max(0, min(t, b) - max(f, a)) for f, t in parked)
        for kind, span, price, step in [("time", b - a - still, s.get("time", 0), s.get("steps", {}).get("time_s", 1)),
                                        ("parking", still, s.get("parking", 0), s.get("steps", {}).get("parking_s", 1))]:
            if span > 0 and price:
                add(kind, piece, span, price, 3600000, vat(piece).get(kind))
                time_total += span
                time_last = (piece, price, step, vat(piece).get(kind))
    total_wh = points[-1][1] - points[0][1]
    if energy_last is not None:
        s = tariff["slices"][energy_last]
        step = s.get("steps", {}).get("energy_wh", 1)
        price = s["electricity"] + s.get("service", 0)
        if -total_wh % step and price:
            add("energy_step", energy_last, -total_wh % step, price, 1000, vat(energy_last).get("energy"))
    if time_last and time_last[2] > 1 and -time_total % (time_last[2] * 1000):
        add("time_step", time_last[0], -time_total % (time_last[2] * 1000), time_last[1], 3600000, time_last[3])

    def bound(kind):
        low, high = (tariff.get(side, {}).get(kind) for side in ("minimum", "maximum"))
        total = sum(line["amount"] for line in lines)
        if low is not None and money(low, 1, 1) > total:
            lines.append({"kind": "minimum", "slice": None, "count": 1, "amount": money(low, 1, 1) - total, "flags": [],
                          "_rate": None})
        over = sum(line["amount"] for line in lines) - money(high, 1, 1) if high is not None else 0
        for line in reversed(lines):
            less = min(max(over, 0), line["amount"])
            if less:
                line["amount"] -= less
                line["flags"] = sorted(set(line["flags"]) | {"cut"})
                over -= less

    bound("before_tax")
    for rate in sorted({line["_rate"] for line in lines if line["_rate"]}):
        base = sum(line["amount"] for line in lines if line["_rate"] == rate)
        lines.append({"kind": "tax", "slice": None, "count": base, "amount": half_away(Fraction(base * rate, 10000)),
                      "flags": [], "_rate": None})
    bound("with_tax")
    total = sum(line["amount"] for line in lines)
    if total_wh > 0 and total == 0:
        flags.add("energy_without_fee")
    if usage["end"] < usage["start"]:
        flags.add("time_implausible")
    plain = [{k: v for k, v in line.items() if not k.startswith("_")} for line in lines]
    return {"lines": plain, "total": total, "energy_wh": total_wh, "flags": sorted(flags)}


def stay(tariff, charged, occupied):
    """Full minutes of known occupancy after the grace time, up to the cap."""
    rule, digits = tariff["occupancy"], 10 ** DIGITS[tariff["currency"]]
    begin = charged + rule["grace_minutes"] * 60000
    # Second by second: nothing to get wrong.
    seconds = {t for f, to in occupied for t in range(max(f, begin), to, 1000)}
    minutes = len(seconds) // 60
    full = half_away(Fraction(rule["per_minute"] * minutes * digits, 10000))
    return {"minutes": minutes, "total": min(full, half_away(Fraction(rule["cap"] * digits, 10000)))}


from cases import CASES, STAYS, TARIFFS  # noqa: E402


def table():
    bills = []
    for case in CASES:
        usage = case["usage"]
        made = bill(TARIFFS[case["tariff"]], usage)
        if "by_hand" in case:
            assert made["total"] == case["by_hand"], (case["name"], made["total"], case["by_hand"])
        bills.append({**case, "bill": made})
    stays = []
    for case in STAYS:
        made = stay(TARIFFS[case["tariff"]], case["charged"], case["occupied"])
        if "by_hand" in case:
            assert made["total"] == case["by_hand"], (case["name"], made, case["by_hand"])
        stays.append({**case, "stay": made})
    names = [case["name"] for case in CASES + STAYS]
    assert len(set(names)) == len(names) >= 60, len(names)
    return {"tariffs": TARIFFS, "bills": bills, "stays": stays}


def main():
    path = pathlib.Path(__file__).with_name("bills.json")
    made = table()
    rows = ['{"tariffs": {']
    rows.append(",\n".join(f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in made["tariffs"].items()))
    for part in ("bills", "stays"):
        rows.append(f'}}, "{part}": [' if part == "bills" else f'], "{part}": [')
        rows.append(",\n".join(json.dumps(row, ensure_ascii=False) for row in made[part]))
    rows.append("]}\n")
    text = "\n".join(rows)
    if "--check" in sys.argv:
        sys.exit(0 if path.read_text() == text else "bills.json is not what the script makes")
    path.write_text(text)
    print(f"{len(made['bills'])} bills, {len(made['stays'])} stays")


if __name__ == "__main__":
    main()
