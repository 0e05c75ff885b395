"""A leaderboard as a page that needs nothing beside it, and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.figures.webfont import font_faces
from scripts.leaderboard.board import Board, Line
from scripts.leaderboard.entries import COSTS, OTHER_QUERIES, UNCHECKED, Entry
from scripts.leaderboard.standings import BEHIND, LEADS, LEVEL, MEASURED, Standing
from scripts.measures import MEASURES
from scripts.protocol import DIRECTIONS
from scripts.templates import in_script, plain, self_contained
from scripts.words import read_words
from scripts.words.formats import NOTHING, count, decimal, p_is, points, quantity, with_interval
from scripts.words.labels import read_labels

FOLDER = Path(__file__).resolve().parent
# the mark before the best of a column, which needs no colour to be seen
BEST = "●"


class Page:
    """A leaderboard in one language.

    Parameters
    ----------
    board : what it tells
    language : one of ``scripts.words.LANGUAGES``
    """

    def __init__(self, board: Board, language: str) -> None:
        self._board, self._language = board, language
        self._say, self._labels = read_words("leaderboard", language), read_labels(language)

    def html(self) -> str:
        """All of it, with script and type inside."""
        say, ways = self._say, len(DIRECTIONS)
        held = {
            "shares": [MEASURES[name].unit == "share" for name in MEASURED],
            "lines": [self._held(line) for line in self._board.lines],
        }
        costs = [say["costs"][name] for name in COSTS]
        groups = [
            (column.dataset, [self._labels.direction(way) for way in DIRECTIONS])
            for column in self._board.columns
        ]
        lines = [self._line(line) for line in self._board.lines]
        apart = [(*told, entry.side.shown) for *told, entry in self._apart()]
        datasets = self._datasets()
        letters = json.dumps([say, groups, lines, apart, datasets], ensure_ascii=False)
        return self_contained(
            FOLDER,
            "leaderboard",
            font_faces(letters),
            language=self._language,
            say=say,
            about=self._about([column.dataset for column in self._board.columns]),
            datasets=datasets,
            measures=[self._labels.measure(name) for name in MEASURED],
            groups=groups,
            costs=costs,
            heads=[*self._names(), *(way for _, own in groups for way in own), *costs],
            begins=[4 + ways * place for place in range(len(groups) + 1)],
            lines=lines,
            apart=apart,
            reading=self._reading(BEST),
            held=in_script(held),
        )

    def markdown(self) -> str:
        """The mean recall of all, the best of each column and who is level with it in bold."""
        heads = [
            *self._names(),
            *(
                f"{plain(dataset)}, {self._labels.direction(way)}"
                for dataset, way in self._board.ways
            ),
            *self._say["costs"].values(),
        ]
        rows = [
            [
                self._place(line),
                *(str(plain(name)) for name in line.first.names),
                *(self._bold(line.cells.get(way)) for way in self._board.ways),
                *(_cost(name, line.costs[name]) for name in COSTS),
            ]
            for line in self._board.lines
        ]
        table = [heads, ["--:", ":--", ":--", ":--", *["--:"] * (len(heads) - 4)], *rows]
        about = self._about([plain(column.dataset) for column in self._board.columns])
        parts = [
            f"# {self._say['title']}",
            "\n".join([about, "", *(f"- {plain(one)}" for one in self._datasets())]),
            "\n".join(f"| {' | '.join(line)} |" for line in table),
            self._reading("**●**"),
        ]
        if apart := [f"- {plain(name)}: {plain(why)}" for name, why, _ in self._apart()]:
            parts += [f"## {self._say['apart']}", "\n".join(apart)]
        return "\n\n".join(parts) + "\n"

    def _held(self, line: Line) -> dict[str, Any]:
        """A line as the script reads it: numbers."""
        cells = [line.cells.get(way) for way in self._board.ways]
        return {
            "names": line.first.names,
            "mean_place": line.mean_place,
            "cells": [
                cell and list(zip(cell.values, cell.lows, cell.highs, strict=True))
                for cell in cells
            ],
            "costs": [_in_unit(name, line.costs[name]) for name in COSTS],
        }

    def _line(self, line: Line) -> dict[str, Any]:
        """A line as it stands in the page from the beginning."""
        cells = [(way, line.cells.get(way)) for way in self._board.ways]
        return {
            "place": self._place(line),
            "names": line.first.names,
            "folder": line.first.side.shown,
            "cells": [
                {"verdict": cell.verdict if cell else "", "told": self._told(cell)}
                for _, cell in cells
            ],
            "costs": [_cost(name, line.costs[name]) for name in COSTS],
        }

    def _told(self, cell: Standing | None) -> str:
        if cell is None:
            return ""
        told = self._say["verdicts"][cell.verdict]
        return told if cell.verdict == LEADS else f"{told}: {points(cell.gap)}, {p_is(cell.p_holm)}"

    def _place(self, line: Line) -> str:
        return NOTHING if line.mean_place is None else decimal(line.mean_place)

    def _bold(self, cell: Standing | None) -> str:
        if cell is None:
            return NOTHING
        text = with_interval(cell.values[0], cell.lows[0], cell.highs[0]).replace("%", "")
        if cell.verdict == BEHIND:
            return text
        return f"**{BEST} {text}**" if cell.verdict == LEADS else f"**{text}**"

    def _names(self) -> list[str]:
        return [self._say[name] for name in ("mean_place", "model", "prompt", "scorer")]

    def _about(self, names: Sequence[str]) -> str:
        """How much stands here, with the ``names`` of datasets as the page spells them."""
        if not names:
            return str(self._say["about_none"])
        models = {line.first.names[0] for line in self._board.lines}
        between = self._labels.words["between"].get(", ", ", ")
        datasets = between.join(names)
        counts = {"runs": count(len(self._board.lines)), "models": count(len(models))}
        return self._say["about"].format(datasets=datasets, **counts)

    def _datasets(self) -> list[str]:
        return [
            self._say["dataset"].format(
                name=column.dataset,
                images=count(len(column.rows.images)),
                captions=count(len(column.rows.captions)),
                split=self._labels.words["splits"][column.entries[0].side.about["split"]],
            )
            for column in self._board.columns
        ]

    def _reading(self, best: str) -> str:
        of = {f"of_{name}": told for name, told in self._say["verdicts"].items()}
        return self._say["reading"].format(**{LEADS: best, LEVEL: self._say["bold"]}, **of)

    def _apart(self) -> list[tuple[str, str, Entry]]:
        """Runs that are not compared: what they are called, why, and which they are."""
        return [
            (
                self._say["apart_of"].format(dataset=dataset, run=" · ".join(entry.names)),
                self._why(entry, why),
                entry,
            )
            for dataset, entry, why in self._board.apart
        ]

    def _why(self, entry: Entry, why: str) -> str:
        told = {"precision": entry.precision} if why == UNCHECKED else {}
        if why == OTHER_QUERIES:
            about = entry.side.about
            told = {name: count(about[name]) for name in ("images", "captions")}
            told["split"] = self._labels.words["splits"][about["split"]]
        return self._say["why"][why].format(**told)


def _in_unit(name: str, value: float | None) -> float | None:
    """A cost in the unit that its column's head says."""
    return value / 1e6 if name == "parameters" and value is not None else value


def _cost(name: str, value: float | None) -> str:
    """A cost as its column shows it."""
    value = _in_unit(name, value)
    if value is None:
        return NOTHING
    if name == "parameters":
        return decimal(value, 1 if value >= 1 else 2)
    return (
        count(value) if value >= 100 or name == "embedding_dim" else quantity(float(f"{value:.3g}"))
    )
