"""Memory: of the whole process as the system sees it, and what it keeps of captchas as its allocator counts it."""

import contextlib
import json
import pathlib
import subprocess
import time

from load import poll_call
from polls import IMAGE
from processes import OTHER_CORE, pinned
from servers import Place, Programs, Server, poll_target
from table import Row

GROUP = "Memory"
# Memory that was just asked for may still be written to.
SETTLES_S = 2.0


def measure(place: Place, connections: int) -> list[Row]:
    capgate = place.capgate()
    capgate.ready_s()
    time.sleep(SETTLES_S)
    idle = capgate.process.resident_bytes()
    rows = [
        Row(GROUP, "idle, with the program's own pages", "MB", idle / 1e6, at_most=15),
        Row(GROUP, "idle, without them", "MB", capgate.process.anonymous_bytes() / 1e6),
    ]
    captcha = capgate.upload(IMAGE, "application/x-www-form-urlencoded")
    for what, target, is_held, limit in (
        ("an idle connection, after a poll", poll_target(captcha), False, 15),
        ("a held poll, with its connection", poll_target(captcha, wait=300), True, None),
    ):
        size = each_connection(place, capgate, target, is_held, connections) / 1e3
        rows.append(Row(GROUP, f"{what} (of {connections:,})", "kB", size, at_most=limit))
    return rows


def each_connection(place: Place, capgate: Server, target: str, is_held: bool, count: int) -> float:
    """Of a fresh process, so that what an earlier load left does not help."""
    call = place.folder / "call"
    call.write_bytes(poll_call(target))
    options = ["--to", f"127.0.0.1:{capgate.port}", "--count", count, "--call", call, *(["--held"] if is_held else [])]
    before = capgate.process.resident_bytes()
    command = pinned(OTHER_CORE, place.programs.tool, "connect", *options)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        if client.stdout.readline() != "open\n":
            raise SystemExit("the connections could not be opened")
        time.sleep(SETTLES_S)
        after = capgate.process.resident_bytes()
        client.stdin.close()
    return (after - before) / count


def of_captchas(program: pathlib.Path, sizes: list[int], churn: int) -> list[Row]:
    """Counted by the allocator, in a process of its own."""
    command = [program, "--churn", churn, *(argument for size in sizes for argument in ("--open", size))]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{program} failed:\n{done.stdout}{done.stderr}")
    told = json.loads(done.stdout)
    rows = []
    for size in told["sizes"]:
        whole, what = size["by_driver"] + size["by_store"], f"an open captcha of {size['open']:,}"
        rows.append(Row(GROUP, f"{what}, all indices", "bytes", whole, at_most=130))
        rows.append(Row(GROUP, f"{what}, of these by the store", "bytes", size["by_store"]))
    grown = told["churn"]
    rows.append(
        Row(
            GROUP,
            f"after {grown['captchas']:,} captchas have come and gone, of what it was after the first {grown['first']:,}",
            "ratio",
            grown["after"] / grown["before"],
            at_most=1.05,
        )
    )
    return rows


def resident(programs: Programs, folder: pathlib.Path, sizes: list[int]) -> list[Row]:
    """The same as the system sees it: a gateway that starts on a store with so many open captchas."""
    rows, empty = [], 0.0
    for size in [0, *sizes]:
        with contextlib.ExitStack() as stack:
            place = Place(programs, folder / f"open-{size}", stack, solved="none")
            if size:
                place.fill(size)
            capgate = place.capgate()
            capgate.ready_s()
            time.sleep(SETTLES_S)
            now = capgate.process.anonymous_bytes()
        if not size:
            empty = now
            continue
        what = f"an open captcha of {size:,}, store and start included"
        rows.append(Row(GROUP, what, "bytes", (now - empty) / size))
    return rows
