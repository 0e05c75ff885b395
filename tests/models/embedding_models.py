"""Embedding models equal sentence-transformers' own encoding, and nothing is run or asked for.

In a process of their own, which test_sentence_transformers.py starts: transformers looks for
torchvision when it is first imported, and other models are loaded without it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from hub_stand_in import entry, local
from plain_loop import cosines
from tiny_models import TEXTS, drawn_images, make_clip

from scripts.encode.encode_images import encode_images
from scripts.encode.encode_texts import encode_captions
from scripts.job import BadInput
from scripts.models.backends import sentence_transformers as backend
from scripts.models.embedding_files import read_embedding
from scripts.models.encoders import load_encoder
from scripts.models.fetch_model import fetch_model
from scripts.models.folder import verify_model
from scripts.models.probe import probe
from scripts.models.train_model import check_base

backend.import_libraries()

from tiny_embedding import CONTEXT, make_qwen3_vl  # noqa: E402

ODD = [*TEXTS, "", " \u200b ", "🐕 on 草地 &amp; café", "http://me/dog.png", "<|im_end|> a dog"]
KINDS = {
    "Qwen3-VL": {},
    "with instructions, a dense layer and padding before": {
        "padding_side": "left",
        "dense": True,
        "prompts": {"query": "Find a picture.", "document": "Represent the picture."},
    },
    "cut to fewer numbers": {"truncate_dim": 8},
}


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("embedding")
    make_qwen3_vl(made, **KINDS[request.param])
    return made


@pytest.fixture(scope="module")
def qwen(tmp_path_factory) -> Path:
    """Not to be changed by a test."""
    made = tmp_path_factory.mktemp("qwen")
    make_qwen3_vl(made)
    return made


@pytest.fixture
def spoiled(qwen, tmp_path) -> Path:
    return Path(shutil.copytree(qwen, tmp_path / "model"))


def reference(folder: Path, texts: list[str] = ODD, **prompts: str) -> list[np.ndarray]:
    """Unit rows of pictures and texts, each by itself, as the package encodes them."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    model.prompts |= prompts
    # a text that is an address of a picture would be fetched
    named = [{"text": text} for text in texts]
    rows = [
        np.stack([model.encode_document(image) for image in drawn_images()]),
        np.stack([model.encode_query(text) for text in named]),
    ]
    return [one / np.linalg.norm(one, axis=1, keepdims=True) for one in rows]


def ours(folder: Path, texts: list[str] = ODD, precision: str = "float32") -> list[np.ndarray]:
    encoder = load_encoder(folder, "cpu", precision)
    pictures = [encoder.bytes_of(image) for image in drawn_images()]
    return [
        encoder.encode_images(encoder.batch_of_images(pictures)).numpy(),
        encoder.encode_texts(encoder.tokenize(texts)).numpy(),
    ]


def rewrite(path: Path, change) -> None:
    about = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(change(about) or about), "utf-8")


def test_features_equal_the_packages_own_for_odd_pictures_and_texts(folder):
    for found, expected in zip(ours(folder), reference(folder), strict=True):
        assert cosines(found, expected).min() >= 0.99999
        # random weights must tell inputs apart, or the equality above says nothing
        assert cosines(found[:1], found[6:7]).max() < 0.9999


def test_a_probe_finds_nothing_to_say(folder):
    probe(folder)


def test_half_precision_gives_float32_unit_rows_near_those_of_float32(qwen):
    for found, expected in zip(ours(qwen, precision="bfloat16"), ours(qwen), strict=True):
        assert found.dtype == np.float32
        assert cosines(found, expected).min() > 0.99
    positions = [
        str(one.dtype)
        for name, one in load_encoder(qwen, "cpu", "bfloat16").model.named_buffers()
        if "inv_freq" in name
    ]
    assert positions and set(positions) == {"torch.float32"}


def test_a_side_without_an_instruction_of_its_own_has_the_models_default(spoiled):
    own = {"prompts": {"document": "", "any": "Represent it."}, "default_prompt_name": "any"}
    rewrite(spoiled / PROMPTS, lambda about: about.pop("prompts") and about | own)
    assert read_embedding(spoiled).prompts == {"texts": "Represent it.", "images": ""}
    expected = reference(spoiled, query="Represent it.")
    assert cosines(ours(spoiled)[1], expected[1]).min() >= 0.99999


