"""`./run evaluate`: what it takes a folder for, and the configuration that it makes."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
import yaml
from PIL import Image

from scripts import command
from scripts.config import ConfigError, checked, name_of, over_defaults
from scripts.job import BadInput
from scripts.own.__main__ import arguments, configured, main
from scripts.own.look import look


def picture() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG")
    return stream.getvalue()


def photos(folder: Path, count: int = 4, captions: object = None) -> Path:
    (folder / "images").mkdir(parents=True)
    for number in range(count):
        (folder / "images" / f"{number}.jpg").write_bytes(picture())
    records = [{"image": f"{n}.jpg", "captions": ["a", "b"]} for n in range(count)]
    (folder / "captions.json").write_text(json.dumps(captions or records), "utf-8")
    return folder


def run_of(tmp_path: Path, *words: str, stands: Path | None = None) -> tuple[dict, list[str]]:
    """The configuration that was written for these words, laid over the default, and the files."""
    checkout = tmp_path / "checkout"
    checkout.mkdir(exist_ok=True)
    files = configured(arguments(list(words)), stands or tmp_path, checkout)
    laid: dict = {}
    for file in files:
        for key, value in yaml.safe_load((checkout / file).read_text("utf-8")).items():
            laid[key] = laid.get(key, {}) | value if isinstance(value, dict) else value
    return laid, files


def test_a_folder_is_told_in_one_line(tmp_path, capsys):
    photos(tmp_path / "coco-test")
    run_of(tmp_path, "coco-test")
    said = capsys.readouterr().err
    assert "coco-test: captions in JSON, 4 images, 8 captions, no splits\n" in said


def test_splits_and_what_is_lost_are_told_in_it(tmp_path):
    records = [{"image": f"{n}.jpg", "captions": ["a"]} for n in range(9)]
    folder = photos(tmp_path / "p", 4, records)
    splits = {"test": ["0.jpg", "1.jpg"], "val": ["2.jpg"]}
    (folder / "splits.json").write_text(json.dumps(splits))
    seen = look({"source": "folder", "location": str(folder)})
    assert seen.splits == {"val": 1, "test": 2}
    assert str(seen) == (
        "captions in JSON, 3 images, 3 captions, 5 of either without the other, "
        "splits val/test (1 in none)"
    )


def test_without_splits_all_images_are_test_and_the_first_model_and_prompt_are_taken(tmp_path):
    photos(tmp_path / "p", 5)
    made, files = run_of(tmp_path, "p")
    assert made["run"] == {"dataset": "p", "models": ["clip-vit-b32"], "prompts": ["plain"]}
    entry = {"source": "folder", "location": str(tmp_path / "p"), "splits": {"test": 5}}
    assert made["datasets"] == {"p": entry}
    assert files == [str(tmp_path / "checkout/results/p.yaml")]
    assert made["encode"] == {"precision": "float32"}
    checked(over_defaults(made))


def test_a_path_is_one_from_where_one_stands_with_a_home_blanks_and_chinese(tmp_path, monkeypatch):
    folder = photos(tmp_path / "home" / "我的 photos")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    by_home, _ = run_of(tmp_path, "~/我的 photos")
    by_place, _ = run_of(tmp_path, "../home/./我的 photos/", stands=tmp_path / "elsewhere")
    assert by_home == by_place
    (name,) = by_home["datasets"]
    assert by_home["datasets"][name]["location"] == str(folder)
    assert name.startswith("photos-")
    checked(over_defaults(by_home))


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("holidays", "holidays"), ("Holidays_2024 ", "holidays-2024"), ("图片", "photos-"),
        ("coco", "coco-"), ("tables", "tables-"), ("x" * 90, "x" * 53 + "-"),
    ],
)  # fmt: skip
def test_a_dataset_is_named_after_its_folder_and_after_no_other(name, called):
    taken = {"coco", "tables"}.__contains__
    found = name_of(name, f"/a/{name}", taken)
    assert found.startswith(called) and (found == called) == (not called.endswith("-"))
    assert found == name_of(name, f"/a/{name}", taken)
    if found != called:
        assert found != name_of(name, f"/b/{name}", taken)
    names = {"run": {"dataset": found}, "datasets": {found: {"source": "folder", "location": "x"}}}
    checked(over_defaults(names))


def test_models_are_names_folders_or_repositories(tmp_path):
    photos(tmp_path / "p")
    (tmp_path / "My model").mkdir()
    asked = ("clip-vit-b16", "My model", "hf:me/my_model", "hf:they/clip@1a2b")
    made, _ = run_of(tmp_path, "p", "--model", *asked, "--prompt", "photo")
    first, second, third, fourth = made["run"]["models"]
    assert (first, second, fourth) == ("clip-vit-b16", "my-model", "clip")
    assert third.startswith("my-model-")  # another one
    hub = {
        name: {"source": ["huggingface"], "huggingface": {"repo": repo, "revision": revision}}
        for name, repo, revision in ((third, "me/my_model", "main"), (fourth, "they/clip", "1a2b"))
    }
    own = {second: {"source": "local", "path": str(tmp_path / "My model")}}
    assert made["models"] == own | hub
    assert made["run"]["prompts"] == ["photo"]


def test_a_model_beside_those_of_ones_own_file_is_one_of_them_or_another(tmp_path):
    folder = photos(tmp_path / "p")
    own = {
        "run": {"dataset": "mine", "models": ["clip"]},
        "datasets": {"mine": {"source": "folder", "location": str(folder)}},
        "models": {"clip": {"source": "local", "path": "somewhere"}},
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own), "utf-8")
    made, _ = run_of(tmp_path, "own.yaml", "--model", "clip", "hf:me/clip")
    first, second = made["run"]["models"]
    assert first == "clip" and second.startswith("clip-") and {*made["models"]} == {first, second}
    assert checked(over_defaults(made))["models"]["clip"]["path"] == "somewhere"
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own | {"models": ["clip"]}), "utf-8")
    with pytest.raises(ConfigError, match="not of type 'object'"):
        run_of(tmp_path, "own.yaml")


def test_a_list_of_captions_may_lie_in_the_folder_or_elsewhere(tmp_path):
    folder = photos(tmp_path / "p")
    (folder / "other.csv").write_text("image,caption\n0.jpg,of another kind\n", "utf-8")
    made, _ = run_of(tmp_path, "p", "--captions", "p/other.csv")
    assert made["datasets"]["p"]["captions"] == "other.csv"
    (folder / "other.csv").rename(tmp_path / "mine.csv")
    made, _ = run_of(tmp_path, "p", "--captions", "mine.csv")
    entry = made["datasets"]["p"]
    assert entry["captions"] == "mine.csv" and entry["splits"] == {"test": 1}
    assert look(entry).captions == 1
    # again, after the list has moved
    (tmp_path / "mine.csv").rename(tmp_path / "yours.csv")
    made, _ = run_of(tmp_path, "p", "--captions", "yours.csv")
    assert look(made["datasets"]["p"]).captions == 1


def test_a_file_may_be_named_a_list_of_captions_or_an_archive(tmp_path):
    folder = photos(tmp_path / "p")
    made, _ = run_of(tmp_path, "p/captions.json")
    (entry,) = made["datasets"].values()
    assert entry["location"] == str(folder) and entry["captions"] == "captions.json"
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        tar.add(folder, "photos")
    made, _ = run_of(tmp_path, "photos.tar")
    (entry,) = made["datasets"].values()
    assert entry["splits"] == {"test": 4}


def test_a_configuration_of_ones_own_is_completed_by_what_its_folder_shows(tmp_path):
    folder = photos(tmp_path / "p")
    own = {
        "run": {"dataset": "p"},
        "datasets": {"p": {"source": "folder", "location": str(folder)}},
    }
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(own))
    files = run_of(tmp_path, "my.yaml", "--prompt", "photo")[1]
    assert files == [str(tmp_path / "my.yaml"), str(tmp_path / "checkout/results/p.yaml")]
    assert yaml.safe_load((tmp_path / "checkout" / "results" / "p.yaml").read_text()) == {
        "run": {"prompts": ["photo"]},
        "datasets": {"p": {"splits": {"test": 4}}},
        "encode": {"precision": "float32"},
    }
    # what learns by name needs a split, which is drawn
    own |= {"encode": {"precision": "auto"}}
    own["run"]["scorers"] = ["cosine", "nnn"]
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(own))
    assert run_of(tmp_path, "my.yaml")[1] == [str(tmp_path / "my.yaml")]


def test_each_of_several_datasets_is_completed_by_what_its_folder_shows(tmp_path):
    entries = {
        name: {"source": "folder", "location": str(photos(tmp_path / name))} for name in ("p", "q")
    }
    own = {"run": {"dataset": ["p", "q"]}, "datasets": entries}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(own))
    made = tmp_path / "checkout/results/p+q.yaml"
    assert run_of(tmp_path, "my.yaml")[1] == [str(tmp_path / "my.yaml"), str(made)]
    splits = {"splits": {"test": 4}}
    assert yaml.safe_load(made.read_text())["datasets"] == {"p": splits, "q": splits}


def test_another_folder_of_the_same_name_has_a_name_and_results_of_its_own(tmp_path):
    folders = [photos(tmp_path / one / "My photos") for one in ("a", "b")]
    names = []
    for folder in (*folders, folders[0]):
        made, _ = run_of(tmp_path, str(folder))
        ((name, entry),) = made["datasets"].items()
        names.append(name)
        # as a run leaves it
        source = tmp_path / "checkout/data" / name / "raw/source.json"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(json.dumps({"root": entry["location"], "options": {}}))
    assert names[0] == names[2] == "my-photos" and names[1].startswith("my-photos-")
    # a list of captions that is said makes another dataset of it
    made, _ = run_of(tmp_path, str(folders[0] / "captions.json"))
    assert [*made["datasets"]] != ["my-photos"]
    # what was there has moved
    folders[0].rename(tmp_path / "c")
    assert [*run_of(tmp_path, str(tmp_path / "b/My photos"))[0]["datasets"]] == ["my-photos"]


def test_archives_of_one_name_are_told_apart_by_where_they_are(tmp_path):
    names = []
    for one in ("a", "b"):
        folder = photos(tmp_path / one / "p")
        with tarfile.open(tmp_path / one / "photos.tar.gz", "w:gz") as tar:
            tar.add(folder, "photos")
        made, _ = run_of(tmp_path, f"{one}/photos.tar.gz")
        ((name, entry),) = made["datasets"].items()
        names.append(name)
        source = tmp_path / "checkout/data" / name / "raw/source.json"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(json.dumps({"root": entry["location"], "options": {}}))
    assert names[0] == "photos" and names[1].startswith("photos-")


def test_of_a_configuration_without_run_its_one_dataset_is_meant(tmp_path):
    photos(tmp_path / "checkout" / "p")
    entries = {"mine": {"source": "folder", "location": "p"}}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({"datasets": entries}))
    made, _ = run_of(tmp_path, "my.yaml")
    assert made["run"] == {"dataset": "mine"}
    assert made["datasets"]["mine"]["splits"] == {"test": 4}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({"datasets": entries | {"b": {}}}))
    with pytest.raises(BadInput, match="the datasets b, mine"):
        run_of(tmp_path, "my.yaml")


def test_numbers_of_splits_that_a_configuration_tells_must_be_so(tmp_path):
    folder = photos(tmp_path / "p")
    entry = {"source": "folder", "location": str(folder), "splits": {"test": 40}}
    own = {"run": {"dataset": "p"}, "datasets": {"p": entry}}
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(own))
    with pytest.raises(BadInput, match="40 in test"):
        run_of(tmp_path, "my.yaml")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere\n  found:    nothing there"),
        (["empty"], "an empty folder"),
        (["p", "--model", "clip-b32"], "--model clip-b32\n  found:    neither a model"),
        (["p", "--captions", "none.csv"], "none.csv\n  found:    nothing there"),
        (["p", "--captions", "empty"], "empty\n  found:    a folder"),
        (["p/captions.json", "--captions", "p/captions.json"], "found:    a list of captions"),
        (["p/images/0.jpg"], "0.jpg\n  found:    a picture"),
        (["bad.yaml"], "a list\n"),
        (["p", "--prompt", "foto"], "run: 'foto' is not among the prompts"),
    ],
)
def test_what_cannot_be_taken_is_told_with_what_to_do(tmp_path, monkeypatch, words, told):
    photos(tmp_path / "p")
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.yaml").write_text("- x")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(str(tmp_path), *words)
    assert str(ended.value.code).startswith("ERROR in ") and told in str(ended.value.code)


def test_snakemake_is_asked_for_all_cores_with_the_options_behind_two_hyphens(
    tmp_path, monkeypatch
):
    photos(tmp_path / "p")
    monkeypatch.chdir(tmp_path)
    asked: list[str] = []
    monkeypatch.setattr(command, "main", lambda *words: asked.extend(words))
    main(str(tmp_path), "p", "--dry-run", "--", "--verbose", "figures")
    configs = ["--configfile", str(tmp_path / "results/p.yaml")]
    dry = ["--dry-run", "--quiet", "rules"]
    assert asked == [str(tmp_path), "--cores", "all", *dry, "--verbose", "figures", *configs]
    asked.clear()
    main(str(tmp_path), "p", "--", "--cores", "3")
    assert asked == [str(tmp_path), "--cores", "3", *configs]
    asked.clear()
    main(str(tmp_path), "p", "--", "--directory", "there")
    assert asked[-3:] == ["there", "--configfile", str(tmp_path / "there/results/p.yaml")]
