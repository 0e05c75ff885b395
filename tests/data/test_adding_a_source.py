"""Every source has one face, and to add one is to write a module and to name it in one place."""

import dataclasses
import inspect
import json
import re
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from scripts.data import prepare_images
from scripts.data.download import HUBS, obtain
from scripts.data.files import open_files
from scripts.data.place import Place
from scripts.data.records import paired
from scripts.data.sources import SOURCES
from scripts.data.sources.face import Home, Source
from scripts.job import BadInput

ROOT = Path(__file__).parents[2]
TAKES = {
    "find": ["place"],
    "read": ["place", "paths", "findings"],
    "has_official_split": ["place", "paths"],
    "present": ["home", "raw"],
    "fetch": ["home", "raw"],
}


def test_each_module_is_a_source_of_its_own_name_and_each_source_a_module():
    modules = {path.stem for path in (ROOT / "scripts/data/sources").glob("*.py")}
    assert modules - {"__init__", "face"} == SOURCES.keys()
    for name, source in SOURCES.items():
        assert import_module(f"scripts.data.sources.{name}").SOURCE is source


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_every_source_has_the_same_face(source, tmp_path):
    assert isinstance(source, Source) and source.expected and source.split
    for face in (source, source.home) if source.home else (source,):
        for field in dataclasses.fields(face):
            value = getattr(face, field.name)
            if callable(value):
                assert list(inspect.signature(value).parameters) == TAKES[field.name]
    assert source.find(Place(tmp_path)) is None


def test_the_config_knows_the_kinds_and_homes_of_all_sources_and_no_others():
    schema = yaml.safe_load((ROOT / "config/schema.yaml").read_text("utf-8"))["$defs"]
    kinds = set(schema["dataset"]["properties"]["source"]["enum"])
    # scenes are drawn into the layout of one's own folder, and hubs have what folders have
    of_sources = {kind for source in SOURCES.values() for kind in source.kinds}
    assert of_sources == kinds - {"scenes", *HUBS}
    layouts = {name for name, source in SOURCES.items() if "folder" in source.kinds}
    for kind in ("folder", *HUBS):
        assert set(schema[f"dataset_{kind}"]["properties"]["layout"]["enum"]) == layouts
    guide = (ROOT / "docs/datasets.md").read_text("utf-8")
    assert sorted(re.findall(r"^\| `(\w+)` \|", guide, re.M)) == sorted(layouts)
    flickr8k = schema["dataset_flickr8k"]["properties"]
    homes = {source.home.name for source in SOURCES.values() if source.home}
    assert homes == set(flickr8k["order"]["items"]["enum"]) <= flickr8k.keys()


# --- a source that was made up: names of pictures that say what is on them


def find(place: Place) -> list[str] | None:
    return ["pictures"] if (place.root / "pictures").is_dir() else None


def read(place: Place, paths: list[str], findings):
    files = place.files
    images = {Path(name).name: read for name, read in files.items() if name.endswith(".jpg")}
    captions = {name: [Path(name).stem] for name in images}
    split_of = {name: Path(file).parent.name for file in files if (name := Path(file).name)}
    return paired(images, captions, split_of, findings)


def fetch(home: dict, raw: Path) -> list[str]:
    for split, name in home["pictures"].items():
        (raw / "pictures" / split).mkdir(parents=True)
        (raw / "pictures" / split / name).write_bytes(home["bytes"])
    return ["pictures"]


MADE_UP = Source(
    called="a made up kind",
    expected="pictures/ with a folder for each split",
    split="the names of the folders in pictures/",
    find=find,
    read=read,
    home=Home("attic", lambda home, raw: find(Place(raw)), fetch),
)


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """What the rule makes of a dataset, by the names of the files, but for their folder."""
    monkeypatch.chdir(tmp_path)

    def prepared(entry, name):
        made = tmp_path / name
        made.mkdir()
        (made / "source.json").write_text(json.dumps(obtain(entry, made / "raw")), "utf-8")
        outputs = ("images", "captions.json", "images.csv", "audit.json")
        paths = dict(zip(("images", "captions", "table", "audit"), outputs, strict=True))
        prepare_images.main(
            SimpleNamespace(
                input=SimpleNamespace(manifest=str(made / "source.json")),
                output=SimpleNamespace(**{key: str(made / path) for key, path in paths.items()}),
                params=SimpleNamespace(max_lost=0, max_pixels=10**6, max_aspect=50),
                threads=1,
            )
        )
        files = {name: read() for name, read in open_files(made, list(outputs))[0].items()}
        return json.loads(files.pop("audit.json")), files

    return prepared


def test_a_source_that_is_named_in_the_registry_is_found_read_and_fetched(
    prepared, make, tmp_path, monkeypatch
):
    pictures = {"train": "a dog runs.jpg", "val": "a cat.jpg", "test": "a bird.jpg"}
    photo = make.jpeg()
    seeds = make.write_folder(
        tmp_path / "seeds",
        dict.fromkeys(pictures.values(), photo),
        {name: [Path(name).stem] for name in pictures.values()},
    )
    splits = {split: [name] for split, name in pictures.items()}
    (seeds / "splits.json").write_text(json.dumps(splits), "utf-8")
    made_up = {f"pictures/{split}/{name}": photo for split, name in pictures.items()}
    make.write_files(tmp_path / "mine", made_up)
    at = partial(dict, source="folder", location=str(tmp_path / "mine"))

    with pytest.raises(BadInput, match=r"(?s)found:    pictures\n.*captions\.json"):
        obtain(at(), tmp_path)
    monkeypatch.setitem(SOURCES, "pictures", MADE_UP)
    _, expected = prepared(at(location=str(seeds)), "of the seeds")
    audit, found = prepared(at(), "found")
    assert (audit["source"], audit["layout"]) == ("folder", "pictures")
    assert found == expected

    attic = {"pictures": pictures, "bytes": photo}
    entry = {"source": "folder", "location": None, "order": ["attic"], "attic": attic}
    audit, fetched = prepared(entry, "fetched")
    assert (audit["source"], audit["layout"]) == ("attic", "pictures")
    assert fetched == expected


def test_a_split_that_a_made_up_source_would_not_read_is_told(tmp_path, make, monkeypatch):
    monkeypatch.setitem(SOURCES, "pictures", MADE_UP)
    make.write_files(tmp_path, {"pictures/test/a.jpg": make.jpeg(), "splits.json": b"{}"})
    with pytest.raises(BadInput, match=r"(?s)is not read there.*the folders in pictures/"):
        obtain({"source": "folder", "location": str(tmp_path)}, tmp_path)
    own = dataclasses.replace(MADE_UP, split_files=("parts.txt",))
    monkeypatch.setitem(SOURCES, "pictures", own)
    (tmp_path / "splits.json").rename(tmp_path / "Parts.txt")
    with pytest.raises(BadInput, match=r"(?s)Parts\.txt.*is not read there"):
        obtain({"source": "folder", "location": str(tmp_path)}, tmp_path)
