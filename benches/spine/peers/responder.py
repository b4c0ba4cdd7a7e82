"""A central system on PyPI `ocpp` and `websockets`: accepts every charger and answers boots and heartbeats from memory."""

import asyncio
import sys
from datetime import datetime, timezone

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call_result


class Responder(ChargePoint):
    @on("BootNotification")
    def boot(self, **_):
        now = datetime.now(timezone.utc).isoformat()
        return call_result.BootNotification(current_time=now, interval=300, status="Accepted")

    @on("Heartbeat")
    def heartbeat(self):
        return call_result.Heartbeat(current_time=datetime.now(timezone.utc).isoformat())


async def serve(connection):
    try:
        await Responder(connection.request.path.rsplit("/", 1)[-1], connection).start()
    except websockets.exceptions.ConnectionClosed:
        pass


async def main():
    host, port = sys.argv[1].rsplit(":", 1)
    async with websockets.serve(serve, host, int(port), subprotocols=["ocpp1.6"], compression=None):
        await asyncio.Future()


asyncio.run(main())
