"""The Markdown of a comparison shows what captions and names are, and never does what they say."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt
from small_runs import RUN
from two_runs import ranks_of, write_dataset, write_run

from scripts.compare.__main__ import arguments, main
from scripts.templates import LONGEST, plain

ROOT = Path(__file__).parents[2]
HOSTILE = [
    "<script>alert(1)</script> <b>bold</b> <!-- gone",
    "a | b || \\| c",
    "**bold** _em_ `code` ~~struck~~ $x^2$",
    "[click](http://evil.example) ![pic](x.png) <http://evil.example> www.evil.example",
    "@everyone look at #12 and &lt; &#64;",
    "# no heading\n\n- no list\r\n> no quote\x1b[31m",
    "back\\slash at the end \\",
    "蓝色的方块 :smile: 100%",
]


def shown(cell: str) -> str:
    """What a reader sees of a cell of a table; fails where it is more than text."""
    page = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = page.parse(f"| a | b |\n| :-- | :-- |\n| {cell} | last |\n")
    cells = [token for token in tokens if token.type == "inline"]
    assert len(cells) == 4 and cells[3].content == "last"
    assert {token.type for token in cells[2].children} == {"text"}
    return "".join(token.content for token in cells[2].children)


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_elsewhere_is_shown_letter_by_letter(text):
    seen = shown(str(plain(text))).replace("\u200b", "")
    assert seen == " ".join(text.split()).replace("\x1b", "\\x1b")


def test_nothing_calls_people_or_links_to_issues_or_pages():
    text = str(plain("@everyone #12 http://evil.example WWW.evil.example a@b.example"))
    assert not any(sign in text.replace("&#", "") for sign in "@#:") and "WWW." not in text
    seen = shown(text)
    assert "@\u200beveryone #\u200b12" in seen and "a@\u200bb" in seen


def test_what_is_long_is_cut():
    assert len(shown(str(plain("word " * 99)))) == LONGEST and str(plain("word " * 99))[-1] == "…"


def test_hostile_captions_and_names_do_not_break_the_page(tmp_path):
    texts = []
    for folder, told, prompt in (("a", ["plain"], "photo"), ("b", HOSTILE, "a|b`<i>")):
        rows = write_dataset(tmp_path / folder, told=told)
        ranks = ranks_of(rows)
        runs = [write_run(tmp_path / folder, rows, ranks)]
        runs.append(write_run(tmp_path / folder, rows, ranks.clip(1, 2)[::-1].copy(), prompt))
        assert main([*map(str, runs), "--to", str(tmp_path / folder)]) == 0
        texts.append((tmp_path / folder / "compare.md").read_text("utf-8"))
    page = MarkdownIt("commonmark", {"html": True}).enable("table")
    harmless, hostile = ([one for one in page.parse(text)] for text in texts)
    assert [one.type for one in harmless] == [one.type for one in hostile]
    inline = {child.type for one in hostile for child in one.children or ()}
    assert inline == {"text", "strong_open", "strong_close"}


def test_runs_of_the_workflow_are_compared_with_all_that_their_jobs_say(finished_run, tmp_path):
    model = finished_run.folder / RUN / "clip-tiny"
    pair = str(model / "plain/cosine"), str(model / "plain/adapter")
    assert main([*pair, "--to", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "compare.json").read_text("utf-8"))
    assert found["untold"] == {"a": [], "b": []}
    different = {one["what"]: (one["a"], one["b"]) for one in found["different"]}
    assert different["scorer"] == ("cosine", "adapter")
    assert different["scorer.kind"] == ("cosine", "adapter")
    assert different["scorer.seeds"] == (None, "[0, 1, 2]")
    # of libraries that one of them has no need of, nothing is said
    assert not {"torch", "numpy", "workflow", "code of metrics"} & set(different)
    # the differences that the run's own table has, and the same test of each side
    with (model.parent / "tables/pairs.csv").open(encoding="utf-8", newline="") as stream:
        pairs = [row for row in csv.DictReader(stream) if row["scorer"] == "adapter"]
    pairs = [one for one in pairs if one["other_scorer"] == "cosine"]
    assert len(pairs) == 3
    for of_table in pairs:
        rows = [one for one in found["measures"] if one["direction"] == of_table["direction"]]
        for row in rows:
            assert row["difference"] == pytest.approx(float(of_table[row["measure"]]), abs=1e-8)
        [mean] = [one for one in rows if one["measure"] == "mean"]
        two_sided = 2 * min(mean["p_worse"], mean["p_better"])
        assert min(two_sided, 1) == pytest.approx(float(of_table["p"]), abs=0.05)


def test_the_page_has_a_workflow_that_may_only_read_and_commands_that_can_be_typed():
    page = (ROOT / "docs/compare.md").read_text("utf-8")
    typed = re.findall(r"\./run compare (.*?)(?: *#.*| &&)?$", page.replace("\\\n", ""), re.M)
    assert len(typed) == 5
    for words in typed:
        arguments(shlex.split(words))
    flow = yaml.safe_load(re.search(r"```yaml\n(.*?)```", page, re.S)[1])
    assert flow["permissions"] == {"contents": "read"}
    tests = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text("utf-8"))
    ours = {step.get("uses") for job in tests["jobs"].values() for step in job["steps"]}
    steps = flow["jobs"]["compare"]["steps"]
    assert {step["uses"] for step in steps if "uses" in step} <= ours
    # what was found stands on the page of the run, whatever the answer
    assert steps[-1]["if"] == "always()" and "compare/compare.md" in steps[-1]["run"]
    assert "--to compare" in steps[-2]["run"]
