"""The end of a run as a screen of 80 columns shows it: how well, what to know, and where it is.

Every run's recall, both ways, with intervals; against the first run on the same queries, what is
beyond noise; what chance alone would find; the warnings; and the files to open.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from scripts.evaluate.pairs import BOTH
from scripts.evaluate.runs import chance, right_answers
from scripts.job import log, read_json, whole
from scripts.jobs import Snakemake, run
from scripts.letters import wide_in, wrap
from scripts.measures import RECALLS
from scripts.protocol import DEPTHS, DIRECTIONS
from scripts.studies.table import read_table
from scripts.words import formats
from scripts.words.labels import read_labels
from scripts.words.warned import sentences

WIDTH = 80
# of a value with its interval: "100.0 [95.3, 100.0]"
CELL = 20
# runs that a screen has room for; the others stand in the table that is named
MOST = 8
# in pairs.csv: which of two runs a row's difference speaks for
NAMES = ("model", "prompt", "scorer")
SAID = {"better": "better", "worse": "worse", "alike": "no clear difference"}

# rows of a table in CSV, as text
Rows = Sequence[Mapping[str, str]]
Key = tuple[str, ...]


def summary(
    dataset: str,
    metrics: Rows,
    pairs: Rows,
    warnings: Sequence[Mapping[str, Any]],
    elsewhere: Collection[str] = (),
) -> str:
    """The text of summary.txt, no line of it wider than ``WIDTH``.

    Parameters
    ----------
    dataset : the name of the dataset
    metrics, pairs : rows of metrics.csv and pairs.csv; the first run is the one held against
    warnings : the contents of warnings.json
    elsewhere : models that are features alone, of which no query can be asked
    """
    folder = f"results/{dataset}"
    first = metrics[0]
    sizes = {row["direction"]: int(row["gallery"]) for row in metrics}
    images, captions = sizes["text_to_image"], sizes["image_to_text"]
    heads = "".join(f"{f'@{depth}':>{CELL}}" for depth in DEPTHS)
    lines = [
        f"{dataset}: {formats.count(images)} images, {formats.count(captions)} captions "
        f"({first['split']})",
        f"{'Recall in %':18}{heads}",
        *_runs(metrics, pairs, folder),
        "",
        "By chance alone",
        *_by_chance(metrics),
    ]
    # the table above says it of every run
    warnings = [one for one in warnings if one["kind"] != "not_apart"]
    if warnings:
        lines += ["", f"Before you read the numbers ({folder}/warnings.json):"]
        for sentence in sentences(warnings, "en"):
            lines += _wrapped(f"- {sentence}", "")
    lines += [
        "",
        f"Report     {folder}/report.en.html",
        "           (report.zh.html in Chinese, .pdf on paper)",
        f"Explorer   {folder}/explorer.html",
    ]
    asked = [row["model"] for row in metrics if row["model"] not in elsewhere]
    if asked:
        other = "" if asked[0] == first["model"] else f" --model {asked[0]}"
        lines.append(f'Search     ./run search --dataset {dataset}{other} "a red car"')
    return "".join(f"{line}\n" for line in lines)


def _runs(metrics: Rows, pairs: Rows, folder: str) -> Iterable[str]:
    """Lines of the first run and of the best of the others, in the order of the table."""
    mean: dict[Key, float] = {}
    for row in metrics:
        mean[_key(row)] = mean.get(_key(row), 0.0) + sum(float(row[name]) for name in RECALLS)
    first, *others = mean
    best = sorted(others, key=lambda key: mean[key], reverse=True)[: MOST - 1]
    for key in mean:
        if key != first and key not in best:
            continue
        said = " · ".join(key)
        yield from _wrapped(said, "")
        labels = read_labels("en")
        for row in (row for row in metrics if _key(row) == key):
            cells = (_cell(row, name) for name in RECALLS)
            way = labels.direction(row["direction"])
            yield f"  {way:16}" + "".join(f"{cell:>{CELL}}" for cell in cells)
        yield from _against(key, first, pairs)
    if len(others) > len(best):
        rest = len(others) - len(best)
        yield f"(and {rest} more with lower recall: {folder}/tables/metrics.csv)"


def _cell(row: Mapping[str, str], name: str) -> str:
    value, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return formats.with_interval(value, low, high, formats.share)


def _against(key: Key, first: Key, pairs: Rows) -> Iterable[str]:
    """How far a run is from the first one, both ways and each, and whether that is noise."""
    labels, said = read_labels("en"), []
    for row in pairs:
        if _key(row) == key and _key(row, "other_") == first:
            gain = formats.points(float(row["mean"]))
            way = "both ways" if row["direction"] == BOTH else labels.direction(row["direction"])
            said.append(f"{way} {gain} ({SAID[row['verdict']]})")
    if said:
        yield from _wrapped(f"against the first, in mean recall: {', '.join(said)}", "  ")


def _by_chance(metrics: Rows) -> Iterable[str]:
    labels = read_labels("en")
    for way in DIRECTIONS:
        row = next(row for row in metrics if row["direction"] == way)
        queries, gallery = int(row["queries"]), int(row["gallery"])
        right = right_answers(way, queries, gallery)
        cells = (formats.share(chance(gallery, right, depth)) for depth in DEPTHS)
        yield f"  {labels.direction(way):16}" + "".join(f"{cell:>{CELL}}" for cell in cells)


def _key(row: Mapping[str, str], of: str = "") -> Key:
    return tuple(row[f"{of}{name}"] for name in NAMES)


def _wrapped(text: str, indent: str) -> list[str]:
    """Lines of ``text``, all but the first two letters further in."""
    room = WIDTH - len(indent) - 2
    first, *rest = wrap(text, room, lambda line: len(line) + wide_in(line))
    return [f"{indent}{first}", *(f"{indent}  {line}" for line in rest)]


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files = snakemake.input
    text = summary(
        snakemake.wildcards.dataset,
        read_table(files.metrics),
        read_table(files.pairs),
        read_json(files.warnings),
        snakemake.params.elsewhere,
    )
    log.info("%d lines", text.count("\n"))
    with whole(snakemake.output.text) as draft:
        draft.write_text(text, "utf-8")


if __name__ == "__main__":
    run(main, snakemake)
