"""Every home of Flickr8k, over loopback, and every layout that a user may already have."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from scripts.data.audit import Note
from scripts.data.download import obtain
from scripts.job import BadInput

COMMIT = "56f58c967835f7c508d684f36bd7897cca9d7634"


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def entry(site, archives):
    """The config of Flickr8k, with the loopback site for all homes, none of which has anything."""
    return {
        "source": "flickr8k",
        "location": None,
        "order": ["github", "huggingface", "kaggle"],
        "github": {
            "url": f"{site.address}/github/",
            "md5": {name: md5(content) for name, content in archives.items()},
        },
        "huggingface": {"repo": "someone/flickr8k", "revision": COMMIT},
        "kaggle": {"url": f"{site.address}/kaggle"},
    }


@pytest.fixture
def raw(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data" / "flickr8k" / "raw"


@pytest.fixture
def on_github(site, archives):
    site.files |= {f"/github/{name}": content for name, content in archives.items()}


@pytest.fixture
def on_hub(site, make, tmp_path, monkeypatch, photos):
    """The few addresses of the hub that its client asks for a dataset's files."""
    tables = {}
    for split in ("train", "validation", "test"):
        path = tmp_path / "hub" / f"data/{split}-00000-of-00001-abc.parquet"
        make.parquet(path, list(photos.values())[:3])
        tables[f"data/{path.name}"] = path.read_bytes()
    tables["README.md"] = b"# Flickr8k"
    listing = []
    for path, content in tables.items():
        address = f"/datasets/someone/flickr8k/resolve/{COMMIT}/{path}"
        site.files[address] = content
        site.headers[address] = {"X-Repo-Commit": COMMIT, "ETag": f'"{sha256(content)}"'}
        large = {"oid": sha256(content), "size": len(content), "pointerSize": 130}
        listing.append(
            {"type": "file", "path": path, "size": len(content), "oid": "0" * 40, "lfs": large}
        )
    tree = f"/api/datasets/someone/flickr8k/tree/{COMMIT}"
    site.answers[tree] = (200, "application/json", json.dumps(listing).encode())
    monkeypatch.setenv("HF_ENDPOINT", site.address)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tables


