"""This run beside published figures of the same model on the same images.

The figures stand in config/published.csv with their sources. They were measured on captions as they
are, without a prompt, and by cosine: so they are set beside the run of the one template "{}" and a
scorer of that kind, where split and number of images are theirs, too. A model that was trained
further here is another model and has no published figure.
"""

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.evaluate.intervals import DIGITS
from scripts.job import BadInput, log, read_json
from scripts.jobs import Snakemake, run
from scripts.studies.table import About, Row, row, write_rows

COLUMNS = (
    *("dataset", "split", "images", "repo", "model_name"),
    *("direction", "measure", "value", "source"),
)
AS_THEY_ARE = ["{}"]
# by how much the same weights on the same pictures may differ: other versions of a decoder, of
# resizing and of arithmetic move a query here and there, 3 of 1,000, and no more; an interval over
# images says what other images would give, and would let a wrong crop pass
TOLERANCE = 0.003


def read_published(path: str | Path) -> list[dict[str, str]]:
    """Rows of published.csv.

    Columns dataset (a ``source`` of the config's datasets), split, images (of that split), repo
    (one, or several with the same weights, with spaces between), model_name, direction, measure,
    value (a fraction) and source.

    Raises ``BadInput`` where a column or a number is missing.
    """
    with Path(path).open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise BadInput(path, f"{reader.fieldnames}", ",".join(COLUMNS), "correct line 1")
        rows = list(reader)
    for line, published in enumerate(rows, start=2):
        try:
            plausible = 0 <= float(published["value"]) <= 1 and int(published["images"]) > 0
        except (TypeError, ValueError):
            plausible = False
        if not plausible:
            found = f"value {published['value']!r}, images {published['images']!r}"
            expected = "a fraction, and a number of images"
            raise BadInput(f"{path}, line {line}", found, expected, "correct the line")
    return rows


def published_rows(
    published: Sequence[Mapping[str, str]],
    metrics: Sequence[Mapping[str, str]],
    repos: Mapping[str, str | None],
    source: str,
) -> list[Row]:
    """This run's value, the published one, and whether the two agree.

    Parameters
    ----------
    published : rows of published.csv
    metrics : rows of metrics.csv, of the runs that may be compared
    repos : model -> the repository that it came from, None where it came from none
    source : what the dataset is, as published.csv names it

    Returns
    -------
    for each figure four rows: the measure itself with its interval, "published", "difference" (this
    run's less the published one), and "agrees", 1 where that is within ``TOLERANCE`` and else 0
    """
    images = {
        measured["model"]: int(measured["queries"])
        for measured in metrics
        if measured["direction"] == "image_to_text"
    }
    found = []
    for measured in metrics:
        model, way = measured["model"], measured["direction"]
        for figure in published:
            same = (
                figure["dataset"] == source
                and figure["split"] == measured["split"]
                and int(figure["images"]) == images[model]
                and repos[model] in figure["repo"].split()
                and figure["direction"] == way
            )
            if not same:
                continue
            measure, theirs = figure["measure"], float(figure["value"])
            key = (model, measured["prompt"], measured["scorer"])
            queries = int(measured["queries"])
            group = f"{figure['model_name']} ({short_name(figure['source'])})"
            low, high = (float(measured[f"{measure}_{end}"]) for end in ("low", "high"))
            mine = float(measured[measure])
            about = About(key, way, group)
            found += [
                row(about, measure, mine, queries, (low, high)),
                row(about, "published", theirs, queries),
                row(about, "difference", mine - theirs, queries),
                row(
                    about, "agrees", float(round(abs(mine - theirs), DIGITS) <= TOLERANCE), queries
                ),
            ]
    return found


def short_name(source: str) -> str:
    """The repository's own name in "owner/name@commit path"; a source of another form as it is."""
    return source.split("@")[0].split("/")[-1]


def comparable(
    metrics: Iterable[Mapping[str, str]],
    templates: Mapping[tuple[str, str], Sequence[str]],
    scorers: Collection[str],
) -> list[Mapping[str, str]]:
    """Those rows of metrics.csv whose captions are as they are and whose scorer is a cosine.

    Parameters
    ----------
    metrics : rows of metrics.csv
    templates : (model, prompt) -> the prompt's templates
    scorers : names of scorers that are plain cosines
    """
    return [
        measured
        for measured in metrics
        if measured["scorer"] in scorers
        and list(templates[measured["model"], measured["prompt"]]) == AS_THEY_ARE
    ]


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    repos = {about["model"]: about["repo"] for about in map(read_json, files.models)}
    templates: dict[tuple[str, str], Any] = {}
    for path in map(Path, files.encodings):  # .../<model>/test/texts.<prompt>.json
        prompt = path.name.removeprefix("texts.").removesuffix(".json")
        templates[path.parent.parent.name, prompt] = read_json(path)["templates"]
    with Path(files.metrics).open(encoding="utf-8", newline="") as stream:
        metrics = comparable(csv.DictReader(stream), templates, params.cosines)
    found: list[Row] = []
    # without it, the test images are others
    if read_json(files.source).get("official_split"):
        published = read_published(files.published)
        found = published_rows(published, metrics, repos, params.source)
    log.info("%d published figures for the models of this run", len(found) // 4)
    write_rows(snakemake.output.table, found)


if __name__ == "__main__":
    run(main, snakemake)
