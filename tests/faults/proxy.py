"""A loopback proxy in front of an object store: it counts traffic and imitates a bad network or store."""

from __future__ import annotations

import http.client
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Literal

Fault = Literal["", "slow", "500", "expired", "denied", "cut", "cut half", "cut answer"]

SLOW_SECS = 0.3
_ANSWERS = {"500": (500, "InternalError"), "expired": (403, "ExpiredToken"), "denied": (403, "AccessDenied")}


class Proxy:
    """Passes requests on to a server.

    Args:
        address: of the server, "http://host:port".

    Attributes:
        fault: what happens to each request: nothing, a delay, a server error, an answer that the credentials
            have expired, or a closed connection instead of an answer, before the store has the request, in the
            middle of it or after it.
        denied: the store denies access to paths that contain this text, if any.
        requests: number of requests by method.
        bytes: bytes in their bodies.
        hit: number of requests that met a fault.
        bodies: path and size of each PUT, in order of arrival.
    """

    def __init__(self, address: str) -> None:
        self.fault: Fault = ""
        self.denied = ""
        self.requests: dict[str, int] = {}
        self.bytes = 0
        self.hit = 0
        self.bodies: list[tuple[str, int]] = []
        self._target = address.removeprefix("http://")
        self._counting = Lock()
        self._port = 0
        self.start()

    @property
    def address(self) -> str:
        """Return the proxy's own address, with a host name that needs a lookup."""
        return f"http://localhost:{self._port}"

    def start(self) -> None:
        """Listen on the same address as before."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def do_PUT(self) -> None:
                proxy.handle(self)

            do_GET = do_HEAD = do_POST = do_DELETE = do_PUT  # noqa: N815

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Say nothing when a client is gone."""

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        fault: Fault = "denied" if self.denied and self.denied in request.path else self.fault
        body = _body(request) if fault != "cut half" else request.rfile.read(20)
        with self._counting:
            self.requests[request.command] = self.requests.get(request.command, 0) + 1
            self.bytes += len(body)
            self.hit += bool(fault)
            if request.command == "PUT":
                self.bodies.append((request.path.partition("?")[0], len(body)))
        request.close_connection = bool(fault)  # so that a cleared fault leaves no trace
        if fault == "slow":
            time.sleep(SLOW_SECS)
        if fault in {"cut", "cut half"}:
            return
        if fault in _ANSWERS:
            status, code = _ANSWERS[fault]
            _answer(
                request, status, [], f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
            )
            return
        connection = http.client.HTTPConnection(self._target, timeout=30)
        try:
            connection.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in {"expect", "connection", "transfer-encoding", "content-length"}:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if fault != "cut answer":
            _answer(request, answer.status, answer.getheaders(), content)


def _body(request: BaseHTTPRequestHandler) -> bytes:
    if "chunked" not in request.headers.get("Transfer-Encoding", ""):
        return request.rfile.read(int(request.headers.get("Content-Length", 0)))
    body = b""
    while size := int(request.rfile.readline().split(b";")[0], 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    while request.rfile.readline().strip():
        pass
    return body


def _answer(
    request: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], content: bytes
) -> None:
    request.send_response_only(status)
    length = str(len(content))
    for name, value in headers:
        if name.lower() == "content-length" and request.command == "HEAD":
            length = value
        elif name.lower() not in {"connection", "transfer-encoding", "content-length"}:
            request.send_header(name, value)
    request.send_header("Content-Length", length)
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(content)
