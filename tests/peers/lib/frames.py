"""The record of every OCPP frame in both directions, and its validation against the official JSON schemas.

The schemas are those that the package `ocpp` ships. Formats are checked too, which that package itself does not do.
"""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import ocpp
from jsonschema import Draft4Validator, FormatChecker

SCHEMAS = Path(ocpp.__file__).parent / "v16" / "schemas"

CALL, RESULT, ERROR = 2, 3, 4

# OCPP-J 1.6 §4.2.3, in the spelling of that version.
ERROR_CODES = {
    "NotImplemented",
    "NotSupported",
    "InternalError",
    "ProtocolError",
    "SecurityError",
    "FormationViolation",
    "PropertyConstraintViolation",
    "OccurenceConstraintViolation",
    "TypeConstraintViolation",
    "GenericError",
}

formats = FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def _date_time(value):
    if not isinstance(value, str):
        return True
    moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    return "T" in value and moment.tzinfo is not None


class Frames:
    """Every frame: (charger, sent by us or by the server, text)."""

    def __init__(self):
        self._frames = []
        self._validators = {}

    def record(self, charger, by_charger, text):
        self._frames.append((charger, by_charger, text))

    def count(self):
        return len(self._frames)

    def validate(self):
        """What is wrong with the frames, one line each."""
        wrong = []
        # The action of each CALL by who sent it, for its answer comes from the other side.
        asked = {}
        for charger, by_charger, text in self._frames:
            who = f"{charger} {'->' if by_charger else '<-'} {text[:300]}"
            try:
                frame = json.loads(text, parse_float=Decimal)
                problem = self._problem(frame, charger, by_charger, asked)
            except (ValueError, TypeError, IndexError, KeyError) as error:
                problem = repr(error)
            if problem:
                wrong.append(f"{who}: {problem}")
        return wrong

    def answered(self):
        """The messages that were sent and had a CALLRESULT: (action, sent by the charger)."""
        asked, answered = {}, set()
        for charger, by_charger, text in self._frames:
            frame = json.loads(text)
            if frame[0] == CALL:
                asked[charger, by_charger, frame[1]] = frame[2]
            elif frame[0] == RESULT and (charger, not by_charger, frame[1]) in asked:
                answered.add((asked[charger, not by_charger, frame[1]], not by_charger))
        return answered

    def _problem(self, frame, charger, by_charger, asked):
        kind, unique_id = frame[0], frame[1]
        if not isinstance(unique_id, str) or not 1 <= len(unique_id) <= 36:
            return "the message id is a text of 1 to 36 characters"
        if kind == CALL:
            _, _, action, payload = frame
            asked[charger, by_charger, unique_id] = action
            return self._break(action, payload)
        action = asked.get((charger, not by_charger, unique_id))
        if action is None:
            return "it answers no call of the other side"
        if kind == RESULT:
            _, _, payload = frame
            return self._break(f"{action}Response", payload)
        if kind == ERROR:
            _, _, code, description, details = frame
            if code not in ERROR_CODES:
                return f"no such error code: {code}"
            if not isinstance(details, dict) or not isinstance(description, str) or len(description) > 255:
                return "description and details of an error"
            return None
        return f"no such message type: {kind}"

    def _break(self, schema, payload):
        if schema not in self._validators:
            file = SCHEMAS / f"{schema}.json"
            if not file.exists():
                return f"no such message: {schema}"
            text = json.loads(file.read_text(encoding="utf-8-sig"), parse_float=Decimal)
            self._validators[schema] = Draft4Validator(text, format_checker=formats)
        errors = self._validators[schema].iter_errors(payload)
        return "; ".join(f"{'.'.join(map(str, e.path)) or 'payload'}: {e.message}" for e in errors) or None


def self_test():
    """The validation sees what is wrong: planted frames, each broken in one way."""
    good = [
        (True, '[2,"1","Heartbeat",{}]'),
        (False, '[3,"1",{"currentTime":"2026-01-02T03:04:05.678Z"}]'),
        (True, '[2,"2","Authorize",{"idTag":"A"}]'),
        (False, '[4,"2","InternalError","",{}]'),
    ]
    broken = [
        (False, '[3,"1",{"currentTime":"2026-01-02 03:04:05"}]'),
        (False, '[3,"1",{}]'),
        (False, '[3,"9",{}]'),
        (False, '[4,"2","OccurrenceConstraintViolation","",{}]'),
        (True, '[2,"3","Authorize",{"idTag":"' + "x" * 21 + '"}]'),
        (True, '[2,"4","NoSuchAction",{}]'),
        (False, '[3,1,{}]'),
        (False, "not json"),
    ]
    frames = Frames()
    for by_charger, text in good:
        frames.record("x", by_charger, text)
    assert frames.validate() == [], frames.validate()
    for by_charger, text in broken:
        planted = Frames()
        for frame in good[:1] + good[2:3]:
            planted.record("x", *frame)
        planted.record("x", by_charger, text)
        assert len(planted.validate()) == 1, text
