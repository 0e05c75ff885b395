"""What an encoder of transformers is loaded from, and how it computes, whatever its family."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_loop import cosines, ours, reference
from tiny_models import FAMILIES, TEXTS, drawn_images, make_dual_encoder

from scripts.job import BadInput
from scripts.models.backends import transformers as backend
from scripts.models.backends.transformers import value_table
from scripts.models.encoders import load_encoder, native_precision, pick_device

SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_bytes_and_values_give_the_same_features_in_any_precision(clip, precision):
    encoder = load_encoder(clip, "cpu", precision)
    image = drawn_images()[0]
    rows = [
        encoder.encode_images(torch.from_numpy(make(image)[None])).numpy()
        for make in (encoder.bytes_of, encoder.preprocess)
    ]
    assert np.array_equal(*rows)


def test_a_processor_that_does_more_than_scale_and_shift_keeps_its_own_values(clip):
    encoder = load_encoder(clip, "cpu")

    def contrast(image, **settings):
        batch = encoder.image_processor(image, **settings)
        if settings.get("do_normalize", True):
            batch["pixel_values"][0] /= np.abs(batch["pixel_values"][0]).max()
        return batch

    assert value_table(encoder.image_processor) is not None
    assert value_table(contrast) is None
    encoder._table = None
    image = drawn_images()[0]
    assert np.array_equal(encoder.bytes_of(image), encoder.preprocess(image))


@pytest.mark.parametrize("family", ["clip", "openai-clip", "chinese-clip"])
def test_padding_to_the_longest_text_equals_padding_to_the_full_context(family, tmp_path):
    FAMILIES[family](tmp_path)
    encoder = load_encoder(tmp_path, "cpu")
    texts = [text for text in TEXTS if encoder.lengths([text])[0] < encoder.context_length - 2]
    short = encoder.tokenize(texts)
    encoder.padding = "max_length"
    full = encoder.tokenize(texts)
    assert short["input_ids"].shape[1] < full["input_ids"].shape[1] == encoder.context_length
    np.testing.assert_allclose(
        encoder.encode_texts(short).numpy(), encoder.encode_texts(full).numpy(), atol=1e-6
    )


def test_lengths_count_the_tokens_before_anything_is_cut(clip):
    encoder = load_encoder(clip, "cpu")
    # "dog" is one token, other letters one each, and two tokens stand around the text
    assert encoder.lengths(["dog", "xy", "x" * 30]) == [3, 4, 32]
    cut = encoder.tokenize(["x" * 30])["input_ids"]
    assert cut.shape == (1, 16)
    assert cut[0, -1] == encoder.tokenizer.eos_token_id


def test_a_general_tokenizer_that_numbers_sentences_serves_clip(spoiled):
    path = spoiled / "tokenizer_config.json"
    names = {"tokenizer_class": "PreTrainedTokenizerFast"}
    names["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | names), "utf-8")
    encoder = load_encoder(spoiled, "cpu")
    assert set(encoder.tokenize(["a dog"])) == {"input_ids", "attention_mask"}


def test_a_tokenizer_without_a_limit_leaves_the_context_length_to_the_config(clip):
    encoder = load_encoder(clip, "cpu")
    assert encoder.tokenizer.model_max_length > 1e9
    assert encoder.context_length == 16


KERNELS = """
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[2])
from scripts.job import BadInput
from scripts.models import encoders, weights

if sys.argv[3:]:
    weights.check_config = lambda *_: None
try:
    encoders.load_encoder(Path(sys.argv[1]), "cpu")
except BadInput as error:
    print(error)
