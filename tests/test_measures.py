"""Measures from ranks, against toys counted by eye, torchmetrics, scikit-learn and plain loops."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scripts.job import read_json
from scripts.measures import MEASURES, best_ranks, mean_hits, per_query, places
from scripts.protocol import DIRECTIONS
from scripts.report.blocks import plain, spans_in
from scripts.words import read_words

# three queries with right answers at places 1; 2 and 3; 1, 4 and 12 of their lists
RANKS = np.array([1, 2, 2, 10, 1, 3])
STARTS = np.array([0, 1, 3, 6])


def test_a_toy_has_the_values_that_a_reader_counts():
    found = per_query(RANKS, STARTS)
    assert found["recall@1"].tolist() == [1, 0, 1]
    assert found["recall@5"].tolist() == [1, 1, 1]
    assert found["mean_rank"].tolist() == [1, 2, 1]
    assert found["mrr"].tolist() == [1, 1 / 2, 1]
    # top 1 of 1; place 2 of the top 2; place 1 of the top 3
    assert found["r_precision"].tolist() == [1, 1 / 2, 1 / 3]
    # half of the top 2 is right at place 2; all of the top 1 at place 1
    assert found["map@r"] == pytest.approx([1, (1 / 2) / 2, 1 / 3])
    gain = {place: 1 / np.log2(place + 1) for place in range(1, 13)}
    assert found["ndcg@10"] == pytest.approx(
        [
            1,
            (gain[2] + gain[3]) / (gain[1] + gain[2]),
            (gain[1] + gain[4]) / sum(list(gain.values())[:3]),
        ]
    )


def test_places_count_the_right_answers_before():
    assert places(RANKS, STARTS).tolist() == [1, 2, 3, 1, 4, 12]
    assert best_ranks(RANKS, STARTS).tolist() == [1, 2, 1]


def test_the_mean_recall_is_the_mean_of_three():
    assert mean_hits(np.array([1, 3, 10, 11])) == pytest.approx([1, 2 / 3, 1 / 3, 0])


def collection(seed: int, queries: int, gallery: int, levels: int):
    """Scores in steps, so that many tie, and one right answer or more for each query."""
    lot = np.random.default_rng(seed)
    scores = lot.integers(0, levels, (queries, gallery)) / levels + 0.5
    right = lot.random((queries, gallery)) < 0.15
    right[np.arange(queries), lot.integers(0, gallery, queries)] = True
    return scores, right


def ranked(scores: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks as rankings.npz has them, by counting: ties ahead, other right answers not."""
    ranks = [
        1 + int((scores[q][~right[q]] >= scores[q, item]).sum())
        for q in range(len(scores))
        for item in np.flatnonzero(right[q])
    ]
    return np.array(ranks), np.concatenate([[0], np.cumsum(right.sum(axis=1))])


