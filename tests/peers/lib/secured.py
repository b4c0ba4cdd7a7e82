"""Security profiles 0 to 3 with real TLS clients (CH-3): each connects, and who must not come in does not, each counted."""

import asyncio
import base64
import re
import ssl
import subprocess

import websockets
from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action

from lib.http import Operator
from lib.pki import CLIENT, DAY, NOW, SERVER, Authority, key_pem, new_key, request
from lib.server import Server, free_ports

COMPANY = "Our Company"
PASSWORD = "0123456789abcdef"


class Client(ChargePoint):
    """A charger that takes every setting and tells which."""

    def __init__(self, identity, connection):
        super().__init__(identity, connection, response_timeout=15)
        self.changed = asyncio.Queue()

    @on(Action.change_configuration)
    def on_change(self, **_):
        return call_result.ChangeConfiguration(status="Accepted")

    @after(Action.change_configuration)
    def after_change(self, key, value):
        self.changed.put_nowait((key, value))

    @on(Action.get_configuration)
    def on_get(self, **_):
        return call_result.GetConfiguration(configuration_key=[])

    @on(Action.trigger_message)
    def on_trigger(self, **_):
        return call_result.TriggerMessage(status="Accepted")

    async def change(self, wanted):
        """The value to which that setting is changed; others are let pass."""
        while True:
            key, value = await asyncio.wait_for(self.changed.get(), 15)
            if key == wanted:
                return value


class Connected:
    """A charger's connection: boots, and serves commands until it is left."""

    def __init__(self, identity, url, password=None, tls=None):
        self._identity, self._url, self._password, self._tls = identity, url, password, tls

    async def __aenter__(self):
        headers = {}
        if self._password is not None:
            secret = self._password if isinstance(self._password, bytes) else self._password.encode()
            pair = base64.b64encode(self._identity.encode() + b":" + secret).decode()
            headers["Authorization"] = f"Basic {pair}"
        where = f"{self._url}/{self._identity}"
        options = {"subprotocols": ["ocpp1.6"], "additional_headers": headers, "open_timeout": 15}
        if self._tls is not None:
            options["ssl"] = self._tls
        self._socket = await websockets.connect(where, **options)
        self.client = Client(self._identity, self._socket)
        self._task = asyncio.create_task(self.client.start())
        boot = call.BootNotification(charge_point_vendor="peers", charge_point_model="secured")
        self.booted = await self.client.call(boot)
        return self

    async def __aexit__(self, *_):
        await self._socket.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Site:
    """A server that speaks TLS, its authorities, and chargers of each profile."""

    def __init__(self, server, binary, checks):
        self.server, self._binary, self.checks = server, binary, checks
        directory = server.directory
        (port,) = free_ports(1)
        self.plain, self.tls = server.ocpp_url, f"wss://127.0.0.1:{port}/ocpp"
        self._servers = Authority("servers")
        key = new_key()
        (directory / "server.key").write_bytes(key_pem(key))
        (directory / "server.pem").write_bytes(self._servers.issue(key, "localhost", SERVER))
        (directory / "servers.pem").write_bytes(self._servers.pem())
        server.more = f"""
[tls]
listen = "127.0.0.1:{port}"
certificate_file = "{directory}/server.pem"
key_file = "{directory}/server.key"
client_ca_file = "{directory}/ca.pem"
client_crl_file = "{directory}/crl.pem"
organisation = "{COMPANY}"
check_interval = "1s"
authority_certificate_file = "{directory}/ca.pem"
authority_key_file = "{directory}/ca.key"
"""
        server.configure()
        self.ca("init")
        self.clients = Authority.read(directory / "ca.pem", directory / "ca.key")
        (directory / "crl.pem").write_bytes(self.clients.revoke())

    def ca(self, *words, text=None):
        """`chargeline ca`: what it prints."""
        config = str(self.server.directory / "chargeline.toml")
        command = [self._binary, "--config", config, "ca", *words]
        done = subprocess.run(command, input=text, cwd=self.server.directory, capture_output=True, timeout=60)
        self.checks.same(done.returncode, 0, f"chargeline ca {words[0]} works: {done.stderr.decode()}")
        return done.stdout

    def context(self, key=None, certificate=None):
        """A TLS client; with a certificate, one of profile 3."""
        context = ssl.create_default_context(cafile=str(self.server.directory / "servers.pem"))
        if key is not None:
            chain = self.server.directory / "client.pem"
            chain.write_bytes(key_pem(key) + certificate)
            context.load_cert_chain(str(chain))
        return context

    def counted(self, metric, label):
        """A counter's value; 0 before it is seen."""
        found = re.search(rf'^{metric}\{{[^}}]*"{label}"\}} (\d+)$', self.server.metrics(), re.MULTILINE)
        return int(found.group(1)) if found else 0

    async def comes_in(self, what, identity, url, password=None, tls=None):
        try:
            async with Connected(identity, url, password, tls) as charger:
                self.checks.same(charger.booted.status, "Accepted", f"{what}: boots")
        except Exception as error:
            self.checks.that(False, f"{what} comes in: {error!r}")

    async def refused(self, what, counter, identity, url, password=None, tls=None):
        """Is refused, as a stranger is, and that metric counts it."""
        before = self.counted(*counter)
        try:
            async with Connected(identity, url, password, tls):
                self.checks.that(False, f"{what} is refused")
        except websockets.InvalidStatus as error:
            self.checks.same(error.response.status_code, 401, f"{what} is refused")
        except (OSError, EOFError, websockets.WebSocketException):
            # TLS itself says no.
            self.checks.that(tls is not None, f"{what} is refused by TLS")
        await asyncio.sleep(0)
        self.checks.same(self.counted(*counter) - before, 1, f"{what} is counted by {counter}")


