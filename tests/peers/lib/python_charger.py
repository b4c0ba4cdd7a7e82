"""A charger by PyPI `ocpp` over `websockets`. Every frame passes a recording layer between the two."""

import asyncio
import base64
import json
from pathlib import Path
from urllib.parse import quote

import websockets
from ocpp.charge_point import camel_to_snake_case
from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action

# What the charger answers to each command.
ANSWERS = json.loads((Path(__file__).parent / "answers.json").read_text())


class Recorded:
    """The recording layer: what `ocpp` takes for the connection."""

    def __init__(self, socket, charger, frames):
        self._socket = socket
        self._charger = charger
        self._frames = frames
        # Message ids whose answers are recorded but never reach the client: lost on the way.
        self.lose = {}

    async def send(self, text):
        self._frames.record(self._charger, True, text)
        await self._socket.send(text)

    async def recv(self):
        while True:
            text = await self._socket.recv()
            self._frames.record(self._charger, False, text)
            frame = json.loads(text)
            lost = self.lose.get(frame[1]) if frame[0] != 2 else None
            if lost is None:
                return text
            lost.set_result(frame)


class Client(ChargePoint):
    """The package's own charge point with handlers for everything that a central system can ask."""

    def __init__(self, identity, connection, asked):
        super().__init__(identity, connection, response_timeout=15)
        self._asked = asked


def _handlers(action, answer):
    def handler(self, **_):
        return getattr(call_result, action.value)(**camel_to_snake_case(answer))

    def told(self, **payload):
        # The scenario goes on once the answer is out, as a charger would.
        self._asked.put_nowait((action.value, payload))

    # The package finds handlers by their names.
    handler.__name__, told.__name__ = f"on_{action.name}", f"after_{action.name}"
    return on(action)(handler), after(action)(told)


for _action, _answer in ANSWERS.items():
    for _handler in _handlers(Action(_action), _answer):
        setattr(Client, _handler.__name__, _handler)


class PythonCharger:
    """What the scenario drives."""

    def __init__(self, url, identity, password, frames):
        self._url = f"{url}/{quote(identity)}"
        self._identity = identity
        self._password = password
        self._frames = frames
        self._asked = asyncio.Queue()
        self._reader = None

    async def connect(self, password=None):
        credentials = f"{self._identity}:{password or self._password}".encode()
        headers = {"Authorization": "Basic " + base64.b64encode(credentials).decode()}
        self._socket = await websockets.connect(
            self._url, subprotocols=["ocpp1.6"], additional_headers=headers, proxy=None
        )
        self._connection = Recorded(self._socket, self._identity, self._frames)
        self._client = Client(self._identity, self._connection, self._asked)
        self._reader = asyncio.create_task(self._read())
        return self._socket.subprotocol

    async def refused(self, password):
        """The HTTP status with which a connection is refused; none if it is not."""
        try:
            await self.connect(password)
        except websockets.InvalidStatus as error:
            return error.response.status_code
        await self.cut()
        return None

    async def _read(self):
        try:
            await self._client.start()
        except websockets.ConnectionClosed:
            pass

    async def call(self, action, unique_id=None, **payload):
        """A call and its answer, by the package's own types. Names are the specification's."""
        request = getattr(call, action)(**camel_to_snake_case(payload))
        answer = await self._client.call(request, suppress=False, unique_id=unique_id)
        return {key: value for key, value in vars(answer).items() if value is not None}

    async def call_and_lose_answer(self, action, unique_id, **payload):
        """A call whose answer was sent by the server and never read: the connection breaks."""
        lost = asyncio.get_running_loop().create_future()
        self._connection.lose[unique_id] = lost
        await self._connection.send(json.dumps([2, unique_id, action, payload]))
        await asyncio.wait_for(lost, 15)
        await self.cut()

    async def send_and_cut(self, action, unique_id, **payload):
        """A call on a connection that breaks before any answer."""
        await self._connection.send(json.dumps([2, unique_id, action, payload]))
        await asyncio.sleep(0.005)
        await self.cut()

    async def asked(self, action, seconds=15):
        """The next command of this kind from the server; others before it are let pass. Names in snake case."""
        while True:
            name, payload = await asyncio.wait_for(self._asked.get(), seconds)
            if name == action:
                return payload

    async def told(self):
        """The next command from the server, whatever it is: its name and what it says."""
        return await self._asked.get()

    async def cut(self):
        """The connection breaks without a closing handshake."""
        self._socket.transport.abort()
        if self._reader:
            await asyncio.wait([self._reader], timeout=5)

    async def close(self):
        await self._socket.close()
        if self._reader:
            await asyncio.wait([self._reader], timeout=5)
