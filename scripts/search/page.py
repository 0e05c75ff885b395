"""The search page: a small web server on this machine, in front of the command line's engine.

It is for one person, on loopback. Any page that is open in the same browser can send requests here,
too, so each request must name this machine as its host (or a page elsewhere could point its own
name at it), and all but opening the page must come from the page itself.
"""

from __future__ import annotations

import contextlib
import io
import ipaddress
import logging
import os
import re
import socket
import sys
import threading
import time
import webbrowser
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, abort, current_app, render_template, request, send_file
from werkzeug.exceptions import HTTPException, NotFound

from scripts.contact_sheet import font_file
from scripts.job import BadInput
from scripts.search.engine import Find, Models, Search, Side, decode_photo
from scripts.search.runs import RunName, finished_runs, missing_features
from scripts.search.server import make_server
from scripts.words import LANGUAGES, read_words

if TYPE_CHECKING:
    import numpy as np

FOLDER = Path(__file__).resolve().parent

PORT = 8765
PORTS_TRIED = 20
MAX_UPLOAD = 20 * 2**20  # bytes of a picture
MAX_QUERY = 1000  # characters; models read some 77 tokens
MAX_ANSWERS = 100
OPEN_RUNS = 4  # kept in memory with their features
PATIENCE = 60.0  # seconds that a question waits for those before it
THUMBNAIL = 640  # pixels, the longer side
THUMBNAILS = 500  # kept in memory
EXAMPLES = 4
EXAMPLE_LENGTH = 80  # characters

# an address in numbers or a name, and a port; no user, path or query
HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::[0-9]{1,5})?")

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; font-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Runs:
    """Finished runs, each opened when first asked and kept for the next question.

    Parameters
    ----------
    results, data : folders of the workflow
    split : None for the one that each run was measured on
    keep : open runs; the one asked longest ago goes first
    """

    def __init__(
        self, results: Path, data: Path, split: str | None = None, keep: int = OPEN_RUNS
    ) -> None:
        self._results, self._data, self._split, self._keep = results, data, split, keep
        self._models = Models(keep=keep)
        self._open: OrderedDict[tuple[RunName, int], Search] = OrderedDict()
        self._one_at_a_time = threading.Lock()

    def names(self) -> dict[str, RunName]:
        """Runs that can be asked, by their path below results/, the newest first."""
        return self.names_and_rest()[0]

    def names_and_rest(self) -> tuple[dict[str, RunName], list[str]]:
        """The same, and what is wrong with those that cannot even be named."""
        left_out: list[str] = []
        runs = finished_runs(self._results, self._split, left_out)
        return {path_of(run): run for run in runs if self._can_be_asked(run)}, left_out

    @contextlib.contextmanager
    def asked(self, path: str) -> Iterator[Search]:
        """The engine of one run, for one question: others wait until the block ends.

        Raises ``BadInput`` for a run that is not among ``names``, or whose files do not fit.
        """
        if not self._one_at_a_time.acquire(timeout=PATIENCE):
            abort(503, "busy with earlier questions")
        try:
            yield self._opened(path)
        finally:
            self._one_at_a_time.release()

    def of_rows(self, digest: str) -> Search | None:
        """An open run of these rows of images and captions."""
        return next((run for run in list(self._open.values()) if run.rows.digest == digest), None)

    def _can_be_asked(self, run: RunName) -> bool:
        try:
            return not missing_features(self._results, run)
        except BadInput:
            # one damaged run does not hide the others, and says what is wrong when it is asked
            return True

    def _opened(self, path: str) -> Search:
        names = self.names()
        if path not in names:
            raise BadInput("run", f"{path:.200}", "a finished run", "load the page anew")
        finished = (self._results / path / "metrics.json").stat().st_mtime_ns
        # a run that was made again is another one
        key = names[path], finished
        if key not in self._open:
            engine = Search(self._results, self._data, names[path], self._models)
            engine.open()
            self._open[key] = engine
        self._open.move_to_end(key)
        while len(self._open) > self._keep:
            self._open.popitem(last=False)
        return self._open[key]


def path_of(run: RunName) -> str:
    """What the page calls a run, and its folder below results/."""
    return f"{run.dataset}/{run.model}/{run.prompt}/{run.scorer}"


