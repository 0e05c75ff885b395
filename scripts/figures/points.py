"""A study's table as points: a row for each group, a panel for each direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D

from scripts.evaluate.few import FEW, few
from scripts.figures.facets import Facet, count_of, distinct, facets_of, note_of
from scripts.figures.panels import (
    MARKERS,
    dots,
    head,
    height_of,
    legend,
    mark_cut,
    name_rows,
    numbers,
    panels,
)
from scripts.figures.style import (
    LINE,
    MUTED,
    PAPER,
    SMALL,
    WIDTH,
    drawable,
    width_of,
    wrap,
)
from scripts.studies.families import FAMILY_OF
from scripts.studies.shown import unique
from scripts.words import formats

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from scripts.words.labels import Labels

LABEL = SMALL + 0.5  # points
WIDEST_LABEL, LABEL_LINES = 2.3, 3
# a list longer than this, with more marks than that, has those of the first model alone
LONG, CROWDED = 6, 24
# groups that a sheet has room for
MANY_GROUPS = 30
# models whose marks are told apart by their colour and their order
MANY_MODELS = 12
PITCH = 0.092  # inches between marks of a row


@dataclass(frozen=True)
class Block:
    """Panels that share their rows.

    Attributes
    ----------
    facet : what is drawn; its table has columns y (where a mark stands) and middle (of its row), in
        inches from the top
    names : the rows' labels, broken into lines
    edges : (rows + 1,) upper ends of the rows, and the lower end of the last
    named : whether the labels tell the model, too
    """

    facet: Facet
    names: list[str]
    edges: list[float]
    named: bool


def row_labels(table: pd.DataFrame, study: str, labels: Labels) -> tuple[list[str], bool]:
    """The label of each row of a table, and whether it tells the model.

    A label is that of the group; where a group holds several prompts, scorers or x, or where there
    is one group only and several models, these follow.
    """
    same = table.groupby(["model", "direction", "group", "measure"], dropna=False)
    keys = [column for column in ("prompt", "scorer", "x") if same[column].nunique().max() > 1]
    named = not keys and table.group.nunique() == 1 and table.model.nunique() > 1
    names = []
    for one in table.to_dict("records"):
        parts = [formats.quantity(one[key]) if key == "x" else one[key] for key in keys]
        parts = [labels.group(study, one["group"]), *([one["model"]] if named else parts)]
        names.append(" · ".join(drawable(part) for part in parts if part) or one["model"])
    return names, named


def block_of(facet: Facet, study: str, labels: Labels) -> Block:
    """The rows of a facet, the marks of each one below the other."""
    rows, named = row_labels(facet.table, study, labels)
    table = facet.table.assign(row=rows, y=0.0, middle=0.0)
    names, edges = [], [0.05]
    for row, part in table.groupby("row", sort=False):
        marks = part[["model", "measure"]].apply(tuple, axis=1)
        places = {mark: place for place, mark in enumerate(unique(marks))}
        lines = wrap(row, WIDEST_LABEL, LABEL, LABEL_LINES)
        height = max(0.25, PITCH * len(places) + 0.1, 0.14 * len(lines) + 0.07)
        middle = edges[-1] + height / 2
        away = PITCH * (marks.map(places) - (len(places) - 1) / 2)
        table.loc[part.index, "middle"] = middle
        table.loc[part.index, "y"] = middle + away
        names.append("\n".join(lines))
        edges.append(edges[-1] + height)
    return Block(Facet(table, facet.scale, facet.difference), names, edges, named)


def drawn_points(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a study's table that are drawn: of a long list, those of the first model."""
    table = distinct(table, MANY_MODELS)
    names = ["group", "prompt", "scorer", "x"]
    for _, part in table.groupby("direction"):
        if len(part[names].drop_duplicates()) > LONG and len(part) > CROWDED:
            return table[table.model == table.model.iloc[0]].reset_index(drop=True)
    return table


