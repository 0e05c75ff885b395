"""A scorer that differs from cosine, registered for one test."""

from __future__ import annotations

import numpy as np
import pytest
from small_run import cube, weigh_first

from scripts.retrieve.arrays import Arrays
from scripts.retrieve.kinds import Kind
from scripts.retrieve.scorers import KINDS


@pytest.fixture
def biased(monkeypatch) -> Arrays:
    """Maps queries and gallery, each in its own way, in both directions."""
    monkeypatch.setitem(KINDS, "biased", Kind(KINDS["cosine"].fit, cube, weigh_first))
    return {"kind": np.array("biased")}
