"""Re-rankers of sentence-transformers equal its own CrossEncoder, and nothing is run or asked for.

In the process of embedding_models.py, which test_sentence_transformers.py starts.
"""

from __future__ import annotations

import hashlib
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from embedding_models import PROMPTS, SETTINGS, rewrite
from hub_stand_in import entry, local
from tiny_models import drawn_images

from scripts.job import BadInput
from scripts.models.__main__ import main as told_before_a_run
from scripts.models.cross_encoders import load_cross_encoder
from scripts.models.encoders import load_encoder
from scripts.models.fetch_model import fetch_model
from scripts.models.folder import verify_model
from scripts.models.probe import probe
from scripts.retrieve.cross_scores import Contents, PairScorer

from tiny_embedding import CONTEXT, make_qwen3_vl, make_qwen3_vl_reranker  # isort: skip

# of every mode, and as odd as they come
PICTURES = [drawn_images()[place] for place in (0, 2, 4, 7, 9, 10)]
# as long as fits beside the largest picture
TEXTS = ["a dog", "", " \u200b ", "一只狗", "🐕 &amp; café", "http://me/dog.png", "<|im_end|> a"]


@pytest.fixture(scope="module")
def qwen(tmp_path_factory) -> Path:
    """Not to be changed by a test."""
    made = tmp_path_factory.mktemp("reranker")
    make_qwen3_vl_reranker(made, prompts={"web": "Judge."}, default_prompt_name="web")
    return made


@pytest.fixture(scope="module")
def encoder(qwen):
    return load_cross_encoder(qwen, "cpu")


@pytest.fixture
def spoiled(qwen, tmp_path) -> Path:
    return Path(shutil.copytree(qwen, tmp_path / "model"))


def reference(folder: Path, pictures: list = PICTURES, **settings: str) -> np.ndarray:
    """Log-odds (pictures, texts) of each pair by itself, as the package predicts them."""
    import torch
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    settings = settings | {"activation_fn": torch.nn.Identity()}
    # a text that is an address of a picture would be fetched
    pairs = [[({"text": text}, image) for text in TEXTS] for image in pictures]
    return np.array([[model.predict(pair, **settings) for pair in row] for row in pairs])


@pytest.fixture(scope="module")
def expected(qwen) -> np.ndarray:
    return reference(qwen)


def ours(encoder, at_once: int = len(TEXTS), pictures: list = PICTURES) -> np.ndarray:
    read = encoder.read(TEXTS)
    parts = [read[i : i + at_once] for i in range(0, len(read), at_once)]
    seen = [encoder.see(image) for image in pictures]
    return np.array([np.concatenate([encoder.scores(one, p) for p in parts]) for one in seen])


@pytest.mark.parametrize("at_once", [1, 3, len(TEXTS)])
def test_scores_equal_the_packages_own_for_odd_pictures_and_texts(encoder, expected, at_once):
    found = ours(encoder, at_once)
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=1e-4)
    # the pictures and the texts are told apart by more than that
    assert expected.std(axis=0).min() > 1e-2 and expected.std(axis=1).min() > 1e-2


def test_the_logit_of_one_word_is_a_score_too(spoiled):
    rewrite(spoiled / "1_LogitScore/config.json", lambda it: it.update(false_token_id=None))
    found = ours(load_cross_encoder(spoiled, "cpu"), pictures=PICTURES[:1])
    assert found == pytest.approx(reference(spoiled, PICTURES[:1]), abs=1e-4)


def test_half_precision_gives_float32_scores_near_those_of_float32(qwen, expected):
    half = load_cross_encoder(qwen, "cpu", "bfloat16")
    found = ours(half)
    assert (half.precision, found.dtype) == ("bfloat16", np.float32)
    assert 1e-4 < np.abs(found - expected).max() < 0.2


