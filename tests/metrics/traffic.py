"""A busy hour in seconds: clients of three names, and a service that is slow, full, blocking and broken in turn."""

import contextlib
import http.server
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

FAKE = "fakefakefakefakefakefakefake"  # keys have 32 symbols; these belong to nobody
KEYS = {"team-a": FAKE + "0001", "team-b": FAKE + "0002", "team-c": FAKE + "0003"}
# The last of them soon comes to its end.
LIMITS = {"team-c": ["daily_budget_captchas = 9", "monthly_budget_usd = 50", "max_open = 5"]}
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy is not for loopback
# Alerts that this traffic must raise; they have no `for`, or a short one.
RAISES = {
    "CapgateBlocked",
    "CapgateQueueFull",
    "CapgateClientBudgetNear",
    "CapgateClientOverBudget",
    "CapgatePingbacksGivenUp",
}
CALL_LIMIT_S = 10
# Where nothing is taken that is pushed to a client.
REFUSES = "/refuses"
# More than the queue takes at once.
BURST = 30


def settings(http: int, admin: int, upstream: str, key: str) -> str:
    lines = [
        "[listen]",
        f'clients = "127.0.0.1:{http}"',
        f'admin = "127.0.0.1:{admin}"',
        "[upstream]",
        f'url = "{upstream}"',
        f'key = "{key}"',
        f'pingback_url = "http://127.0.0.1:{http}"',
        "[polling]",
        'interval = "200ms"',
        'first_look = "100ms"',
        'first_look_token = "100ms"',
        'hold = "1s"',
        "[uploads]",
        "queue_max = 10",
        'hold = "1s"',
        "[cache]",
        'balance = "200ms"',
        'load = "200ms"',
        "[pingback]",
        'allow = ["127.0.0.1"]',
        'register_from = ["127.0.0.1"]',
        'retry_after = "100ms"',
        'retry_for = "1s"',
        "[store]",
        'url = "memory:"',
        "[audit]",
        'file = "audit.jsonl"',
    ]
    for name, key in KEYS.items():
        lines += ["[[client]]", f'name = "{name}"', f'key = "{key}"', *LIMITS.get(name, [])]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def clients(gateway: str, simulator: str):
    """Plays until the block is left."""
    stop = threading.Event()
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    call(f"{gateway}/res.php", key=KEYS["team-a"], action="add_pingback", addr="127.0.0.1")
    receivers = [f"http://127.0.0.1:{receiver.server_port}{path}" for path in ("/", REFUSES)]
    playing = [threading.Thread(target=upload_and_poll, args=(gateway, key, stop)) for key in KEYS.values() for _ in range(3)]
    for url in receivers:
        further = {"pingback": url}
        playing.append(threading.Thread(target=upload_and_poll, args=(gateway, KEYS["team-a"], stop), kwargs=further))
    playing.append(threading.Thread(target=ask_about_the_account, args=(gateway, stop)))
    playing.append(threading.Thread(target=weather, args=(gateway, simulator, stop)))
    for thread in playing:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in playing:
            thread.join()
        receiver.shutdown()


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes what is pushed to a client, but for one path."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(500 if self.path == REFUSES else 200)
        self.end_headers()

    def log_message(self, *_) -> None:
        pass


def call(url: str, **fields: str) -> str:
    """The body, or nothing while the other side is broken."""
    body = urllib.parse.urlencode(fields).encode()
    try:
        with OPENER.open(url, body, timeout=CALL_LIMIT_S) as reply:
            return reply.read().decode()
    except (OSError, urllib.error.URLError):
        return ""


def upload_and_poll(gateway: str, key: str, stop: threading.Event, **further: str) -> None:
    while not stop.is_set():
        reply = call(f"{gateway}/in.php", key=key, textcaptcha="Two and three?", **further)
        # What cannot be an upload is refused here.
        call(f"{gateway}/in.php", key=key, textcaptcha="?" * 141)
        if not reply.startswith("OK|"):
            stop.wait(0.1)
            continue
        captcha = reply[3:]
        while not stop.is_set():
            reply = call(f"{gateway}/res.php", key=key, action="get2", id=captcha)
            if reply != "CAPCHA_NOT_READY" and reply:
                break
            stop.wait(0.05)
        call(f"{gateway}/res.php", key=key, action="reportgood", id=captcha)


def ask_about_the_account(gateway: str, stop: threading.Event) -> None:
    key = KEYS["team-a"]
    while not stop.is_set():
        call(f"{gateway}/res.php", key=key, action="getbalance")
        call(f"{gateway}/load.php", key=key)
        stop.wait(0.5)


def weather(gateway: str, simulator: str, stop: threading.Event) -> None:
    """Some captchas nobody can solve; then pages come in the place of replies; then a flood of uploads; then a block."""
    switch(simulator, {"faults": {"unsolvable": "1/5"}})
    stop.wait(5)
    switch(simulator, {"faults": {"html@res": 0.3}})
    stop.wait(3)
    switch(simulator, {"faults": {"html@res": None}})
    flood(gateway)
    stop.wait(2)
    switch(simulator, {"faults": {"MAX_USER_TURN@in": "next 1"}})


def flood(gateway: str) -> None:
    fields = [{"key": KEYS["team-b"], "textcaptcha": f"{number} and one?"} for number in range(BURST)]
    uploads = [threading.Thread(target=call, args=(f"{gateway}/in.php",), kwargs=each) for each in fields]
    for upload in uploads:
        upload.start()
    for upload in uploads:
        upload.join()


def switch(simulator: str, switches: dict) -> None:
    call_json = urllib.request.Request(f"{simulator}/scenario", json.dumps(switches).encode())
    with OPENER.open(call_json, timeout=CALL_LIMIT_S) as reply:
        reply.read()
