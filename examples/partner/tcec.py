"""A platform that charges its users at Chargeline's chargers over T/CEC 102, from docs/tcec-102.md alone.

Needs Python 3.9 and the package `cryptography`. It answers the interfaces that the charger operator calls, then charges once:
token, stations, policy, start, result, status, stop, result, order. Everything that it is told is printed as a line of JSON;
the last line is `done`.

    python3 tcec.py settings.json

`settings.json`: {"url": "https://…/evcs/v1", "listen": 8088, "operator_id": ours, "connector_id": where,
"theirs": {the four secrets that Chargeline gave us}, "ours": {the four that we gave Chargeline}}
"""

import base64
import hmac
import json
import queue
import secrets
import sys
import threading
import time
import urllib.request
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

CHINA = timezone(timedelta(hours=8))
PATIENCE_S = 60


def cipher(keys):
    return Cipher(algorithms.AES(keys["data_secret"].encode()), modes.CBC(keys["data_secret_iv"].encode()))


def encrypt(keys, value):
    padder = padding.PKCS7(128).padder()
    plain = padder.update(json.dumps(value, ensure_ascii=False).encode()) + padder.finalize()
    worker = cipher(keys).encryptor()
    return base64.b64encode(worker.update(plain) + worker.finalize()).decode()


def decrypt(keys, text):
    worker = cipher(keys).decryptor()
    plain = worker.update(base64.b64decode(text)) + worker.finalize()
    unpadder = padding.PKCS7(128).unpadder()
    # Money and energy stay exact.
    return json.loads(unpadder.update(plain) + unpadder.finalize(), parse_float=Decimal)


def sign(keys, *parts):
    return hmac.new(keys["sig_secret"].encode(), "".join(parts).encode(), "md5").hexdigest().upper()


class Platform:
    """What we know, and how we call."""

    def __init__(self, settings):
        self.settings, self.token, self.given, self.told = settings, None, set(), queue.Queue()

    def call(self, interface, data):
        keys = self.settings["theirs"]
        sealed, stamp = encrypt(keys, data), datetime.now(CHINA).strftime("%Y%m%d%H%M%S")
        envelope = {"OperatorID": self.settings["operator_id"], "Data": sealed, "TimeStamp": stamp, "Seq": "0001"}
        envelope["Sig"] = sign(keys, envelope["OperatorID"], sealed, stamp, "0001")
        request = urllib.request.Request(f"{self.settings['url']}/{interface}", json.dumps(envelope).encode())
        request.add_header("Content-Type", "application/json;charset=utf-8")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        if answer["Ret"] != 0:
            raise SystemExit(f"{interface}: Ret {answer['Ret']} {answer['Msg']}")
        assert hmac.compare_digest(answer["Sig"], sign(keys, str(answer["Ret"]), answer["Msg"], answer["Data"]))
        return decrypt(keys, answer["Data"])

    def answer(self, interface, bearer, envelope):
        """What the charger operator is answered; `Ret` and the members of `Data`."""
        keys = self.settings["ours"]
        wanted = sign(keys, envelope["OperatorID"], envelope["Data"], envelope["TimeStamp"], envelope["Seq"])
        if not hmac.compare_digest(wanted, envelope["Sig"]):
            return 4001, {}
        data = decrypt(keys, envelope["Data"])
        if interface == "query_token":
            if data["OperatorSecret"] != keys["operator_secret"]:
                return 0, {"OperatorID": data["OperatorID"], "SuccStat": 1, "FailReason": 2}
            token = secrets.token_hex(32)
            self.given.add(token)
            life = {"AccessToken": token, "TokenAvailableTime": 7200}
            return 0, {"OperatorID": data["OperatorID"], "SuccStat": 0, "FailReason": 0, **life}
        if bearer not in self.given:
            return 4002, {}
        self.told.put((interface, data))
        print(json.dumps({interface: data}, default=str, ensure_ascii=False), flush=True)
        if interface == "notification_stationStatus":
            return 0, {"Status": 0}
        if interface == "notification_charge_order_info":
            return 0, {**{name: data[name] for name in ("StartChargeSeq", "ConnectorID")}, "ConfirmResult": 0}
        if interface == "check_charge_orders":
            return 0, {"CheckOrderSeq": data["CheckOrderSeq"], "TotalDisputeOrder": 0, "DisputeOrders": []}
        return 0, {"StartChargeSeq": data["StartChargeSeq"], "SuccStat": 0, "FailReason": 0}

    def until(self, interface, holds=lambda _: True):
        """The next call of this interface that holds; others before it are let pass."""
        ends = time.monotonic() + PATIENCE_S
        while True:
            name, data = self.told.get(timeout=max(ends - time.monotonic(), 0.01))
            if name == interface and holds(data):
                return data


