"""A client's own receiver of pingback, on loopback."""

import contextlib
import http.server
import queue
import threading
import urllib.parse
import urllib.request

from checks import HTTP, KEY

WITHIN_S = 30


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.told.put(dict(urllib.parse.parse_qsl(body, strict_parsing=True)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"OK")

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def receiver():
    """Its address, and a call that waits for what it is told next."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.told = queue.Queue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/answers?job=1", lambda: server.told.get(timeout=WITHIN_S)
    finally:
        server.shutdown()
        server.server_close()


def register(url: str) -> None:
    """The libraries have no call for it."""
    query = urllib.parse.urlencode({"key": KEY, "action": "add_pingback", "addr": url})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy is not for loopback
    with opener.open(f"{HTTP}/res.php?{query}", timeout=10) as reply:
        said = reply.read().decode()
    if said != "OK":
        raise AssertionError(f"add_pingback said {said}")
