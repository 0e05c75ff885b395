"""Dataset repositories of both hubs, over loopback: what comes is checked, and read as a folder."""

import hashlib
import io
import json
import tarfile

import pytest

from scripts.data.audit import Findings
from scripts.data.download import obtain
from scripts.data.prepare_images import prepare_images
from scripts.job import BadInput

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CAPTIONS = {"a.jpg": ["one", "two"], "b.jpg": ["three"], "c.jpg": ["four"]}
SPLITS = {"a.jpg": "train", "b.jpg": "val", "c.jpg": "test"}


@pytest.fixture
def photos(make):
    return {name: make.jpeg(seed) for seed, name in enumerate(CAPTIONS)}


def imagefolder(photos):
    return {
        f"{SPLITS[name]}/{file}": content
        for name, texts in CAPTIONS.items()
        for file, content in {
            name: photos[name],
            "metadata.jsonl": json.dumps({"file_name": name, "text": texts}).encode(),
        }.items()
    }


def webdataset(photos):
    files = {}
    for name, texts in CAPTIONS.items():
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as shard:
            for end, content in {"jpg": photos[name], "txt": "\n".join(texts).encode()}.items():
                info = tarfile.TarInfo(f"{name[0]}.{end}")
                info.size = len(content)
                shard.addfile(info, io.BytesIO(content))
        files[f"{SPLITS[name]}/0.tar"] = stream.getvalue()
    return files


def parquet(photos):
    import pyarrow
    from pyarrow.parquet import write_table

    files = {}
    for name, texts in CAPTIONS.items():
        stream = io.BytesIO()
        rows = {"image": [{"bytes": photos[name], "path": name}], "caption": [texts]}
        write_table(pyarrow.table(rows), stream)
        files[f"data/{SPLITS[name]}-00000-of-00001.parquet"] = stream.getvalue()
    return files


OTHERS = {
    "README.md": b"# Photos",
    "load.py": b"raise SystemExit",
    "model.pkl": b"cos\nsystem\n",
    "old/captions.csv": b"image,caption\na.jpg,of another set\n",
}


def on_huggingface(site, files, monkeypatch):
    listing = []
    for path, content in files.items():
        address = f"/datasets/me/photos/resolve/{COMMIT}/{path}"
        sha256 = hashlib.sha256(content).hexdigest()
        # git's own sum stands for a small file, the store's for a large one
        git = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
        lfs = {"oid": sha256, "size": len(content), "pointerSize": 130}
        large = {"lfs": lfs, "oid": "0" * 40} if path.endswith((".tar", ".parquet")) else {}
        site.files[address] = content
        site.headers[address] = {"X-Repo-Commit": COMMIT, "ETag": f'"{sha256 if large else git}"'}
        listing.append({"type": "file", "path": path, "size": len(content), "oid": git, **large})
    tree = f"/api/datasets/me/photos/tree/{COMMIT}"
    site.answers[tree] = (200, "application/json", json.dumps(listing).encode())
    monkeypatch.setenv("HF_ENDPOINT", site.address)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


def on_modelscope(site, files, monkeypatch):
    api = "/api/v1/datasets/me/photos/repo"
    listing = [
        {"Path": path, "Type": "blob", "Size": len(content)}
        | {"Sha256": hashlib.sha256(content).hexdigest()}
        for path, content in files.items()
    ]
    site.files |= {f"{api}/{path}": content for path, content in files.items()}
    answer = {"Code": 200, "Success": True, "Data": {"Files": listing}}
    site.answers[f"{api}/tree"] = (200, "application/json", json.dumps(answer).encode())
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", site.address)


HUBS = {"huggingface": on_huggingface, "modelscope": on_modelscope}


