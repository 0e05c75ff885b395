"""Which of the finished runs is asked, and what is told where there is none of that name."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from colour_run import build_indexes, folders, make_run

from scripts.command import rewritten
from scripts.job import BadInput
from scripts.search import runs
from scripts.search.__main__ import main
from scripts.search.runs import RunName, find_run, making


def test_before_a_config_is_written_the_newest_run_answers_unless_another_is_named(tmp_path):
    make_run(tmp_path, prompt="plain", finished=1000)
    make_run(tmp_path, prompt="photo", finished=3000)
    make_run(tmp_path, dataset="other", prompt="plain", finished=2000)
    results = tmp_path / "results"
    assert find_run(results, {}).prompt == "photo"
    assert find_run(results, {"prompt": "plain"}).dataset == "other"
    named = {"prompt": "plain", "dataset": "squares"}
    assert find_run(results, named) == RunName("squares", "colours", "plain", "cosine")


def test_it_begins_with_the_first_model_prompt_and_scorer_and_not_with_the_newest_file(tmp_path):
    results = tmp_path / "results"
    for number, names in enumerate(("colours/plain/cosine", "colours/plain/nnn", "a/plain/cosine",
                                    "colours/photo/cosine", "left/plain/cosine")):  # fmt: skip
        model, prompt, scorer = names.split("/")
        make_run(tmp_path, model=model, prompt=prompt, scorer=scorer, finished=1000.0 + number)
    assert find_run(results, {}).model == "left"
    config = results / "squares" / "config.yaml"
    config.write_text(
        "run: {models: [colours, a], prompts: [plain, photo], scorers: [cosine, nnn]}\n"
    )
    for wanted, expected in (
        ({}, "colours/plain/cosine"),
        ({"prompt": "photo"}, "colours/photo/cosine"),
        ({"scorer": "nnn"}, "colours/plain/nnn"),
        ({"model": "left"}, "left/plain/cosine"),
    ):
        found = find_run(results, wanted)
        assert f"{found.model}/{found.prompt}/{found.scorer}" == expected
    # which dataset it is, the newest run says
    make_run(tmp_path, dataset="other", finished=2000)
    assert find_run(results, {}).dataset == "other"
    for content in ("run: [", "run: {models: 3}", "- a", "\0"):
        config.write_text(content)
        assert find_run(results, {"dataset": "squares"}).model == "left"


def test_a_second_look_is_no_run_to_ask_as_it_has_no_features_of_its_own(tmp_path):
    make_run(tmp_path, scorer="cosine", finished=1000)
    make_run(tmp_path, scorer="cosine+blip", finished=2000)
    results = tmp_path / "results"
    assert find_run(results, {}).scorer == "cosine"
    with pytest.raises(BadInput, match="a finished run's: cosine"):
        find_run(results, {"scorer": "cosine+blip"})


def test_a_command_that_is_offered_works_as_typed_from_any_folder(tmp_path, monkeypatch):
    checkout, elsewhere = tmp_path / "a checkout", tmp_path / "elsewhere"
    config = checkout / "results/mine/config.yaml"
    config.parent.mkdir(parents=True)
    config.touch()
    elsewhere.mkdir()
    monkeypatch.setattr(runs, "ROOT", checkout)
    target = "results/mine/m/val/images.npy"
    monkeypatch.chdir(checkout)
    typed = making(Path("results"), "mine", [Path(target)])
    assert typed == (
        f"./run snakemake {target} --cores all --configfile results/mine/config.yaml "
        "--rerun-triggers mtime"
    )
    monkeypatch.chdir(elsewhere)
    run, _, *words = shlex.split(making(checkout / "results", "mine", [checkout / target]))
    assert run == f"{checkout}/run" and words == [
        target, "--cores", "all", "--configfile", str(config), "--rerun-triggers", "mtime",
    ]  # fmt: skip
    # as ./run hands them to Snakemake
    assert rewritten(words, elsewhere, checkout) == words
    # results that lie elsewhere are made there, by this checkout
    moved = (checkout / "results").rename(elsewhere / "results")
    words = shlex.split(making(Path("results"), "mine", [Path(target)]))
    assert words[0] == f"{checkout}/run" and str(elsewhere) in words
    assert f"{moved}/mine/config.yaml" in rewritten(words[2:], elsewhere, checkout)


@pytest.mark.parametrize(
    ("part", "name", "near"),
    [("dataset", "square", "squares"), ("model", "colors", "colours"), ("prompt", "plane", "plain"),
     ("scorer", "cosin", "cosine")],
)  # fmt: skip
def test_an_unknown_name_is_refused_with_the_nearest_one(project, part, name, near):
    with pytest.raises(BadInput, match=f"--{part}\n.*{name}\n.*{near}\n.*did you mean {near}"):
        find_run(project / "results", {part: name})


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
    assert f"./run snakemake {target} --cores all" in capsys.readouterr().err
    assert main(["red", "--split", "val", "--index", "hnsw", *folders(project)]) == 1