@pytest.fixture
def no_hub(site, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", site.address)


@pytest.fixture
def on_kaggle(site, make, kaggle):
    """Kaggle, which sends the download on to a store, by an address that is signed."""
    site.redirects["/kaggle"] = f"{site.address}/store.zip?X-Goog-Signature=secret"
    site.files["/store.zip"] = make.zipped(kaggle)


def downloads(site) -> list[str]:
    return [path for method, path, _ in site.asked if method == "GET" and "/api/" not in path]


def test_the_release_archives_are_downloaded_and_described(entry, raw, on_github, archives):
    manifest = obtain(entry, raw)
    assert (manifest["source"], manifest["layout"]) == ("github", "archives")
    assert not any(manifest["notes"].values())
    for file in manifest["files"]:
        content = archives[file["path"]]
        assert (raw / file["path"]).read_bytes() == content
        assert file == {
            "path": file["path"],
            "bytes": len(content),
            "sha256": sha256(content),
            "md5": md5(content),
            "official": True,
        }


def test_what_is_there_and_right_is_not_downloaded_again(entry, raw, site, on_github):
    first = obtain(entry, raw)
    asked = len(site.asked)
    assert obtain(entry, raw) == first
    assert len(site.asked) == asked


def test_a_raw_file_that_is_not_right_any_more_is_downloaded_again(entry, raw, site, on_github):
    obtain(entry, raw)
    (raw / "Flickr8k_text.zip").write_bytes(b"damaged")
    del site.asked[:]
    obtain(entry, raw)
    assert downloads(site) == ["/github/Flickr8k_text.zip"]


def test_an_interrupted_archive_is_resumed_in_the_next_run(entry, raw, site, on_github, archives):
    content = archives["Flickr8k_Dataset.zip"]
    raw.mkdir(parents=True)
    (raw / "Flickr8k_Dataset.zip.part").write_bytes(content[:700])
    obtain(entry, raw)
    assert site.ranges("/github/Flickr8k_Dataset.zip") == ["bytes=700-"]


def test_the_hubs_own_client_downloads_the_parquet_files_and_no_others(entry, raw, on_hub, caplog):
    manifest = obtain(entry, raw)
    assert (manifest["source"], manifest["layout"]) == ("huggingface", "parquet")
    tables = [path for path in on_hub if path.endswith(".parquet")]
    assert [file["path"] for file in manifest["files"]] == sorted(tables)
    for file in manifest["files"]:
        assert file["sha256"] == sha256(on_hub[file["path"]])
        assert file["official"] is True
    assert not (raw / "README.md").exists()
    assert manifest["skipped"] == ["github"]
    assert "github cannot be had: Unavailable" in caplog.text and "HTTP 404" in caplog.text


def test_the_hubs_files_are_used_again_without_asking_anyone(entry, raw, site, on_hub):
    first = obtain(entry, raw)
    del site.asked[:]
    assert obtain(entry, raw) == first
    assert site.asked == []


def test_another_revision_is_asked_for(entry, raw, site, on_hub):
    obtain(entry, raw)
    entry["huggingface"]["revision"] = "f" * 40
    with pytest.raises(BadInput, match=r"huggingface: RevisionNotFoundError|huggingface: .*404"):
        obtain(entry, raw)


def test_the_hubs_download_goes_on_after_the_line_went_dead(entry, raw, site, on_hub):
    path = next(path for path in on_hub if "train" in path)
    address = f"/datasets/someone/flickr8k/resolve/{COMMIT}/{path}"
    site.cuts[address] = [500]
    obtain(entry | {"order": ["huggingface"]}, raw)
    assert (raw / path).read_bytes() == on_hub[path]


def test_a_parquet_file_that_is_not_the_hubs_is_deleted_and_the_next_source_taken(
    entry, raw, site, on_hub, on_kaggle, caplog
):
    path = next(path for path in on_hub if "test" in path)
    address = f"/datasets/someone/flickr8k/resolve/{COMMIT}/{path}"
    site.files[address] = bytes(len(on_hub[path]))
    assert obtain(entry, raw)["source"] == "kaggle"
    assert not (raw / path).exists()
    assert f"expected {sha256(on_hub[path])}" in caplog.text


def test_kaggles_archive_is_taken_when_it_is_whole(entry, raw, on_kaggle, no_hub, site):
    manifest = obtain(entry, raw)
    assert (manifest["source"], manifest["layout"]) == ("kaggle", "kaggle")
    assert [file["official"] for file in manifest["files"]] == [None]
    del site.asked[:]
    assert obtain(entry, raw) == manifest
    assert site.asked == []


def test_kaggle_is_told_who_asks_and_no_one_else_is(
    entry, raw, on_kaggle, site, monkeypatch, caplog
):
    monkeypatch.setenv("KAGGLE_USERNAME", "someone")
    monkeypatch.setenv("KAGGLE_KEY", "a-secret-key")
    site.redirects["/kaggle"] = f"http://localhost:{site.address.split(':')[-1]}/store.zip"
    obtain(entry | {"order": ["kaggle"]}, raw)
    told = {path: headers.get("Authorization") for _, path, headers in site.asked}
    assert told["/kaggle"].startswith("Basic ")
    assert told["/store.zip"] is None
    assert "a-secret-key" not in caplog.text


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda make, kaggle: make.zipped(kaggle)[:-40], "cut short"),
        (lambda make, kaggle: make.zipped({"captions.txt": b"image,caption"}), "without Images/"),
        (lambda make, kaggle: damaged(make.zipped(kaggle)), "damaged in the archive"),
    ],
)
def test_a_bad_archive_from_kaggle_is_deleted(
    entry, raw, site, on_kaggle, make, kaggle, content, why
):
    site.files["/store.zip"] = content(make, kaggle)
    with pytest.raises(BadInput, match=why):
        obtain(entry | {"order": ["kaggle"]}, raw)
    assert list(raw.iterdir()) == []


