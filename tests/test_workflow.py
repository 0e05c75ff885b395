"""The workflow as a whole: what runs, what does not run again, and how it ends when it cannot."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from small_runs import RUN, SMALL, outcome

from scripts.config import checked
from scripts.studies.families import table_behind

ROOT = Path(__file__).parent.parent
CONFIG = checked(yaml.safe_load((ROOT / "config" / "config.yaml").read_text("utf-8")))
STUDIES = CONFIG["run"]["studies"]


def metrics(project, prompt="plain"):
    path = project.folder / RUN / "clip-tiny" / prompt / "cosine/metrics.json"
    return json.loads(path.read_text("utf-8"))


# --- what a run makes


def test_a_run_ends_with_reports_figures_and_tables(finished_run):
    made = {
        str(path.relative_to(finished_run.folder / RUN))
        for path in (finished_run.folder / RUN).rglob("*")
    }
    assert {"report.zh.html", "report.en.html", "audit.json"} <= made
    assert {"tables/metrics.csv", "tables/metrics.md", "tables/metrics.tex"} <= made
    assert {"tables/pairs.csv", *(f"tables/{table_behind(one)}.csv" for one in STUDIES)} <= made
    drawn = [study for study in STUDIES if CONFIG["studies"][study]["figure"]["form"] != "none"]
    assert {f"figures/study.{study}.zh.svg" for study in drawn} <= made
    assert {"figures/recall.zh.svg", "figures/recall.en.png", "figures/ranks.csv"} <= made
    pictures = {path.removesuffix(".zh.svg") for path in made if path.endswith(".zh.svg")}
    assert {"figures/hubs", "figures/failures", "figures/training.clip-tiny"} <= pictures
    assert "figures/hub_tradeoff" in pictures
    drawn = ("heatmap", "outcomes", "clouds")
    assert {f"figures/{name}{end}" for name in drawn for end in (".en.png", ".csv")} <= made
    assert "figures/index_tradeoff" in pictures and "tables/index_costs.csv" in made
    built = {path for path in made if "/index." in path and path.endswith(".faiss")}
    assert built == {
        f"clip-tiny/plain/cosine/index.{index}.{way}.faiss"
        for index in ("flat", "hnsw", "ivf-pq")
        for way in ("text_to_image", "image_to_text")
    }


def test_a_run_ends_with_its_summary_on_the_screen(finished_run):
    said = (finished_run.folder.parent / "done").read_text("utf-8").splitlines()
    summary = (finished_run.folder / RUN / "summary.txt").read_text("utf-8").splitlines()
    assert any("Only 32 test images" in line for line in summary)
    at = said.index(summary[0])
    assert said[at:] == summary
    assert any(re.fullmatch(r"\d+ steps done in .+", line) for line in said[at - 5 : at])
    assert at < 30


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def estimates(rows: list[dict[str, str]]) -> set[tuple[str, str, str]]:
    """Each number of a table that has an interval of some width, with its interval."""
    found = set()
    for row in rows:
        for low in (name for name in row if name.endswith("low")):
            # what an interval without a name is of stands before it
            name = low[:-4] or list(row)[list(row).index(low) - 1]
            found.add((row[name], row[low], row[f"{low[:-3]}high"]))
    return {one for one in found if one[1] != one[2]}


def test_no_table_says_what_another_one_says(finished_run):
    run = finished_run.folder / RUN
    tables = {path: read_csv(path) for path in run.glob("*/*.csv")}
    assert len(tables) > 25
    # a table that is another's turned on its side still has its numbers, each with its interval
    numbers = {path: estimates(rows) for path, rows in tables.items()}
    assert sum(bool(own) for own in numbers.values()) > 10
    for path, own in numbers.items():
        others = set().union(*(those for other, those in numbers.items() if other != path))
        assert not own or own - others, f"all numbers of {path} stand in others"
    # and what has no interval is the same row
    cells = {path: [row.items() for row in rows] for path, rows in tables.items() if rows}
    for path, rows in cells.items():
        for other in cells.keys() - {path}:
            again = all(any(row <= one for one in cells[other]) for row in rows)
            assert not again, f"all rows of {path} stand in {other}"


def test_features_are_float32_unit_rows_in_the_order_of_splits_and_captions(finished_run):
    data, run = finished_run.folder / "data/scenes", finished_run.folder / RUN / "clip-tiny/test"
    images = json.loads((data / "splits.json").read_text("utf-8"))["test"]
    captions = {
        record["image"]: record["captions"]
        for record in json.loads((data / "captions.json").read_text("utf-8"))
    }
    features = {"images": len(images), "texts.plain": sum(len(captions[i]) for i in images)}
    for name, rows in features.items():
        array = np.load(run / f"{name}.npy", allow_pickle=False)
        assert array.dtype == np.float32 and len(array) == rows
        np.testing.assert_allclose(np.linalg.norm(array, axis=1), 1, atol=1e-5)


def test_metrics_follow_from_the_features_by_a_plain_sort(finished_run):
    run = finished_run.folder / RUN / "clip-tiny/test"
    images, texts = np.load(run / "images.npy"), np.load(run / "texts.photo.npy")
    owner = np.repeat(np.arange(len(images)), 5)
    scores = texts.astype(float) @ images.astype(float).T
    best = [list(np.argsort(-row)).index(image) for row, image in zip(scores, owner, strict=True)]
    found = metrics(finished_run, "photo")
    for k in (1, 5, 10):
        expected = np.mean([rank < k for rank in best])
        assert found["text_to_image"][f"recall@{k}"] == pytest.approx(expected)
        hits = [set(owner[np.argsort(-column)[:k]]) for column in scores.T]
        expected = np.mean([image in hit for image, hit in enumerate(hits)])
        assert found["image_to_text"][f"recall@{k}"] == pytest.approx(expected)


def test_one_core_makes_the_same_tables_as_two(finished):
    expected = outcome(finished.folder)
    targets = ["study_gallery", "study_captions", "study_categories", "study_geometry", "pairs"]
    targets += ["build_index", "study_indexes"]
    forced = ["--forcerun", "fit_scorer", "fit_adapter", "similarity", *targets]
    finished.snakemake("tables", *SMALL, "--cores", "1", *forced)
    found = outcome(finished.folder)
    assert [name for name in expected if found[name] != expected[name]] == []


def test_shards_make_the_same_features_and_the_same_scores(finished):
    run = finished.folder / RUN / "clip-tiny"
    paths = [run / "plain/nnn" / name for name in ("scorer.npz", "rankings.npz", "metrics.json")]
    paths += [
        run / split / f"{side}.npy"
        for split in ("train", "val", "test")
        for side in ("images", "texts.plain")
    ]
    expected = {path: path.read_bytes() for path in paths}
    for path in paths:
        path.unlink()
    sharded = "encode: {shard_size: 64}\nsimilarity: {shards: 3}\n"
    (finished.folder / "shards.yaml").write_text(sharded)
    target = str(paths[0].with_name("metrics.json").relative_to(finished.folder))
    both = ("--configfile", "config/small.yaml", "shards.yaml")
    told = finished.snakemake(target, *both, "--verbose").stderr
    # of 96, 24 and 32 images
    assert {told.count(f"rule encode_{side}_shard:") for side in ("images", "texts")} == {2 + 1 + 1}
    assert told.count("rule similarity_shard:") == 3 and told.count("rule gather_rankings:") == 1
    assert [path for path in paths if path.read_bytes() != expected[path]] == []
    assert not list(paths[1].parent.glob("shards/*.npz"))


def test_no_scorer_is_fitted_on_anything_of_the_test_split(finished):
    text = finished.snakemake("-n", *SMALL, "--forcerun", "fit_scorer", "fit_adapter").stdout
    blocks = re.findall(r"^rule (fit_\w+):\n(.*?)(?=^\S|\Z)", text, re.S | re.M)
    assert {rule for rule, _ in blocks} == {"fit_scorer", "fit_adapter"} and len(blocks) >= 7
    inputs = [re.search(r"input: (.*)", block) for _, block in blocks]
    told = [match[1] for match in inputs if match]
    assert any("/train/" in line for line in told) and any("/val/" in line for line in told)
    assert not [line for line in told if "/test/" in line or "rankings" in line]


# --- what runs again


def test_a_finished_run_has_nothing_to_do(finished):
    assert finished.planned(*SMALL).jobs == {}


def test_touching_every_file_reruns_nothing(finished):
    for path in finished.folder.rglob("*"):
        if ".snakemake" not in path.parts:
            path.touch()
    assert finished.planned(*SMALL).jobs == {}


def test_a_comment_or_docstring_reruns_nothing(finished):
    finished.edit("scripts/data/rows.py", '"""The order', '# why\n"""An order')
    finished.edit("config/README.md", "#", "##")
    assert finished.planned(*SMALL).jobs == {}


