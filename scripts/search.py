"""Ask a finished run: a sentence finds images, a photo finds captions."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scripts.job import BadInput, digest_of_file, read_json, whole

# numpy, Pillow and torch are imported where they are used, so that --help answers at once
if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from scripts.data.rows import Rows
    from scripts.models.encoders import Encoder

Find = Literal["images", "captions"]
PARTS = ("dataset", "model", "prompt", "scorer")
SHEETS = (".png", ".jpg", ".jpeg", ".webp")
MAKE_A_RUN = "make one: ./run for the demo, ./run snakemake --cores all for Flickr8k"


@dataclass(frozen=True)
class RunName:
    """Which run answers."""

    dataset: str
    model: str
    prompt: str
    scorer: str
    split: str


@dataclass(frozen=True)
class Hit:
    """One answer.

    Attributes
    ----------
    rank : from 1
    score : inner product of the mapped features; for cosine from -1 to 1
    image : file name of the image found, or of the one that the caption found belongs to
    captions : all captions of that image
    caption : the caption found; None where images are looked for
    """

    rank: int
    score: float
    image: str
    captions: list[str]
    caption: str | None = None


class Search:
    """Answers from the features of one run; what it reads it reads once, when first needed.

    Parameters
    ----------
    results, data : folders of the workflow
    name : which run, see ``find_run``
    device : where queries are encoded
    """

    def __init__(self, results: Path, data: Path, name: RunName, device: str = "cpu") -> None:
        self.name = name
        self.image_folder = data / name.dataset / "images"
        self._features = results / name.dataset / name.model / name.split
        self._run = results / name.dataset / name.model / name.prompt / name.scorer
        self._dataset = data / name.dataset
        self._model = data / "models" / name.model
        self._device = device
        self._galleries: dict[tuple[str, Find], np.ndarray] = {}

    def by_text(self, query: str, k: int = 10, find: Find = "images") -> list[Hit]:
        """Answers to a sentence, which goes through the run's prompt as the captions did.

        Raises ``BadInput`` for a query without words, and where the run's files do not fit.
        """
        from scripts.encode.encode_texts import encode_captions

        query = checked_query(query)
        templates = self._about(f"texts.{self.name.prompt}")["templates"]
        features, _ = encode_captions(self.encoder, [query], templates, batch_size=1)
        return self._answers(features, "texts", k, find)

    def by_image(self, photo: Image.Image, k: int = 10, find: Find = "captions") -> list[Hit]:
        """Answers to a photo."""
        import torch

        self._about("images")
        pixels = torch.from_numpy(self.encoder.preprocess(photo)[None])
        return self._answers(self.encoder.encode_images(pixels).cpu().numpy(), "images", k, find)

    @cached_property
    def rows(self) -> Rows:
        """Images and captions that can be found."""
        from scripts.data.rows import read_rows

        return read_rows(
            self._dataset / "captions.json", self._dataset / "splits.json", self.name.split
        )

    @cached_property
    def encoder(self) -> Encoder:
        """The run's model."""
        from scripts.models.encoders import load_encoder

        return load_encoder(self._model, device=self._device)

    @cached_property
    def _scorer(self) -> dict[str, np.ndarray]:
        from scripts.retrieve.scorers import load_scorer

        return load_scorer(self._run / "scorer.npz")

    def _answers(self, query: np.ndarray, asked: str, k: int, find: Find) -> list[Hit]:
        """Hits for one encoded query (1, d) of the side ``asked``, "texts" or "images"."""
        from scripts.retrieve.ranking import top_k
        from scripts.retrieve.scorers import map_queries

        if direction := _direction(asked, find):
            query = map_queries(self._scorer, query, direction)
        rows, scores = top_k(query, self._gallery(asked, find), k)
        hits = []
        for rank, (row, score) in enumerate(zip(rows[0], scores[0], strict=True), start=1):
            image = int(row) if find == "images" else int(self.rows.image_of_caption[row])
            caption = self.rows.captions[row] if find == "captions" else None
            captions = self.rows.captions_of(image)
            hits.append(Hit(rank, float(score), self.rows.images[image], captions, caption))
        return hits

    def _gallery(self, asked: str, find: Find) -> np.ndarray:
        """Mapped features of what is looked for, kept for the next query."""
        from scripts.retrieve.features import read_features
        from scripts.retrieve.scorers import map_gallery

        if (asked, find) not in self._galleries:
            stem = "images" if find == "images" else f"texts.{self.name.prompt}"
            gallery = read_features(
                self._features / f"{stem}.npy", self._features / f"{stem}.json", self.rows, of=find
            )
            if direction := _direction(asked, find):
                gallery = map_gallery(self._scorer, gallery, direction)
            self._galleries[asked, find] = gallery
        return self._galleries[asked, find]

    def _about(self, stem: str) -> dict[str, Any]:
        """What the sidecar of some features says, if they are of the model that is there now.

        Queries and gallery have to come from the same weights.
        """
        path, provenance = self._features / f"{stem}.json", self._model / "model.json"
        if not provenance.is_file():
            raise BadInput(
                provenance,
                "no such file",
                f"the model of {path}",
                "name its folder with --data, or run the workflow again",
            )
        about = read_json(path)
        if about.get("model") != digest_of_file(provenance):
            raise BadInput(
                path,
                f"features of another version of {self.name.model}",
                f"features of {self._model}",
                "run the workflow again: it encodes anew what is out of date",
            )
        return about


