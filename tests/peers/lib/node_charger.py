"""A charger by npm `ocpp-rpc`: a Node process (`node/charger.cjs`) that is told what to do line by line, in JSON."""

import asyncio
import json
import os
import re
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "node" / "charger.cjs"


def snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def snaked(value):
    if isinstance(value, dict):
        return {snake(key): snaked(each) for key, each in value.items()}
    if isinstance(value, list):
        return [snaked(each) for each in value]
    return value


class NodeCharger:
    """What the scenario drives; the same face as `PythonCharger`."""

    def __init__(self, url, identity, password, frames, node_modules):
        self._about = {"endpoint": url, "identity": identity}
        self._password = password
        self._identity = identity
        self._frames = frames
        self._node_modules = node_modules
        self._asked = asyncio.Queue()
        self._waiting = {}
        self._last = 0
        self._process = None

    async def _begin(self):
        environment = {**os.environ, "NODE_PATH": str(self._node_modules)}
        pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        self._process = await asyncio.create_subprocess_exec("node", str(SCRIPT), env=environment, **pipes)
        self._reader = asyncio.create_task(self._read())

    async def _read(self):
        async for line in self._process.stdout:
            said = json.loads(line)
            if "frame" in said:
                self._frames.record(self._identity, said["outbound"], said["frame"])
            elif "asked" in said:
                self._asked.put_nowait((said["asked"], snaked(said["payload"])))
            else:
                self._waiting.pop(said["n"]).set_result(said)
        for waiting in self._waiting.values():
            waiting.set_exception(RuntimeError("node ended"))

    async def _tell(self, do, **what):
        if self._process is None:
            await self._begin()
        self._last += 1
        answer = self._waiting[self._last] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps({"n": self._last, "do": do, **what}).encode() + b"\n")
        await self._process.stdin.drain()
        said = await asyncio.wait_for(answer, 20)
        if "error" in said:
            raise RuntimeError(f"{do}: {said['error']}")
        return said["ok"]

    async def connect(self, password=None):
        return await self._tell("connect", **self._about, password=password or self._password)

    async def refused(self, password):
        try:
            await self.connect(password)
        except RuntimeError as error:
            found = re.search(r"\b[45]\d\d\b", str(error))
            return int(found.group()) if found else str(error)
        await self.cut()
        return None

    async def call(self, action, unique_id=None, **payload):
        if unique_id is not None:
            return snaked(await self._tell("raw", action=action, id=unique_id, payload=payload))
        return snaked(await self._tell("call", action=action, payload=payload))

    async def call_and_lose_answer(self, action, unique_id, **payload):
        await self._tell("lose", action=action, id=unique_id, payload=payload)

    async def send_and_cut(self, action, unique_id, **payload):
        await self._tell("sendAndCut", action=action, id=unique_id, payload=payload)

    async def asked(self, action, seconds=15):
        while True:
            name, payload = await asyncio.wait_for(self._asked.get(), seconds)
            if name == action:
                return payload

    async def cut(self):
        await self._tell("cut")

    async def close(self):
        if self._process is not None:
            await self._tell("close")
            self._process.stdin.close()
            await asyncio.wait_for(self._process.wait(), 10)
