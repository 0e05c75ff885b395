"""The command line: ask a finished run once, or open its page."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.job import BadInput, ended, whole
from scripts.letters import printable
from scripts.search.engine import Find, Hit, Search
from scripts.search.queries import Query, checked_query, open_photo, read_queries
from scripts.search.runs import PARTS, RunName, find_run

if TYPE_CHECKING:
    from PIL import Image

SHEETS = (".png", ".jpg", ".jpeg", ".webp")
FOREIGN = "If the model does not read its language, the order means nothing"
COLUMNS = ("line", "id", "query", "rank", "score", "image", "split", "caption")


def save_sheet(
    path: Path,
    title: str,
    engine: Search,
    hits: Sequence[Hit],
    photo: Image.Image | None = None,
) -> None:
    """Write a contact sheet of what ``engine`` found."""
    from scripts.contact_sheet import Cell, contact_sheet

    cells = [
        Cell(
            engine.photo_of(hit.split, hit.row),
            f"{hit.rank} · {hit.score:.3f}",
            _name(engine, hit),
            hit.caption or hit.captions[0],
        )
        for hit in hits
    ]
    with whole(path) as draft:
        contact_sheet(title, cells, photo).save(draft)


def as_text(engine: Search, hits: Sequence[Hit]) -> str:
    """Hits for a person: rank, score and name, and below them what the image shows.

    A caption stands on one line, and its control characters in letters.
    """
    lines = []
    for hit in hits:
        lines.append(f"{hit.rank:>3}  {hit.score:.4f}  {_name(engine, hit)}")
        shown = hit.captions if hit.caption is None else [hit.caption]
        lines += [f"{'':13}{' '.join(caption.split())}" for caption in shown]
    return printable("\n".join(lines))


def _name(engine: Search, hit: Hit) -> str:
    """The file found, and its split where there are several."""
    return f"{hit.image}  ({hit.split})" if len(engine.rows) > 1 else hit.image


def as_json(
    asked: dict[str, Any], find: Find, engine: Search, index: str | None, hits: Sequence[Hit]
) -> dict[str, Any]:
    """Hits for a program."""
    return {
        "query": asked,
        "find": find,
        "run": asdict(engine.name),
        "splits": engine.splits(index),
        "index": index,
        "results": [
            {**asdict(hit), "path": (engine.image_folder / hit.image).as_posix()} for hit in hits
        ],
    }


def as_rows(query: Query, hits: Sequence[Hit]) -> Iterator[tuple[object, ...]]:
    """Hits for a table, see ``COLUMNS``; texts on one line, as ``as_text`` has them."""
    asked = (query.line, "" if query.id is None else query.id, query.text)
    for hit in hits:
        caption = " ".join((hit.caption or "").split())
        found = (hit.rank, f"{hit.score:.6f}", hit.image, hit.split, caption)
        yield tuple(printable(str(value)) for value in (*asked, *found))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="./run search",
        description="Ask a finished run: a sentence finds images, a photo finds captions.",
        epilog='Examples: ./run search "a dog running on grass" --save sheet.png; '
        "./run search --image photo.jpg --top-k 5; ./run search --serve",
    )
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("query", nargs="?", help="a sentence")
    asked.add_argument("--image", type=Path, metavar="FILE", help="a photo instead of a sentence")
    asked.add_argument(
        "--queries", type=Path, metavar="FILE",
        help="a file of sentences, one a line, or JSON lines (.jsonl) with query and id",
    )  # fmt: skip
    asked.add_argument(
        "--serve", action="store_true", help="open a page to search on, until Ctrl-C"
    )
    parser.add_argument(
        "--find", choices=["images", "captions"],
        help="what to look for (default: images for a sentence, captions for a photo)",
    )  # fmt: skip
    parser.add_argument("--top-k", type=_positive, default=10, metavar="K", help="default: 10")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write a contact sheet, as .png")
    written = parser.add_mutually_exclusive_group()
    written.add_argument(
        "--json", action="store_true", help="answer as JSON; --queries as JSON lines, as it does"
    )
    written.add_argument("--csv", action="store_true", help="answer --queries as a table")
    page = parser.add_argument_group("the page", "with --serve")
    page.add_argument("--port", type=_port, help="default: 8765 or the next free one; 0 for any")
    page.add_argument("--host", default="127.0.0.1", help="default: this machine alone")
    page.add_argument(
        "--allow-network", action="store_true",
        help="needed for a --host that others reach: there is no password",
    )  # fmt: skip
    run = parser.add_argument_group(
        "which run answers", "by default the first of the newest dataset"
    )
    for part in PARTS:
        run.add_argument(f"--{part}", metavar="NAME")
    run.add_argument(
        "--index", metavar="NAME", help="an index of the run, in place of comparing everything"
    )
    run.add_argument(
        "--split", choices=["all", "train", "val", "test"], default="all",
        help="what to look through (default: all that is encoded)",
    )  # fmt: skip
    run.add_argument("--results", type=Path, default=Path("results"), metavar="FOLDER")
    run.add_argument(
        "--data", type=Path, metavar="FOLDER", help="default: data, beside the folder of results"
    )
    return parser


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: those are 0 to 65535")
    return int(text)


def serve(options: argparse.Namespace) -> None:
    """Open the page and answer until Ctrl-C."""
    from scripts.search import addresses, page

    if not (options.allow_network or addresses.is_loopback(options.host)):
        raise BadInput(
            "--host", options.host, "this machine alone: 127.0.0.1, ::1 or localhost",
            "add --allow-network if all who reach it may search and see the images",
        )  # fmt: skip
    first, split = _run(options), _split(options)
    data = _data(options)
    if split is not None:
        # what keeps it from answering is told at once
        Search(options.results, data, first, split=split).splits(options.index)
    top_k = min(options.top_k, page.MAX_ANSWERS)
    runs = page.Runs(options.results, data)
    begin = page.Beginning(first, split, options.index, top_k)
    page.serve(runs, begin, options.host, options.port)


def _run(options: argparse.Namespace) -> RunName:
    wanted = {part: getattr(options, part) for part in PARTS}
    return find_run(options.results, wanted, options.index)


def _data(options: argparse.Namespace) -> Path:
    """The run's folder of data; raises ``BadInput`` where it is not beside its results."""
    # by the name of the folder: behind a link there may be another's
    beside = Path(os.path.abspath(options.results)).parent / "data"  # noqa: PTH100
    folder = options.data or beside
    if not folder.is_dir():
        raise BadInput(
            "--data", f"no folder {folder}", "the one that the run's pictures and models are in",
            "name it: --data FOLDER",
        )  # fmt: skip
    return folder


