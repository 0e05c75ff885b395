"""What people's layouts may hold that is wrong: archives, tables, JSON, pairs and shards."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from bad_input import GOOD, SPLITS, Case, Steps, assert_told, ids, picture, saved
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.data import files, tars

PINK = saved(picture("pink"))
PICTURES = {f"images/{name}": saved(picture(colour)) for name, colour in GOOD.items()}
RECORDS = [{"image": name, "captions": [f"a {colour} thing"]} for name, colour in GOOD.items()]
TEXTS = {"captions.json": json.dumps(RECORDS).encode()}
SPLIT_OF = {name: split for split, names in SPLITS.items() for name in names}


def member(name: str, size: int | None = None, **attributes: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = len(PINK) if size is None else size
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


def tarred(
    *more: tarfile.TarInfo, kind: str = "", form: int = tarfile.PAX_FORMAT, end: bool = True
) -> bytes:
    """The dataset in a tar archive, with more members behind it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{kind}", format=form) as archive:
        for name, content in (PICTURES | TEXTS).items():
            archive.addfile(member(name, len(content)), io.BytesIO(content))
        for info in more:
            archive.addfile(info, io.BytesIO(PINK) if info.isreg() else None)
        place = archive.offset
    return stream.getvalue() if end else stream.getvalue()[:place]


def resized(size: bytes) -> bytes:
    """An archive whose first member says that it has another size."""
    head = bytearray(WHOLE[:512])
    head[124:136] = size.ljust(12, b"\0")
    head[148:156] = b" " * 8
    head[148:156] = f"{sum(head):06o}\0 ".encode()
    return bytes(head) + WHOLE[512:]


def noted(size: int) -> bytes:
    """An archive that begins with a note on its first member, of so many bytes."""
    info = tarfile.TarInfo("note")
    info.type, info.size = tarfile.XHDTYPE, size
    return info.tobuf(tarfile.USTAR_FORMAT) + bytes(min(size, 4096)) + WHOLE


