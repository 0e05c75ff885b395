"""Where the search page can be reached, and which requests are its own."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import sys
import webbrowser
from collections.abc import Callable

from scripts.job import BadInput

PORT = 8765
PORTS_TRIED = 20

# an address in numbers or a name, and a port; no user, path or query
HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::[0-9]{1,5})?")


def why_refused(
    method: str, path: str, header: Callable[[str], str], network_name: str | None = None
) -> str | None:
    """Why a request is not answered, by its head alone; None where it is.

    Parameters
    ----------
    method, path : of the request
    header : the value of a header by its name, "" where it is not there
    network_name : see ``is_this_machine``
    """
    if not is_this_machine(header("Host"), network_name):
        return "this page answers only under the address that it was started with"
    if not from_the_page(method, path, header):
        return "this request does not come from the search page"
    return None


def is_this_machine(host: str, network_name: str | None = None) -> bool:
    """Whether a Host header names this machine, and not a name that someone else points at it.

    An address in numbers cannot be pointed elsewhere. Beyond loopback they are all taken, and
    ``network_name``, unless that is None.
    """
    match = HOST.fullmatch(host)
    name = (match[1] or match[2]).lower() if match else ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback or network_name is not None
    except ValueError:
        return bool(name) and network_name is not None and name == network_name.lower()


def from_the_page(method: str, path: str, header: Callable[[str], str]) -> bool:
    """Whether a request was made by the page, or opens it.

    Browsers that reach us over plain HTTP from another machine leave ``Sec-Fetch-Site`` out; each
    of them sends ``Origin`` with a POST.
    """
    if header("Sec-Fetch-Site") not in ("same-origin", "none", ""):
        return method == "GET" and path == "/"
    return method in ("GET", "HEAD") or header("Origin") == f"http://{header('Host')}"


def listen(host: str, port: int | None) -> socket.socket:
    """A socket on ``port``, or on the first free one from ``PORT`` for None.

    Raises ``BadInput`` where there is none, or no such host.
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise BadInput("--host", host, "a name or address of this machine", str(error)) from None
    ports = range(PORT, PORT + PORTS_TRIED) if port is None else [port]
    for one in ports:
        try:
            return socket.create_server((place[0], one), family=family)
        except OSError as error:
            refused = error
    tried = str(ports[0]) if len(ports) == 1 else f"{ports[0]} to {ports[-1]}"
    raise BadInput(
        "--port", f"{tried}: {os.strerror(refused.errno or 0)}", "a free port",
        "name another, or 0 for any",
    )  # fmt: skip


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on ``host``."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def open_browser(address: str) -> None:
    """Show the page to someone who sits at a screen."""
    # without one, a browser of the terminal would take that over
    screen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if screen and sys.stdin.isatty() and sys.stdout.isatty():
        webbrowser.open(address)
