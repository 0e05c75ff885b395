"""A download that is cut at every tenth, whose run is killed there, or whose disk is full."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import random
import shutil
import zipfile
from pathlib import Path

import pytest
from harness import Victim, assert_same, wait_until
from test_disk import fill, small_disk

from scripts.data import web

RAW = "data/flickr8k/raw"
PHOTOS = "Flickr8k_Dataset.zip"
TARGETS = ("data/flickr8k/captions.json", "data/flickr8k/splits.json")
KILLS = 6


@pytest.fixture
def large(archives) -> dict[str, bytes]:
    """Flickr8k's archives, that of the photos of a few megabytes, by a member that is no photo."""
    stream = io.BytesIO(archives[PHOTOS])
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr("readme.txt", random.Random(0).randbytes(4_000_000))
    return archives | {PHOTOS: stream.getvalue()}


@pytest.fixture
def home(site, large):
    """A web site that has the archives."""
    site.files = {f"/{name}": content for name, content in large.items()}
    return site


def downloader(folder, home, large) -> Victim:
    """A working copy whose dataset is on that site."""
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in large.items()}
    entry = {"order": ["github"], "github": {"url": home.address, "md5": md5}}
    return Victim(
        folder,
        {
            "datasets": {"flickr8k": entry},
            "run": {"dataset": "flickr8k"},
            # of the seven, one is missing as it is in Flickr8k
            "prepare": {"max_lost": 0.2},
        },
    )


def begun_at(home) -> list[int]:
    """From which byte on the photos were asked for, time after time."""
    asked = home.ranges(f"/{PHOTOS}")
    return [int(one.removeprefix("bytes=").rstrip("-")) if one else 0 for one in asked]


def test_a_line_that_is_cut_at_every_tenth_brings_the_whole_file_and_next_to_no_byte_twice(
    home, large, tmp_path, monkeypatch
):
    monkeypatch.setattr(web, "PAUSE", 0.0)
    tenth = len(large[PHOTOS]) // 10
    home.cuts = {f"/{PHOTOS}": [tenth] * 9}
    md5 = hashlib.md5(large[PHOTOS]).hexdigest()
    web.fetch(f"{home.address}/{PHOTOS}", tmp_path / PHOTOS, md5)
    assert (tmp_path / PHOTOS).read_bytes() == large[PHOTOS]
    asked = begun_at(home)
    assert len(asked) == 10 and asked[0] == 0
    assert all(0 <= tenth - (b - a) < web.PIECE for a, b in itertools.pairwise(asked))


def test_a_download_that_is_killed_again_and_again_goes_on_from_where_it_was(
    home, large, tmp_path, capsys
):
    undisturbed = downloader(tmp_path / "undisturbed", home, large)
    undisturbed.finish(*TARGETS)
    victim = downloader(tmp_path / "clone", home, large)
    part = victim.folder / RAW / f"{PHOTOS}.part"
    home.asked.clear()
    # an orphan may ask again before the next run ends it, and so bring a further piece
    home.cuts = {f"/{PHOTOS}": [len(large[PHOTOS]) // (2 * KILLS + 2)] * (2 * KILLS + 1)}
    try:
        for number in range(KILLS):
            begun, size = victim.start(*TARGETS), size_of(part)
            assert wait_until(lambda s=size, b=begun: b.ended or size_of(part) > s)
            assert not begun.ended, begun.told
            begun.kill(whole_group=number % 2 == 0)
        victim.finish(*TARGETS)
    finally:
        victim.end()
    with capsys.disabled():
        print(f"\nkills of Snakemake, by the rules at work: {KILLS}: {KILLS} download", end="")
    asked = begun_at(home)
    assert asked == sorted(asked) and asked[-1] > len(large[PHOTOS]) * KILLS / (2 * KILLS + 2) / 2
    assert (victim.folder / RAW / PHOTOS).read_bytes() == large[PHOTOS]
    assert_same(victim.outcome(), undisturbed.outcome())


def size_of(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def test_a_disk_that_fills_up_during_the_download_is_told_and_what_came_is_kept(
    home, large, tmp_path
):
    victim = downloader(tmp_path / "clone", home, large)
    home.cuts = {f"/{PHOTOS}": [len(large[PHOTOS]) // 2]}
    data = victim.folder / "data"
    part = victim.folder / RAW / f"{PHOTOS}.part"
    with small_disk(data, "12m"):
        begun = victim.start(*TARGETS)
        assert wait_until(lambda: size_of(part))
        ballast = fill(data, 2**20)
        told = begun.wait(1)
        assert "No space left on device" in told and "free space" in told
        assert "Traceback" not in told
        ballast.unlink()
        victim.finish(*TARGETS)
        assert begun_at(home)[-1] > len(large[PHOTOS]) // 2 - web.PIECE
        assert len(json.loads((victim.folder / TARGETS[0]).read_bytes())) == 6
        assert (victim.folder / RAW / PHOTOS).read_bytes() == large[PHOTOS]
    shutil.rmtree(data, ignore_errors=True)
