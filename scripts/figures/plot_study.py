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
from scripts.figures.pictures import Board
from scripts.figures.points import draw_points
from scripts.figures.style import MUTED, SIZE, WIDTH, draw
from scripts.jobs import Snakemake, run
from scripts.studies.shown import CURVES, form_of, read_study, selected
from scripts.words.labels import Labels, read_labels


def plot_study(
    table: pd.DataFrame,
    study: str,
    settings: dict[str, Any],
    labels: Labels,
) -> Figure:
    """Draw a study's table.

    Parameters
    ----------
    table : columns of ``scripts.studies.table``, as ``read_study`` gives them
    study : the study's name, for its labels
    settings : form ("points", "lines" or "differences"), measures, log
    labels : of the figure
    """
    table = selected(table, settings)
    form = form_of(table, settings)
    if form in CURVES:
        table = table[table.x.notna()].reset_index(drop=True)
    if table.empty:
        return _nothing(labels)
    if form in CURVES:
        return draw_lines(table, study, settings | {"form": form}, labels)
    return draw_points(table, study, labels)


def _nothing(labels: Labels) -> Figure:
    board = Board()
    tall = board.paragraph((0.2, 0.2), labels.text("nothing"), WIDTH - 0.4, size=SIZE, color=MUTED)
    return board.cut(tall + 0.4)


def main(snakemake: Snakemake) -> None:
    """Read a study's table, draw it."""
    settings, study = dict(snakemake.params.settings), snakemake.wildcards.study
    table = read_study(snakemake.input.table, study)
    draw(snakemake, lambda language: plot_study(table, study, settings, read_labels(language)))


if __name__ == "__main__":
    run(main, snakemake)