def test_one_more_prompt_adds_one_text_encoding_and_no_image_encoding(finished):
    finished.edit(
        "config/small.yaml", "prompts: [plain, photo]", "prompts: [plain, photo, picture]"
    )
    jobs = finished.planned(*SMALL).jobs
    assert jobs["encode_texts"] == 1 and jobs["similarity"] == 1 and jobs["metrics"] == 1
    assert not {"encode_images", "train_model", "prepare_images", "draw_scenes"} & set(jobs)


def test_an_ensemble_encodes_those_of_its_templates_that_are_not_yet_and_no_other(finished):
    finished.edit(
        "config/small.yaml", "prompts: [plain, photo]", "prompts: [plain, photo, ensemble]"
    )
    jobs = finished.planned(*SMALL).jobs
    # "picture" and "showing"
    assert jobs["encode_texts"] == 2 and jobs["average_texts"] == 1 and jobs["similarity"] == 1
    finished.edit(
        "config/small.yaml", "prompts: [plain, photo", "prompts: [plain, photo, picture, showing"
    )
    jobs = finished.planned(*SMALL).jobs
    assert jobs["encode_texts"] == 2 and jobs["average_texts"] == 1 and jobs["similarity"] == 3
    finished.edit("config/config.yaml", "ensemble: [", 'ensemble: ["my {}", ')
    jobs = finished.planned(*SMALL).jobs
    assert jobs["encode_texts"] == 3 and "average_texts" not in jobs