def test_a_few_pictures_are_ordered_as_the_package_ranks_them(encoder, qwen, tmp_path):
    from sentence_transformers import CrossEncoder

    pictures = [image.convert("RGB") for image in PICTURES[:5]]
    paths = [tmp_path / f"{row}.png" for row in range(len(pictures))]
    for path, image in zip(paths, pictures, strict=True):
        image.save(path)
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    own = np.arange(5)
    contents = Contents([*zip(paths, sums, strict=True)], TEXTS[:5], own, own)
    scorer = PairScorer(encoder, contents, tmp_path / "kept", batch_size=2, workers=2)
    found = scorer(np.arange(25)).reshape(5, 5)
    model = CrossEncoder(str(qwen), device="cpu", local_files_only=True)
    for place, text in enumerate(TEXTS[:5]):
        ranked = model.rank({"text": text}, pictures)
        assert [*np.argsort(-found[:, place])] == [one["corpus_id"] for one in ranked]


def test_threads_never_ask_the_processor_at_the_same_time(encoder, monkeypatch):
    plain, alone = encoder._first.preprocess, threading.Lock()

    def watched(*args, **settings):
        assert alone.acquire(blocking=False), "two at a time"
        try:
            return plain(*args, **settings)
        finally:
            alone.release()

    monkeypatch.setattr(encoder._first, "preprocess", watched)
    with ThreadPoolExecutor(4) as pool:
        [*pool.map(lambda image: encoder.scores(image, TEXTS), PICTURES)]


def test_a_pair_that_is_not_taken_is_told_with_its_text(encoder):
    with pytest.raises(BadInput, match=rf"tokens .*'a dog a dog(.|\n)*at most {CONTEXT}"):
        encoder.scores(PICTURES[0], ["a cat", "a dog " * CONTEXT])
    with pytest.raises(BadInput, match=r"the text 'see <\|image_pad\|>', which .* 2 <\|image_pad"):
        encoder.scores(PICTURES[0], ["a dog", "see <|image_pad|>", "two"])
    with pytest.raises(BadInput, match="a picture of 4000 x 4 pixels"):
        encoder.scores(PICTURES[0].resize((4000, 4)), ["a dog"])


@pytest.mark.parametrize("source", ["huggingface", "local"])
def test_a_hub_or_a_folder_gives_the_whole_model_with_its_instruction(source, hubs, qwen, tmp_path):
    own = {
        path.relative_to(qwen).as_posix(): path.read_bytes()
        for path in qwen.rglob("*")
        # which is for writing texts
        if path.is_file() and path.name != "generation_config.json"
    }
    hubs.repositories[source, "me/clip"] = own | {"scripts/rerank.py": b"raise SystemExit"}
    told = {"instruction": {"texts": "See it."}}
    wanted = local(qwen) if source == "local" else entry(source)
    fetch_model(wanted | told, tmp_path / "m", "m")
    about = verify_model(tmp_path / "m/model.json")
    assert set(about["files"]) == set(own)
    assert (about["architecture"], about["embedding_dim"]) == ("qwen3_vl", None)
    one = PICTURES[:1]
    expected = reference(qwen, one, prompt="See it.")
    told, own = (load_cross_encoder(folder, "cpu") for folder in (tmp_path / "m", qwen))
    for found in (ours(told, pictures=one), reference(tmp_path / "m", one)):
        assert found == pytest.approx(expected, abs=1e-4)
    assert np.abs(expected - ours(own, pictures=one)).max() > 1e-2


def test_an_instruction_for_pictures_is_told(qwen, tmp_path):
    with pytest.raises(BadInput, match=r"an instruction for images(.|\n)*`texts` alone"):
        fetch_model(local(qwen) | {"instruction": {"images": "See."}}, tmp_path / "m", "m")


