"""The server under the search page: who may ask is decided by a request's head alone.

waitress reads a request whole before the page sees it, and has a limit of connections, each of
which may take its time. Here a stranger's request is answered as soon as its head is read, a
request that does not come to its end in time is cut off, and where connections become many, those
that have waited longest for their request, or for someone to read the answer, make room.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

import waitress
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import Error, RequestEntityTooLarge

CONNECTIONS = 64  # a browser opens six
REQUEST_TIME = 60.0  # seconds for a request to come in whole
MAX_HEAD = 2**15  # bytes

# method, path and a way to look a header up by name ("" where it is not there) -> why it is
# refused, or None
Refuse = Callable[[str, str, Callable[[str], str]], str | None]


class Refused(Error):
    """An answer in place of the page's own, with the same headers."""

    def __init__(self, code: int, reason: str, body: str, headers: Mapping[str, str]) -> None:
        super().__init__(body)
        self.code, self.reason, self._headers = code, reason, headers

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        headers = [("Content-Type", "application/json"), *self._headers.items()]
        return f"{self.code} {self.reason}", headers, json.dumps({"error": self.body}).encode()


class Request(HTTPRequestParser):
    """A request, judged once its head is there."""

    refuse: Refuse
    max_body: int
    headers_of_refusal: Mapping[str, str]
    error: Error | None
    judged = False

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # a length of 5,000 digits, an address that ends at [
            raise ParsingError(str(error)) from None

    def received(self, data: bytes) -> int:
        taken = super().received(data)
        if self.judged and isinstance(self.error, RequestEntityTooLarge):
            self.error = self._too_large(self.body_bytes_received)
        readable = self.error is None or isinstance(self.error, RequestEntityTooLarge)
        if self.headers_finished and readable and not (self.judged or self.empty):
            self.judged = True
            if refused := self._refused():
                self.error, self.completed = refused, True
                # no one is asked for a body that is not read
                self.expect_continue = False
        return taken

    def _refused(self) -> Refused | None:
        if why := self.refuse(self.command, self.path, self._header):
            return Refused(403, "Forbidden", why, self.headers_of_refusal)
        if self.content_length > self.max_body:
            return self._too_large(self.content_length)
        return None

    def _too_large(self, length: int) -> Refused:
        why = f"{length} bytes; {self.max_body} are the most"
        return Refused(413, "Request Entity Too Large", why, self.headers_of_refusal)

    def _header(self, name: str) -> str:
        return self.headers.get(name.upper().replace("-", "_"), "")


class Connection(HTTPChannel):
    """A connection that knows since when it waits."""

    # answered before all was sent, and told so: what still comes is thrown away
    early = ended = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.since = time.monotonic()
        super().__init__(*arguments, **options)
        others = [one for one in self.server.active_channels.values() if one is not self]
        # what is being answered ends by itself
        waiting = [one for one in others if not one.requests]
        for one in sorted(waiting, key=lambda one: one.since)[: len(others) + 1 - CONNECTIONS]:
            one.handle_close()

    def received(self, data: bytes) -> bool:
        if self.ended:
            return False
        if self.request is None:
            self.since = time.monotonic()
        return super().received(data)

    def readable(self) -> bool:
        unfinished = self.request is not None or self.ended
        late = unfinished and time.monotonic() > self.since + REQUEST_TIME
        if late and not self.requests:
            self.will_close = True
        return super().readable()

    def handle_close(self) -> None:
        # closed while bytes come in, a connection is reset, and the answer may be lost with it
        if self.early and self.will_close and not (self.ended or self.total_outbufs_len):
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
                self.ended, self.will_close = True, False
                return
        super().handle_close()

    def service(self) -> None:
        self.early = any(one.error is not None for one in self.requests)
        super().service()
        self.since = time.monotonic()


def make_server(
    app: Any, listener: socket.socket, refuse: Refuse, max_body: int, headers: Mapping[str, str]
) -> Any:
    """A waitress server of ``app`` on ``listener``; ``run`` answers until Ctrl-C.

    Parameters
    ----------
    app : a WSGI application
    listener : bound, and listening
    refuse : says of a request's head why it is answered with 403
    max_body : bytes; a request that announces more is answered with 413
    headers : of these answers
    """
    server = waitress.create_server(
        app, sockets=[listener], threads=4, ident=None,
        max_request_header_size=MAX_HEAD, max_request_body_size=max_body + 1,
    )  # fmt: skip
    judging = {"refuse": staticmethod(refuse), "max_body": max_body, "headers_of_refusal": headers}
    request = type("JudgedRequest", (Request,), judging)
    server.channel_class = type("OwnConnection", (Connection,), {"parser_class": request})
    return server
