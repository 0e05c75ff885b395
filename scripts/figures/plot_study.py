"""The figure of any study: its table's values with their intervals, as points or as lines.

Points stand in a row for each group, lines run over x; each direction has a panel of its own. What
is measured in other units, or over another x, has panels of its own, too. Lines that would lie upon
one another are drawn as differences from the first group, beside its own. Nothing here knows a
study by name but its labels.
"""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from scripts.figures.lines import draw_lines
from scripts.figures.points import draw_points
from scripts.figures.style import MUTED, SIZE, WIDTH, draw, inches, sheet, wrap
from scripts.jobs import Snakemake, run
from scripts.studies.shown import CURVES, form_of, read_study, selected
from scripts.words.labels import Labels, read_labels


def plot_study(
    table: pd.DataFrame,
    study: str,
    settings: dict[str, Any],
    labels: Labels,
    style: dict[str, Any],
) -> Figure:
    """Draw a study's table.

    Parameters
    ----------
    table : columns of ``scripts.studies.table``, as ``read_study`` gives them
    study : the study's name, for its labels
    settings : form ("points", "lines" or "differences"), measures, log
    labels, style : of the figure
    """
    table = selected(table, settings)
    form = form_of(table, settings)
    if form in CURVES:
        table = table[table.x.notna()].reset_index(drop=True)
    with sheet():
        if table.empty:
            return _nothing(labels)
        if form in CURVES:
            return draw_lines(table, study, settings | {"form": form}, labels, style)
        return draw_points(table, study, labels, style)


def _nothing(labels: Labels) -> Figure:
    told = wrap(labels.text("nothing"), WIDTH - 0.4, SIZE)
    figure, axes = inches(WIDTH, 0.35 + 0.16 * len(told))
    axes.text(0.2, 0.3, "\n".join(told), color=MUTED, va="center")
    return figure


def main(snakemake: Snakemake) -> None:
    """Read a study's table, draw it."""
    params, study = snakemake.params, snakemake.wildcards.study
    settings = dict(params.settings)
    table = read_study(snakemake.input.table, study)
    style = dict(params.get("style") or {})
    draw(
        snakemake,
        lambda language: plot_study(table, study, settings, read_labels(language), style),
    )


if __name__ == "__main__":
    run(main, snakemake)
