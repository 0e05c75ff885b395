"""Folders of a user's own model, broken in every way: told before they compute anything."""

from __future__ import annotations

import os
import pickle
import shutil
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from bad_input import (
    Case,
    Ended,
    Files,
    Steps,
    assert_told,
    check_message,
    ids,
    picture,
    told_by,
    within_limits,
)

torch = pytest.importorskip("torch")

from spoilt_models import (  # noqa: E402
    CONFIG,
    PARTS,
    PROJECTION,
    WEIGHTS,
    changed,
    cut,
    digits,
    each,
    flattened,
    gone,
    header,
    in_bytes,
    indexed,
    instead,
    large_header,
    moved,
    of_config,
    of_tensor,
    pickled,
    renamed,
    saved_anew,
    twice_in_header,
    written,
)
from tiny_models import make_clip  # noqa: E402

from scripts import jobs  # noqa: E402
from scripts.models import fetch_model  # noqa: E402
from scripts.models.encoders import load_encoder  # noqa: E402


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "clip"
    make_clip(folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(whole, tmp_path / "mine"))


FETCHED = [
    *(Case(f"{CONFIG} cut at {n} eighths", cut(CONFIG, n), "column|model_type") for n in range(8)),
    *(
        Case(
            f"{WEIGHTS} cut at {n} eighths", cut(WEIGHTS, n), "no safetensors header|bytes of tens"
        )
        for n in range(8)
    ),
    Case("config.json is not there", gone(CONFIG), "no such file"),
    Case("config.json is a folder", instead(CONFIG, Path.mkdir), "a folder"),
    Case(
        "config.json is a link to nothing", instead(CONFIG, lambda p: p.symlink_to("no")), "no such"
    ),
    Case(
        "config.json is a link to itself", instead(CONFIG, lambda p: p.symlink_to(p.name)), "link"
    ),
    Case("config.json is a list", written(CONFIG, "[]"), "model_type: None"),
    Case("config.json is no text", written(CONFIG, b"\xff\xfe{"), "byte 0xff"),
    Case("config.json is nested without end", written(CONFIG, "[" * 99_999), "nested"),
    Case(
        "an architecture that is a list", changed(CONFIG, "model_type", to=["clip"]), "model_type"
    ),
    Case("an architecture that is a number", changed(CONFIG, "model_type", to=7), "model_type"),
    Case("an architecture of language alone", changed(CONFIG, "model_type", to="bert"), "bert"),
    Case("no weights", gone(WEIGHTS), "no weights"),
    Case("pickles alone", pickled, "only pickled weights"),
    Case(
        "a pickle called safetensors", written(WEIGHTS, pickle.dumps(["x"] * 99)), "no safetensors"
    ),
    Case("weights that are a folder", instead(WEIGHTS, Path.mkdir), "no such file, but a folder"),
    Case(
        "weights that are a pointer of Git LFS",
        written(WEIGHTS, "version https://git-lfs"),
        "no sa",
    ),
    Case("zeros", written(WEIGHTS, bytes(999)), "no safetensors header"),
    Case("a header of 8 EB", written(WEIGHTS, b"\xff" * 7 + b"\x7f{}"), "no safetensors header"),
    Case("a header that is a list", header(lambda tensors: []), "no safetensors header"),
    Case(
        "a header nested without end",
        written(WEIGHTS, struct.pack("<Q", 9999) + b"[" * 9999),
        "no safetensors header",
    ),
    Case(
        "a tensor that is a number", header(lambda t: t.update({PROJECTION: 7})), "no safetensors"
    ),
    Case("a shape of texts", of_tensor(PROJECTION, "shape", ["24", "32"]), "no safetensors header"),
    Case("a shape that is a number", of_tensor(PROJECTION, "shape", 7), "no safetensors header"),
    Case("a shape of nothing", of_tensor(PROJECTION, "shape", []), "3072 bytes of F32 are not"),
    Case("a projection of no dimension", saved_anew(flattened), "of no dimension"),
    *(
        Case(f"a shape {what}", of_tensor(PROJECTION, "shape", shape), told)
        for what, shape, told in (
            ("of more numbers than there are atoms", [10**3000, 10**3000], "a shape of"),
            ("of many long sides", [10**4000] * 99, "a shape of"),
            ("below zero", [-24, -32], "a shape of"),
            ("of zero", [0, 32], "a shape of"),
            ("of truths", [True, 32], "no safetensors header"),
            ("of fractions", [24.0, 32], "no safetensors header"),
            ("of another size", [24, 31], "bytes of F32 are not"),
        )
    ),
    Case("a side of 5,000 digits", digits, "no safetensors header"),
    Case("numbers of a kind that is none", of_tensor(PROJECTION, "dtype", "F17"), "kind F17"),
    Case("numbers of another width", of_tensor(PROJECTION, "dtype", "F16"), "bytes of F16 are not"),
    Case("numbers of 8 bits", saved_anew(in_bytes), "I8, as quantised"),
    Case(
        "tensors that overlap", of_tensor(PROJECTION, "data_offsets", [0, 4 * 24 * 32]), "overlaps"
    ),
    Case("places that go backwards", of_tensor(PROJECTION, "data_offsets", [3072, 0]), "overlaps"),
    Case("three places", of_tensor(PROJECTION, "data_offsets", [0, 1, 2]), "no safetensors header"),
    Case("a header of 150 MB", large_header, "no safetensors header"),
    Case("a tensor twice in a header", twice_in_header, "no safetensors header"),
    Case(
        "a tensor in two parts",
        indexed({PROJECTION: PARTS[0], "logit_scale": PARTS[1]}, two=True),
        "has, too",
    ),
    Case(
        "an index that puts tensors elsewhere",
        indexed({PROJECTION: PARTS[0], "no_tensor": PARTS[0]}),
        "as the files themselves say",
    ),
    Case("an index of a name of 300 bytes", indexed({"w": "m" * 300}), "no name of a file"),
    Case("an index of a folder above", indexed({"w": ".."}), "no name of a file"),
    Case("an index of a name with a zero", indexed({"w": "a\0b"}), "no name of a file"),
    *(
        Case(
            f"{layers} layers of {tower} where weights have two",
            of_config(tower, "num_hidden_layers", to=layers),
            told,
        )
        for layers, told in ((1, "weights have 2"), (3, "weights have 2"), (20_000, "20000"))
        for tower in ("text_config", "vision_config")
    ),
    *(
        Case(f"{where}.{key} of {value}", of_config(where, key, to=value), key)
        for where, key, value in (
            ("text_config", "hidden_size", 64),
            ("text_config", "hidden_size", 0),
            ("vision_config", "hidden_size", -8),
            ("text_config", "vocab_size", 10**12),
            ("text_config", "max_position_embeddings", 10**9),
            ("vision_config", "image_size", 10**7),
            ("vision_config", "patch_size", 16),
            ("vision_config", "num_channels", 10**9),
            ("text_config", "intermediate_size", 10**12),
        )
    ),
    *(
        Case(f"attention of {kernel} in {'.'.join(keys)}", of_config(*keys, to=kernel), kernel)
        for kernel in ("someone/kernel", "flash_attention_2")
        for keys in (
            ("attn_implementation",),
            ("text_config", "attn_implementation"),
            ("vision_config", "_attn_implementation"),
            ("text_config", "deeper", "attn_implementation"),
        )
    ),
    Case(
        "attention by tower",
        of_config("attn_implementation", to={"text_config": "someone/kernel"}),
        "someone/kernel",
    ),
    Case(
        "quantised weights",
        of_config("quantization_config", to={"quant_method": "bitsandbytes", "load_in_8bit": True}),
        "without quantisation",
    ),
    Case(
        "places that are texts", of_tensor(PROJECTION, "data_offsets", ["0", "9"]), "no safetensors"
    ),
    Case(
        "places beyond the end", of_tensor(PROJECTION, "data_offsets", [0, 10**12]), "bytes of tens"
    ),
    Case("no kind of numbers", of_tensor(PROJECTION, "dtype", None), "no safetensors header"),
    Case(
        "no text tower",
        header(lambda t: {n.replace("text_model", "x"): v for n, v in t.items()}),
        "without a text tower",
    ),
    Case(
        "no image tower",
        header(lambda t: {n.replace("vision_model", "x"): v for n, v in t.items()}),
        "without an image tower",
    ),
    Case(
        "a hole in place of the projection",
        header(lambda t: {n: v for n, v in t.items() if n != PROJECTION}),
        "leaves a hole",
    ),
    Case(
        "no projection",
        saved_anew(lambda t: {n: v for n, v in t.items() if n != PROJECTION}),
        f"no tensor {PROJECTION}",
    ),
    Case("an index of nothing", indexed({}), "no weight_map"),
    Case("an index that is a list", indexed(["x"]), "no weight_map"),
    Case("an index of lists", indexed({"w": ["x"]}), "no weight_map"),
    Case(
        "an index of a part that is not there", indexed({"w": "model-2.safetensors"}), "no file mod"
    ),
    Case("an index that leads out", indexed({"w": "../../../etc/passwd"}), "no name of a file"),
    Case("no tokenizer", gone("tokenizer.json"), "no tokenizer file"),
    Case("no preprocessor", gone("preprocessor_config.json"), "no preprocessor file"),
    Case(
        "a tokenizer that is a folder", instead("tokenizer.json", Path.mkdir), "file, but a folder"
    ),
    Case("a vocabulary that is a folder", instead("vocab.txt", Path.mkdir), "a folder, or a link"),
    Case(
        "a file of a cache that was cleaned",
        instead("tokenizer_config.json", lambda p: p.symlink_to("../blobs/0")),
        "a folder, or a link",
    ),
]
FETCHED += [
    Case("a newer pickle beside", written("pytorch_model.bin", "x"), "2 sets.*weights: model.safe"),
    Case("a best.pt beside", written("best.pt", "x"), "2 sets of weights: best.pt, model.safe"),
    Case("weights of TensorFlow beside", written("tf_model.h5", "x"), "2 sets of weights"),
    Case("weights of Flax beside", written("flax_model.msgpack", "x"), "2 sets of weights"),
    Case("halved weights beside", written("model.fp16.safetensors", "x"), "2 sets of weights"),
    Case("halved weights alone", renamed(WEIGHTS, "model.fp16.safetensors"), "weights: model.fp16"),
    Case(
        "one file and parts",
        each(
            written("model-00001-of-00001.safetensors", "x"),
            written("model.safetensors.index.json", "{}"),
        ),
        "2 sets of weights",
    ),
    Case(
        "parts without an index",
        renamed(WEIGHTS, "model-00001-of-00002.safetensors"),
        "no model.safetensors.index.json",
    ),
    Case(
        "an adapter beside its base",
        each(written("adapter_config.json", "{}"), written("adapter_model.safetensors", "x")),
        "with an adapter beside it.*merge_and_unload",
    ),
    Case(
        "an adapter alone",
        each(gone(CONFIG), renamed(WEIGHTS, "adapter_model.safetensors")),
        "an adapter alone",
    ),
    Case("one level too high", moved("clip"), "no config.json, but one in clip.*mine/clip"),
    Case(
        "sentence-transformers",
        each(moved("0_CLIPModel"), written("modules.json", "[]")),
        "sentence-transformers.*mine/0_CLIPModel",
    ),
    Case("a hub's cache", moved("snapshots/b33c"), "hub's cache.*mine/snapshots/b33c"),
    Case(
        "all of a hub's cache", moved("models--a--b/snapshots/c"), "mine/models--a--b/snapshots/c"
    ),
    Case(
        "open_clip",
        each(
            renamed(CONFIG, "open_clip_config.json"),
            renamed(WEIGHTS, "open_clip_model.safetensors"),
        ),
        r"open_clip_config\.json\s.*no embed_dim in model_cfg",
    ),
    Case("diffusers", each(moved("unet"), written("model_index.json", "{}")), "of diffusers"),
    Case("timm", written(CONFIG, '{"pretrained_cfg": {}}'), "a model of timm"),
    Case("weights of ONNX alone", renamed(WEIGHTS, "onnx/model.onnx"), "weights of ONNX alone"),
    Case("GGUF", each(gone(CONFIG), renamed(WEIGHTS, "clip.gguf")), "weights of GGUF alone"),
    Case(
        "weights of OpenVINO alone", renamed(WEIGHTS, "openvino_model.bin"), "weights of OpenVINO"
    ),
]
TOKENIZER, SETTINGS, PIXELS = "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"
LOADED = [
    *(
        Case(f"{name} cut at {n} eighths", cut(name, n), "cannot load|column|JSON")
        for name in (TOKENIZER, PIXELS)
        for n in (0, 3, 6)
    ),
    *(
        Case(f"{name} is {what}", written(name, content), "cannot load|JSON|found")
        for name in (TOKENIZER, SETTINGS, PIXELS)
        for what, content in {"a list": "[]", "a number": "7", "no text": b"\xff\xfe\0"}.items()
    ),
    Case(
        "a tokenizer of no model", written(TOKENIZER, '{"model": {"type": "None"}}'), "cannot load"
    ),
    Case("a tokenizer of no class", changed(SETTINGS, "tokenizer_class", to="Os"), "|cannot load"),
    Case(
        "a processor of no class", changed(PIXELS, "image_processor_type", to="System"), "cannot lo"
    ),
    Case(
        "a width in text",
        changed(CONFIG, "vision_config", "hidden_size", to="wide"),
        "can be made of it",
    ),
    Case(
        "heads that do not divide",
        changed(CONFIG, "text_config", "num_attention_heads", to=5),
        "can be made of it",
    ),
    Case(
        "no heads", changed(CONFIG, "text_config", "num_attention_heads", to=0), "can be made of it"
    ),
    Case("a tower that is a list", changed(CONFIG, "text_config", to=[]), "can be made of it"),
    Case(
        "an activation that is none",
        changed(CONFIG, "text_config", "hidden_act", to="os.system"),
        "can be made of it",
    ),
]


