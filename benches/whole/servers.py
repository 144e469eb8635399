"""capgate and its peers, each on the measured core, all in front of one stand-in upstream."""

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import time
import urllib.parse
import urllib.request

from processes import MEASURED_CORE, OPENER, OTHER_CORE, Process, free_port

HERE = pathlib.Path(__file__).resolve().parent
FAKE = "fakefakefakefakefakefakefake"  # keys have 32 symbols; these belong to nobody
KEY, UPSTREAM_KEY = FAKE + "0001", FAKE + "0000"
ANSWER_LIMIT_S = 60


@dataclasses.dataclass(frozen=True)
class Programs:
    capgate: pathlib.Path
    tool: pathlib.Path


@dataclasses.dataclass
class Server:
    name: str
    process: Process
    port: int
    admin_port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, target: str) -> str:
        with OPENER.open(self.url + target, timeout=30) as reply:
            return reply.read().decode()

    def upload(self, body: bytes, content_type: str) -> str:
        """The new captcha's id."""
        call = urllib.request.Request(f"{self.url}/in.php", body, {"Content-Type": content_type})
        with OPENER.open(call, timeout=30) as reply:
            text = reply.read().decode()
        if not text.startswith("OK|"):
            raise SystemExit(f"{self.name} did not take an upload: {text}")
        return text.removeprefix("OK|")

    def ready_s(self) -> float:
        path = "/readyz" if self.admin_port else poll_target("1")
        return self.process.wait_for(f"http://127.0.0.1:{self.admin_port or self.port}{path}")


def poll_target(captcha: str, **more: object) -> str:
    return "/res.php?" + urllib.parse.urlencode({"key": KEY, "action": "get", "id": captcha} | more)


def filled_in(name: str, folder: pathlib.Path, **values: object) -> pathlib.Path:
    """A file beside this one with its `{names}` filled in."""
    text = (HERE / name).read_text()
    for key, value in (values | {"folder": folder}).items():
        text = text.replace("{" + key + "}", str(value))
    (folder / name).write_text(text)
    return folder / name


class Place:
    """A folder, and the servers that were started in it."""

    def __init__(self, programs: Programs, folder: pathlib.Path, stack: contextlib.ExitStack, solved: str = "even"):
        self.programs, self.folder, self.stack = programs, folder, stack
        self.folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        options = ["upstream", "--listen", f"127.0.0.1:{port}", "--solved", solved]
        process = Process(OTHER_CORE, [programs.tool, *options], folder, "upstream", stack)
        self.upstream = Server("upstream", process, port)
        self.upstream.process.wait_for(f"{self.upstream.url}/counts")

    def upstream_counts(self) -> dict[str, int]:
        return json.loads(self.upstream.get("/counts"))

    def capgate(self, stack: contextlib.ExitStack | None = None, **settings: str) -> Server:
        port, admin_port = free_port(), free_port()
        values = {"budgets": "enforce", "upload_gap": "50ms"} | settings
        config = filled_in(
            "capgate.toml",
            self.folder,
            port=port,
            admin_port=admin_port,
            upstream_port=self.upstream.port,
            upstream_key=UPSTREAM_KEY,
            key=KEY,
            **values,
        )
        command = [self.programs.capgate, "serve", "--config", config]
        process = Process(MEASURED_CORE, command, self.folder, "capgate", stack or self.stack)
        return Server("capgate", process, port, admin_port)

    def nginx(self) -> Server:
        port = free_port()
        config = filled_in("nginx.conf", self.folder, port=port, upstream_port=self.upstream.port)
        command = ["nginx", "-p", self.folder, "-c", config]
        return Server("nginx", Process(MEASURED_CORE, command, self.folder, "nginx", self.stack), port)

    def haproxy(self) -> Server:
        port = free_port()
        config = filled_in("haproxy.cfg", self.folder, port=port, upstream_port=self.upstream.port)
        command = ["haproxy", "-db", "-f", config]
        return Server("haproxy", Process(MEASURED_CORE, command, self.folder, "haproxy", self.stack), port)

    def bare(self) -> Server:
        port = free_port()
        command = [self.programs.tool, "bare", "--listen", f"127.0.0.1:{port}"]
        return Server("bare", Process(MEASURED_CORE, command, self.folder, "bare", self.stack), port)

    def all(self) -> list[Server]:
        """capgate and its peers, all of them ready."""
        servers = [self.capgate(), self.nginx(), self.haproxy(), self.bare()]
        for server in servers:
            server.ready_s()
        return servers

    def fill(self, captchas: int, solved_one_in: int = 0) -> None:
        """A store, before capgate is started on it."""
        options = ["--captchas", captchas, "--solved-one-in", solved_one_in]
        command = [self.programs.tool, "fill", "--store", self.folder / "capgate.db", *options]
        subprocess.run(list(map(str, command)), check=True)


def wait_for_answer(server: Server, captcha: str) -> None:
    began = time.monotonic()
    while (said := server.get(poll_target(captcha))) == "CAPCHA_NOT_READY":
        if time.monotonic() - began > ANSWER_LIMIT_S:
            raise SystemExit("the stand-in's answer never came")
        time.sleep(0.2)
    if not said.startswith("OK|"):
        raise SystemExit(f"no answer: {said}")
