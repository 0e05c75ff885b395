"""Every query of every run, both ways, as one page that opens from disk without a server.

What the page shows is written into it: captions and small pictures as they are, each run's lists
deflated, to be unpacked by the browser when that run is chosen. Where there are many runs, only the
first one's stand in the page, the others in a folder beside it, a script for each that does nothing
but hand them over: a page from disk can load a script, and no other file. Nothing else is fetched:
the page forbids itself all other requests, and runs no script but these and the one whose digest it
names.
"""

import base64
import csv
import io
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.data.rows import Rows, read_rows
from scripts.evaluate.compare import shown
from scripts.evaluate.runs import Run, images_of_queries, read_run
from scripts.figures.style import thumbnail
from scripts.figures.webfont import font_faces
from scripts.job import log, progress, read_json, whole
from scripts.jobs import Snakemake, run
from scripts.measures import METRICS
from scripts.protocol import DIRECTIONS
from scripts.studies.judged import accepted, read_judgments
from scripts.studies.study_categories import members
from scripts.studies.study_errors import KINDS
from scripts.studies.table import read_table
from scripts.studies.words import words_in
from scripts.templates import in_script, self_contained
from scripts.words import LANGUAGES, read_words
from scripts.words.labels import read_labels
from scripts.words.warned import sentences

# the script itself runs from a copy that Snakemake makes: the files beside it are found from here
FOLDER = Path(__file__).resolve().parent
# scores are carried and shown in units of 0.0001, so that both are the same number
UNIT = 10_000
# pixels of a picture's longer side: as large as is shown, smaller where there are many
LARGEST, SMALLEST = 144, 96
PICTURES = 1_000  # so many are carried at their largest
# libwebp: half the bytes of a JPEG of this size
QUALITY, EFFORT = 55, 4
# of zlib: a third of the time of its own choice, for 3% more bytes
LEVEL = 5

# model, prompt and scorer
Key = tuple[str, ...]
# query, kind, and the words that differ
Failure = tuple[int, str, str]


def side_of(images: int) -> int:
    """Pixels of a picture's longer side, so that all pictures together stay about as heavy."""
    return int(np.clip(LARGEST * np.sqrt(PICTURES / max(images, 1)), SMALLEST, LARGEST))


def margins(run_: Run, direction: str, rows: Rows) -> list[int | None]:
    """How far the best right answer is ahead of the best wrong one, in units, for each query.

    Both are read from the query's top list. A right image's score is known anywhere; where no right
    caption is in the list, the last score of the list stands in, which makes the margin an upper
    bound. None where the list holds no wrong item.
    """
    tops, scores = run_.tops[direction], run_.scores[direction].astype(np.float64)
    images = images_of_queries(direction, rows)
    of_items = tops if direction == "text_to_image" else rows.image_of_caption[tops]
    right = of_items == images[:, None]
    wrong = np.where(right, -np.inf, scores).max(axis=1)
    if direction == "text_to_image":
        best = run_.right_score.astype(np.float64)
    else:
        best = np.where(
            right.any(axis=1), np.where(right, scores, -np.inf).max(axis=1), scores[:, -1]
        )
    return [_units(value) if np.isfinite(value) else None for value in (best - wrong).tolist()]


def lists_of(
    run_: Run, rows: Rows, failures: Mapping[str, list[Failure]] | None = None
) -> dict[str, dict[str, Any]]:
    """A run's ranks and top lists as whole numbers, by direction.

    Parameters
    ----------
    run_, rows : the run, and what it ranked
    failures : direction -> what failed in it, where that was looked at

    Returns
    -------
    direction -> rank and tied, of each caption as right answer (m); margin (q); top, items of all
    lists one after another (q * K); score, likewise, in units: of a list's first item itself, of
    the others how much lower than the item before; failed, from ``failures``, or None. From
    captions to images also right, the score of each caption's own image (m).
    """
    ranks = {"text_to_image": run_.ranks["text_to_image"], "image_to_text": run_.caption_ranks}
    lists: dict[str, dict[str, Any]] = {
        way: {
            "rank": ranks[way].tolist(),
            "tied": run_.tied[way].tolist(),
            "margin": margins(run_, way, rows),
            "top": run_.tops[way].ravel().tolist(),
            "score": _steps(run_.scores[way]),
            "failed": failures[way] if failures else None,
        }
        for way in DIRECTIONS
    }
    lists["text_to_image"]["right"] = [_units(score) for score in run_.right_score.tolist()]
    return lists