def fetched(steps: Steps, folder: Path) -> tuple[str, Path]:
    """What the job tells of a folder that the config names, and where the model goes."""
    made = steps.folder / "data/models/mine/model.json"

    class Wildcards(list):
        model = "mine"

    log = steps.folder / "results/logs/fetch_model.log"
    snakemake = SimpleNamespace(
        rule="fetch_model", wildcards=Wildcards(["mine"]), log=[str(log)], threads=1,
        input=Files(), output=Files(provenance=str(made)),
        params=SimpleNamespace(entry={"source": "local", "path": str(folder), "sha256": None}),
    )  # fmt: skip
    try:
        with within_limits():
            jobs.run(fetch_model.main, snakemake)
    except SystemExit:
        told = log.read_text("utf-8")
        check_message(told[told.index("ERROR") :])
        return told, made.parent
    return "", made.parent


@ids(FETCHED)
def test_a_model_that_is_not_whole_is_told_when_it_is_taken_in(steps, folder, case):
    case.make(folder)
    told, made = fetched(steps, folder)
    assert_told(Ended(message=told), case.told)
    assert not (made / "model.json").exists()


@ids(LOADED)
def test_a_model_that_cannot_be_loaded_is_told_when_it_is_asked(steps, folder, case):
    case.make(folder)
    told, made = fetched(steps, folder)

    def ask() -> None:
        encoder = load_encoder(made, device="cpu")
        encoder.encode_texts(encoder.tokenize(["a dog"]))
        pixels = torch.from_numpy(encoder.preprocess(picture("pink"))[None])
        encoder.encode_images(pixels)

    told = told or told_by(ask)
    if told or not case.told.startswith("|"):
        assert_told(Ended(message=told), case.told)