def damaged(archive: bytes) -> bytes:
    """``archive`` with a changed byte in its first photo, which is stored or deflated alike."""
    place = archive.index(b"\xff\xd8\xff") if b"\xff\xd8\xff" in archive else len(archive) // 3
    return archive[:place] + bytes([archive[place] ^ 0xFF]) + archive[place + 1 :]


def test_where_no_source_answers_each_error_is_told_and_what_to_do(entry, raw, no_hub):
    with pytest.raises(BadInput) as told:
        obtain(entry, raw)
    message = str(told.value)
    for name in ("github: Unavailable", "huggingface: ", "kaggle: Unavailable"):
        assert f"\n    {name}" in message
    assert "HTTP 404" in message and "location" in message


def test_a_full_disk_does_not_pass_for_a_source_that_cannot_be_had(
    entry, raw, on_github, on_kaggle, monkeypatch, site
):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scripts.data.web.fetch", full)
    with pytest.raises(OSError, match="No space left"):
        obtain(entry, raw)
    assert site.asked == []


def test_a_wrong_checksum_passes_to_the_next_source(
    entry, raw, on_github, on_kaggle, no_hub, caplog
):
    entry["github"]["md5"]["Flickr8k_text.zip"] = "0" * 32
    assert obtain(entry, raw)["source"] == "kaggle"
    assert "expected 00000000000000000000000000000000" in caplog.text
    assert not list(raw.glob("Flickr8k_text*"))


@pytest.mark.parametrize("unpacked", [[], ["Flickr8k_Dataset.zip"], ["Flickr8k_text.zip"]])
def test_archives_at_a_location_are_found_packed_and_unpacked(
    entry, raw, tmp_path, make, archives, unpacked
):
    home = make.write_files(tmp_path / "mine", archives)
    for name in unpacked:
        shutil.unpack_archive(home / name, home)
        (home / name).unlink()
    manifest = obtain(entry | {"location": "mine"}, raw)
    assert (manifest["source"], manifest["layout"]) == ("location", "archives")
    assert manifest["root"] == "mine"
    assert not any(manifest["notes"].values())
    assert not raw.exists()


def test_archives_of_another_checksum_at_a_location_are_noted_and_used(
    entry, raw, tmp_path, make, archives
):
    make.write_files(tmp_path / "mine", archives)
    entry["github"]["md5"]["Flickr8k_text.zip"] = "0" * 32
    manifest = obtain(entry | {"location": "mine"}, raw)
    official = {file["path"]: file["official"] for file in manifest["files"]}
    assert official == {"Flickr8k_Dataset.zip": True, "Flickr8k_text.zip": False}
    (note,) = manifest["notes"][Note.NOT_OFFICIAL]
    assert "Flickr8k_text.zip" in note and "0" * 32 in note


def test_kaggles_files_at_a_location_are_found_packed_and_unpacked(
    entry, raw, tmp_path, make, kaggle
):
    make.write_files(tmp_path / "packed", {"archive.zip": make.zipped(kaggle)})
    lower = {name.replace("Images", "images"): content for name, content in kaggle.items()}
    make.write_files(tmp_path / "open", lower)
    packed = obtain(entry | {"location": "packed"}, raw)
    unpacked = obtain(entry | {"location": "open"}, raw)
    assert packed["layout"] == unpacked["layout"] == "kaggle"
    assert [file["path"] for file in packed["files"]] == ["archive.zip"]
    assert [file["path"] for file in unpacked["files"]] == ["images", "captions.txt"]