@pytest.fixture
def hub(site, tmp_path, monkeypatch):
    """Put files onto a hub; the entry of the config that names them."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "CACHE"):
        monkeypatch.setenv(f"MODELSCOPE_{name}", str(tmp_path / f"modelscope-{name}"))

    def hub(name, files):
        HUBS[name](site, files, monkeypatch)
        return {
            "source": name,
            "location": None,
            "repo": "me/photos",
            "revision": COMMIT,
            "files": ["data/*", "train/*", "val/*", "test/*"],
        }

    return hub


def prepared(entry, tmp_path):
    manifest = json.loads(json.dumps(obtain(entry, tmp_path / "raw")))
    kept = prepare_images(manifest, tmp_path / "images", 10**6, 50, Findings())
    return manifest, kept


@pytest.mark.parametrize("name", HUBS)
@pytest.mark.parametrize("form", [parquet, webdataset, imagefolder], ids=lambda form: form.__name__)
def test_a_repository_is_fetched_checked_and_read_as_a_folder_of_its_layout(
    hub, site, tmp_path, photos, name, form
):
    files = form(photos)
    entry = hub(name, files | OTHERS)
    manifest, kept = prepared(entry, tmp_path)
    assert (manifest["source"], manifest["layout"]) == (name, form.__name__)
    assert {one.image: one.captions for one in kept} == CAPTIONS
    assert {one.image: one.split for one in kept} == SPLITS
    assert {one.image: (tmp_path / "images" / one.image).read_bytes() for one in kept} == photos
    assert {file["official"] for file in manifest["files"]} == {True}
    assert not manifest["official_split"]
    there = {path.name for path in (tmp_path / "raw" / name).rglob("*") if path.is_file()}
    assert not there & {path.split("/")[-1] for path in OTHERS}
    # again, without asking anyone
    del site.asked[:]
    assert json.loads(json.dumps(obtain(entry, tmp_path / "raw"))) == manifest
    assert site.asked == []


@pytest.mark.parametrize("name", HUBS)
def test_a_file_that_is_not_what_the_hub_says_is_told_and_not_kept(
    hub, site, tmp_path, photos, name
):
    files = imagefolder(photos)
    entry = hub(name, files)
    address = next(one for one in site.files if one.endswith("test/c.jpg"))
    site.files[address] = site.files[address][:-1] + b"x"
    with pytest.raises(BadInput, match=rf"(?s){name} me/photos at 0123.*location"):
        obtain(entry, tmp_path / "raw")
    assert not (tmp_path / "raw" / name / "test/c.jpg").exists()


@pytest.mark.parametrize("name", HUBS)
def test_of_another_revision_or_other_files_nothing_is_taken_from_before(
    hub, tmp_path, photos, name
):
    entry = hub(name, imagefolder(photos))
    prepared(entry, tmp_path)
    _, kept = prepared(entry | {"files": ["test/*"]}, tmp_path)
    assert [one.image for one in kept] == ["c.jpg"]
    assert {one.split for one in kept} == {"test"}
    with pytest.raises(BadInput, match="has no files gone/"):
        obtain(entry | {"files": ["gone/*"]}, tmp_path / "raw")


def test_the_files_of_a_repository_may_lie_in_a_folder_already(hub, site, tmp_path, photos, make):
    entry = hub("huggingface", {})
    make.write_files(tmp_path / "mine", imagefolder(photos))
    manifest, kept = prepared(entry | {"location": "mine"}, tmp_path)
    assert (manifest["source"], manifest["layout"]) == ("folder", "imagefolder")
    assert {one.image: one.captions for one in kept} == CAPTIONS
    assert site.asked == []


def test_a_table_of_a_repository_is_read_by_the_columns_that_are_said(hub, tmp_path, photos):
    text = "bild,was\n" + "".join(f"{name},{texts[0]}\n" for name, texts in CAPTIONS.items())
    files = {f"data/{name}": content for name, content in photos.items()}
    entry = hub("huggingface", files | {"data/all.csv": text.encode()})
    with pytest.raises(BadInput, match=r"the columns bild, was, none of which"):
        prepared(entry, tmp_path)
    columns = {"columns": {"image": "bild", "caption": "was"}}
    manifest, kept = prepared(entry | columns, tmp_path)
    assert manifest["options"] == columns
    assert {one.image: one.captions for one in kept} == {n: t[:1] for n, t in CAPTIONS.items()}