def serve(platform):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            envelope = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
            ret, data = platform.answer(self.path.rsplit("/", 1)[-1], bearer, envelope)
            keys = platform.settings["ours"]
            sealed = encrypt(keys, data)
            body = {"Ret": ret, "Msg": "", "Data": sealed, "Sig": sign(keys, str(ret), "", sealed)}
            body = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json;charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", platform.settings["listen"]), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def charge(platform):
    own, connector = platform.settings["operator_id"], platform.settings["connector_id"]
    new_seq = lambda: own + str(secrets.randbelow(10**18)).zfill(18)
    told = platform.call("query_token", {"OperatorID": own, "OperatorSecret": platform.settings["theirs"]["operator_secret"]})
    assert told["SuccStat"] == 0, told
    platform.token = told["AccessToken"]
    # A connector is listed once its charger has told of it.
    ends, ids = time.monotonic() + PATIENCE_S, []
    while connector not in ids:
        assert time.monotonic() < ends, ids
        stations = platform.call("query_stations_info", {"LastQueryTime": "", "PageNo": 1, "PageSize": 10})["StationInfos"]
        ids = [c["ConnectorID"] for s in stations for e in s["EquipmentInfos"] for c in e["ConnectorInfos"]]
        time.sleep(0.5)
    status = platform.call("query_station_status", {"StationIDs": [s["StationID"] for s in stations]})
    assert status["Total"] == len(stations), status
    policy = platform.call("query_equip_business_policy", {"EquipBizSeq": new_seq(), "ConnectorID": connector})
    assert policy["SuccStat"] == 0 and policy["PolicyInfos"][0]["StartTime"] == "000000", policy
    seq = new_seq()
    start = {"StartChargeSeq": seq, "ConnectorID": connector, "QRCode": ""}
    assert platform.call("query_start_charge", start)["SuccStat"] == 0
    # The same again, as after a lost answer: nothing new begins.
    assert platform.call("query_start_charge", start)["SuccStat"] == 0
    of = lambda data: data["StartChargeSeq"] == seq
    assert platform.until("notification_start_charge_result", of)["StartChargeSeqStat"] == 2
    platform.until("notification_equip_charge_status", lambda data: of(data) and data["TotalPower"] > 0)
    now = platform.call("query_equip_charge_status", {"StartChargeSeq": seq})
    assert now["StartChargeSeqStat"] == 2 and now["ConnectorStatus"] == 3, now
    assert platform.call("query_stop_charge", {"StartChargeSeq": seq, "ConnectorID": connector})["SuccStat"] == 0
    assert platform.until("notification_stop_charge_result", of)["StartChargeSeqStat"] == 4
    order = platform.until("notification_charge_order_info", of)
    assert order["TotalElecMoney"] + order["TotalSeviceMoney"] == order["TotalMoney"] > 0, order
    assert order["SumPeriod"] == len(order["ChargeDetails"]) > 0, order
    assert sum(detail["DetailPower"] for detail in order["ChargeDetails"]) == order["TotalPower"], order
    assert order["StopReason"] == 1, order
    ended = platform.call("query_equip_charge_status", {"StartChargeSeq": seq})
    assert ended["StartChargeSeqStat"] == 4 and ended["TotalMoney"] == order["TotalMoney"], ended


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        ours = Platform(json.load(file))
    serve(ours)
    charge(ours)
    print("done", flush=True)
