"""The search page: a small web server on this machine, in front of the command line's engine.

It is for one person, on loopback. Any page that is open in the same browser can send requests here,
too, so each request must name this machine as its host (or a page elsewhere could point its own
name at it), and all but opening the page must come from the page itself.
"""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, abort, current_app, render_template, request, send_file
from werkzeug.exceptions import HTTPException, NotFound

from scripts.contact_sheet import font_file
from scripts.data.rows import SPLITS
from scripts.job import BadInput
from scripts.search.addresses import is_loopback, listen, open_browser, why_refused
from scripts.search.engine import Find, Models, Search, Side
from scripts.search.queries import decode_photo
from scripts.search.runs import (
    RunName,
    encoded_splits,
    features_of,
    finished_runs,
)
from scripts.search.server import make_server
from scripts.words import LANGUAGES, read_words

if TYPE_CHECKING:
    import numpy as np

FOLDER = Path(__file__).resolve().parent

MAX_UPLOAD = 20 * 2**20  # bytes of a picture
MAX_QUERY = 1000  # characters; models read some 77 tokens
MAX_ANSWERS = 100
OPEN_RUNS = 4  # kept in memory with their features
PATIENCE = 60.0  # seconds that a question waits for those before it
THUMBNAIL = 640  # pixels, the longer side
THUMBNAILS = 500  # kept in memory
EXAMPLES = 4
EXAMPLE_LENGTH = 80  # characters

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
    keep : open runs; the one asked longest ago goes first
    """

    def __init__(self, results: Path, data: Path, keep: int = OPEN_RUNS) -> None:
        self._results, self._data, self._keep = results, data, keep
        self._models = Models(keep=keep)
        self._open: OrderedDict[tuple[object, ...], Search] = OrderedDict()
        self._one_at_a_time = threading.Lock()

    def names(self) -> dict[str, RunName]:
        """Runs that can be asked, by their path below results/, the newest first."""
        return self.names_and_rest()[0]

    def names_and_rest(self) -> tuple[dict[str, RunName], list[str]]:
        """The same, and what is wrong with those that cannot even be named."""
        left_out: list[str] = []
        runs = finished_runs(self._results, left_out)
        return {path_of(run): run for run in runs if self.splits_of(run) != []}, left_out

    def splits_of(self, run: RunName) -> list[str] | None:
        """Splits that one may choose from; None where that cannot be told."""
        try:
            return encoded_splits(self._results, run)
        except BadInput:
            # one damaged run does not hide the others, and says what is wrong when it is asked
            return None

    @contextlib.contextmanager
    def asked(self, path: str, split: str | None = None) -> Iterator[Search]:
        """The engine of one run, for one question: others wait until the block ends.

        Raises ``BadInput`` for a run that is not among ``names``, or whose files do not fit, and as
        ``Search`` does for a split that is not encoded.
        """
        if not self._one_at_a_time.acquire(timeout=PATIENCE):
            abort(503, "busy with earlier questions")
        try:
            yield self._opened(path, split)
        finally:
            self._one_at_a_time.release()

    def of_rows(self, digest: str) -> tuple[Search, str] | None:
        """An open run that has a split of these rows of images and captions, and the split."""
        found = ((run, run.split_of(digest)) for run in list(self._open.values()))
        return next(((run, split) for run, split in found if split), None)

    def _opened(self, path: str, split: str | None) -> Search:
        names = self.names()
        if path not in names:
            raise BadInput("run", f"{path:.200}", "a finished run", "load the page anew")
        run = names[path]
        files = [f for one in SPLITS for f in features_of(self._results, run, one)]
        files.append(self._results / path / "metrics.json")
        # a run that was made again is another one, and so is one of which more was encoded
        key = run, split, *(file.stat().st_mtime_ns if file.exists() else 0 for file in files)
        if key not in self._open:
            engine = Search(self._results, self._data, run, self._models, split)
            engine.open()
            self._open[key] = engine
        self._open.move_to_end(key)
        while len(self._open) > self._keep:
            self._open.popitem(last=False)
        return self._open[key]


def path_of(run: RunName) -> str:
    """What the page calls a run, and its folder below results/."""
    return f"{run.dataset}/{run.model}/{run.prompt}/{run.scorer}"


@dataclass(frozen=True)
class Beginning:
    """What is asked until something else is chosen.

    Attributes
    ----------
    run : the run that answers
    split : the split to look through; None for all that are encoded
    index : the index to look through; None to compare everything
    top_k : answers
    """

    run: RunName
    split: str | None = None
    index: str | None = None
    top_k: int = 10


class Page:
    """What the page asks for: a method for each address.

    Parameters
    ----------
    runs, begin, network_name : see ``make_app``
    """

    def __init__(self, runs: Runs, begin: Beginning, network_name: str | None) -> None:
        self._runs, self._begin, self._network_name = runs, begin, network_name
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
            "runs": [
                asdict(run) | {"path": path, "splits": self._runs.splits_of(run) or []}
                for path, run in known.items()
            ],
            "first": path_of(self._begin.run),
            "split": self._begin.split or "",
            "index": self._begin.index or "",
            "top_k": self._begin.top_k,
            "max_upload": MAX_UPLOAD,
        }
        top_k = self._begin.top_k
        counts = sorted({5, 10, 20, 50, MAX_ANSWERS, top_k})
        return render_template(
            "page.html.j2", setup=setup, say=self._words[language], language=language,
            left_out=left_out, max_query=MAX_QUERY, counts=counts, top_k=top_k,
        )  # fmt: skip

    def about_run(self) -> dict[str, Any]:
        """Facts of a run, and captions to begin with."""
        with self._asked() as engine:
            # who asks over the network has no terminal here, and need not know its folders
            offered = not (request.args.get("split") or self._network_name)
            rest = engine.not_encoded() if offered else {}
            more = {"rest": rest, "encoding": engine.encoding() if rest else ""}
            return about(engine) | more | {"examples": examples(engine)}

    def by_sentence(self) -> dict[str, Any]:
        """Answers to the sentence in the request."""
        query = request.get_data().decode("utf-8", "replace")
        if len(query) > MAX_QUERY:
            abort(413, f"a query of {len(query)} characters; {MAX_QUERY} is the most")
        k, find = wished("images")
        with self._asked() as engine:
            begin = time.perf_counter()
            features, cut = engine.encode_text(query)
            told = {"cut": cut, "foreign": engine.in_other_letters(query)}
            return told | answer(engine, features, "texts", k, find, begin)

    def by_picture(self) -> dict[str, Any]:
        """Answers to the picture in the request."""
        photo = decode_photo(request.get_data(), "the picture")
        k, find = wished("captions")
        with self._asked() as engine:
            begin = time.perf_counter()
            return answer(engine, engine.encode_image(photo), "images", k, find, begin)

    def by_image(self, split: str, row: int) -> dict[str, Any]:
        """Answers to an image of a split, which need not be one that is looked through."""
        k, find = wished("captions")
        with self._asked() as engine:
            rows = engine.rows_of(split)
            if row >= len(rows.images):
                abort(404, f"no image {row}: the split has {len(rows.images)}")
            begin = time.perf_counter()
            features = engine.encode_image(engine.photo_of(split, row))
            asked = {
                "picture": address(engine, split, row),
                "captions_of_query": rows.captions_of(row),
            }
            return asked | answer(engine, features, "images", k, find, begin)

    def image(self, digest: str, row: int) -> Response:
        """An image of a split, small."""
        # by number only: the page names no file
        found = self._runs.of_rows(digest)
        if found is None or row >= len(found[0].rows_of(found[1]).images):
            raise NotFound("no such image")
        content = self._thumbnails.get((digest, row)) or thumbnail(*found, row)
        self._thumbnails[digest, row] = content
        while len(self._thumbnails) > THUMBNAILS:
            self._thumbnails.popitem(last=False)
        response = send_file(io.BytesIO(content), mimetype="image/jpeg")
        response.headers["Cache-Control"] = "private, max-age=600"
        return response

    def _asked(self) -> contextlib.AbstractContextManager[Search]:
        split = request.args.get("split", "")
        if split not in ("", *SPLITS):
            raise BadInput("split", f"{split:.20}", " or ".join(SPLITS), "correct it")
        return self._runs.asked(request.args.get("run", ""), split or None)


def make_app(runs: Runs, begin: Beginning, network_name: str | None = None) -> Flask:
    """The page and what it asks for.

    Parameters
    ----------
    runs : what can be asked
    begin : what the page begins with
    network_name : what this machine may be called by others; None to answer itself alone
    """
    app = Flask(__name__, static_folder=None, template_folder=str(FOLDER))
    app.config["MAX_CONTENT_LENGTH"] = MAX_UPLOAD
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    page = Page(runs, begin, network_name)
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
    app.post(f"/api/image/<any({', '.join(SPLITS)}):split>/<int:row>")(page.by_image)
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
    return about(engine, index) | {
        "find": find,
        "index": index,
        "encode_ms": 1000 * (encoded - begin),
        "search_ms": 1000 * (searched - encoded),
        "hits": [asdict(hit) | {"picture": address(engine, hit.split, hit.row)} for hit in hits],
    }


def about(engine: Search, index: str | None = None) -> dict[str, Any]:
    """Which run answers, from how many items, and through which indexes it can."""
    splits = engine.splits(index)
    return {
        "run": path_of(engine.name),
        "dataset": engine.name.dataset,
        "splits": splits,
        "images": sum(len(engine.rows[split].images) for split in splits),
        "captions": sum(len(engine.rows[split].captions) for split in splits),
        "indexes": engine.indexes(),
    }


def address(engine: Search, split: str, row: int) -> str:
    """Where the page gets an image from; the digest keeps it right when a dataset changes."""
    return f"/images/{engine.rows_of(split).digest}/{row}"


def examples(engine: Search) -> list[str]:
    """A few captions to begin with, from all over the splits, the same each time."""
    everything = (text for rows in engine.rows.values() for text in rows.captions)
    short = [text for text in everything if len(text) <= EXAMPLE_LENGTH]
    chosen = [short[place * len(short) // EXAMPLES] for place in range(EXAMPLES) if short]
    return list(dict.fromkeys(chosen))


def thumbnail(engine: Search, split: str, row: int) -> bytes:
    """An image of a split as JPEG, whatever its file is, small enough for a page."""
    picture = engine.photo_of(split, row)
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


def serve(runs: Runs, begin: Beginning, host: str, port: int | None) -> None:
    """Answer until Ctrl-C; ``listen`` says what is raised."""
    listener = listen(host, port)
    machine = socket.gethostname()
    network_name = None if is_loopback(host) else machine
    app = make_app(runs, begin, network_name)
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
    threading.Thread(target=_warm, args=(runs, begin), daemon=True).start()
    open_browser(address)
    server.run()


def _warm(runs: Runs, begin: Beginning) -> None:
    # what is wrong with the run, its first question tells
    with contextlib.suppress(Exception), runs.asked(path_of(begin.run), begin.split):
        pass
