"""Load: as much as goes through (wrk), and a fixed rate whatever the server does (the tool)."""

import dataclasses
import json
import pathlib
import re
import resource
import statistics
import subprocess
import time

import processes
from processes import OTHER_CORE, pinned
from servers import Programs, Server

CONNECTIONS = 64
# A round is dropped when others had more of the machine meanwhile.
FOREIGN_MAX_CORES = 0.25


@dataclasses.dataclass
class Round:
    """What one server did in one round."""

    calls: int
    seconds: float
    cpu_s: float
    # What others had of the machine meanwhile.
    foreign_cores: float
    p50_us: float = 0.0
    p99_us: float = 0.0

    @property
    def per_second(self) -> float:
        return self.calls / self.seconds

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / self.calls * 1e6


def poll_call(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: capgate.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n".encode()


def upload_call(body: bytes, content_type: str) -> bytes:
    head = f"POST /in.php HTTP/1.1\r\nHost: capgate.example\r\nUser-Agent: bench\r\nAccept: */*\r\n"
    return f"{head}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Load:
    def __init__(self, programs: Programs, folder: pathlib.Path):
        self.programs, self.folder = programs, folder

    def saturate(self, server: Server, target: str, seconds: float, others: list[Server]) -> Round:
        """As many polls as go through 64 connections."""
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "-H", "User-Agent: bench", server.url + target]
        text, cpu, foreign = self._measured(server, pinned(OTHER_CORE, *command), others)
        calls, took = re.search(r"(\d+) requests in ([\d.]+)s", text).groups()
        if "Non-2xx" in text or "Socket errors" in text:
            raise SystemExit(f"{server.name} failed under load:\n{text}")
        return Round(int(calls), float(took), cpu, foreign)

    def at_rate(
        self,
        server: Server,
        call: bytes,
        expect: str,
        rate: float,
        seconds: float,
        others: list[Server],
        connections: int = CONNECTIONS,
    ) -> Round:
        """The same call again and again, in an open loop."""
        path = self.folder / "call"
        path.write_bytes(call)
        options = ["--to", f"127.0.0.1:{server.port}", "--call", path, "--expect", expect, "--rate", rate]
        options += ["--seconds", seconds, "--connections", connections]
        command = pinned(OTHER_CORE, self.programs.tool, "rate", *options)
        text, cpu, foreign = self._measured(server, command, others)
        told = json.loads(text)
        return Round(told["calls"], seconds, cpu, foreign, told["p50_us"], told["p99_us"])

    def _measured(self, server: Server, command: list[str], others: list[Server]) -> tuple[str, float, float]:
        """What the load says, the server's processor time, and what others had of the machine."""
        ours = [server, *(other for other in others if other is not server)]
        began, busy, loads = time.perf_counter(), processes.busy_s(), children_s()
        before = [each.process.cpu_s() for each in ours]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        after = [each.process.cpu_s() for each in ours]
        took = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed at {server.name}:\n{done.stdout}{done.stderr}")
        mine = sum(after) - sum(before) + children_s() - loads
        foreign = max(0.0, processes.busy_s() - busy - mine) / took
        return done.stdout, after[0] - before[0], foreign


def children_s() -> float:
    """Processor time of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def quiet(rounds: list[dict[str, Round]]) -> list[dict[str, Round]]:
    """The rounds in which others had little of the machine; all of them where that leaves too few."""
    kept = [each for each in rounds if all(one.foreign_cores <= FOREIGN_MAX_CORES for one in each.values())]
    return kept if len(kept) * 3 >= len(rounds) else rounds


def medians(rounds: list[dict[str, Round]], what: str) -> dict[str, float]:
    return {name: statistics.median(getattr(each[name], what) for each in rounds) for name in rounds[0]}


def ratio(rounds: list[dict[str, Round]], what: str, peer: str) -> float:
    """capgate's part of what a peer has or needs: each round's own, for both had the same machine then."""
    return statistics.median(getattr(each["capgate"], what) / getattr(each[peer], what) for each in rounds)


def in_turns(servers: list[Server], rounds: int, measure) -> list[dict[str, Round]]:
    """Each round measures every server, each time beginning with another; the first, which warms them up, does not count."""
    done = []
    for number in range(rounds + 1):
        order = servers[number % len(servers) :] + servers[: number % len(servers)]
        done.append({server.name: measure(server) for server in order})
    return quiet(done[1:])
