"""Archives and tables from elsewhere: cut, forged, folded up, or of another kind."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bad_input import GOOD, Case, Steps, assert_told, assert_used_or_set_aside, ids, picture, saved
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.data import files
from scripts.data.sources.archives import LISTS, PHOTOS, TEXTS, TOKENS

NAMES = [*GOOD]
PINK = saved(picture("pink"))
PICTURES = {f"Flicker8k_Dataset/{n}": saved(picture(c)) for n, c in GOOD.items()}
WORDS = {
    TOKENS: "".join(f"{n}#0\ta {c} thing\n" for n, c in GOOD.items()).encode(),
    LISTS["train"]: f"{NAMES[0]}\nx.png\n".encode(),
    LISTS["val"]: NAMES[1].encode(),
    LISTS["test"]: NAMES[2].encode(),
}


def zipped(members: dict[str | zipfile.ZipInfo, bytes] | list, **options: Any) -> bytes:
    stream = io.BytesIO()
    with (
        warnings.catch_warnings(action="ignore"),  # a name twice
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, **options) as archive,
    ):
        for name, content in members.items() if isinstance(members, dict) else members:
            archive.writestr(name, content)
    return stream.getvalue()


def with_member(name: str, content: bytes = PINK, **attributes: Any) -> bytes:
    """The photos, and one more member."""
    info = zipfile.ZipInfo(name)
    for key, value in attributes.items():
        setattr(info, key, value)
    return zipped([*PICTURES.items(), (info, content)])


def forged(content: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    """An archive with other bytes in the last record of this kind."""
    place = content.rindex(signature) + offset
    return content[:place] + value + content[place + len(value) :]


LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"
X = "Flicker8k_Dataset/x.png"
WITH_X = with_member(X)
WHOLE = zipped(PICTURES)


def tarred(kind: str = "w:") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=kind) as archive:
        for name, content in PICTURES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def big_offset() -> bytes:
    """An archive of the long kind whose last member lies beyond where any file can reach."""
    info = zipfile.ZipInfo(X)
    info.extra = struct.pack("<HHQ", 1, 8, 2**63 + 5)
    content = zipped([*PICTURES.items(), (info, PINK)])
    return forged(content, CENTRAL, 42, b"\xff\xff\xff\xff")


def overlapping() -> bytes:
    """Many members that are the same bytes: what makes a bomb without a bomb inside."""
    content = bytearray(zipped({f"Flicker8k_Dataset/{n}.png": PINK for n in range(9)}))
    first = content.index(CENTRAL)
    for _ in range(9):
        struct.pack_into("<I", content, first + 42, 0)
        first = content.find(CENTRAL, first + 1)
    return bytes(content)


NO_ZIP = "not a zip archive, or one that is cut short"
ARCHIVES = [
    *(Case(f"cut at {n} eighths", WHOLE[: len(WHOLE) * n // 8], NO_ZIP) for n in range(8)),
    Case("zeros", bytes(5000), NO_ZIP),
    Case("a web page", b"<html>404</html>", NO_ZIP),
    Case("a tar archive", tarred(), NO_ZIP),
    Case("a packed tar archive", tarred("w:gz"), NO_ZIP),
    Case("gzip", gzip.compress(WHOLE), NO_ZIP),
    Case("7-Zip", b"7z\xbc\xaf\x27\x1c" + bytes(90), NO_ZIP),
    Case("RAR", b"Rar!\x1a\x07\x01\0" + bytes(90), NO_ZIP),
    Case("a directory elsewhere", forged(WHOLE, END, 16, b"\xff\xff\xff\x7f"), "damaged in"),
    Case("a directory of another length", forged(WHOLE, END, 12, b"\1\0\0\0"), NO_ZIP),
    Case("a part of many", forged(WHOLE, END, 4, b"\7\0\7\0"), EITHER := "|"),
    Case("a version to come", forged(WHOLE, CENTRAL, 6, b"\xff\0"), NO_ZIP),
    Case("out of its folder", with_member("../x.png"), "empty, . or .."),
    Case("out of its folder, deep", with_member("Flicker8k_Dataset/../../x.png"), "empty, . or"),
    Case("from the root", with_member("/tmp/x.png"), "not a relative path"),
    Case("from a drive", with_member("C:/x.png"), "not a relative path"),
    Case("from another machine", with_member("//host/share/x.png"), "not a relative path"),
    Case("with backslashes", with_member("..\\..\\x.png"), "not a relative path"),
    Case("a code of terminals in a name", with_member("\x1b[2J.png"), "a control character"),
    Case("a name of 241 bytes", with_member("x" * 237 + ".png"), "longer than 240 bytes"),
    Case("a path of 2,000 bytes", with_member("/".join(["d" * 199] * 10)), "longer than 900"),
    Case(
        "a link",
        with_member(X, b"/etc/passwd", external_attr=(stat.S_IFLNK | 0o777) << 16),
        "a link or a device",
    ),
    Case("a device", with_member(X, external_attr=(stat.S_IFBLK | 0o666) << 16), "a link or"),
    Case("a socket", with_member(X, external_attr=(stat.S_IFSOCK | 0o666) << 16), "a link or"),
    Case("encrypted", forged(WITH_X, CENTRAL, 8, b"\1\0"), "encrypted"),
    Case("packed by bzip2", with_member(X, compress_type=zipfile.ZIP_BZIP2), "packed by method 12"),
    Case("packed by LZMA", with_member(X, compress_type=zipfile.ZIP_LZMA), "packed by method 14"),
    Case("packed by a method that is none", forged(WITH_X, CENTRAL, 10, b"\x63\0"), "method 99"),
    Case("4 GB in a member", forged(WITH_X, CENTRAL, 24, b"\xf0\xff\xff\xff"), "bytes unpacked"),
    Case("a member twice", zipped([*PICTURES.items(), (X, PINK), (X, PINK)]), "there twice"),
    Case(
        "an image in two folders",
        with_member(f"old/Flicker8k_Dataset/{NAMES[0]}"),
        "the same name in",
    ),
    Case("a member that another covers", overlapping(), "3 of 4|9 of|cannot be used"),
    Case("an archive in the archive", zipped({"Flickr8k_Dataset.zip": WHOLE}), "cannot be used"),
    Case("nothing in it", zipped({}), "cannot be used"),
    Case("folders alone", zipped({"Flicker8k_Dataset/": b""}), "cannot be used"),
]

MEMBERS = [
    Case("junk in front", b"#!/bin/sh\nexit\n" + WITH_X),
    Case("junk behind", WITH_X + b"\n\n"),
    Case("a comment of 65,535 bytes", forged(WITH_X, END, 20, b"\xff\xff") + bytes(65_535)),
    Case(
        "folders as members, too",
        zipped([("Flicker8k_Dataset/", b""), *PICTURES.items(), (X, PINK)]),
    ),
    Case(
        "in a folder of its own",
        zipped([(f"flickr/8k/{n}", c) for n, c in PICTURES.items()] + [(f"flickr/8k/{X}", PINK)]),
    ),
    Case(
        "a folder in another case",
        zipped([(n.lower(), c) for n, c in PICTURES.items()] + [(X.lower(), PINK)]),
    ),
    Case(
        "what a Mac leaves",
        zipped(
            [*PICTURES.items(), (X, PINK), ("__MACOSX/Flicker8k_Dataset/._x.png", b"\0\5\26\7")]
        ),
    ),
    Case(
        "an image of the same name outside", zipped([*PICTURES.items(), (X, PINK), ("x.png", b"")])
    ),
    Case(
        "another checksum", forged(WITH_X, CENTRAL, 16, b"\1\2\3\4"), "unreadable: damaged in the"
    ),
    Case("fewer bytes than there are", forged(WITH_X, CENTRAL, 24, b"\5\0\0\0"), "unreadable"),
    Case("more bytes than there are", forged(WITH_X, CENTRAL, 24, b"\xff\xff\0\0")),
    Case("packed bytes beyond the end", forged(WITH_X, CENTRAL, 20, b"\xff\xff\xff\7")),
    Case("a place that is another's", forged(WITH_X, CENTRAL, 42, bytes(4)), "unreadable"),
    Case("a place beyond the end", forged(WITH_X, CENTRAL, 42, b"\xff\xff\xff\x6f"), "unreadable"),
    Case("a place beyond any end", big_offset(), "unreadable"),
    Case("another name in its own head", forged(WITH_X, LOCAL, 30, b"X"), "unreadable"),
    Case(
        "a name in its own head that is no text",
        forged(forged(WITH_X, LOCAL, 30, b"\xff\xfe"), LOCAL, 6, b"\0\x08"),
        "unreadable",
    ),
    Case("encrypted in its own head alone", forged(WITH_X, LOCAL, 6, b"\1\0"), EITHER),
    Case("a patch", forged(WITH_X, CENTRAL, 8, b"\x20\0"), "unreadable"),
    Case("strong encryption", forged(WITH_X, CENTRAL, 8, b"\x40\0"), "unreadable"),
    Case("a bomb of 200 MB", with_member(X, bytes(200 * 2**20), compress_type=8), "unreadable"),
    Case(
        "a bomb that says it is small",
        forged(with_member(X, bytes(100 * 2**20), compress_type=8), CENTRAL, 24, b"\xe8\3\0\0"),
        "unreadable",
    ),
    Case(
        "a bomb in a bomb", with_member(X, zipped({"y": zipped({"z": bytes(10**7)})})), "unreadable"
    ),
    Case("nothing in the member", with_member(X, b""), "unreadable: an empty file"),
]


def flickr8k(steps: Steps, photos: bytes, words: bytes | None = None) -> dict[str, Any]:
    """Flickr8k's two archives; of the image x.png the texts say that it is pink."""
    home = steps.folder / "home"
    home.mkdir(exist_ok=True)
    (home / PHOTOS[0]).write_bytes(photos)
    told = WORDS | {TOKENS: WORDS[TOKENS] + b"x.png#0\ta pink thing\n"}
    (home / TEXTS[0]).write_bytes(zipped(told) if words is None else words)
    return {"source": "flickr8k", "location": str(home), "github": {"md5": {}}}