class Page:
    """What the page asks for: a method for each address.

    Parameters
    ----------
    runs, first, index, top_k, network_name : see ``make_app``
    """

    def __init__(
        self, runs: Runs, first: RunName, index: str | None, top_k: int, network_name: str | None
    ) -> None:
        self._runs, self._first, self._index, self._top_k = runs, first, index, top_k
        self._network_name = network_name
        self._words = {language: read_words("search", language) for language in LANGUAGES}
        self._thumbnails: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    def refuse_strangers(self) -> None:
        """Answer 403 to who may not ask."""
        # the server judges the head before it reads a body; other servers of the app may not
        header = partial(request.headers.get, default="")
        if why := why_refused(request.method, request.path, header, self._network_name):
            abort(403, why)

    def page(self) -> str:
        """The page itself, in the language that is asked for."""
        language = request.args.get("lang", "")
        if language not in LANGUAGES:
            wanted = (tag[:2].lower() for tag in request.accept_languages.values())
            language = next((tag for tag in wanted if tag in LANGUAGES), "en")
        known, left_out = self._runs.names_and_rest()
        setup = {
            "words": self._words,
            "runs": [asdict(run) | {"path": path} for path, run in known.items()],
            "first": path_of(self._first),
            "index": self._index or "",
            "top_k": self._top_k,
            "max_upload": MAX_UPLOAD,
        }
        counts = sorted({5, 10, 20, 50, MAX_ANSWERS, self._top_k})
        return render_template(
            "page.html.j2", setup=setup, say=self._words[language], language=language,
            left_out=left_out, max_query=MAX_QUERY, counts=counts, top_k=self._top_k,
        )  # fmt: skip

    def about_run(self) -> dict[str, Any]:
        """Facts of a run, and captions to begin with."""
        with self._asked() as engine:
            return about(engine) | {"examples": examples(engine)}

    def by_sentence(self) -> dict[str, Any]:
        """Answers to the sentence in the request."""
        query = request.get_data().decode("utf-8", "replace")
        if len(query) > MAX_QUERY:
            abort(413, f"a query of {len(query)} characters; {MAX_QUERY} is the most")
        k, find = wished("images")
        with self._asked() as engine:
            begin = time.perf_counter()
            features, cut = engine.encode_text(query)
            return {"cut": cut} | answer(engine, features, "texts", k, find, begin)

    def by_picture(self) -> dict[str, Any]:
        """Answers to the picture in the request."""
        photo = decode_photo(request.get_data(), "the picture")
        k, find = wished("captions")
        with self._asked() as engine:
            begin = time.perf_counter()
            return answer(engine, engine.encode_image(photo), "images", k, find, begin)

    def by_image(self, row: int) -> dict[str, Any]:
        """Answers to an image of the split."""
        k, find = wished("captions")
        with self._asked() as engine:
            if row >= len(engine.rows.images):
                abort(404, f"no image {row}: the split has {len(engine.rows.images)}")
            begin = time.perf_counter()
            features = engine.encode_image(engine.photo_of(row))
            asked = {
                "picture": address(engine, row),
                "captions_of_query": engine.rows.captions_of(row),
            }
            return asked | answer(engine, features, "images", k, find, begin)

    def image(self, digest: str, row: int) -> Response:
        """An image of the split, small."""
        # by number only: the page names no file
        engine = self._runs.of_rows(digest)
        if engine is None or row >= len(engine.rows.images):
            raise NotFound("no such image")
        content = self._thumbnails.get((digest, row)) or thumbnail(engine, row)
        self._thumbnails[digest, row] = content
        while len(self._thumbnails) > THUMBNAILS:
            self._thumbnails.popitem(last=False)
        response = send_file(io.BytesIO(content), mimetype="image/jpeg")
        response.headers["Cache-Control"] = "private, max-age=600"
        return response

    def _asked(self) -> contextlib.AbstractContextManager[Search]:
        return self._runs.asked(request.args.get("run", ""))


def make_app(
    runs: Runs,
    first: RunName,
    index: str | None = None,
    top_k: int = 10,
    network_name: str | None = None,
) -> Flask:
    """The page and what it asks for.

    Parameters
    ----------
    runs : what can be asked
    first : the run that answers before another is chosen
    index : the index to begin with; None to compare everything
    top_k : answers to begin with
    network_name : what this machine may be called by others; None to answer itself alone
    """
    app = Flask(__name__, static_folder=None, template_folder=str(FOLDER))
    app.config["MAX_CONTENT_LENGTH"] = MAX_UPLOAD
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    page = Page(runs, first, index, top_k, network_name)
    app.before_request(page.refuse_strangers)
    app.after_request(_hardened)
    app.register_error_handler(BadInput, lambda error: ({"error": str(error)}, 400))
    app.register_error_handler(HTTPException, _status_told)
    app.register_error_handler(Exception, _nothing_told)
    app.get("/")(page.page)
    # an address, the file there, its kind, and for how many seconds a browser may keep it
    for name, path, kind, age in (
        ("page.css", FOLDER / "page.css", "text/css", None),
        ("page.js", FOLDER / "page.js", "text/javascript", None),
        ("han.otf", font_file(), "font/otf", 86400),
    ):
        app.add_url_rule(f"/{name}", name, partial(send_file, path, mimetype=kind, max_age=age))
    app.get("/api/run")(page.about_run)
    app.post("/api/sentence")(page.by_sentence)
    app.post("/api/picture")(page.by_picture)
    app.post("/api/image/<int:row>")(page.by_image)
    app.get("/images/<digest>/<int:row>")(page.image)
    return app


