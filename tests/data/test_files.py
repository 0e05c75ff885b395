"""Archives and folders from elsewhere are opened without leaving them, or unfolding for ever."""

import stat
import zipfile

import pytest

from scripts.data.audit import Unusable
from scripts.data.files import open_files, text_of, why_unsafe
from scripts.job import BadInput


def test_links_that_lead_to_one_another_without_end_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr("scripts.data.files.MAX_LINKED", 300)
    for number in range(30):  # each way through them is another: 2 to the power of 30
        (tmp_path / f"{number}").mkdir()
        for name in "ab":
            (tmp_path / f"{number}" / name).symlink_to(tmp_path / f"{number + 1}")
    (tmp_path / "30").mkdir()
    with pytest.raises(BadInput, match="more than 300 files and folders behind links"):
        open_files(tmp_path, ["0"])


def entry(name: str, **changes) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    for key, value in changes.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize(
    ("info", "told"),
    [
        (entry("../out.jpg"), "empty, . or .."),
        (entry("a/../../out.jpg"), "empty, . or .."),
        (entry("/etc/out.jpg"), "not a relative path"),
        (entry("C:/out.jpg"), "not a relative path"),
        (entry("..\\out.jpg"), "not a relative path"),
        (entry("__MACOSX/../../out.jpg"), "empty, . or .."),
        (entry("a\rb.jpg"), "control character"),
        (entry("link.jpg", external_attr=(stat.S_IFLNK | 0o777) << 16), "a link or a device"),
        (entry("device", external_attr=(stat.S_IFCHR | 0o666) << 16), "a link or a device"),
        (entry("pipe", external_attr=(stat.S_IFIFO | 0o666) << 16), "a link or a device"),
        (entry("bomb.jpg", compress_type=zipfile.ZIP_LZMA), "packed by method 14"),
        (entry("a.jpg"), "there twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_with_a_member_that_no_honest_one_has_is_refused(tmp_path, info, told):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.jpg", b"fine")
        archive.writestr(info, b"target")
    with pytest.raises(BadInput, match=told):
        open_files(tmp_path, ["x.zip"])
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def patched(content: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    """A zip archive with ``value`` written ``offset`` bytes into its last such record."""
    place = content.rindex(signature) + offset
    return content[:place] + value + content[place + len(value) :]


def test_an_encrypted_member_is_refused(tmp_path, make):
    content = patched(make.zipped({"a.jpg": b"x"}), b"PK\1\2", 8, b"\1\0")
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(BadInput, match="encrypted"):
        open_files(tmp_path, ["x.zip"])


def test_a_member_that_declares_an_absurd_size_is_refused(tmp_path, make):
    size = (2**31).to_bytes(4, "little")
    (tmp_path / "x.zip").write_bytes(patched(make.zipped({"a": b"x"}), b"PK\1\2", 24, size))
    with pytest.raises(BadInput, match="2,147,483,648 bytes unpacked"):
        open_files(tmp_path, ["x.zip"])


def test_a_member_that_unfolds_beyond_what_it_declares_is_not_unfolded(tmp_path, make):
    bomb = make.zipped({"a": bytes(50_000_000)})
    size = (1000).to_bytes(4, "little")
    content = patched(bomb, b"PK\1\2", 24, size)
    (tmp_path / "x.zip").write_bytes(content)
    files, _ = open_files(tmp_path, ["x.zip"])
    with pytest.raises(Unusable, match="damaged"):
        files["a"]()


def test_too_many_or_too_large_members_are_refused(tmp_path, make, monkeypatch):
    (tmp_path / "x.zip").write_bytes(make.zipped({str(n): b"four" for n in range(10)}))
    monkeypatch.setattr("scripts.data.files.MAX_TOTAL_BYTES", 39)
    with pytest.raises(BadInput, match="40 bytes unpacked, more than 39"):
        open_files(tmp_path, ["x.zip"])
    monkeypatch.setattr("scripts.data.files.MAX_MEMBERS", 9)
    with pytest.raises(BadInput, match="more than 9 members"):
        open_files(tmp_path, ["x.zip"])


@pytest.mark.parametrize(
    "name", ["a.jpg", "a/b c.jpg", "图片/猫 🐈.jpg", "at 1.23\u202fPM.png", "a..b"]
)
def test_names_that_people_give_are_safe(name):
    assert why_unsafe(name) is None


@pytest.mark.parametrize("name", ["", "a//b", "./a", "a/", "a\0b", "\udcff.jpg", "x" * 241])
def test_names_that_no_path_should_have_are_not(name):
    assert why_unsafe(name) is not None


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_what_is_no_text_is_told_by_its_line_and_byte_behind_a_mark_too(tmp_path, mark):
    content = mark + b"one\ntwo\xff\n"
    with pytest.raises(BadInput, match=r"(?s)a\.txt, line 2.*byte 0xff"):
        text_of({"a.txt": lambda: content}, "a.txt", tmp_path)
