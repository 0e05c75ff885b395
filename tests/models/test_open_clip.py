"""Models of open_clip equal the package's own loop, and nothing is asked of a hub or a pickle."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_stand_in import entry, local, sha256_of
from PIL import Image
from tiny_models import TEXTS, drawn_images
from tiny_open_clip import FAMILIES, make_convnext, make_vit

from scripts.job import BadInput
from scripts.models.encoders import load_encoder, looked_up
from scripts.models.fetch_model import fetch_model
from scripts.models.folder import verify_model
from scripts.models.open_clip_files import TEXT_TOWERS
from scripts.models.probe import probe
from scripts.models.train_model import check_base

ODD = [*TEXTS, "", " \u200b ", "🐕 on 草地 &amp; café", "don't"]


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request, tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("open_clip")
    FAMILIES[request.param](made)
    return made


@pytest.fixture(scope="module")
def vit(tmp_path_factory) -> Path:
    """Not to be changed by a test."""
    made = tmp_path_factory.mktemp("vit")
    make_vit(made)
    return made


@pytest.fixture
def spoiled(vit, tmp_path) -> Path:
    return Path(shutil.copytree(vit, tmp_path / "model"))


def unit(rows: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(rows, dim=-1).numpy()


@pytest.fixture(scope="module")
def plain(folder, tmp_path_factory) -> tuple:
    """The model, its preprocessing and its tokenizer, by open_clip alone."""
    import open_clip

    copy = Path(shutil.copytree(folder, tmp_path_factory.mktemp("plain") / "model"))
    config = json.loads((copy / "open_clip_config.json").read_text("utf-8"))
    if "hf_model_name" in config["model_cfg"]["text_cfg"]:
        # where the package is to find what else it asks a hub for
        config["model_cfg"]["text_cfg"]["hf_model_name"] = str(copy)
        (copy / "open_clip_config.json").write_text(json.dumps(config), "utf-8")
    model, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{copy}")
    return model.eval(), preprocess, open_clip.get_tokenizer(f"local-dir:{copy}")


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one.astype(np.float64) * other).sum(axis=1)


def test_features_equal_the_packages_own_loop_for_odd_pictures_and_texts(folder, plain):
    model, preprocess, tokenizer = plain
    encoder = load_encoder(folder, "cpu")
    pixels = encoder.batch_of_images([encoder.bytes_of(image) for image in drawn_images()])
    images = encoder.encode_images(pixels).numpy()
    texts = encoder.encode_texts(encoder.tokenize(ODD)).numpy()
    assert images.shape == (len(drawn_images()), encoder.dim)
    # each by itself
    with torch.no_grad():
        expected = [
            torch.cat([model.encode_image(preprocess(image)[None]) for image in drawn_images()]),
            torch.cat([model.encode_text(tokenizer([text])) for text in ODD]),
        ]
    for found, rows in zip((images, texts), expected, strict=True):
        assert cosines(found, unit(rows)).min() >= 0.99999
        # random weights must tell inputs apart, or the equality above says nothing
        assert cosines(found[:1], found[6:7]).max() < 0.9999


def test_bytes_become_the_packages_own_values_bit_by_bit(folder, plain):
    encoder = load_encoder(folder, "cpu")
    for image in drawn_images():
        found = torch.from_numpy(encoder.bytes_of(image))
        values = encoder.preprocess(image)
        assert found.dtype == torch.uint8 and values.dtype == np.float32
        assert np.array_equal(looked_up(encoder._table, found[None])[0].numpy(), values)
        assert np.array_equal(plain[1](image).numpy(), values)


def test_tokens_equal_the_packages_own_and_are_counted_before_they_are_cut(folder, plain):
    encoder = load_encoder(folder, "cpu")
    tokens = encoder.tokenize(ODD)["input_ids"]
    assert torch.equal(tokens, plain[2](ODD))
    lengths = encoder.lengths(ODD)
    assert tokens.shape == (len(ODD), encoder.context_length) == (len(ODD), 16)
    assert [length > 16 for length in lengths].count(True) >= 1
    # what is cut to its own length stays whole
    longer = plain[2](ODD, context_length=max(lengths))
    for whole, found, length in zip(longer, tokens, lengths, strict=True):
        assert length > 16 or torch.equal(whole[:length], found[:length])


def test_a_probe_finds_nothing_to_say(folder):
    probe(folder)


def test_loading_never_touches_the_network(folder, monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    load_encoder(folder, "cpu")


def test_batch_and_order_do_not_change_a_row(folder):
    encoder = load_encoder(folder, "cpu")
    pictures = [encoder.bytes_of(image) for image in drawn_images()]
    rows = [
        encoder.encode_images(encoder.batch_of_images(pictures)),
        encoder.encode_texts(encoder.tokenize(ODD)),
    ]
    alone = [
        encoder.encode_images(encoder.batch_of_images(pictures[:1])),
        encoder.encode_texts(encoder.tokenize(ODD[:1])),
    ]
    for found, first in zip(rows, alone, strict=True):
        np.testing.assert_allclose(found[:1].numpy(), first.numpy(), atol=1e-5)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_gives_float32_unit_rows_near_those_of_float32(folder, precision):
    both = [load_encoder(folder, "cpu", one) for one in (precision, "float32")]
    pictures = [both[0].bytes_of(image) for image in drawn_images()]
    rows = [one.encode_images(one.batch_of_images(pictures)).numpy() for one in both]
    texts = [one.encode_texts(one.tokenize(ODD)).numpy() for one in both]
    for found, expected in (rows, texts):
        assert found.dtype == np.float32
        assert cosines(found, expected).min() > 0.99


def test_texts_are_computed_no_further_than_their_ends_where_nothing_is_seen_behind(vit):
    encoder = load_encoder(vit, "cpu")
    tokens = encoder.tokenize(["a dog", "two"])
    assert tokens["input_ids"].shape == (2, 16)
    assert encoder.plan_texts(tokens)["input_ids"].shape == (2, 4)


def test_tokens_of_clips_have_a_class_token_behind_what_fills_them_up(tmp_path):
    import open_clip

    make_convnext(tmp_path)
    path = tmp_path / "open_clip_config.json"
    config = json.loads(path.read_text("utf-8"))
    config["model_cfg"]["text_cfg"]["tokenizer_mode"] = "clips"
    path.write_text(json.dumps(config), "utf-8")
    special = {"bos_token": "[CLS]", "eos_token": "[SEP]"}
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | special), "utf-8")
    encoder = load_encoder(tmp_path, "cpu")
    texts = ["a b c", "a" * 13, "a" * 14]
    tokens = encoder.tokenize(texts)["input_ids"]
    assert torch.equal(tokens, open_clip.get_tokenizer(f"local-dir:{tmp_path}")(texts))
    assert encoder.lengths(texts) == [6, 16, 17]
    assert len(set(tokens[:, -1].tolist())) == 1


def test_a_tower_named_in_the_config_is_never_fetched_and_never_remote(spoiled):
    path = spoiled / "open_clip_config.json"
    config = json.loads(path.read_text("utf-8"))
    config["model_cfg"]["text_cfg"] |= {"hf_model_name": "someone/else"}
    path.write_text(json.dumps(config), "utf-8")
    with pytest.raises(BadInput, match=r"config\.json\n.*no config of the text tower 'someone/e"):
        load_encoder(spoiled, "cpu")
    (spoiled / "config.json").write_text(
        json.dumps({"model_type": "roberta", "auto_map": {"AutoModel": "code.Model"}})
    )
    with pytest.raises(BadInput, match="asks for code of elsewhere"):
        load_encoder(spoiled, "cpu")


def test_the_text_towers_that_open_clip_names_are_known_by_the_shapes_of_their_weights():
    """As published: the width, the layers and the vocabulary of each."""
    from transformers import AutoConfig

    assert set(TEXT_TOWERS) == {
        "roberta-base",
        "xlm-roberta-base",
        "xlm-roberta-large",
        "facebook/nllb-200-distilled-600M",
        "facebook/nllb-200-distilled-1.3B",
    }
    sizes = {}
    for name, settings in TEXT_TOWERS.items():
        config = AutoConfig.for_model(**settings)
        sizes[name] = (config.hidden_size, config.num_hidden_layers, config.vocab_size)
    assert list(sizes.values()) == [
        (768, 12, 50265),
        (768, 12, 250002),
        (1024, 24, 250002),
        (1024, 12, 256206),
        (1024, 24, 256206),
    ]


# what a config says -> what is told of it
ASKED = {
    "a tower of a hub": (
        {"vision_cfg": {"timm_model_name": "hf-hub:someone/tower"}},
        "timm_model_name: 'hf-hub:someone/tower'",
    ),
    "a tower of a folder": (
        {"vision_cfg": {"timm_model_name": "local-dir:/etc"}},
        "timm_model_name",
    ),
    "code for the tokenizer": (
        {"text_cfg": {"tokenizer_kwargs": {"trust_remote_code": True}}},
        r"tokenizer_kwargs\.trust_remote_code",
    ),
    "words by lot": (
        {"text_cfg": {"tokenizer_kwargs": {"reduction_mask": "syntax"}}},
        r"tokenizer_kwargs\.reduction_mask",
    ),
    "another cleaning": (
        {"text_cfg": {"tokenizer_kwargs": {"clean": "none"}}},
        "tokenizer that open_clip cannot use",
    ),
    "a tokenizer that is not there": (
        {"text_cfg": {"hf_tokenizer_name": "someone/words"}},
        "no tokenizer file, though open_clip_config.json names 'someone/words'",
    ),
    "a list for a name": ({"text_cfg": {"hf_model_name": ["a"]}}, r"hf_model_name: \['a'\]"),
    "a key that the package does not know": (
        {"vision_cfg": {"depth": 2}},
        "model_cfg that open_clip cannot use: TypeError",
    ),
    "too many layers": ({"vision_cfg": {"layers": 10**9}}, r"vision_cfg\.layers: 1000000000"),
    "too large a picture": ({"vision_cfg": {"image_size": 10**6}}, "image_size: 1000000"),
    "other places": (
        {"vision_cfg": {"image_size": 64}},
        r"it makes visual\.positional_embedding \[65, 32\]; the weights have \[17, 32\]",
    ),
    "fewer layers": ({"text_cfg": {"layers": 1}}, "tensors that this architecture does not have"),
    "more layers": ({"text_cfg": {"layers": 3}}, r"weights without transformer\.resblocks\.2"),
    "another space": ({"embed_dim": 25}, r"it makes \S+ \[\d+, 25\]; the weights have \[\d+, 24\]"),
    "no text tower": ({"text_cfg": None}, "no text_cfg in model_cfg"),
    "a deviation of nothing": ({"std": [1e-9] * 3}, "grey becomes"),
    "another resampling": (
        {"interpolation": "lanczos"},
        "preprocess_cfg that open_clip cannot use: AssertionError",
    ),
}


@pytest.mark.parametrize("case", ASKED)
def test_a_config_that_asks_for_what_is_not_there_is_told_and_names_its_file(case, spoiled):
    changes, told = ASKED[case]
    path = spoiled / "open_clip_config.json"
    config = json.loads(path.read_text("utf-8"))
    for key, value in changes.items():
        if key in ("std", "interpolation"):
            config["preprocess_cfg"][key] = value
        elif isinstance(value, dict):
            config["model_cfg"][key] |= value
        else:
            config["model_cfg"][key] = value
    path.write_text(json.dumps(config), "utf-8")
    with pytest.raises(BadInput, match=told) as raised:
        probe(spoiled)
    assert str(spoiled) in raised.value.parts[0]


def test_weights_that_are_missing_cut_swapped_or_of_one_tower_are_told(spoiled, vit):
    from safetensors.torch import load_file, save_file

    weights = spoiled / "open_clip_model.safetensors"
    whole = load_file(weights)
    save_file({name: one for name, one in whole.items() if "visual" not in name}, weights)
    with pytest.raises(BadInput, match=r"open_clip_model\.safetensors\n.*without an image tower"):
        probe(spoiled)
    save_file({name: one for name, one in whole.items() if name.startswith("visual")}, weights)
    with pytest.raises(BadInput, match="without a text tower"):
        probe(spoiled)
    save_file(whole | {"visual.lora_a": torch.ones(1)}, weights)
    with pytest.raises(BadInput, match="merge the adapter"):
        probe(spoiled)
    data = (vit / "open_clip_model.safetensors").read_bytes()
    weights.write_bytes(data[:-4])
    with pytest.raises(BadInput, match="the file is not whole"):
        probe(spoiled)
    weights.unlink()
    with pytest.raises(BadInput, match=r"no open_clip_model\.safetensors"):
        probe(spoiled)


ORDER = """
import sys
from pathlib import Path
from PIL import Image
from scripts.models.encoders import load_encoder
for folder in sys.argv[1:]:
    encoder = load_encoder(Path(folder), "cpu")
    pixels = encoder.batch_of_images([encoder.bytes_of(Image.linear_gradient("L"))])
    print(*encoder.encode_images(pixels)[0].tolist())
