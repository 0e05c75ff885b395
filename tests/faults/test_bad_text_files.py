"""Flickr8k's text files and Kaggle's table, cut, garbled, swapped: captions, lists, judgments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bad_input import GOOD, Case, Steps, assert_told, ids, picture, saved
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.data.judgments import CROWD, EXPERTS
from scripts.data.sources.archives import LISTS, TOKENS

NAMES = [*GOOD]
# long tails, so that a cut at an eighth leaves the colour or takes the line
TAIL = " with a good many words behind it that say nothing of its colour ."
TEXTS = {
    TOKENS: "".join(f"{n}#{k}\ta {c} thing{TAIL}\n" for n, c in GOOD.items() for k in (1, 0)),
    LISTS["train"]: f"{NAMES[0]}\n",
    LISTS["val"]: f"{NAMES[1]}\n",
    LISTS["test"]: f"{NAMES[2]}\n",
    EXPERTS: "".join(f"{a}\t{b}#0\t1\t2\t4\n" for a in NAMES for b in NAMES),
    CROWD: "".join(f"{a}\t{b}#1\t0.666666666667\t2\t1\n" for a in NAMES for b in NAMES),
}
EXPERT, YES = TEXTS[EXPERTS], TEXTS[CROWD]
CAPTIONS = TEXTS[TOKENS]


def flickr8k(steps: Steps, **changed: bytes | str | None) -> dict:
    """The two folders of Flickr8k, some of its text files changed; None takes one away."""
    home = steps.folder / "home"
    photos, texts = home / "Flicker8k_Dataset", home / "Flickr8k_text"
    photos.mkdir(parents=True, exist_ok=True)
    texts.mkdir(exist_ok=True)
    for name, colour in GOOD.items():
        (photos / name).write_bytes(saved(picture(colour)))
    for name, content in (TEXTS | changed).items():
        if content is not None:
            text = content.encode() if isinstance(content, str) else content
            (texts / name).write_bytes(text)
    return {"source": "flickr8k", "location": str(home), "github": {"md5": {}}}


def line(text: str, number: int, *fields: str) -> str:
    """``text`` with other fields in one of its lines."""
    lines = text.splitlines()
    lines[number] = "\t".join(fields)
    return "\n".join(lines)


def fields(text: str, place: int, value: str) -> str:
    """``text`` with another value in one field of its second line."""
    parts = text.splitlines()[1].split("\t")
    parts[place] = value
    return line(text, 1, *parts)


def encoded(text: str) -> list[tuple[str, bytes, str]]:
    """What any of these files may be instead of UTF-8 text."""
    return [
        ("UTF-16", text.encode("utf-16"), "byte 0xff"),
        ("Latin-1", text.replace("#", "é", 1).encode("latin-1"), "line 1|byte 0xe9"),
        ("zeros", bytes(500), "line 1"),
        ("a web page", b"<!DOCTYPE html>\n<html>404</html>\n", "line 1"),
        ("gzip", b"\x1f\x8b\x08\0" + bytes(50), "byte 0x8b"),
    ]


# ---- captions ----

EITHER = "|"  # used or told, as the cut falls
TOKEN_CASES = [
    *(Case(f"cut at {n} eighths", CAPTIONS[: len(CAPTIONS) * n // 8], EITHER) for n in range(8)),
    *(Case(name, content, told) for name, content, told in encoded(CAPTIONS)),
    Case("not there", None, "no such file"),
    Case("more than it can be", bytes(70 * 2**20), "73,400,320 bytes"),
    Case("blank lines alone", "\n \n\t\n", "3 of 3 images .* in a split, without a caption"),
    Case("line ends of old Macs", CAPTIONS.replace("\n", "\r"), "line 1"),
    Case("a line that lost its end", CAPTIONS.replace(".\n", ". ", 1), "line 1"),
    Case("a name that ran into the one before", CAPTIONS.replace("\ta red", ""), "line 1"),
    Case("spaces for tabs", CAPTIONS.replace("\t", " "), "line 1"),
    Case("no number", CAPTIONS.replace("#0", "", 1), "line 2"),
    Case("a number that is none", CAPTIONS.replace("#0", "#first", 1), "line 2"),
    Case("a number below none", CAPTIONS.replace("#0", "#-1", 1), "line 2"),
    Case("a number of 20 digits", CAPTIONS.replace("#0", f"#{10**19}", 1), "line 2"),
    Case("a number in other digits", CAPTIONS.replace("#0", "#٠", 1), "line 2"),
    Case("no name", CAPTIONS.replace("good 1.png", "", 1), "line 1"),
    Case("a tab in a name", CAPTIONS.replace("good 1", "good\t1", 1), "line 1"),
    Case("a comma for a tab", CAPTIONS.replace("\t", ",", 1), "line 1"),
    Case("a table's header", "image\tcaption\n" + CAPTIONS, "line 1"),
    Case("captions of no image", CAPTIONS + f"gone.png#0\ta pink thing{TAIL}\n"),
    Case("a name that leaves its folder", CAPTIONS + "../../etc/passwd#0\ta pink thing\n"),
    Case("a name from the root", CAPTIONS + "/etc/passwd#0\ta pink thing\n"),
    Case("a name of 5,000 letters", CAPTIONS + "x" * 5000 + "#0\ta pink thing\n"),
    Case("an empty caption", CAPTIONS + "good 1.png#7\t \n"),
    Case("every line twice", CAPTIONS * 2),
    Case("lines in another order", "\n".join(sorted(CAPTIONS.split("\n"), reverse=True))),
    Case("line ends of Windows", CAPTIONS.replace("\n", "\r\n")),
    Case("a byte order mark", "\ufeff" + CAPTIONS),
    Case("other ends of lines in captions", CAPTIONS.replace(" thing", " thing\u2028\x85\x0b")),
    Case("number signs in captions", CAPTIONS.replace(" thing", " #1 #2")),
]


@ids(TOKEN_CASES)
def test_captions_of_flickr8k_are_read_rightly_or_the_line_is_told(steps, case):
    ended = steps.all(flickr8k(steps, **{TOKENS: case.make}))
    if ended.message:
        assert case.told and (case.told == EITHER or assert_told(ended, case.told) is None)
    else:
        assert case.told in ("", EITHER) and set(ended.captions) <= set(GOOD)


# ---- lists of the split ----

OWN = TEXTS[LISTS["test"]]
LIST_CASES = [
    *(
        Case(name, content, told)
        for name, content, told in [
            ("UTF-16", OWN.encode("utf-16"), "byte 0xff"),
            ("Latin-1", b"caf\xe9.png\n", "byte 0xe9"),
            ("zeros", bytes(500), "1 of 1 images of test"),
            ("a web page", b"<html>\n", "1 of 1 images of test"),
            ("empty", b"", "test 0"),
        ]
    ),
    Case("not there", None, "no such file"),
    Case("cut in a name", OWN[:5], "1 of 1 images of test"),
    Case("names with their number", OWN.replace("\n", "#0\n"), "most like it is good 3.png"),
    Case("names on one line", f"{NAMES[2]} {NAMES[1]}", "1 of 1 images of test"),
    Case("names in another case", OWN.upper()),
    Case("names without suffix", OWN.replace(".png", "")),
    Case("names with a folder of Windows", f"Flicker8k_Dataset\\{OWN}"),
    Case("names with a folder", f"./Flicker8k_Dataset/{OWN}"),
    Case("an image of train, too", OWN + NAMES[0], "which is in train, too"),
    Case("an image of val, too", OWN + NAMES[1], "which is in val, too"),
    Case("a name twice", OWN * 2),
    Case("space around names", f"  {NAMES[2]} \t\r\n\n\n"),
    Case("line ends of old Macs", f"{NAMES[2]}\r"),
    Case("names of no image", OWN + "gone.png\n../../etc/passwd\n"),
    Case("a byte order mark", "\ufeff" + OWN),
]


@ids(LIST_CASES)
def test_a_list_of_the_split_is_read_rightly_or_what_is_wrong_is_told(steps, case):
    ended = steps.all(flickr8k(steps, **{LISTS["test"]: case.make}))
    if case.told:
        assert_told(ended, case.told)
    else:
        assert ended.splits == dict(
            zip(("train", "val", "test"), ([n] for n in NAMES), strict=True)
        )


# ---- judgments ----

RATINGS = 27 + 9  # three experts, and one crowd, on nine pairs


def kept(count: int) -> Callable[[list[str]], bool]:
    return lambda rows: len(rows) == count


JUDGMENT_CASES = [
    *(
        Case(f"{n} cut at {k} eighths", (n, TEXTS[n][: len(TEXTS[n]) * k // 8]), EITHER)
        for n in (EXPERTS, CROWD)
        for k in range(8)
    ),
    *(
        Case(f"{n} is {what}", (n, content), told)
        for n in (EXPERTS, CROWD)
        for what, content, told in encoded(TEXTS[n])
    ),
    *(
        Case(f"an expert says {value!r}", (EXPERTS, fields(EXPERT, 3, value)), "line 2")
        for value in ("0", "5", "-1", "2.5", "1e0", "٣", "x", "", " ", "nan", "44")
    ),
    *(
        Case(f"the crowd's share is {value!r}", (CROWD, fields(YES, 2, value)), "line 2")
        for value in ("0.1", "1.0", "2", "-0.666666666667", "nan", "inf", "x", "", "66%", "2/3")
    ),
    *(
        Case(f"the crowd's yes is {value!r}", (CROWD, fields(YES, 3, value)), "line 2")
        for value in ("3", "-2", "2.0", "1e1", "٢", "x", "", "2000000", "0")
    ),
    Case(
        "no one of the crowd",
        (CROWD, line(YES, 1, *NAMES[:1], f"{NAMES[1]}#1", "0", "0", "0")),
        "line 2",
    ),
    Case(
        "an expert too few",
        (EXPERTS, line(EXPERT, 1, NAMES[0], f"{NAMES[1]}#0", "1", "2")),
        "line 2",
    ),
    Case("an expert too many", (EXPERTS, EXPERT.replace("\t4\n", "\t4\t4\n", 1)), "line 1"),
    Case("spaces for tabs", (EXPERTS, EXPERT.replace("\t", " ")), "line 1"),
    Case("a caption without number", (EXPERTS, EXPERT.replace("#0", "", 1)), "line 1"),
    Case(
        "image and caption swapped",
        (EXPERTS, line(EXPERT, 1, f"{NAMES[1]}#0", *NAMES[:1], *"124")),
        "line 2",
    ),
    Case("experts and crowd swapped", (EXPERTS, YES), "line 1"),
    Case("crowd and experts swapped", (CROWD, EXPERT), "line 1"),
    Case("a header", (CROWD, "image\tcaption\tshare\tyes\tno\n" + YES), "line 1"),
    Case("two lines in one", (EXPERTS, EXPERT.replace("4\n", "4\t", 1)), "line 1"),
    Case("line ends of old Macs", (EXPERTS, EXPERT.replace("\n", "\r")), "line 1"),
    Case("line ends of Windows", (EXPERTS, EXPERT.replace("\n", "\r\n")), kept(RATINGS)),
    Case("a byte order mark", (EXPERTS, "\ufeff" + EXPERT), kept(RATINGS)),
    Case("blank lines", (EXPERTS, EXPERT.replace("\n", "\n\n \n")), kept(RATINGS)),
    Case("a line twice", (EXPERTS, EXPERT + EXPERT.split("\n")[0]), kept(RATINGS + 3)),
    Case("an image that is not there", (EXPERTS, fields(EXPERT, 0, "gone.png")), kept(RATINGS - 3)),
    Case(
        "a caption that is not there",
        (EXPERTS, fields(EXPERT, 1, "good 1.png#5")),
        kept(RATINGS - 3),
    ),
    Case(
        "a path for an image", (EXPERTS, fields(EXPERT, 0, "../../etc/passwd")), kept(RATINGS - 3)
    ),
    Case("nothing", (EXPERTS, ""), kept(9)),
    Case("no file", (CROWD, None), kept(27)),
]


@ids(JUDGMENT_CASES)
def test_judgments_are_read_rightly_or_the_line_is_told(steps, case):
    name, content = case.make
    ended = steps.all(flickr8k(steps, **{name: content}))
    if callable(case.told):
        assert not ended.message and case.told(ended.ratings)
    elif case.told != EITHER:
        assert_told(ended, case.told)
    if not ended.message:
        right = {f"{a},{b},{0},1.0,1" for a in NAMES for b in NAMES}
        given = {row.split(",", 1)[1] for row in ended.ratings if row.startswith("expert")}
        assert {row for row in given if row.endswith(",1.0,1")} <= right


def test_a_line_that_another_line_ran_into_is_told_and_gives_no_image_its_neighbours_caption(steps):
    runs_on = CAPTIONS.replace(f"{TAIL}\n{NAMES[1]}", f"{TAIL} {NAMES[1]}", 1)
    ended = steps.all(flickr8k(steps, **{TOKENS: runs_on}))
    assert_told(ended, "line 2")


# ---- Kaggle's table ----

TABLE = "image,caption\n" + "".join(
    f'{name},"a {colour} thing{TAIL}"\n' for name, colour in GOOD.items()
)
TABLE_CASES = [
    *(Case(f"cut at {n} eighths", TABLE[: len(TABLE) * n // 8], EITHER) for n in range(8)),
    *(Case(name, content, told) for name, content, told in encoded(TABLE.replace(".", "#"))),
    Case("no header", TABLE.split("\n", 1)[1], "the header image,caption"),
    Case("columns swapped", TABLE.replace("image,caption", "caption,image"), "the header"),
    Case("a column too many", TABLE.replace("image,caption", "image,id,caption"), "the header"),
    Case("semicolons", TABLE.replace(",", ";"), "the header"),
    Case("tabs", TABLE.replace(",", "\t"), "the header"),
    Case("a quote that is not closed", TABLE.replace('."', ".", 1), "line 2"),
    Case("a caption over two lines", TABLE.replace(" with", "\nwith", 1), "line 2"),
    Case("an image without a caption", TABLE + "good 1.png\n", "line 5"),
    Case("a caption without an image", TABLE + ",a red thing\n", "line 5"),
    Case("a caption of 200,000 letters", TABLE + f"good 1.png,a red {'x' * 200_000}\n"),
    Case("a header of 200,000 letters", "x" * 200_000 + TABLE, "the header image,caption"),
    Case("a NUL", TABLE + "good 1.png,a red \0 thing\n"),
    Case("a byte order mark", "\ufeff" + TABLE),
    Case("line ends of Windows", TABLE.replace("\n", "\r\n")),
    Case("line ends of old Macs", TABLE.replace("\n", "\r")),
    Case("commas that are not quoted", TABLE + "good 1.png,a red thing, and another, too\n"),
    Case("quotes in quotes", TABLE + 'good 1.png,"a red ""thing"""\n'),
    Case("names of no image", TABLE + "gone.png,a pink thing\n../../etc/passwd,a pink thing\n"),
    Case("formulas of a spreadsheet", TABLE + "good 1.png,\"a red =cmd|'/c calc'!A1\"\n"),
    Case("the header again", TABLE + TABLE),
]


