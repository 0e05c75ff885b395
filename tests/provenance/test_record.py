"""A record tells all that a run was made from, the same each time, and nothing of whose machine."""

import hashlib
import json
import os
import platform
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from scripts.job import BadInput
from scripts.provenance.crate import read_crate
from scripts.provenance.privacy import secrets, told
from scripts.provenance.record import date_of, packages, seeds_in
from scripts.provenance.verify import verify
from scripts.version import code_version

ROOT = Path(__file__).parents[2]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def entities(record) -> dict[str, dict]:
    found = {entity["@id"]: entity for entity in record["@graph"]}
    assert len(found) == len(record["@graph"]), "an @id stands for one thing"
    return found


def values(record, of: dict) -> dict:
    there = entities(record)
    named = [there[one["@id"]] for one in of["additionalProperty"]]
    return {value["name"]: value["value"] for value in named}


def test_every_output_is_there_with_its_size_and_checksum(recording):
    there = entities(recording.record())
    for name, content in recording.made.items():
        found = there[name]
        assert found["@type"] == "File" and found["contentSize"] == str(len(content))
        assert found["sha256"] == sha256(content)
    made = {one["@id"] for one in there["#run"]["result"]}
    assert made == {*recording.made, "config.yaml"}
    assert made == {one["@id"] for one in there["./"]["hasPart"]}


def test_it_is_a_crate_whose_references_lead_somewhere(recording):
    record = recording.record()
    there = entities(record)
    assert there["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", there["./"]["datePublished"])
    wanted = set(re.findall(r'\{"@id": "([^"]+)"\}', json.dumps(record)))
    assert wanted - set(there) == {"https://w3id.org/ro/crate/1.1"}


def test_values_are_plain_and_terms_are_those_of_the_vocabulary(recording):
    """As the specification asks of JSON-LD that is flattened and compacted."""
    terms = {
        *("@id", "@type", "name", "description", "about", "conformsTo", "datePublished", "license"),
        *("hasPart", "mentions", "version", "instrument", "object", "result", "value"),
        *("contentSize", "encodingFormat", "sha256", "isBasedOn", "additionalProperty"),
        *("softwareVersion", "softwareRequirements", "operatingSystem"),
    }
    recording.settings["studies"] = {"seeds": {"figure": {"form": "points"}, "title": {}}}
    for entity in recording.record()["@graph"]:
        assert set(entity) <= terms
        for value in entity.values():
            for one in value if isinstance(value, list) else [value]:
                assert not isinstance(one, dict) or set(one) == {"@id"}


def test_data_and_models_are_told_with_origin_and_checksums(recording):
    record = recording.record()
    there = entities(record)
    assert there["#model/tiny"]["version"] == "c0ffee"
    assert there["#model/tiny"]["isBasedOn"] == {"@id": "https://huggingface.co/owner/tiny"}
    weights = there["#data/models/tiny/model.safetensors"]
    assert weights["sha256"] == sha256(b"weights")
    for name in ("captions.json", "images.csv", "splits.json", "images/", "raw/photos.zip"):
        assert len(there[f"#data/toy/{name}"]["sha256"]) == 64
    inputs = {one["@id"] for one in there["#run"]["object"]}
    assert {"#dataset/toy", "#model/tiny", "config.yaml", "#seed/statistics.seed"} <= inputs


def test_each_encoding_tells_its_device_and_precision(recording):
    there = entities(recording.record())
    step = there["#encode/tiny/test/images.npy"]
    assert step["result"] == {"@id": "tiny/test/images.npy"}
    facts = [there[one["@id"]] for one in step["object"]]
    assert [
        (fact["name"], fact["value"]) for fact in facts if fact["@type"] == "PropertyValue"
    ] == [("device", "cuda"), ("precision", "float16")]


def test_features_that_were_made_elsewhere_are_recorded_as_imported(recording):
    about = json.dumps({"shape": [1, 2]}).encode()
    recording.made["tiny/test/images.json"] = about
    recording.write("results/toy/tiny/test/images.json", about)
    recording.settings["models"]["api"] = {"source": "features", "images": "/a/b", "texts": "/c"}
    there = entities(recording.record())
    assert there["#encode/tiny/test/images.npy"]["name"] == "import tiny/test/images.npy"
    settings = yaml.safe_load((recording.results / "config.yaml").read_text("utf-8"))
    assert (
        settings["models"]["api"]["images"] == settings["models"]["api"]["texts"] == "path/to/api"
    )


def test_code_packages_and_platform_are_told(recording):
    record = recording.record()
    there = entities(record)
    workflow = there["#workflow"]
    assert values(record, workflow)["fingerprint of encode_images"] == "0123456789abcdef"
    assert workflow["softwareVersion"] == code_version()["version"]
    required = {there[one["@id"]]["name"] for one in workflow["softwareRequirements"]}
    assert required == {platform.python_implementation(), *packages()}
    assert f"pkg:generic/python@{platform.python_version()}" in there
    assert there[f"pkg:pypi/pyyaml@{yaml.__version__}"]["softwareVersion"] == yaml.__version__