@pytest.mark.parametrize("where", ["text_projection", "vision_model", "text_model"])
def test_weights_that_are_no_numbers_give_no_features(steps, folder, where):
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / WEIGHTS)
    for name in tensors:
        if name.startswith(where):
            tensors[name] = np.full_like(tensors[name], np.nan)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    told, made = fetched(steps, folder)

    def ask() -> None:
        encoder = load_encoder(made, device="cpu")
        if where == "vision_model":
            encoder.encode_images(torch.from_numpy(encoder.preprocess(picture("pink"))[None]))
        else:
            encoder.encode_texts(encoder.tokenize(["a dog"]))

    assert "not finite" in (told or told_by(ask))


CODE = "import pathlib; pathlib.Path('hacked').touch()\n"


def test_no_code_of_a_model_is_run(steps, folder):
    for name in ("modeling_clip.py", "tokenization_clip.py", "processing_clip.py", "__init__.py"):
        (folder / name).write_text(CODE)
    for name, classes in {
        CONFIG: {"AutoModel": "modeling_clip.CLIPModel", "AutoConfig": "modeling_clip.CLIPConfig"},
        SETTINGS: {"AutoTokenizer": ["tokenization_clip.CLIPTokenizer", None]},
        PIXELS: {"AutoImageProcessor": "processing_clip.CLIPImageProcessor"},
    }.items():
        changed(name, "auto_map", to=classes)(folder)
    told, made = fetched(steps, folder)
    assert not told and not [*made.glob("*.py")]
    for where in (made, folder):
        encoder = load_encoder(where, device="cpu")
        assert encoder.encode_texts(encoder.tokenize(["a dog"])).shape == (1, 24)
    assert not Path("hacked").exists() and not (folder / "hacked").exists()


def test_names_of_files_lead_nowhere(steps, folder):
    os.mkfifo(folder / "pipe")
    (folder / "notes\n.txt").write_text("x")
    (folder / os.fsdecode(b"caf\xe9.json")).write_text("{")
    told, made = fetched(steps, folder)
    assert not told and sorted(p.name for p in made.iterdir() if p.suffix == ".txt") == []


def test_the_model_that_is_spoilt_here_is_right_at_first(steps, folder):
    told, made = fetched(steps, folder)
    assert not told and (made / "model.json").is_file()