def _direction(asked: str, find: Find) -> str | None:
    """The scorer's direction; None within one side, where similarity is plain cosine."""
    return {("texts", "images"): "text_to_image", ("images", "captions"): "image_to_text"}.get(
        (asked, find)
    )


def find_run(results: Path, wanted: dict[str, str | None], split: str | None = None) -> RunName:
    """The newest finished run that has the ``wanted`` names.

    Parameters
    ----------
    results : folder of the workflow
    wanted : "dataset", "model", "prompt", "scorer"; None or missing where any will do
    split : None for the one that was measured

    Raises
    ------
    BadInput
        where there is no run, none of that name (offering the nearest), or no features of the split
    """
    runs = sorted(results.glob("*/*/*/*/metrics.json"))
    if not runs:
        raise BadInput(results, "no finished run", "at least one", MAKE_A_RUN)
    for place, part in enumerate(PARTS):
        name = wanted.get(part)
        if name is None:
            continue
        there = sorted({run.parts[-5 + place] for run in runs})
        runs = [run for run in runs if run.parts[-5 + place] == name]
        if not runs:
            near = difflib.get_close_matches(name, there, n=1, cutoff=0.4)
            todo = f"did you mean {near[0]}?" if near else "take one of these, or make that run"
            raise BadInput(f"--{part}", name, f"a finished run's: {', '.join(there)}", todo)
    newest = max(runs, key=lambda run: run.stat().st_mtime_ns)
    found = RunName(*newest.parts[-5:-1], split=split or read_json(newest)["split"])
    folder = results / found.dataset / found.model / found.split
    for file in (folder / "images.npy", folder / f"texts.{found.prompt}.npy"):
        if not file.is_file():
            target = file.relative_to(results.parent).as_posix()
            raise BadInput(
                file, "no such file", f"features of {found.split}",
                f"make them: ./run snakemake --cores all {target}",
            )  # fmt: skip
    return found


def checked_query(query: str) -> str:
    """``query`` on one line; raises ``BadInput`` where it holds no words or is not text."""
    try:
        query.encode("utf-8")
    except UnicodeEncodeError:
        raise BadInput(
            "query", f"{query!r:.80}", "UTF-8 text", "set the terminal to UTF-8"
        ) from None
    if not query.strip():
        raise BadInput("query", "no words", "a sentence", 'ask like "a dog running on grass"')
    return " ".join(query.split())