@ids(TABLE_CASES)
def test_the_table_of_kaggle_is_read_rightly_or_the_line_is_told(steps, case):
    home = steps.folder / "home"
    (home / "Images").mkdir(parents=True)
    # without a split of its own one is drawn by name, so there are more images than captions name
    names = [f"more {number}.png" for number in range(60)]
    for name, colour in (GOOD | dict.fromkeys(names, "pink")).items():
        (home / "Images" / name).write_bytes(saved(picture(colour)))
    more = "".join(f"{name},a pink thing\n" for name in names)
    content = case.make.encode() if isinstance(case.make, str) else case.make
    text_goes_on = not content or content.endswith((b"\n", b"\r"))
    (home / "captions.txt").write_bytes(content + (more.encode() if text_goes_on else b""))
    ended = steps.all({"source": "flickr8k", "location": str(home), "github": {"md5": {}}})
    if case.told in ("", EITHER):
        assert case.told or not ended.message, ended.message
        assert set(ended.captions) <= {*GOOD, *names}
    else:
        assert_told(ended, case.told)


# ---- whatever comes ----


@settings(
    max_examples=80, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    # less than a line's end with the next name, and no digit that turns a name into another
    name=st.sampled_from([*TEXTS]), place=st.floats(0, 1), gone=st.integers(0, 10),
    put=st.binary(max_size=6).filter(lambda some: not set(some) & set(b"123"))
    | st.sampled_from([b"\t", b"\n", b"#0\t", b"\r\n", b"\0", b'"']),
)  # fmt: skip
def test_a_text_file_with_a_piece_replaced_is_read_rightly_or_told(steps, name, place, gone, put):
    text = TEXTS[name].encode()
    start = int(place * len(text))
    entry = flickr8k(steps, **{name: text[:start] + put + text[start + gone :]})
    steps.check_pairing = lambda ended: None  # a caption may lose its colour
    ended = steps.all(entry)
    for image, captions in ended.captions.items():
        named = {word for caption in captions for word in caption.split()}
        others = {colour for other, colour in GOOD.items() if other != image}
        assert not named & others


def test_every_text_file_is_one_that_the_layout_has(steps):
    ended = steps.all(flickr8k(steps))
    assert len(ended.ratings) == RATINGS and Path(steps.folder, "home").is_dir()
