"""Uploads: a 5 kB image as base64 in a form, and a 30 kB one in a multipart body."""

import base64
import random

import load
from load import Load, upload_call
from servers import KEY, Place, Server
from table import Row

# Below what an account may make, 60 in three seconds: at the limit itself they wait for each other.
RATE = 16
PNG = b"\x89PNG\r\n\x1a\n"
BOUNDARY = "----------------bench"


def picture(size: int) -> bytes:
    return PNG + random.Random(size).randbytes(size - len(PNG))


def form() -> tuple[bytes, str]:
    body = base64.b64encode(picture(5_000)).decode().replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    text = f"key={KEY}&method=base64&n=0000000000&body={body}"
    return text.encode(), "application/x-www-form-urlencoded"


def multipart() -> tuple[bytes, str]:
    fields = {"key": KEY, "method": "post", "n": "0000000000"}
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="c.png"\r\nContent-Type: image/png\r\n\r\n'
    end = f"\r\n--{BOUNDARY}--\r\n"
    return b"".join(parts) + head.encode() + picture(30_000) + end.encode(), f"multipart/form-data; boundary={BOUNDARY}"


def measure(place: Place, tool: Load, rounds: int, seconds: float) -> list[Row]:
    rows = []
    servers = place.all()
    for name, (body, content_type) in (("5 kB as base64 in a form", form()), ("30 kB in multipart", multipart())):
        call = upload_call(body, content_type)
        rows += at_rate(f"Upload of {name}", servers, tool, call, RATE, rounds, seconds)
    return rows


def at_rate(
    group: str, servers: list[Server], tool: Load, call: bytes, rate: float, rounds: int, seconds: float
) -> list[Row]:
    done = load.in_turns(servers, rounds, lambda server: tool.at_rate(server, call, "OK|", rate, seconds, servers))
    rows = []
    for what, unit, field, against, limits in (
        (f"processor time of each at {rate:,}/s, durable record included", "us", "cpu_us", "nginx", {"at_most": 1.5}),
        (f"p50 at {rate:,}/s", "us", "p50_us", "", {}),
        (f"p99 at {rate:,}/s", "us", "p99_us", "", {}),
    ):
        values = load.medians(done, field)
        own = values.pop("capgate")
        ratio = load.ratio(done, field, against) if against else None
        rows.append(Row(group, what, unit, own, values, against, ratio, **limits))
    return rows