@ids(ARCHIVES)
def test_an_archive_that_is_none_or_no_honest_one_is_told(steps, case):
    ended = steps.all(flickr8k(steps, case.make))
    if case.told != EITHER:
        assert_told(ended, case.told)
    assert {path.name for path in steps.folder.iterdir()} <= {"home", "data", "results"}


@ids(MEMBERS)
def test_a_damaged_member_is_set_aside_and_the_others_are_used(steps, case):
    ended = steps.all(flickr8k(steps, case.make))
    if case.told == EITHER:
        assert not ended.message
    else:
        assert_used_or_set_aside(ended, "x.png", case.told)


def test_a_bomb_is_measured_before_it_is_unfolded(steps, monkeypatch):
    monkeypatch.setattr(files, "MAX_TOTAL_BYTES", 10**6)
    many = zipped({f"Flicker8k_Dataset/{n}.png": bytes(20_000) for n in range(60)})
    assert_told(steps.all(flickr8k(steps, many)), "1,200,000 bytes unpacked, more than 1,000,000")


def test_texts_that_unfold_without_end_are_told(steps):
    words = zipped(WORDS | {TOKENS: b"\n" * (65 * 2**20)})
    assert_told(steps.all(flickr8k(steps, WITH_X, words)), "68,157,440 bytes")