def test_a_text_that_is_an_address_or_a_file_is_read_as_a_text(qwen, tmp_path, monkeypatch):
    drawn_images()[0].convert("RGB").save(tmp_path / "dog.png")
    monkeypatch.chdir(tmp_path)
    encoder = load_encoder(qwen, "cpu")
    texts = ["dog.png", "http://127.0.0.1:9/dog.png", "data:image/png;base64,AAAA", "a.mp4"]
    tokens = encoder.tokenize(texts)
    assert set(tokens) == {"input_ids", "attention_mask", "mm_token_type_ids"}
    assert len({tuple(row) for row in tokens["input_ids"].tolist()}) == len(texts)


def test_tokens_are_counted_before_they_are_cut(qwen):
    encoder = load_encoder(qwen, "cpu")
    assert encoder.context_length == CONTEXT
    short, long = encoder.lengths(["a dog", "a dog " * CONTEXT])
    assert encoder.tokenize(["a dog"])["input_ids"].shape == (1, short)
    assert encoder.tokenize(["a dog " * CONTEXT])["input_ids"].shape == (1, CONTEXT)
    # "a", a blank, "dog" and a blank, each time
    assert long - short == 4 * CONTEXT - 3


def test_options_of_the_folder_say_where_texts_are_cut_and_on_which_side_they_are_filled(spoiled):
    options = {"max_length": 40, "padding_side": "left"}
    rewrite(spoiled / SETTINGS, lambda it: it["processing_kwargs"].update(text=options))
    # of each picture, all tokens have to fit
    size = {"shortest_edge": 256, "longest_edge": 512}
    rewrite(spoiled / "processor_config.json", lambda it: it["image_processor"].update(size=size))
    encoder = load_encoder(spoiled, "cpu")
    tokens = encoder.tokenize(["a dog", "a dog " * CONTEXT])
    assert encoder.context_length == 40 == tokens["input_ids"].shape[1]
    assert tokens["attention_mask"][0, 0] == 0 and tokens["attention_mask"][0, -1] == 1
    for found, expected in zip(ours(spoiled), reference(spoiled), strict=True):
        assert cosines(found, expected).min() >= 0.99999


def test_what_a_processor_does_not_take_is_told_with_the_text_or_the_size(qwen):
    encoder = load_encoder(qwen, "cpu")
    with pytest.raises(BadInput, match=r"the text 'see <\|image_pad\|>'.*no images were passed"):
        encoder.tokenize(["a dog", "see <|image_pad|>", "two"])
    with pytest.raises(BadInput, match="a picture of 4000 x 4 pixels"):
        encoder.preprocess(drawn_images()[0].resize((4000, 4)))