def _split(options: argparse.Namespace) -> str | None:
    return None if options.split == "all" else options.split


def answer(options: argparse.Namespace) -> Iterator[str]:
    """What goes to standard output, each part when it is known."""
    if options.save and options.save.suffix.lower() not in SHEETS:
        raise BadInput(
            "--save", options.save.name, f"a name that ends in {', '.join(SHEETS)}", "rename it"
        )
    photo = open_photo(options.image) if options.image else None
    query = checked_query(options.query) if options.query is not None else ""
    queries = read_queries(options.queries) if options.queries else []
    name = _run(options)
    engine = Search(options.results, _data(options), name, split=_split(options))
    splits = engine.splits(options.index)
    find: Find = options.find or ("captions" if photo else "images")
    if queries:
        yield from _answers(options, engine, find, queries)
    else:
        yield _answer(options, engine, find, photo, query)
    _tell_scope(engine, splits, options)


def _answer(
    options: argparse.Namespace, engine: Search, find: Find, photo: Image.Image | None, query: str
) -> str:
    """To a sentence or a photo."""
    if photo:
        hits = engine.by_image(photo, options.top_k, find, options.index)
        asked, title = {"image": options.image.as_posix()}, options.image.name
    else:
        features, cut = engine.encode_text(query)
        hits = engine.best(features, "texts", options.top_k, find, options.index)
        if cut:
            print("The query is longer than the model reads: its end was left out", file=sys.stderr)
        if engine.in_other_letters(query):
            print(f"No caption has a letter of the query. {FOREIGN}", file=sys.stderr)
        asked, title = {"text": query}, query
    if options.save:
        save_sheet(options.save, title, engine, hits, photo)
        print(f"Saved {options.save}", file=sys.stderr)
    if options.json:
        told = as_json(asked, find, engine, options.index, hits)
        return json.dumps(told, ensure_ascii=False, indent=1)
    return as_text(engine, hits)


def _answers(
    options: argparse.Namespace, engine: Search, find: Find, queries: Sequence[Query]
) -> Iterator[str]:
    """To a file of sentences, a line for each answer or, in a table, for each hit."""
    table = csv.writer(Lines(), lineterminator="")
    if options.csv:
        yield table.writerow(COLUMNS)
    cuts, foreign = [], []
    for query in queries:
        features, cut = engine.encode_text(query.text)
        hits = engine.best(features, "texts", options.top_k, find, options.index)
        cuts += [str(query.line)] if cut else []
        foreign += [str(query.line)] if engine.in_other_letters(query.text) else []
        if options.csv:
            yield from (table.writerow(row) for row in as_rows(query, hits))
        else:
            asked = {"line": query.line, "id": query.id, "text": query.text}
            told = as_json(asked, find, engine, options.index, hits)
            yield json.dumps(told, ensure_ascii=False)
    if cuts:
        print(
            f"Queries longer than the model reads, their ends left out: lines {', '.join(cuts)}",
            file=sys.stderr,
        )
    if foreign:
        lines = ", ".join(foreign)
        print(
            f"No caption has a letter of the queries of lines {lines}. {FOREIGN}", file=sys.stderr
        )


class Lines:
    """Gives back what a ``csv.writer`` writes."""

    def write(self, line: str) -> str:
        return line


def _tell_scope(engine: Search, splits: Sequence[str], options: argparse.Namespace) -> None:
    """Which run answered, of which splits, and how more of them can be looked through."""
    asked = [*asdict(engine.name).values(), " and ".join(splits)]
    through = f", through the index {options.index}" if options.index else ""
    alone = f", which is built of {splits[0]} alone" if options.index else ""
    print(f"Asked {', '.join(asked)}{through}{alone}", file=sys.stderr)
    rest = engine.not_encoded()
    if rest and options.split == "all" and not options.index:
        some = " and ".join(f"{split} ({images:,})" for split, images in rest.items())
        print(f"Not encoded: images of {some}. To look through them, too:\n  {engine.encoding()}",
              file=sys.stderr)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parser().parse_args(arguments)
    if options.serve and (options.save or options.json or options.find):
        parser().error("--save, --json and --find go with a query; not with --serve")
    if options.queries and options.save:
        parser().error("--save shows the answers to one query; not to --queries")
    if options.csv and not options.queries:
        parser().error("--csv goes with --queries")
    # a bar for a single query is noise
    os.environ.setdefault("TQDM_DISABLE", "1")

    def work() -> int:
        if options.serve:
            serve(options)
        else:
            for part in answer(options):
                print(part)
        return 0

    try:
        return ended(work)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