def open_photo(path: str | Path) -> Image.Image:
    """Decode a photo and turn it upright; raises ``BadInput`` where that fails."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as photo:
            return ImageOps.exif_transpose(photo).convert("RGB")
    except FileNotFoundError:
        raise BadInput(path, "no such file", "a photo", "check the path") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInput(
            path, f"not readable as an image: {error}", "a photo", "convert it to JPEG or PNG"
        ) from None


def save_sheet(path: Path, title: str, hits: Sequence[Hit], images: Path, photo=None) -> None:
    """Write a contact sheet of ``hits``, whose files are in the folder ``images``."""
    from scripts.contact_sheet import Cell, contact_sheet

    cells = [
        Cell(
            open_photo(images / hit.image),
            f"{hit.rank} · {hit.score:.3f}",
            hit.image,
            hit.caption or hit.captions[0],
        )
        for hit in hits
    ]
    with whole(path) as draft:
        contact_sheet(title, cells, photo).save(draft)


def as_text(hits: Sequence[Hit]) -> str:
    """Hits for a person: rank, score and name, and below them what the image shows."""
    lines = []
    for hit in hits:
        lines.append(f"{hit.rank:>3}  {hit.score:.4f}  {hit.image}")
        shown = hit.captions if hit.caption is None else [hit.caption]
        lines += [f"{'':13}{caption}" for caption in shown]
    return "\n".join(lines)


def as_json(asked: dict[str, str], find: Find, engine: Search, hits: Sequence[Hit]) -> str:
    """Hits for a program."""
    answer: dict[str, Any] = {
        "query": asked,
        "find": find,
        "run": asdict(engine.name),
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
        "./run search --image photo.jpg --top-k 5",
    )
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("query", nargs="?", help="a sentence")
    asked.add_argument("--image", type=Path, metavar="FILE", help="a photo instead of a sentence")
    parser.add_argument(
        "--find", choices=["images", "captions"],
        help="what to look for (default: images for a sentence, captions for a photo)",
    )  # fmt: skip
    parser.add_argument("--top-k", type=_positive, default=10, metavar="K", help="default: 10")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write a contact sheet, as .png")
    parser.add_argument("--json", action="store_true", help="answer as JSON")
    run = parser.add_argument_group("which run answers", "by default the newest finished one")
    for part in PARTS:
        run.add_argument(f"--{part}", metavar="NAME")
    run.add_argument("--split", choices=["train", "val", "test"])
    run.add_argument("--results", type=Path, default=Path("results"), metavar="FOLDER")
    run.add_argument("--data", type=Path, default=Path("data"), metavar="FOLDER")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def answer(options: argparse.Namespace) -> str:
    """What goes to standard output."""
    if options.save and options.save.suffix.lower() not in SHEETS:
        raise BadInput(
            "--save", options.save.name, f"a name that ends in {', '.join(SHEETS)}", "rename it"
        )
    photo = open_photo(options.image) if options.image else None
    query = None if photo else checked_query(options.query)
    wanted = {part: getattr(options, part) for part in PARTS}
    engine = Search(options.results, options.data, find_run(options.results, wanted, options.split))
    if photo:
        find = options.find or "captions"
        hits = engine.by_image(photo, options.top_k, find)
        asked, title = {"image": options.image.as_posix()}, options.image.name
    else:
        find = options.find or "images"
        hits = engine.by_text(query, options.top_k, find)
        asked, title = {"text": query}, query
    if options.save:
        save_sheet(options.save, title, hits, engine.image_folder, photo)
        print(f"Saved {options.save}", file=sys.stderr)
    if options.json:
        return as_json(asked, find, engine, hits)
    print("Asked " + ", ".join(map(str, asdict(engine.name).values())), file=sys.stderr)
    return as_text(hits)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    options = parser().parse_args(arguments)
    # a bar for a single query is noise
    os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        print(answer(options))
    except BadInput as error:
        print(f"ERROR in {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
