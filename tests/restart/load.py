"""Clients that upload and poll without a break; a call that fails is remembered with its reason."""

import contextlib
import http.client
import json
import select
import socket
import threading
import time
import urllib.parse
import urllib.request

FAKE = "fakefakefakefakefakefakefake"  # keys have 32 symbols; these belong to nobody
KEYS = {"team-a": FAKE + "0001", "team-b": FAKE + "0002"}
VISITOR = FAKE + "0003"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy is not for loopback
# Of each team, half of them keep their connection between calls.
WORKERS = 4
CALL_LIMIT_S = 30
WAIT_LIMIT_S = 120


class Client:
    """Calls as a client library makes them: a connection that the other side has closed is not used again."""

    def __init__(self, address: tuple[str, int], key: str, keeps_alive: bool) -> None:
        self.key, self.keeps_alive = key, keeps_alive
        self.connection = http.client.HTTPConnection(*address, timeout=CALL_LIMIT_S)

    def call(self, page: str, **fields: str) -> str:
        held = self.connection.sock
        if held is not None and (not self.keeps_alive or select.select([held], [], [], 0)[0]):
            self.connection.close()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if not self.keeps_alive:
            headers["Connection"] = "close"
        body = urllib.parse.urlencode({"key": self.key} | fields)
        try:
            self.connection.request("POST", page, body, headers)
            reply = self.connection.getresponse()
            text = reply.read().decode()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            return f"{type(error).__name__}: {error}"
        return text if reply.status == 200 else f"status {reply.status}"


class Load:
    """What the clients have met."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.changed = threading.Condition()
        self.ended_well, self.accepted = 0, 0
        self.failures: list[str] = []

    def calls(self) -> int:
        return self.ended_well + len(self.failures)

    def bought(self) -> int:
        return self.accepted

    def failed(self) -> int:
        return len(self.failures)

    def faults(self) -> list[str]:
        return [f"a call failed: {failure}" for failure in self.failures[:10]]

    def wait_for_calls(self, count: int) -> None:
        """Until so many more calls have ended well, or one has failed."""
        with self.changed:
            goal = self.ended_well + count
            if not self.changed.wait_for(lambda: self.ended_well >= goal or self.failures, WAIT_LIMIT_S):
                raise SystemExit("the clients' calls do not end")

    def ended(self, what: str, reply: str, is_well: bool) -> bool:
        with self.changed:
            if is_well:
                self.ended_well += 1
            else:
                self.failures.append(f"{what}: {reply}")
            self.changed.notify_all()
        return is_well


@contextlib.contextmanager
def clients(address: tuple[str, int]):
    """They play until the block is left, and each fetches what it has bought."""
    load = Load()
    playing = [
        threading.Thread(target=play, args=(load, Client(address, key, keeps_alive=number % 2 == 0), f"{name} {number}"))
        for name, key in KEYS.items()
        for number in range(WORKERS)
    ]
    for thread in playing:
        thread.start()
    try:
        yield load
    finally:
        load.stop.set()
        for thread in playing:
            thread.join()


def play(load: Load, client: Client, name: str) -> None:
    number = 0
    while not load.stop.is_set():
        number += 1
        reply = client.call("/in.php", textcaptcha=f"{name}, {number}: two and three?")
        if not load.ended(f"{name}: upload", reply, reply.startswith("OK|")):
            continue
        with load.changed:
            load.accepted += 1
        captcha, reply = reply[3:], "CAPCHA_NOT_READY"
        while reply == "CAPCHA_NOT_READY":
            reply = client.call("/res.php", action="get", id=captcha)
            load.ended(f"{name}: poll", reply, reply == "CAPCHA_NOT_READY" or reply.startswith("OK|"))


class Door:
    """Knocks all the time, and remembers for how long nobody answered."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address, self.refused, self.closed_at, self.opened_at = address, 0, None, None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.knock)

    def __enter__(self) -> "Door":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop.set()
        self.thread.join()

    def knock(self) -> None:
        while not self.stop.is_set() and self.opened_at is None:
            if connects(self.address):
                if self.closed_at is not None:
                    self.opened_at = time.monotonic()
            else:
                self.refused += 1
                self.closed_at = self.closed_at or time.monotonic()
            self.stop.wait(0.002)

    def is_open_again(self) -> bool:
        return self.opened_at is not None

    def gap_s(self) -> float:
        return self.opened_at - self.closed_at


def connects(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=CALL_LIMIT_S).close()
    except OSError:
        return False
    return True


def fetch_json(url: str):
    with OPENER.open(url, timeout=CALL_LIMIT_S) as reply:
        return json.load(reply)