def _foremost(table: pd.DataFrame) -> pd.DataFrame:
    """Leads of the groups that lead by most, and of those next to what they are held against."""
    leads = table.groupby("group", sort=False).value.mean().to_dict()
    # the reference, of no name, has no lead over itself
    chosen = few({"": 0.0} | leads, "", FEW + 1)
    return table[table.group.isin(chosen)].reset_index(drop=True)


def draw_points(table: pd.DataFrame, study: str, labels: Labels) -> Figure:
    """Draw a study's table; models are told by colour, measures by shape."""
    every, table = table, drawn_points(table)
    note = note_of(table, every, MANY_MODELS, study, labels)
    groups = table.group.nunique()
    if study in FAMILY_OF and groups > MANY_GROUPS:
        table = _foremost(table)
        note += wrap(labels.text("few", count=groups), WIDTH - 0.3, SMALL, 2)
    models, measures = unique(table.model), unique(table.measure)
    blocks = [block_of(facet, study, labels) for facet in facets_of(table, study)]
    # where no model is told apart by colour, measures are
    by_model = len(models) > 1 and not all(block.named for block in blocks)
    hues = {name: f"C{place}" for place, name in enumerate(models if by_model else measures)}
    shapes = {name: MARKERS[place % len(MARKERS)] for place, name in enumerate(measures)}
    handles = [_mark("s", hues[model], model) for model in models if by_model]
    if len(measures) > 1:
        handles += [
            _mark(shape, MUTED if by_model else hues[name], labels.measure(name))
            for name, shape in shapes.items()
        ]

    bodies = [block.edges[-1] + 0.05 for block in blocks]
    height = sum(bodies) + 0.85 * len(blocks) + height_of(handles) + 0.15 * len(note)
    columns = max(len(block.facet.ways) for block in blocks)
    figure, grid = panels(height, len(blocks), columns, sharey="row", height_ratios=bodies)
    for block, body, row in zip(blocks, bodies, grid, strict=True):
        facet, ways = block.facet, block.facet.ways
        for axes, way in zip(row, ways, strict=False):
            own = facet.table[facet.table.direction == way]
            counts = own.groupby("middle").queries.agg(count_of)
            alike = labels.text("n", n=counts.iloc[0]) if counts.nunique() == 1 else ""
            head(axes, labels.direction(way), alike)
            axes.set(xlim=facet.limits, ylim=(body, 0), xlabel=facet.axis(labels))
            numbers(axes.xaxis, 7 if columns == 1 else 5)
            _rows(axes, block, {} if alike else counts.to_dict())
            for (model, measure), part in own.groupby(["model", "measure"], sort=False):
                colour = hues[model if by_model else measure]
                low, value, high = (facet.scale * part[end] for end in ("low", "value", "high"))
                axes.hlines(part.y, low, high, color=colour, lw=1.3, zorder=2)
                dots(axes, value, part.y, shapes[measure], color=colour)
        for axes in row[len(ways) :]:
            axes.remove()
    legend(figure, handles, "upper", note)
    return figure


def _mark(marker: str, colour: str, name: str) -> Line2D:
    return Line2D([], [], marker=marker, ls="", color=colour, mec=PAPER, label=drawable(name))


def _rows(axes: Any, block: Block, counts: dict[float, str]) -> None:
    """The names of a panel's rows, what keeps them apart, and their counts, by their middles."""
    across = axes.get_yaxis_transform()
    name_rows(axes, unique(block.facet.table.middle), block.names)
    axes.hlines(block.edges[1:-1], 0, 1, color=LINE, lw=0.4, zorder=0, transform=across)
    mark_cut(axes, "x")
    if block.facet.difference:
        axes.axvline(0, color=MUTED, lw=0.9, zorder=1)
    if counts:
        right = 8 + 72 * max(width_of(count, SMALL) for count in counts.values())  # points
        for y, text in ({-0.1: "n"} | counts).items():
            axes.annotate(
                text, (1, y), xycoords=across, xytext=(right, 0), textcoords="offset points",
                ha="right", va="center", size=SMALL, color=MUTED,
            )  # fmt: skip
