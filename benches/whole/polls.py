"""Polls: of an open captcha and of an answered one."""

import load
from load import Load, poll_call
from servers import KEY, Place, Server, poll_target, wait_for_answer
from table import Row

RATE = 5_000
IMAGE = f"key={KEY}&method=base64&body=iVBORw0KGgo{'A' * 400}".encode()


def measure(place: Place, tool: Load, rounds: int, seconds: float) -> list[Row]:
    servers = place.all()
    rows = []
    for state, captcha, expect in captchas(servers[0]):
        rows += saturated(state, servers, tool, poll_target(captcha), rounds, seconds)
        rows += at_rate(state, servers, tool, poll_target(captcha), expect, rounds, seconds)
    return rows


def captchas(capgate: Server) -> list[tuple[str, str, str]]:
    """An open one and an answered one, each with what a poll is told: the stand-in solves those with an even id."""
    ids = [capgate.upload(IMAGE, "application/x-www-form-urlencoded") for _ in range(2)]
    even, odd = sorted(ids, key=lambda captcha: int(captcha) % 2)
    wait_for_answer(capgate, even)
    return [("open", odd, "CAPCHA_NOT_READY"), ("answered", even, "OK|answer")]


def saturated(
    state: str, servers: list[Server], tool: Load, target: str, rounds: int, seconds: float
) -> list[Row]:
    done = load.in_turns(servers, rounds, lambda server: tool.saturate(server, target, seconds, servers))
    rows = []
    for what, unit, field, against, limits in (
        ("as many as go through", "1/s", "per_second", "nginx", {"at_least": 2.0}),
        ("processor time of each, then", "us", "cpu_us", "bare", {"at_most": 1.2}),
    ):
        values = load.medians(done, field)
        own = values.pop("capgate")
        rows.append(
            Row(f"Poll of an {state} captcha", what, unit, own, values, against, load.ratio(done, field, against), **limits)
        )
    return rows


def at_rate(
    state: str, servers: list[Server], tool: Load, target: str, expect: str, rounds: int, seconds: float
) -> list[Row]:
    def one(server: Server) -> load.Round:
        # The bare handler says the same of every captcha.
        told = "CAPCHA_NOT_READY" if server.name == "bare" else expect
        return tool.at_rate(server, poll_call(target), told, RATE, seconds, servers)

    done = load.in_turns(servers, rounds, one)
    rows = []
    for what, unit, field, limits in (
        (f"p50 at {RATE:,}/s", "us", "p50_us", {}),
        (f"p99 at {RATE:,}/s", "us", "p99_us", {"at_most": 1_000}),
        (f"processor time of each at {RATE:,}/s", "us", "cpu_us", {}),
    ):
        values = load.medians(done, field)
        own = values.pop("capgate")
        rows.append(Row(f"Poll of an {state} captcha", what, unit, own, values, **limits))
    return rows