def test_lists_beside_kaggles_files_belong_to_them_and_tell_the_official_split(
    entry, raw, tmp_path, make, kaggle
):
    names = [f"Flickr_8k.{part}Images.txt" for part in ("train", "dev", "test")]
    make.write_files(tmp_path / "mine", kaggle | dict.fromkeys(names, b""))
    manifest = obtain(entry | {"location": "mine"}, raw)
    assert [file["path"] for file in manifest["files"]] == ["Images", "captions.txt", *names]
    assert manifest["official_split"] is True
    (tmp_path / "mine" / names[0]).write_bytes(b"x.jpg")
    assert obtain(entry | {"location": "mine"}, raw)["files"] != manifest["files"]
    for name in names:
        (tmp_path / "mine" / name).unlink()
    assert obtain(entry | {"location": "mine"}, raw)["official_split"] is False


def test_parquet_files_at_a_location_are_found(entry, raw, tmp_path, make, photos):
    make.parquet(tmp_path / "mine" / "test-0.parquet", list(photos.values()))
    manifest = obtain(entry | {"location": "mine"}, raw)
    assert manifest["layout"] == "parquet"
    assert [file["official"] for file in manifest["files"]] == [None]


def test_a_location_without_any_layout_is_told_with_what_stands_there(entry, raw, tmp_path, make):
    make.write_files(tmp_path / "mine", {"Flickr8k_Dataset.zip": make.zipped({"a": b""})})
    with pytest.raises(BadInput) as told:
        obtain(entry | {"location": "mine"}, raw)
    assert "found:    Flickr8k_Dataset.zip" in str(told.value)
    assert "Flickr8k_text.zip" in str(told.value) and "captions.txt" in str(told.value)


def test_a_location_that_is_not_there_is_told_with_where_it_was_looked_for(entry, raw):
    with pytest.raises(BadInput, match=rf"^{Path.cwd()}/nowhere\n.*no such folder"):
        obtain(entry | {"location": "nowhere"}, raw)


def test_a_truncated_archive_at_a_location_is_told_at_once(entry, raw, tmp_path, make, archives):
    archives["Flickr8k_Dataset.zip"] = archives["Flickr8k_Dataset.zip"][:-100]
    make.write_files(tmp_path / "mine", archives)
    with pytest.raises(BadInput, match=r"Flickr8k_Dataset\.zip\n.*cut short"):
        obtain(entry | {"location": "mine"}, raw)


def test_a_folder_of_ones_own_is_described_with_its_photos(raw, tmp_path, make, photos):
    home = make.write_folder(tmp_path / "mine", photos)
    entry = {"source": "folder", "location": "mine"}
    first = obtain(entry, raw)
    assert (first["source"], first["layout"], first["root"]) == ("folder", "folder", "mine")
    assert [file["path"] for file in first["files"]] == ["captions.json", "images"]
    assert first["files"][1]["files"] == len(photos)

    # a photo replaced by another one makes another manifest, so later steps run again
    photo = home / "images" / min(photos)
    photo.write_bytes(photos[max(photos)])
    assert obtain(entry, raw)["files"] != first["files"]


def test_a_photo_replaced_behind_a_link_makes_another_manifest(raw, tmp_path, make, photos):
    home = make.write_folder(tmp_path / "mine", photos)
    (home / "images").rename(tmp_path / "store")
    (home / "images").mkdir()
    (home / "images/all").symlink_to(tmp_path / "store")
    entry = {"source": "folder", "location": "mine"}
    first = obtain(entry, raw)
    assert first["files"][1]["files"] == len(photos)
    (tmp_path / "store" / min(photos)).write_bytes(photos[max(photos)])
    assert obtain(entry, raw)["files"] != first["files"]


def test_a_folder_without_captions_is_told(raw, tmp_path, make, photos):
    make.write_files(tmp_path / "mine" / "images", photos)
    with pytest.raises(BadInput, match=r"(?s)found:    images\n.*captions\.json"):
        obtain({"source": "folder", "location": "mine"}, raw)
