"""Tables of the report: a row and a column for what is there, intervals around what they hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from fake_run import LANGUAGES, FakeRun
from told import Told

from scripts.report import material, setup_tables
from scripts.report.material import packages_of, preprocessing_of, towers_of
from scripts.report.spans import text_of
from scripts.studies.table import FIT
from scripts.words import formats, read_words

COSTS = {"images_per_second": 21.54, "texts_per_second": 1159.4, "max_rss_mb": 421.2}


@pytest.mark.parametrize(
    ("taken", "told"),
    [
        ({}, ("–", "–")),
        ({"weights": "model.fp16.safetensors"}, ("model.fp16.safetensors",) * 2),
        (
            {"weights": "pytorch_model.bin", "converted": True},
            (
                "pytorch_model.bin, a pickle, converted to safetensors",
                "pytorch_model.bin（pickle，已转为 safetensors）",
            ),
        ),
    ],
)
def test_the_table_of_models_names_the_weights_that_were_taken(taken, told):
    model = {"model": "own", "source": "local", "sides": {}, **taken}
    material = SimpleNamespace(models=[model], costs={"own": COSTS})
    for lang, expected in zip(LANGUAGES, told, strict=True):
        words = read_words("report", lang)
        made = setup_tables.models_table(material, words)
        assert dict(made.rows).get(words["columns"]["weights"], "–") == expected


def test_the_table_of_models_says_where_each_of_two_towers_came_from():
    image = {"source": "huggingface", "repo": "openai/clip", "revision": "b33c"}
    text = {"source": "local", "repo": "/home/me/texts", "revision": None}
    towers = {"image": image, "text": text}
    model = {"model": "own", "source": "towers", "towers": towers, "sides": {}}
    material = SimpleNamespace(models=[model], costs={"own": COSTS})
    words = read_words("report", "en")
    rows = dict(setup_tables.models_table(material, words).rows)
    assert rows[words["columns"]["source"]] == "Hugging Face + a folder on disk"
    assert rows[words["columns"]["repo"]] == "openai/clip + texts"
    # what none of the models has is no row
    assert words["columns"]["weights"] not in rows
    material.models.append(model | {"model": "theirs", "towers": None, "weights": "a.safetensors"})
    material.costs["theirs"] = COSTS
    rows = {name: told for name, *told in setup_tables.models_table(material, words).rows}
    assert rows[words["columns"]["weights"]] == ["–", "a.safetensors"]


def test_the_table_of_models_says_what_encoding_takes_where_that_is_known():
    nothing = dict.fromkeys(COSTS, float("nan"))
    vision = {"type": "mobilenet_v2", "layers": None, "width": 1280}
    text = {"type": "clip_text_model", "layers": 2, "width": 256}
    models = [
        {"model": "own", "source": "local", "sides": {"vision": vision, "text": text}},
        {"model": "theirs", "source": "features", "sides": {}},
    ]
    material = SimpleNamespace(models=models, costs={"own": COSTS, "theirs": nothing})
    words = read_words("report", "en")
    rows = {name: told for name, *told in setup_tables.models_table(material, words).rows}
    assert rows["Image tower"] == ["mobilenet_v2", "not stated"]
    assert rows["Text tower"] == ["clip_text_model, 2 layers of width 256", "not stated"]
    assert rows["Images a second here"] == ["21.5", "–"]
    assert rows["Texts a second here"] == ["1,159", "–"]
    assert rows["Memory to encode"] == ["421 MB", "–"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        # of features that were made elsewhere
        ({}, {}),
        ({"preprocessor_config.json": '{"size": 9}'}, {"size": 9, "crop": False}),
        (
            {"preprocessor_config.json": '{"size": 224, "crop_size": 224, "do_center_crop": true}'},
            {"size": 224, "crop": 224},
        ),
        (
            {"processor_config.json": '{"image_processor": {"size": {"height": 3, "width": 4}}}',
             "config.json": '{"text_config": {"max_position_embeddings": 77}}'},
            {"size": {"height": 3, "width": 4}, "crop": False, "context": 77},
        ),
        (
            {"image/preprocessor_config.json": '{"size": 32}',
             "image/config.json": '{"text_config": {"max_position_embeddings": 77}}',
             "text/config.json": '{"max_position_embeddings": 512}',
             "text/sentence_bert_config.json": '{"max_seq_length": 128}'},
            {"size": 32, "crop": False, "context": 128},
        ),
        # an embedding model, which takes a picture as large as it is
        (
            {"processor_config.json": '{"image_processor": {"merge_size": 2, "size": '
             '{"shortest_edge": 65536, "longest_edge": 16777216}}}'},
            {"size": {"pixels": [65536, 16777216]}, "crop": False},
        ),
        ({"image/config.json": "{}", "text/config.json": '{"max_position_embeddings": 512}'},
         {"crop": False, "context": 512}),
    ],
)  # fmt: skip
def test_preprocessing_is_what_the_models_own_files_say(tmp_path: Path, files, said):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, "utf-8")
    assert preprocessing_of(tmp_path) == said


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "65,536 to 16,777,216 pixels, at its own proportions"),
        ("zh", "保持原比例，65,536 至 16,777,216 像素"),
    ],
)
def test_a_size_in_pixels_is_told_as_one(language, told):
    values = read_words("report", language)["values"]
    assert setup_tables._size({"pixels": [65536, 16777216]}, values) == told


INTERVAL = r"\[(\S+), (\S+)\]"


def rows_of(told: Told, name: str) -> list[list[str]]:
    """Cells of a table, as text, row by row; headings over rows left out."""
    (table,) = told.block(f"tab_{name}").all("table")
    return [[text_of(cell) for cell in row] for group in table["groups"] for row in group["rows"]]


def heads_of(told: Told, name: str) -> list[str]:
    (table,) = told.block(f"tab_{name}").all("table")
    return [text_of(column["spans"]) for column in table["columns"]]


def sides_of(told: Told, name: str) -> list[str]:
    """Headings over several columns."""
    (table,) = told.block(f"tab_{name}").all("table")
    return [side["text"] for side in table["sides"] if side["text"]]


def numbers_of(table: dict[str, Any]) -> list[list[dict[str, str]]]:
    """Cells of the numeric columns, as spans."""
    numeric = [place for place, column in enumerate(table["columns"]) if column["numeric"]]
    return [row[place] for group in table["groups"] for row in group["rows"] for place in numeric]


def test_every_headline_number_stands_with_its_interval(documents):
    for document in documents.values():
        told = Told(document)
        for name in ("metrics", "depth"):
            cells = numbers_of(told.block(f"tab_{name}").all("table")[0])
            assert cells
            for _, interval in cells:
                assert interval["kind"] == "interval"
                assert re.fullmatch(INTERVAL, interval["text"])
        (tiles,) = told.all("tiles")
        assert len(tiles["items"]) == 4
        for tile in tiles["items"]:
            assert tile["value"].endswith("%") and re.fullmatch(INTERVAL, tile["interval"])
        assert re.search(rf"% {INTERVAL}", told.block("abstract").text)


def test_intervals_in_the_tables_hold_their_values(documents):
    for document in documents.values():
        cells = [cell for table in Told(document).all("table") for cell in numbers_of(table)]
        found = [cell for cell in cells if cell[-1]["kind"] == "interval"]
        assert len(found) > 200
        for *value, interval in found:
            told = (text_of(value), *re.fullmatch(INTERVAL, interval["text"]).groups())
            middle, low, high = (float(one.replace("−", "-").replace(",", "")) for one in told)
            assert low <= middle <= high


def test_what_has_another_x_has_a_table_of_its_own(documents):
    for lang, names in {
        "en": ("words per caption", "shared words (%)", "captions used"),
        "zh": ("每条描述的词数", "共用词的比例（%）", "所用描述数"),
    }.items():
        told = Told(documents[lang]).section("studies-captions")
        tables = [table["id"].removeprefix("tab_") for table in told.all("table")]
        # between them stands whether parts are apart
        assert tables == ["study_captions", *(f"study_captions_{part}" for part in range(2, 6))]
        for name, own in zip(tables[::2], names, strict=True):
            assert [one for one in names if one in heads_of(told, name)] == [own]


def test_both_directions_stand_side_by_side(documents):
    ways = {"en": ("Text → image", "Image → text"), "zh": ("以文搜图", "以图搜文")}
    for lang, document in documents.items():
        told = Told(document)
        names = ("metrics", "study_relevance", "study_gallery", "study_robustness", "study_errors",
                 "study_categories", "study_leakage_2", "study_geometry_2")  # fmt: skip
        for name in names:
            sides = sides_of(told, name)
            assert len(sides) == 2, name
            assert all(side.startswith(way) for side, way in zip(sides, ways[lang], strict=True))
        # each direction has captions used in a way of its own, which its heading tells
        together, each = sides_of(told, "study_captions_5")
        assert together.split(" (n")[0] != ways[lang][0] and each.split(" (n")[0] != ways[lang][1]


def test_no_column_of_a_table_is_empty_and_no_row_is(documents):
    for document in documents.values():
        told = Told(document)
        for table in told.all("table"):
            rows = rows_of(told, table["id"].removeprefix("tab_"))
            for column in zip(*rows, strict=True):
                assert set(column) - {"", "–"}, table["id"]
            for row in rows:
                assert set(row) - {"", "–"}, table["id"]


def leave_out(path: Path, piece: str) -> None:
    """Take the lines that hold ``piece`` out of a table."""
    kept = [one for one in path.read_text("utf-8").splitlines() if piece not in one]
    path.write_text("\n".join(kept) + "\n", "utf-8")


def test_lines_that_lack_a_measure_stand_with_those_that_have_it(tmp_path: Path):
    run = FakeRun(
        tmp_path, {("m", "plain", "cosine"): 0.2}, images=20, studies=("errors",)
    ).sketch()
    # a kind without a query has no median rank
    leave_out(run.metrics.with_name("errors.csv"), "tie,,median_rank")
    told = Told(run.document("en"))
    assert "tab_study_errors_2" not in told.ids
    rows = rows_of(told, "study_errors")
    assert len(rows) == 11
    # what is no matter of words is held against no right pair
    (tie,) = [row for row in rows if row[0] == "a tie"]
    assert tie[3:5] == tie[7:9] == ["–", "–"]


def test_runs_without_a_tie_have_no_line_among_the_ties(tmp_path: Path):
    strengths = {("m", "plain", scorer): 0.2 for scorer in ("cosine", "nnn")}
    run = FakeRun(tmp_path, strengths, images=20, studies=("relevance",)).sketch()
    path = run.metrics.with_name("ties.csv")
    table = pd.read_csv(path)
    for tied, there in ((3, 1), (0, 0)):
        table.tied = [tied if scorer == "nnn" else 0 for scorer in table.scorer]
        table.to_csv(path, index=False)
        told = Told(run.document("en"))
        assert told.ids.count("tab_study_relevance_ties") == there
        if there:
            ((_, scorer, *_),) = rows_of(told, "study_relevance_ties")
            assert scorer == "nnn"
            assert "More rows (1) stand in tables/ties.csv" in told.text


def test_what_prompts_do_to_captions_has_a_table_of_the_first_model_by_prompt(tmp_path: Path):
    names = (("a", "plain"), ("a", "photo"), ("b", "plain"))
    strengths = {(*name, "cosine"): 0.2 - 0.15 * (name[1] == "photo") for name in names}
    run = FakeRun(tmp_path, strengths, images=30, studies=("geometry",)).sketch()
    pairs = pd.read_csv(run.metrics.with_name("pairs.csv"))
    lost = pairs[(pairs.prompt == "photo") & (pairs.direction == "text_to_image")].iloc[0]
    told = Told(run.document("en"))
    plain, photo, picture = rows_of(told, "shifts")
    # of the first prompt there is no shift, and a template that is no run was not compared
    assert [cell == "–" for cell in plain] == [False, False, True, True, True, False, True, True]
    assert [cell == "–" for cell in picture] == [name == 2 for name in range(8)]
    assert plain[0] == "plain" and photo[1].startswith("22.0") and photo[4].startswith("8.4")
    assert photo[2].startswith(formats.points(lost["mean"]))
    assert photo[6].startswith("0.263")
    assert sides_of(told, "shifts") == ["Text → image", "Image → text"]
    assert "Here: a. More rows (3), of other models too, stand in tables/geometry.csv" in told.text
    others = [block["id"] for block in told.all("table") if "geometry" in block["id"]]
    for name in others:
        assert "picture" not in told.block(name).text and "22.0" not in told.block(name).text


def test_of_one_prompt_there_is_no_table_of_shifts(tmp_path: Path):
    run = FakeRun(
        tmp_path, {("m", "plain", "cosine"): 0.2}, images=20, studies=("geometry",)
    ).sketch()
    leave_out(run.metrics.with_name("geometry.csv"), ",shift,")
    assert "tab_shifts" not in Told(run.document("en")).ids


def test_recall_on_each_split_has_a_table_of_the_first_model_where_it_is_known(tmp_path: Path):
    strengths = {(model, "plain", "cosine"): 0.2 for model in ("a", "b")}
    run = FakeRun(tmp_path, strengths, images=20, studies=("leakage",)).sketch()
    ways = {"en": ("train", "Text → image"), "zh": ("训练集", "以文搜图")}
    for lang, (split, way) in ways.items():
        told = Told(run.document(lang))
        first, _, last = rows_of(told, "fit")
        assert (first[0], first[1], first[5]) == (split, "30", "10")
        assert first[4].startswith("67.0") and last[4].startswith("31.6")
        assert sides_of(told, "fit")[0] == way
        assert "tables/leakage.csv" in told.text
        others = [block["id"] for block in told.all("table") if "leakage" in block["id"]]
        assert len(others) == 2
        assert not any("31.6" in told.block(name).text for name in others)
    path = run.metrics.with_name("leakage.csv")
    kept = [one for one in path.read_text("utf-8").splitlines() if FIT not in one]
    path.write_text("\n".join(kept) + "\n", "utf-8")
    told = Told(run.document("en"))
    assert "tab_fit" not in told.ids and "the model fits" not in told.text


def test_as_many_queries_on_every_line_are_told_once(documents):
    for document in documents.values():
        told = Told(document)
        assert all(re.search(r"n = [\d,]+[)）]$", side) for side in sides_of(told, "study_gallery"))
        assert "n" not in heads_of(told, "study_gallery")
        assert heads_of(told, "study_categories").count("n") == 2
        assert not any("n = " in side for side in sides_of(told, "study_categories"))


def test_a_long_table_is_of_the_first_model_and_says_where_the_rest_is(tmp_path: Path):
    strengths = {(model, "plain", "cosine"): 0.2 for model in ("a", "b")}
    run = FakeRun(tmp_path, strengths, images=20, studies=("relevance", "categories")).sketch()
    path = run.metrics.with_name("categories.csv")
    head, *lines = path.read_text("utf-8").splitlines()
    more = [line.replace("lexicon: dogs", f"lexicon: dogs{n}") for n in range(30) for line in lines
            if "lexicon: dogs" in line]  # fmt: skip
    path.write_text("\n".join([head, *lines, *more]) + "\n", "utf-8")
    for lang, said in (("en", "Here: a. More rows ({}), of other models too, stand in {}"),
                       ("zh", "此表只列 a；其余 {} 行（含其他模型）见 {}")):  # fmt: skip
        told = Told(run.document(lang))
        # four rules on two sets of queries, of each model
        assert said.format(8, "tables/relevance.csv") in told.text
        assert len(rows_of(told, "study_relevance")) == 8
        assert said.format(2 * (6 + 30) - 20, "tables/categories.csv") in told.text
        assert len(rows_of(told, "study_categories")) == 20


def test_what_val_chose_from_is_tabled_as_the_configuration_says_it():
    scorers = {
        "cosine": {"kind": "cosine"},
        "soft": {"kind": "inverted_softmax", "betas": [None, 5, 0.5], "bank": 10000},
        "both": {"kind": "fusion", "with": "另一个"},
    }
    table = setup_tables.given_table(SimpleNamespace(scorers=scorers))
    assert [(name, text_of(key), value) for name, key, value in table.rows] == [
        ("soft", "betas", "null, 5, 0.5"),
        ("soft", "bank", "10000"),
        ("both", "with", '"另一个"'),
    ]


def test_packages_of_studies_stand_behind_those_of_the_run_each_once(monkeypatch):
    behind = {
        "a.csv": SimpleNamespace(versions={"numpy": "2.4", "faiss": "1.15"}),
        "b.csv": None,
        "c.csv": SimpleNamespace(versions={"numpy": "2.5", "faiss": "1.15"}),
    }
    monkeypatch.setattr(material, "job_behind", behind.get)
    of_run = (("torch", "2.13"), ("numpy", "2.4"))
    machine = {"packages": [{"name": name, "version": version} for name, version in of_run]}
    assert packages_of(machine, behind) == [*of_run, ("faiss", "1.15"), ("numpy", "2.5")]


def test_towers_are_what_the_config_of_the_model_or_of_each_says(tmp_path):
    text = {"model_type": "bert", "num_hidden_layers": 12, "hidden_size": 768}
    whole = {"model_type": "dual", "vision_config": {"model_type": "vit"}, "text_config": text}
    assert towers_of(tmp_path) == {}
    (tmp_path / "config.json").write_text(json.dumps(whole))
    told = {"type": "bert", "layers": 12, "width": 768}
    image = {"type": "vit", "layers": None, "width": None}
    assert towers_of(tmp_path) == {"vision": image, "text": told}
    # published apart: the image tower of a whole model, and a text model that is all of its config
    for side, config in (("image", whole), ("text", text)):
        (tmp_path / "apart" / side).mkdir(parents=True)
        (tmp_path / "apart" / side / "config.json").write_text(json.dumps(config))
    assert towers_of(tmp_path / "apart") == {"vision": image, "text": told}
