"""How wide the columns of a printed table are, and how large its letters.

A browser's rule (CSS 2.1, section 17.5.2.2): a column is at least as wide as the longest piece of
it that cannot be broken, at most as wide as its longest line, and what room there is between the
two is dealt out in proportion. What may be broken is given up step by step (``KEEPS``): names and
short entries stay on one line where letters of a readable size allow it, long entries go to a
second line before a word is cut at its hyphen, and letters are as large as then fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from scripts.letters import PART, WORD
from scripts.report.pdf_fonts import width

SIZES = (8.8, 8.4, 8.0, 7.6, 7.2, 6.8)  # points, the largest that fits is taken
PORTRAIT, LANDSCAPE = 481.0, 700.0  # points, the width of the text on a page of A4
PADDING = 8.0  # points, both sides of a column together
SLACK = 1.03  # type runs a little wider than its letters: room between Chinese and Latin, kerning
SHORT = 12.0  # ems up to which an entry counts as a name, and stays on one line
FIRST = 4.0  # ems that a column of words has in any case: four Chinese characters
# what is kept on one line, and the smallest letters that are worth it
LINES, NAMES, WORDS, PIECES = range(4)
KEEPS = ((LINES, 8.0), (NAMES, 7.2), (WORDS, SIZES[-1]), (PIECES, SIZES[-1]))


@dataclass(frozen=True)
class Words:
    """Text of one look inside a cell."""

    text: str
    bold: bool = False
    mono: bool = False
    scale: float = 1.0

    def width(self, text: str | None = None) -> float:
        """Width of ``text``, or of all, in ems of the table."""
        return width(self.text if text is None else text, self.bold, self.mono) * self.scale


@dataclass(frozen=True)
class Cell:
    """What a cell asks of its column.

    ``whole``: the cell is not to be broken, as numbers are not.
    ``head``: it names a column, and gives way to what stands below it.
    ``beside``: ems kept free beside its lines.
    """

    lines: tuple[tuple[Words, ...], ...]
    whole: bool = False
    span: int = 1
    beside: float = 0.0
    head: bool = False

    @property
    def widest(self) -> float:
        """Ems that the longest line takes."""
        lines = (sum(one.width() for one in line) for line in self.lines)
        return max(lines, default=0.0) + self.beside

    def least(self, keep: int) -> float:
        """Ems below which something would be broken that is to be kept."""
        widest = self.widest
        if self.whole or (keep == LINES and not self.head):
            return widest
        if keep == PIECES:
            return self._longest(PART)
        words = max(self._longest(WORD), min(widest, FIRST))
        if keep == WORDS or self.head:
            return words
        # a long entry has room for half of it: it may take two lines, not many
        return widest if widest <= SHORT else max(words, min(widest / 2 + 1, 2 * SHORT))

    def _longest(self, pattern: re.Pattern[str]) -> float:
        pieces = (
            one.width(piece)
            for line in self.lines
            for one in line
            for piece in pattern.findall(one.text)
        )
        return max(pieces, default=0.0)


@dataclass(frozen=True)
class Layout:
    """Widths in points, one a column.

    ``keep``: what stands on one line, of ``KEEPS``.
    ``broken``: even the smallest letters do not fit.
    """

    size: float
    widths: tuple[float, ...]
    landscape: bool = False
    keep: int = PIECES
    broken: bool = False


def layout(rows: Iterable[list[Cell]]) -> Layout:
    """Columns for a table.

    Parameters
    ----------
    rows : cells row by row; every row spans the same number of columns
    """
    rows = list(rows)
    count = max((sum(cell.span for cell in row) for row in rows), default=0)
    columns: list[list[Cell]] = [[] for _ in range(count)]
    for row in rows:
        place = 0
        for cell in row:
            if cell.span == 1:
                columns[place].append(cell)
            place += cell.span
    wide = [max((cell.widest for cell in cells), default=0.0) for cells in columns]
    narrow = {
        keep: [max((cell.least(keep) for cell in cells), default=0.0) for cells in columns]
        for keep, _ in KEEPS
    }
    for landscape, page in ((False, PORTRAIT), (True, LANDSCAPE)):
        for keep, smallest in KEEPS:
            for size in (one for one in SIZES if one >= smallest):
                least = [_points(one, size) for one in narrow[keep]]
                if sum(least) <= page:
                    most = [_points(one, size) for one in wide]
                    return Layout(size, _dealt(least, most, page), landscape, keep)
    least = [_points(one, SIZES[-1]) for one in narrow[PIECES]]
    # the widest columns give way first: a level under which every column keeps what it asks for
    level = _level(least, LANDSCAPE)
    return Layout(SIZES[-1], tuple(min(one, level) for one in least), True, broken=True)


def _points(ems: float, size: float) -> float:
    """Points that a column of so many ems takes."""
    return ems * size * SLACK + PADDING


def _dealt(least: list[float], most: list[float], page: float) -> tuple[float, ...]:
    """Widths between ``least`` and ``most``, or beyond ``most`` in proportion, that fill a page."""
    if sum(most) <= page:
        return tuple(one * page / sum(most) for one in most)
    room = sum(most) - sum(least)
    share = (page - sum(least)) / room
    return tuple(low + (high - low) * share for low, high in zip(least, most, strict=True))


def _level(widths: list[float], page: float) -> float:
    """The height to which ``widths`` are cut off so that they fill ``page`` together."""
    rest, left = page, len(widths)
    for one in sorted(widths):
        if one * left >= rest:
            return rest / left
        rest, left = rest - one, left - 1
    return max(widths)