def _hardened(response: Response) -> Response:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _status_told(error: HTTPException) -> tuple[dict[str, str], int]:
    return {"error": error.description or error.name}, error.code or 500


def _nothing_told(error: Exception) -> tuple[dict[str, str], int]:
    current_app.logger.error("unexpected, please report it", exc_info=error)
    return {"error": "an unexpected error: the terminal tells more"}, 500


def answer(
    engine: Search, features: np.ndarray, asked: Side, k: int, find: Find, begin: float
) -> dict[str, Any]:
    """What the engine found, and how long that took; encoding began at ``begin``."""
    index = request.args.get("index") or None
    encoded = time.perf_counter()
    hits = engine.best(features, asked, k, find, index)
    searched = time.perf_counter()
    return about(engine) | {
        "find": find,
        "index": index,
        "encode_ms": 1000 * (encoded - begin),
        "search_ms": 1000 * (searched - encoded),
        "hits": [asdict(hit) | {"picture": address(engine, hit.row)} for hit in hits],
    }


def about(engine: Search) -> dict[str, Any]:
    """Which run answers, from how many items, and through which indexes it can."""
    return {
        "run": path_of(engine.name),
        "dataset": engine.name.dataset,
        "split": engine.name.split,
        "images": len(engine.rows.images),
        "captions": len(engine.rows.captions),
        "indexes": engine.indexes(),
    }


def address(engine: Search, row: int) -> str:
    """Where the page gets an image from; the digest keeps it right when a dataset changes."""
    return f"/images/{engine.rows.digest}/{row}"


def examples(engine: Search) -> list[str]:
    """A few captions to begin with, from all over the split, the same each time."""
    short = [text for text in engine.rows.captions if len(text) <= EXAMPLE_LENGTH]
    chosen = [short[place * len(short) // EXAMPLES] for place in range(EXAMPLES) if short]
    return list(dict.fromkeys(chosen))


def thumbnail(engine: Search, row: int) -> bytes:
    """An image of the split as JPEG, whatever its file is, small enough for a page."""
    picture = engine.photo_of(row)
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=88)
    return stream.getvalue()


def wished(default: Find) -> tuple[int, Find]:
    """How many answers are asked for, and of which kind."""
    k = request.args.get("k", "10")
    if not (k.isascii() and k.isdigit() and 1 <= int(k[:6]) <= MAX_ANSWERS):
        raise BadInput("k", f"{k:.20}", f"a number from 1 to {MAX_ANSWERS}", "correct it")
    find = request.args.get("find", default)
    if find == "images" or find == "captions":
        return int(k), find
    raise BadInput("find", f"{find:.20}", "images or captions", "correct it")


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


def serve(
    runs: Runs, first: RunName, index: str | None, top_k: int, host: str, port: int | None
) -> None:
    """Answer until Ctrl-C; ``listen`` says what is raised."""
    listener = listen(host, port)
    machine = socket.gethostname()
    network_name = None if is_loopback(host) else machine
    app = make_app(runs, first, index, top_k, network_name)
    # a page asks for its pictures all at once: that they queue is no news
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    refuse = partial(why_refused, network_name=network_name)
    server = make_server(app, listener, refuse, MAX_UPLOAD, HEADERS)
    shown = f"[{host}]" if ":" in host else host
    if host in ("0.0.0.0", "::"):  # noqa: S104 all of this machine's addresses, which are no address
        shown = machine
    address = f"http://{shown}:{listener.getsockname()[1]}/"
    if network_name is not None:
        print(
            f"WARNING: whoever reaches {network_name} over the network can search here and see the"
            " dataset's images; there is no password",
            file=sys.stderr,
        )
    print(f"Search page: {address}  (Ctrl-C ends it)", flush=True)
    threading.Thread(target=_warm, args=(runs, first), daemon=True).start()
    open_browser(address)
    server.run()


def _warm(runs: Runs, first: RunName) -> None:
    # what is wrong with the run, its first question tells
    with contextlib.suppress(Exception), runs.asked(path_of(first)):
        pass
