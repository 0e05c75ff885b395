"""How numbers look, in tables and sentences alike, so that the same number reads the same."""

from __future__ import annotations

import math
from collections.abc import Callable

NOTHING = "–"


def percent(fraction: float) -> str:
    """0.5512 -> "55.1%"."""
    if _missing(fraction):
        return NOTHING
    # what rounds to zero is not below it
    return f"{round(100 * float(fraction), 1) + 0.0:.1f}%".replace("-", "−")


def share(fraction: float) -> str:
    """A fraction in percent, where the heading has the sign: 0.5512 -> "55.1"."""
    return percent(fraction).removesuffix("%")


def points(difference: float) -> str:
    """A difference of fractions in percentage points, signed: 0.012 -> "+1.2"."""
    if _missing(difference):
        return NOTHING
    text = f"{100 * difference:+.1f}".replace("-", "−")
    return text[1:] if text in ("+0.0", "−0.0") else text


def bracket(low: float, high: float, form: Callable[[float], str] = percent) -> str:
    """A 95% interval, its bounds without the unit of the value before it: "[15.1, 17.5]"."""
    if _missing(low) or _missing(high):
        return ""
    return f"[{form(low).removesuffix('%')}, {form(high).removesuffix('%')}]"


def with_interval(
    value: float, low: float, high: float, form: Callable[[float], str] = percent
) -> str:
    """A value and its 95% interval: "16.3% [15.1, 17.5]"; the value alone where there is none."""
    return f"{form(value)} {bracket(low, high, form)}".rstrip()


def p_value(p: float) -> str:
    """A p-value: three digits, or that it is smaller."""
    if _missing(p):
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_equals(p: float) -> str:
    """A p-value as it stands behind its letter: "= 0.013", "< 0.001"."""
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def p_is(p: float) -> str:
    """The same within a sentence: "p = 0.012"."""
    return f"p {p_equals(p)}"


def count(number: float | None) -> str:
    """5000 -> "5,000"."""
    return NOTHING if number is None else decimal(number, 0)


def quantity(number: float) -> str:
    """A number of which nothing is known, to five digits or as a whole one: "100,000", "0.25"."""
    if _missing(number):
        return NOTHING
    digits = ".0f" if abs(number) >= 1e5 else ".5g"
    return f"{number + 0.0:,{digits}}".replace("-", "−")


def decimal(number: float, places: int = 1) -> str:
    """1234.56 -> "1,234.6", signed with a minus where it is below zero as it is printed."""
    if _missing(number):
        return NOTHING
    return f"{round(float(number), places) + 0.0:,.{places}f}".replace("-", "−")


def rank(number: float) -> str:
    """A median rank: whole where it is whole."""
    if _missing(number):
        return NOTHING
    return count(number) if float(number).is_integer() else decimal(number)


def score(number: float) -> str:
    """A cosine or another score."""
    return decimal(number, 3)


def close(cosine: float) -> str:
    """A cosine that is next to one, rounded down, so that what is not equal never reads as such."""
    return NOTHING if _missing(cosine) else decimal(math.floor(cosine * 1e5) / 1e5, 5)


def change(unit: str) -> Callable[[float], str]:
    """How a difference is printed, signed: of shares in points, of ranks, or as it is."""
    if unit == "share":
        return points
    places = 1 if unit == "rank" else 3
    zero = f"{0:.{places}f}"

    def signed(difference: float) -> str:
        text = decimal(difference, places)
        sign = "+" if difference > 0 else ""
        return zero if text.lstrip("−") == zero else f"{sign}{text}"

    return signed


def times(ratio: float) -> str:
    """How many times: two digits where they are few, whole where they are many."""
    return NOTHING if _missing(ratio) else decimal(ratio, 1 if ratio < 20 else 0)


def duration(seconds: float) -> str:
    """Seconds as s, min or h."""
    if _missing(seconds):
        return NOTHING
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def brief(seconds: float) -> str:
    """A short time with two digits: "0.034 s"; a longer one as ``duration``."""
    return f"{seconds:.2g} s" if 0 < seconds < 1 else duration(seconds)


def megabytes(number: float) -> str:
    """Memory in MB, or GB where it is much."""
    if _missing(number):
        return NOTHING
    if number >= 1024:
        return f"{number / 1024:.1f} GB"
    return f"{number:.0f} MB" if number >= 10 else f"{number:.1f} MB"


def _missing(number: float | None) -> bool:
    return number is None or not math.isfinite(number)
