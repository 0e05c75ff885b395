"""Questions to a finished run, asked through an encoder that knows three colours."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from colour_run import CAPTIONS, ColourEncoder, build_indexes, folders, make_run
from PIL import Image

from scripts.job import BadInput
from scripts.retrieve.indexes import build, write_index
from scripts.retrieve.scorers import fit, save_scorer
from scripts.search.__main__ import main
from scripts.search.engine import Models, Search
from scripts.search.queries import decode_photo
from scripts.search.runs import find_run


def engine_of(project: Path) -> Search:
    results = project / "results"
    return Search(results, project / "data", find_run(results, {}))


def test_a_sentence_finds_images_best_first(project, encoder):
    hits = engine_of(project).by_text("something red", k=3)
    assert [hit.image for hit in hits] == ["red.png", "orange.png", "blue.png"]
    assert [hit.rank for hit in hits] == [1, 2, 3]
    # orange is (1, 0.5, 0) in length sqrt(1.25)
    assert hits[0].score == pytest.approx(1, abs=1e-3)
    assert hits[1].score == pytest.approx(1 / 1.25**0.5, abs=0.01)
    assert hits[0].captions == CAPTIONS["red.png"] and hits[0].caption is None


def test_of_features_that_were_made_elsewhere_no_new_sentence_can_be_encoded(project, capsys):
    provenance = project / "data/models/colours/model.json"
    provenance.write_text(json.dumps({"source": "features"}), "utf-8")
    for sidecar in (project / "results").glob("squares/colours/*/*.json"):
        about = json.loads(sidecar.read_text("utf-8"))
        about["model"] = hashlib.sha256(provenance.read_bytes()).hexdigest()
        sidecar.write_text(json.dumps(about), "utf-8")
    assert main(["something red", "--results", str(project / "results")]) == 1
    said = capsys.readouterr().err
    assert "features that were made elsewhere, and no model" in said and "with --model" in said


def test_a_photo_finds_captions(project, encoder):
    hits = engine_of(project).by_image(Image.new("RGB", (30, 20), (0, 0, 250)), k=2)
    assert {hit.caption for hit in hits} == set(CAPTIONS["blue.png"])
    assert {hit.image for hit in hits} == {"blue.png"}


def test_a_photo_finds_images_and_a_sentence_finds_captions_when_asked_to(project, encoder):
    engine = engine_of(project)
    photo = Image.new("RGB", (8, 8), (250, 120, 0))
    assert [hit.image for hit in engine.by_image(photo, 2, "images")] == ["orange.png", "red.png"]
    assert engine.by_text("green", 1, "captions")[0].caption == "a green square"


def test_the_query_goes_through_every_template_of_the_prompt(tmp_path, encoder):
    make_run(tmp_path, prompt="ensemble", templates=("{}", "a photo of {}"))
    engine_of(tmp_path).by_text("red")
    assert encoder.asked == ["red", "a photo of red"]


def test_the_scorer_of_the_run_decides(project, encoder, monkeypatch):
    from scripts.retrieve import scorers

    upside_down = scorers.Kind(
        fit=lambda params, banks: {},
        map_queries=lambda arrays, features, direction: -features,
        map_gallery=lambda arrays, features, direction: features,
    )
    monkeypatch.setitem(scorers.KINDS, "upside-down", upside_down)
    run = project / "results" / "squares" / "colours" / "plain" / "cosine"
    save_scorer(run / "scorer.npz", fit("upside-down", {}, {}))
    assert engine_of(project).by_text("red")[-1].image == "red.png"


def fuse(project: Path, other: str, weights: tuple[float, float]) -> None:
    """Turn the run into a fusion with another model, which has to be there."""
    run = project / "results" / "squares" / "colours" / "plain" / "cosine"
    fusion = {"kind": "fusion", "with": other, "width": 3, "weight": weights}
    save_scorer(run / "scorer.npz", {name: np.array(value) for name, value in fusion.items()})


def test_a_fusion_asks_both_models(project, encoder, monkeypatch):
    class BlueIsRed(ColourEncoder):
        """A model that has the names of two colours the wrong way round."""

        def encode_texts(self, tokens):
            return super().encode_texts(tokens)[:, [2, 1, 0]]

    make_run(project, model="other", finished=1000)
    monkeypatch.setattr(
        "scripts.models.encoders.load_encoder",
        lambda folder, **_: BlueIsRed() if folder.name == "other" else encoder,
    )
    fuse(project, "other", (0.75, 0.5))
    hits = engine_of(project).by_text("red")
    scores = {hit.image: hit.score for hit in hits}
    assert [hits[0].image, hits[1].image] == ["red.png", "orange.png"]
    assert scores["red.png"] == pytest.approx(0.75, abs=0.02)
    assert scores["blue.png"] == pytest.approx(0.25, abs=0.02)
    photo = Image.new("RGB", (8, 8), (255, 0, 0))
    found = engine_of(project).by_image(photo, 1)[0]
    # both models have the captions that they encoded themselves, with the right names
    assert found.image == "red.png" and found.score == pytest.approx(1, abs=1e-3)
    # among images, each model's cosine counts alike
    assert engine_of(project).by_image(photo, 1, "images")[0].score == pytest.approx(1, abs=1e-3)


def test_a_fusion_whose_other_model_has_no_features_names_the_command_that_makes_them(project):
    fuse(project, "other", (0.5, 0.5))
    with pytest.raises(BadInput, match=r"snakemake results/squares/other/test/images\.npy"):
        engine_of(project)


def test_one_engine_answers_many_queries_and_reads_its_files_once(project, encoder):
    engine = engine_of(project)
    first = engine.by_text("red")
    (project / "results" / "squares" / "colours" / "test" / "images.npy").unlink()
    assert engine.by_text("red") == first
    assert engine.by_text("blue")[0].image == "blue.png"


def test_more_answers_than_there_are_give_all_of_them(project, encoder):
    assert len(engine_of(project).by_text("red", k=99)) == len(CAPTIONS)


def test_features_of_another_model_are_refused(project, encoder):
    (project / "data" / "models" / "colours" / "model.json").write_text('{"other": 1}')
    with pytest.raises(BadInput, match="another version of colours"):
        engine_of(project).by_text("red")
    with pytest.raises(BadInput, match="another version of colours"):
        engine_of(project).by_image(Image.new("RGB", (8, 8)))


def test_a_wrong_data_folder_is_told_and_no_run_blamed(project, encoder):
    results = project / "results"
    engine = Search(results, project / "elsewhere", find_run(results, {}))
    with pytest.raises(BadInput, match=r"squares/splits\.json\n.*no such file\n(.*\n)*.*--data"):
        engine.by_text("red")


def test_a_caption_takes_one_line_and_cannot_drive_the_terminal(tmp_path, encoder, capsys):
    caption = "a red\rsquare\u2028of\x0bclay \x1b[2J\x9b2J"
    project = make_run(tmp_path, captions={"red.png": [caption]})
    assert main(["red", *folders(project)]) == 0
    name, below = capsys.readouterr().out.removesuffix("\n").splitlines()
    assert name.endswith("red.png") and below.strip() == "a red square of clay \\x1b[2J\\x9b2J"


def test_an_index_answers_and_is_named(project, encoder, capsys, monkeypatch):
    run = build_indexes(project, "flat", "other.one")
    exact = engine_of(project)
    monkeypatch.setattr("scripts.retrieve.ranking.top_k", lambda *_: pytest.fail("asked exactly"))
    results = project / "results"
    through = Search(results, project / "data", find_run(results, {}, index="other.one"))
    photo = Image.new("RGB", (8, 8), (0, 0, 250))
    found = [
        through.by_text("something red", 2, index="other.one"),
        through.by_image(photo, 2, index="other.one"),
    ]
    monkeypatch.undo()
    monkeypatch.setattr("scripts.models.encoders.load_encoder", lambda *_, **__: encoder)
    for hits, expected in zip(
        found, [exact.by_text("something red", 2), exact.by_image(photo, 2)], strict=True
    ):
        assert [hit.image for hit in hits] == [hit.image for hit in expected]
        # captions that tie may come in either order
        assert {hit.caption for hit in hits} == {hit.caption for hit in expected}
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in expected])
    assert main(["red", "--index", "flat", *folders(project)]) == 0
    assert "through the index flat" in capsys.readouterr().err
    assert main(["red", "--index", "flat", "--json", *folders(project)]) == 0
    assert json.loads(capsys.readouterr().out)["index"] == "flat"
    # what an index did not find is no answer
    fewer = build("flat", {}, np.eye(3, dtype=np.float32)[:1])
    about = json.loads((run / "index.flat.text_to_image.json").read_text())
    path = run / "index.flat.text_to_image.faiss"
    write_index(path, path.with_suffix(".json"), fewer, about)
    monkeypatch.setattr(
        "scripts.retrieve.indexes.search",
        lambda *_: (np.array([[3, -1]]), np.array([[0.5, -np.inf]], dtype=np.float32)),
    )
    found = engine_of(project).by_text("red", 2, index="flat")
    assert [hit.image for hit in found] == ["red.png"]


def test_an_index_is_chosen_for_each_question_and_read_once(project, encoder):
    run = build_indexes(project, "two", upto=2)
    engine = engine_of(project)
    photo = Image.new("RGB", (8, 8), (0, 255, 0))
    for _ in range(2):
        found = engine.by_text("green", index="two")
        assert [hit.image for hit in found] == ["green.png", "blue.png"]
        # the first two captions are both of the blue square
        found = engine.by_image(photo, index="two")
        assert {hit.caption for hit in found} == set(CAPTIONS["blue.png"])
        assert len(engine.by_text("green")) == 4 and len(engine.by_image(photo)) == 6
        for way in ("text_to_image", "image_to_text"):
            (run / f"index.two.{way}.faiss").write_bytes(b"")


@pytest.mark.parametrize("name", ["hnws", "", "../cosine/index.flat", "*"])
def test_an_engine_refuses_an_index_that_was_not_built(project, encoder, name):
    build_indexes(project, "flat", "hnsw")
    engine = engine_of(project)
    assert engine.indexes() == ["flat", "hnsw"]
    with pytest.raises(BadInput, match=r"the test split: flat, hnsw\n"):
        engine.by_text("red", index=name)


def test_a_split_that_was_not_measured_has_no_indexes(project, encoder):
    run = build_indexes(project, "flat")
    (run / "metrics.json").write_text('{"split": "val"}')
    results = project / "results"
    engine = Search(results, project / "data", find_run(results, {}), split="test")
    assert engine.indexes() == [] and engine.by_text("red")[0].image == "red.png"
    with pytest.raises(BadInput, match="one of val, of which indexes are built"):
        engine.by_text("red", index="flat")


def test_an_index_of_something_else_is_refused(project, encoder, capsys):
    run = build_indexes(project, "flat")
    arguments = ["red", "--index", "flat", *folders(project)]
    assert main([*arguments, "--find", "captions"]) == 1
    assert "a side searched with itself" in capsys.readouterr().err
    sidecar = run / "index.flat.text_to_image.json"
    before = sidecar.read_text()
    for key, value in (("scorer", "0"), ("features", ["0"]), ("dimension", 2)):
        sidecar.write_text(json.dumps(json.loads(before) | {key: value}))
        assert main(arguments) == 1
        assert "another scorer" in capsys.readouterr().err, key
    sidecar.write_text(before)
    path = sidecar.with_suffix(".faiss")
    path.write_bytes(path.read_bytes()[:-1])
    assert main(arguments) == 1
    assert "changed after it was made" in capsys.readouterr().err


def test_json_is_all_that_stands_on_standard_output(project, encoder, capsys):
    assert main(["  a  red thing ", "--json", "--top-k", "2", *folders(project)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["query"] == {"text": "a red thing"} and answer["find"] == "images"
    assert answer["run"] == {
        "dataset": "squares", "model": "colours", "prompt": "plain", "scorer": "cosine",
    }  # fmt: skip
    best = answer["results"][0]
    assert (best["rank"], best["image"], best["captions"]) == (1, "red.png", CAPTIONS["red.png"])
    assert Path(best["path"]).is_file()
    assert len(answer["results"]) == 2


def test_a_person_gets_rank_score_name_and_captions(project, encoder, capsys):
    assert main(["blue", "--top-k", "1", *folders(project)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "  1  0.9999  blue.png",
        "             a blue square",
        "             blue, 蓝色的方块",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        [
            "",
        ],
        ["  \n"],
        ["\udcff"],
        ["--image", "missing.jpg"],
    ],
)
def test_a_bad_query_ends_in_a_message_and_status_one(project, encoder, capsys, arguments):
    assert main([*arguments, *folders(project)]) == 1
    streams = capsys.readouterr()
    assert streams.out == "" and "to do:" in streams.err


@pytest.mark.parametrize(
    "content", [b"", b"no image", b"\x89PNG\r\n\x1a\n cut", b"\xff\xd8\xff\xe0"]
)
def test_a_photo_that_cannot_be_read_ends_in_a_message(project, encoder, capsys, content):
    path = project / "photo.png"
    path.write_bytes(content)
    assert main(["--image", str(path), *folders(project)]) == 1
    assert "photo.png\n  found:    not readable as an image" in capsys.readouterr().err


def test_a_truncated_photo_and_a_folder_are_refused(project, encoder, capsys):
    path = project / "photo.png"
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:-1000])
    for one, found in ((path, "not readable as an image"), (project, "a folder")):
        assert main(["--image", str(one), *folders(project)]) == 1
        assert found in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["CMYK", "P", "L", "RGBA", "1", "I;16"])
def test_photos_of_every_mode_are_understood(project, encoder, capsys, mode):
    path = project / f"photo.{'jpg' if mode == 'CMYK' else 'png'}"
    photo = Image.new("RGB", (16, 16), (255, 0, 0))
    (Image.new(mode, (16, 16)) if mode == "I;16" else photo.convert(mode)).save(path)
    assert main(["--image", str(path), "--json", *folders(project)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["find"] == "captions"
    if mode in ("CMYK", "P", "RGBA"):
        assert answer["results"][0]["image"] == "red.png"


def test_a_photo_of_too_many_pixels_is_refused_by_its_header():
    stream = io.BytesIO()
    Image.new("1", (20_000, 6_000)).save(stream, "PNG")  # 120 million in 15 KB
    with pytest.raises(BadInput, match=r"20000 x 6000 pixels.*\n.*\n.*make it smaller"):
        decode_photo(stream.getvalue(), "a photo")


def test_an_image_whose_name_leads_out_of_the_dataset_is_not_opened(project, encoder):
    engine = engine_of(project)
    Image.new("RGB", (8, 8)).save(project / "data" / "squares" / "outside.png")
    for name in ("../outside.png", str(project / "data" / "squares" / "outside.png")):
        engine.rows["test"].images[0] = name
        with pytest.raises(BadInput, match="a name inside images/"):
            engine.photo_of("test", 0)
    for row in (-1, len(CAPTIONS)):
        with pytest.raises(IndexError):
            engine.photo_of("test", row)


def test_runs_of_one_model_share_it_until_its_files_change(project, monkeypatch):
    make_run(project, prompt="photo")
    loaded = []
    monkeypatch.setattr(
        "scripts.models.encoders.load_encoder", lambda *_, **__: loaded.append(1) or ColourEncoder()
    )
    models = Models()
    results, data = project / "results", project / "data"
    for prompt in ("plain", "photo"):
        Search(results, data, find_run(results, {"prompt": prompt}), models).by_text("red")
    assert len(loaded) == 1
    provenance = data / "models" / "colours" / "model.json"
    provenance.write_text('{"other": 1}')
    assert models.encoder(provenance.parent) and len(loaded) == 2


@pytest.mark.parametrize("stem", ["texts.plain", "images"])
def test_queries_are_encoded_in_the_precision_of_the_features(project, monkeypatch, stem):
    asked = []
    monkeypatch.setattr(
        "scripts.models.encoders.load_encoder",
        lambda *_, precision, **__: asked.append(precision) or ColourEncoder(),
    )
    sidecar = project / f"results/squares/colours/test/{stem}.json"
    about = json.loads(sidecar.read_text("utf-8"))
    sidecar.write_text(json.dumps(about | {"precision": "bfloat16"}), "utf-8")
    engine = engine_of(project)
    engine.by_text("red")
    engine.by_image(Image.new("RGB", (8, 8)))
    expected = ["bfloat16", "float32"]
    assert asked == (expected if stem == "texts.plain" else expected[::-1])


def test_models_asked_longest_ago_go_first(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "scripts.models.encoders.load_encoder", lambda folder, **__: f"{folder.name} {len(names)}"
    )
    names = []
    models = Models(keep=2)
    for name in ("a", "b", "a", "c", "a", "b"):
        names.append(name)
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "model.json").write_text("{}")
        answer = models.encoder(tmp_path / name)
        assert answer == {1: "a 1", 2: "b 2", 3: "a 1", 4: "c 4", 5: "a 1", 6: "b 6"}[len(names)]


def test_a_query_that_the_model_cuts_is_told(project, encoder, capsys):
    engine = engine_of(project)
    assert engine.encode_text("red " * 78)[1] and not engine.encode_text("red " * 77)[1]
    assert main(["red " * 78, *folders(project)]) == 0
    assert "its end was left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("query", "foreign"),
    [("雪地", True), ("снег", True), ("red", False), ("RED", False), ("雪地 red", False),
     ("42 !", False)],
)  # fmt: skip
def test_a_query_in_letters_that_no_caption_has_is_told(project, encoder, capsys, query, foreign):
    assert engine_of(project).in_other_letters(query) == foreign
    assert main([query, *folders(project)]) == 0
    assert ("No caption has a letter of the query" in capsys.readouterr().err) == foreign


def test_a_photo_is_turned_upright():
    photo = Image.new("RGB", (20, 10))
    exif = photo.getexif()
    exif[0x0112] = 6  # turned by a quarter
    stream = io.BytesIO()
    photo.save(stream, "JPEG", exif=exif)
    assert decode_photo(stream.getvalue(), "a photo").size == (10, 20)


def test_a_contact_sheet_shows_the_images_found(project, encoder, capsys):
    path = project / "sheet.png"
    assert main(["red", "--top-k", "3", "--save", str(path), *folders(project)]) == 0
    sheet = Image.open(path).convert("RGB")
    seen = {colour for _, colour in sheet.getcolors(sheet.width * sheet.height)}
    assert {(255, 0, 0), (255, 128, 0), (0, 0, 255)} <= seen
    assert (0, 255, 0) not in seen  # green came fourth
    # best first, from left to right
    pixels = np.asarray(sheet)
    left = {
        c: np.argwhere((pixels == c).all(axis=2))[:, 1].min() for c in ((255, 0, 0), (0, 0, 255))
    }
    assert left[255, 0, 0] < left[0, 0, 255]
    assert f"Saved {path}" in capsys.readouterr().err


def test_a_contact_sheet_of_a_photo_shows_the_photo(project, encoder):
    photo = project / "purple.png"
    Image.new("RGB", (90, 30), (200, 0, 250)).save(photo)
    path = project / "sheet.png"
    assert main(["--image", str(photo), "--save", str(path), *folders(project)]) == 0
    sheet = Image.open(path).convert("RGB")
    assert (200, 0, 250) in {colour for _, colour in sheet.getcolors(sheet.width * sheet.height)}


@pytest.mark.parametrize("name", ["sheet", "sheet.npy", "sheet.psd"])
def test_a_sheet_of_an_unknown_format_is_refused_before_any_work(tmp_path, capsys, name):
    assert main(["red", "--save", str(tmp_path / name), *folders(tmp_path)]) == 1
    assert "a name that ends in .png" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["red", "--image", "x.jpg"], ["red", "--top-k", "0"], ["red", "--find", "x"]],
)
def test_a_wrong_command_line_ends_in_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: ./run search" in capsys.readouterr().err


def command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-m", "scripts.search", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )


def test_help_is_there_at_once_from_any_folder(tmp_path):
    begin = time.perf_counter()
    done = command("--help", folder=tmp_path)
    assert done.returncode == 0 and "--top-k" in done.stdout
    # importing torch alone takes longer than this
    assert time.perf_counter() - begin < 2


def test_the_command_says_in_one_message_that_there_is_no_run(tmp_path):
    done = command("a dog", folder=tmp_path)
    assert done.returncode == 1
    assert "no finished run" in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""
