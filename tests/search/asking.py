"""Questions to the search page, as its script sends them."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from scripts.search.page import Runs, make_app
from scripts.search.runs import find_run

OWN = {"Host": "127.0.0.1:8765", "Origin": "http://127.0.0.1:8765"}
RUN = "squares/colours/plain/cosine"


def client_of(project: Path, **options):
    results = project / "results"
    runs = Runs(results, project / "data", keep=options.pop("keep", 4))
    return make_app(runs, find_run(results, {}), **options).test_client()


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


def error_of(reply, status: int) -> str:
    assert reply.status_code == status and reply.mimetype == "application/json"
    told = reply.get_json()
    assert set(told) == {"error"} and "Traceback" not in told["error"]
    return told["error"]