INSTEAD = [
    Case("a folder", lambda path: path.mkdir(), "a folder"),
    Case("a link that leads nowhere", lambda path: path.symlink_to("gone"), "Flickr8k_text.zip"),
    Case("a link to itself", lambda path: path.symlink_to(path.name), "Flickr8k_text.zip"),
]


@ids(INSTEAD)
def test_what_has_an_archives_name_and_is_none_is_told(steps, case):
    entry = flickr8k(steps, WHOLE)
    (steps.folder / "home" / PHOTOS[0]).unlink()
    case.make(steps.folder / "home" / PHOTOS[0])
    assert_told(steps.all(entry), case.told)


OTHERS = [
    Case("a tar archive", {"Flickr8k.tar": tarred()}, "expected: Flickr8k_Dataset.zip"),
    Case("an archive of photos alone", {"photos.zip": WHOLE}, "expected: Flickr8k_Dataset.zip"),
    Case("an archive that is broken", {"photos.zip": WHOLE[:99]}, NO_ZIP),
    Case(
        "a name that is no text",
        {
            "caf\udce9.zip": zipped(
                {f"Images/{n}": saved(picture(c)) for n, c in GOOD.items()}
                | {"captions.txt": b"image,caption\ngood 1.png,a red thing\n"}
            )
        },
        "not UTF-8",
    ),
    Case(
        "two tables of captions",
        {
            "k.zip": zipped(
                {f"Images/{n}": saved(picture(c)) for n, c in GOOD.items()}
                | {
                    "old/captions.txt": b"image,caption\ngood 1.png,a blue thing\n",
                    "captions.txt": b"image,caption\ngood 1.png,a red thing\n",
                }
            )
        },
        "1 images, in no split",
    ),
]


