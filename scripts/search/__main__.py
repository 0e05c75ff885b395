"""The command line: ask a finished run once, or open its page."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.job import BadInput, whole
from scripts.letters import printable
from scripts.search.engine import Find, Hit, Search, checked_query, open_photo
from scripts.search.runs import PARTS, find_run

if TYPE_CHECKING:
    from PIL import Image

SHEETS = (".png", ".jpg", ".jpeg", ".webp")


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
            engine.photo_of(hit.row),
            f"{hit.rank} · {hit.score:.3f}",
            hit.image,
            hit.caption or hit.captions[0],
        )
        for hit in hits
    ]
    with whole(path) as draft:
        contact_sheet(title, cells, photo).save(draft)


def as_text(hits: Sequence[Hit]) -> str:
    """Hits for a person: rank, score and name, and below them what the image shows.

    A caption stands on one line, and its control characters in letters.
    """
    lines = []
    for hit in hits:
        lines.append(f"{hit.rank:>3}  {hit.score:.4f}  {hit.image}")
        shown = hit.captions if hit.caption is None else [hit.caption]
        lines += [f"{'':13}{' '.join(caption.split())}" for caption in shown]
    return printable("\n".join(lines))


def as_json(
    asked: dict[str, str], find: Find, engine: Search, index: str | None, hits: Sequence[Hit]
) -> str:
    """Hits for a program."""
    answer: dict[str, Any] = {
        "query": asked,
        "find": find,
        "run": asdict(engine.name),
        "index": index,
        "results": [
            {**asdict(hit), "path": (engine.image_folder / hit.image).as_posix()} for hit in hits
        ],
    }
    return json.dumps(answer, ensure_ascii=False, indent=1)


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
        "--serve", action="store_true", help="open a page to search on, until Ctrl-C"
    )
    parser.add_argument(
        "--find", choices=["images", "captions"],
        help="what to look for (default: images for a sentence, captions for a photo)",
    )  # fmt: skip
    parser.add_argument("--top-k", type=_positive, default=10, metavar="K", help="default: 10")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write a contact sheet, as .png")
    parser.add_argument("--json", action="store_true", help="answer as JSON")
    page = parser.add_argument_group("the page", "with --serve")
    page.add_argument("--port", type=_port, help="default: 8765 or the next free one; 0 for any")
    page.add_argument("--host", default="127.0.0.1", help="default: this machine alone")
    page.add_argument(
        "--allow-network", action="store_true",
        help="needed for a --host that others reach: there is no password",
    )  # fmt: skip
    run = parser.add_argument_group("which run answers", "by default the newest finished one")
    for part in PARTS:
        run.add_argument(f"--{part}", metavar="NAME")
    run.add_argument(
        "--index", metavar="NAME", help="an index of the run, in place of comparing everything"
    )
    run.add_argument("--split", choices=["train", "val", "test"])
    run.add_argument("--results", type=Path, default=Path("results"), metavar="FOLDER")
    run.add_argument("--data", type=Path, default=Path("data"), metavar="FOLDER")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**16:
        raise ValueError
    return value


def serve(options: argparse.Namespace) -> None:
    """Open the page and answer until Ctrl-C."""
    from scripts.search import page

    if not (options.allow_network or page.is_loopback(options.host)):
        raise BadInput(
            "--host", options.host, "this machine alone: 127.0.0.1, ::1 or localhost",
            "add --allow-network if all who reach it may search and see the images",
        )  # fmt: skip
    first = find_run(options.results, _wanted(options), options.split, options.index)
    top_k = min(options.top_k, page.MAX_ANSWERS)
    runs = page.Runs(options.results, options.data, options.split)
    page.serve(runs, first, options.index, top_k, options.host, options.port)


def _wanted(options: argparse.Namespace) -> dict[str, str | None]:
    return {part: getattr(options, part) for part in PARTS}


def answer(options: argparse.Namespace) -> str:
    """What goes to standard output."""
    if options.save and options.save.suffix.lower() not in SHEETS:
        raise BadInput(
            "--save", options.save.name, f"a name that ends in {', '.join(SHEETS)}", "rename it"
        )
    photo = open_photo(options.image) if options.image else None
    query = "" if photo else checked_query(options.query)
    name = find_run(options.results, _wanted(options), options.split, options.index)
    engine = Search(options.results, options.data, name)
    find: Find = options.find or ("captions" if photo else "images")
    if photo:
        hits = engine.by_image(photo, options.top_k, find, options.index)
        asked, title = {"image": options.image.as_posix()}, options.image.name
    else:
        features, cut = engine.encode_text(query)
        hits = engine.best(features, "texts", options.top_k, find, options.index)
        if cut:
            print("The query is longer than the model reads: its end was left out", file=sys.stderr)
        asked, title = {"text": query}, query
    if options.save:
        save_sheet(options.save, title, engine, hits, photo)
        print(f"Saved {options.save}", file=sys.stderr)
    if options.json:
        return as_json(asked, find, engine, options.index, hits)
    through = f", through the index {options.index}" if options.index else ""
    print("Asked " + ", ".join(map(str, asdict(engine.name).values())) + through, file=sys.stderr)
    return as_text(hits)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parser().parse_args(arguments)
    if options.serve and (options.save or options.json or options.find):
        parser().error("--save, --json and --find go with a query; not with --serve")
    # a bar for a single query is noise
    os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        if options.serve:
            serve(options)
        else:
            print(answer(options))
    except KeyboardInterrupt:
        return 130
    except BadInput as error:
        print(f"ERROR in {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