"""


@pytest.mark.parametrize("passed_over", [[], ["passed over"]], ids=["", "were it not refused"])
def test_a_config_that_asks_for_native_code_of_a_hub_gets_none(passed_over, tmp_path):
    make_dual_encoder(tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    asked = json.loads(config.read_text("utf-8")) | {"attn_implementation": "someone/kernel"}
    config.write_text(json.dumps(asked), "utf-8")
    # whoever imports the package that fetches kernels leaves a file
    called, libraries = tmp_path / "called", tmp_path / "libraries"
    (libraries / "kernels-0.18.2.dist-info").mkdir(parents=True)
    (libraries / "kernels-0.18.2.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: kernels\nVersion: 0.18.2\n", "utf-8"
    )
    (libraries / "kernels.py").write_text(
        f"import pathlib\npathlib.Path({str(called)!r}).touch()\n", "utf-8"
    )
    arguments = [str(tmp_path / "model"), str(libraries), *passed_over]
    done = subprocess.run(
        [sys.executable, "-c", KERNELS, *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "to do:" in done.stdout, done.stderr
    assert "pip install" not in done.stdout.partition("to do:")[2]
    assert not called.exists()


def test_hubs_are_off_while_a_model_loads_even_if_they_were_in_use_before(clip, monkeypatch):
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import OfflineModeIsEnabled

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    told = []

    def asks(*_):
        with pytest.raises(OfflineModeIsEnabled):
            HfApi(endpoint="http://127.0.0.1:9").model_info("someone/model")
        told.append(constants.HF_HUB_OFFLINE)

    monkeypatch.setattr(backend, "check_pixels", asks)
    load_encoder(clip, "cpu")
    assert told == [True] and constants.HF_HUB_OFFLINE is False


def test_a_tokenizers_lower_limit_is_said_and_not_followed(spoiled, caplog):
    path = spoiled / "tokenizer_config.json"
    limit = {"model_max_length": 7}
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | limit), "utf-8")
    encoder = load_encoder(spoiled, "cpu")
    assert (encoder.context_length, encoder.tokenizer_limit) == (16, 7)
    assert "limits texts to 7 tokens; the model has 16 positions" in caplog.text


def test_nothing_is_said_where_the_tokenizer_has_no_lower_limit(clip, caplog):
    assert load_encoder(clip, "cpu").tokenizer_limit is None
    assert not caplog.text


@pytest.mark.parametrize("error", [KeyError("pixel_values"), MemoryError(), RecursionError()])
def test_a_processor_that_fails_at_a_setting_has_no_table(clip, error):
    processor = load_encoder(clip, "cpu").image_processor

    def fails(image, **settings):
        if "do_resize" in settings:
            raise error
        return processor(image, **settings)

    assert value_table(fails) is None


def test_gradients_flow_forward_and_are_not_kept_when_encoding(clip):
    encoder = load_encoder(clip, "cpu")
    pixels = torch.rand(2, 3, 32, 32)
    tokens = encoder.tokenize(["a dog", "x"])
    assert encoder.forward_images(pixels).requires_grad
    assert encoder.forward_texts(tokens).requires_grad
    assert not encoder.encode_images(pixels).requires_grad
    assert not encoder.encode_texts(tokens).requires_grad
    assert not encoder.model.training


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_gives_float32_unit_rows_near_those_of_float32(clip, precision):
    full = ours(load_encoder(clip, "cpu"), drawn_images(), TEXTS)
    half = ours(load_encoder(clip, "cpu", precision), drawn_images(), TEXTS)
    for rows, expected in zip(half, full, strict=True):
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        assert cosines(rows, expected).min() > 0.99


def test_the_cpus_own_flags_decide_what_it_computes_natively():
    flags = Path("/proc/cpuinfo")
    if not flags.exists():
        pytest.skip("only Linux tells its flags in a file")
    native = {"avx512_bf16", "amx_bf16", "bf16"} & set(flags.read_text("utf-8").split())
    assert native_precision(torch.device("cpu")) == ("bfloat16" if native else "float32")


@pytest.mark.parametrize(
    ("flags", "library", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True, "bfloat16"),
        ({"avx512_bf16": False, "amx_bf16": True}, True, "bfloat16"),
        ({"neon": True, "bf16": True}, True, "bfloat16"),
        # what oneDNN would emulate, and what it was built without
        ({"avx512_bf16": False, "avx512_f": True}, True, "float32"),
        ({"bf16": True}, False, "float32"),
    ],
)
def test_bfloat16_is_native_where_instruction_set_and_library_have_it(
    flags, library, expected, monkeypatch
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: library)
    assert native_precision(torch.device("cpu")) == expected
    assert native_precision(torch.device("mps")) == "float32"


@pytest.mark.parametrize(("ampere", "expected"), [(True, "bfloat16"), (False, "float16")])
def test_a_gpu_computes_in_bfloat16_or_where_it_is_too_old_in_float16(
    ampere, expected, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: ampere or including_emulation
    )
    assert native_precision(torch.device("cuda", 1)) == expected


def test_auto_takes_the_native_precision_and_says_which(clip):
    encoder = load_encoder(clip, "cpu", "auto")
    assert encoder.precision == native_precision(encoder.device)
    assert encoder.model.dtype == getattr(torch, encoder.precision)
    assert load_encoder(clip, "cpu").precision == "float32"


def test_a_row_of_length_zero_is_an_error_and_not_nan(clip):
    encoder = load_encoder(clip, "cpu")
    with torch.no_grad():
        encoder.model.visual_projection.weight.zero_()
    with pytest.raises(BadInput, match="length zero"):
        encoder.encode_images(torch.rand(1, 3, 32, 32))


def test_an_unknown_device_or_precision_is_refused(clip):
    for name in ("cuda:77", "abacus"):
        with pytest.raises(BadInput, match="device"):
            pick_device(name)
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(BadInput, match="auto, or one of float32, bfloat16, float16"):
        load_encoder(clip, "cpu", "float8")


def test_real_photos_and_captions_equal_a_plain_transformers_loop():
    model = SHARED / "models" / "flickr8k-dual-mobilenetv2"
    archives = [SHARED / "flickr8k" / f"Flickr8k_{part}.zip" for part in ("Dataset", "text")]
    if not all(path.exists() for path in (model, *archives)):
        pytest.skip("needs the Flickr8k archives and the model beside the repository")
    from PIL import Image

    with zipfile.ZipFile(archives[0]) as photos, zipfile.ZipFile(archives[1]) as texts:
        names = sorted(name for name in photos.namelist() if name.endswith(".jpg"))[:24]
        images = [Image.open(photos.open(name)) for name in names]
        for image in images:
            image.load()
        lines = texts.read("Flickr8k.token.txt").decode().splitlines()[:60]
    captions = [line.split("\t")[1] for line in lines] + ["a very long caption " * 40]
    found = ours(load_encoder(model, "cpu"), images, captions)
    expected = reference(model, images, captions)
    for rows, reference_rows in zip(found, expected, strict=True):
        assert cosines(rows, reference_rows).min() >= 0.99999


def test_libraries_come_without_a_search_for_garbage_which_goes_on_afterwards():
    script = """
import gc
import sys
from scripts.models.backends.transformers import import_libraries
collections = []
gc.callbacks.append(lambda phase, info: collections.append(phase))
import_libraries()
assert not collections, len(collections)
assert gc.isenabled() and "torch" in sys.modules and "transformers.modeling_utils" in sys.modules
gc.disable()
import_libraries()
assert not gc.isenabled()
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