@ids(OTHERS)
def test_a_location_with_something_like_the_dataset_is_told(steps, case):
    home = steps.folder / "home"
    home.mkdir()
    for name, content in case.make.items():
        (home / name).write_bytes(content)
    assert_told(
        steps.all({"source": "flickr8k", "location": str(home), "github": {"md5": {}}}), case.told
    )


# ---- parquet ----


def table(**changed: Any) -> Any:
    """One row for each picture; ``changed`` replaces columns, None takes one away."""
    import pyarrow

    columns: dict[str, Any] = {
        "image": [{"bytes": saved(picture(c)), "path": None} for c in GOOD.values()],
        "caption_0": [f"a {c} thing" for c in GOOD.values()],
    } | changed
    return pyarrow.table({name: value for name, value in columns.items() if value is not None})


def parquet(content: Any = None, **options: Any) -> bytes:
    from pyarrow.parquet import write_table

    stream = io.BytesIO()
    write_table(table() if content is None else content, stream, **options)
    return stream.getvalue()


def no_text() -> bytes:
    """Captions that the table says are texts, and whose bytes are none."""
    return parquet(compression="none", use_dictionary=False).replace(b"a red", b"a \xff\xfed")


def swollen() -> bytes:
    """One picture of 20 MB of nothing that stands in 96 rows, folded to a few kilobytes."""
    import pyarrow

    images = pyarrow.DictionaryArray.from_arrays([0] * 96, pyarrow.array([bytes(20_000_000)]))
    return parquet(
        table(image=images, caption_0=["x"] * 96), compression="zstd", store_schema=False
    )