def test_a_precision_that_the_run_names_is_not_encoded_again(finished):
    assert not finished.planned(*SMALL).jobs
    text = "studies: {precision: {precisions: [float32, float16]}}\n"
    (finished.folder / "other.yaml").write_text(text)
    jobs = finished.planned("--configfile", "config/small.yaml", "other.yaml").jobs
    assert jobs["encode_images_in"] == jobs["encode_texts_in"] == jobs["study_precision"] == 1


def test_another_choice_of_precision_encodes_again_and_a_touch_does_not(finished):
    (finished.folder / "auto.yaml").write_text("encode: {precision: auto}\n")
    auto = ("--configfile", "config/small.yaml", "auto.yaml")
    folder = f"{RUN}/clip-tiny"
    # features that are there, and what they were computed in is now to be found
    target = f"{folder}/val/texts.plain.npy"
    assert set(finished.planned(target, *auto).jobs) == {"choose_precision", "encode_texts"}
    finished.snakemake(target, *auto)
    path = finished.folder / folder / "precision.json"
    path.touch()
    assert finished.planned(target, *auto).jobs == {}
    found = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(found | {"precision": "float16"}), "utf-8")
    assert set(finished.planned(target, *auto).jobs) == {"encode_texts"}
    # in shards and damaged, too, but not what is told its precision
    jobs = finished.planned(f"{folder}/test/damaged.plain.npy", *auto).jobs
    assert set(jobs) == {"encode_damaged"}
    jobs = finished.planned(f"{folder}/test/float16/images.npy", *auto).jobs
    assert set(jobs) == {"encode_images_in"}
    # with a precision that is named, there is nothing to find
    assert "choose_precision" not in finished.planned(*SMALL, "--forceall").jobs


def test_an_edited_template_encodes_that_prompt_again_and_no_other(finished):
    finished.edit("config/config.yaml", '["a photo of {}"]', '["a drawing of {}"]')
    planned = finished.planned(*SMALL)
    assert planned.jobs["encode_texts"] == 1 and "encode_images" not in planned.jobs


REPORTING = {
    "warn",
    "plot_study",
    "plot_clouds",
    "plot_hub_tradeoff",
    "plot_hubs",
    "plot_failures",
    "explorer",
    "paper",
    "plot_recall",
    "plot_ranks",
    "plot_outcomes",
    "plot_heatmap",
    "plot_gallery",
    "plot_training",
    "plot_flow",
    "document",
    "page",
    "record",
}
DATA = {"draw_scenes", "prepare_images", "split"}
ENCODING = {"encode_images", "encode_texts", "encode_images_in", "encode_texts_in"}
FITTING = {"fit_scorer", "fit_adapter"}