def test_loading_never_touches_the_network(qwen, monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    encoder = load_cross_encoder(qwen, "cpu")
    encoder.scores(PICTURES[0], ["http://me/dog.png"])


def test_it_encodes_nothing_and_an_embedding_model_scores_no_pairs(qwen, tmp_path):
    with pytest.raises(BadInput, match=r"gives no vectors(.|\n)*an entry of rerankers"):
        load_encoder(qwen, "cpu")
    make_qwen3_vl(tmp_path)
    with pytest.raises(BadInput, match="a CrossEncoder of sentence-transformers"):
        load_cross_encoder(tmp_path, "cpu")


def test_it_is_told_before_a_run(qwen, capsys):
    assert told_before_a_run("/", str(qwen)) == 0
    said = capsys.readouterr().out
    assert f"pairs of at most {CONTEXT} tokens" in said
    assert "an entry of rerankers" in said and "It would be taken." in said


# file, what it says instead, and what is told of it
ASKED = {
    "no score": ("modules.json", lambda all_: all_.pop(), "modules Transformer"),
    "a score in another folder": (
        "modules.json",
        lambda all_: all_[1].update(path="1_Score"),
        "1_Score/config.json",
    ),
    "a module of the repository's": (
        "modules.json",
        lambda all_: all_[1].update(type="custom.Score"),
        "source: features",
    ),
    "a word that there is not": (
        "1_LogitScore/config.json",
        lambda it: it.update(false_token_id=10**6),
        "'false_token_id': 1000000",
    ),
    "no word": (
        "1_LogitScore/config.json",
        lambda it: it.update(true_token_id=None),
        "'true_token_id': None",
    ),
    "code of the repository": (
        "config.json",
        lambda it: it.update(auto_map={"AutoModel": "modeling.Model"}),
        "auto_map, which names code",
    ),
    "another task": (
        SETTINGS,
        lambda it: it.update(transformer_task="text-generation"),
        "any-to-any by forward",
    ),
    "a method that writes": (
        SETTINGS,
        lambda it: it["modality_config"]["message"].update(method="generate"),
        "methods .*generate",
    ),
    "texts alone": (
        SETTINGS,
        lambda it: it.update(modality_config={"text": it["modality_config"]["text"]}),
        "a model of text ",
    ),
    "messages of plain text": (
        SETTINGS,
        lambda it: it["modality_config"]["message"].update(format="flat"),
        "of a message .'flat'",
    ),
    "states in the place of logits": (
        SETTINGS,
        lambda it: it["modality_config"]["message"].update(method_output_name="hidden_states"),
        "'hidden_states'",
    ),
    "scores turned around": (
        PROMPTS,
        lambda it: it.update(activation_fn="torch.nn.modules.activation.Hardshrink"),
        "Hardshrink",
    ),
    "a prompt that is not there": (
        PROMPTS,
        lambda it: it.update(default_prompt_name="other"),
        "default_prompt_name: 'other'",
    ),
    "another width": (
        "config.json",
        lambda it: it["text_config"].update(intermediate_size=40),
        r"it makes model\.language_model\S+ \[40, 32\]; the weights have \[48, 32\]",
    ),
    "fewer layers": (
        "config.json",
        lambda it: it["text_config"].update(num_hidden_layers=1),
        "tensors that this architecture does not have",
    ),
}


@pytest.mark.parametrize("case", ASKED)
def test_files_that_ask_for_what_is_not_done_are_told_by_name(case, spoiled):
    name, change, told = ASKED[case]
    rewrite(spoiled / name, lambda about: change(about) and None)
    with pytest.raises(BadInput, match=told) as raised:
        probe(spoiled)
    assert str(spoiled) in raised.value.parts[0]


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{- 'nothing of a pair' }}", "cannot carry a 'query'/'document' pair"),
        ("{{- ''.__class__.__mro__ }}", "SecurityError"),
    ],
)
def test_a_template_without_places_for_a_pair_or_that_reaches_for_more_is_told(
    template, told, spoiled
):
    (spoiled / "chat_template.jinja").write_text(template, "utf-8")
    with pytest.raises(BadInput, match=told):
        probe(spoiled)


def test_weights_without_the_words_are_refused(spoiled):
    from safetensors.torch import load_file, save_file

    tensors = load_file(spoiled / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, spoiled / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match=r"without lm_head\.weight"):
        probe(spoiled)
