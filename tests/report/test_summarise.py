"""What the screen shows when a run ends, to the character."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from scripts.evaluate.pairs import WAYS
from scripts.job import write_json
from scripts.letters import wide_in
from scripts.report import summarise
from scripts.report.summarise import MOST, WIDTH, summary

FIRST = ("clip", "plain", "cosine")
FEW = {
    "kind": "few_images",
    "numbers": {"images": 40, "half_width": 0.155, "enough": 385, "wanted": 0.05},
}


def metrics_of(recalls: dict[tuple, float], images: int = 40, captions: int = 80) -> list[dict]:
    sizes = {"text_to_image": (captions, images), "image_to_text": (images, captions)}
    rows = []
    for key, recall in recalls.items():
        for way, (queries, gallery) in sizes.items():
            row = dict(zip(("model", "prompt", "scorer"), key, strict=True))
            row |= {"direction": way, "queries": str(queries), "gallery": str(gallery)}
            for depth in (1, 5, 10):
                for end, by in (("", 0.0), ("_low", -0.1), ("_high", 0.1)):
                    row[f"recall@{depth}{end}"] = str(min(1.0, max(0.0, recall + by)))
            rows.append({"split": "test"} | row)
    return rows


def pairs_of(mine: tuple, other: tuple, mean: float, verdict: str) -> list[dict]:
    names = ("model", "prompt", "scorer")
    return [
        {
            **dict(zip(names, mine, strict=True)),
            **{f"other_{name}": one for name, one in zip(names, other, strict=True)},
            **{"direction": way, "mean": str(mean), "verdict": verdict},
        }
        for way in WAYS
    ]


def test_one_run_is_a_table_with_intervals_chance_warnings_and_where_to_look():
    expected = """\
mine: 40 images, 80 captions (test)
Recall in %                         @1                  @5                 @10
clip · plain · cosine
  Text → image      90.0 [80.0, 100.0]  90.0 [80.0, 100.0]  90.0 [80.0, 100.0]
  Image → text      90.0 [80.0, 100.0]  90.0 [80.0, 100.0]  90.0 [80.0, 100.0]

By chance alone
  Text → image                     2.5                12.5                25.0
  Image → text                     2.5                12.2                23.6

Before you read the numbers (results/mine/warnings.json):
- Only 40 test images: a recall near 50% is uncertain by ±15.5 percentage
  points. 385 images would make that ±5.0.

Report     results/mine/report.en.html
           (report.zh.html in Chinese, .pdf on paper)
Explorer   results/mine/explorer.html
Search     ./run search --dataset mine "a red car"
"""
    assert summary("mine", metrics_of({FIRST: 0.9}), [], [FEW]) == expected


def test_other_runs_say_how_far_they_are_from_the_first_and_whether_that_is_noise():
    other, third = ("clip", "photo", "cosine"), ("siglip", "plain", "cosine")
    pairs = [
        *pairs_of(other, FIRST, 0.023, "better"),
        *pairs_of(third, FIRST, -0.01, "alike"),
        *pairs_of(third, other, -0.2, "worse"),
    ]
    text = summary("mine", metrics_of({FIRST: 0.5, other: 0.6, third: 0.4}), pairs, [])
    assert text.count("against the first, in mean recall") == 2
    assert "both ways +2.3 (better), Text → image +2.3 (better)" in " ".join(text.split())
    assert "Image → text −1.0 (no clear difference)" in " ".join(text.split())
    assert "worse" not in text and "Before you read" not in text


def test_of_many_runs_the_first_and_the_best_are_shown_and_the_others_counted():
    runs = {("clip", f"p{number}", "cosine"): number / 100 for number in range(1, 21)}
    text = summary("mine", metrics_of(runs), [], [])
    shown = [line.split(" · ")[1] for line in text.splitlines() if " · " in line]
    assert shown == ["p1", *(f"p{number}" for number in range(22 - MOST, 21))]
    assert f"(and {20 - MOST} more with lower recall: results/mine/tables/metrics.csv)" in text


@pytest.mark.parametrize("name", ["clip", "m" * 60])
def test_no_line_is_wider_than_the_screen_whatever_the_names(name):
    key = (name, "p" * 60, "s" * 60)
    twins = {"kind": "duplicates", "numbers": {"groups": 3, "example": "一" * 90 + ".jpg"}}
    pairs = pairs_of((name, "x" * 60, "cosine"), key, 1.0, "alike")
    metrics = metrics_of({key: 1.0, (name, "x" * 60, "cosine"): 0.0}, 100_000, 500_000)
    for line in summary("d" * 20, metrics, pairs, [FEW, twins]).splitlines():
        assert len(line) + wide_in(line) <= WIDTH, line


def test_a_search_is_offered_of_a_model_that_encodes_and_else_not_at_all():
    rows = metrics_of({FIRST: 0.5, ("other", "plain", "cosine"): 0.4})
    told = [summary("mine", rows, [], [], elsewhere) for elsewhere in
            ([], [FIRST[0]], [FIRST[0], "other"])]  # fmt: skip
    assert './run search --dataset mine "a red car"' in told[0]
    assert './run search --dataset mine --model other "a red car"' in told[1]
    assert "search" not in told[2]


def test_the_rule_reads_tables_and_warnings_and_writes_the_text(tmp_path):
    files = {"metrics": tmp_path / "metrics.csv", "pairs": tmp_path / "pairs.csv"}
    rows = metrics_of({FIRST: 0.5})
    files["metrics"].write_text(
        "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]), "utf-8"
    )
    files["pairs"].write_text("model\n", "utf-8")
    write_json(tmp_path / "warnings.json", [FEW])
    summarise.main(
        SimpleNamespace(
            input=SimpleNamespace(**files, warnings=tmp_path / "warnings.json"),
            output=SimpleNamespace(text=tmp_path / "summary.txt"),
            params=SimpleNamespace(elsewhere=[]),
            wildcards=SimpleNamespace(dataset="mine"),
        )
    )
    assert (tmp_path / "summary.txt").read_text("utf-8") == summary("mine", rows, [], [FEW])