def nested(times: int) -> bytes:
    """Names of names, one within the other."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1
    return (info.tobuf(tarfile.GNU_FORMAT) + bytes(512)) * times + WHOLE


WHOLE, CONTENT = tarred(), tarred(end=False)
ZIPPED = gzip.compress(WHOLE)
CUT = "cut short|not a tar archive"
NONE = "expected: images/ and captions.json"
TARS = [
    *(Case(f"cut at {n} eighths", CONTENT[: len(CONTENT) * n // 8], CUT) for n in range(8)),
    *(Case(f"cut to {n} blocks", WHOLE[: 512 * n], CUT) for n in (1, 2, 3)),
    Case("without its end", CONTENT, "no end at byte"),
    Case("two in one file", WHOLE + WHOLE, "of two archives"),
    Case("zeros", bytes(10240), NONE),
    Case("a web page", b"<html>404</html>" * 99, CUT),
    Case("a zip archive", b"PK\3\4" + bytes(999), CUT),
    Case(
        "a wrong sum in a head", WHOLE.replace(b"captions.json", b"captions.jsom"), "else than an"
    ),
    Case("out of its folder", tarred(member("../x.png")), "empty, . or .."),
    Case("out of its folder, deep", tarred(member("images/../../x.png")), "empty, . or .."),
    Case("from the root", tarred(member("/tmp/x.png")), "not a relative path"),
    Case("from a drive", tarred(member("C:/x.png")), "not a relative path"),
    Case("with backslashes", tarred(member("..\\x.png")), "not a relative path"),
    Case("a code of terminals in a name", tarred(member("\x1b[2J.png")), "a control character"),
    Case("a name that is no text", tarred(member("caf\udce9.png")), "not UTF-8"),
    Case("a name of 241 bytes", tarred(member("x" * 237 + ".png")), "longer than 240 bytes"),
    Case("a path of 2,000 bytes", tarred(member("/".join(["d" * 199] * 10))), "longer than 900"),
    Case("a link", tarred(member("x.png", 0, type=b"2", linkname="/etc/passwd")), "a link or a d"),
    Case("a link within", tarred(member("x.png", 0, type=b"1", linkname="y.png")), "a link or a d"),
    Case("a device", tarred(member("x.png", 0, type=b"3")), "a link or a device"),
    Case("a block device", tarred(member("x.png", 0, type=b"4")), "a link or a device"),
    Case("a pipe", tarred(member("x.png", 0, type=b"6")), "a link or a device"),
    Case("with holes", tarred(member("x.png", 0, type=b"S")), "a link or a device|cut short"),
    Case("a member twice", tarred(member("x.png"), member("x.png")), "there twice"),
    Case("a member twice, one from here", tarred(member("x.png"), member("./x.png")), "there tw"),
    Case("8 GB in a member", resized(b"77777777777"), "cut short|bytes unpacked"),
    Case("a size below none", resized(b"\xff" * 12), "of -|not a tar archive"),
    Case("a size that is none", resized(b"size"), CUT),
    Case("a note of 8 GB", noted(2**33 - 1), "takes more than 1,048,576 bytes"),
    Case("names of names of names", nested(5000), CUT),
    Case("a note of zeros", noted(4096), EITHER := "|"),
    Case("an archive in the archive", tarred(member("x.tar")), EITHER),
    *(Case(f"folded, cut at {n} eighths", ZIPPED[: len(ZIPPED) * n // 8], CUT) for n in range(8)),
    Case("folded, a wrong byte", ZIPPED[:200] + b"\0\1\2" + ZIPPED[203:], "not a tar|cut short"),
    Case("folded, something else", gzip.compress(b"<html>" * 999), CUT),
    Case("folded, junk behind", ZIPPED + b"junk", "not a tar archive|cut short"),
    Case("folded twice", gzip.compress(ZIPPED), CUT),
]
RIGHT = [
    Case("with folders as members", tarred(member("images/", 0, type=b"5"))),
    Case("of an old kind", tarred(form=tarfile.USTAR_FORMAT)),
    Case("of GNU's kind, with a long name", tarred(member("x" * 200), form=tarfile.GNU_FORMAT)),
    Case("with a name in Chinese", tarred(member("图.png"))),
    Case("folded", ZIPPED),
    Case("folded in two pieces", gzip.compress(WHOLE[:900]) + gzip.compress(WHOLE[900:])),
    Case("zeros behind its end", WHOLE + bytes(9999)),
]


def location(steps: Steps, contents: dict[str, bytes | str], **options: Any) -> dict[str, Any]:
    """A folder of these files, as an entry of the config."""
    mine = steps.folder / "mine"
    for name, content in contents.items():
        path = mine / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return {"source": "folder", "location": str(mine), **options}


def with_split(contents: dict[str, bytes | str]) -> dict[str, bytes | str]:
    return contents | {"splits.json": json.dumps(SPLITS)}


@ids(TARS)
def test_a_tar_that_is_none_or_no_honest_one_is_told(steps, case):
    name = "mine.tar.gz" if case.name.startswith("folded") else "mine.tar"
    ended = steps.all(location(steps, with_split({name: case.make})))
    if case.told == EITHER:
        assert not ended.message and set(ended.captions) == set(GOOD)
    else:
        assert_told(ended, case.told)
    assert {path.name for path in steps.folder.iterdir()} <= {"mine", "data", "results"}


@ids(RIGHT)
def test_a_tar_of_any_honest_kind_is_read(steps, case):
    ended = steps.all(location(steps, with_split({"mine.tgz": case.make})))
    assert not ended.message, ended.message
    assert set(ended.captions) == set(GOOD)


@pytest.mark.parametrize("limit", ["MAX_TOTAL_BYTES", "MAX_BYTES", "MAX_MEMBERS"])
def test_what_a_tar_holds_is_measured_before_it_is_read(steps, monkeypatch, limit):
    monkeypatch.setattr(files, limit, 2)
    told = "bytes unpacked, more than 2" if "BYTES" in limit else "more than 2 members"
    assert_told(steps.all(location(steps, {"mine.tar": WHOLE})), told)


def test_a_bomb_of_zeros_is_not_unfolded_to_its_end(steps, monkeypatch):
    monkeypatch.setattr(tars, "FREE", 10**6)
    monkeypatch.setattr(tars, "RATIO", 10)
    bomb = gzip.compress(WHOLE[:-1024] + bytes(30 * 2**20))
    entry = location(steps, {"mine.tar.gz": bomb})
    assert_told(steps.all(entry), "more than 1,000,000 bytes unpacked")


# ---- tables ----

ROWS = [(name, f"a {colour} thing") for name, colour in GOOD.items()]
CSV = "image,caption\n" + "".join(f'{name},"{text}, here"\n' for name, text in ROWS)
TSV = "image\tcaption\n" + "".join(f"{name}\t{text}\n" for name, text in ROWS)
LINES = "".join(json.dumps({"image": name, "text": text}) + "\n" for name, text in ROWS)
TABLES = [
    *(Case(f"cut at {n} eighths", ("c.csv", CSV[: len(CSV) * n // 8]), "|") for n in range(8)),
    Case("UTF-16", ("c.csv", CSV.encode("utf-16")), "byte 0xff"),
    Case("Latin-1", ("c.csv", CSV.replace("here", "hér").encode("latin-1")), "byte 0xe9"),
    Case("zeros", ("c.csv", bytes(500)), "a table of images and captions"),
    Case("nothing", ("c.csv", ""), "a table of images and captions"),
    Case("names of columns alone", ("c.csv", "image,caption\n"), "cannot be used"),
    Case(
        "no names that are known", ("c.csv", CSV.replace("image,", "x,")), "known to be the image"
    ),
    Case("no caption", ("c.csv", CSV.replace(",caption", ",y")), "known to be the caption"),
    Case(
        "two captions",
        ("c.csv", "image,caption,text\ngood 1.png,a red,a red\n"),
        "each of which may",
    ),
    Case("two images", ("c.csv", "image,path,text\ngood 1.png,x,a red\n"), "each of which may be"),
    Case("two splits", ("c.csv", "image,split,set,text\nx,train,test,a red\n"), "be the split"),
    Case("a column twice", ("c.csv", "image,text,text\nx,a,b\n"), "the column text twice"),
    Case("a quote that is not closed", ("c.csv", CSV.replace('here"', "here", 1)), "line [2345]"),
    Case("a quote within", ("c.csv", CSV.replace("here", 'he"re', 1)), "line 2"),
    Case(
        "a column too many",
        ("c.csv", "caption,image\na red thing, x,good 1.png\n"),
        "line 2.*3 col",
    ),
    Case("a caption over two lines", ("c.csv", CSV.replace(", here", "\nthing", 1)), ""),
    Case("line ends of old Macs", ("c.csv", CSV.replace("\n", "\r")), ""),
    Case("blank lines", ("c.csv", "\n\n" + CSV.replace("\n", "\n\n")), ""),
    Case("a byte order mark", ("c.csv", "\ufeff" + CSV), ""),
    Case("quotes in raw tabs", ("c.tsv", TSV.replace("a red", '"a red')), ""),
    Case("a quote at the end of raw tabs", ("c.tsv", TSV.replace("thing", 'thing"')), ""),
    Case("commas in tabs", ("c.tsv", TSV.replace("thing", "thing, here")), ""),
    Case("the header again", ("c.csv", CSV + "image,caption\n"), ""),
    Case("a cell of 200,000 letters", ("c.csv", CSV + f"good 1.png,a red {'x' * 200_000}\n"), ""),
    Case("lists that are none", ("c.csv", CSV.replace('"a red thing, here"', "[a red thing")), "|"),
    Case("a list within lists", ("c.csv", CSV + f"good 1.png,{'[' * 5000}{']' * 5000}\n"), "|"),
    Case("names that lead out", ("c.csv", CSV + "../../etc/passwd,a pink thing\n"), ""),
    Case("70 MB", ("c.csv", b"image,caption\n" + b"\n" * (70 * 2**20)), "73,400,334 bytes"),
    Case("lines of JSON, one cut", ("c.jsonl", LINES[:-5]), "line 3, column"),
    Case("lines of JSON, one a list", ("c.jsonl", LINES + "[1]\n"), "line 4.*a JSON object"),
    Case("lines of JSON, one without an image", ("c.jsonl", LINES + '{"text": "x"}\n'), ""),
    Case("lines of JSON, a key twice", ("c.jsonl", LINES + '{"image": 1, "image": 2}'), "twice"),
    Case(
        "lines of JSON, a number for a caption",
        ("c.jsonl", LINES.replace('"a red thing"', "3")),
        "captions: 3",
    ),
    Case(
        "lines of JSON, half of a character",
        ("c.jsonl", LINES.replace("a red", "\\ud83d a red")),
        "half of",
    ),
    Case(
        "lines of JSON, true for an image",
        ("c.jsonl", LINES.replace('"good 1.png"', "true")),
        "image: True",
    ),
    Case(
        "tokens, a line without number", ("c.token", "good 1.png#0\ta red thing\nx\ty\n"), "line 2"
    ),
    Case("tokens with spaces", ("c.token", "good#zhc#0 a red\ngood zhc 0 x\n"), "line 2"),
]


@ids(TABLES)
def test_a_table_is_read_rightly_or_the_line_is_told(steps, case):
    name, content = case.make
    if case.told == "|":
        steps.check_pairing = lambda ended: None  # a caption may have lost its colour
    ended = steps.all(location(steps, with_split(PICTURES | {name: content})))
    if case.told == "|":
        assert set(ended.captions) <= set(GOOD)
    elif case.told:
        assert_told(ended, case.told)
    else:
        assert not ended.message and set(ended.captions) == set(GOOD)


# ---- JSON ----

KARPATHY = {
    "images": [
        {"filename": name, "split": SPLIT_OF[name], "sentences": [{"raw": text}]}
        for name, text in ROWS
    ]
}
COCO = {
    "images": [{"id": n, "file_name": name} for n, (name, _) in enumerate(ROWS)],
    "annotations": [{"image_id": n, "caption": text} for n, (_, text) in enumerate(ROWS)],
}


def changed(value: dict, old: str, new: str) -> bytes:
    text = json.dumps(value)
    assert old in text
    return text.replace(old, new, 1).encode()


JSONS = [
    Case(
        "Karpathy's, no file name", changed(KARPATHY, '"filename"', '"name"'), "image 1.*filename"
    ),
    Case("Karpathy's, a number", changed(KARPATHY, '"good 1.png"', "3"), "filename: 3"),
    Case(
        "Karpathy's, no sentences", changed(KARPATHY, '[{"raw": "a green thing"}]', "3"), "image 2"
    ),
    Case(
        "Karpathy's, a sentence that is none", changed(KARPATHY, '"a green thing"', "3"), "image 2"
    ),
    Case(
        "Karpathy's, null for an image",
        changed(KARPATHY, '"images": [', '"images": [null, '),
        "COCO's kind",
    ),
    Case("Karpathy's, a split of its own", changed(KARPATHY, '"train"', '"training set"'), "|"),
    Case(
        "Karpathy's, two splits",
        changed({"images": [*KARPATHY["images"], KARPATHY["images"][0]]}, '"train"', '"test"'),
        "which is in test, too",
    ),
    Case("Karpathy's, no images", b'{"images": []}', "|"),
    Case(
        "Karpathy's, deep", b'{"images": ' + b"[" * 10**5 + b"]" * 10**5 + b"}", "too deeply nested"
    ),
    Case("COCO's, no number", changed(COCO, '"id"', '"no"'), "image 1.*id: None"),
    Case("COCO's, a number that is a list", changed(COCO, '"id": 0', '"id": [0]'), "id: .0."),
    Case(
        "COCO's, no name",
        changed(COCO, '"file_name": "good 2.png"', '"name": 1'),
        "image 2.*file_name",
    ),
    Case("COCO's, a caption of none", changed(COCO, '"image_id": 0', '"image_id": 77'), "|"),
    Case("COCO's, no caption", changed(COCO, '"a green thing"', "null"), "|"),
    Case(
        "COCO's, a caption that is a number", changed(COCO, '"a green thing"', "7"), "annotation 2"
    ),
    Case(
        "a mapping with a number",
        changed({n: [t] for n, t in ROWS}, '["a green thing"]', "7"),
        "a JSON dict|known|captions: 7",
    ),
    Case("a list of texts", json.dumps([t for _, t in ROWS]).encode(), "record 1.*str"),
    Case("a list of lists", json.dumps(ROWS).encode(), "record 1.*list"),
    Case("a list with a number", json.dumps([*RECORDS, 7]).encode(), "record 4.*int"),
    Case("100 million values", b"[" + b"0," * (25 * 10**6) + b"0]", "JSON of 25,000,00"),
]


@ids(JSONS)
def test_json_of_any_kind_is_read_rightly_or_the_record_is_told(steps, case):
    contents = PICTURES | {"x.json": case.make}
    steps.check_pairing = lambda ended: None  # of a caption that was lost
    ended = steps.all(
        location(steps, contents if b'"split"' in case.make else with_split(contents))
    )
    if case.told == "|":
        assert set(ended.captions) <= set(GOOD)
    else:
        assert_told(ended, case.told)


# ---- pairs and shards ----

PAIRS = {f"{name}": saved(picture(colour)) for name, colour in GOOD.items()}
WORDS = {f"{name[:-4]}.txt": f"a {colour} thing\n" for name, colour in GOOD.items()}
OF_PAIRS: list[Case] = [
    Case("a text that is none", {"good 1.txt": b"\xff\xfe"}, "good 1.txt.*byte 0xff"),
    Case("an empty text", {"good 1.txt": b""}, "1 of 1 images of train"),
    Case("a text of 2 MB", {"good 1.txt": b"a red thing\n" * 200_000}, "more than 1,048,576"),
    Case("two texts", {"good 1.caption": b"a red thing"}, "each of which may hold"),
    Case("texts of no picture", {"gone.txt": b"a pink thing"}, ""),
    Case("JSON that is none", {"good 1.txt": None, "good 1.json": b"{"}, "good 1.json"),
    Case("JSON without a caption", {"good 1.txt": None, "good 1.json": b'{"a": 1}'}, "the caption"),
    Case("JSON that is a number", {"good 1.txt": None, "good 1.json": b"7"}, "good 1.json"),
    Case("JSON that is a list", {"good 1.txt": None, "good 1.json": b'["a red thing"]'}, ""),
]


@ids(OF_PAIRS)
@pytest.mark.parametrize("kind", ["pairs", "shard"])
def test_a_text_beside_a_picture_is_read_rightly_or_told(steps, case, kind):
    contents: dict[str, Any] = PAIRS | WORDS | case.make
    contents = {name: content for name, content in contents.items() if content is not None}
    if kind == "shard":
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, content in contents.items():
                data = content if isinstance(content, bytes) else content.encode()
                archive.addfile(member(name, len(data)), io.BytesIO(data))
        contents = {"0.tar": stream.getvalue()}
    ended = steps.all(location(steps, with_split(contents)))
    if case.told:
        assert_told(ended, case.told)
    else:
        assert not ended.message and set(ended.captions) == set(GOOD)


def test_two_pictures_of_one_key_are_told(steps):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("k.png", "k.jpg", "k.txt"):
            archive.addfile(member(name), io.BytesIO(PINK))
    entry = location(steps, {"0.tar": stream.getvalue()})
    assert_told(steps.all(entry), r"jpg and png.*columns: \{image: jpg\}")


# ---- whatever comes ----

BASES: dict[str, tuple[str, bytes, Callable[[bytes], dict[str, bytes | str]]]] = {
    "tar": ("mine.tar", WHOLE, lambda content: {"mine.tar": content}),
    "tar.gz": ("mine.tar.gz", ZIPPED, lambda content: {"mine.tar.gz": content}),
    "csv": ("c.csv", CSV.encode(), lambda content: PICTURES | {"c.csv": content}),
    "lines": ("c.jsonl", LINES.encode(), lambda content: PICTURES | {"c.jsonl": content}),
    "karpathy": ("c", changed(KARPATHY, "", ""), lambda content: PICTURES | {"c.json": content}),
    "coco": ("c", changed(COCO, "", ""), lambda content: PICTURES | {"c.json": content}),
}


@settings(
    max_examples=150, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    of=st.sampled_from([*BASES]),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_wrong_bytes_anywhere_end_in_right_pictures_or_are_told(steps, of, edits):
    _, whole, contents = BASES[of]
    content = bytearray(whole)
    for place, byte in edits:
        content[int(place * (len(content) - 1))] = byte
    # neither tar nor text has sums of what is in it, so a letter of a caption may change unseen
    steps.check_pairing = lambda ended: None
    steps.all(location(steps, contents(bytes(content))))


@settings(
    max_examples=100, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=9) | st.sampled_from([*GOOD]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        *("images", "annotations", "sentences", "filename", "id", "image_id"),
                        *("raw", "caption", "captions", "image", "file_name", "split", "test"),
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=14,
    )
)
def test_any_json_of_any_kind_is_read_rightly_or_told(steps, value):
    steps.check_pairing = lambda ended: None
    steps.all(location(steps, PICTURES | {"c.json": json.dumps(value)}))
