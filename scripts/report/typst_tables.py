"""Tables of the report's page as markup of Typst: columns, intervals, and where pages part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace

from scripts.letters import SPACES
from scripts.report.html_tree import Element
from scripts.report.pdf_columns import NAMES, PIECES, Cell, Words, layout
from scripts.report.pdf_fonts import drawable, width
from scripts.report.typst_text import INLINE, TextSetter, softened

BLOCKS = {
    *("div", "section", "article", "main", "header", "footer", "aside", "details", "summary"),
    *("p", "h1", "h2", "h3", "h4", "h5", "ul", "ol", "dl", "figure", "figcaption", "table", "pre"),
    *("blockquote", "hr"),
}
SCALE_OF_CODE, SCALE_OF_INTERVAL = 0.88, 0.86  # as in report.typ
GAP = 0.6  # ems between a value and its interval
MANY, TAIL = 9, 3  # rows above which a table may be broken, and its last that stay together
READABLE = 8.0  # points: below it, a table is rather longer than smaller


class TableSetter(TextSetter, ABC):
    """Sets tables, whose cells may hold blocks."""

    def __init__(self, page: str, where: object) -> None:
        super().__init__(page, where)
        self.room: dict[int, float] = {}  # column of a table -> points kept for its intervals
        self.landscape = False  # whether a table of this figure needs the long side of the page

    @abstractmethod
    def flow(self, children: list[Element | str]) -> str:
        """Blocks one under the other."""

    def _rows_of(self, node: Element) -> Iterator[tuple[Element, list[Element]]]:
        """The part of a table that each of its rows stands in, and the row's cells."""
        for part in node.elements:
            for row in part.elements if part.tag in ("thead", "tbody", "tfoot") else [part]:
                if row.tag != "tr":
                    self._stop(row, f"<{row.tag}> in a table", "rows of cells")
                for cell in row.elements:
                    if cell.tag not in ("th", "td"):
                        self._stop(cell, f"<{cell.tag}> in a row", "<th> and <td>")
                    if cell.attrs.get("rowspan", "1") != "1":
                        self._stop(cell, "a cell that spans rows", "cells of one row")
                yield part, row.elements

    def _table(self, node: Element) -> str:
        rows = list(self._rows_of(node))
        every = [cells for _, cells in rows]
        plan = layout([[self._cell_size(cell) for cell in cells] for cells in every])
        # intervals stand under their values on a screen; beside them, a table is half as long
        room = self._room_for_intervals(every)
        flat = layout(
            [
                [self._cell_size(cell, room.get(place, 0.0)) for place, cell in enumerate(cells)]
                for cells in every
            ]
        )
        if room and not flat.landscape and flat.size >= READABLE and flat.keep <= NAMES:
            plan = flat
        else:
            room = {}
        self.hyphens = plan.keep == PIECES
        self.room = {place: ems * plan.size for place, ems in room.items()}
        self.landscape = self.landscape or plan.landscape
        heads = [
            self._sides(cells) if any(span_of(cell) > 1 for cell in cells) else self._row(cells)
            for part, cells in rows
            if part.tag == "thead"
        ]
        body = [cells for part, cells in rows if part.tag != "thead"]
        groups = [len(cells) == 1 and cells[0].tag == "th" for cells in body]
        # a page should not begin with a row or two under a head of its own
        kept = TAIL if len(body) > MANY and not any(groups[-TAIL:]) else 0
        set_rows = []
        for place, (cells, group) in enumerate(zip(body, groups, strict=True)):
            left = len(body) - place
            end = f", tail({kept})" if left == kept else ", tail(1)" if left > kept > 0 else ""
            if group:
                set_rows.append(self._group(cells, bool(kept)))
            else:
                set_rows.append(self._row(cells) + end)
        if kept:
            heads = [f"{row}, tail(1)" for row in heads]
        head = f"  head({', '.join(heads)}),\n" if heads else ""
        widths = "".join(f"{one:.2f}pt, " for one in plan.widths) + ("0pt, " if kept else "")
        return (
            f"#data-table({plan.size}pt, ({widths}),\n{head}"
            + "".join(f"  {row},\n" for row in set_rows)
            + ")"
        )

    def _row(self, cells: list[Element]) -> str:
        return ", ".join(self._cell(cell, place) for place, cell in enumerate(cells))

    def _sides(self, cells: list[Element]) -> str:
        """A row of headings, each over several columns."""
        return ", ".join(f"side({span_of(cell)}, [{self.inline(cell.children)}])" for cell in cells)

    def _cell(self, cell: Element, place: int) -> str:
        blocks = any(one.tag in BLOCKS for one in cell.elements)
        self.in_cell = True
        self.beside = self.room.get(place)
        content = self.flow(cell.children) if blocks else self.inline(cell.children)
        if self.beside and cell.tag == "td" and not self._intervals(cell):
            content += f"#beside({self.beside:.2f}pt)[];"
        self.in_cell, self.beside = False, None
        kind = "th" if cell.tag == "th" else "td"
        right = ", align: right" if cell.is_of("r") else ""
        span = f", colspan: {span_of(cell)}" if span_of(cell) > 1 else ""
        return f"{kind}([{self._anchor(cell)}{content}]{right}{span})"

    def _group(self, cells: list[Element], tailed: bool) -> str:
        text = self.inline(cells[0].children)
        return f"group({span_of(cells[0]) + tailed}, [{self._anchor(cells[0])}{text}])"

    def _intervals(self, cell: Element) -> list[Element]:
        return [one for one in cell.all("span", "ci") if self._starts_a_line(one)]

    def _room_for_intervals(self, rows: list[list[Element]]) -> dict[int, float]:
        """Column -> ems that the intervals in it take beside their values; {} for no room."""
        room: dict[int, float] = {}
        for cells in rows:
            for place, cell in enumerate(cells):
                for interval in self._intervals(cell):
                    if not cell.is_of("r") or len(self._intervals(cell)) > 1:
                        return {}
                    ems = GAP + width(interval.text) * SCALE_OF_INTERVAL
                    room[place] = max(room.get(place, 0.0), ems)
        return room

    def _cell_size(self, cell: Element, beside: float = 0.0) -> Cell:
        """What a cell takes; ``beside``: ems for an interval that stands beside the value."""
        kept = cell
        if beside:
            intervals = self._intervals(cell)
            kept = replace(cell, children=[one for one in cell.children if one not in intervals])
        lines: list[list[Words]] = [[]]
        for words in self._words(kept, Words("", bold=False)):
            if words is None:
                lines.append([])
            else:
                lines[-1].append(words)
        whole = cell.tag == "td" and cell.is_of("r")
        free = beside if cell.tag == "td" else 0.0
        head = cell.tag == "th"
        return Cell(tuple(tuple(line) for line in lines), whole, span_of(cell), free, head)

    def _words(self, node: Element, look: Words) -> Iterator[Words | None]:
        """Text of a cell by its look; None where a new line begins."""
        for child in node.children:
            if isinstance(child, str):
                text = softened(drawable(SPACES.sub(" ", child)))
                yield replace(look, text=text)
            elif child.tag == "br" or child.tag in BLOCKS or self._starts_a_line(child):
                yield None
                yield from self._words(child, look)
            elif INLINE.get(child.tag) == "strong":
                yield from self._words(child, replace(look, bold=True))
            elif INLINE.get(child.tag) == "code":
                yield from self._words(child, replace(look, mono=True, scale=SCALE_OF_CODE))
            else:
                yield from self._words(child, look)


def span_of(cell: Element) -> int:
    """Columns that a cell covers."""
    return int(cell.attrs.get("colspan", "1"))
