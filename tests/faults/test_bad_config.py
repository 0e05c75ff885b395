"""Configurations of every bad kind stop before any work, each with its key and what is right."""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import warm_python
import yaml
from bad_input import Case, ids, within_limits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from patience import LONG
from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from scripts.config import ConfigError, checked

ROOT = Path(__file__).resolve().parent.parent.parent
SHIPPED = ROOT / "config/config.yaml"

CASES = [
    Case("no run", "run: null", "run: None is not of type 'object'"),
    Case("a run that is a name", "run: flickr8k", "run: 'flickr8k' is not of type 'object'"),
    Case("a run that is a list", "run: [flickr8k]", "is not of type 'object'"),
    Case("no models", "run: {models: []}", "run.models"),
    Case("a model twice", "run: {models: [clip-vit-b32, clip-vit-b32]}", "run.models"),
    Case("a name for a list", "run: {models: clip-vit-b32}", "is not of type 'array'"),
    Case("a dictionary for a list", "run: {models: {clip-vit-b32: }}", "is not of type 'array'"),
    Case("a number for a name", "run: {dataset: 7}", "7 is not of type 'string'"),
    Case("yes for a name", "run: {prompts: [yes]}", "True is not of type 'string'"),
    Case("a date for a name", "run: {prompts: [2024-01-01]}", "is not of type 'string'"),
    Case("a name in capitals", "run: {dataset: FLICKR8K}", "'FLICKR8K' is not among the datasets"),
    Case("a name with space", "run: {prompts: ['plain ']}", "did you mean 'plain'"),
    Case("a study that is not there", "run: {studies: [gallary]}", "did you mean 'gallery'"),
    Case("other combinations", "run: {combinations: stars}", "did you mean 'star'"),
    Case("a key of two letters swapped", "rnu: {}", "did you mean 'run'"),
    Case("a key that is a number", "7: 7", "unknown key 7"),
    Case("a key that is nothing", "~: 7", "unknown key None"),
    Case("a key that is a list", "? [a, b]\n: 7", "valid JSON or YAML|unknown key"),
    Case(
        "a key twice", "run: {dataset: mine}\nrun: {models: [clip-tiny]}", "line 2: the key 'run'"
    ),
    Case("a key twice, further in", "prompts:\n  a: ['{}']\n  a: ['x {}']", "line 3: the key 'a'"),
    Case("a prompt called no", "prompts: {no: ['{}']}", "False is not of type 'string'"),
    Case("a prompt called by a number", "prompts: {1: ['{}']}", "1 is not of type 'string'"),
    Case("a prompt without quotes", "prompts: {a: [{}]}", "{} is not of type 'string'"),
    Case("a prompt that is one text", "prompts: {a: 'a {}'}", "is not of type 'array'"),
    Case("a prompt of no template", "prompts: {a: []}", "prompts.a"),
    Case("a prompt that is nothing", "prompts: {a: }", "prompts.a: None is not of type 'array'"),
    Case("a template twice", "prompts: {a: ['{}', '{}']}", "prompts.a"),
    Case("a template without a place", "prompts: {a: ['a photo']}", "exactly one {}"),
    Case("a template of two places", "prompts: {a: ['{} {}']}", "exactly one {}"),
    Case("a template with a name", "prompts: {a: ['{caption}']}", "exactly one {}"),
    Case("a template with a space in it", "prompts: {a: ['{ }']}", "exactly one {}"),
    Case("a template of a megabyte", f"prompts: {{a: ['{'x' * 10**6}']}}", "exactly one {}"),
    Case("a template with half of a character", 'prompts: {a: ["\\uD83D {}"]}', "half of a char"),
    Case("a template that ends C strings", 'prompts: {a: ["\\0 {}"]}', "a control character"),
    Case("a template that drives a terminal", 'prompts: {a: ["\\e[2J {}"]}', "a control character"),
    Case("a name that ends in a line's end", 'prompts: {"a\\n": ["{}"]}', "does not match"),
    Case("a name of 61 letters", f"prompts: {{{'ab' * 30}c: ['{{}}']}}", "is too long"),
    Case("a name of 1,000 letters", f"prompts: {{{'ab' * 500}: ['{{}}']}}", "prompts: 'abab"),
    Case("a name that leads out", "models: {../x: {source: local, path: x}}", "does not match"),
    Case("a name from the root", "datasets: {/x: {source: folder, location: x}}", "does not match"),
    Case("a name of a folder of ours", "scorers: {figures: {kind: cosine}}", "should not be valid"),
    Case(
        "a dataset where models are",
        "datasets: {models: {source: folder, location: x}}",
        "'models'",
    ),
    Case("a name with a wildcard", "prompts: {'{dataset}': ['{}']}", "does not match"),
    Case("a name in Chinese", "prompts: {提示: ['{}']}", "does not match"),
    Case("no number", "prepare: {max_lost: .nan}", "nan is no finite number"),
    Case("a number without end", "prepare: {max_lost: .inf}", "inf is no finite number"),
    Case("a percentage", "prepare: {max_lost: 5%}", "'5%' is not of type 'number'"),
    Case("5 for 5%", "prepare: {max_lost: 5}", "5 is greater than the maximum"),
    Case("no pixels", "prepare: {max_pixels: 0}", "0 is less than the minimum"),
    Case("a number in text", "prepare: {max_pixels: '1000'}", "is not of type 'integer'"),
    Case("a number of 4,000 digits", f"prepare: {{max_pixels: {'9' * 4000}}}", "more than 63 bits"),
    Case("a number of 100 bits", f"encode: {{batch_size: {2**100}}}", "more than 63 bits"),
    Case("half an image", "encode: {batch_size: 0.5}", "0.5 is not of type 'integer'"),
    Case("yes for a number", "encode: {batch_size: yes}", "True is not of type 'integer'"),
    Case("no image at once", "encode: {batch_size: 0}", "less than the minimum"),
    Case("a device that is none", "encode: {device: gpu}", "does not match"),
    Case("a device with a line's end", 'encode: {device: "cpu\\n"}', "does not match"),
    Case("a precision that is none", "encode: {precision: int8}", "'int8'"),
    Case("a seed below none", "figures: {gallery: {seed: -1}}", "less than the minimum"),
    Case("a seed of 40 bits", f"statistics: {{seed: {2**40}}}", "greater than the maximum"),
    Case("too few resamples", "statistics: {resamples: 1}", "less than the minimum"),
    Case("shares beyond one", "split: {shares: {train: 0.8, val: 0.2, test: 0.1}}", "together 1.1"),
    Case("shares that are no numbers", "split: {shares: {train: .nan, val: 0, test: 0}}", "nan is"),
    Case("a share below none", "split: {shares: {train: 1.2, val: -0.1, test: -0.1}}", "maximum"),
    Case("two shares", "split: {shares: {dev: 0.5, test: 0.5}}", "unknown key 'dev'"),
    Case("a palette of names", "figures: {recall: {palette: [red]}}", "'red' does not match"),
    Case(
        "a palette with a line's end", 'figures: {recall: {palette: ["#aabbcc\\n"]}}', "not match"
    ),
    Case("a million dots an inch", "figures: {recall: {dpi: 1000000}}", "greater than the maximum"),
    Case("a source that is none", "datasets: {mine: {source: coco}}", "'coco'"),
    Case("a location that is empty", "datasets: {mine: {location: ''}}", "datasets.mine.location"),
    Case("Flickr8k at no place", "datasets: {flickr8k: {location: ''}}", "flickr8k.location"),
    Case(
        "a location that is a list", "datasets: {mine: {location: [a]}}", "is not of type 'string'"
    ),
    Case(
        "a location that ends C strings", 'datasets: {mine: {location: "a\\0b"}}', "a control cha"
    ),
    Case("no location", "datasets: {other: {source: folder}}", "'location' is a required"),
    Case("no image to draw", "datasets: {scenes: {images: {train: 0}}}", "datasets.scenes.images"),
    Case(
        "a checksum that is none", "datasets: {flickr8k: {github: {md5: {a.zip: x}}}}", "not match"
    ),
    Case(
        "an archive that leads out",
        "datasets: {flickr8k: {github: {md5: {../../a.zip: " + "0" * 32 + "}}}}",
        "'../../a.zip' does not match",
    ),
    Case("a model of no source", "models: {x: {}}", "'source' is a required property"),
    Case("a hub that is none", "models: {x: {source: [hugingface]}}", "did you mean 'huggingface'"),
    Case("a hub twice", "models: {x: {source: [modelscope, modelscope]}}", "models.x.source"),
    Case("no repository", "models: {x: {source: [huggingface]}}", "'huggingface' is a required"),
    Case(
        "a repository that leads out",
        "models: {x: {source: [huggingface], huggingface: {repo: ../../x, revision: main}}}",
        "models.x.huggingface.repo",
    ),
    Case("a path that is empty", "models: {x: {source: local, path: ''}}", "models.x.path"),
    Case(
        "a model that begins with itself",
        "models: {x: {source: train, dataset: mine, base: x}}",
        "models.x.base",
    ),
    Case(
        "models that begin with each other",
        "models: {x: {source: train, dataset: mine, base: y}, "
        "y: {source: train, dataset: mine, base: x}}",
        "begins with",
    ),
    Case(
        "a rate without end",
        "models: {x: {source: train, dataset: mine, learning_rate: .inf}}",
        "inf is no finite number",
    ),
    Case("a scorer that is none", "scorers: {x: {kind: cosin}}", "did you mean 'cosine'"),
    Case("a fusion of one", "scorers: {x: {kind: fusion}}", "'with' is a required property"),
    Case(
        "a fusion with a stranger",
        "scorers: {x: {kind: fusion, with: y}}\nrun: {scorers: [cosine, x]}",
        "scorers.x.with: 'y'",
    ),
    Case("no choice", "scorers: {x: {kind: centring, shares: []}}", "scorers.x.shares"),
    Case(
        "a choice that is no number", "scorers: {x: {kind: centring, shares: [.nan]}}", "nan is no"
    ),
    Case("no word", "lexicon: {colours: {red: []}}", "lexicon.colours.red"),
    Case("an empty word", "lexicon: {colours: {red: ['']}}", "lexicon.colours.red"),
    Case("a settings key too many", "studies: {gallery: {size: [1]}}", "did you mean 'sizes'"),
    Case("a list", "- run", "keys at top level"),
    Case("a text", "run", "keys at top level"),
    Case("nothing", "", "keys at top level"),
    Case("a comment alone", "# nothing yet", "keys at top level"),
    Case("a bracket that is not closed", "run: {dataset: mine", "not valid JSON or YAML"),
    Case("a tab", "run:\n\tdataset: mine", "not valid JSON or YAML"),
    Case("a reference to nothing", "run: *nowhere", "not valid JSON or YAML"),
    Case("an object of Python", "run: !!python/object/apply:os.system ['true']", "not valid JSON"),
    Case("two documents", "run: {}\n---\nrun: {}", "not valid JSON or YAML"),
]


