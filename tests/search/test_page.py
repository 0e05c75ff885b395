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
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from asking import OWN, RUN, client_of, error_of, images, picture, png, sentence
from colour_run import CAPTIONS, build_indexes, folders, make_run
from patience import LONG
from PIL import Image

from scripts.job import BadInput
from scripts.retrieve.arrays import write_arrays
from scripts.search import addresses, page
from scripts.search.__main__ import main
from scripts.search.addresses import listen
from scripts.search.engine import Search
from scripts.search.page import Beginning, Runs, make_app
from scripts.search.runs import find_run

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
    assert (found["dataset"], found["splits"], found["images"], found["captions"]) == (
        "squares", ["test"], 4, 6,
    )  # fmt: skip
    assert found["encode_ms"] > 0 and found["search_ms"] > 0 and not found["cut"]
    found = picture(client, png((0, 0, 250)), k=2).get_json()
    assert {hit["caption"] for hit in found["hits"]} == set(CAPTIONS["blue.png"])
    assert images(picture(client, png((0, 0, 250)), find="images", k=1)) == ["blue.png"]


def test_an_image_of_the_split_asks_by_its_row(client):
    reply = client.post(
        "/api/image/test/2", query_string={"run": RUN, "find": "images", "k": 2}, headers=OWN
    )
    assert images(reply) == ["orange.png", "red.png"]
    told = reply.get_json()
    assert told["captions_of_query"] == CAPTIONS["orange.png"]
    shown = client.get(told["picture"], headers=OWN)
    assert shown.mimetype == "image/jpeg"
    assert Image.open(io.BytesIO(shown.data)).getpixel((0, 0))[0] > 240


def test_a_query_that_the_model_cuts_is_told(client):
    assert sentence(client, "red " * 78).get_json()["cut"]


def test_a_query_in_letters_that_no_caption_has_is_told(client):
    assert sentence(client, "雪地").get_json()["foreign"]
    assert not sentence(client, "red").get_json()["foreign"]


def test_a_run_tells_what_it_holds_and_gives_captions_of_it_as_examples(client):
    told = client.get("/api/run", query_string={"run": RUN}, headers=OWN).get_json()
    assert (told["images"], told["captions"], told["splits"]) == (4, 6, ["test"])
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
    client = make_app(
        runs, Beginning(find_run(project / "results", {"prompt": "plain"}))
    ).test_client()
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
        begin = Beginning(find_run(project / "results", {"dataset": "other"}))
        client = make_app(runs, begin).test_client()
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
    client = make_app(runs, Beginning(find_run(project / "results", {}))).test_client()
    with runs.asked(RUN):
        reply = sentence(client, "red")
    assert reply.status_code == 503 and "busy" in reply.get_json()["error"]
    assert sentence(client, "red").status_code == 200


# ---- in one split or several ----


def test_the_page_looks_through_every_split_or_one_and_asks_with_an_image_of_any(project):
    names = {"train": ["blue.png", "green.png"], "val": ["orange.png"], "test": ["red.png"]}
    make_run(project, splits=names)
    (project / "results/squares/colours/train/images.npy").unlink()
    client = client_of(project)

    def found(reply):
        return [(hit["split"], hit["row"], hit["image"]) for hit in reply.get_json()["hits"]]

    both = [("test", 0, "red.png"), ("val", 0, "orange.png")]
    assert found(sentence(client, "red")) == both
    assert found(sentence(client, "red", split="val")) == both[1:]
    wishes = {"run": RUN, "split": "val", "find": "images"}
    reply = client.post("/api/image/test/0", query_string=wishes, headers=OWN)
    assert found(reply) == both[1:]
    assert reply.get_json()["captions_of_query"] == CAPTIONS["red.png"]
    for hit in sentence(client, "red").get_json()["hits"]:
        shown = Image.open(io.BytesIO(client.get(hit["picture"], headers=OWN).data))
        assert (shown.getpixel((0, 0))[1] > 100) == (hit["image"] == "orange.png")
    told = client.get("/api/run", query_string={"run": RUN}, headers=OWN).get_json()
    assert (told["splits"], told["images"], told["captions"]) == (["test", "val"], 2, 3)
    assert told["rest"] == {"train": 2} and "train/images.npy" in told["encoding"]
    others = client_of(project, network_name="box")
    told = others.get("/api/run", query_string={"run": RUN}, headers=OWN).get_json()
    assert (told["rest"], told["encoding"]) == ({}, "")
    setup = json.loads(
        re.search(r'id="setup">(.*?)</script>', client.get("/", headers=OWN).text)[1]
    )
    assert setup["runs"][0]["splits"] == ["val", "test"] and setup["split"] == ""
    one = client.get("/api/run", query_string={"run": RUN, "split": "val"}, headers=OWN).get_json()
    assert (one["splits"], one["rest"], one["encoding"]) == (["val"], {}, "")
    # it is found as soon as it is there
    make_run(project, splits=names)
    assert len(found(sentence(client, "red"))) == 4


