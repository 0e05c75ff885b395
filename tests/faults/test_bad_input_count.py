"""How many distinct bad inputs are tried, kind by kind: the names of these tests tell."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from bad_input import Case

KINDS = (
    *("images", "folders", "json", "text_files", "archives", "layouts", "config", "models"),
    "queries",
)


def cases_of(kind: str) -> dict[str, Case]:
    """The cases of one module, by the list that they are in and their names."""
    try:
        module = importlib.import_module(f"test_bad_{kind}")
    except pytest.skip.Exception:  # what needs torch, where there is none
        return {}
    lists = {name: value for name, value in vars(module).items() if name.isupper()}
    return {
        f"{name}: {case.name}": case
        for name, value in lists.items()
        if isinstance(value, list)
        for case in value
        if isinstance(case, Case)
    }


def distinct(cases: dict[str, Case]) -> int:
    """How many cases differ: bytes and texts as they are, what a function makes by its name."""
    return len(
        {
            (where.split(":")[0], case.name if callable(case.make) else repr(case.make))
            for where, case in cases.items()
        }
    )


COUNTED = {kind: distinct(cases_of(kind)) for kind in KINDS}
TOLD = ", ".join(f"{kind} {count}" for kind, count in COUNTED.items())


@pytest.mark.parametrize("total", [sum(COUNTED.values())], ids=lambda total: f"{TOLD}: {total}")
def test_hundreds_of_distinct_bad_inputs_are_tried(total):
    assert total >= 200
    assert {path.stem for path in Path(__file__).parent.glob("test_bad_*.py")} == {
        *(f"test_bad_{kind}" for kind in KINDS),
        "test_bad_input_count",
    }
