"""The server under the search page: strangers are answered by their head, and no one fills it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from contextlib import ExitStack, suppress
from functools import partial

import pytest
from patience import LONG
from waitress import wasyncore

from scripts.search import addresses, page, server

MAX_BODY = 20_000_000


@pytest.fixture
def port():
    """Where a server answers GET with a page, POST with the bytes it got, /long with 20 MB."""

    def app(environ, start_response):
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] == "/long":
            return [bytes(20_000_000)]
        return [b"the page" if environ["REQUEST_METHOD"] == "GET" else b"%d bytes" % len(body)]

    listener = addresses.listen("127.0.0.1", 0)
    one = server.make_server(app, listener, addresses.why_refused, MAX_BODY, page.HEADERS)
    thread = threading.Thread(target=one.run)
    thread.start()
    yield listener.getsockname()[1]
    # a loop without sockets ends; one that was awake may have closed what it is waked by, too
    with suppress(OSError):
        one.trigger.pull_trigger(partial(wasyncore.close_all, one._map))
    thread.join(20)
    one.task_dispatcher.shutdown()
    assert not thread.is_alive()


def head(port: int, *lines: str, start: str = "POST / HTTP/1.1") -> bytes:
    """The head of a request of the page itself; ``lines`` go before its own of that name."""
    own = [f"Host: 127.0.0.1:{port}", f"Origin: http://127.0.0.1:{port}"]
    named = {line.split(":")[0] for line in lines}
    kept = [line for line in own if line.split(":")[0] not in named]
    return "\r\n".join([start, *kept, *(one for one in lines if one[-1] != ":"), "", ""]).encode()


def answer(port: int, sent: bytes) -> tuple[int, http.client.HTTPMessage, bytes]:
    """What comes back, before anything else is sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as one:
        one.sendall(sent)
        reply = http.client.HTTPResponse(one)
        reply.begin()
        return reply.status, reply.headers, reply.read()


def test_a_whole_request_is_answered(port):
    assert answer(port, head(port, start="GET / HTTP/1.1"))[::2] == (200, b"the page")
    body = bytes(1_000_000)
    assert answer(port, head(port, f"Content-Length: {len(body)}") + body)[2] == b"1000000 bytes"
    in_pieces = b"5\r\nhello\r\n0\r\n\r\n"
    assert answer(port, head(port, "Transfer-Encoding: chunked") + in_pieces)[2] == b"5 bytes"


@pytest.mark.parametrize(
    "lines",
    [
        ["Host: evil.example"],
        ["Host:"],
        ["Host: 127.0.0.1, evil.example"],
        ["Host: evil.example@127.0.0.1"],
        ["Origin: http://evil.example"],
        ["Origin:"],
        ["Sec-Fetch-Site: cross-site"],
        ["Host: evil.example", "Expect: 100-continue"],
    ],
    ids=", ".join,
)
@pytest.mark.parametrize("body", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_a_stranger_is_refused_before_a_body_is_read(port, lines, body):
    status, headers, told = answer(port, head(port, *lines, body))
    assert status == 403 and "page" in json.loads(told)["error"]
    assert page.HEADERS.items() <= dict(headers).items()
    assert headers["Connection"] == "close"


def test_more_than_a_picture_has_is_refused_before_it_is_read(port):
    for length in (MAX_BODY + 1, 10 * MAX_BODY, 10**100):
        status, _, told = answer(port, head(port, f"Content-Length: {length}"))
        assert status == 413 and "are the most" in json.loads(told)["error"]
    strange = head(port, f"Content-Length: {10 * MAX_BODY}", "Host: evil.example")
    assert answer(port, strange)[0] == 403
    assert answer(port, head(port, "X: " + "x" * server.MAX_HEAD))[0] == 431


@pytest.mark.parametrize("announced", ["Transfer-Encoding: chunked", "Content-Length: 26000000"])
def test_who_sends_more_than_a_picture_has_can_read_why_it_is_refused(port, announced):
    piece = b"100000\r\n" + bytes(2**20) + b"\r\n"
    status, _, told = answer(port, head(port, announced) + 25 * piece)
    assert status == 413 and "are the most" in json.loads(told)["error"]
    assert answer(port, head(port, start="GET / HTTP/1.1"))[2] == b"the page"


@pytest.mark.parametrize(
    ("start", "length"), [("POST / HTTP/1.1", "9" * 5000), ("POST http://[ HTTP/1.1", "1")]
)
def test_a_head_of_no_sense_is_refused(port, start, length, caplog):
    assert answer(port, head(port, f"Content-Length: {length}", start=start))[0] == 400
    assert not [one for one in caplog.records if one.levelname == "ERROR"]


UNFINISHED = {
    "a body that does not come": lambda port: head(port, "Content-Length: 20000000") + b"x",
    "a body in pieces": lambda port: head(port, "Transfer-Encoding: chunked") + b"9\r\nx",
    "a body that is asked for": lambda port: head(
        port, "Content-Length: 20000000", "Expect: 100-continue"
    ),
    "a head that does not end": lambda port: head(port)[:-2],
    "nothing": lambda port: b"",
    "an answer that no one reads": lambda port: head(port, start="GET /long HTTP/1.1"),
}


@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
def test_connections_that_wait_leave_room_for_others(port, sent):
    with ExitStack() as stack:
        for _ in range(110):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=LONG))
            one.sendall(sent(port))
        for _ in range(3):
            assert answer(port, head(port, start="GET / HTTP/1.1"))[2] == b"the page"


@pytest.mark.parametrize(
    "sent", [sent for name, sent in UNFINISHED.items() if name.startswith(("a body", "a head"))]
)
def test_a_request_that_does_not_come_to_its_end_is_cut_off(port, monkeypatch, sent):
    monkeypatch.setattr(server, "REQUEST_TIME", 0.0)
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as one:
        one.sendall(sent(port))
        assert b"".join(iter(partial(one.recv, 100), b"")) in (
            b"",
            b"HTTP/1.1 100 Continue\r\n\r\n",
        )


def test_a_request_is_given_its_time_from_its_own_beginning(port, monkeypatch):
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as one:
        for _ in range(2):
            one.sendall(head(port, start="GET / HTTP/1.1"))
            reply = http.client.HTTPResponse(one)
            reply.begin()
            assert reply.read() == b"the page"
            # a connection without a request is not in haste
            monkeypatch.setattr(server, "REQUEST_TIME", 0.0)