@cache
def shipped() -> dict:
    return load_configfile(str(SHIPPED))


def told_of(text: str, file: Path) -> str:
    """What is told of a file that is laid over the default one, in the way of Snakemake."""
    file.write_text(text, "utf-8", "surrogatepass")
    with within_limits():
        try:
            config = copy.deepcopy(shipped())
            update_config(config, load_configfile(str(file)))
            checked(config, [file])
        except (ConfigError, WorkflowError) as error:
            told = str(error)
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", told), told
            assert len(told) < 2000 and "Traceback" not in told, told
            return told
    return ""


@ids(CASES)
def test_a_wrong_configuration_is_told_with_its_key(case, tmp_path):
    told = told_of(case.make, tmp_path / "my.yaml")
    assert re.search(case.told, told) and told, told


RIGHT = [
    Case("braces beside the place", "prompts: {a: ['{a} {} {0}']}"),
    Case("a template in Chinese", "prompts: {a: ['一张{}的照片']}"),
    Case("a template over two lines", 'prompts: {a: ["x\\n{}"]}'),
    Case("a name of 60 letters", f"prompts: {{{'ab' * 30}: ['{{}}']}}"),
    Case("a location with braces", "datasets: {mine: {location: 'my {photos}'}}"),
    Case("a byte order mark", "\ufeffprompts: {a: ['{}']}"),
    Case("JSON", '{"prompts": {"a": ["{}"]}}'),
    Case(
        "shares that are together nearly one", "split: {shares: {train: 0.7, val: 0.2, test: 0.1}}"
    ),
    Case("an alias", "prompts: {a: &a ['{}'], b: *a}"),
]


