"""The search page: the engine's answers, to its own page on this machine and to no one else."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from browser import browser, resize
from colour_run import CAPTIONS, ColourEncoder, build_indexes, folders, make_run
from PIL import Image

from scripts.job import BadInput
from scripts.retrieve.arrays import write_arrays
from scripts.search import page
from scripts.search.__main__ import main
from scripts.search.engine import Search, find_run
from scripts.search.page import Runs, is_this_machine, listen, make_app, why_refused
from scripts.search.server import make_server

OWN = {"Host": "127.0.0.1:8765", "Origin": "http://127.0.0.1:8765"}
# keys as WebDriver names them, which selenium need not be there for
BACKSPACE, ENTER, ESCAPE = "\ue003", "\ue007", "\ue00c"
LEFT, UP, RIGHT, DOWN = "\ue012", "\ue013", "\ue014", "\ue015"
RUN = "squares/colours/plain/cosine"


@pytest.fixture
def encoder(monkeypatch):
    """The colour encoder in place of the one that would be loaded."""
    one = ColourEncoder()
    monkeypatch.setattr("scripts.models.encoders.load_encoder", lambda *_, **__: one)
    return one


@pytest.fixture
def project(tmp_path, encoder):
    """data/ and results/ of a finished run on four coloured squares."""
    return make_run(tmp_path)


def client_of(project: Path, **options):
    results = project / "results"
    runs = Runs(results, project / "data", keep=options.pop("keep", 4))
    return make_app(runs, find_run(results, {}), **options).test_client()


@pytest.fixture
def client(project):
    return client_of(project)


def png(colour: tuple[int, int, int] = (250, 0, 0), size: tuple[int, int] = (30, 20)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


def sentence(client, text: str, run: str = RUN, headers=OWN, **wishes):
    return client.post(
        "/api/sentence", query_string={"run": run, **wishes}, data=text.encode(), headers=headers
    )


def picture(client, content: bytes, run: str = RUN, headers=OWN, **wishes):
    return client.post(
        "/api/picture", query_string={"run": run, **wishes}, data=content, headers=headers
    )


def images(answer) -> list[str]:
    return [hit["image"] for hit in answer.get_json()["hits"]]


# ---- answers ----


@pytest.mark.parametrize("find", ["images", "captions"])
@pytest.mark.parametrize("scorer", ["cosine", "upside-down"])
def test_the_answers_are_those_of_the_command_line(project, monkeypatch, capsys, find, scorer):
    from scripts.retrieve import scorers

    upside_down = scorers.Kind(
        fit=lambda params, banks: {},
        map_queries=lambda arrays, features, direction: -features,
        map_gallery=lambda arrays, features, direction: features,
    )
    monkeypatch.setitem(scorers.KINDS, "upside-down", upside_down)
    scorers.save_scorer(project / "results" / RUN / "scorer.npz", scorers.fit(scorer, {}, {}))
    (project / "photo.png").write_bytes(png((250, 100, 0)))
    client = client_of(project)
    for asked, reply in (
        (["red and green"], sentence(client, "red  and green ", find=find, k=3)),
        (
            ["--image", str(project / "photo.png")],
            picture(client, png((250, 100, 0)), find=find, k=3),
        ),
    ):
        arguments = [*asked, "--find", find, "--top-k", "3", "--json", *folders(project)]
        assert main(arguments) == 0
        told = json.loads(capsys.readouterr().out)["results"]
        keys = ("rank", "row", "score", "image", "captions", "caption")
        hits = reply.get_json()["hits"]
        assert [[hit[key] for key in keys] for hit in hits] == [
            [hit[key] for key in keys] for hit in told
        ]


def test_a_sentence_finds_images_and_a_picture_captions_unless_asked_otherwise(client):
    found = sentence(client, "blue", k=2).get_json()
    assert found["find"] == "images" and found["hits"][0]["image"] == "blue.png"
    assert (found["dataset"], found["split"], found["images"], found["captions"]) == (
        "squares", "test", 4, 6,
    )  # fmt: skip
    assert found["encode_ms"] > 0 and found["search_ms"] > 0 and not found["cut"]
    found = picture(client, png((0, 0, 250)), k=2).get_json()
    assert {hit["caption"] for hit in found["hits"]} == set(CAPTIONS["blue.png"])
    assert images(picture(client, png((0, 0, 250)), find="images", k=1)) == ["blue.png"]


def test_an_image_of_the_split_asks_by_its_row(client):
    reply = client.post(
        "/api/image/2", query_string={"run": RUN, "find": "images", "k": 2}, headers=OWN
    )
    assert images(reply) == ["orange.png", "red.png"]
    told = reply.get_json()
    assert told["captions_of_query"] == CAPTIONS["orange.png"]
    shown = client.get(told["picture"], headers=OWN)
    assert shown.mimetype == "image/jpeg"
    assert Image.open(io.BytesIO(shown.data)).getpixel((0, 0))[0] > 240


def test_a_query_that_the_model_cuts_is_told(client):
    assert sentence(client, "red " * 78).get_json()["cut"]


def test_a_run_tells_what_it_holds_and_gives_captions_of_it_as_examples(client):
    told = client.get("/api/run", query_string={"run": RUN}, headers=OWN).get_json()
    assert (told["images"], told["captions"], told["split"]) == (4, 6, "test")
    everything = [text for texts in CAPTIONS.values() for text in texts]
    assert len(told["examples"]) == 4 and set(told["examples"]) <= set(everything)


def test_all_finished_runs_with_features_can_be_asked_and_a_damaged_one_hides_no_other(project):
    make_run(project, prompt="photo", finished=2_000_000.0)
    make_run(project, prompt="gone", finished=3_000_000.0)
    (project / "results/squares/colours/test/texts.gone.npy").unlink()
    make_run(project, prompt="broken", finished=4_000_000.0)
    (project / "results/squares/colours/broken/cosine/scorer.npz").write_bytes(b"")
    runs = Runs(project / "results", project / "data")
    prompts = [run.prompt for run in runs.names().values()]
    assert prompts == ["broken", "photo", "plain"]
    client = make_app(runs, find_run(project / "results", {"prompt": "plain"})).test_client()
    assert sentence(client, "red").status_code == 200
    reply = sentence(client, "red", run="squares/colours/broken/cosine")
    assert reply.status_code == 400 and "scorer.npz" in reply.get_json()["error"]


@pytest.mark.parametrize(
    "content", [b"{}", b"[]", b"null", b"\xff\x00PK", b"", b"1" * 5000, b"[" * 99_999, None],
    ids=lambda content: repr(content)[:16],
)  # fmt: skip
def test_whatever_a_file_of_a_run_holds_the_others_answer_and_it_is_told(project, caplog, content):
    make_run(project, dataset="other", finished=2_000_000.0)
    build_indexes(project, "flat")
    run = project / "results/squares/colours"
    files = [path for path in run.rglob("*") if path.is_file()]
    files += [project / "data/squares" / name for name in ("captions.json", "splits.json")]
    assert len(files) == 12
    for file in files:
        before = file.read_bytes()
        file.unlink()
        file.mkdir() if content is None else file.write_bytes(content)
        runs = Runs(project / "results", project / "data")
        client = make_app(runs, find_run(project / "results", {"dataset": "other"})).test_client()
        client.application.config["PROPAGATE_EXCEPTIONS"] = False
        page_ = client.get("/", headers=OWN).text
        assert '"other/colours/plain/cosine"' in page_
        assert ("metrics.json" in page_) == (file.name == "metrics.json")
        assert sentence(client, "red", run="other/colours/plain/cosine").status_code == 200
        replies = [
            client.get("/api/run", query_string={"run": RUN}, headers=OWN),
            sentence(client, "red"),
            sentence(client, "red", index="flat"),
            picture(client, png(), index="flat"),
        ]
        assert {reply.status_code for reply in replies} <= {200, 400}, file
        assert any(reply.status_code == 400 for reply in replies), file
        file.rmdir() if content is None else file.unlink()
        file.write_bytes(before)
    assert "metrics.json" in caplog.text and "unexpected" not in caplog.text


@pytest.mark.parametrize(
    ("key", "value"),
    [("templates", None), ("templates", 3), ("templates", []), ("templates", ["no place"])],
)
def test_texts_without_their_prompt_are_told(project, client, key, value):
    path = project / "results/squares/colours/test/texts.plain.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    assert "a place {} for the caption" in error_of(sentence(client, "red"), 400)


@pytest.mark.parametrize("partner", ["../../elsewhere", "x" * 5000, "a\0b", ""])
def test_a_fusion_with_what_is_no_model_hides_no_other(project, client, partner):
    make_run(project, prompt="photo")
    path = project / "results/squares/colours/photo/cosine/scorer.npz"
    write_arrays(path, {"kind": np.array("fusion"), "with": np.array([partner])})
    told = error_of(sentence(client, "red", run="squares/colours/photo/cosine"), 400)
    assert "the name of a model" in told and len(told) < 500
    assert sentence(client, "red").status_code == 200


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_or_a_name_that_is_no_text_hides_no_run(project):
    for name in ("pipe", os.fsdecode(b"caf\xe9")):
        make_run(project, dataset=name)
    path = project / "results/pipe/colours/plain/cosine/metrics.json"
    path.unlink()
    os.mkfifo(path)
    text = client_of(project).get("/", headers=OWN).text
    assert RUN in text and "not a plain file" in text and "caf\\udce9" in text


def test_a_run_that_was_made_again_is_read_again(project, client):
    assert images(sentence(client, "red"))[0] == "red.png"
    changed = {"red.png": ["a red square"], "green.png": ["a green square"]}
    make_run(project, captions=changed, finished=2_000_000.0)
    assert sorted(images(sentence(client, "red"))) == ["green.png", "red.png"]


def test_only_so_many_runs_stay_open(project):
    for prompt in ("a", "b", "c"):
        make_run(project, prompt=prompt)
    runs = Runs(project / "results", project / "data", keep=2)
    opened = []
    for prompt in ("a", "b", "a", "c", "a", "b"):
        with runs.asked(f"squares/colours/{prompt}/cosine") as engine:
            opened.append(engine)
    assert opened[0] is opened[2] is opened[4]
    assert opened[1] is not opened[5]


def test_questions_take_turns_at_the_model(client, encoder):
    inside, most, encode = [], [], encoder.encode_texts

    def slow(tokens):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.05)
        inside.pop()
        return encode(tokens)

    encoder.encode_texts = slow
    askers = [threading.Thread(target=sentence, args=(client, "red")) for _ in range(4)]
    for one in askers:
        one.start()
    for one in askers:
        one.join()
    assert len(most) >= 4 and max(most) == 1


def test_who_waits_too_long_is_told_so(project, monkeypatch):
    monkeypatch.setattr(page, "PATIENCE", 0.01)
    runs = Runs(project / "results", project / "data")
    client = make_app(runs, find_run(project / "results", {})).test_client()
    with runs.asked(RUN):
        reply = sentence(client, "red")
    assert reply.status_code == 503 and "busy" in reply.get_json()["error"]
    assert sentence(client, "red").status_code == 200


# ---- through an index ----


def test_the_page_answers_through_an_index_as_the_engine_does_and_says_so(project):
    build_indexes(project, "flat", "two", upto=2)
    client, results = client_of(project), project / "results"
    engine = Search(results, project / "data", find_run(results, {}))
    photo = Image.new("RGB", (30, 20), (0, 0, 250))
    of_row = client.post(f"/api/image/0?run={RUN}&index=two", headers=OWN)
    for reply, hits in (
        (sentence(client, "green", index="two"), engine.by_text("green", index="two")),
        (picture(client, png((0, 0, 250)), index="two"), engine.by_image(photo, index="two")),
        (of_row, engine.by_image(engine.photo_of(0), index="two")),
    ):
        told = reply.get_json()
        assert told["index"] == "two" and told["indexes"] == ["flat", "two"]
        keys = ("rank", "row", "score", "image", "captions", "caption")
        assert [[hit[key] for key in keys] for hit in told["hits"]] == [
            [getattr(hit, key) for key in keys] for hit in hits
        ]
        # it knows no more
        assert len(hits) == 2
    for wishes in ({}, {"index": ""}):
        told = sentence(client, "green", **wishes).get_json()
        assert told["index"] is None and len(told["hits"]) == 4


def test_a_run_tells_its_indexes_and_none_for_another_split(project):
    build_indexes(project, "hnsw", "flat")
    make_run(project, prompt="photo")
    (project / "results/squares/colours/photo/cosine/metrics.json").write_text('{"split": "val"}')
    # of the one run test was measured, of the other val
    runs = Runs(project / "results", project / "data", split="test")
    client = make_app(runs, find_run(project / "results", {}, split="test")).test_client()
    build_indexes(project, "flat", prompt="photo")
    for run, indexes in ((RUN, ["flat", "hnsw"]), ("squares/colours/photo/cosine", [])):
        told = client.get("/api/run", query_string={"run": run}, headers=OWN).get_json()
        assert told["indexes"] == indexes
    reply = sentence(client, "red", run="squares/colours/photo/cosine", index="flat")
    assert "the test split: none" in error_of(reply, 400)


@pytest.mark.parametrize("index", ["hnws", "../cosine/index.flat", "<b>", "x" * 5000])
def test_an_unknown_index_is_refused_with_those_that_there_are(project, index):
    build_indexes(project, "flat", "hnsw")
    client = client_of(project)
    of_row = client.post("/api/image/0", query_string={"run": RUN, "index": index}, headers=OWN)
    for reply in (
        sentence(client, "red", index=index),
        picture(client, png(), index=index),
        of_row,
    ):
        told = error_of(reply, 400)
        assert "flat, hnsw" in told and len(told) < 500


def test_an_index_within_one_side_is_refused_in_words(project):
    build_indexes(project, "flat")
    client = client_of(project)
    for reply in (
        sentence(client, "red", find="captions", index="flat"),
        picture(client, png(), find="images", index="flat"),
    ):
        assert "a side searched with itself" in error_of(reply, 400)


def test_the_page_begins_with_the_index_that_the_command_names(project, monkeypatch, capsys):
    build_indexes(project, "hnsw")
    make_run(project, prompt="photo", finished=2_000_000.0)
    made = []
    monkeypatch.setattr(page, "make_app", lambda *options: made.append(make_app(*options)))
    monkeypatch.setattr("waitress.create_server", lambda *_, **__: SimpleNamespace(run=bool))
    arguments = ["--serve", "--port", "0", *folders(project)]
    for index, run in (("hnsw", RUN), ("", "squares/colours/photo/cosine")):
        assert main([*arguments, *(["--index", index] if index else [])]) == 0
        text = made[-1].test_client().get("/", headers=OWN).text
        setup = json.loads(re.search(r'id="setup">(.*?)</script>', text)[1])
        # the newest run that has it
        assert (setup["index"], setup["first"]) == (index, run)
    assert main([*arguments, "--index", "hnws"]) == 1
    assert "did you mean hnsw?" in capsys.readouterr().err


# ---- strangers ----


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:9000", "LOCALHOST:1", "127.0.0.1:8765", "127.8.8.8", "[::1]:80"],
)
def test_this_machine_is_known_by_its_names(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8765", "192.168.1.7", "",
     "[::1", "[fe80::1]", "evil.example@127.0.0.1.evil", "0.0.0.0:8765",
     "evil.example@127.0.0.1", "127.0.0.1/evil.example", "127.0.0.1#evil.example",
     "127.0.0.1?evil.example", "evil.example:80@localhost", "localhost:80:80", "localhost:",
     "[127.0.0.1", "[localhost]", "127.0.0.1, evil.example", "127.0.0.1\tevil", "localhost\\@evil",
     "１27.0.0.1", "127.0.0.1%00"],
)  # fmt: skip
@pytest.mark.parametrize("address", ["/", "/page.js", f"/api/run?run={RUN}", "/images/a/0"])
def test_a_name_that_someone_points_at_this_machine_is_refused(client, host, address):
    reply = client.get(address, headers={"Host": host})
    assert reply.status_code in (400, 403)
    assert b"squares" not in reply.data


def test_on_a_network_addresses_in_numbers_and_the_machines_own_name_are_taken():
    for host in ("192.168.1.7:8765", "[fe80::1]:8765", "box:8765", "Box", "localhost"):
        assert is_this_machine(host, "box")
    for host in ("evil.example", "box.evil.example", "192.168.1.7.evil.example", ""):
        assert not is_this_machine(host, "box")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "https://127.0.0.1:8765"},
        {"Origin": "http://127.0.0.1:8765", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:8765", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_question_from_another_site_is_refused_before_any_work(client, encoder, headers):
    headers = {"Host": "127.0.0.1:8765", **headers}
    for reply in (
        sentence(client, "red", headers=headers),
        picture(client, png(), headers=headers),
        client.post(f"/api/image/0?run={RUN}", headers=headers),
    ):
        assert reply.status_code == 403 and "search page" in reply.get_json()["error"]
    assert not encoder.asked


def test_from_another_site_one_may_open_the_page_and_fetch_nothing(client):
    sentence(client, "red")
    foreign = {"Host": "localhost", "Sec-Fetch-Site": "cross-site"}
    assert client.get("/?q=red", headers=foreign).status_code == 200
    for address in ("/page.js", f"/api/run?run={RUN}", "/images/x/0", "/han.otf"):
        assert client.get(address, headers=foreign).status_code == 403
    assert client.get("/page.js", headers=foreign | {"Sec-Fetch-Site": "same-origin"}).data


def test_every_answer_forbids_what_the_page_does_not_need(client):
    replies = [
        client.get("/", headers=OWN),
        client.get("/nothing", headers=OWN),
        client.get("/", headers={"Host": "evil.example"}),
        client.options("/api/sentence", headers=OWN),
        sentence(client, "red"),
        sentence(client, ""),
    ]
    for reply in replies:
        policy = reply.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy
        assert "://" not in policy and "*" not in policy
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["X-Frame-Options"] == "DENY"
        assert not [name for name, _ in reply.headers if name.startswith("Access-Control")]


# ---- bad questions ----


def error_of(reply, status: int) -> str:
    assert reply.status_code == status and reply.mimetype == "application/json"
    told = reply.get_json()
    assert set(told) == {"error"} and "Traceback" not in told["error"]
    return told["error"]


def test_a_picture_of_too_many_bytes_is_refused(client):
    assert error_of(picture(client, b"\0" * (page.MAX_UPLOAD + 1)), 413)
    assert "not readable" in error_of(picture(client, b"\0" * page.MAX_UPLOAD), 400)


def test_a_picture_of_too_many_pixels_is_refused(client):
    stream = io.BytesIO()
    Image.new("1", (20_000, 6_000)).save(stream, "PNG")
    assert "20000 x 6000 pixels" in error_of(picture(client, stream.getvalue()), 400)


@pytest.mark.parametrize(
    "content",
    [b"", b"no image", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7",
     b"\xff\xd8\xff\xe0", png()[:-40], b"GIF89a" + b"\0" * 20, b"%!PS-Adobe-3.0 EPSF-3.0"],
)  # fmt: skip
def test_what_is_no_picture_is_refused_in_words(client, content):
    assert "not readable as an image" in error_of(picture(client, content), 400)


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_a_sentence_without_words_is_refused_in_words(client, text):
    assert "no words" in error_of(sentence(client, text), 400)


def test_a_sentence_has_a_longest_length_and_may_be_any_bytes(client):
    assert sentence(client, "x" * page.MAX_QUERY).status_code == 200
    assert "1001 characters" in error_of(sentence(client, "x" * (page.MAX_QUERY + 1)), 413)
    reply = client.post(f"/api/sentence?run={RUN}", data=b"red \xff\xfe", headers=OWN)
    assert images(reply)[0] == "red.png"


@pytest.mark.parametrize("run", ["", "squares", f"../{RUN}", f"{RUN}/", "a/b/c/d", "*/*/*/*"])
def test_a_run_that_is_not_there_is_refused(client, run):
    assert "a finished run" in error_of(sentence(client, "red", run=run), 400)
    assert error_of(client.get("/api/run", query_string={"run": run}, headers=OWN), 400)


@pytest.mark.parametrize("k", ["0", "101", "-1", "x", "", "1e2", "٣", "9" * 5000])
def test_a_number_of_answers_that_cannot_be_is_refused(client, k):
    assert "from 1 to 100" in error_of(sentence(client, "red", k=k), 400)


def test_an_unknown_kind_of_answer_is_refused(client):
    assert "images or captions" in error_of(sentence(client, "red", find="files"), 400)


@pytest.mark.parametrize("row", ["4", "99999999999999999999", "-1", "1.5", "x", "..%2fred.png"])
def test_a_row_that_is_not_there_is_refused(client, row):
    address = sentence(client, "red").get_json()["hits"][0]["picture"].rsplit("/", 1)[0]
    error_of(client.get(f"{address}/{row}", headers=OWN), 404)
    error_of(client.post(f"/api/image/{row}?run={RUN}", headers=OWN), 404)


def test_no_image_is_served_by_name_or_from_rows_that_no_open_run_has(client):
    sentence(client, "red")
    for address in ("/images/red.png", "/images/squares/red.png", f"/images/{'0' * 64}/0",
                    "/images/../../data/squares/captions.json", "/data/squares/images/red.png",
                    "/page.py", "/search.en.yaml", "/page.html.j2"):  # fmt: skip
        error_of(client.get(address, headers=OWN), 404)


def test_an_image_whose_name_leads_out_of_the_dataset_is_not_served(project):
    Image.new("RGB", (8, 8)).save(project / "data" / "squares" / "secret.png")
    runs = Runs(project / "results", project / "data")
    client = make_app(runs, find_run(project / "results", {})).test_client()
    with runs.asked(RUN) as engine:
        engine.rows.images[0] = "../secret.png"
        address = f"/images/{engine.rows.digest}/0"
    assert "inside images/" in error_of(client.get(address, headers=OWN), 400)


def test_large_images_come_small(project, client):
    path = project / "data" / "squares" / "images" / "red.png"
    Image.new("RGBA", (2000, 900), (255, 0, 0, 255)).save(path)
    hit = sentence(client, "red", k=1).get_json()["hits"][0]
    assert Image.open(io.BytesIO(client.get(hit["picture"], headers=OWN).data)).size == (640, 288)


def test_features_of_another_model_are_refused_in_words(project, client):
    (project / "data" / "models" / "colours" / "model.json").write_text('{"other": 1}')
    assert "another version of colours" in error_of(sentence(client, "red"), 400)


def test_a_bug_is_told_without_its_traceback(client, monkeypatch):
    def fail(*_):
        raise RuntimeError("/home/someone/secret")

    monkeypatch.setattr(Search, "best", fail)
    client.application.config["PROPAGATE_EXCEPTIONS"] = False
    told = error_of(sentence(client, "red"), 500)
    assert "secret" not in told and "terminal" in told


# ---- the page ----


@pytest.mark.parametrize(
    ("accepted", "lang", "language"),
    [("zh-CN,zh;q=0.9,en;q=0.5", "", "zh"), ("en-GB,zh;q=0.5", "", "en"), ("fr", "", "en"),
     ("", "", "en"), ("en", "zh", "zh"), ("zh", "xx", "zh")],
)  # fmt: skip
def test_the_page_comes_in_the_browsers_language(client, accepted, lang, language):
    headers = OWN | {"Accept-Language": accepted}
    text = client.get("/", query_string={"lang": lang}, headers=headers).text
    assert f'<html lang="{language}">' in text
    assert {"zh": "图文检索", "en": "Image–text search"}[language] in text


def test_names_of_runs_are_data_in_the_page_and_never_markup(project, client):
    make_run(project, prompt="<script>alert(1)<", scorer="'\"&")
    text = client.get("/", headers=OWN).text
    assert "<script>alert" not in text
    setup = json.loads(re.search(r'id="setup">(.*?)</script>', text)[1])
    assert "<script>alert(1)<" in [run["prompt"] for run in setup["runs"]]


def test_nothing_of_the_page_is_elsewhere(client):
    for address in ("/", "/page.css", "/page.js"):
        text = client.get(address, headers=OWN).text
        assert not re.findall(r"(?:https?:)?//[a-z][\w.-]+\.\w+", text)
        assert "innerHTML" not in text and "style=" not in text and "onclick" not in text


# ---- the server ----


def test_a_port_in_use_gives_way_to_the_next_or_is_told(monkeypatch):
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(page, "PORT", port)
        with listen("127.0.0.1", None) as other:
            assert other.getsockname()[1] > port
        with pytest.raises(BadInput, match=f"--port\n.*{port}: .*in use\n.*a free port"):
            listen("127.0.0.1", port)
        monkeypatch.setattr(page, "PORTS_TRIED", 1)
        with pytest.raises(BadInput, match=str(port)):
            listen("127.0.0.1", None)


def test_a_host_that_is_none_is_told():
    with pytest.raises(BadInput, match=r"--host\n.*no\.such\.host\.invalid"):
        listen("no.such.host.invalid", 0)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org"])
def test_other_machines_are_let_in_only_on_request(project, capsys, host, monkeypatch):
    monkeypatch.setattr(page, "listen", lambda *_: pytest.fail("listened"))
    assert main(["--serve", "--host", host, *folders(project)]) == 1
    assert "--allow-network" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--serve", "red"], ["--serve", "--json"], ["--serve", "--image", "x.png"],
                  ["--serve", "--save", "x.png"], ["--serve", "--port", "70000"]],
)  # fmt: skip
def test_what_does_not_go_with_the_page_ends_in_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2


def test_before_any_run_there_is_nothing_to_serve(tmp_path, capsys):
    assert main(["--serve", *folders(tmp_path)]) == 1
    assert "./run for the demo" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("screen", "terminal", "opened"), [(True, True, 1), (False, True, 0), (True, False, 0)]
)
def test_a_browser_opens_only_for_someone_at_a_screen(monkeypatch, screen, terminal, opened):
    addresses = []
    monkeypatch.setattr("webbrowser.open", addresses.append)
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if screen:
        monkeypatch.setenv("DISPLAY", ":0")
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}", type("", (), {"isatty": lambda self: terminal})())
    page.open_browser("http://127.0.0.1:1/")
    assert len(addresses) == opened


@pytest.mark.parametrize("network", [False, True])
def test_the_command_serves_the_page_and_ends_quietly_with_ctrl_c(project, network):
    more = ["--host", "0.0.0.0", "--allow-network"] if network else []
    command = [sys.executable, "-m", "scripts.search", "--serve", "--port", "0", *more]
    process = subprocess.Popen(
        [*command, *folders(project)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=project,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        address = re.search(r"http://([^/]+):(\d+)/", line)
        with urllib.request.urlopen(f"http://127.0.0.1:{address[2]}/", timeout=30) as reply:
            assert "squares" in reply.read().decode()
            # the server does not tell what it is made of
            assert "waitress" not in str(reply.headers).lower()
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    if network:
        assert errors.startswith("WARNING: whoever reaches") and errors.count("\n") == 1
    else:
        assert address[1] == "127.0.0.1" and errors == ""


# ---- in a browser ----


@dataclass
class Opened:
    """A served page, and the browser that shows it."""

    driver: Any
    address: str
    project: Path

    def open(self, place: str = "/") -> None:
        self.driver.get(self.address + place)
        # the run has been opened
        self.until(lambda: self.text("scope") or self.text("trouble"))

    def one(self, id_: str):
        return self.driver.find_element("id", id_)

    def text(self, id_: str) -> str:
        return self.one(id_).text

    def all(self, selector: str) -> list:
        return self.driver.find_elements("css selector", selector)

    def press(self, *keys: str) -> None:
        self.driver.switch_to.active_element.send_keys(*keys)

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def until(self, holds):
        """Wait until it holds; what stands there meanwhile may go while it is looked at."""
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        waiting = WebDriverWait(
            self.driver, 20, 0.05, ignored_exceptions=[StaleElementReferenceException]
        )
        return waiting.until(lambda _: holds())

    def shows(self, *captions: str) -> None:
        """Wait until these captions are the first results."""
        wanted = list(captions)
        self.until(lambda: [c.text for c in self.all("#hits .caption")][: len(wanted)] == wanted)

    def choose_index(self, name: str) -> None:
        self.one("index").find_element("css selector", f'option[value="{name}"]').click()

    def index(self) -> tuple[str, bool, bool]:
        """The index that the page shows, whether it can be chosen, and whether it is seen."""
        one = self.one("index")
        return one.get_property("value"), one.is_enabled(), one.is_displayed()

    def choose_run(self, prompt: str) -> None:
        self.one("run").find_element("css selector", f'option[value*="/{prompt}/"]').click()


MARKUP = "<img src=x onerror=\"document.title='run'\"> <b>red</b> & co"
RED, GREEN, BLUE = "a red square", "a green square", "a blue square"


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """One browser for all tests of this file: to start one takes a second."""
    with browser(tmp_path_factory.mktemp("browser")) as one:
        yield one


@pytest.fixture
def opened(driver, tmp_path, encoder, request):
    """The page of two runs, and of a dataset with markup in its captions.

    The first run has an index "two" of two of its images. A parameter is the index to begin with.
    """
    project = make_run(tmp_path, prompt="plain", finished=3_000_000.0)
    build_indexes(project, "two", upto=2)
    make_run(project, prompt="photo", templates=("not green: {}",), finished=2_000_000.0)
    make_run(
        project, dataset="marked", prompt="markup", captions={"red.png": [MARKUP, MARKUP]},
        finished=1_000_000.0,
    )  # fmt: skip
    results = project / "results"
    index = getattr(request, "param", None)
    app = make_app(Runs(results, project / "data"), find_run(results, {}), index)
    listener = listen("127.0.0.1", 0)
    server = make_server(app, listener, why_refused, page.MAX_UPLOAD, page.HEADERS)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    page_ = Opened(driver, address, project)
    driver.get(address)
    page_.run("localStorage.clear()")
    driver.get_log("browser")
    yield page_
    driver.get("about:blank")
    server.close()


def test_one_types_a_sentence_and_sees_its_images(opened):
    opened.open()
    assert opened.text("scope") == "4 images and 6 captions, test split of squares"
    opened.press("red")
    opened.shows(RED, CAPTIONS["orange.png"][0])
    assert opened.text("status").startswith("Best 4 of 4 images · encoded in ")
    assert opened.driver.title == "red · Image–text search"
    scores = [float(line.text.split()[1]) for line in opened.all("#hits .line")]
    assert scores == sorted(scores, reverse=True) and scores[0] == pytest.approx(1, abs=2e-3)
    opened.until(
        lambda: opened.run("return [...document.images].every((i) => !i.src || i.naturalWidth)")
    )
    opened.press(BACKSPACE * 3, "blue")
    opened.shows(BLUE)


def test_an_address_brings_the_same_answers_back(opened):
    opened.open()
    opened.press("green", ENTER)
    opened.shows(GREEN)
    address = opened.driver.current_url
    opened.open()
    opened.driver.get(address)
    opened.shows(GREEN)
    assert opened.one("query").get_property("value") == "green"
    opened.open("/?q=blue&find=captions&k=5&run=squares/colours/photo/cosine")
    opened.shows(BLUE)
    assert opened.one("run").get_property("value") == "squares/colours/photo/cosine"
    assert opened.one("count").get_property("value") == "5"
    assert len(opened.all("#hits.captions > li")) == 5


def test_an_address_that_makes_no_sense_shows_an_empty_page(opened):
    opened.open("/?image=99999&k=7&find=x&run=nothing&q=")
    opened.until(lambda: "no image 99999" in opened.text("trouble"))
    opened.open("/?image=x&k=7&find=x&run=nothing&q=%20")
    assert opened.one("count").get_property("value") == "10" and not opened.text("trouble")
    assert opened.all("#examples button")


def test_an_example_can_be_asked_and_its_own_image_is_marked(opened):
    opened.open()
    example = next(one for one in opened.all("#examples button") if one.text == RED)
    example.click()
    opened.shows(RED)
    assert [mark.text for mark in opened.all("#hits .own")] == ["✓ the query's own picture"]
    assert not opened.one("begin").is_displayed()


def test_a_chosen_picture_finds_captions_and_a_word_images_again(opened, tmp_path):
    (tmp_path / "mine.png").write_bytes(png((0, 0, 250)))
    opened.open()
    opened.one("file").send_keys(str(tmp_path / "mine.png"))
    opened.shows(*CAPTIONS["blue.png"])
    assert opened.text("status").startswith("Best 6 of 6 captions")
    assert "mine.png" in opened.text("seen")
    opened.one("query").send_keys("red")
    opened.shows(RED, CAPTIONS["orange.png"][0])
    assert not opened.one("seen").is_displayed() and not opened.one("asked").is_displayed()


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_can_be_dropped_and_pasted(opened, way):
    opened.open()
    content = list(png((0, 250, 0)))
    opened.run(
        """
        const [content, way] = arguments, data = new DataTransfer();
        data.items.add(new File([new Uint8Array(content)], "green.png"));
        const options = { bubbles: true, cancelable: true };
        options.dataTransfer = options.clipboardData = data;
        if (way === "paste") {
          document.body.dispatchEvent(new ClipboardEvent("paste", options));
        } else {
          document.body.dispatchEvent(new DragEvent("dragenter", options));
          window.wasShown = !document.getElementById("drop").hidden;
          document.body.dispatchEvent(new DragEvent("drop", options));
        }
        """,
        content,
        way,
    )
    opened.shows(GREEN)
    assert not opened.one("drop").is_displayed()
    assert way == "paste" or opened.run("return window.wasShown")


def test_a_click_on_an_image_searches_with_it_and_back_returns(opened):
    opened.open()
    opened.press("red", ENTER)
    opened.shows(RED)
    opened.all("#hits .picture")[0].click()
    opened.shows(*reversed(CAPTIONS["red.png"]))
    assert CAPTIONS["red.png"][1] in opened.text("seen")
    assert len(opened.all("#hits .right")) == 2 and "image=3" in opened.driver.current_url
    opened.driver.back()
    opened.shows(RED, CAPTIONS["orange.png"][0])
    assert opened.one("query").get_property("value") == "red"
    opened.driver.forward()
    opened.shows(*reversed(CAPTIONS["red.png"]))
    opened.one("forget").click()
    opened.until(lambda: not opened.all("#hits li"))


def test_another_run_answers_the_same_question_otherwise(opened):
    opened.open()
    opened.press("red", ENTER)
    opened.shows(RED, CAPTIONS["orange.png"][0])
    scores = [line.text for line in opened.all("#hits .line")]
    # its prompt names green in every query
    opened.choose_run("photo")
    opened.shows(CAPTIONS["orange.png"][0])
    assert [line.text for line in opened.all("#hits .line")] != scores
    opened.choose_run("plain")
    opened.shows(RED)
    assert [line.text for line in opened.all("#hits .line")] == scores


def test_an_index_is_chosen_and_the_address_keeps_it(opened):
    opened.open("/?q=green")
    opened.shows(GREEN)
    assert opened.index() == ("", True, True) and "through" not in opened.text("status")
    opened.choose_index("two")
    opened.until(lambda: len(opened.all("#hits > li")) == 2)
    assert opened.text("status").startswith("Best 2 of 4 images · through two · encoded in ")
    assert "index=two" in opened.driver.current_url
    opened.driver.refresh()
    opened.shows(GREEN, BLUE)
    assert opened.index() == ("two", True, True)
    assert "through two" in opened.text("status")
    opened.one("language").click()
    assert " · 经 two · " in opened.text("status")
    assert opened.text("through").startswith("检索方式\n全部（精确）")
    opened.choose_index("")
    opened.until(lambda: len(opened.all("#hits > li")) == 4)
    assert "index" not in opened.driver.current_url
    opened.driver.back()
    opened.until(lambda: len(opened.all("#hits > li")) == 2)
    assert opened.index() == ("two", True, True)


def test_within_one_side_no_index_answers_until_the_other_is_asked_again(opened):
    opened.open("/?q=green&index=two")
    opened.shows(GREEN, BLUE)
    opened.all("input[value=captions]")[0].click()
    opened.until(lambda: opened.text("status").startswith("Best 6 of 6 captions · encoded"))
    assert opened.index() == ("", False, True)
    opened.driver.refresh()
    opened.until(lambda: opened.text("status").startswith("Best 6 of 6 captions · encoded"))
    assert opened.index() == ("", False, True)
    opened.all("#hits .picture")[0].click()
    opened.until(lambda: "Best 2 of 6 captions · through two" in opened.text("status"))
    assert opened.index() == ("two", True, True)


def test_an_index_stays_with_another_run_that_has_it_and_else_everything_is_compared(opened):
    build_indexes(opened.project, "two", prompt="photo", upto=1)
    opened.open("/?q=green&index=two")
    opened.shows(GREEN, BLUE)
    opened.choose_run("photo")
    opened.until(lambda: len(opened.all("#hits > li")) == 1)
    assert opened.index() == ("two", True, True) and "index=two" in opened.driver.current_url
    opened.choose_run("markup")
    opened.shows(MARKUP)
    assert opened.index() == ("", True, False) and "index" not in opened.driver.current_url
    assert "through" not in opened.text("status")
    opened.choose_run("plain")
    opened.shows(GREEN, CAPTIONS["orange.png"][0])
    assert opened.index() == ("", True, True)


@pytest.mark.parametrize("opened", ["two"], indirect=True)
def test_a_page_that_was_started_with_an_index_begins_with_it(opened):
    opened.open("/?q=green")
    opened.shows(GREEN, BLUE)
    assert opened.index() == ("two", True, True)
    opened.choose_index("")
    opened.shows(GREEN, CAPTIONS["orange.png"][0])
    # an address without a word of it would bring the index back
    opened.driver.refresh()
    opened.shows(GREEN, CAPTIONS["orange.png"][0])
    assert opened.index() == ("", True, True)
    opened.open("/?q=red&run=marked/colours/markup/cosine")
    opened.shows(MARKUP)
    assert opened.index() == ("", True, False)


def test_captions_made_of_markup_show_as_text(opened):
    opened.open("/?q=red&run=marked/colours/markup/cosine")
    opened.shows(MARKUP)
    opened.all("#hits summary")[0].click()
    assert opened.all("#hits details li")[0].text == MARKUP
    opened.all("#hits .picture")[0].click()
    opened.shows(MARKUP, MARKUP)
    assert MARKUP in opened.text("seen")
    assert not opened.all("#hits b b, .caption *, figcaption img")
    opened.open("/?run=marked/colours/markup/cosine")
    assert opened.until(lambda: opened.all("#examples button"))[0].text == MARKUP
    opened.open(f"/?q={quote(MARKUP)}")
    opened.until(lambda: opened.all("#hits li"))
    assert opened.driver.title == f"{MARKUP} · Image–text search"
    assert not opened.all("img[src='x']")


def test_no_request_leaves_the_page_and_the_browser_finds_no_fault(opened, tmp_path):
    (tmp_path / "mine.png").write_bytes(png())
    opened.driver.get_log("performance")
    opened.open()
    opened.press("red 红", ENTER)
    opened.shows(RED)
    opened.one("language").click()
    opened.all("#hits .picture")[0].click()
    opened.shows(*reversed(CAPTIONS["red.png"]))
    opened.one("file").send_keys(str(tmp_path / "mine.png"))
    opened.until(lambda: "mine.png" in opened.text("seen"))
    messages = [
        json.loads(entry["message"])["message"] for entry in opened.driver.get_log("performance")
    ]
    asked = {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }
    assert any("/api/sentence" in url for url in asked) and any("/images/" in url for url in asked)
    assert [
        url for url in asked if not url.startswith((f"{opened.address}/", "blob:", "data:"))
    ] == []
    assert opened.driver.get_log("browser") == []


def test_the_page_works_from_the_keyboard(opened):
    opened.open()
    assert opened.driver.switch_to.active_element == opened.one("query")
    opened.press("red", ENTER)
    opened.shows(RED)
    opened.press(DOWN)
    pictures = opened.all("#hits .picture")
    assert opened.driver.switch_to.active_element == pictures[0]
    opened.press(RIGHT)
    assert opened.driver.switch_to.active_element == pictures[1]
    opened.press(LEFT, UP)
    assert opened.driver.switch_to.active_element == opened.one("query")
    opened.press(DOWN, RIGHT)
    opened.press(ENTER)
    opened.shows(CAPTIONS["orange.png"][0])
    assert "image=2" in opened.driver.current_url
    opened.one("count").send_keys("/")
    assert opened.driver.switch_to.active_element == opened.one("query")
    opened.press(ESCAPE)
    opened.until(lambda: not opened.all("#hits li"))
    assert opened.one("begin").is_displayed()


def test_the_language_is_switched_and_remembered(opened):
    opened.open("/?q=red")
    opened.shows(RED)
    opened.one("language").click()
    assert opened.text("scope") == "squares 的 test 划分：4 张图片，6 条描述"
    assert opened.text("status").startswith("4 张图片中最相似的 4 张 · 编码")
    assert opened.run("return document.documentElement.lang") == "zh"
    opened.open()
    assert opened.all("h1")[0].text == "图文检索"
    opened.one("language").click()
    assert opened.all("h1")[0].text == "Image–text search"


def test_what_goes_wrong_is_told_on_the_page(opened, tmp_path):
    (tmp_path / "no.png").write_bytes(b"no image")
    (tmp_path / "large.png").write_bytes(b"\0" * (page.MAX_UPLOAD + 1))
    opened.open()
    opened.one("file").send_keys(str(tmp_path / "no.png"))
    opened.until(lambda: "not readable as an image" in opened.text("trouble"))
    assert opened.text("trouble").startswith("The picture cannot be used.")
    opened.one("file").send_keys(str(tmp_path / "large.png"))
    opened.until(lambda: opened.text("trouble") == "The picture is larger than 20 MB.")
    opened.one("query").send_keys("red")
    opened.shows(RED)
    assert not opened.one("trouble").is_displayed()
    (opened.project / "data/models/colours/model.json").write_text('{"other": 1}')
    opened.one("query").send_keys(" blue", ENTER)
    opened.until(lambda: "another version of colours" in opened.text("trouble"))
    assert not opened.all("#hits li")


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_page_fits_its_window(opened, width):
    resize(opened.driver, width, 900)
    try:
        for place in ("/", "/?q=red", "/?image=3", "/?lang=zh&image=3"):
            opened.open(place)
            opened.until(lambda place=place: place == "/" or opened.all("#hits li"))
            assert opened.run("return document.documentElement.scrollWidth") <= width
    finally:
        resize(opened.driver, 1280, 860)
