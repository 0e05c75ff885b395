"""What both encoding rules share."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from scripts.encode.features import precision_of
from scripts.job import BadInput

AUTO = SimpleNamespace(precision="auto")


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        "float16",
        3,
        None,
        *({"precision": one} for one in ("auto", "int8", None, ["float32"])),
    ],
    ids=str,
)
def test_a_file_that_names_no_precision_is_told_with_what_to_do(tmp_path, content):
    path = tmp_path / "precision.json"
    path.write_text(json.dumps(content))
    with pytest.raises(BadInput, match=r"precision\.json\n(.*\n)+.*delete it and run again"):
        precision_of(SimpleNamespace(precision=str(path)), AUTO)


def test_auto_stands_for_what_the_file_names(tmp_path):
    path = tmp_path / "precision.json"
    path.write_text('{"precision": "bfloat16"}')
    assert precision_of(SimpleNamespace(precision=str(path)), AUTO) == "bfloat16"
