"""Processes on cores of their own, and what the system knows of them: processor time, memory."""

import contextlib
import os
import pathlib
import resource
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

# What is measured has the first core for itself, everything else shares the second.
MEASURED_CORE, OTHER_CORE = 0, 1
START_LIMIT_S, STOP_LIMIT_S = 60, 30
FILES_MAX = 65_536
# Files of a server that are not for connections; capgate has two for each.
FILES_KEPT, FILES_EACH = 600, 2
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy is not for loopback


def allow_many_files() -> None:
    """Ten thousand connections need more than a shell allows. Children inherit it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if most == resource.RLIM_INFINITY else min(FILES_MAX, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def connections_possible() -> int:
    """As many as capgate can have with the files that it may open here."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (files - FILES_KEPT) // FILES_EACH


def install(**packages: str) -> None:
    """What is missing of `program="package"`, as root on Debian."""
    missing = sorted({package for program, package in packages.items() if not shutil.which(program)})
    if missing:
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise SystemExit(f"needed and not here: {', '.join(missing)}")
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *missing], check=True)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def pinned(core: int, *command: object) -> list[str]:
    return ["taskset", "-c", str(core), *map(str, command)]


class Process:
    """One that runs until the stack it was started on is unwound."""

    def __init__(self, core: int, command: list[object], folder: pathlib.Path, name: str, stack: contextlib.ExitStack):
        self.log = folder / f"{name}.log"
        self.started = time.perf_counter()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(pinned(core, *command), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        stack.callback(self.stop)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def wait_for(self, url: str) -> float:
        """Seconds from the start until `url` answers 200."""
        while time.perf_counter() - self.started < START_LIMIT_S:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError, urllib.error.URLError):
                with OPENER.open(url, timeout=5) as reply:
                    if reply.status == 200:
                        return time.perf_counter() - self.started
            time.sleep(0.001)
        raise SystemExit(f"{self.process.args} does not answer:\n{self.log.read_text()[-4000:]}")

    def cpu_s(self) -> float:
        """Processor time of all threads so far, to the nanosecond."""
        spent = 0
        for thread in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):
                spent += int((thread / "schedstat").read_text().split()[0])
        return spent / 1e9

    def resident_bytes(self) -> int:
        """What it has of the machine's memory, pages that the program's file backs among it."""
        return self._status("VmRSS")

    def anonymous_bytes(self) -> int:
        """The part of it that no file backs."""
        return self._status("RssAnon")

    def _status(self, name: str) -> int:
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise SystemExit(f"the system does not tell {name}")


def busy_s() -> float:
    """Processor time that all processes of the machine have had."""
    numbers = [int(number) for number in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    idle = numbers[3] + numbers[4]
    return (sum(numbers[:8]) - idle) / os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, object]:
    processor = next(
        (
            line.split(":", 1)[1].strip()
            for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "processor": processor,
        "memory_gb": round(memory / 2**30),
        "kernel": os.uname().release,
    }
