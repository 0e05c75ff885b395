"""The table that sets runs side by side."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import pytest

from scripts.evaluate import compare
from scripts.evaluate.compare import best_of, rows_of_runs, to_latex, to_markdown
from scripts.measures import METRICS
from scripts.protocol import DIRECTIONS


def run_of(prompt: str, recall: float, rank: float, model: str = "clip") -> dict:
    values = {
        "queries": 5000, "gallery": 1000, "recall@1": recall, "recall@5": 0.5, "recall@10": 0.75,
        "median_rank": rank, "mean_rank": rank, "mrr": 0.25,
        "r_precision": 0.2, "map@r": 0.125, "ndcg@10": 0.3,
    }  # fmt: skip
    bounds = {
        name: [value * 0.9, value * 1.1]
        for name, value in values.items()
        if name not in ("queries", "gallery")
    }
    return {
        "rsum": 2.5, "intervals": {"rsum": [2, 3], **dict.fromkeys(DIRECTIONS, bounds)},
        "dataset": "toy", "model": model, "prompt": prompt, "scorer": "cosine", "split": "test",
        "images": 1000, "captions": 5000, "text_to_image": values, "image_to_text": dict(values),
    }  # fmt: skip


RUNS = [run_of("plain", 1 / 3, 12), run_of("a_photo", 0.25, 3.5), run_of("best", 0.4, 20)]


def test_there_is_a_row_for_each_run_and_direction_in_the_order_given():
    rows = rows_of_runs(RUNS)
    assert [(row["direction"], row["prompt"]) for row in rows] == [
        (direction, prompt)
        for direction in ("text_to_image", "image_to_text")
        for prompt in ("plain", "a_photo", "best")
    ]


def test_more_recall_and_smaller_ranks_are_better():
    rows = rows_of_runs(RUNS)[:3]
    assert best_of(rows, "recall@1") == {"40.0"}
    assert best_of(rows, "median_rank") == {"3.5"}
    assert best_of(rows, "prompt") == set()
    assert best_of(rows[:1], "recall@1") == set()


def lines_with(text: str, word: str) -> list[str]:
    return [line for line in text.splitlines() if word in line]


def test_markdown_marks_the_best_of_each_direction_and_escapes_names():
    text = to_markdown(rows_of_runs(RUNS))
    first, second = lines_with(text, "best")
    assert first == second
    assert first == (
        "| clip | best | cosine | **40.0 [36.0, 44.0]** | **50.0 [45.0, 55.0]** | "
        "**75.0 [67.5, 82.5]** | 20.0 | **0.250** | **20.0** | **12.5** | **0.300** | "
        "**250.0 [200.0, 300.0]** |"
    )
    photo = lines_with(text, "photo")[0]
    assert photo.startswith(
        "| clip | a\\_photo | cosine | 25.0 [22.5, 27.5] | **50.0 [45.0, 55.0]** |"
    )
    assert "| **3.5** |" in photo
    assert "33.3" in lines_with(text, "plain")[0]
    assert lines_with(text, "→") == [
        "text → image (5,000 queries, gallery of 1,000):",
        "image → text (5,000 queries, gallery of 1,000):",
    ]


def test_values_that_print_alike_are_marked_alike():
    runs = [run_of("plain", 0.33331, 1), run_of("photo", 0.33332, 2)]
    text = to_markdown(rows_of_runs(runs))
    assert text.count("**33.3 [30.0, 36.7]**") == 4


def test_a_single_run_has_nothing_to_be_better_than():
    rows = rows_of_runs(RUNS[:1])
    assert "**" not in to_markdown(rows) and "textbf" not in to_latex(rows)


def test_latex_is_a_booktabs_table_with_escaped_names():
    text = to_latex(rows_of_runs([*RUNS, run_of("50%_{}&#$~^\\", 0.1, 1)]))
    assert "\\begin{tabular}{lllrrrrrrrrr}" in text
    for rule in ("\\toprule", "\\bottomrule", "\\end{tabular}"):
        assert text.count(rule) == 1
    assert text.count("\\midrule") == 2
    assert "a\\_photo" in text
    name = r"50\%\_\{\}\&\#\$\textasciitilde{}\textasciicircum{}\textbackslash{}"
    assert text.count(name) == 2
    assert r"\textbf{40.0 [36.0, 44.0]}" in lines_with(text, "best")[0]
    body = [
        line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line
    ]
    assert {line.replace(r"\&", "").count("&") for line in body} == {11}
    for line in text.splitlines():
        bare = line.replace(r"\{", "").replace(r"\}", "")
        assert bare.count("{") == bare.count("}")


def test_the_rule_writes_full_precision_and_the_same_bytes_each_time(tmp_path):
    paths = []
    for number, metrics in enumerate(RUNS):
        paths.append(str(tmp_path / f"{number}.json"))
        (tmp_path / f"{number}.json").write_text(json.dumps(metrics))
    job = SimpleNamespace(
        input=SimpleNamespace(metrics=paths),
        output=SimpleNamespace(
            csv=str(tmp_path / "tables" / "metrics.csv"),
            markdown=str(tmp_path / "tables" / "metrics.md"),
            latex=str(tmp_path / "tables" / "metrics.tex"),
        ),
    )
    compare.main(job)
    tables = sorted((tmp_path / "tables").iterdir())
    first = [path.read_bytes() for path in tables]
    compare.main(job)
    assert [path.read_bytes() for path in tables] == first
    with (tmp_path / "tables" / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == [
        "dataset", "model", "prompt", "scorer", "split", "direction", "queries", "gallery",
        "recall@1", "recall@5", "recall@10", "median_rank", "mean_rank", "mrr",
        "r_precision", "map@r", "ndcg@10", "rsum",
    ] + [
        f"{measure}_{end}" for measure in METRICS for end in ("low", "high")
    ]  # fmt: skip
    assert float(rows[0]["recall@1_low"]) == pytest.approx(0.3)
    assert rows[0]["rsum"] == rows[3]["rsum"] == "2.5"
    assert float(rows[0]["recall@1"]) == pytest.approx(1 / 3, abs=1e-16)
    assert [row["prompt"] for row in rows] == ["plain", "a_photo", "best"] * 2
