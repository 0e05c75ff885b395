"""A folder of one's own: captions.json and splits.json of every bad kind."""

from __future__ import annotations

import json

from bad_input import GOOD, SPLITS, Case, assert_told, ids
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.data.audit import Findings
from scripts.data.caption_files import usable

# ---- captions.json ----

RIGHT = [{"image": name, "captions": [f"a {colour} thing"]} for name, colour in GOOD.items()]
TEXT = json.dumps(RIGHT, ensure_ascii=False).encode()


def with_captions(*captions: object) -> bytes:
    return json.dumps([*RIGHT[1:], {"image": "good 1.png", "captions": list(captions)}]).encode()


CAPTIONS = [
    *(Case(f"cut at {n} eighths", TEXT[: len(TEXT) * n // 8], "line 1, column") for n in range(8)),
    Case("zeros", bytes(100), "line 1, column 1"),
    Case("UTF-16", TEXT.decode().encode("utf-16"), "byte 0xff"),
    Case("UTF-32", TEXT.decode().encode("utf-32-le"), "line 1, column"),
    Case("gzip", b"\x1f\x8b\x08\0" + bytes(40), "byte 0x8b"),
    Case("a web page", b"<html>", "line 1, column 1"),
    Case("a table", b"image,caption\ngood 1.png,a red thing\n", "line 1, column 1"),
    Case("a record in each line", TEXT[1:-1].replace(b"}, {", b"}\n{")),
    Case("a record in a line that is cut", TEXT[1:-9].replace(b"}, {", b"}\n{"), "line 3, column"),
    Case("a comma too many", TEXT[:-1] + b",]", "line 1, column"),
    Case("a comment", b"// mine\n" + TEXT, "line 1, column 1"),
    Case("single quotes", TEXT.replace(b'"', b"'"), "line 1, column"),
    Case("a line's end in a caption", TEXT.replace(b"a red", b"a\nred"), "line 1, column"),
    Case("two records run into one", TEXT.replace(b"}, {", b", "), "the key 'image' twice"),
    Case("no number", TEXT.replace(b'"a red thing"', b"NaN"), "captions: .nan"),
    Case("a number without end", TEXT.replace(b'["a red thing"]', b"Infinity"), "captions: inf"),
    Case("a number of 5,000 digits", b"[" + b"9" * 5000 + b"]", "digits"),
    Case("null", b"null", "a JSON NoneType"),
    Case("a number", b"3.14", "a JSON float"),
    Case("no record", b"[]", "3 of 3 images .* good 1.png: in a split, without a caption"),
    Case("an empty record", b"[{}]", "the columns .none."),
    Case("a record without captions", TEXT.replace(b"captions", b"says"), "known to be the cap"),
    Case("COCO's layout of nothing", b'{"images": [], "annotations": []}', "JSON of COCO's kind"),
    Case(
        "Karpathy's layout of another image",
        b'{"images": [{"filename": "a", "sentences": []}]}',
        "good 1.png: in a split, without a caption",
    ),
    Case("other JSON", b'{"name": "good", "license": "none"}', "a JSON dict of name, license"),
    Case("image to captions", json.dumps({r["image"]: r["captions"] for r in RIGHT}).encode()),
    Case("keys in capitals", TEXT.replace(b'"image"', b'"Image"')),
    Case("a key too many", TEXT.replace(b"{", b'{"id": 7, ')),
    Case("a caption that is no list", TEXT.replace(b'["a red thing"]', b'"a red thing"')),
    Case(
        "two keys that may be the caption",
        TEXT.replace(b"{", b'{"text": "a red thing", '),
        "text and captions, each of which may be the caption",
    ),
    Case("a list in a list", with_captions(["a red thing"]), "a list of strings"),
    Case("captions by number", with_captions({"0": "a red thing"}), "a list of strings"),
    Case("a caption of space alone", with_captions("\u3000\u00a0\t"), "1 of 1 images of train"),
    Case("no caption in a record", with_captions(), "good 1.png: in a split, without a caption"),
    Case("half of a character", TEXT.replace(b"a red", b"\\udc08 red"), "half of a character"),
    Case("an image twice", TEXT.replace(b"good 2", b"good 1"), "stands in the file before"),
    Case("an image of no name", TEXT.replace(b"good 1.png", b""), "1 of 1 images of train"),
    Case("an image that is a list", TEXT.replace(b'"good 1.png"', b'["good 1.png"]'), "image: ."),
    Case("a byte order mark", b"\xef\xbb\xbf" + TEXT),
    Case("line ends of Windows", TEXT.replace(b", ", b",\r\n")),
    Case("a caption of a megabyte", with_captions("x" * 2**20), "1 of 1 images of train"),
    Case("a caption of 100,000 letters", with_captions("a red " + "x" * 99_994)),
    Case(
        "names of 50,000 letters",
        TEXT.replace(b"good 1", b"good" * 12_500),
        "1 of 1 images of train",
    ),
    Case("a thousand captions", with_captions(*(f"a red thing {n}" for n in range(1000)))),
    Case("equal captions", with_captions("a red thing", "a red thing")),
    Case("codes that drive a terminal", with_captions("a red \x1b[2J \x07\b\0 thing")),
    Case("markup", with_captions('a red <script>alert(1)</script> & "thing"\' `x` $x$ \\x')),
    Case("places for a caption", with_captions("a red {} {0} {caption} %s thing")),
    Case("directions", with_captions("a red \u202e thing \u200f", "a red عربي 图")),
    Case("nothing that is seen", with_captions("a red \u200b\ufeff\u00ad thing")),
    Case(
        "every character of a plane",
        with_captions("a red " + "".join(map(chr, range(0x1F300, 0x1FA00)))),
    ),
]


@ids(CAPTIONS)
def test_captions_are_read_rightly_or_the_record_is_told(steps, case):
    ended = steps.all(steps.folder_of_ones_own({}, {}, captions=case.make))
    if case.told:
        assert_told(ended, case.told)
    else:
        assert not ended.message and set(ended.captions) == set(GOOD)
        try:
            records = json.loads(case.make.decode("utf-8-sig").lower())
        except ValueError:
            return  # a record in each line: that each picture has its own caption was looked at
        if isinstance(records, dict):
            records = [{"image": image, "captions": records[image]} for image in records]
        texts = {
            one["image"]: [one["captions"]] if isinstance(one["captions"], str) else one["captions"]
            for one in records
        }
        found = {image: [text.lower() for text in own] for image, own in ended.captions.items()}
        assert found == {image: usable("", own, Findings()) for image, own in texts.items()}


# ---- splits.json ----

OWN = json.dumps(SPLITS).encode()
SPLIT_FILES = [
    *(Case(f"cut at {n} eighths", OWN[: len(OWN) * n // 8], "line 1, column") for n in range(8)),
    Case("UTF-16", OWN.decode().encode("utf-16"), "byte 0xff"),
    Case("a list", b'["good 1.png"]', "found:    list"),
    Case("null", b"null", "found:    NoneType"),
    Case("other names of splits", OWN.replace(b"val", b"dev"), "'dev'"),
    Case("a split twice", OWN.replace(b"val", b"train"), "the key 'train' twice"),
    Case("an image in two splits", OWN.replace(b"good 2", b"good 1"), "stands in train before"),
    Case("a number of images", b'{"train": 3}', "a list of file names"),
    Case("a share", b'{"train": 0.8, "val": 0.1, "test": 0.1}', "a list of file names"),
    Case("null for a split", OWN.replace(b'["good 2.png"]', b"null"), "a list of file names"),
    Case("numbers for names", b'{"train": [1], "val": [2], "test": [3]}', "a list of file names"),
    Case("splits in a split", b'{"train": {"test": []}}', "a list of file names"),
    Case("no split", b"{}", "none of 3 images in train, val or test"),
    Case("no image", b'{"train": [], "val": [], "test": []}', "none of 3 images in train"),
    Case(
        "names of no image", OWN.replace(b"good 3", b"gone"), "1 of 1 images of test.*gone.png: m"
    ),
    Case("names with a slip", OWN.replace(b"good 3", b"good_3"), "most like it is good 3.png"),
    Case(
        "an image in two splits, one in another case",
        OWN.replace(b"good 2", b"Good 3"),
        "Good 3.png: missing file .in the list of val, but not there; good 3.png is there, which",
    ),
    Case("half of a character", OWN.replace(b"good 3", b"\\ud83d"), "1 of 1 images of test"),
    *(
        Case(f"names {how}", OWN.replace(b"good 3.png", name))
        for how, name in {
            "in another case": b"Good 3.PNG",
            "with their folder": b"images/good 3.png",
            "without suffix": b"good 3",
            "of another suffix": b"good 3.jpeg",
            "from the root": b"/home/me/images/good 3.png",
            "of Windows": b"C:\\\\data\\\\images\\\\good 3.png",
            "as addresses": b"https://example.org/i/good%203.png?size=l#top",
        }.items()
    ),
    Case("a byte order mark", b"\xef\xbb\xbf" + OWN),
    Case("strangers, too", OWN.replace(b'"good 1.png"', b'"good 1.png", "gone.png", "../x"')),
]


@ids(SPLIT_FILES)
def test_splits_are_read_rightly_or_what_is_wrong_is_told(steps, case):
    ended = steps.all(steps.folder_of_ones_own({}, {}, splits=case.make))
    if case.told:
        assert_told(ended, case.told)
    else:
        assert not ended.message and ended.splits == SPLITS


# ---- whatever comes ----

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9) | st.sampled_from([*GOOD]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["image", "captions", *SPLITS]) | st.text(), inner)
    ),
    max_leaves=12,
)
SLOW = settings(
    max_examples=60, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip


@SLOW
@given(content=JSON, name=st.sampled_from(["captions", "splits"]))
def test_any_json_is_read_rightly_or_told(steps, content, name):
    steps.all(steps.folder_of_ones_own({}, {}, **{name: content}))


@SLOW
@given(
    place=st.floats(0, 1), byte=st.integers(0, 255), name=st.sampled_from(["captions", "splits"])
)
def test_a_file_with_one_wrong_byte_is_read_rightly_or_told(steps, place, byte, name):
    content = bytearray({"captions": TEXT, "splits": OWN}[name])
    content[int(place * (len(content) - 1))] = byte
    entry = steps.folder_of_ones_own({}, {}, **{name: bytes(content)})
    steps.check_pairing = lambda ended: None  # a colour with a wrong letter is another one
    ended = steps.all(entry)
    whole = json.loads(TEXT)
    kept = [one for one in whole if one["captions"] == ended.captions.get(one["image"])]
    assert ended.message or len(kept) >= len(whole) - 1
