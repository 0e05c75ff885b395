"""Names of files alone, and what is made of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.job import BadInput
from scripts.models.listing import choose, named_by_config, weight_sets

SETTINGS = "config.json preprocessor_config.json tokenizer.json tokenizer_config.json"
PARTS = "model-00001-of-00002.safetensors model-00002-of-00002.safetensors"
SHARDED = f"{PARTS} model.safetensors.index.json"
LEFT_BEHIND = (
    "optimizer.pt scheduler.pt training_args.bin rng_state.pth rng_state_0.pth scaler.pt "
    "trainer_state.json optimizer.bin scheduler.bin random_states_0.pkl"
)
HERE, THERE = Path("/there"), "huggingface me/clip at main"


def names(text: str, settings: str = SETTINGS) -> list[str]:
    return f"{settings} {text}".split()


# what is taken, in a folder and in a repository
TAKEN = {
    "one file": ("model.safetensors", "model.safetensors"),
    "parts": (SHARDED, "model.safetensors.index.json"),
    "what a training run leaves": (f"model.safetensors {LEFT_BEHIND}", "model.safetensors"),
    "a root that sentence-transformers can read, too": (
        "model.safetensors modules.json config_sentence_transformers.json",
        "model.safetensors",
    ),
    "other exports in folders of their own": (
        "model.safetensors onnx/model.onnx openvino/openvino_model.bin",
        "model.safetensors",
    ),
    "hidden leftovers of a copy": (
        "model.safetensors .model.safetensors.Xy12",
        "model.safetensors",
    ),
}


@pytest.mark.parametrize("hub", [False, True], ids=["folder", "hub"])
@pytest.mark.parametrize("case", TAKEN)
def test_one_set_of_weights_is_taken_with_its_settings(case, hub):
    text, weights = TAKEN[case]
    choice = choose(names(text), THERE if hub else HERE, hub=hub)
    assert (choice.weights, choice.pickled, choice.beside) == (weights, False, [])
    parts = PARTS.split() if weights.endswith("index.json") else []
    assert sorted(choice.files) == sorted([*SETTINGS.split(), weights, *parts])


# several sets side by side, and whether it is a hub's custom
SIDE_BY_SIDE = {
    "a pickle": ("model.safetensors pytorch_model.bin", True),
    "pickled parts": (
        "model.safetensors pytorch_model-00001-of-00001.bin pytorch_model.bin.index.json",
        True,
    ),
    "halved": ("model.safetensors model.fp16.safetensors", True),
    "of TensorFlow": ("model.safetensors tf_model.h5", True),
    "of Flax": ("model.safetensors flax_model.msgpack", True),
    "the best": ("model.safetensors best.pt", True),
    "a checkpoint": ("model.safetensors epoch=3-step=900.ckpt", True),
    "of open_clip": ("model.safetensors open_clip_model.safetensors", True),
    "of ONNX": ("model.safetensors model.onnx", True),
    "parts and one file": (f"{SHARDED} model.safetensors", False),
    "one file and an index": ("model.safetensors model.safetensors.index.json", False),
}


@pytest.mark.parametrize("case", SIDE_BY_SIDE)
def test_of_several_sets_a_folder_takes_none_unless_one_is_named(case):
    text, _ = SIDE_BY_SIDE[case]
    with pytest.raises(BadInput, match=r"sets of weights: .*model\.safetensors") as raised:
        choose(names(text), HERE)
    assert re.search(r"weights: model\.safetensors", str(raised.value))
    choice = choose(names(text), HERE, weights="model.safetensors")
    assert choice.weights == "model.safetensors" and choice.beside
    assert [name for name in choice.files if name not in SETTINGS.split()] == ["model.safetensors"]


@pytest.mark.parametrize("case", SIDE_BY_SIDE)
def test_of_several_sets_a_hub_gives_safetensors_but_never_one_of_two(case):
    text, custom = SIDE_BY_SIDE[case]
    if custom:
        choice = choose(names(text), THERE, hub=True)
        assert choice.weights == "model.safetensors" and len(choice.beside) == 1
    else:
        with pytest.raises(BadInput, match="2 sets of weights"):
            choose(names(text), THERE, hub=True)


# what is no such model, and what it is called; "" after the names where there are no settings
REFUSED = {
    "nothing": ("", "", r"config\.json\s.*no such file"),
    "settings alone": ("", SETTINGS, "no weights"),
    "OpenAI's own file": ("ViT-B-32.pt", "", r"no such file; what is there: ViT-B-32\.pt"),
    "pickles alone": (
        "pytorch_model.bin",
        SETTINGS,
        r"only pickled weights \(pytorch_model\.bin\)\n.*pickled: convert",
    ),
    "pickles of open_clip's repository": (
        "pytorch_model.bin open_clip_model.safetensors",
        SETTINGS,
        r"for transformers; open_clip_model\.safetensors is of open_clip",
    ),
    "halved alone": (
        "model.fp16.safetensors",
        SETTINGS,
        r"\(model\.fp16\.safetensors\).*add to the entry: weights: model\.fp16\.safetensors",
    ),
    "parts without an index": (PARTS, SETTINGS, r"no model\.safetensors\.index\.json"),
    "open_clip, the weights alone": (
        "open_clip_model.safetensors tokenizer.json",
        "",
        r"half a model of open_clip \(open_clip_model\.safetensors alone\)",
    ),
    "open_clip, the config alone": (
        "open_clip_config.json",
        "",
        r"half a model of open_clip \(open_clip_config\.json alone\)",
    ),
    "open_clip, a pickle alone": (
        "open_clip_config.json open_clip_pytorch_model.bin",
        "",
        r"only pickled weights \(open_clip_pytorch_model\.bin\)\n.*pickled: convert",
    ),
    "open_clip in parts": (
        "open_clip_config.json open_clip_model-00001-of-00002.safetensors",
        "",
        r"parts of weights \(open_clip_model-00001",
    ),
    "sentence-transformers": (
        "modules.json config_sentence_transformers.json 0_CLIPModel/config.json",
        "",
        r"sentence-transformers.*0_CLIPModel",
    ),
    "a hub's cache": (
        "refs/ blobs/ snapshots/b33c/config.json",
        "",
        r"a hub's cache.*snapshots/b33c",
    ),
    "all of a hub's cache": (
        "models--me--clip/snapshots/b33c/config.json",
        "",
        r"a hub's cache.*models--me--clip/snapshots/b33c",
    ),
    "diffusers": ("model_index.json unet/config.json", "", "a pipeline of diffusers"),
    "ONNX alone": ("onnx/model.onnx", SETTINGS, "weights of ONNX alone"),
    "ONNX beside its settings": ("model.onnx", SETTINGS, r"weights of ONNX alone \(model\.onnx\)"),
    "GGUF": ("clip-f16.gguf", "", "weights of GGUF alone"),
    "GGML": ("ggml-model-f16.bin", SETTINGS, "weights of GGML alone"),
    "OpenVINO": ("openvino_model.bin openvino_model.xml", SETTINGS, "weights of OpenVINO alone"),
    "TensorFlow and Flax": ("tf_model.h5 flax_model.msgpack", SETTINGS, "weights of Flax, Tensor"),
    "one level too high": ("README.md clip/config.json", "", "no config.json, but one in clip"),
    "an adapter alone": (
        "adapter_config.json adapter_model.safetensors",
        "",
        r"an adapter alone.*merge_and_unload\(\)\.save_pretrained",
    ),
    "an adapter with the base's config": (
        "adapter_config.json adapter_model.bin",
        SETTINGS,
        "an adapter alone",
    ),
    "an adapter beside its base": (
        "model.safetensors adapter_config.json adapter_model.safetensors",
        SETTINGS,
        r"with an adapter beside it.*merge_and_unload\(\).*weights: model\.safetensors",
    ),
    "an adapter of diffusers beside its base": (
        "model.safetensors pytorch_lora_weights.safetensors",
        SETTINGS,
        "with an adapter beside it",
    ),
    "an adapter's config beside what may be merged": (
        "model.safetensors adapter_config.json",
        SETTINGS,
        "with an adapter beside it",
    ),
}


@pytest.mark.parametrize("hub", [False, True], ids=["folder", "hub"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_such_model_is_called_what_it_is(case, hub):
    text, settings, told = REFUSED[case]
    with pytest.raises(BadInput) as raised:
        choose(names(text, settings), THERE if hub else HERE, hub=hub)
    assert re.search(told, str(raised.value), re.DOTALL), raised.value


def test_a_folder_to_give_instead_is_told_with_its_path_and_a_hub_has_none():
    below = names("clip/config.json", "")
    with pytest.raises(BadInput, match="/there/clip"):
        choose(below, HERE)
    with pytest.raises(BadInput, match="clip, from your disk, with source: local"):
        choose(below, THERE, hub=True)


# what an entry names, and why it is not taken
NAMED = {
    "what is not there": ("best.safetensors", False, "best.safetensors, which is not there"),
    "a pickle": ("pytorch_model.bin", False, "only pickled weights"),
    "pickled parts": ("parts.bin.index.json", True, "pickled weights in parts"),
    "of TensorFlow": ("tf_model.h5", True, "weights of TensorFlow"),
    "of open_clip": (
        "open_clip_model.safetensors",
        True,
        r"half a model of open_clip \(open_clip_model\.safetensors alone\)",
    ),
    "an adapter": ("adapter_model.safetensors", True, "merge_and_unload"),
    "a part": ("model-00001-of-00002.safetensors", True, "parts of weights|not there"),
    "the other parts": ("model.fp16-00001-of-00002.safetensors", True, "parts of weights"),
}


@pytest.mark.parametrize("case", NAMED)
def test_what_an_entry_names_is_taken_only_where_it_can_be(case):
    weights, convert, told = NAMED[case]
    there = names(
        f"{SHARDED} pytorch_model.bin parts-00001-of-00001.bin parts.bin.index.json tf_model.h5 "
        "open_clip_model.safetensors adapter_model.safetensors "
        "model.fp16-00001-of-00002.safetensors model.fp16-00002-of-00002.safetensors"
    )
    with pytest.raises(BadInput, match=told):
        choose(there, HERE, weights, convert)
    choice = choose(there, HERE, "model.safetensors.index.json")
    assert set(choice.files) == {*SETTINGS.split(), *SHARDED.split()}
    assert choose(there, HERE, "pytorch_model.bin", convert=True).pickled


OPEN_CLIP = "open_clip_config.json open_clip_model.safetensors"
TOKENS = "tokenizer.json tokenizer_config.json"
# who is taken where open_clip's files stand beside others, unless an entry names the weights
BESIDE = {
    "open_clip's own": (TOKENS, "open_clip_model.safetensors"),
    "its pickle": (f"open_clip_pytorch_model.bin {TOKENS}", "open_clip_model.safetensors"),
    "transformers' layout": (f"model.safetensors {SETTINGS}", "model.safetensors"),
    "transformers' pickle": (f"pytorch_model.bin {SETTINGS}", "open_clip_model.safetensors"),
    "an image tower of timm": (
        f"config.json model.safetensors {TOKENS}",
        "open_clip_model.safetensors",
    ),
}


@pytest.mark.parametrize("case", BESIDE)
def test_of_two_layouts_a_hub_gives_that_of_transformers_where_it_is_whole(case):
    beside, taken = BESIDE[case]
    there = names(f"{OPEN_CLIP} {beside} README.md", "")
    choice = choose(there, THERE, hub=True)
    assert choice.weights == taken and not choice.pickled
    asked = choose(there, THERE, "open_clip_model.safetensors", hub=True)
    config = ["config.json"] if "config.json" in there else []
    assert sorted(asked.files) == sorted([*config, *OPEN_CLIP.split(), *TOKENS.split()])


def test_a_folder_with_two_layouts_says_which_is_meant():
    there = names(f"{OPEN_CLIP} model.safetensors")
    with pytest.raises(BadInput, match=r"2 sets of weights.*\s.*\s.*weights: model\.safetensors"):
        choose(there, HERE)
    assert "model.safetensors" not in choose(there, HERE, "open_clip_model.safetensors").files
    assert choose(names(OPEN_CLIP, TOKENS), HERE).weights == "open_clip_model.safetensors"


def test_a_pickle_of_open_clip_is_taken_where_it_may_be_converted():
    there = names("open_clip_config.json open_clip_pytorch_model.bin", TOKENS)
    for hub in (True, False):
        choice = choose(there, THERE if hub else HERE, convert=True, hub=hub)
        assert (choice.weights, choice.pickled) == ("open_clip_pytorch_model.bin", True)


def test_a_pickle_is_taken_where_it_may_be_converted_and_is_alone():
    choice = choose(names("pytorch_model.bin tf_model.h5"), THERE, convert=True, hub=True)
    assert (choice.weights, choice.pickled) == ("pytorch_model.bin", True)
    assert choose(names("pytorch_model.bin"), HERE, convert=True).pickled
    for hub in (True, False):
        with pytest.raises(BadInput, match="2 sets of weights"):
            choose(names("pytorch_model.bin best.pt"), HERE, convert=True, hub=hub)
    assert not choose(names("pytorch_model.bin model.safetensors"), THERE, None, True, True).pickled


def test_parts_of_one_set_go_together_and_those_of_another_do_not():
    sets = weight_sets(f"{SHARDED} tf_model-00001-of-00002.h5 tf_model-00002-of-00002.h5".split())
    assert sets == {
        "model.safetensors.index.json": PARTS.split(),
        "tf_model-00001-of-00002.h5": ["tf_model-00001-of-00002.h5", "tf_model-00002-of-00002.h5"],
    }


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"architecture": "vit_base_patch16_224", "pretrained_cfg": {}}, "timm"),
        ({"model_cfg": {"embed_dim": 512}}, "open_clip"),
        ({"_class_name": "UNet2DConditionModel"}, "diffusers"),
        ({"model_type": "clip", "pretrained_cfg": {}}, None),
        ({}, None),
        ([], None),
    ],
)
def test_a_config_without_a_model_type_tells_its_library(config, told):
    named = named_by_config(config)
    assert told in named if told else named is None
