"""A model of two towers that were published apart gives what their own libraries give."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="models need torch")

from plain_loop import cosines, ours, reference, unit  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from tiny_models import TEXTS, drawn_images  # noqa: E402
from tiny_towers import TEXT_TOWERS, make_multilingual, make_towers  # noqa: E402

from scripts.job import BadInput  # noqa: E402
from scripts.models.backends import read_facts  # noqa: E402
from scripts.models.backends.towers import check_text_numbers, load_texts  # noqa: E402
from scripts.models.encoders import load_encoder  # noqa: E402
from scripts.models.probe import probe  # noqa: E402
from scripts.models.text_tower import read_text_tower  # noqa: E402


@pytest.fixture(scope="module", params=TEXT_TOWERS)
def folder(request, tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("towers")
    make_towers(made, request.param)
    return made


@pytest.fixture(scope="module")
def encoder(folder):
    return load_encoder(folder, "cpu")


def text_rows(folder: Path, texts: list[str]) -> np.ndarray:
    """Unit rows of a text tower, each text by itself, as its model card computes them."""
    import transformers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    tensors = load_file(folder / "model.safetensors")
    limit = 20
    if config["model_type"] == "M-CLIP":
        body = {n.removeprefix("transformer."): t for n, t in tensors.items() if "transformer" in n}
        limit = 18
        made = transformers.XLMRobertaConfig(
            **{"hidden_size": 64, "intermediate_size": 48, "num_hidden_layers": 2},
            **{"num_attention_heads": 1, "vocab_size": tokenizer.vocab_size, "pad_token_id": 1},
            **{"max_position_embeddings": 20, "type_vocab_size": 1, "layer_norm_eps": 1e-5},
        )
        model = transformers.XLMRobertaModel(made).eval()
        body.pop("embeddings.position_ids")
        model.load_state_dict(body)
        dense = tensors["LinearTransformation.weight"], tensors["LinearTransformation.bias"]
    elif (folder / "modules.json").exists():
        limit = 12
        model = transformers.AutoModel.from_pretrained(folder).eval()
        of_dense = load_file(folder / "2_Dense/model.safetensors")
        dense = of_dense["linear.weight"], of_dense.get("linear.bias")
    else:
        model = transformers.BertForSequenceClassification.from_pretrained(folder).eval()
    rows = []
    with torch.no_grad():
        for text in texts:
            tokens = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
            tokens.pop("token_type_ids", None)
            made = model(**tokens)
            if "logits" in made:
                rows.append(made.logits[0])
                continue
            mean = made.last_hidden_state[0].mean(dim=0)
            rows.append(torch.nn.functional.linear(mean, *dense))
    return unit(torch.stack(rows))


def test_features_equal_those_of_each_tower_in_its_own_library(folder, encoder):
    images, texts = ours(encoder, drawn_images(), TEXTS)
    expected, _ = reference(folder / "image", drawn_images(), TEXTS[:1])
    assert cosines(images, expected).min() >= 0.99999
    assert cosines(texts, text_rows(folder / "text", TEXTS)).min() >= 0.99999
    assert cosines(texts[:1], texts[2:3]).max() < 0.9999


@pytest.mark.parametrize(
    ("biased", "activation"), [(False, "Identity"), (True, "Identity"), (True, "Tanh")]
)
def test_a_folder_of_sentence_transformers_is_read_as_that_library_reads_it(
    biased, activation, tmp_path
):
    library = pytest.importorskip("sentence_transformers", reason="is the reference here")
    make_multilingual(tmp_path, biased, activation)
    tower = read_text_tower(tmp_path)
    texts, tokens = load_texts(tmp_path, tower, torch.float32)
    expected = library.SentenceTransformer(str(tmp_path), device="cpu").encode(TEXTS)
    with torch.no_grad():
        body, dense = texts.eval()
        batch = tokens.tokenize(TEXTS, "longest")
        seen = batch["attention_mask"][..., None]
        states = body(**batch).last_hidden_state * seen
        rows = dense(states.sum(dim=1) / seen.sum(dim=1))
    np.testing.assert_allclose(rows.numpy(), expected, atol=1e-5)


def test_a_model_of_two_towers_passes_the_probe_and_counts_what_it_uses(folder, encoder):
    probe(folder)
    facts = read_facts(folder)
    assert facts.architecture.startswith("clip + ")
    assert facts.embedding_dim == encoder.dim == 24
    # but for CLIP's own text projection, which nothing reads
    assert sum(one.numel() for one in encoder.model.parameters()) == facts.parameters + 24 * 32


@pytest.mark.parametrize("text", ["multilingual", "m-clip"])
def test_half_precision_gives_rows_near_those_of_float32(text, tmp_path):
    make_towers(tmp_path, text)
    full, half = (
        ours(load_encoder(tmp_path, "cpu", precision), drawn_images()[:1], TEXTS)
        for precision in ("float32", "bfloat16")
    )
    for rows, expected in zip(half, full, strict=True):
        assert cosines(rows, expected).min() > 0.99


def edited(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


def modules(folder: Path, edit) -> None:
    path = folder / "modules.json"
    path.write_text(json.dumps(edit(json.loads(path.read_text("utf-8")))), "utf-8")


def renamed(folder: Path, old: str, new: str) -> None:
    (folder / old).rename(folder / new)


def another_kind(found: list) -> list:
    return [*found[:2], found[2] | {"type": "sentence_transformers.models.CNN"}]


def elsewhere(found: list) -> list:
    return [*found[:2], found[2] | {"path": "../2_Dense"}]


def own_code(found: list) -> list:
    return [*found[:2], found[2] | {"type": "my_code.Dense"}]


FAULTS = {
    "a module of another kind": (lambda f: modules(f, another_kind), "modules Transformer, Poo"),
    "no dense layer": (lambda f: modules(f, lambda found: found[:2]), "no Dense"),
    "a module elsewhere": (lambda f: modules(f, elsewhere), r"path: '\.\./2_Dense'"),
    "code of a repository": (lambda f: modules(f, own_code), r"my_code\.Dense.*code of a rep"),
    "modules that are none": (lambda f: modules(f, lambda found: {}), "Transformer"),
    "a pickled dense layer": (
        lambda f: renamed(f, "2_Dense/model.safetensors", "2_Dense/pytorch_model.bin"),
        r"2_Dense/model\.safetensors\n.*can run code",
    ),
    "a dense layer of other shapes": (
        lambda f: save_file({"linear.weight": torch.ones(24)}, f / "2_Dense/model.safetensors"),
        r"linear\.weight \(out, in\)",
    ),
    "another pooling": (
        lambda f: edited(f / "1_Pooling/config.json", pooling_mode_max_tokens=True),
        "pooling:.*mean or cls",
    ),
    "an activation of elsewhere": (
        lambda f: edited(f / "2_Dense/config.json", activation_function="os.system"),
        r"activation_function: os\.system",
    ),
    "numbers that are not the weights'": (
        lambda f: edited(f / "config.json", vocab_size=10**12),
        "1000000000000",
    ),
    "10,000 layers": (lambda f: edited(f / "config.json", n_layers=10_000), "n_layers: 10000"),
    "no tokenizer": (
        lambda f: [one.unlink() for one in f.glob("*tok*")] and (f / "vocab.txt").unlink(),
        "no tokenizer",
    ),
    "a kind of no form": (
        lambda f: (f / "modules.json").unlink(),
        "model_type: distilbert, architectures: DistilBertModel.*a folder of sentence-transf",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_text_tower_with_a_fault_is_told_in_words(fault, tmp_path):
    spoil, told = FAULTS[fault]
    make_multilingual(tmp_path)
    spoil(tmp_path)
    with pytest.raises(BadInput, match=f"(?s){told}"):
        check_text_numbers(tmp_path, read_text_tower(tmp_path))


@pytest.mark.parametrize("base", ["LaBSE", None])
def test_m_clip_of_another_base_is_told(base, tmp_path):
    TEXT_TOWERS["m-clip"](tmp_path)
    edited(tmp_path / "config.json", modelBase=base)
    with pytest.raises(BadInput, match=f"modelBase: {base}, which names a model"):
        read_text_tower(tmp_path)


def test_a_text_tower_of_another_space_is_told(tmp_path):
    make_towers(tmp_path, "multilingual")
    path = tmp_path / "text/2_Dense/model.safetensors"
    save_file({"linear.weight": torch.randn(16, 32)}, path)
    with pytest.raises(BadInput, match="24 numbers for a picture and 16 for a text"):
        probe(tmp_path)
