"""The tests with clients that we did not write, against the real binary. Started by `cargo xtask peers`.

Ends with one line that says what was found, and status 1 if anything falls short.
"""

import argparse
import asyncio
import re
import subprocess
import sys
import time
import traceback
from pathlib import Path

from lib import everything
from lib.frames import Frames, self_test
from lib.http import Operator, Partner, sign
from lib.node_charger import NodeCharger
from lib.python_charger import PythonCharger
from lib import secured
from lib.scenario import Checks, Stage, run
from lib.server import Server
from lib.sink import Sink

COVERAGE = Path(__file__).parents[2] / "docs" / "protocol-coverage.md"
PARTNER_API = Path(__file__).parents[2] / "docs" / "partner-api.md"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, help="the chargeline binary")
    parser.add_argument("--node-modules", required=True, help="where ocpp-rpc is installed")
    parser.add_argument("--only", choices=["python", "node", "secured"], help="one of the chargers, or the security profiles")
    parser.add_argument("--keep", action="store_true", help="keep the temporary directory")
    return parser.parse_args()


def documented_signature():
    """The signature that docs/partner-api.md gives as an example, and what our own signing makes of the same request."""
    text = " ".join(PARTNER_API.read_text().split())
    found = re.search(
        r"secret `(cs_[^`]+)`, `(\w+) (\S+)` with the body `([^`]+)`, the timestamp `(\d+)` and the nonce `([^`]+)`"
        r" the header is `X-Chargeline-Signature: ([^`]+)`",
        text,
    )
    secret, method, target, body, timestamp, nonce, wanted = found.groups()
    return sign(secret, method, target, body.encode(), timestamp, nonce), wanted


def documented_messages():
    """The messages that docs/protocol-coverage.md calls working: (action, sent by the charger)."""
    rows = re.findall(r"^\| (\w+) \| [\w ]+ \| (charger → us|us → charger|both) \| works \|", COVERAGE.read_text(), re.M)
    ways = {"charger → us": [True], "us → charger": [False], "both": [True, False]}
    return {(action, by_charger) for action, way in rows for by_charger in ways[way]}


def documented_example(server, key):
    """The Python example of docs/partner-api.md, run as it stands: what it prints, or why it fails."""
    code = PARTNER_API.read_text().split("```python\n")[1].split("```")[0]
    environment = {
        "CHARGELINE_URL": server.partner_url,
        "CHARGELINE_KEY": key["key_id"],
        "CHARGELINE_SECRET": key["secret"],
    }
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    return done.returncode == 0, done.stdout + done.stderr


async def scenarios(args, server, sink, frames, checks):
    """Both chargers, one after the other, each with a partner of its own."""
    node_modules = Path(args.node_modules).resolve()
    kinds = {
        "python": lambda *where: PythonCharger(*where, frames),
        "node": lambda *where: NodeCharger(*where, frames, node_modules),
    }
    operator = Operator(server.operator_url, server.token())
    for name, make in kinds.items():
        if args.only in (None, name):
            begun = time.monotonic()
            checks.begin(name)
            stage = Stage(name, server, operator, sink, checks, make, Partner)
            try:
                await run(stage, everything.run)
                good, said = await asyncio.to_thread(documented_example, server, stage.key)
                checks.that(good, f"the Python example of docs/partner-api.md runs: {said}")
            except Exception:
                checks.that(False, f"the scenario ends by itself:\n{traceback.format_exc()}")
            print(f"peers: {name}: {time.monotonic() - begun:.1f} s")


def main():
    args = arguments()
    self_test()
    checks = Checks()
    checks.begin("documents")
    checks.same(*documented_signature(), "the signing example of docs/partner-api.md")
    frames = Frames()
    with Sink() as sink, Server(args.server, sink.port, keep=args.keep) as server:
        asyncio.run(scenarios(args, server, sink, frames, checks))
        checks.begin("all")
        checks.that(not sink.unverified, f"every webhook is verified by standardwebhooks: {sink.unverified[:3]}")
        checks.that(server.alive(), "the server is still alive at the end")
        checks.same(server.stop(), 0, "the server ends by itself on SIGTERM")
        if checks.failed:
            server.show_log()
        if args.only in (None, "secured"):
            begun = time.monotonic()
            secured.run(args.server, sink.port, checks, args.keep)
            print(f"peers: secured: {time.monotonic() - begun:.1f} s")
    invalid = frames.validate()
    for line in invalid[:20]:
        print("frame:", line)
    checks.that(not invalid, f"{len(invalid)} of {frames.count()} frames break their schema")
    checks.that(frames.count() > 0 or args.only == "secured", "there were frames")
    missing = documented_messages() - frames.answered()
    if args.only != "secured":
        checks.that(not missing, f"every message that the documents call working was sent and answered: {sorted(missing)}")
    checks.that(len(documented_messages()) >= 40, "the table of messages was found")
    print(
        f"peers: {frames.count()} frames in both directions, {len(invalid)} invalid, "
        f"{len(sink.received)} webhooks verified, {len(checks.passed)} checks passed, {len(checks.failed)} failed"
    )
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