def worst_order(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Items best first, wrong ones first where scores tie."""
    return np.lexsort((right, -scores))


@pytest.mark.parametrize("levels", [4, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_every_measure_equals_a_loop_over_the_sorted_list(seed, levels):
    scores, right = collection(seed, 30, 40, levels)
    found = per_query(*ranked(scores, right))
    for query in range(len(scores)):
        listed = right[query][worst_order(scores[query], right[query])]
        total = int(listed.sum())
        at = np.flatnonzero(listed) + 1
        for depth in (1, 5, 10):
            assert found[f"recall@{depth}"][query] == listed[:depth].any()
        assert found["mean_rank"][query] == at[0]
        assert found["r_precision"][query] == pytest.approx(listed[:total].sum() / total)
        precision = [listed[: i + 1].mean() if listed[i] else 0 for i in range(total)]
        assert found["map@r"][query] == pytest.approx(sum(precision) / total)
        dcg = sum(1 / np.log2(place + 1) for place in at if place <= 10)
        ideal = sum(1 / np.log2(place + 1) for place in range(1, min(total, 10) + 1))
        assert found["ndcg@10"][query] == pytest.approx(dcg / ideal)


@pytest.mark.parametrize("seed", range(3))
def test_measures_equal_torchmetrics_where_nothing_ties(seed, retrieval):
    torch = pytest.importorskip("torch")

    scores, right = collection(seed, 20, 50, 10**9)
    found = per_query(*ranked(scores, right))
    pairs = [(torch.from_numpy(s), torch.from_numpy(r)) for s, r in zip(scores, right, strict=True)]
    for name, oracle in {
        "r_precision": retrieval.retrieval_r_precision,
        "mrr": retrieval.retrieval_reciprocal_rank,
        "ndcg@10": lambda s, r: retrieval.retrieval_normalized_dcg(s, r, top_k=10),
        "recall@5": lambda s, r: retrieval.retrieval_hit_rate(s, r, top_k=5),
        # the mean of precisions over the top R, where divided by R
        "map@r": lambda s, r: (
            retrieval.retrieval_average_precision(s, r, top_k=int(r.sum()))
            * r[s.argsort(descending=True)[: int(r.sum())]].sum()
            / r.sum()
        ),
    }.items():
        assert found[name] == pytest.approx([float(oracle(*pair)) for pair in pairs]), name


def test_ndcg_equals_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    scores, right = collection(1, 25, 30, 10**9)
    found = per_query(*ranked(scores, right))["ndcg@10"]
    assert found.mean() == pytest.approx(metrics.ndcg_score(right, scores, k=10))


# what somebody writes who wants another measure: an entry, and its words in each language
ENTRY = '    "hit@3": Measure(hits, source="made up", depth=3, unit="share"),\n'
BEFORE = '    "rsum": Measure(\n'
WORDS = {
    "en": "hit@3:\n  name: Hit@3\n  short: H@3\n  definition: {text: Found among three.}\n",
    "zh": "hit@3:\n  name: 命中@3\n  definition: {text: 前三名中有正确答案。}\n",
}
# the steps from rankings to what readers see, on a run that never was
STEPS = """
from pathlib import Path
from fake_run import FakeRun, RESAMPLING, job
from scripts.data.ratings import write_ratings
from scripts.evaluate import compare, metrics
from scripts.explorer import explorer

keys = [("tiny", "plain", "cosine"), ("tiny", "photo", "cosine")]
fake = FakeRun(Path("run"), dict(zip(keys, (0.2, 0.1))), images=24, studies=())
rows = {"captions": fake.data / "captions.json", "splits": fake.data / "splits.json"}
statistics = {"split": "test", "resamples": 50, "seed": 0}
paths = []
for key in keys:
    paths.append(str(fake.rankings_of(key).with_name("metrics.json")))
    names = dict(zip(("dataset", "model", "prompt", "scorer"), ("toys", *key)))
    inputs = {"rankings": str(fake.rankings_of(key)), **rows}
    metrics.main(job(inputs, {"metrics": paths[-1]}, statistics, names))
kinds = {"csv": "csv", "markdown": "md", "latex": "tex"}
tables = {kind: str(fake.metrics.with_suffix(f".{end}")) for kind, end in kinds.items()}
compare.main(job({"metrics": paths}, tables, {}))
fake.sketch()
for language in ("en", "zh"):
    fake.document(language)
write_ratings(fake.data / "judgments.csv", [])
inputs = {
    **rows, "metrics": fake.metrics, "rankings": [str(fake.rankings_of(key)) for key in keys],
    "judgments": fake.data / "judgments.csv", "images": fake.data / "images",
    "warnings": fake.results / "warnings.json",
}
params = {"split": "test", "reference": ["plain", "cosine"], "lexicon": {}}
explorer.main(job(inputs, {"html": "run/explorer.html"}, params, {"dataset": "toys"}))
"""


@pytest.fixture(scope="module")
def another(tmp_path_factory) -> Path:
    """All that is made where a copy of the scripts has one measure more."""
    root, folder = Path(__file__).parent.parent, tmp_path_factory.mktemp("another")
    copied = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / "scripts", folder / "scripts", ignore=copied)
    shutil.copytree(root / "docs", folder / "docs")
    shutil.copy(root / "pyproject.toml", folder)
    table = folder / "scripts" / "measures.py"
    text = table.read_text("utf-8")
    assert text.count(BEFORE) == 1
    table.write_text(text.replace(BEFORE, ENTRY + BEFORE), "utf-8")
    for language, words in WORDS.items():
        file = folder / "scripts" / "words" / f"measures.{language}.yaml"
        file.write_text(file.read_text("utf-8") + words, "utf-8")
    path = os.pathsep.join(map(str, (folder, root / "tests" / "report")))
    done = subprocess.run(
        [sys.executable, "-c", STEPS],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder / "run"


def test_another_measure_is_one_entry_and_its_words(another):
    found = json.loads((another / "results/toys/tiny/plain/cosine/metrics.json").read_text("utf-8"))
    for way in DIRECTIONS:
        recalls = [found[way][f"recall@{depth}"] for depth in (1, 5)]
        assert recalls[0] <= found[way]["hit@3"] <= recalls[1]
        assert len(found["intervals"][way]["hit@3"]) == 2
    tables = another / "results/toys/tables"
    with (tables / "metrics.csv").open(encoding="utf-8", newline="") as stream:
        first = next(csv.DictReader(stream))
    assert float(first["hit@3"]) == found["text_to_image"]["hit@3"]
    assert float(first["hit@3_low"]) == found["intervals"]["text_to_image"]["hit@3"][0]
    value = f"{100 * found['text_to_image']['hit@3']:.1f}"
    markdown = (tables / "metrics.md").read_text("utf-8")
    assert "| nDCG@10 | H@3 | rsum |" in markdown and value in markdown
    assert "nDCG@10 & H@3 & rsum" in (tables / "metrics.tex").read_text("utf-8")
    low, high = (f"{100 * end:.1f}" for end in found["intervals"]["text_to_image"]["hit@3"])
    for language, head, name, text in (
        ("en", "H@3 (%)", "Hit@3", "Found among three."),
        ("zh", "命中@3 (%)", "命中@3", "前三名中有正确答案。"),
    ):
        document = read_json(another / f"results/toys/document.{language}.json")
        (table,) = (one for one in document["blocks"] if one.get("id") == "tab_depth")
        assert [plain(head)] in [column["spans"] for column in table["columns"]]
        assert f"[{low}, {high}]" in {one["text"] for one in spans_in(table)}
        defined = [item for one in document["blocks"] for item in one.get("items", ())]
        assert {"term": [plain(name)], "spans": [plain(text)]} in defined
    held, phrases = (
        json.loads(re.search(f'id="{block}">(.*?)</script>', explored)[1])
        for explored in [(another / "explorer.html").read_text("utf-8")]
        for block in ("held", "phrases")
    )
    told = held["runs"][0]["measures"]["text_to_image"]["hit@3"]
    assert told == f"{value} [{low}, {high}]"
    assert phrases["zh"]["measures"]["hit@3"] == "命中@3 (%)"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_measure_has_its_words_and_its_source(language):
    words = read_words("measures", language)
    assert list(words) == list(MEASURES)
    for name, own in words.items():
        assert set(own) <= {"name", "short", "definition"} and own["name"], name
        # the mean of recalls is defined where it is first spoken of
        assert own.get("definition", {}).get("text") or name == "mean"
        assert MEASURES[name].source
        assert MEASURES[name].better in ("higher", "lower")
        assert MEASURES[name].unit in ("share", "rank", "")
