"""How processor time, memory and calls to the upstream grow with polling clients, and with open captchas."""

import contextlib
import pathlib

import processes
from load import Load, poll_call
from servers import Place, Programs, poll_target
from table import Row

# As the documentation asks clients to poll.
POLL_EVERY_S = 5
# Captchas that are open while the number of clients grows, and clients that poll while the number of captchas grows.
CAPTCHAS, CLIENTS = 100, 100
FIRST_ID = 70_123_400_000


def measure(programs: Programs, folder: pathlib.Path, clients: list[int], captchas: list[int], seconds: float) -> list[Row]:
    rows = []
    for count in clients:
        rows += grown(programs, folder / f"clients-{count}", count, CAPTCHAS, seconds, "Growth with polling clients")
    for count in captchas:
        rows += grown(programs, folder / f"captchas-{count}", CLIENTS, count, seconds, "Growth with open captchas")
    return rows


def grown(
    programs: Programs, folder: pathlib.Path, clients: int, captchas: int, seconds: float, group: str
) -> list[Row]:
    """Every client polls every five seconds, and none of the captchas is ever solved. Each has a connection, as long as
    there are files for that."""
    with contextlib.ExitStack() as stack:
        place = Place(programs, folder, stack, solved="none")
        place.fill(captchas)
        # What the upstream would count does not bind the growth that is to be seen.
        capgate = place.capgate(budgets="observe")
        capgate.ready_s()
        tool, call = Load(programs, folder), poll_call(poll_target(str(FIRST_ID)))
        before = place.upstream_counts()["looks"]
        connections = min(clients, processes.connections_possible())
        rate = clients / POLL_EVERY_S
        done = tool.at_rate(capgate, call, "CAPCHA_NOT_READY", rate, seconds, [place.upstream], connections)
        looks = place.upstream_counts()["looks"] - before
        memory = capgate.process.resident_bytes()
    what = f"{clients:,} clients, {captchas:,} captchas"
    return [
        Row(group, f"{what}: processor", "% of a core", done.cpu_s / seconds * 100),
        Row(group, f"{what}: memory", "MB", memory / 1e6),
        Row(group, f"{what}: looks at the upstream", "1/min", looks / seconds * 60),
    ]