@pytest.mark.parametrize("split", ["all", "tets", "../test", "x" * 5000])
def test_a_split_that_is_none_is_refused(client, split):
    told = error_of(sentence(client, "red", split=split), 400)
    assert "train or val or test" in told and len(told) < 500
    assert error_of(client.post(f"/api/image/{split}/0?run={RUN}", headers=OWN), 404)


def test_a_split_that_is_not_encoded_is_told_before_the_page_opens(project, capsys):
    assert main(["--serve", "--split", "val", *folders(project)]) == 1
    assert "one that squares has: test" in capsys.readouterr().err


# ---- through an index ----


def test_the_page_answers_through_an_index_as_the_engine_does_and_says_so(project):
    build_indexes(project, "flat", "two", upto=2)
    client, results = client_of(project), project / "results"
    engine = Search(results, project / "data", find_run(results, {}))
    photo = Image.new("RGB", (30, 20), (0, 0, 250))
    of_row = client.post(f"/api/image/test/0?run={RUN}&index=two", headers=OWN)
    for reply, hits in (
        (sentence(client, "green", index="two"), engine.by_text("green", index="two")),
        (picture(client, png((0, 0, 250)), index="two"), engine.by_image(photo, index="two")),
        (of_row, engine.by_image(engine.photo_of("test", 0), index="two")),
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
    # of the one run test was measured, of the other val, which is not encoded
    client = client_of(project)
    build_indexes(project, "flat", prompt="photo")
    for run, indexes in ((RUN, ["flat", "hnsw"]), ("squares/colours/photo/cosine", [])):
        told = client.get("/api/run", query_string={"run": run}, headers=OWN).get_json()
        assert told["indexes"] == indexes
    reply = sentence(client, "red", run="squares/colours/photo/cosine", index="flat")
    assert "one of val, of which indexes are built" in error_of(reply, 400)


@pytest.mark.parametrize("index", ["hnws", "../cosine/index.flat", "<b>", "x" * 5000])
def test_an_unknown_index_is_refused_with_those_that_there_are(project, index):
    build_indexes(project, "flat", "hnsw")
    client = client_of(project)
    of_row = client.post(
        "/api/image/test/0", query_string={"run": RUN, "index": index}, headers=OWN
    )
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
        monkeypatch.setattr(addresses, "PORT", port)
        with listen("127.0.0.1", None) as other:
            assert other.getsockname()[1] > port
        with pytest.raises(BadInput, match=f"--port\n.*{port}: .*in use\n.*a free port"):
            listen("127.0.0.1", port)
        monkeypatch.setattr(addresses, "PORTS_TRIED", 1)
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
    opened_at = []
    monkeypatch.setattr("webbrowser.open", opened_at.append)
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if screen:
        monkeypatch.setenv("DISPLAY", ":0")
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}", type("", (), {"isatty": lambda self: terminal})())
    addresses.open_browser("http://127.0.0.1:1/")
    assert len(opened_at) == opened


@pytest.mark.parametrize("network", [False, True])
def test_the_command_serves_the_page_and_ends_quietly_with_ctrl_c(project, network):
    more = ["--host", "0.0.0.0", "--allow-network"] if network else []
    command = [sys.executable, "-m", "scripts.search", "--serve", "--port", "0", *more]
    process = subprocess.Popen(
        [*command, *folders(project)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=project,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        address = re.search(r"http://([^/]+):(\d+)/", line)
        with urllib.request.urlopen(f"http://127.0.0.1:{address[2]}/", timeout=LONG) as reply:
            assert "squares" in reply.read().decode()
            # the server does not tell what it is made of
            assert "waitress" not in str(reply.headers).lower()
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=LONG)
    assert process.returncode == 0
    if network:
        assert errors.startswith("WARNING: whoever reaches") and errors.count("\n") == 1
    else:
        assert address[1] == "127.0.0.1" and errors == ""