def test_the_same_run_gives_the_same_bytes(recording):
    recording.record()
    before = recording.crate.read_bytes()
    for path in recording.folder.rglob("*"):
        os.utime(path, (1, 1))
    recording.record()
    assert recording.crate.read_bytes() == before


def test_every_seed_of_the_settings_is_found():
    settings = {"seed": 1, "a": {"seed": 2, "b": {"seeds": [3, 4], "other": 5}}, "seeds": {"x": 6}}
    assert seeds_in(settings) == {"seed": 1, "a.seed": 2, "a.b.seeds": [3, 4]}


def test_files_of_another_run_in_the_folder_are_told_apart(recording):
    recording.write("results/toy/other/é \udcff.csv", b"old")
    recording.write("results/toy/.DS_Store", b"litter")
    record = recording.record()
    there = entities(record)
    assert there["other/%C3%A9%20%FF.csv"]["description"] == "not made by this run"
    assert "other/%C3%A9%20%FF.csv" not in {one["@id"] for one in there["#run"]["result"]}
    assert not [key for key in there if ".DS_Store" in key]
    assert "other/é \udcff.csv" in {file.path for file in read_crate(recording.crate)[0]}
    assert not verify(recording.results).differences


def test_what_is_no_plain_file_is_told_and_does_not_stop_the_record(recording, caplog):
    (recording.results / "gone.csv").symlink_to("nowhere")
    (recording.results / "linked").symlink_to(recording.folder)
    os.mkfifo(recording.results / "pipe")
    record = recording.record()
    assert not {"gone.csv", "linked", "pipe"} & set(entities(record))
    for word in ("gone.csv: a link to nowhere", "linked: a link to", "pipe: a pipe"):
        assert word in caplog.text


def test_what_the_run_made_and_is_gone_is_told(recording, caplog):
    recording.record()
    assert "are gone" not in caplog.text
    (recording.results / "report.en.html").unlink()
    assert "report.en.html" not in entities(recording.record())
    assert "1 files that the run made are gone" in caplog.text
    assert "results/toy/report.en.html" in caplog.text


@pytest.mark.parametrize("content", [b"another", None])
def test_a_picture_that_is_not_the_prepared_one_is_named_and_nothing_is_recorded(
    recording, content
):
    recording.run()
    picture = recording.folder / "data/toy/images/a.png"
    picture.unlink()
    if content:
        picture.write_bytes(content)
    told = r"images/a\.png.* after the workflow prepared it"
    with pytest.raises(BadInput, match=rf"(?s){told}") as error:
        recording.record(again=True)
    assert "delete data/toy/images and run again" in str(error.value)
    assert not recording.crate.exists()
    picture.write_bytes(b"a picture")
    recording.write("data/toy/images/.DS_Store", b"litter")
    recording.record(again=True)


@pytest.mark.parametrize("name", ["data/toy/captions.json", "results/toy/tables/metrics.csv"])
def test_a_file_that_is_not_as_its_job_made_it_is_named_and_nothing_is_recorded(recording, name):
    recording.run()
    recording.write(name, b"by hand")
    with pytest.raises(BadInput, match=rf"(?s){name}.*changed after the workflow made it"):
        recording.record(again=True)
    assert not recording.crate.exists()


def test_what_a_person_put_beside_data_and_models_is_recorded_with_them(recording):
    recording.write("data/toy/notes.txt", b"mine")
    recording.write("data/models/tiny/card/README.md", b"mine")
    there = entities(recording.record())
    assert {"#data/toy/notes.txt", "#data/models/tiny/card/README.md"} <= set(there)
    assert not verify(recording.results).differences


# --- nothing of whose machine


SECRETS = {
    "HF_TOKEN": "hf_AbCdEfGhIjKl",
    "MODELSCOPE_API_TOKEN": "ms-0123456789",
    "KAGGLE_KEY": "0a1b2c3d4e5f",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
    "DB_PASSWORD": "correct horse",
}