@ids(RIGHT)
def test_an_odd_configuration_that_is_right_is_taken(case, tmp_path):
    assert told_of(case.make, tmp_path / "my.yaml") == ""


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["{}", "plain", "cosine", "mine", "train"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
PATHS = st.sampled_from(
    [
        ("run",),
        ("run", "dataset"),
        ("run", "models"),
        ("run", "studies"),
        ("datasets",),
        ("prompts",),
        ("datasets", "mine"),
        ("datasets", "mine", "location"),
        ("datasets", "scenes", "images"),
        ("models",),
        ("models", "clip-tiny"),
        ("models", "clip-tiny", "base"),
        ("models", "x", "source"),
        ("prompts", "plain"),
        ("scorers", "x"),
        ("scorers", "x", "kind"),
        ("studies", "gallery"),
        ("studies", "judgments", "prompt"),
        ("lexicon",),
        ("lexicon", "colours", "red"),
        ("split",),
        ("split", "shares"),
        ("split", "shares", "val"),
        ("figures", "recall", "palette"),
        ("encode",),
    ]
)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(path=PATHS, value=VALUES)
def test_any_value_at_any_key_is_taken_or_told(path, value, tmp_path):
    for key in reversed(path):
        value = {key: value}
    told_of(yaml.safe_dump(value, allow_unicode=False), tmp_path / "my.yaml")


# ---- the same, as a user meets it ----


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config") / "clone"
    for part in ("rules", "scripts", "config", "envs", "profiles"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)
    photos = folder / "my {photos}"
    (photos / "images").mkdir(parents=True)
    (photos / "captions.json").write_text("[]")
    (photos / os.fsdecode(b"caf\xe9.txt")).write_text("no name that is text")
    return folder


def planned(clone: Path, text: str) -> subprocess.CompletedProcess[str]:
    (clone / "my.yaml").write_text(text, "utf-8")
    return subprocess.run(
        [warm_python.python(), "-m", "snakemake", "-n", "--quiet", "rules",
         "--configfile", "my.yaml", "--", "prepare"],
        cwd=clone, capture_output=True, text=True, timeout=LONG,
        env=os.environ | {"PYTHONPATH": ""},
    )  # fmt: skip


SAMPLE = ["no run", "a key twice", "a template with half of a character", "no number",
          "a name of 1,000 letters", "a location that ends C strings", "a list"]  # fmt: skip


@pytest.mark.parametrize("name", SAMPLE)
def test_snakemake_itself_ends_in_the_message_and_status_one(clone, name):
    case = next(case for case in CASES if case.name == name)
    done = planned(clone, case.make)
    told = done.stdout + done.stderr
    assert done.returncode == 1 and re.search(case.told, told), told
    assert "Traceback" not in told, told


@pytest.mark.parametrize("location", ["my {photos}", "not there", "x" * 5000])
def test_a_location_of_any_name_is_planned_and_left_for_the_job_to_tell(clone, location):
    done = planned(clone, f"run: {{dataset: mine}}\ndatasets: {{mine: {{location: '{location}'}}}}")
    assert done.returncode == 0, done.stdout + done.stderr
