"""A wrong configuration stops before any work, and says what is right."""

import copy
import re
from pathlib import Path

import config_readme
import pytest
import yaml
from snakemake.utils import update_config

from scripts.config import ConfigError, checked

ROOT = Path(__file__).parent.parent


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))


def problems(config) -> str:
    with pytest.raises(ConfigError) as caught:
        checked(copy.deepcopy(config))
    return str(caught.value)


def test_the_configurations_that_we_ship_are_valid(config):
    checked(config)
    demo = yaml.safe_load((ROOT / "config/demo.yaml").read_text("utf-8"))
    update_config(config, demo)  # as Snakemake lays one file over another
    checked(config)


def test_defaults_are_filled_in(config):
    full = checked(config)
    assert full["datasets"]["flickr8k"]["order"] == ["github", "huggingface", "kaggle"]
    assert full["encode"]["batch_size"] == "auto"


@pytest.mark.parametrize(
    ("section", "key", "hint"),
    [
        (None, "promts", "did you mean 'prompts'?"),
        ("run", "modles", "did you mean 'models'?"),
        ("encode", "batchsize", "did you mean 'batch_size'?"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_valid_one(config, section, key, hint):
    checked(config)
    (config if section is None else config[section])[key] = 1
    message = problems(config)
    assert f"unknown key {key!r}" in message and hint in message


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("~/a/b", "/home/me/a/b"), ("~", "/home/me"), ("a/~b//c", "a/~b//c"), ("~no one", "~no one")],
)
def test_a_home_is_meant_by_a_tilde_in_location_and_path(config, typed, meant, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    config["datasets"]["mine"] = {"source": "folder", "location": typed}
    config["datasets"]["flickr8k"]["location"] = typed
    config["models"]["mine"] = {"source": "local", "path": typed}
    full = checked(config)
    found = [full["datasets"][name]["location"] for name in ("mine", "flickr8k")]
    assert [*found, full["models"]["mine"]["path"]] == [meant] * 3


def test_an_unknown_key_of_one_dataset_offers_the_keys_of_its_own_source(config):
    config["datasets"]["mine"] = {"source": "folder", "location": "x", "sise": 3}
    message = problems(config)
    assert "datasets.mine: unknown key 'sise'" in message
    assert "Valid: captions, columns, images, language, layout, location, separator, so" in message


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("dataset", "flickr8", "'flickr8k'"),
        ("models", ["clip-vit-b23"], "'clip-vit-b32'"),
        ("prompts", ["plane"], "'plain'"),
        ("scorers", ["cosin"], "'cosine'"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest_valid_one(config, key, value, hint):
    config["run"][key] = value
    assert f"did you mean {hint}?" in problems(config)


@pytest.mark.parametrize("template", ["a photo", "{} and {}", "{caption}", ""])
def test_a_prompt_needs_exactly_one_place_for_the_caption(config, template):
    config["prompts"]["plain"] = [template]
    assert "exactly one {}" in problems(config)


def test_other_braces_in_a_prompt_are_allowed(config):
    config["prompts"]["plain"] = ["{a} {}"]
    checked(config)


@pytest.mark.parametrize("name", ["A b", "tables", "../x", "-x", "é"])
def test_a_name_that_cannot_be_a_folder_is_refused(config, name):
    config["models"][name] = {"source": "local", "path": "x"}
    assert "models" in problems(config)


def test_all_problems_are_told_at_once(config):
    config["run"]["dataset"] = "x"
    config["run"]["models"] = ["y"]
    assert "2 problem(s)" in problems(config)


def test_a_model_without_the_hub_that_it_names_is_refused(config):
    config["models"]["x"] = {"source": ["modelscope"]}
    assert "'modelscope' is a required property" in problems(config)


def test_a_wrong_hub_is_told_with_the_nearest_valid_one(config):
    config["models"]["x"] = {"source": ["hugingface"]}
    assert "did you mean 'huggingface'?" in problems(config)


def test_a_model_is_trained_from_one_that_is_there_and_not_from_itself(config):
    config["models"]["tuned"] = {"source": "train", "dataset": "scenes", "base": "clip-vit-b23"}
    assert "did you mean 'clip-vit-b32'?" in problems(config)
    config["models"]["tuned"]["base"] = "clip-tiny"
    checked(copy.deepcopy(config))
    config["models"]["clip-tiny"]["base"] = "tuned"
    assert "models.tuned.base: 'clip-tiny' begins with tuned in turn" in problems(config)
    config["models"]["clip-tiny"]["base"] = "clip-tiny"
    assert "models.clip-tiny.base" in problems(config)


def test_features_from_elsewhere_need_a_path_of_each_side_and_known_prompts(config, monkeypatch):
    entry = {"source": "features", "texts": "~/t", "prompts": ["plain", "foto"]}
    config["models"]["api"] = entry
    config["models"]["tuned"] = {"source": "train", "dataset": "flickr8k", "base": "api"}
    told = problems(config)
    assert "models.api: features of images and texts; give a path for each" in told
    assert "models.api.prompts: 'foto'; did you mean 'photo'?" in told
    assert "models.tuned.base: 'api' is features and no model" in told
    del config["models"]["tuned"]
    config["models"]["api"] = {"source": "features", "texts": "~/t", "images": "~/i"}
    monkeypatch.setenv("HOME", "/home/me")
    found = checked(config)["models"]["api"]
    assert (found["texts"], found["images"], found["prompts"]) == (
        "/home/me/t", "/home/me/i", ["plain"],
    )  # fmt: skip
    config["models"]["api"]["splits"] = ["train"]
    assert "models.api.splits" in problems(config)


def test_a_model_of_two_towers_says_where_each_is(config, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    image, text = ({"source": "local", "path": f"~/{one}"} for one in ("image", "text"))
    config["models"]["apart"] = {"source": "towers", "image_tower": image}
    assert "models.apart: 'text_tower' is a required property" in problems(config)
    config["models"]["apart"]["text_tower"] = {"source": "towers"}
    assert "models.apart.text_tower.source: 'towers'" in problems(config)
    config["models"]["apart"]["text_tower"] = text | {"revison": "main"}
    assert "unknown key 'revison'" in problems(config)
    config["models"]["apart"]["text_tower"] = text
    found = checked(copy.deepcopy(config))["models"]["apart"]
    assert found["text_tower"]["path"] == "/home/me/text"
    config["models"]["tuned"] = {"source": "train", "dataset": "scenes", "base": "apart"}
    assert "models.tuned.base: 'apart', whose towers were published apart" in problems(config)


def test_a_fusion_needs_a_second_model_and_may_not_stand_first(config):
    config["run"]["scorers"] = ["cosine", "fusion"]
    config["scorers"]["fusion"]["with"] = "clip-vit-b61"
    assert "did you mean 'clip-vit-b16'?" in problems(config)
    config["scorers"]["fusion"]["with"] = "clip-vit-b16"
    checked(copy.deepcopy(config))
    config["run"]["scorers"] = ["fusion", "cosine"]
    assert "needs two models" in problems(config)


def test_a_reranker_needs_a_model_and_looks_at_no_fewer_items_than_lists_show(config):
    config["run"]["rerankers"] = ["bilp"]
    assert "'bilp' is not among the rerankers; did you mean 'blip'?" in problems(config)
    config["run"]["rerankers"] = ["blip"]
    config["rerankers"]["blip"] = {"model": "blip-imt", "depth": 5}
    message = problems(config)
    assert "rerankers.blip.model: 'blip-imt'; did you mean 'blip-itm'?" in message
    assert "rerankers.blip.depth: 5 is less than similarity.top_k, 10" in message
    for dual in ("clip-tiny", "from-elsewhere"):
        config["rerankers"]["blip"] = {"model": dual}
        assert f"{dual!r}, of the source" in problems(config)
    config["rerankers"]["blip"] = {"model": "blip-itm"}
    assert checked(config)["rerankers"]["blip"]["depth"] == 128
    config["rerankers"]["b" * 50] = {"model": "blip-itm"}
    config["run"]["rerankers"] = ["b" * 50]
    assert "a name of more than 60 letters" in problems(config)
    # it would be one of the names that a sum is told by
    config["rerankers"]["first"] = {"model": "blip-itm"}
    assert "rerankers" in problems(config)


def test_a_scorer_and_a_study_offer_the_keys_of_their_own_kind(config):
    config["scorers"]["nnn"]["neighbors"] = [3]
    message = problems(config)
    assert "unknown key 'neighbors'; did you mean 'neighbours'?" in message
    del config["scorers"]["nnn"]["neighbors"]
    config["studies"]["gallery"]["size"] = [3]
    message = problems(config)
    assert "studies.gallery: unknown key 'size'; did you mean 'sizes'?" in message


def test_an_index_is_told_by_name_kind_and_key_and_the_study_needs_one(config):
    config["run"]["indexes"] = ["hnws"]
    assert "'hnws' is not among the indexes; did you mean 'hnsw'?" in problems(config)
    config["run"]["indexes"] = ["hnsw"]
    config["indexes"]["hnsw"]["ef_serach"] = 8
    assert "unknown key 'ef_serach'; did you mean 'ef_search'?" in problems(config)
    config["indexes"]["hnsw"] = {"kind": "hnws"}
    assert "did you mean 'hnsw'?" in problems(config)
    config["indexes"]["hnsw"] = {"kind": "hnsw"}
    assert checked(copy.deepcopy(config))["indexes"]["hnsw"]["ef_search"] == 64
    config["indexes"]["exact"] = {"kind": "flat"}
    assert "'exact'" in problems(config)
    del config["indexes"]["exact"]
    config["run"]["indexes"] = []
    assert "leave indexes out of run.studies" in problems(config)
    config["run"]["studies"].remove("indexes")
    checked(config)


def test_a_study_of_ones_own_may_have_any_settings_and_must_be_there(config):
    config["studies"]["mine"] = {"title": {"en": "Mine"}, "anything": 3}
    config["run"]["studies"] = ["mine"]
    assert checked(copy.deepcopy(config))["studies"]["mine"]["figure"]["form"] == "points"
    config["run"]["studies"] = ["galery"]
    assert "did you mean 'gallery'?" in problems(config)


def test_the_prompt_that_people_are_compared_under_must_be_there(config):
    config["run"]["studies"] = ["judgments"]
    config["studies"]["judgments"]["prompt"] = "depict"
    assert "did you mean 'depicts'?" in problems(config)


SCHEMA = yaml.safe_load((ROOT / "config/schema.yaml").read_text("utf-8"))


def test_the_readers_guide_is_what_the_schema_makes():
    there = (ROOT / "config/README.md").read_text("utf-8")
    made = config_readme.readme(SCHEMA)
    assert there == made, "make config/README.md anew: python tests/config_readme.py"


def properties(schema):
    """Every key of the schema, with what is said of it."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for key in ("then", "items", "additionalProperties"):
            yield from properties(schema.get(key))
        for sub in (*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()):
            yield from properties(sub)


def test_no_key_is_left_out_of_the_readers_guide():
    guide = config_readme.readme(SCHEMA)
    keys = [key for key, _ in properties(SCHEMA) if key != "source"]
    assert len(keys) > 100
    assert [key for key in keys if not re.search(rf"`([\w.]*\.)?{re.escape(key)}`", guide)] == []


def test_no_comma_ends_what_is_said_of_a_key():
    # in {one: line} it does, without quotes, and what follows is a key without a value
    for key, sub in properties(SCHEMA):
        assert None not in [value for name, value in sub.items() if name != "default"], key


def test_the_guide_tells_a_key_that_is_new_where_it_belongs():
    schema = copy.deepcopy(SCHEMA)
    new = {"type": "integer", "default": 12345, "description": "What\nis new.\n\nAnd more."}
    schema["properties"]["split"]["properties"]["new"] = new
    schema["$defs"]["scorer_nnn"]["properties"]["new"] = new
    schema["$defs"]["dataset_folder"]["properties"]["new"] = new
    guide = config_readme.readme(schema)
    assert "| `split.new` | What is new. | 12,345 |\n" in guide
    assert "| `new` | What is new. | 12,345 |\n" in guide.split("**`source: folder`**")[1]
    (nnn,) = [line for line in guide.splitlines() if line.startswith("| `nnn` |")]
    assert nnn.endswith(" `new`: What is new (12,345). |")


def test_what_is_wrong_is_told_with_the_first_paragraph_of_what_is_said_of_a_key(config):
    config["datasets"] = []
    message = problems(config)
    assert "`source` says what kind it is.)" in message and "stops the run" not in message


def objects(schema, path="schema"):
    if isinstance(schema, dict):
        if "properties" in schema and not path.endswith((".if", ".allOf")):
            yield path, schema
        for key, sub in schema.items():
            for part in sub if isinstance(sub, list) else [sub]:
                yield from objects(part, f"{path}.{key}")


@pytest.mark.parametrize(
    ("path", "schema"), [(p, s) for p, s in objects(SCHEMA)], ids=[p for p, _ in objects(SCHEMA)]
)
def test_no_object_of_the_schema_lets_unknown_keys_pass(path, schema):
    variants = ("dataset", "model", "tower", "scorer", "index")
    if path in {f"schema.$defs.{name}" for name in variants}:
        assert all("then" in variant for variant in schema["allOf"])  # each variant closes itself
    elif path.startswith("schema.$defs.study_"):
        assert schema["unevaluatedProperties"] is False  # they have the keys of every study, too
    elif path == "schema.$defs.study":
        assert "additionalProperties" not in schema  # a study of one's own has keys of its own
    elif path == "schema.properties.studies":
        assert schema["additionalProperties"] == {"$ref": "#/$defs/study"}
    else:
        assert schema.get("additionalProperties") is False