def test_tokens_never_get_in_wherever_someone_wrote_them(recording, monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    recording.settings["prompts"] = {f"p{i}": [f"{v} {{}}"] for i, v in enumerate(SECRETS.values())}
    recording.settings["datasets"]["toy"]["github"] = {
        "url": "https://me:pass-word@mirror.example/x?token=query-secret#part"
    }
    model = json.loads(recording.known["data/models/tiny/model.json"])
    model |= {"revision": SECRETS["HF_TOKEN"], "tried": [{"error": "tried-secret"}]}
    recording.write("data/models/tiny/model.json", json.dumps(model).encode())
    note = f"asked with {SECRETS['KAGGLE_KEY']}"
    recording.write("data/toy/raw/source.json", recording.source("data/toy/raw", [note]))
    recording.record()
    text = recording.crate.read_text("utf-8") + (recording.results / "config.yaml").read_text()
    for secret in (*SECRETS.values(), "pass-word", "query-secret", "tried-secret"):
        assert secret not in text
    assert "https://mirror.example/x" in text and "asked with (left out)" in text


def test_no_path_or_name_of_this_machine_gets_in(recording, monkeypatch):
    monkeypatch.setenv("HOME", "/home/mustermann")
    recording.settings["datasets"]["toy"]["location"] = "/home/mustermann/photos"
    recording.settings["models"]["tiny"]["path"] = "../../mustermann/model"
    recording.settings["prompts"]["odd"] = [f"in {recording.folder}/x and /home/mustermann {{}}"]
    note = f"{recording.folder}/data: as it was"
    outside = recording.source("/home/mustermann/photos", [note])
    recording.write("data/toy/raw/source.json", outside)
    model = json.loads(recording.known["data/models/tiny/model.json"])
    model |= {"source": "local", "repo": "/home/mustermann/model", "revision": None}
    recording.write("data/models/tiny/model.json", json.dumps(model).encode())
    record = recording.record()
    text = recording.crate.read_text("utf-8") + (recording.results / "config.yaml").read_text()
    for trace in ("mustermann", str(recording.folder), str(ROOT), os.uname().nodename + '"'):
        assert trace not in text
    assert not re.search(r'"(/|[A-Z]:\\|~)', text)
    there = entities(record)
    assert there["#elsewhere/toy/photos.zip"]["contentSize"] == "3"
    settings = yaml.safe_load((recording.results / "config.yaml").read_text("utf-8"))
    assert settings["datasets"]["toy"]["location"] == "path/to/toy"
    assert settings["models"]["tiny"]["path"] == "path/to/tiny"


def test_each_of_two_towers_is_told_with_its_origin_but_for_a_folder_of_the_users(recording):
    model = json.loads(recording.known["data/models/tiny/model.json"])
    image = {"source": "huggingface", "repo": "owner/clip", "revision": "c0ffee"}
    text = {"source": "local", "repo": "/home/mustermann/texts", "revision": None}
    tried = [{"source": "huggingface", "repo": "x", "error": "/home/mustermann"}]
    towers = {"image": image, "text": text | {"tried": tried}}
    model |= {"source": "towers", "repo": None, "revision": None, "towers": towers}
    recording.write("data/models/tiny/model.json", json.dumps(model).encode())
    there = entities(recording.record())
    assert there["#model/tiny"]["isBasedOn"] == {"@id": "https://huggingface.co/owner/clip"}
    assert there["https://huggingface.co/owner/clip"]["name"] == "owner/clip"
    assert "version" not in there["#model/tiny"]
    assert "mustermann" not in recording.crate.read_text("utf-8")


def test_a_path_below_the_repository_stays_as_a_relative_one(tmp_path):
    settings = {"a": {"location": str(tmp_path / "photos" / "x")}, "b": {"path": "models/../m"}}
    found = told(settings, tmp_path, [])
    assert found == {"a": {"location": "photos/x"}, "b": {"path": "m"}}


def test_only_variables_that_are_named_like_secrets_count_and_short_values_do_not():
    named = {"HF_TOKEN": "12345678", "GIT_AUTHOR_NAME": "someone-else", "MY_KEY": "short"}
    named |= {"SSH_AUTH_SOCK": "/run/agent.sock", "KEYBOARD_LAYOUT": "international"}
    assert secrets(named.items()) == ["12345678"]


# --- what git knows


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "no.config"))
    folder = tmp_path / "clone"
    folder.mkdir()
    (folder / "Snakefile").write_text("x")
    (folder / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    return folder


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"GIT_COMMITTER_DATE": "2024-02-03T04:05:06Z"},
    )
    return done.stdout.strip()


def test_a_clone_tells_its_commit_and_whether_its_files_changed(repository):
    git(repository, "init", "--quiet")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "x")
    commit = git(repository, "rev-parse", "HEAD")
    expected = {"version": "1.2.3", "commit": commit, "date": "2024-02-03"}
    (repository / "my.yaml").write_text("a configuration of one's own is in the record itself")
    assert code_version(repository) == expected | {"changed": False}
    assert date_of(expected) == "2024-02-03"
    (repository / "Snakefile").write_text("y")
    assert code_version(repository) == expected | {"changed": True}


def test_without_git_or_inside_another_repository_only_the_version_is_told(repository):
    assert code_version(repository) == {"version": "1.2.3"}
    outer = repository.parent
    git(outer, "init", "--quiet")
    git(outer, "commit", "--quiet", "--allow-empty", "-m", "someone's home")
    assert code_version(repository) == {"version": "1.2.3"}


def test_the_date_can_be_set_as_for_other_builds_that_are_to_be_the_same(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert date_of({"date": "2024-02-03"}) == "1970-01-02"
