"""The gateway that the browser looks at, its simulator, and clients that keep it busy."""

import contextlib
import json
import pathlib
import random
import subprocess
import threading
import urllib.parse
import urllib.request

FAKE = "fakefakefakefakefakefakefake"  # keys have 32 symbols; these belong to nobody
# Clients, and how many seconds pass between two of their uploads.
CLIENTS = {"web-tests": 0.5, "crawler": 1.2, "data-team": 3.0, "accessibility": 6.0}
# Settings of their own.
LIMITS = {"crawler": "daily_budget_captchas = 5000", "data-team": "daily_budget_usd = 20"}
KEYS = {name: f"{FAKE}{number:04}" for number, name in enumerate(CLIENTS, start=1)}
TOKEN = f"{FAKE}9999"  # the operators'
CALL_LIMIT_S = 10


class Stage:
    """Entered: a simulator and a gateway that are ready, and no clients yet."""

    def __init__(self, run, binary: pathlib.Path, folder: pathlib.Path, stack: contextlib.ExitStack, fast: bool):
        self.run, self.binary, self.folder, self.stack = run, binary, folder, stack
        http, admin, simulator = run.free_ports(3)
        at = "http://127.0.0.1:{}".format
        self.clients_at, self.admin_at, self.simulator_at = at(http), at(admin), at(simulator)
        self.stop_playing = threading.Event()
        solve_time = "500-2500" if fast else "6000-38000"
        switches = ["--listen", f"127.0.0.1:{simulator}", "--key", run.UPSTREAM_KEY, "--solve-time-ms", solve_time]
        run.start_process(binary, ["simulate", *switches], folder, "simulator", self.simulator_at + "/state", stack)
        (folder / "capgate.toml").write_text(settings(http, admin, self.simulator_at, run.UPSTREAM_KEY, fast))
        self.gateway = self.start_gateway()

    def start_gateway(self) -> subprocess.Popen:
        arguments = ["serve", "--config", "capgate.toml"]
        ready = self.admin_at + "/readyz"
        return self.run.start_process(self.binary, arguments, self.folder, "gateway", ready, self.stack)

    def stop_gateway(self) -> None:
        self.run.stop_process(self.gateway)

    def status(self) -> dict:
        with self.run.direct().open(self.admin_at + "/status.json", timeout=CALL_LIMIT_S) as reply:
            return json.load(reply)

    def switch(self, **switches) -> None:
        """Changes what the simulator does."""
        body = json.dumps(switches).encode()
        with self.run.direct().open(urllib.request.Request(self.simulator_at + "/scenario", body)) as reply:
            reply.read()

    def clear_latches(self) -> None:
        call = urllib.request.Request(self.admin_at + "/clear-latches", b"", {"Authorization": f"Bearer {TOKEN}"})
        with self.run.direct().open(call) as reply:
            reply.read()

    def call(self, page: str, **fields: str) -> str:
        """The body, or nothing while the gateway is away."""
        body = urllib.parse.urlencode(fields).encode()
        with contextlib.suppress(OSError):
            with self.run.direct().open(f"{self.clients_at}/{page}", body, timeout=CALL_LIMIT_S) as reply:
                return reply.read().decode()
        return ""

    def upload(self, client: str) -> str:
        return self.call("in.php", key=KEYS[client], textcaptcha=f"What is {random.random()}?")

    def play(self) -> None:
        """Clients upload and fetch answers from now on, and one of them asks for the balance."""
        playing = [threading.Thread(target=self.uploads, args=item) for item in CLIENTS.items()]
        playing.append(threading.Thread(target=self.balances))
        for thread in playing:
            thread.start()
            self.stack.callback(thread.join)
        self.stack.callback(self.stop_playing.set)

    def uploads(self, client: str, every_s: float) -> None:
        captchas: list[str] = []
        while not self.stop_playing.wait(random.expovariate(1 / every_s)):
            reply = self.upload(client)
            if reply.startswith("OK|"):
                captchas.append(reply[3:])
            answers = self.call("res.php", key=KEYS[client], action="get", ids=",".join(captchas)).split("|")
            if len(answers) == len(captchas):
                told = dict(zip(captchas, answers))
                captchas = [captcha for captcha in captchas if told[captcha] == "CAPCHA_NOT_READY"]

    def balances(self) -> None:
        while not self.stop_playing.wait(2):
            self.call("res.php", key=KEYS["web-tests"], action="getbalance")


def settings(http: int, admin: int, upstream: str, key: str, fast: bool) -> str:
    lines = [
        "[listen]",
        f'clients = "127.0.0.1:{http}"',
        f'admin = "127.0.0.1:{admin}"',
        "[admin]",
        f'token = "{TOKEN}"',
        "[upstream]",
        f'url = "{upstream}"',
        f'key = "{key}"',
        "[polling]",
        f'interval = "{"200ms" if fast else "5s"}"',
        f'first_look = "{"100ms" if fast else "5s"}"',
        "[uploads]",
        'hold = "1s"',
        "[cache]",
        'balance = "1s"',
        "[store]",
        'url = "sqlite:capgate.db"',
    ]
    for name, key in KEYS.items():
        lines += ["[[client]]", f'name = "{name}"', f'key = "{key}"', LIMITS.get(name, "")]
    return "\n".join(lines) + "\n"