def parquet_cases() -> list[Case]:
    whole = parquet()
    three = range(3)
    words = [f"a {colour} thing" for colour in GOOD.values()]
    return [
        *(
            Case(f"cut at {n} eighths", whole[: len(whole) * n // 8], "not a whole parquet file")
            for n in range(8)
        ),
        Case("zeros", bytes(500), "not a whole parquet file"),
        Case("a table of text", b"image,caption\n", "not a whole parquet file"),
        Case("a footer of another length", whole[:-8] + b"\xff\xff\xff\x7fPAR1", "not a whole"),
        Case("encrypted", whole[:-4] + b"PARE", "not a whole parquet file"),
        Case("no images", parquet(table(image=None)), "the columns caption_0"),
        Case("no captions", parquet(table(caption_0=None)), "the columns image"),
        Case("captions without number", parquet(table(caption_0=None, caption=words))),
        Case("a caption for each row", parquet(table(caption_0=None, text=words))),
        Case("images that are texts", parquet(table(image=["x.png"] * 3)), "image \\(string"),
        Case("images that are numbers", parquet(table(image=[*three])), "image \\(int64"),
        Case("images that are pixels", parquet(table(image=[[1, 2, 3]] * 3)), "image \\(list"),
        Case("images without bytes", parquet(table(image=[{"path": "x.png"}] * 3)), "the columns"),
        Case("bytes that are texts", parquet(table(image=[{"bytes": "x"}] * 3)), "the columns"),
        Case("captions that are numbers", parquet(table(caption_0=[*three])), "caption_0 \\(int64"),
        Case("captions in lists", parquet(table(caption_0=[[word, word] for word in words]))),
        Case(
            "captions in lists of lists",
            parquet(table(caption_0=[[["a"]]] * 3)),
            "caption_0 \\(list",
        ),
        Case(
            "captions of numbers in lists", parquet(table(caption_0=[[1]] * 3)), "caption_0 .list"
        ),
        Case("captions in bytes", parquet(table(caption_0=[b"a"] * 3)), "caption_0 \\(binary"),
        Case(
            "a caption of 5,000 digits",
            parquet(table(**{"caption_" + "1" * 5000: ["a"] * 3})),
            "the co",
        ),
        Case("a caption of 10 digits", parquet(table(caption_1234567890=["a"] * 3)), "the columns"),
        Case(
            "a caption of 70 MB",
            parquet(table(caption_1=["x" * 70_000_000, "", ""]), compression="zstd"),
            "70,000,\\d+ bytes unpacked in a part of caption_1, more than 67,108,864",
        ),
        Case("one caption of a number twice", parquet(table(caption_00=["a"] * 3)), "caption_00"),
        Case("captions that are no text", no_text(), "not a whole parquet file"),
        Case("no row", parquet(table().slice(0, 0)), "no row|train 0"),
        Case(
            "rows without images", parquet(table(image=[{"bytes": None}] * 3)), "cannot be used|tr"
        ),
        Case("rows without captions", parquet(table(caption_0=[None, "", " "])), "train 0|of 1 im"),
        Case("a picture of 20 MB in 96 rows", swollen(), "96 of 102 images"),
        Case("bytes alone", parquet(table(image=[saved(picture(c)) for c in GOOD.values()]))),
        Case("a column of nothing", parquet(table(caption_1=[None] * 3))),
        Case(
            "captions in another order of columns",
            parquet(
                table(
                    caption_10=["a red thing", "a green thing", "a blue thing"],
                    caption_2=[None] * 3,
                )
            ),
        ),
        Case("columns of more kinds", parquet(table(label=[*three], words=[["x"]] * 3))),
        Case(
            "captions in two columns",
            parquet(table(caption=[["x"]] * 3)),
            "caption and caption_0, each of which may be the caption",
        ),
        Case(
            "names that lead out",
            parquet(
                table(
                    image=[
                        {"bytes": saved(picture(c)), "path": "../../x.png"} for c in GOOD.values()
                    ]
                )
            ),
        ),
    ]


def parquet_dataset(steps: Steps, train: bytes) -> dict[str, Any]:
    home = steps.folder / "home"
    home.mkdir(exist_ok=True)
    for name, content in {"train": train, "validation": parquet(), "test": parquet()}.items():
        (home / f"{name}-0.parquet").write_bytes(content)
    return {"source": "flickr8k", "location": str(home), "github": {"md5": {}}}


PARQUET = parquet_cases()


@ids(PARQUET)
def test_a_table_of_images_is_read_rightly_or_told(steps, case):
    ended = steps.all(parquet_dataset(steps, case.make))
    if case.told:
        assert_told(ended, case.told)
    else:
        assert not ended.message and len(ended.captions) == 9
        assert {name[:5] for name in ended.captions} == {"train", "val-0", "test-"}


PLACES = [
    Case("a name that tells no split", "all.parquet", "a name that tells no split"),
    Case("a name that nearly tells one", "trainer.parquet", "a name that tells no split"),
    Case("a folder", "train-1.parquet", "not a whole parquet file|a folder"),
]


@ids(PLACES)
def test_a_table_whose_name_is_of_no_use_is_told(steps, case):
    entry = parquet_dataset(steps, parquet())
    path = Path(entry["location"]) / case.make
    path.mkdir() if case.name == "a folder" else path.write_bytes(parquet())
    assert_told(steps.all(entry), case.told)


# ---- whatever comes ----

BASES: dict[str, tuple[bytes, Callable]] = {
    "photos": (WITH_X, lambda steps, content: flickr8k(steps, content)),
    "texts": (
        zipped(WORDS | {TOKENS: WORDS[TOKENS] + b"x.png#0\ta pink thing\n"}),
        lambda steps, content: flickr8k(steps, WITH_X, content),
    ),
    "parquet": (parquet(), parquet_dataset),
}


@settings(
    max_examples=150, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    of=st.sampled_from([*BASES]),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=3),
)
@pytest.mark.filterwarnings("ignore")
def test_wrong_bytes_anywhere_end_in_right_pictures_or_are_told(steps, of, edits):
    whole, dataset = BASES[of]
    content = bytearray(whole)
    for place, byte in edits:
        content[int(place * (len(content) - 1))] = byte
    if of == "parquet":  # its bytes have no checksums, so a letter of a caption may change unseen
        steps.check_pairing = lambda ended: None
    steps.all(dataset(steps, bytes(content)))
