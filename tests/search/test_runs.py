"""Which of the finished runs is asked, and what is told where there is none of that name."""

from __future__ import annotations

import pytest
from colour_run import build_indexes, folders, make_run

from scripts.job import BadInput
from scripts.search.__main__ import main
from scripts.search.runs import RunName, find_run


def test_the_newest_run_answers_unless_another_is_named(tmp_path):
    make_run(tmp_path, prompt="plain", finished=1000)
    make_run(tmp_path, prompt="photo", finished=3000)
    make_run(tmp_path, dataset="other", prompt="plain", finished=2000)
    results = tmp_path / "results"
    assert find_run(results, {}).prompt == "photo"
    assert find_run(results, {"prompt": "plain"}).dataset == "other"
    named = {"prompt": "plain", "dataset": "squares"}
    assert find_run(results, named) == RunName("squares", "colours", "plain", "cosine", "test")


@pytest.mark.parametrize(
    ("part", "name", "near"),
    [("dataset", "square", "squares"), ("model", "colors", "colours"), ("prompt", "plane", "plain"),
     ("scorer", "cosin", "cosine")],
)  # fmt: skip
def test_an_unknown_name_is_refused_with_the_nearest_one(project, part, name, near):
    with pytest.raises(BadInput, match=f"--{part}\n.*{name}\n.*{near}\n.*did you mean {near}"):
        find_run(project / "results", {part: name})


def test_a_split_without_features_names_the_command_that_makes_them(project):
    with pytest.raises(BadInput) as error:
        find_run(project / "results", {}, split="val")
    assert "./run snakemake --cores all results/squares/colours/val/images.npy" in str(error.value)


def test_before_any_run_the_commands_that_make_one_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"\./run for the demo"):
        find_run(tmp_path / "results", {})


def test_the_newest_run_with_the_index_answers(project):
    build_indexes(project, "hnsw")
    make_run(project, prompt="photo", finished=2_000_000.0)
    results = project / "results"
    assert find_run(results, {}).prompt == "photo"
    assert find_run(results, {}, index="hnsw").prompt == "plain"
    with pytest.raises(BadInput, match=r"none was\n.*index\.hnsw\.text_to_image\.faiss"):
        find_run(results, {"prompt": "photo"}, index="hnsw")


def test_an_index_that_was_not_built_offers_those_that_were(project, capsys):
    build_indexes(project, "flat", "hnsw")
    assert main(["red", "--index", "hnws", *folders(project)]) == 1
    told = capsys.readouterr().err
    assert "flat, hnsw" in told and "did you mean hnsw?" in told and "Traceback" not in told
    assert main(["red", "--index", "ivf-pq", *folders(project)]) == 1
    target = "results/squares/colours/plain/cosine/index.ivf-pq.text_to_image.faiss"
    assert f"./run snakemake --cores all {target}" in capsys.readouterr().err
    with pytest.raises(BadInput, match="leave out --split"):
        make_split = project / "results/squares/colours/val"
        make_split.mkdir()
        find_run(project / "results", {}, split="val", index="hnsw")
