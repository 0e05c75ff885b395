"""One look for every figure: type, colours, and how figures become files.

Text colours, grid and background use the five constants below and nothing else does, so the report
can exchange them for its own, light or dark.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import importlib.util
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import matplotlib
import pandas as pd
from cycler import cycler
from matplotlib import font_manager
from matplotlib.ft2font import LoadFlags
from PIL import Image

from scripts import letters
from scripts.job import whole
from scripts.jobs import Snakemake
from scripts.studies.table import ROW_END, csv_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, LINE, TINT, PAPER = "#1c2430", "#5b6675", "#d5dbe3", "#f2f5f8", "#fffffe"

# Okabe and Ito (2008), https://jfly.uni-koeln.de/color: told apart with any colour vision
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#7F7F7F")
RIGHT = "#009E73"

FAMILIES = ("Noto Sans CJK SC", "DejaVu Sans")
# what no XML may hold, not even in the comments in which matplotlib repeats what it draws
NO_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
WIDTH = 6.69  # inches: 170 mm, the width at which paper prints it
SIZE, SMALL = 9.0, 7.5  # points; no text is smaller


@functools.cache
def register_fonts() -> dict[str, str]:
    """Make Chinese type known to matplotlib; weight -> font file.

    The files are those of the package mpl-font, found and not imported: importing it changes
    matplotlib's settings. Its weights are all registered as regular by ``addfont``, hence by hand.
    """
    spec = importlib.util.find_spec("mpl_font")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("mpl-font is missing: install requirements.lock")
    folder = Path(spec.origin).parent / "fonts" / "noto"
    files = {"normal": "NotoSansCJKsc-Regular.otf", "bold": "NotoSansCJKsc-Bold.otf"}
    manager = font_manager.fontManager
    for weight, name in files.items():
        files[weight] = str(folder / name)
        manager.addfont(files[weight])
        number = {"normal": 400, "bold": 700}[weight]
        manager.ttflist[-1] = replace(manager.ttflist[-1], name=FAMILIES[0], weight=number)
    return files


@contextlib.contextmanager
def sheet(palette: Sequence[str] = ()) -> Iterator[None]:
    """Draw with the report's settings inside the block, and leave matplotlib's own as they were.

    "C0", "C1" and so on are the colours of ``palette``, and after these the others of ours.
    """
    register_fonts()
    settings = {
        "font.family": list(FAMILIES),
        "font.size": SIZE,
        "text.color": INK,
        "text.hinting": "none",  # else letters stand wider in the PNG than measured here
        "text.parse_math": False,  # captions hold dollar signs and mean them
        "axes.edgecolor": LINE,
        "axes.facecolor": "none",
        "axes.labelcolor": MUTED,
        "axes.labelsize": SMALL + 0.5,
        "axes.titlesize": SIZE,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "axes.axisbelow": True,
        "axes.prop_cycle": cycler(color=list(dict.fromkeys([*palette, *PALETTE]))),
        "grid.color": LINE,
        "grid.linewidth": 0.6,
        "xtick.color": LINE,
        "ytick.color": LINE,
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": MUTED,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "xtick.major.size": 3,
        "ytick.major.size": 3,
        "legend.frameon": False,
        "legend.fontsize": SMALL,
        "lines.linewidth": 1.6,
        "figure.constrained_layout.w_pad": 0.08,  # inches
        "figure.constrained_layout.h_pad": 0.06,
        "figure.facecolor": PAPER,
        "savefig.facecolor": PAPER,
        "svg.fonttype": "path",
        "svg.hashsalt": "clip-retrieval",
    }
    with matplotlib.rc_context(settings):
        yield


def drawable(text: str) -> str:
    """``text`` on one line, with a box for each character that our fonts cannot draw."""
    # matplotlib sets an accent that no letter has taken up beside the letter, not above it
    return letters.drawable(" ".join(text.split()), _has, (*letters.UNSEEN, "Mn"))


@functools.cache
def _has(character: str) -> bool:
    return any(ord(character) in glyphs for glyphs in _charmaps())


@functools.cache
def _charmaps() -> tuple[dict[int, int], ...]:
    files = [register_fonts()["normal"], font_manager.findfont(FAMILIES[1])]
    return tuple(font_manager.get_font(file).get_charmap() for file in files)


def width_of(text: str, size: float = SIZE, weight: str = "normal") -> float:
    """Width in inches of ``text`` set in one line."""
    return sum(_advance(character, weight) for character in text) * size / 72


@functools.cache
def _advance(character: str, weight: str) -> float:
    """Advance of a character, in ems."""
    file = register_fonts()[weight]
    if ord(character) not in _charmaps()[0]:
        file = font_manager.findfont(FAMILIES[1])
    font = font_manager.get_font(file)
    font.set_size(100, 72)  # pixels per em
    glyph = font.load_char(ord(character), flags=LoadFlags.NO_HINTING)
    return glyph.linearHoriAdvance / 65536 / 100


def wrap(
    text: str, width: float, size: float = SIZE, lines: int | None = None, weight: str = "normal"
) -> list[str]:
    """Break ``text`` into at most ``lines`` lines no wider than ``width`` inches."""

    def width_here(line: str) -> float:
        return width_of(line, size, weight)

    return letters.wrap(drawable(text), width, width_here, lines)


def save(figure: Figure, svg: str | Path, png: str | Path, dpi: int = 200) -> None:
    """Write a figure as SVG and PNG with the same bytes each time: no dates, no versions."""
    with _quick_png():
        # laid out once for both, and without the drawing for nothing that ``savefig`` does for it
        if engine := figure.get_layout_engine():
            engine.execute(figure)
            figure.set_layout_engine("none")
        with whole(svg) as draft:
            figure.savefig(draft, metadata={"Date": None, "Creator": None})
            drawing = NO_XML.sub("", draft.read_text("utf-8"))
            draft.write_text(_with_jpegs(drawing), "utf-8")
        with whole(png) as draft:
            figure.savefig(draft, dpi=dpi, metadata={"Software": None})


@contextlib.contextmanager
def _quick_png() -> Iterator[None]:
    """Let PNG be packed less hard: at 5% more bytes in two fifths of the time.

    Of pictures in an SVG, which become JPEG in the end, that is all that matplotlib does with them.
    """
    usual = Image.SAVE["PNG"]

    def quick(picture: Image.Image, stream: Any, name: str | bytes) -> None:
        picture.encoderinfo.setdefault("compress_level", 2)
        usual(picture, stream, name)

    Image.register_save("PNG", quick)
    try:
        yield
    finally:
        Image.register_save("PNG", usual)


def _with_jpegs(svg: str) -> str:
    """Pictures inside an SVG as JPEG: a photo as PNG is five times as large."""

    def smaller(match: re.Match[str]) -> str:
        picture = Image.open(io.BytesIO(base64.b64decode(match[1])))
        if picture.mode == "RGBA" and picture.getextrema()[3][0] < 255:
            return match[0]
        return '"' + inlined(picture.convert("RGB"), "JPEG", 82) + '"'

    return re.sub(r'"data:image/png;base64,([^"]+)"', smaller, svg)


def inlined(picture: Image.Image, kind: Literal["JPEG", "WEBP"], quality: int) -> str:
    """A picture as a ``data:`` address."""
    stream = io.BytesIO()
    picture.save(stream, kind, quality=quality, optimize=True, method=6)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(stream.getvalue()).decode()


def thumbnail(path: Path, side: int) -> Image.Image:
    """A picture whose longer side is ``side`` pixels at most."""
    with Image.open(path) as picture:
        picture.draft("RGB", (side * 2, side * 2))
        picture = picture.convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """The numbers of a figure, beside it."""
    with csv_file(path) as stream:
        table.to_csv(stream, index=False, lineterminator=ROW_END)


def listed(value: Any) -> list[str]:
    """One path or several, as a list."""
    return [value] if isinstance(value, str) else [str(item) for item in value]


def draw(snakemake: Snakemake, plot: Callable[[str], Figure]) -> None:
    """Draw a figure in each language asked for, and write its files.

    ``output.svg`` and ``output.png`` hold a path for each of ``params.languages``.
    """
    params, output = snakemake.params, snakemake.output
    style = params.get("style") or {}
    with sheet(style.get("palette") or ()):
        for language, svg, png in zip(params.languages, output.svg, output.png, strict=True):
            save(plot(language), svg, png, int(style.get("dpi", 200)))
