"""Queries and uploads of every bad kind: the right answer, or one message, on both ways in."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from bad_input import Case, check_message, ids, within_limits

pytest.importorskip("torch")

from colour_run import CAPTIONS, ColourEncoder, folders, make_run
from PIL import Image
from test_bad_images import ASIDE, KINDS, mpo, png, saved, turned

from scripts.search.__main__ import main
from scripts.search.page import MAX_UPLOAD, Runs, make_app
from scripts.search.runs import find_run

OWN = {"Host": "127.0.0.1:8765", "Origin": "http://127.0.0.1:8765"}
RUN = "squares/colours/plain/cosine"
BLUE = Image.new("RGB", (40, 30), (0, 0, 255))


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("scripts.models.encoders.load_encoder", lambda *_, **__: ColourEncoder())
    return make_run(tmp_path)


@pytest.fixture
def client(project):
    results = project / "results"
    return make_app(Runs(results, project / "data"), find_run(results, {})).test_client()


def asked(project: Path, capsys, *arguments: str) -> tuple[list[dict], str]:
    """Hits of the command line, or what it told."""
    with within_limits():
        status = main([*arguments, "--json", *folders(project)])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    if status:
        assert status == 1 and not out
        check_message(err)
        return [], err
    return json.loads(out)["results"], ""


SENTENCES = [
    Case("only space", " \t\n\u3000", "no words"),
    Case("nothing", "", "no words"),
    Case("half of a character", "blue \ud83d", "UTF-8 text"),
    Case("bytes that are no text", os.fsdecode(b"blue \xff\xfe"), "UTF-8 text"),
    Case("a C string's end", "blue\0square"),
    Case("codes of a terminal", "blue \x1b[2J\x07"),
    Case("markup", "<script>alert(1)</script> blue"),
    Case("places for a caption", "{} blue {0} {caption} %s"),
    Case("commands of a shell", "$(touch hacked) blue; `id`"),
    Case("lines", "blue\r\nsquare\u2028\x85"),
    Case("directions", "\u202eblue\u202c"),
    Case("marks without end", "blue" + "\u0301" * 5000),
    Case("a megabyte", "blue " * 200_000),
    Case("one word without end", "blue" + "x" * 100_000),
    Case("an emoji of five characters", "blue 👩‍👩‍👧"),
    Case("no letter", "!?… blue"),
    Case("a regular expression", "(blue|.*)+$"),
    Case("a query of a database", "'; DROP TABLE images; -- blue"),
    Case("a path", "../../../etc/passwd blue"),
]


@ids(SENTENCES)
def test_a_sentence_finds_its_image_or_is_told_on_the_command_line(project, capsys, case):
    hits, told = asked(project, capsys, case.make)
    assert case.told in told
    assert case.told or hits[0]["image"] == "blue.png"
    assert not (project / "hacked").exists()


@ids([case for case in SENTENCES if "\ud83d" not in case.make])
def test_a_sentence_finds_its_image_or_is_told_on_the_page(client, case):
    with within_limits():
        answer = client.post(
            "/api/sentence", query_string={"run": RUN}, headers=OWN,
            data=case.make.encode("utf-8", "surrogateescape"),
        )  # fmt: skip
    told = answer.get_json()
    if answer.status_code == 200:
        assert told["hits"][0]["image"] == "blue.png"
    elif answer.status_code == 413:
        assert len(case.make) > 1000 and "a query of" in told["error"]
    else:
        assert answer.status_code == 400 and case.told in told["error"]


UPLOADS = [
    *(Case(f"a whole {kind}", saved(BLUE, kind, **options)) for kind, options in KINDS.items()),
    Case("CMYK", saved(BLUE.convert("CMYK"), "JPEG")),
    Case("a palette", saved(BLUE.quantize(4))),
    Case("transparent on white", saved(Image.new("RGBA", (9, 9), (0, 0, 255, 200)))),
    Case("1x1", saved(Image.new("RGB", (1, 1), (0, 0, 255)))),
    Case("1 pixel wide and 50 high", saved(Image.new("RGB", (1, 50), (0, 0, 255)))),
    Case(
        "1 pixel wide and 60,000 high",
        saved(Image.new("RGB", (1, 60_000), (0, 0, 255))),
        "1 x 60000 pixels, one side more than 50 times the other",
    ),
    *(
        Case(f"{kind} cut at {n} eighths", content[: len(content) * n // 8], "not readable")
        for kind in ("JPEG", "PNG", "WEBP", "GIF")
        for content in [saved(Image.effect_noise((40, 30), 99), kind)]
        for n in (0, 1, 4, 7)
    ),
    *(Case(name, content, "not readable") for name, content, _ in ASIDE),
    Case("10,001 x 10,001", png(10_001, 10_001, 1, 0, bytes(9)), "make it smaller"),
]


@ids(UPLOADS)
def test_an_uploaded_picture_finds_its_caption_or_is_told(client, case):
    with within_limits():
        answer = client.post("/api/picture", query_string={"run": RUN}, headers=OWN, data=case.make)
    told = answer.get_json()
    if case.told:
        assert answer.status_code == 400
        check_message(told["error"])
        assert case.told in told["error"]
    else:
        assert told["hits"][0]["caption"] in CAPTIONS["blue.png"]


@pytest.mark.parametrize("error", [MemoryError(), ValueError("height and width"), KeyError("size")])
def test_a_picture_that_the_model_does_not_take_is_told(
    client, project, capsys, monkeypatch, error
):
    def refuse(self, image):
        raise error

    monkeypatch.setattr(ColourEncoder, "preprocess", refuse)
    content = saved(Image.new("RGB", (2, 90)))
    answer = client.post("/api/picture", query_string={"run": RUN}, headers=OWN, data=content)
    assert answer.status_code == 400
    (project / "photo.png").write_bytes(content)
    capsys.readouterr()
    _, told = asked(project, capsys, "--image", str(project / "photo.png"))
    for message in (answer.get_json()["error"], told):
        check_message(message)
        assert "2 x 90 pixels" in message and type(error).__name__ in message


@pytest.mark.parametrize("turn", range(2, 9))
def test_a_picture_that_lies_on_its_side_is_asked_upright(client, monkeypatch, turn):
    seen, pixels_of = [], ColourEncoder.preprocess

    def preprocess(self, image):
        seen.append(image)
        return pixels_of(self, image)

    monkeypatch.setattr(ColourEncoder, "preprocess", preprocess)
    client.post("/api/picture", query_string={"run": RUN}, headers=OWN, data=turned(turn))
    (image,) = seen
    assert image.size == (48, 32)
    left, right = image.getpixel((12, 16)), image.getpixel((36, 16))
    assert min(left) > 120 and max(right) < 20


def test_more_bytes_than_a_picture_has_are_not_read(client):
    answer = client.post(
        "/api/picture", query_string={"run": RUN}, headers=OWN, data=bytes(MAX_UPLOAD + 1)
    )
    assert answer.status_code == 413 and answer.get_json()["error"]


def test_of_two_photos_in_one_file_the_first_is_asked(client):
    answer = client.post("/api/picture", query_string={"run": RUN}, headers=OWN, data=mpo())
    assert answer.status_code == 200


FILES = [
    Case("a folder", lambda path: path.mkdir(), "a folder"),
    Case("a pipe that no one writes to", os.mkfifo, "not a plain file"),
    Case("a device without end", lambda path: path.symlink_to("/dev/zero"), "not a plain file"),
    Case("a terminal", lambda path: path.symlink_to("/dev/null"), "not a plain file"),
    Case("a link that leads nowhere", lambda path: path.symlink_to("gone"), "no such file"),
    Case("a link to itself", lambda path: path.symlink_to(path.name), "links"),
    Case("a file of 300 MB", lambda path: os.truncate(_touched(path), 300 * 2**20), "bytes"),
    Case("nothing", lambda path: None, "no such file"),
    Case("an empty file", lambda path: path.touch(), "an empty file"),
]


def _touched(path: Path) -> Path:
    path.touch()
    return path


@ids(FILES)
def test_a_photo_that_is_no_file_is_told(project, capsys, case):
    path = project / "photo.jpg"
    case.make(path)
    _, told = asked(project, capsys, "--image", str(path))
    assert case.told in told, told


NAMES = [
    Case("5,000 letters", "x" * 5000 + ".jpg", "too long"),
    Case("codes of a terminal", "\x1b[2J.jpg", "no such file"),
    Case("bytes that are no text", os.fsdecode(b"caf\xe9.jpg"), "no such file"),
]


@ids(NAMES)
def test_a_photo_of_an_odd_name_is_told(project, capsys, case):
    _, told = asked(project, capsys, "--image", f"{project}/{case.make}")
    assert case.told in told.lower()


@pytest.mark.parametrize("k", [1, 10**6, 10**30])
def test_any_number_of_answers_can_be_asked_for(project, capsys, k):
    hits, _ = asked(project, capsys, "blue", "--top-k", str(k))
    assert len(hits) == min(k, len(CAPTIONS))