print(type(encoder.image_processor).__name__)
"""


def test_both_libraries_live_in_one_process_whichever_comes_first(vit, clip):
    done = subprocess.run(
        [sys.executable, "-c", ORDER, str(vit), str(clip)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    *rows, processor = done.stdout.splitlines()
    # pictures are made in Pillow all the same
    assert processor == "CLIPImageProcessorPil"
    for folder, row in zip((clip, vit), rows[::-1], strict=True):
        encoder = load_encoder(folder, "cpu")
        pixels = encoder.batch_of_images([encoder.bytes_of(Image.linear_gradient("L"))])
        np.testing.assert_allclose(
            np.array(row.split(), float), encoder.encode_images(pixels)[0], atol=1e-6
        )


@pytest.mark.parametrize("source", ["huggingface", "modelscope", "local"])
def test_a_hub_or_a_folder_gives_a_model_under_the_names_that_it_has_there(
    source, hubs, vit, clip, tmp_path
):
    beside = {path.name: path.read_bytes() for path in clip.iterdir()}
    own = {path.name: path.read_bytes() for path in vit.iterdir()}
    own["open_clip_pytorch_model.bin"] = b"pickled"
    wanted = local(vit) if source == "local" else entry(source)
    hubs.repositories[source, "me/clip"] = own
    fetch_model(wanted, tmp_path / "m", "m")
    about = verify_model(tmp_path / "m" / "model.json")
    assert set(about["files"]) == {"open_clip_config.json", "open_clip_model.safetensors"}
    assert (about["architecture"], about["embedding_dim"]) == ("open_clip ViT-32-8", 24)
    # beside a model of transformers it has to be asked for
    if source == "local":
        return
    hubs.repositories[source, "me/clip"] = own | beside
    fetch_model(entry(source), tmp_path / "other", "m")
    assert verify_model(tmp_path / "other/model.json")["architecture"] == "clip"
    named = entry(source) | {"weights": "open_clip_model.safetensors"}
    fetch_model(named, tmp_path / "asked", "m")
    again = verify_model(tmp_path / "asked/model.json")
    assert again["weights"] == "open_clip_model.safetensors"
    assert again["architecture"] == "open_clip ViT-32-8"


def test_a_pickle_of_known_checksum_becomes_open_clips_weights(vit, tmp_path):
    from safetensors.torch import load_file

    mine = Path(shutil.copytree(vit, tmp_path / "mine"))
    tensors = load_file(mine / "open_clip_model.safetensors")
    (mine / "open_clip_model.safetensors").unlink()
    pickle = mine / "open_clip_pytorch_model.bin"
    torch.save(tensors, pickle)
    with pytest.raises(BadInput, match=r"only pickled weights \(open_clip_pytorch_model\.bin\)"):
        fetch_model(local(mine), tmp_path / "m", "m")
    wanted = local(mine, sha256_of(pickle.read_bytes()), pickled="convert")
    fetch_model(wanted, tmp_path / "m", "m")
    made = load_file(tmp_path / "m" / "open_clip_model.safetensors")
    assert made.keys() == tensors.keys()
    assert all(torch.equal(made[name], tensors[name]) for name in tensors)


def test_no_training_starts_from_it(vit, tmp_path):
    with pytest.raises(BadInput, match=r"base: model\n.*another library than transformers"):
        check_base(Path(shutil.copytree(vit, tmp_path / "model")))
