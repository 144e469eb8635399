"""Loaded by Python before any client library: this process reaches loopback addresses and nothing else.

An audit hook can't be taken off again, and sees what C code does. `CAPGATE_HOSTS` ("2captcha.com:443=8443 …") stands
for a hosts entry and a listener on the usual port: that name and port lead to 127.0.0.1 at the port behind the `=`.
"""

import ipaddress
import os
import socket
import sys

HOSTS = {
    (name.rpartition(":")[0], int(name.rpartition(":")[2])): int(port)
    for name, _, port in (entry.partition("=") for entry in os.environ.get("CAPGATE_HOSTS", "").split())
}


class Blocked(OSError):
    """A test must never resolve or contact a real host."""


def is_loopback(host) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_other_hosts(event: str, arguments: tuple) -> None:
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        hosts = [arguments[0]]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        hosts = [address[0]] if isinstance(address, tuple) else []  # a path or None: not the network
    elif event in ("subprocess.Popen", "os.system", "os.posix_spawn", "os.exec"):
        raise Blocked(f"guard: a child process would not be watched ({event})")
    else:
        return
    for host in hosts:
        if not is_loopback(host):
            raise Blocked(f"guard: {event} of {host!r} refused")


def getaddrinfo_with_hosts(host, port, *rest, **options):
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if (name, port) in HOSTS:
        host, port = "127.0.0.1", HOSTS[name, port]
    return resolve(host, port, *rest, **options)


def prove() -> None:
    """Raises unless a foreign name and a foreign address are both refused. `.invalid` has no addresses anywhere."""
    for attempt in (
        lambda: socket.getaddrinfo("guard.invalid", 80),
        lambda: socket.create_connection(("192.0.2.1", 80), timeout=0.1),
    ):
        try:
            attempt()
        except Blocked:
            continue
        except OSError as error:
            raise SystemExit(f"the guard is not in place: {error!r}") from error
        raise SystemExit("the guard is not in place")


sys.addaudithook(refuse_other_hosts)
resolve = socket.getaddrinfo
socket.getaddrinfo = getaddrinfo_with_hosts