LOGIN = "chargeline_gateway_auth_failures_total"
TLS = "chargeline_gateway_tls_failures_total"


async def profiles(site):
    """Each profile connects; the matrix of those who must not."""
    own = new_key()
    certificate = site.ca("sign", "P3", "-", text=request(own, "P3"))
    anonymous, good = site.context(), site.context(own, certificate)
    await site.comes_in("profile 0", "P0", site.plain)
    await site.comes_in("profile 1", "P1", site.plain, PASSWORD)
    await site.comes_in("profile 2", "P2", site.tls, PASSWORD, anonymous)
    await site.comes_in("profile 3", "P3", site.tls, None, good)

    await site.refused("a plain profile 2", (LOGIN, "downgrade"), "P2", site.plain, PASSWORD)
    await site.refused("profile 2 without password", (LOGIN, "wrong"), "P2", site.tls, None, anonymous)
    await site.refused("a stolen identity", (LOGIN, "wrong"), "P2", site.tls, "guessed-guessed-", anonymous)
    await site.refused("profile 3 without certificate", (LOGIN, "no_certificate"), "P3", site.tls, None, anonymous)
    await site.refused("a foreign name", (LOGIN, "foreign_certificate"), "P2", site.tls, PASSWORD, good)

    key = new_key()
    foreign = site.context(key, Authority("others").issue(key, "P3", CLIENT, COMPANY))
    await site.refused("a foreign authority", (TLS, "unknown_issuer"), "P3", site.tls, None, foreign)
    ended = site.clients.issue(key, "P3", CLIENT, COMPANY, NOW - 30 * DAY, NOW - DAY)
    await site.refused("an ended certificate", (TLS, "expired_certificate"), "P3", site.tls, None, site.context(key, ended))
    other = site.context(key, site.clients.issue(key, "P3", CLIENT, "Another Company"))
    await site.refused("another company's", (LOGIN, "foreign_certificate"), "P3", site.tls, None, other)
    server = site.context(key, site.clients.issue(key, "P3", SERVER, COMPANY))
    await site.refused("a server's certificate", (TLS, "bad_certificate"), "P3", site.tls, None, server)


