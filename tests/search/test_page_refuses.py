"""Whom the search page lets in, and what it says to a question that is none."""

from __future__ import annotations

import io

import pytest
from asking import OWN, RUN, error_of, images, picture, png, sentence
from PIL import Image

from scripts.search import page
from scripts.search.engine import Search
from scripts.search.page import Runs, is_this_machine, make_app
from scripts.search.runs import find_run

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
