"""Which way is asked, how deep is looked and what a tie is: said once, for all alike."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from scripts.fingerprint import reached
from scripts.protocol import DEPTHS, DIRECTIONS, TIE, reaches

ROOT = Path(__file__).parent.parent
OWN = np.array([[0.5], [-0.25]])
SCORES = np.array([[0.6, 0.5, 0.5 - TIE / 2, 0.4], [-0.25 - 2 * TIE, -0.2, -0.25, -1.0]])
REACHED = [[True, True, True, False], [False, True, True, False]]


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_what_is_as_high_or_ties_is_ahead(precision):
    scores, own = SCORES.astype(precision), OWN.astype(precision)
    assert reaches(scores, own).tolist() == REACHED
    torch = pytest.importorskip("torch")
    assert reaches(torch.from_numpy(scores), torch.from_numpy(own)).tolist() == REACHED


def test_a_score_is_compared_in_its_own_precision():
    # one step of float32 below the bar, where float64 tells more apart
    own = np.float32([0.7])
    bar = own - np.float32(TIE)
    below = np.nextafter(bar, np.float32(-1))
    assert reaches(bar, own).all() and not reaches(below, own).any()


def test_directions_depths_and_ties_are_said_once():
    said = {"directions": [], "depths": [], "ties": []}
    # the program that the report shows stands by itself
    apart = ROOT / "scripts" / "recall_at_k.py"
    for path in sorted({*(ROOT / "scripts").rglob("*.py")} - {apart}):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Tuple | ast.List):
                values = tuple(getattr(one, "value", None) for one in node.elts)
                said["directions"] += [path] * (values == DIRECTIONS)
                said["depths"] += [path] * (values == DEPTHS)
            elif isinstance(node, ast.Compare):
                # "scores >= own - TIE", however the tie is called
                less = node.comparators[0]
                said["ties"] += [path] * (
                    isinstance(node.ops[0], ast.GtE)
                    and isinstance(less, ast.BinOp)
                    and isinstance(less.op, ast.Sub)
                    and ast.unparse(less.right) in ("TIE", "TOLERANCE", "1e-06")
                )
    own = [ROOT / "scripts" / "protocol.py"]
    assert said == {"directions": own, "depths": own, "ties": own}


@pytest.mark.parametrize(
    "script",
    ["models/train_model.py", "retrieve/fit_adapter.py", "retrieve/fit_scorer.py",
     "retrieve/similarity.py", "retrieve/build_index.py", "encode/encode_images.py"],
)  # fmt: skip
def test_another_measure_trains_fits_and_ranks_nothing_anew(script):
    assert "scripts/measures.py" not in reached((f"scripts/{script}",))