def test_loading_never_touches_the_network(qwen, monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    load_encoder(qwen, "cpu")


def test_weights_saved_within_the_model_that_writes_words_are_the_same(qwen, spoiled):
    import torch
    from safetensors.torch import load_file, save_file

    tensors = {f"model.{n}": one for n, one in load_file(qwen / "model.safetensors").items()}
    tensors["lm_head.weight"] = torch.zeros(2, 32)
    save_file(tensors, spoiled / "model.safetensors", metadata={"format": "pt"})
    rewrite(
        spoiled / "config.json",
        lambda about: about | {"architectures": ["Qwen3VLForConditionalGeneration"]},
    )
    probe(spoiled)
    for found, expected in zip(ours(spoiled), ours(qwen), strict=True):
        assert np.array_equal(found, expected)


def test_another_kind_of_model_makes_its_pictures_in_pillow_beside_it(qwen, tmp_path):
    make_clip(tmp_path)
    load_encoder(qwen, "cpu")
    assert type(load_encoder(tmp_path, "cpu").image_processor).__name__ == "CLIPImageProcessorPil"


def test_a_batch_of_the_largest_is_not_beyond_all_bounds(qwen):
    """Some models read whole books."""
    encoder = load_encoder(qwen, "cpu")
    encoder.context_length = 10**9
    assert encoder.largest("texts", 2)["input_ids"].shape == (2, CONTEXT)
    assert encoder.largest("images", 2)["image_grid_thw"].tolist() == [[1, 8, 8], [1, 8, 8]]


@pytest.mark.parametrize("source", ["huggingface", "modelscope", "local"])
def test_a_hub_or_a_folder_gives_the_whole_model_with_its_instruction(source, hubs, qwen, tmp_path):
    own = {
        path.relative_to(qwen).as_posix(): path.read_bytes()
        for path in qwen.rglob("*")
        if path.is_file()
    }
    others = {"README.md": b"# a model", "scripts/embed.py": b"raise SystemExit"}
    hubs.repositories[source, "me/clip"] = own | others | {"1_Pooling/pytorch_model.bin": b"."}
    wanted = local(qwen) if source == "local" else entry(source)
    fetch_model(wanted, tmp_path / "m", "m")
    about = verify_model(tmp_path / "m" / "model.json")
    assert set(about["files"]) == set(own)
    assert (about["architecture"], about["embedding_dim"]) == ("qwen3_vl", 32)
    told = {"texts": "Find a picture.", "images": "Represent the picture."}
    fetch_model(wanted | {"instruction": told}, tmp_path / "told", "m")
    again = verify_model(tmp_path / "told" / "model.json")
    assert again["instruction"] == told
    # what stands behind the model is made anew where this file is another
    changed = [name for name, digest in again["files"].items() if digest != about["files"][name]]
    assert changed == ["config_sentence_transformers.json"]
    expected = reference(qwen, query=told["texts"], document=told["images"])
    for found, rows, without in zip(ours(tmp_path / "told"), expected, ours(qwen), strict=True):
        assert cosines(found, rows).min() >= 0.99999
        assert cosines(found, without).min() < 0.999


def test_pictures_and_captions_of_a_dataset_are_encoded_side_by_side(qwen, tmp_path):
    paths = [tmp_path / f"{row}.png" for row in range(len(drawn_images()))]
    for path, image in zip(paths, drawn_images(), strict=True):
        image.convert("RGB").save(path)
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    encoder = load_encoder(qwen, "cpu")
    encoder.batches_at_once = 2
    images = encode_images(encoder, paths, sums, batch_size=2, workers=2)
    texts, cut = encode_captions(encoder, ODD, ["a photo of {}"], batch_size=2)
    whole = [f"a photo of {text}" for text in ODD]
    assert cut == sum(length > CONTEXT for length in encoder.lengths(whole)) > 0
    expected = reference(qwen, whole)
    assert cosines(texts, expected[1]).min() >= 0.99999
    # what has neither palette nor transparency is stored as it was
    plain = [row for row, one in enumerate(drawn_images()) if one.mode in ("RGB", "L")]
    assert cosines(images[plain], expected[0][plain]).min() >= 0.99999


SETTINGS, PROMPTS = "sentence_bert_config.json", "config_sentence_transformers.json"
# file, what it says instead, and what is told of it
ASKED = {
    "a module of the repository's": (
        "modules.json",
        lambda all_: all_[1].update(type="custom_st.Transformer"),
        "source: features",
    ),
    "a module of another folder": (
        "modules.json",
        lambda all_: all_[1].update(path="../elsewhere"),
        "each in a folder beside modules.json",
    ),
    "a module that is not known here": (
        "modules.json",
        lambda all_: all_[1].update(type="sentence_transformers.models.Router"),
        "modules Transformer, Router, Normalize",
    ),
    "code of the repository": (
        "config.json",
        lambda it: it.update(auto_map={"AutoModel": "modeling.Model"}),
        "auto_map, which names code(.|\n)*source: features",
    ),
    "another model behind the processor": (
        "processor_config.json",
        lambda it: it.update(audio_tokenizer={"audio_tokenizer_name_or_path": "me/sounds"}),
        "audio_tokenizer, which names code or a model of elsewhere",
    ),
    "code of the repository for its tokens": (
        "tokenizer_config.json",
        lambda it: it.update(auto_map={"AutoTokenizer": ["a.B", None]}),
        "auto_map, which names code",
    ),
    "code of the repository for its pictures": (
        "processor_config.json",
        lambda it: it["image_processor"].update(auto_map={"AutoImageProcessor": "a.B"}),
        "auto_map, which names code",
    ),
    "another library's attention": (
        SETTINGS,
        lambda it: it.update(model_kwargs={"attn_implementation": "me/kernel"}),
        "eager or sdpa",
    ),
    "arguments for the model": (
        SETTINGS,
        lambda it: it.update(model_args={"gguf_file": "a.gguf"}),
        r"model_args\.gguf_file: 'a\.gguf'",
    ),
    "a key that is not known": (SETTINGS, lambda it: it.update(query_expansion={}), "query_exp"),
    "an option that is more than a word": (
        SETTINGS,
        lambda it: it["processing_kwargs"].update(chat_template={"tools": [{}]}),
        r"processing_kwargs\.chat_template\.tools",
    ),
    "options that are a list": (
        SETTINGS,
        lambda it: it.update(processing_kwargs=[1]),
        r"processing_kwargs\.\.: \[1\]",
    ),
    "pictures larger than any, by an option": (
        SETTINGS,
        lambda it: it["processing_kwargs"].update(image={"min_pixels": 10**12}),
        r"processing_kwargs\.image\.min_pixels: 1000000000000",
    ),
    "pictures larger than any, by an argument": (
        SETTINGS,
        lambda it: it.update(processor_kwargs={"min_pixels": 10**12}),
        "min_pixels: 1000000000000",
    ),
    "a method that is none of features": (
        SETTINGS,
        lambda it: it["modality_config"]["text"].update(method="push_to_hub"),
        "methods push_to_hub",
    ),
    "texts alone": (
        SETTINGS,
        lambda it: it.update(modality_config={"text": it["modality_config"]["text"]}),
        "a model of text .*(.|\n)*source: towers",
    ),
    "many vectors": (
        PROMPTS,
        lambda it: it.update(model_type="MultiVectorEncoder"),
        "gives one vector",
    ),
    "a prompt that is no text": (PROMPTS, lambda it: it.update(prompts={"query": 1}), "texts by n"),
    "prompts without names": (PROMPTS, lambda it: it.update(prompts=["a"]), "texts by name"),
    "rows of another length": (
        "config.json",
        lambda it: it.update(hidden_size=8),
        "32 numbers for a picture and 8 for a text",
    ),
    "too large a picture": (
        "processor_config.json",
        lambda it: it["image_processor"]["size"].update(shortest_edge=10**9),
        r"size\.shortest_edge: 1000000000",
    ),
    "too many frames": (
        "processor_config.json",
        lambda it: it["image_processor"].update(temporal_patch_size=10**9),
        "temporal_patch_size: 1000000000",
    ),
    "patches of another size": (
        "processor_config.json",
        lambda it: it["image_processor"].update(patch_size=4),
        "the model fails at a picture",
    ),
    "a deviation of nothing": (
        "processor_config.json",
        lambda it: it["image_processor"].update(image_std=[1e-9] * 3),
        "white becomes",
    ),
    "another width": (
        "config.json",
        lambda it: it["text_config"].update(intermediate_size=40),
        r"it makes language_model\S+ \[40, 32\]; the weights have \[48, 32\]",
    ),
    "too many layers": (
        "config.json",
        lambda it: it["vision_config"].update(depth=10**9),
        r"vision_config\.depth: 1000000000",
    ),
    "fewer layers": (
        "config.json",
        lambda it: it["text_config"].update(num_hidden_layers=1),
        "tensors that this architecture does not have",
    ),
    "a way of pooling that is not known": (
        "1_Pooling/config.json",
        lambda it: it.update(pooling_mode="best"),
        "sentence-transformers cannot load: ValueError: Invalid pooling mode",
    ),
}


@pytest.mark.parametrize("case", ASKED)
def test_files_that_ask_for_what_is_not_done_are_told_by_name(case, spoiled):
    name, change, told = ASKED[case]
    rewrite(spoiled / name, change)
    with pytest.raises(BadInput, match=told) as raised:
        probe(spoiled)
    assert str(spoiled) in raised.value.parts[0]


def test_a_dense_layer_that_is_a_pickle_is_never_opened(tmp_path):
    make_qwen3_vl(tmp_path, dense=True)
    weights = tmp_path / "2_Dense/model.safetensors"
    weights.replace(tmp_path / "2_Dense/pytorch_model.bin")
    with pytest.raises(BadInput, match=r"2_Dense/model\.safetensors\n.*no such file"):
        probe(tmp_path)


def test_a_processor_that_makes_other_values_of_several_pictures_is_told(qwen, monkeypatch):
    kind = backend.SentenceTransformersEncoder
    own = kind.batch_of_images
    monkeypatch.setattr(kind, "batch_of_images", lambda self, images: own(self, images[::-1]))
    with pytest.raises(BadInput, match="other values beside each other than one by one"):
        load_encoder(qwen, "cpu")


def test_no_training_starts_from_it(qwen, tmp_path):
    with pytest.raises(BadInput, match=r"base: model\n.*another library than transformers"):
        check_base(Path(shutil.copytree(qwen, tmp_path / "model")))
