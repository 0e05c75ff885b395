"""What is looked through: all that is encoded, or the split that was asked for."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest
from colour_run import CAPTIONS, build_indexes, folders, make_run
from PIL import Image

from scripts.job import BadInput
from scripts.retrieve import scorers
from scripts.search import engine
from scripts.search.__main__ import main
from scripts.search.engine import Search
from scripts.search.runs import find_run

SPLITS = {"train": ["green.png", "orange.png"], "val": ["blue.png"], "test": ["red.png"]}
PHOTO = Image.new("RGB", (30, 20), (250, 120, 0))


@pytest.fixture
def spread(tmp_path, encoder):
    """A run on four squares in three splits, all of them encoded."""
    return make_run(tmp_path / "spread", splits=SPLITS)


def search_in(project, split=None) -> Search:
    results = project / "results"
    return Search(results, project / "data", find_run(results, {}), split=split)


def forget(project, *splits: str) -> None:
    for split in splits:
        for file in (project / "results/squares/colours" / split).glob("*"):
            file.unlink()


def test_all_that_is_encoded_is_one_gallery_whatever_the_split(spread, project):
    several, one = search_in(spread), search_in(project)
    for ask in (
        lambda engine: engine.by_text("red, red and blue", 3),
        lambda engine: engine.by_image(PHOTO, 4),
        lambda engine: engine.by_image(PHOTO, 9, "images"),
    ):
        hits, expected = ask(several), ask(one)
        assert [(hit.rank, hit.image, hit.caption) for hit in hits] == [
            (hit.rank, hit.image, hit.caption) for hit in expected
        ]
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in expected])
        for hit in hits:
            assert SPLITS[hit.split][hit.row] == hit.image and hit.captions == CAPTIONS[hit.image]


def test_the_scorer_of_the_run_maps_what_every_split_holds(spread, monkeypatch):
    upside_down = scorers.Kind(
        fit=lambda params, banks: {},
        map_queries=lambda arrays, features, direction: features,
        map_gallery=lambda arrays, features, direction: -features,
    )
    monkeypatch.setitem(scorers.KINDS, "upside-down", upside_down)
    run = spread / "results/squares/colours/plain/cosine"
    scorers.save_scorer(run / "scorer.npz", scorers.fit("upside-down", {}, {}))
    assert [hit.image for hit in search_in(spread).by_text("red")][2:] == ["orange.png", "red.png"]


def test_hits_say_their_split_where_there_are_several(spread, capsys):
    assert main(["red", "--top-k", "2", *folders(spread)]) == 0
    out, err = capsys.readouterr()
    names = [line.split()[2:] for line in out.splitlines() if ".png" in line]
    assert names == [["red.png", "(test)"], ["orange.png", "(train)"]]
    assert "cosine, test and train and val\n" in err and "Not encoded" not in err
    assert main(["red", "--split", "val", "--json", *folders(spread)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["splits"] == ["val"]
    assert [(hit["split"], hit["image"]) for hit in told["results"]] == [("val", "blue.png")]
    assert main(["red", "--split", "test", *folders(spread)]) == 0
    assert "(test)" not in capsys.readouterr().out


def test_what_is_not_encoded_is_offered_with_the_command_that_encodes_it(spread, capsys):
    forget(spread, "train", "val")
    (spread / "results/squares/config.yaml").write_text("run: {}\n")
    assert main(["red", *folders(spread)]) == 0
    out, err = capsys.readouterr()
    assert out.count(".png") == 1
    assert "Not encoded: images of train (2) and val (1). To look" in err
    files = [f"results/squares/colours/{split}/{stem}.npy"
             for split in ("train", "val") for stem in ("images", "texts.plain")]  # fmt: skip
    typed = shlex.split(err.splitlines()[-1])
    assert "--force" not in typed
    assert typed[1:6] == ["snakemake", *files]
    assert f"--configfile {spread}/results/squares/config.yaml" in " ".join(typed)
    for split in ("val", "test"):
        assert main(["red", "--split", split, *folders(spread)]) == (split == "val")
        err = capsys.readouterr().err
        assert ("results/squares/colours/val/images.npy" in err) == (split == "val")
        assert "Not encoded" not in err


def test_a_dataset_of_one_split_has_no_more_to_offer(project, capsys):
    assert main(["red", "--split", "all", *folders(project)]) == 0
    assert "Not encoded" not in capsys.readouterr().err
    assert main(["red", "--split", "train", *folders(project)]) == 1
    told = capsys.readouterr().err
    assert "one that squares has: test" in told and "snakemake" not in told


def test_an_index_knows_the_measured_split_alone_and_says_so(spread, capsys):
    build_indexes(spread, "flat")
    arguments = ["red", "--index", "flat", *folders(spread)]
    assert main([*arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["splits"] == ["test"] and [hit["image"] for hit in told["results"]] == ["red.png"]
    assert "through the index flat, which is built of test alone" in err
    assert main([*arguments, "--split", "train"]) == 1
    assert "one of test, of which indexes are built" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["model", "rows", "templates"])
def test_a_split_that_was_encoded_for_something_else_is_left_out_and_offered(spread, what):
    path = spread / "results/squares/colours/train/texts.plain.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {what: ["of before: {}"]}))
    found = search_in(spread)
    assert {hit.split for hit in found.by_text("red")} == {"test", "val"}
    assert found.not_encoded() == {"train": 2}
    typed = found.encoding()
    assert "/train/images.npy" in typed and "/train/texts.plain.npy" in typed
    # with other templates, nothing is newer than it
    assert " --force " in typed
    if what != "templates":
        with pytest.raises(engine.OutOfDate, match=r"encode anew: .*/train/images\.npy"):
            search_in(spread, "train").by_text("red")


def test_without_data_it_is_the_folder_beside_the_results(project, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path.parent)
    assert main(["red", "--results", f"{tmp_path.name}/results/"]) == 0
    (project / "data").rename(project / "elsewhere")
    for asked in ("red", "--serve"):
        assert main([asked, "--results", str(project / "results")]) == 1
        err = capsys.readouterr().err
        assert f"no folder {project}/data" in err and "name it: --data FOLDER" in err
    (project / "data").mkdir()
    assert main(["red", "--results", str(project / "results")]) == 1
    err = capsys.readouterr().err
    assert f"{project}/data/squares/splits.json" in err and "--data FOLDER" in err
    arguments = ["--results", str(project / "results"), "--data", str(project / "elsewhere")]
    assert main(["red", *arguments]) == 0


def test_good_features_are_not_blamed_for_another_folders_pictures(project, spread, capsys):
    other = make_run(project.parent / "other", captions={"red.png": ["another caption"]})
    arguments = ["red", "--results", str(project / "results")]
    for data in (other, spread):
        assert main([*arguments, "--data", str(data / "data")]) == 1
        told = capsys.readouterr().err
        assert "other pictures or captions" in told and "--data" in told
        assert "delete" not in told and "anew: it" not in told


def test_features_are_mapped_and_not_copied(spread):
    found = search_in(spread)
    found.by_text("red")
    galleries = found._galleries.values()
    assert len(galleries) == 3 and all(isinstance(one.base, np.memmap) for one in galleries)


def test_before_the_measured_split_is_encoded_the_others_answer(spread):
    forget(spread, "test")
    assert {hit.split for hit in search_in(spread).by_text("red")} == {"train", "val"}
    forget(spread, "train", "val")
    with pytest.raises(BadInput, match=r"snakemake results/squares/colours/test/images\.npy"):
        search_in(spread)
