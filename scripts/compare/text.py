"""What is told of a comparison: a few lines for the screen, and all of it in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from scripts.compare.comparison import FAIL_IF
from scripts.compare.gate import ALPHA
from scripts.compare.sides import Difference
from scripts.letters import printable, wide_in
from scripts.measures import MEASURES
from scripts.templates import environment, plain
from scripts.words import read_words
from scripts.words.formats import (
    NOTHING,
    bracket,
    change,
    count,
    p_equals,
    p_value,
    percent,
    quantity,
    rank,
    score,
    share,
)
from scripts.words.labels import read_labels


def _width(cell: str) -> int:
    return len(cell) + wide_in(cell)


class Text:
    """What is told in one language.

    Parameters
    ----------
    language : one of ``scripts.words.LANGUAGES``
    """

    def __init__(self, language: str) -> None:
        self._words, self._labels = read_words("compare", language), read_labels(language)

    def not_alike(self, differences: Sequence[Difference]) -> str:
        """Why two runs cannot be compared: what differs, and what it is in each."""
        rows = [Difference(self._words["what"], "A", "B"), *differences]
        table = [[printable(cell or NOTHING, keep="") for cell in row] for row in rows]
        widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
        for line in table:
            for place, (cell, width) in enumerate(zip(line, widths, strict=True)):
                line[place] = cell + " " * (width - _width(cell))
        lines = [f"  {'  '.join(line)}".rstrip() for line in table]
        return "\n".join([self._words["not_alike"], *lines])

    def summary(self, found: dict[str, Any], where: Path | None) -> str:
        """The few lines for the screen: what decides, the answer, and where the rest is."""
        lines = [f"{side.upper()}: {found[side]['folder']}" for side in "ab"]
        for row in (one for one in found["measures"] if one["measure"] == found["metric"]):
            p = self._say("p", worse=p_equals(row["p_worse"]), better=p_equals(row["p_better"]))
            measure, way = self._measure(row)
            values = f"{self._value(row, 'a')} → {self._value(row, 'b')}"
            told = {"values": values, "difference": self._difference(row), "p": p}
            lines.append(self._say("line", measure=measure, direction=way, **told))
        lines += self.answers(found)
        if where:
            lines.append(self._say("in_full", path=printable(str(where))))
        return "\n".join(lines)

    def markdown(self, found: dict[str, Any]) -> str:
        """All of it."""
        pages = environment(Path(__file__).parent)
        pages.filters |= {"plain": plain, "count": count}
        return (
            pages.get_template("compare.md.j2")
            .render(
                found=found,
                words=self._words,
                # words of ours and numbers
                answers=[Markup(one) for one in self.answers(found)],  # noqa: S704
                note=self._say("note", draws=count(found["draws"]), level=f"{1 - ALPHA:.0%}"),
                asked=self._say(
                    "asked",
                    split=self._labels.words["splits"][found["split"]],
                    images=count(found["images"]),
                    captions=count(found["captions"]),
                ),
                rows=[
                    {
                        "measure": self._labels.measure(row["measure"]),
                        "direction": self._labels.direction(row["direction"]),
                        "a": self._value(row, "a"),
                        "b": self._value(row, "b"),
                        "difference": self._difference(row),
                        **{key: Markup(p_value(row[key])) for key in ("p_worse", "p_better")},  # noqa: S704
                    }
                    for row in found["measures"]
                ],
                changes=[
                    (self._labels.direction(way), one) for way, one in found["changes"].items()
                ],
            )
            .rstrip("\n")
            + "\n"
        )

    def answers(self, found: dict[str, Any]) -> list[str]:
        """The verdict; the gate's answer, where one was asked; and what it would take, if much."""
        told = [self._words["verdicts"][found["verdict"]]]
        gate = found["gate"]
        if gate is None:
            return told
        unit = MEASURES[found["metric"]].unit
        key = "fail_if" if gate["rule"] == FAIL_IF else "fail_unless"
        margin = self._amount(gate["margin"], unit)
        told.append(
            self._words["gates"][key]["passed" if gate["passed"] else "failed"].format(
                margin=margin,
                beyond=self._say("beyond", margin=margin) if gate["margin"] else "",
                bound=self._bound(found["metric"], gate["bound"], key == "fail_if"),
                p=p_equals(gate["p"]),
            )
        )
        if gate["needed"] and not gate["passed"]:
            numbers = {key: count(number) for key, number in gate["needed"].items()}
            told.append(
                self._say("needed", **numbers | {"power": f"{gate['needed']['power']:.0%}"})
            )
        return told

    def _bound(self, metric: str, bound: float, above: bool) -> str:
        """ "B − A > −0.42 points": the one-sided bound of a gain, as one of the measure itself."""
        one = MEASURES[metric]
        if one.better == "lower":
            bound, above = -bound + 0.0, not above
        sign = "+" if bound > 0 else ""
        return f"B − A {'<' if above else '>'} {sign}{self._amount(bound, one.unit)}"

    def _amount(self, number: float, unit: str) -> str:
        """A margin or a bound, with more digits than tables have: it decides."""
        shown = quantity(100 * number if unit == "share" else number)
        # so that nobody has to say "1 points"; but of 1e−06 that would be no number
        shown += "" if {".", "e"} & set(shown) else ".0"
        return self._words["units"].get(unit, "{}").format(shown)

    def _measure(self, row: dict[str, Any]) -> tuple[str, str]:
        return self._labels.measure(row["measure"]), self._labels.direction(row["direction"])

    def _value(self, row: dict[str, Any], side: str) -> str:
        one, value = MEASURES[row["measure"]], row[side]
        if one.unit == "share":
            return share(value) if one.sum_of else percent(value)
        return rank(value) if one.unit == "rank" else score(value)

    def _difference(self, row: dict[str, Any]) -> str:
        form = change(MEASURES[row["measure"]].unit)
        return f"{form(row['difference'])} {bracket(row['low'], row['high'], form)}"

    def _say(self, key: str, **values: object) -> str:
        return self._words[key].format(**values)
