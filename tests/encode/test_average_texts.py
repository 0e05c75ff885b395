"""An ensemble made of stored features is the one that encoding it would give, to the byte."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from scripts.encode import average_texts, encode_texts, gather_features
from scripts.encode.ensembles import normalised_mean
from scripts.job import BadInput

# the long one is cut at the context of 24 tokens under one of them only
TEMPLATES = ["{}", "a photo of {}", "so {}!"]


@pytest.fixture
def ensemble(job, tmp_path):
    """Encode the parts of an ensemble, and the job that averages them; or the ensemble itself."""

    def encode(templates: list[str], name: str, **params) -> SimpleNamespace:
        task = job(templates=templates, **params)
        task.output.features = str(tmp_path / f"texts.{name}.npy")
        task.output.sidecar = str(tmp_path / f"texts.{name}.json")
        encode_texts.main(task)
        return task

    def averaged(parts: list[SimpleNamespace], templates: list[str]) -> SimpleNamespace:
        task = job(templates=templates)
        task.input.features = [part.output.features for part in parts]
        task.input.sidecars = [part.output.sidecar for part in parts]
        return task

    return SimpleNamespace(encode=encode, averaged=averaged)


def written(task) -> tuple[bytes, bytes]:
    return Path(task.output.features).read_bytes(), Path(task.output.sidecar).read_bytes()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("templates", [TEMPLATES, TEMPLATES[1:]])
def test_the_mean_of_stored_features_and_its_sidecar_are_those_of_encoding_anew(
    ensemble, templates, precision
):
    parts = [
        ensemble.encode([template], str(place), precision=precision)
        for place, template in enumerate(templates)
    ]
    task = ensemble.averaged(parts, templates)
    average_texts.main(task)
    assert written(task) == written(ensemble.encode(templates, "anew", precision=precision))


def test_captions_that_any_template_makes_too_long_are_counted_once(ensemble, dataset):
    captions = [{"image": name, "captions": ["y" * 20, "y" * 40]} for name in ("a.png", "b.png")]
    captions.append({"image": "c.png", "captions": ["y"]})
    (dataset / "captions.json").write_text(json.dumps(captions), "utf-8")
    parts = [ensemble.encode([template], str(place)) for place, template in enumerate(TEMPLATES)]
    task = ensemble.averaged(parts, TEMPLATES)
    average_texts.main(task)
    told = [json.loads(written(one)[1]) for one in (*parts, task)]
    assert [one["truncated"] for one in told] == [2, 4, 4, 4]
    assert told[-1]["cut"] == [0, 1, 2, 3]
    assert written(task) == written(ensemble.encode(TEMPLATES, "anew"))


def test_parts_that_were_encoded_in_shards_make_the_same_ensemble(ensemble, tmp_path):
    parts = []
    for place, template in enumerate(TEMPLATES):
        whole = ensemble.encode([template], f"whole{place}")
        shards = []
        for shard in ("0", "1"):
            task = ensemble.encode([template], "unused", shard_size=2)
            task.wildcards.shard = shard
            task.output.features = str(tmp_path / f"{place}.{shard}.npy")
            task.output.sidecar = str(tmp_path / f"{place}.{shard}.json")
            encode_texts.main(task)
            shards.append(task)
        gathered = SimpleNamespace(
            input=SimpleNamespace(
                shards=[one.output.features for one in shards],
                sidecars=[one.output.sidecar for one in shards],
                **{name: vars(whole.input)[name] for name in ("captions", "splits", "model")},
            ),
            output=SimpleNamespace(
                features=tmp_path / f"{place}.npy", sidecar=tmp_path / f"{place}.json"
            ),
            params=SimpleNamespace(shard_size=2),
            wildcards=SimpleNamespace(split="test", side="texts.photo"),
        )
        gather_features.main(gathered)
        assert Path(gathered.output.features).read_bytes() == written(whole)[0]
        parts.append(gathered)
    task = ensemble.averaged(parts, TEMPLATES)
    average_texts.main(task)
    assert written(task)[0] == written(ensemble.encode(TEMPLATES, "anew"))[0]
    sidecars = [json.loads(Path(one.output.sidecar).read_text("utf-8")) for one in (task, parts[1])]
    assert sidecars[0]["cut"] == sidecars[1]["cut"] == [4]


def test_parts_of_another_template_or_precision_are_refused(ensemble):
    plain = ensemble.encode(["{}"], "plain")
    with pytest.raises(BadInput, match=r"(?s)texts\.plain\.json.*a photo of"):
        average_texts.main(ensemble.averaged([plain, plain], TEMPLATES[:2]))
    half = ensemble.encode(["a photo of {}"], "half", precision="bfloat16")
    with pytest.raises(BadInput, match=r"(?s)texts\.half\.json.*bfloat16.*delete"):
        average_texts.main(ensemble.averaged([plain, half], TEMPLATES[:2]))


def test_rows_that_add_up_to_nothing_are_told_by_their_caption():
    rows = np.eye(2, dtype=np.float32)
    opposite = rows * np.array([[1], [-1]], dtype=np.float32)
    with pytest.raises(BadInput, match="'a cat'"):
        normalised_mean(iter([rows, opposite]), ["a dog", "a cat"], TEMPLATES[:2])
