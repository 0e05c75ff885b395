"""A second look in a whole run: ranks as by a plain sort of all pairs, and tables."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import yaml
from small_runs import RUN, SMALL
from tiny_models import make_blip_matching

from scripts.data.prepared import read_image
from scripts.data.rows import read_rows
from scripts.models.cross_encoders import load_cross_encoder
from scripts.protocol import TIE

DEPTH = 12
TARGETS = (f"{RUN}/tables/reranking.csv", f"{RUN}/tables/pairs.csv", f"{RUN}/tables/metrics.csv")
WAYS = ("text_to_image", "image_to_text")
CONFIG = {
    "run": {
        "prompts": ["plain"], "scorers": ["cosine"], "indexes": [], "studies": ["reranking"],
        "rerankers": ["blip"],
    },
    "models": {"blip-matching": {"source": "local", "path": "blip"}},
    "rerankers": {"blip": {"model": "blip-matching", "depth": DEPTH, "tables": [4, 99]}},
}  # fmt: skip


@pytest.fixture(scope="module")
def looked(finished_run, tmp_path_factory):
    """The small run with a second look, to be read; and the configuration that asked for it."""
    project = finished_run.copy(tmp_path_factory.mktemp("looked") / "clone")
    make_blip_matching(project.folder / "blip")
    config = project.folder / "config/look.yaml"
    config.write_text(yaml.safe_dump(CONFIG), "utf-8")
    asked = (*SMALL, "config/look.yaml")
    project.snakemake(*TARGETS, *asked)
    return project, asked


def read_csv(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def metrics(project, scorer: str) -> dict:
    path = project.folder / RUN / "clip-tiny/plain" / scorer / "metrics.json"
    return json.loads(path.read_text("utf-8"))


def dumb_recalls(project, first: np.ndarray, second: np.ndarray, owner: np.ndarray) -> dict:
    """Recall@1, @5 and @10, both ways, of all pairs' scores (m, n), by plain loops."""
    found = {}
    for way in WAYS:
        if way == "text_to_image":
            one, other, right = first, second, [{int(image)} for image in owner]
        else:
            one, other = first.T, second.T
            right = [set(np.flatnonzero(owner == image)) for image in range(first.shape[1])]
        ranks = []
        for query, answers in enumerate(right):
            wrong = [item for item in range(one.shape[1]) if item not in answers]
            best = []
            for answer in answers:
                rank = 1 + sum(one[query, item] >= one[query, answer] - TIE for item in wrong)
                if rank <= DEPTH:
                    near = sorted(wrong, key=lambda item: -one[query, item])[: DEPTH - 1]
                    rank = 1 + sum(other[query, item] >= other[query, answer] for item in near)
                best.append(rank)
            ranks.append(min(best))
        found[way] = [np.mean([rank <= k for rank in ranks]) for k in (1, 5, 10)]
    return found


def test_recall_is_that_of_all_pairs_scored_and_plainly_sorted(looked):
    project, _ = looked
    data, run = project.folder / "data/scenes", project.folder / RUN / "clip-tiny"
    rows = read_rows(data / "captions.json", data / "splits.json", "test")
    sums = {one["image"]: one["sha256"] for one in read_csv(data / "images.csv")}
    encoder = load_cross_encoder(project.folder / "data/models/blip-matching", "cpu")
    # equal captions once, as the two may differ in their last bit in one batch
    unique = list(dict.fromkeys(rows.captions))
    read = encoder.read(unique)
    columns = []
    for name in rows.images:
        seen = encoder.see(read_image(data / "images" / name, sums[name]))
        columns.append(encoder.scores(seen, read))
    place = [unique.index(caption) for caption in rows.captions]
    second = np.stack(columns, axis=1)[place]
    images, texts = (
        np.load(run / "test" / f"{one}.npy").astype(float) for one in ("images", "texts.plain")
    )
    expected = dumb_recalls(project, texts @ images.T, second, rows.image_of_caption)
    found = metrics(project, "cosine+blip")
    for way in WAYS:
        assert [found[way][f"recall@{k}"] for k in (1, 5, 10)] == pytest.approx(expected[way])
    # both looks differ, and so does their sum
    kinds = ("cosine", "cosine+blip", "cosine+blip+first")
    assert len({metrics(project, kind)["rsum"] for kind in kinds}) == 3


def test_each_depth_has_its_gain_its_bound_and_its_cost(looked):
    project, _ = looked
    table = read_csv(project.folder / RUN / "tables/reranking.csv")
    assert {row["group"] for row in table} == {"cosine+blip", "cosine+blip+first"}
    assert {float(row["x"]) for row in table} == {4, DEPTH}
    ranks = np.load(project.folder / RUN / "clip-tiny/plain/cosine/rankings.npz")
    first = ranks["text_to_image_rank"]
    for group in ("cosine+blip", "cosine+blip+first"):
        own = {
            row["measure"]: float(row["value"])
            for row in table
            if row["group"] == group and row["direction"] == WAYS[0] and float(row["x"]) == DEPTH
        }
        assert own["recall@1"] == pytest.approx(metrics(project, group)[WAYS[0]]["recall@1"])
        assert own["bound"] == pytest.approx((first <= DEPTH).mean())
        assert own["gain@1"] == pytest.approx(own["recall@1"] - (first == 1).mean())
        possible = own["bound"] - (first == 1).mean()
        assert own["gain_found"] == pytest.approx(own["gain@1"] / possible)
        assert own["pairs"] == DEPTH and own["seconds"] > 0
    pairs = read_csv(project.folder / RUN / "tables/pairs.csv")
    assert {row["scorer"] for row in pairs if row["family"] == "scorer"} == {
        "cosine+blip", "cosine+blip+first",
    }  # fmt: skip


def test_other_weights_score_no_pair_again_and_another_depth_does(looked):
    project, asked = looked
    assert project.planned(*TARGETS, *asked).jobs == {}
    target = f"{RUN}/clip-tiny/plain/cosine+blip+first/metrics.json"

    def planned(**changed):
        rerankers = {"blip": CONFIG["rerankers"]["blip"] | changed}
        other = project.folder / "config/other.yaml"
        other.write_text(yaml.safe_dump(CONFIG | {"rerankers": rerankers}), "utf-8")
        return project.planned(target, *SMALL, "config/other.yaml").jobs

    assert planned(weights=[0, 2]) == {"rerank": 1, "metrics": 1}
    assert planned(depth=11) == {"cross_scores": 2, "rerank": 1, "metrics": 1}