@pytest.mark.parametrize(
    ("module", "users", "untouched"),
    [
        ("scripts/models/encoders.py", {"train_model"} | ENCODING, DATA),
        (
            "scripts/encode/encode_texts.py",
            {"encode_texts", "encode_texts_in", "encode_damaged"},
            DATA | {"train_model", "encode_images"},
        ),
        (
            "scripts/retrieve/ranking.py",
            {"similarity", "study_precision"},
            DATA | {"train_model"} | ENCODING | FITTING,
        ),
        (
            "scripts/evaluate/metrics.py",
            {"metrics"},
            DATA | {"train_model", "similarity"} | ENCODING,
        ),
        ("scripts/data/split.py", {"split"}, {"draw_scenes", "prepare_images"}),
    ],
)
def test_editing_a_module_reruns_exactly_its_users_and_what_follows(
    finished, module, users, untouched
):
    with (finished.folder / module).open("a") as stream:
        stream.write("\nEDITED = True\n")
    planned = finished.planned(*SMALL)
    assert users <= set(planned.jobs)
    assert not untouched & set(planned.jobs)
    # of two users in a row, Snakemake tells the later one's new input and not its new code
    assert planned.changed - REPORTING and planned.changed - REPORTING <= users


def test_changing_the_style_of_one_plot_redraws_that_plot_only(finished):
    finished.edit("config/small.yaml", "dpi: 60", "dpi: 61")
    planned = finished.planned(*SMALL)
    assert planned.changed == {"plot_recall"}
    assert set(planned.jobs) - {"all", "report", "figures"} == {
        *("plot_recall", "page", "paper", "record")
    }


def test_another_dataset_beside_the_first_makes_its_own_steps_and_a_leaderboard(finished):
    (finished.folder / "config/two.yaml").write_text(
        "run: {dataset: [scenes, others]}\n"
        "datasets: {others: {source: scenes, images: {train: 9, val: 9, test: 9}, seed: 5}}\n"
    )
    jobs = finished.planned(*SMALL, "config/two.yaml").jobs
    # training is of the first dataset, which is there with all that follows from it
    assert jobs["draw_scenes"] == jobs["explorer"] == jobs["leaderboard"] == jobs["costs"] == 1
    assert not {"train_model", "fetch_model"} & set(jobs)
    assert jobs["document"] == jobs["page"] == 2


def test_changing_a_setting_of_one_step_leaves_the_steps_before_it(finished):
    with (finished.folder / "config/small.yaml").open("a") as stream:
        stream.write("similarity: {top_k: 5}\n")
    planned = finished.planned(*SMALL)
    assert planned.changed == {"similarity"}
    assert not {"encode_images", "encode_texts"} & set(planned.jobs)


def test_a_features_file_that_was_changed_is_not_used(finished):
    path = finished.folder / RUN / "clip-tiny/test/images.npy"
    array = np.load(path)
    np.save(path, array[::-1])
    done = finished.snakemake(*SMALL, ok=False)
    assert "images.npy" in done.stderr and "to do:" in done.stderr
    assert "Traceback (most recent call last)" not in done.stderr


# --- looking at it before it runs


def test_a_dry_run_of_the_default_configuration_plans_the_whole_way(fresh):
    jobs = fresh.planned().jobs
    assert jobs["download"] == jobs["fetch_model"] == jobs["judgments"] == 1
    # test, and for the scorers that learn, train and val; four prompts, and that of the judgments
    assert jobs["encode_images"] == 3 and jobs["encode_texts"] == 4 + 1 + 2
    # the fifth prompt is an ensemble of the four
    assert jobs["average_texts"] == 1
    # what "auto" stands for is measured, so that both precisions are encoded to compare
    assert jobs["choose_precision"] == 1
    assert jobs["encode_images_in"] == jobs["encode_texts_in"] == 2
    # five prompts under the first scorer, four more scorers under the first prompt
    assert jobs["similarity"] == jobs["metrics"] == 5 + 4
    assert jobs["fit_adapter"] == 1 and jobs["fit_scorer"] == 5 + 3
    assert jobs["document"] == jobs["page"] == jobs["paper"] == 2
    assert "train_model" not in jobs and "draw_scenes" not in jobs


def test_of_many_runs_the_explorer_has_files_beside_it(fresh):
    """All runs of two models, three prompts and six scorers are more than its page holds."""
    beside = "results/scenes/explorer_files/clip-tuned/photo/nnn.js"
    every = "run={combinations: all}"
    planned = fresh.planned(beside, "--configfile", "config/demo.yaml", "--config", every)
    assert planned.jobs["explorer"] == 1


