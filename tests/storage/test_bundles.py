"""What travels in a bundle, and where it is put."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from scripts import bundles
from scripts.job import BadInput, write_json
from scripts.models.elsewhere import parts_of, read_names
from scripts.models.find_features import find_features


@pytest.mark.parametrize("name", ["../outside", "/outside", "."])
def test_a_bundle_puts_nothing_outside_of_its_folder(name, tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    with tarfile.open("bundle.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(BadInput, match="a path out of it"):
        bundles.unpack(Path("bundle.tar"))
    assert sorted(tmp_path.rglob("*")) == [here, here / "bundle.tar"]


def test_a_damaged_bundle_is_told_wherever_the_damage_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        Path(name).write_bytes(b"1" * 600)
    bundles.pack("whole.tar", [Path("a"), Path("b")])
    bundles.unpack(Path("whole.tar"))
    content = Path("whole.tar").read_bytes()
    with tarfile.open("whole.tar") as tar:
        *_, last = tar
    # behind its two blocks of content stands one that ends the tar
    cut_off = [content[:size] for size in range(0, last.offset_data + 3 * 512, 100)]
    other_header = content[: last.offset] + b"?" + content[last.offset + 1 :]
    for spoilt in (*cut_off, other_header, b"no tar" * 100):
        Path("spoilt.tar").write_bytes(spoilt)
        with pytest.raises(BadInput, match=r"^spoilt.tar\n.*\n  expected: a whole bundle\n"):
            bundles.unpack(Path("spoilt.tar"))


def test_a_bundle_brings_files_and_folders_and_leaves_alone_what_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_json("data/models/m/model.json", {"model": "m"})
    write_json("data/models/m/1_Pooling/config.json", {})
    bundles.pack("m.tar", bundles.beside("data/models/m/model.json"))
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    bundles.unpack(tmp_path / "m.tar")
    first = Path("data/models/m/model.json").stat().st_ino
    assert Path("data/models/m/1_Pooling/config.json").read_text() == "{}\n"
    bundles.unpack(tmp_path / "m.tar")
    assert Path("data/models/m/model.json").stat().st_ino == first


def test_nothing_else_than_a_manifest_has_files_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_json("results/d/metrics.json", {})
    assert bundles.beside("results/d/metrics.json") == []
    assert bundles.own_beside("results/d/metrics.json") == []


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A folder with features of the user's; jobs work in another, where copies lie."""
    for side, names in (("image", ["a.png"]), ("text", ["a.png"])):
        np.save(tmp_path / f"{side}.npy", np.ones((1, 3), dtype=np.float32))
        head = "image" if side == "image" else "image,caption"
        rows = [name if side == "image" else f"{name},words" for name in names]
        (tmp_path / f"{side}.csv").write_text("\n".join([head, *rows]))
    (tmp_path / "copies").mkdir()
    monkeypatch.chdir(tmp_path / "copies")
    return tmp_path


ENTRY = {
    "source": "features",
    "images": "image.npy",
    "texts": "text.npy",
    "prompts": {"plain": "{}"},
}


def test_features_of_the_user_travel_with_the_tables_of_their_rows(home, monkeypatch):
    entry = bundles.with_own(ENTRY, home, "api")
    find_features(entry, Path("data/models/api"), "api")
    manifest = "data/models/api/model.json"
    bundles.pack("m.tar", [*bundles.beside(manifest), *bundles.own_beside(manifest)])
    (home / "there").mkdir()
    monkeypatch.chdir(home / "there")
    bundles.unpack(home / "copies/m.tar")
    # a job there finds them by what the manifest says
    (part,) = parts_of(Path(entry["texts"]), "texts")
    assert np.load(part.vectors).shape == (1, 3)
    assert read_names(part, "texts").captions == ["words"]


def test_a_folder_above_is_named_as_it_is_called(home):
    found = bundles.with_own({"source": "folder", "location": ".."}, home, "mine")
    assert found["location"] == f"own/mine.location/{home.parent.name}"
    assert Path(found["location"]).resolve() == home.parent


def test_what_is_not_the_user_s_keeps_its_name_in_an_entry(home):
    entry = {"source": "folder", "location": "photos", "images": "train", "order": ["kaggle"]}
    found = bundles.with_own(entry, home, "mine")
    assert found == entry | {"location": "own/mine.location/photos"}
    assert not Path("own").exists()


def test_a_bundle_never_writes_where_the_user_s_files_are(home):
    bundles.with_own(ENTRY, home, "api")
    link = Path("own/api.images")
    assert link.readlink() == home
    other = home / "other"
    (other / link).mkdir(parents=True)
    (other / link / "image.csv").write_text("another")
    with tarfile.open("m.tar", "w") as tar:
        tar.add(other / link / "image.csv", arcname=f"{link}/image.csv")
    before = (home / "image.csv").read_bytes()
    bundles.unpack(Path("m.tar"))
    assert (home / "image.csv").read_bytes() == before