def _units(score: float) -> int:
    return round(score * UNIT)


def _steps(scores: np.ndarray) -> list[int]:
    """First score of each list, and how far down it is from each item to the next: few digits."""
    units = np.round(scores.astype(np.float64) * UNIT).astype(np.int64)
    return np.concatenate([units[:, :1], units[:, :-1] - units[:, 1:]], axis=1).ravel().tolist()


def measured(metrics: Iterable[Mapping[str, str]], key: Key) -> dict[str, dict[str, str]]:
    """Every measure of a run with its interval, as tables print them: direction -> name -> text.

    Parameters
    ----------
    metrics : rows of metrics.csv
    key : of the run
    """
    found = {}
    for row in metrics:
        if (row["model"], row["prompt"], row["scorer"]) == key:
            texts = {
                name: [shown(name, float(row[f"{name}{end}"])) for end in ("", "_low", "_high")]
                for name in METRICS
            }
            found[row["direction"]] = {
                name: f"{value} [{low}, {high}]" for name, (value, low, high) in texts.items()
            }
    return found


def about_runs(keys: Iterable[Key], metrics: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """What runs are called, and their measures.

    Parameters
    ----------
    keys : in the order of the page
    metrics : rows of metrics.csv
    """
    return [{"name": "/".join(key), "measures": measured(metrics, key)} for key in keys]


def read_failures(path: str | None) -> tuple[list[str], dict[str, dict[str, list[Failure]]]]:
    """Kinds that there are, and model -> direction -> what failed, of failures.csv.

    Nothing where the run does not study failures.
    """
    found: dict[str, dict[str, list[Failure]]] = {}
    seen: set[str] = set()
    if path:
        with Path(path).open(encoding="utf-8", newline="") as stream:
            # row by row: with all that it tells of each, the table of many models is large
            for row in csv.DictReader(stream):
                seen.add(kind := row["kind"])
                ways = found.setdefault(row["model"], {way: [] for way in DIRECTIONS})
                ways[row["direction"]].append((int(row["query"]), kind, row["differing"]))
    return [kind for kind in KINDS if kind in seen], found


def content(
    rows: Rows,
    runs: Sequence[Mapping[str, Any]],
    lexicon: Mapping[str, Sequence[str]],
    kinds: Sequence[str],
    fitting: np.ndarray,
) -> dict[str, Any]:
    """What the page holds beside pictures and lists.

    Parameters
    ----------
    rows : of all runs
    runs : from ``about_runs``
    lexicon : category -> its words
    kinds : of failures, that there are
    fitting : (a, 2) rows of caption and image that people said fit each other
    """
    of_category = {name: members(rows, words) for name, words in lexicon.items()}
    other = rows.image_of_caption[fitting[:, 0]] != fitting[:, 1]
    return {
        "images": rows.images,
        "captions": rows.captions,
        "counts": np.bincount(rows.image_of_caption, minlength=len(rows.images)).tolist(),
        "words": [words_in(caption) for caption in rows.captions],
        "categories": [
            {"name": name, **{way: np.flatnonzero(held).tolist() for way, held in ways.items()}}
            for name, ways in of_category.items()
            if any(held.any() for held in ways.values())
        ],
        "kinds": list(kinds),
        "accepted": fitting[other].tolist(),
        "runs": list(runs),
        "unit": UNIT,
    }


def read_phrases(
    kinds: Sequence[str], categories: Sequence[str], warnings: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What the page says, by language; all that the report says, too, as the report has it."""
    phrases = {}
    for language in LANGUAGES:
        own = read_words("explorer", language)
        labels = read_labels(language)
        own["measures"] = {name: labels.head(name) for name in METRICS}
        own["kinds"] = {kind: labels.group("errors", kind) for kind in kinds}
        # the study's table has "lexicon: people", to tell words from clusters; here are words alone
        study = labels.group("categories", "lexicon: ")
        own["categories"] = {
            name: labels.group("categories", f"lexicon: {name}").removeprefix(study)
            for name in categories
        }
        own["warned"] = sentences(warnings, language)
        own["warnings"] = read_words("warnings", language)["counted"]
        phrases[language] = own
    return phrases


def packed(value: Any) -> str:
    """JSON, deflated, in letters that HTML and strings of JavaScript leave alone."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode("ascii"), LEVEL)).decode("ascii")


def small_picture(path: Path, side: int) -> str:
    """A picture as WebP, in base64."""
    stream = io.BytesIO()
    thumbnail(path, side).save(stream, "WEBP", quality=QUALITY, method=EFFORT)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def render(
    about: dict[str, str],
    held: dict[str, Any],
    lists: Sequence[str],
    pictures: Sequence[str],
    warnings: Sequence[Mapping[str, Any]],
) -> str:
    """The page.

    Parameters
    ----------
    about : dataset and split, as they are called
    held : from ``content``
    lists : ``packed`` from ``lists_of``, of the first runs; those of others lie beside the page
    pictures : from ``small_picture``, in the order of the rows
    warnings : the contents of warnings.json
    """
    phrases = read_phrases(held["kinds"], [one["name"] for one in held["categories"]], warnings)
    letters = json.dumps([phrases, about, held["captions"], held["images"]], ensure_ascii=False)
    return self_contained(
        FOLDER,
        "explorer",
        font_faces(letters),
        **about,
        say=phrases[LANGUAGES[0]],
        compares=len(held["runs"]) > 1,
        beside=len(held["runs"]) > len(lists),
        held=in_script({**about, **held}),
        phrases=in_script(phrases),
        pictures=in_script(list(pictures)),
        lists=lists,
    )


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    rows = read_rows(files.captions, files.splits, params.split)
    kinds, failures = read_failures(files.get("failures"))
    reference = tuple(params.reference)
    # of the last runs, where there are many
    beside = snakemake.output.get("lists", [])
    first = len(files.rankings) - len(beside)
    keys: list[Key] = []
    lists = []
    for path, file in zip(files.rankings, [None] * first + beside, strict=True):
        run_ = read_run(path, rows)
        keys.append(run_.key)
        of_reference = run_.key[1:] == reference
        own = packed(lists_of(run_, rows, failures.get(run_.model) if of_reference else None))
        if file is None:
            lists.append(own)
        else:
            with whole(file) as draft:
                draft.write_text(f'explorer("{"/".join(run_.key)}","{own}");\n', "ascii")
    held = content(
        rows,
        about_runs(keys, read_table(files.metrics)),
        params.lexicon,
        kinds,
        accepted(read_judgments(files.judgments, rows)),
    )
    side, folder = side_of(len(rows.images)), Path(files.images)
    names = progress(rows.images, "pictures", unit="pictures")
    pictures = [small_picture(folder / name, side) for name in names]
    about = {"dataset": snakemake.wildcards.dataset, "split": params.split}
    page = render(about, held, lists, pictures, read_json(files.warnings))
    with whole(snakemake.output.html) as draft:
        draft.write_text(page, "utf-8")
    log.info("%d runs, %d pictures of %d pixels: %.1f MB", len(keys), len(pictures), side,
             len(page.encode()) / 1e6)  # fmt: skip


if __name__ == "__main__":
    run(main, snakemake)