async def revocation(site):
    """A list that changes while the server runs, and one that cannot be read."""
    key = new_key()
    certificate = site.ca("sign", "P3", "-", text=request(key, "P3"))
    context = site.context(key, certificate)
    await site.comes_in("a certificate before it is revoked", "P3", site.tls, None, context)
    reloads = "chargeline_gateway_tls_reloads_total"
    crl = site.server.directory / "crl.pem"
    for text, outcome in [(b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "refused"),
                          (site.clients.revoke(certificate), "taken")]:
        before = site.counted(reloads, outcome)
        crl.write_bytes(text)
        for _ in range(100):
            if site.counted(reloads, outcome) > before:
                break
            await asyncio.sleep(0.1)
        site.checks.that(site.counted(reloads, outcome) > before, f"the changed list is {outcome}")
        if outcome == "refused":
            await site.comes_in("with an unusable list the old one stays", "P3", site.tls, None, context)
    await site.refused("a revoked certificate", (TLS, "revoked_certificate"), "P3", site.tls, None, site.context(key, certificate))


async def rotation(site, operator):
    """A new password, with a kill -9 between, and the old one until the new one was used."""
    tls = site.context()
    async with Connected("P2", site.tls, PASSWORD, tls) as charger:
        command = operator.post("/chargers/P2/authorization-key")["command_id"]
        fresh = await charger.client.change("AuthorizationKey")
        site.checks.that(re.fullmatch("[0-9a-f]{40}", fresh) is not None, "the new password is 20 bytes as hex digits")
        for _ in range(100):
            state = operator.get(f"/chargers/P2/commands/{command}")["state"]
            if state != "Pending":
                break
            await asyncio.sleep(0.05)
        site.checks.same(state, "Accepted", "the command's result")
    site.server.kill()
    site.server.start()
    await site.comes_in("after a kill -9 the old password", "P2", site.tls, PASSWORD, tls)
    await site.comes_in("the new password, as bytes", "P2", site.tls, bytes.fromhex(fresh), tls)
    await site.refused("the old password after the new one", (LOGIN, "wrong"), "P2", site.tls, PASSWORD, tls)
    await site.comes_in("the new password, as digits", "P2", site.tls, fresh, tls)
    stored = b"".join(path.read_bytes() for path in site.server.directory.rglob("*") if path.is_file())
    site.checks.that(fresh.encode() not in stored, "the new password is in no file in the clear")


async def raising(site, operator):
    """From profile 1 to 2: plain until it has come in with TLS."""
    async with Connected("P1", site.plain, PASSWORD) as charger:
        change = {"kind": "ChangeConfiguration", "payload": {"key": "SecurityProfile", "value": "2"}}
        operator.post("/chargers/P1/commands", change)
        site.checks.same(await charger.client.change("SecurityProfile"), "2", "the charger is told")
    await site.comes_in("plain before it was raised", "P1", site.plain, PASSWORD)
    await site.comes_in("the raised profile", "P1", site.tls, PASSWORD, site.context())
    await site.refused("plain after it was raised", (LOGIN, "downgrade"), "P1", site.plain, PASSWORD)
    change["payload"]["value"] = "1"
    site.checks.same(operator.call("POST", "/chargers/P1/commands", change).status, 409, "no command lowers it")


async def _all(site, operator):
    await profiles(site)
    await revocation(site)
    await rotation(site, operator)
    await raising(site, operator)


def run(binary, sink_port, checks, keep):
    """Everything, on a server of its own."""
    checks.begin("secured")
    with_server = Server(binary, sink_port, keep=keep)
    site = Site(with_server, str(with_server.binary), checks)
    with with_server as server:
        operator = Operator(server.operator_url, server.token())
        operator.put("/sites/secured", {"name": "Secured", "address": "Somewhere 1", "time_zone": "Europe/Berlin"})
        basic = {"site_id": "secured", "connectors": 1, "auth": "basic", "password": PASSWORD}
        operator.put("/chargers/P0", {"site_id": "secured", "connectors": 1, "auth": "none"})
        operator.put("/chargers/P1", basic)
        operator.put("/chargers/P2", basic | {"security_profile": 2})
        operator.put("/chargers/P3", {"site_id": "secured", "connectors": 1, "auth": "certificate"})
        asyncio.run(_all(site, operator))
        alerts = [alert["code"] for alert in operator.get("/alerts")["items"]]
        for code in ["connection_downgrade", "connection_foreign_certificate", "certificate_refused"]:
            checks.that(code in alerts, f"operators are told of {code}: {alerts}")
        checks.same(server.stop(), 0, "the server ends by itself on SIGTERM")
        if checks.failed:
            server.show_log()
