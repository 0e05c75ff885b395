"""Published figures beside a run's own, where they are of the same thing and nowhere else."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_run import read_table

from scripts.job import BadInput, write_json
from scripts.studies import study_published
from scripts.studies.study_published import (
    COLUMNS,
    comparable,
    published_rows,
    read_published,
    short_name,
)
from scripts.studies.table import COLUMNS as TABLE_COLUMNS

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "published" / "clip_benchmark_r5.csv"


def figure(direction: str, value: float, **other: object) -> dict[str, str]:
    row = {
        "dataset": "flickr8k", "split": "test", "images": 1000, "repo": "openai/b32 mirror/b32",
        "model_name": "B-32 openai", "direction": direction, "measure": "recall@5",
        "value": value, "source": "people/benchmark@1234 results.csv",
    }  # fmt: skip
    return {name: str(value) for name, value in (row | other).items()}


def measured(model: str, prompt: str, scorer: str, images: int = 1000) -> list[dict[str, str]]:
    """Rows of metrics.csv: text to image 0.80 [0.78, 0.82], image to text 0.90 [0.88, 0.92]."""
    both = (("text_to_image", 5 * images, 0.8), ("image_to_text", images, 0.9))
    return [
        {
            "model": model, "prompt": prompt, "scorer": scorer, "split": "test", "direction": way,
            "queries": str(queries), "recall@5": str(value),
            "recall@5_low": str(round(value - 0.02, 2)),
            "recall@5_high": str(round(value + 0.02, 2)),
        }
        for way, queries, value in both
    ]  # fmt: skip


# within the interval, and within what the same weights and data may differ by
PUBLISHED = [figure("text_to_image", 0.79), figure("image_to_text", 0.903)]


def test_a_figure_stands_beside_the_runs_own_and_agrees_to_three_thousandths_or_not():
    found = published_rows(
        PUBLISHED, measured("clip", "plain", "cosine"), {"clip": "openai/b32"}, "flickr8k"
    )
    assert [(row["direction"], row["measure"], row["value"]) for row in found] == [
        ("text_to_image", "recall@5", 0.8),
        ("text_to_image", "published", 0.79),
        ("text_to_image", "difference", 0.01),
        ("text_to_image", "agrees", 0),
        ("image_to_text", "recall@5", 0.9),
        ("image_to_text", "published", 0.903),
        ("image_to_text", "difference", -0.003),
        ("image_to_text", "agrees", 1),
    ]
    assert {row["group"] for row in found} == {"B-32 openai (benchmark)"}
    assert (found[0]["low"], found[0]["high"], found[0]["queries"]) == (0.78, 0.82, 5000)


def test_a_mirror_of_the_weights_has_the_figure_too():
    metrics = measured("clip", "plain", "cosine")
    assert len(published_rows(PUBLISHED, metrics, {"clip": "mirror/b32"}, "flickr8k")) == 8


@pytest.mark.parametrize(
    ("repo", "source", "images", "changed"),
    [
        ("openai/b16", "flickr8k", 1000, {}),
        ("b32", "flickr8k", 1000, {}),
        (None, "flickr8k", 1000, {}),
        ("openai/b32", "scenes", 1000, {}),
        ("openai/b32", "flickr8k", 999, {}),
        ("openai/b32", "flickr8k", 1000, {"split": "val"}),
    ],
)
def test_nothing_stands_beside_another_model_dataset_split_or_number_of_images(
    repo, source, images, changed
):
    published = [figure("text_to_image", 0.8, **changed)]
    metrics = measured("clip", "plain", "cosine", images)
    assert published_rows(published, metrics, {"clip": repo}, source) == []


def test_only_captions_as_they_are_under_a_cosine_are_compared():
    templates = {
        ("clip", "plain"): ["{}"],
        ("clip", "photo"): ["a photo of {}"],
        ("clip", "both"): ["{}", "a photo of {}"],
    }
    metrics = [
        row
        for prompt in ("plain", "photo", "both")
        for scorer in ("cosine", "same", "nnn")
        for row in measured("clip", prompt, scorer)
    ]
    kept = comparable(metrics, templates, ["cosine", "same"])
    assert {(row["prompt"], row["scorer"]) for row in kept} == {
        ("plain", "cosine"),
        ("plain", "same"),
    }


def test_a_source_is_named_by_its_repository():
    assert short_name("LAION-AI/CLIP_benchmark@48de38c benchmark/benchmark.csv") == "CLIP_benchmark"
    assert short_name("Someone (2021)") == "Someone (2021)"


def test_the_committed_figures_are_well_formed_and_each_stands_there_once():
    rows = read_published(ROOT / "config" / "published.csv")
    keys = [(row["model_name"], row["direction"], row["measure"], row["source"]) for row in rows]
    assert len(set(keys)) == len(keys) > 0
    assert all(row["source"] and row["repo"] for row in rows)
    assert {row["direction"] for row in rows} == {"text_to_image", "image_to_text"}


@pytest.mark.skipif(not SHARED.exists(), reason="the collected figures are not here")
def test_the_committed_figures_are_those_of_their_source():
    column = {
        "text_to_image": "image_retrieval_recall@5",
        "image_to_text": "text_retrieval_recall@5",
    }
    theirs = {
        (f"{row['model']} {row['pretrained']}", way): float(row[column[way]])
        for row in read_table(SHARED)
        if row["dataset"] == "flickr8k"
        for way in column
    }
    for row in read_published(ROOT / "config" / "published.csv"):
        expected = theirs[row["model_name"], row["direction"]]
        # a share of 5,000 captions or of 1,000 images has four digits
        assert float(row["value"]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("dataset,split\n", "line 1"),
        (
            ",".join(COLUMNS) + "\nflickr8k,test,1000,a/b,m,text_to_image,recall@5,80.5,s\n",
            "line 2",
        ),
        (",".join(COLUMNS) + "\nflickr8k,test,,a/b,m,text_to_image,recall@5,0.8,s\n", "line 2"),
    ],
)
def test_a_table_that_is_not_well_formed_is_refused_by_its_line(tmp_path, content, words):
    (tmp_path / "published.csv").write_text(content)
    with pytest.raises(BadInput, match=words):
        read_published(tmp_path / "published.csv")


@pytest.fixture
def job(tmp_path):
    def write(name: str, rows: list[dict[str, str]]) -> str:
        with (tmp_path / name).open("w", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return str(tmp_path / name)

    encodings = []
    for prompt, templates in (("plain", ["{}"]), ("a.photo", ["a photo of {}"])):
        path = tmp_path / "results" / "clip" / "test" / f"texts.{prompt}.json"
        write_json(path, {"templates": templates})
        encodings.append(str(path))
    write_json(tmp_path / "model.json", {"model": "clip", "repo": "openai/b32"})
    write_json(tmp_path / "source.json", {"source": "github", "official_split": True})
    metrics = measured("clip", "plain", "cosine") + measured("clip", "a.photo", "cosine")
    return SimpleNamespace(
        input=SimpleNamespace(
            metrics=write("metrics.csv", metrics),
            models=[str(tmp_path / "model.json")],
            encodings=encodings,
            source=str(tmp_path / "source.json"),
            published=write("published.csv", PUBLISHED),
        ),
        output=SimpleNamespace(table=str(tmp_path / "table.csv")),
        params=SimpleNamespace(source="flickr8k", cosines=["cosine"]),
    )


def test_the_job_compares_the_plain_run(job):
    study_published.main(job)
    table = read_table(job.output.table)
    assert len(table) == 8
    assert {row["prompt"] for row in table} == {"plain"}


def test_a_split_of_ones_own_gives_a_table_of_the_header_alone(job):
    write_json(job.input.source, {"source": "kaggle", "official_split": False})
    study_published.main(job)
    assert Path(job.output.table).read_text() == ",".join(TABLE_COLUMNS) + "\n"