@pytest.mark.parametrize("target", ["prepare", "figures", "tables", "report"])
def test_each_target_can_be_asked_for(fresh, target):
    assert fresh.planned(target).jobs


@pytest.mark.parametrize("graph", ["--rulegraph", "--dag"])
def test_the_graph_is_printed_and_nothing_else(fresh, graph):
    text = fresh.snakemake(graph).stdout
    assert text.lstrip().startswith("digraph") and text.rstrip().endswith("}")


def test_an_unknown_name_stops_before_the_plan_and_offers_the_nearest(fresh):
    done = fresh.snakemake("-n", "--config", "run={models: [clip-vit-b23]}", ok=False)
    assert "did you mean 'clip-vit-b32'?" in done.stderr + done.stdout


# --- one's own photos


@pytest.fixture
def own_photos(finished, monkeypatch) -> Path:
    """Twelve pictures and their captions in a folder outside the project, in a user's home."""
    import shutil

    folder = finished.folder.parent / "my photos"
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    monkeypatch.setenv("HOME", str(folder.parent))
    raw = finished.folder / "data/scenes/raw"
    records = json.loads((raw / "captions.json").read_text("utf-8"))[:12]
    (folder / "images").mkdir(parents=True)
    for number, record in enumerate(records):
        shutil.copy(raw / "images" / record["image"], folder / "images")
        record["captions"] = record["captions"][: 1 + number % 3]
    (folder / "captions.json").write_text(json.dumps(records), "utf-8")
    names = [record["image"] for record in records]
    splits = {"train": names[:4], "val": names[4:6], "test": names[6:]}
    (folder / "splits.json").write_text(json.dumps(splits), "utf-8")
    (folder.parent / "my.yaml").write_text(
        # studies for which it matters how many captions an image has, and how few images there are
        "run: {dataset: mine, models: [clip-tiny], prompts: [plain], scorers: [cosine], studies: "
        "[relevance, gallery, captions, categories, robustness, geometry, errors, confidence]}\n"
        "datasets: {mine: {source: folder, location: ~/my photos}}\n"
    )
    return folder


MINE = ("--configfile", "config/small.yaml", "../my.yaml")


def test_a_folder_of_photos_with_uneven_captions_gets_its_report(finished, own_photos):
    finished.snakemake(*MINE)
    page = (finished.folder / "results/mine/report.en.html").read_text("utf-8")
    assert len(page) > 10_000 and "--configfile results/mine/config.yaml" in page
    record = (finished.folder / "results/mine/ro-crate-metadata.json").read_text("utf-8")
    settings = (finished.folder / "results/mine/config.yaml").read_text("utf-8")
    assert "location: path/to/mine" in settings
    for text in (page, record, settings):
        assert str(own_photos.parent) not in text and "my photos" not in text
    path = finished.folder / "results/mine/clip-tiny/plain/cosine/metrics.json"
    found = json.loads(path.read_text("utf-8"))
    assert found["image_to_text"]["queries"] == 6
    assert found["text_to_image"]["queries"] == 1 + 2 + 3 + 1 + 2 + 3
    assert finished.planned(*MINE).jobs == {}
    (own_photos / "images/new.png").write_bytes(
        next((own_photos / "images").iterdir()).read_bytes()
    )
    assert finished.planned(*MINE).changed == {"download"}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda f: (f / "captions.json").write_text("{}"), "a JSON list of records"),
        (lambda f: (f / "captions.json").write_bytes(b'["\xff"]'), "UTF-8"),
        (lambda f: (f / "captions.json").unlink(), "captions.json"),
        (lambda f: [p.write_bytes(b"") for p in (f / "images").iterdir()], "unreadable"),
    ],
    ids=["not a list", "not UTF-8", "missing", "images empty"],
)
def test_bad_input_ends_in_one_message_and_keeps_what_was_made(finished, own_photos, spoil, told):
    before = (finished.folder / RUN / "tables/metrics.csv").read_bytes()
    spoil(own_photos)
    done = finished.snakemake(*MINE, ok=False)
    assert told in done.stderr and "to do:" in done.stderr
    assert "Traceback (most recent call last)" not in done.stderr
    assert not (finished.folder / "data/mine/captions.json").exists()
    assert not list((finished.folder / "data").rglob("*.draft*"))
    assert (finished.folder / RUN / "tables/metrics.csv").read_bytes() == before
