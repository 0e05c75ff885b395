"""Models of sentence-transformers beside the others: how they are told, in their own process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hub_stand_in import LOADED, entry, local

from scripts.job import BadInput
from scripts.models.encoders import load_encoder
from scripts.models.fetch_model import fetch_model
from scripts.models.folder import verify_model

ROOT = Path(__file__).parents[2]


def test_embedding_models_and_rerankers_hold_what_their_own_tests_ask_for():
    tests = ("tests/models/embedding_models.py", "tests/models/reranker_models.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


OTHERS_FIRST = """
from scripts.models.backends import sentence_transformers, transformers
transformers.import_libraries()
sentence_transformers.import_libraries()
"""


def test_a_process_that_has_loaded_another_kind_of_model_says_that_it_cannot_load_one():
    done = subprocess.run(
        [sys.executable, "-c", OTHERS_FIRST], cwd=ROOT, capture_output=True, text=True
    )
    assert "a process of its own for each kind of model" in done.stderr


@pytest.mark.parametrize("source", ["huggingface", "local"])
def test_a_clip_that_sentence_transformers_can_read_too_is_a_clip_of_transformers(
    source, hubs, files, spoiled, tmp_path
):
    beside = {"modules.json": b"[]", "config_sentence_transformers.json": b"{}"}
    beside |= {"1_Pooling/config.json": b"{}", "2_Dense/model.safetensors": b"no weights"}
    hubs.repositories["huggingface", "me/clip"] = files | beside
    for name, data in beside.items():
        (spoiled / name).parent.mkdir(exist_ok=True)
        (spoiled / name).write_bytes(data)
    assert load_encoder(spoiled, "cpu").architecture == "clip"
    wanted = local(spoiled) if source == "local" else entry(source)
    fetch_model(wanted, tmp_path / "m", "m")
    assert set(verify_model(tmp_path / "m/model.json")["files"]) == LOADED


def test_an_instruction_for_a_model_that_reads_none_is_told(clip, tmp_path):
    told = {"instruction": {"texts": "Find it."}}
    with pytest.raises(BadInput, match="a model that reads no instruction") as raised:
        fetch_model(local(clip) | told, tmp_path / "m", "m")
    assert str(clip) in raised.value.parts[0]


def test_a_model_that_needs_code_of_its_repository_is_sent_to_features(spoiled):
    path = spoiled / "config.json"
    own = {"model_type": "jina_clip", "auto_map": {"AutoModel": "modeling_clip.JinaCLIPModel"}}
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | own), "utf-8")
    with pytest.raises(BadInput, match=r"jina_clip, with code of its repo(.|\n)*source: features"):
        load_encoder(spoiled, "cpu")
