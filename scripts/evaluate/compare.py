"""Set all runs of a dataset side by side: one row per model, prompt, scorer and direction."""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from scripts.job import Snakemake, read_json, run, whole
from scripts.measures import MEASURES, METRICS, RECALLS, SUMS
from scripts.protocol import DIRECTIONS
from scripts.words import read_words

ARROWS = {"text_to_image": "text → image", "image_to_text": "image → text"}
NAMES = ("dataset", "model", "prompt", "scorer", "split", "direction")
COUNTS = ("queries", "gallery")
BOUNDS = tuple(f"{measure}_{end}" for measure in METRICS for end in ("low", "high"))
# the headline, printed with intervals; the CSV has those of all measures
WITH_INTERVAL = (*RECALLS, *SUMS)
COLUMNS = (*NAMES, *COUNTS, *METRICS, *BOUNDS)
# what a page has room for; the dataset and the split are the same all through
PRINTED = (
    *("model", "prompt", "scorer"),
    *(name for name in METRICS if MEASURES[name].printed),
)

NOTE = (
    "Recall@K (R@K) means the hit rate that CLIP papers report: at least one right answer in the "
    "top K, in percent. In brackets: 95% intervals by bootstrap over images."
)

Row = dict[str, Any]


def rows_of_runs(runs: Iterable[dict[str, Any]]) -> list[Row]:
    """One row per run and direction: all of a direction together, runs in the order given.

    Parameters
    ----------
    runs : contents of metrics.json, one for each run
    """
    runs = list(runs)
    return [_row(metrics, direction) for direction in DIRECTIONS for metrics in runs]


def _row(metrics: dict[str, Any], direction: str) -> Row:
    """One direction of a run; a sum belongs to both and stands with either."""
    own = metrics[direction] | {name: metrics[name] for name in SUMS}
    intervals = metrics["intervals"]
    bounds = intervals[direction] | {name: intervals[name] for name in SUMS}
    return {
        **{name: metrics[name] for name in NAMES if name != "direction"},
        "direction": direction,
        **{column: own[column] for column in (*COUNTS, *METRICS)},
        **{
            f"{measure}_{end}": bounds[measure][place]
            for measure in METRICS
            for place, end in enumerate(("low", "high"))
        },
    }


def shown(column: str, value: Any) -> str:
    """A value as a reader gets it: shares in percent, ranks with one decimal, others with three."""
    if column not in MEASURES:
        return str(value)
    unit = MEASURES[column].unit
    if unit == "share":
        return f"{100 * value:.1f}"
    return f"{value:.1f}" if unit == "rank" else f"{value:.3f}"


def shown_with_interval(column: str, row: Row) -> str:
    """A value, and behind a headline its 95% interval: "16.3 [15.1, 17.5]"."""
    if column not in WITH_INTERVAL:
        return shown(column, row[column])
    low, high = (shown(column, row[f"{column}_{end}"]) for end in ("low", "high"))
    return f"{shown(column, row[column])} [{low}, {high}]"


def best_of(rows: Sequence[Row], column: str) -> set[str]:
    """What the best value of a column looks like; nothing where there is nothing to compare.

    It is the printed value that counts, so that of two equal numbers in a table never one only is
    marked as the best.
    """
    if column not in MEASURES or len(rows) < 2:
        return set()
    best = max if MEASURES[column].better == "higher" else min
    return {shown(column, best(row[column] for row in rows))}


def cells(rows: Sequence[Row], bold: str, escape: Callable[[str], str] = str) -> list[list[str]]:
    """Printed cells of one direction's rows, the best of each column set in ``bold``.

    Parameters
    ----------
    rows : rows of one direction
    bold : template with {} where the value goes
    escape : what makes text safe in the target format
    """
    best = {column: best_of(rows, column) for column in PRINTED}
    return [
        [
            bold.replace("{}", text) if shown(column, row[column]) in best[column] else escape(text)
            for column in PRINTED
            for text in [shown_with_interval(column, row)]
        ]
        for row in rows
    ]


def to_markdown(rows: Sequence[Row]) -> str:
    """A pipe table for each direction, the best value of each column bold."""
    parts = []
    for direction, group in _by_direction(rows):
        alignment = [":--" if column not in MEASURES else "--:" for column in PRINTED]
        lines = [_heads(), alignment, *cells(group, "**{}**", _markdown)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"{_caption(direction, group[0])}:\n\n{table}\n")
    return "\n".join([*parts, NOTE + "\n"])


def to_latex(rows: Sequence[Row]) -> str:
    """A booktabs table, the directions one below the other, the best value of each column bold."""
    alignment = "".join("l" if column not in MEASURES else "r" for column in PRINTED)
    lines = [
        "% needs \\usepackage{booktabs}",
        f"% {NOTE}",
        f"\\begin{{tabular}}{{{alignment}}}",
        "\\toprule",
        " & ".join(_heads()) + r" \\",
    ]
    for direction, group in _by_direction(rows):
        heading = _caption(direction, group[0]).replace("→", r"$\rightarrow$")
        lines += [
            "\\midrule",
            f"\\multicolumn{{{len(PRINTED)}}}{{l}}{{\\emph{{{heading}}}}} " + r"\\",
            *(" & ".join(line) + r" \\" for line in cells(group, r"\textbf{{}}", _latex)),
        ]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def to_csv(rows: Sequence[Row], path: str | Path) -> None:
    """All columns at full precision, recalls as fractions."""
    with Path(path).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _by_direction(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    groups = [(one, [row for row in rows if row["direction"] == one]) for one in DIRECTIONS]
    return [(direction, group) for direction, group in groups if group]


def _heads() -> list[str]:
    """What stands over each column of ``PRINTED``."""
    words = read_words("measures", "en")
    own = [words[name].get("short", words[name]["name"]) for name in PRINTED if name in MEASURES]
    return ["Model", "Prompt", "Scorer", *own]


def _caption(direction: str, row: Row) -> str:
    return f"{ARROWS[direction]} ({row['queries']:,} queries, gallery of {row['gallery']:,})"


def _markdown(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("_", "\\_").replace("*", "\\*")


def _latex(text: str) -> str:
    special = {
        "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }  # fmt: skip
    return "".join(special.get(character, character) for character in text)


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    rows = rows_of_runs(read_json(path) for path in snakemake.input.metrics)
    with whole(snakemake.output.csv) as draft:
        to_csv(rows, draft)
    with whole(snakemake.output.markdown) as draft:
        draft.write_text(to_markdown(rows), "utf-8")
    with whole(snakemake.output.latex) as draft:
        draft.write_text(to_latex(rows), "utf-8")


if __name__ == "__main__":
    run(main, snakemake)
