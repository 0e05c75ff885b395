"""A download arrives whole and right, or not at all."""

import errno
import hashlib

import pytest

from scripts.data.web import ATTEMPTS, Unavailable, fetch

CONTENT = bytes(range(256)) * 20_000  # 5 MB
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "file.zip"


@pytest.fixture
def part(target):
    return target.with_name("file.zip.part")


@pytest.fixture
def url(site):
    site.files["/file.zip"] = CONTENT
    return f"{site.address}/file.zip"


def test_a_file_arrives_under_its_name_and_leaves_no_part(url, target, part):
    fetch(url, target, MD5)
    assert target.read_bytes() == CONTENT
    assert not part.exists()


def test_a_line_that_goes_dead_is_asked_for_the_rest_only(site, url, target):
    site.cuts["/file.zip"] = [2_000_000, 1_500_000]
    fetch(url, target, MD5)
    assert target.read_bytes() == CONTENT
    first, second, third = site.ranges("/file.zip")
    assert first is None
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in (second, third)]
    assert 0 < starts[0] < starts[1] < len(CONTENT)


def test_a_line_cut_more_often_than_we_try_still_arrives_if_each_time_brings_something(
    site, url, target
):
    site.cuts["/file.zip"] = [1_200_000] * (ATTEMPTS - 1)
    site.cuts["/file.zip"] += [400_000] * 2
    fetch(url, target, MD5)
    assert target.read_bytes() == CONTENT


def test_a_run_that_was_killed_goes_on_where_it_was(site, url, target, part):
    part.write_bytes(CONTENT[:3_000_000])
    fetch(url, target, MD5)
    assert target.read_bytes() == CONTENT
    assert site.ranges("/file.zip") == ["bytes=3000000-"]


def test_a_server_that_ignores_ranges_is_taken_from_the_start(site, url, target, part):
    site.ignores_range = True
    part.write_bytes(CONTENT[:3_000_000])
    fetch(url, target, MD5)
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_not_fetched_again(site, url, target, part):
    part.write_bytes(CONTENT)
    fetch(url, target, MD5)
    assert target.read_bytes() == CONTENT
    assert site.ranges("/file.zip") == [f"bytes={len(CONTENT)}-"]


def test_a_part_longer_than_the_file_is_thrown_away(url, target, part):
    part.write_bytes(CONTENT + b"more")
    fetch(url, target, MD5)
    assert target.read_bytes() == CONTENT


def test_a_part_of_another_file_costs_a_second_download_and_no_more(site, url, target, part):
    part.write_bytes(b"x" * 1_000_000)
    fetch(url, target, MD5)
    assert target.read_bytes() == CONTENT
    assert site.ranges("/file.zip") == ["bytes=1000000-", None]


def test_a_server_that_goes_on_elsewhere_is_not_believed(site, url, target, part):
    part.write_bytes(CONTENT[:1_000_000])
    site.misplaced = 7
    fetch(url, target)
    assert target.read_bytes() == CONTENT


def test_a_wrong_checksum_deletes_the_file_and_tells_both(site, url, target, part):
    with pytest.raises(Unavailable) as told:
        fetch(url, target, "0" * 32)
    assert MD5 in str(told.value) and "0" * 32 in str(told.value)
    assert not target.exists() and not part.exists()


@pytest.mark.parametrize("status", [404, 403, 200])
def test_a_web_page_is_never_saved_as_data(site, target, part, status):
    site.answers["/file.zip"] = (status, "text/html; charset=utf-8", b"<html>sorry</html>")
    with pytest.raises(Unavailable, match=str(status) if status != 200 else "web page"):
        fetch(f"{site.address}/file.zip", target)
    assert not target.exists() and not part.exists()


def test_a_page_in_answer_to_a_resumption_leaves_the_part_as_it_was(site, target, part):
    part.write_bytes(CONTENT[:1000])
    with pytest.raises(Unavailable, match="404"):
        fetch(f"{site.address}/file.zip", target)
    assert part.read_bytes() == CONTENT[:1000]


def test_a_busy_server_is_asked_again_but_not_for_ever(site, target):
    site.answers["/file.zip"] = (503, "text/plain", b"busy")
    with pytest.raises(Unavailable, match="503"):
        fetch(f"{site.address}/file.zip", target)
    assert len(site.asked) == ATTEMPTS


def test_a_server_that_is_not_there_is_told_without_a_traceback_of_addresses(target):
    with pytest.raises(Unavailable, match="ConnectionError"):
        fetch("http://127.0.0.1:9/file.zip?token=secret", target)


def test_a_full_disk_is_told_before_the_download_and_is_not_the_sources_fault(
    url, target, monkeypatch
):
    class Usage:
        free = 1000

    monkeypatch.setattr("scripts.data.web.shutil.disk_usage", lambda _: Usage)
    with pytest.raises(OSError, match="5,120,000 bytes to come, 1,000 free") as told:
        fetch(url, target, MD5)
    assert told.value.errno == errno.ENOSPC
