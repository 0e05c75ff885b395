"""`./run compare`: exit statuses and words, of runs that are alike, better, worse, and no pair."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from two_runs import ranks_of, write_around, write_dataset, write_run

from scripts.compare import comparison
from scripts.compare.__main__ import main
from scripts.compare.changes import Example, changes_of
from scripts.data.rows import rows_of
from scripts.job import write_json
from scripts.protocol import DIRECTIONS
from scripts.retrieve.similarity import write_rankings

ROOT = Path(__file__).parents[2]
GATE = ("--fail-if", "worse")
PROOF = ("--fail-unless", "not-worse", "--margin")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Four runs of a dataset: of one, of its equal, and of a better and a worse one."""
    home = tmp_path_factory.mktemp("home")
    write_around(home, write_dataset(home), {"better": -2, "worse": 2})
    return home


def run_of(home: Path, prompt: str = "plain") -> str:
    return str(home / "results/toy/clip" / prompt / "cosine")


@pytest.fixture
def copied(home, tmp_path) -> Path:
    return Path(shutil.copytree(home, tmp_path / "home"))


@pytest.mark.parametrize(
    ("new", "typed", "status", "said"),
    [
        ("equal", (), 0, "A and B rank every right answer alike."),
        ("equal", GATE, 0, "PASSED: B is not shown to be worse than A ("),
        ("equal", (*PROOF, "10"), 0, "PASSED: B is shown to be no more than 10.0 points worse"),
        # of fifty images, none that differs is no proof of less than a point
        ("equal", (*PROOF, "1"), 1, "FAILED: B is not shown to be no more than 1.0 points worse"),
        ("better", (), 0, "B is better than A."),
        ("better", GATE, 0, "PASSED"),
        ("better", (*PROOF, "0.1"), 0, "PASSED"),
        ("worse", (), 0, "B is worse than A."),
        ("worse", GATE, 1, "FAILED: B is worse than A (B − A < −"),
        ("worse", (*GATE, "--margin", "10"), 1, "FAILED: B is worse than A by more than 10.0"),
        ("worse", (*GATE, "--margin", "60"), 0, "PASSED: B is not shown to be worse than A by"),
        ("worse", (*PROOF, "10"), 1, "FAILED"),
        ("worse", (*GATE, "--metric", "mean_rank"), 1, "FAILED: B is worse than A (B − A > +"),
        ("worse", (*GATE, "--metric", "mean_rank", "--margin", "5"), 0, "by more than 5.0 ranks"),
        ("worse", (*GATE, "--metric", "mrr"), 1, "MRR, Text → image: 0."),
        ("worse", (*GATE, "--metric", "rsum"), 1, "rsum, Text ↔ image: "),
    ],
)  # fmt: skip
def test_the_exit_status_is_the_answer_and_the_screen_says_it(
    home, new, typed, status, said, capsys
):
    assert main([run_of(home), run_of(home, new), *typed]) == status
    told = capsys.readouterr()
    assert said in told.err and len(told.err.splitlines()) <= 8
    assert told.out.startswith("# Two runs on the same queries\n\n**")


def test_a_gate_that_asks_for_proof_says_what_size_of_data_it_takes(home, capsys, tmp_path):
    to = tmp_path / "out"
    assert main([run_of(home), run_of(home, "worse"), *PROOF, "2", "--to", str(to)]) == 1
    told = capsys.readouterr()
    assert told.out == "" and told.err.endswith(f"In full: {to}/compare.md\n")
    gate = json.loads((to / "compare.json").read_text("utf-8"))["gate"]
    needed = gate["needed"]
    assert 50 < needed["images"] < needed["images_with_power"]
    assert needed["queries"] == 6 * needed["images"]
    assert f"{needed['images']:,} images ({needed['queries']:,} queries)" in told.err
    assert gate["margin"] == 0.02 and gate["bound"] < -0.02 and gate["p"] > 0.05


def test_the_files_hold_what_was_found_and_agree_with_the_metrics_of_the_runs(home, tmp_path):
    main([run_of(home), run_of(home, "better"), "--to", str(tmp_path)])
    found = json.loads((tmp_path / "compare.json").read_text("utf-8"))
    stored = [
        json.loads(Path(run_of(home, one), "metrics.json").read_text("utf-8"))
        for one in ("plain", "better")
    ]
    rows = {(row["measure"], row["direction"]): row for row in found["measures"]}
    assert len(rows) == 12 and found["images"] == 50 and found["captions"] == 250
    for way in ("text_to_image", "image_to_text"):
        for name in ("recall@1", "recall@5", "recall@10"):
            row = rows[name, way]
            assert [row["a"], row["b"]] == [one[way][name] for one in stored]
            assert row["low"] <= row["difference"] <= row["high"]
        changes = found["changes"][way]
        entered = changes["won"]["5"] - changes["lost"]["5"]
        gained = rows["recall@5", way]["difference"]
        assert entered == pytest.approx(gained * changes["queries"]) and not changes["losses"]
    text = (tmp_path / "compare.md").read_text("utf-8")
    assert "| prompt | plain | better |" in text


def test_examples_are_of_the_queries_that_changed_most(home, tmp_path):
    main([run_of(home), run_of(home, "worse"), "--to", str(tmp_path)])
    found = json.loads((tmp_path / "compare.json").read_text("utf-8"))
    assert found["changes"]["text_to_image"]["gains"] == []
    losses = found["changes"]["text_to_image"]["losses"]
    assert [(one["before"], one["after"]) for one in losses] == [(1, 3)] * 5
    assert all(one["caption"].endswith(one["image"]) for one in losses)
    assert len({one["image"] for one in losses}) == 5


def test_a_query_that_stays_on_its_side_of_the_top_is_no_example():
    rows = rows_of(["a", "b", "c", "d"], [[name] for name in "abcd"])
    ranks = {"before": [2, 5, 11, 30], "after": [4, 6, 10, 12]}
    a, b = ({f"{way}_rank": np.array(own) for way in DIRECTIONS} for own in ranks.values())
    found = changes_of(a, b, rows)["image_to_text"]
    assert found.losses == [Example("b", "b", 5, 6)] and found.gains == [Example("c", "c", 11, 10)]
    assert (found.nearer, found.farther, found.kept[5]) == (2, 2, 1)
    assert found.won == {1: 0, 5: 0, 10: 1} and found.lost == {1: 0, 5: 1, 10: 0}


@pytest.mark.parametrize("margin", ["0", "1", "10", "60"])
def test_p_bound_and_answer_say_the_same_in_the_unit_of_the_measure(home, tmp_path, margin):
    for metric in ("mean", "mean_rank"):
        typed = (*GATE, "--margin", margin, "--metric", metric, "--to", str(tmp_path))
        status = main([run_of(home), run_of(home, "worse"), *typed])
        found = json.loads((tmp_path / "compare.json").read_text("utf-8"))
        gate = found["gate"]
        assert (status == 1) == (gate["p"] < 0.05) == (gate["bound"] < -gate["margin"])
        row = found["measures"][0]
        assert row["measure"] == metric and row["low"] < row["difference"] < row["high"]
        assert row["difference"] == pytest.approx(row["b"] - row["a"])


def test_it_speaks_chinese(home, tmp_path, capsys):
    typed = ("--language", "zh", *GATE)
    assert main([run_of(home), run_of(home, "worse"), *typed]) == 1
    told = capsys.readouterr()
    assert "B 不如 A。" in told.err and "未通过：B 比 A 差（B − A < −" in told.err
    assert told.out.startswith("# 同一批查询上的两次运行") and "测试集" in told.out
    assert not re.search(r"\b(?:queries|Image|rank)\b", told.out)


# --- what cannot be compared


def differing(err: str) -> dict[str, list[str]]:
    """What a refusal lists: what -> in A, in B."""
    lines = [re.split(r" {2,}", line.strip()) for line in err.splitlines()]
    assert lines[0] == ["A and B cannot be compared. What has to be the same and is not:"]
    assert lines[1] == ["what", "A", "B"]
    return {line[0]: line[1:] for line in lines[2:]}


def refused(capsys, *typed: str) -> str:
    """What a comparison without an answer says: not on the screen alone, and never a traceback."""
    assert main([*typed, *GATE]) == 2
    told = capsys.readouterr()
    assert told.out == "" and "Traceback" not in told.err
    return told.err


def test_other_captions_or_another_split_are_other_queries(home, tmp_path, capsys):
    rows = write_dataset(tmp_path, "other", told=["sentence"])
    other = write_run(tmp_path, rows, ranks_of(rows), dataset="other")
    found = differing(refused(capsys, run_of(home), str(other)))
    assert found["dataset"] == ["toy", "other"] and set(found) == {"dataset", "rows"}
    assert found["rows"][1] == rows.digest[:12] != found["rows"][0]
    metrics = other / "metrics.json"
    about = json.loads(metrics.read_text("utf-8")) | {"split": "val", "images": 10}
    metrics.write_text(json.dumps(about), "utf-8")
    found = differing(refused(capsys, run_of(home), str(other)))
    assert found["split"] == ["test", "val"] and found["images"] == ["50", "10"]
    about = json.loads(Path(run_of(home), "metrics.json").read_text("utf-8"))
    metrics.write_text(json.dumps(about | {"split": "val"}), "utf-8")
    shutil.copy(Path(run_of(home), "rankings.npz"), other)
    assert differing(refused(capsys, run_of(home), str(other))) == {"split": ["test", "val"]}
    assert main([run_of(home), str(other), "--language", "zh"]) == 2
    assert "A 与 B 无法比较。" in capsys.readouterr().err


def test_one_dataset_under_two_names_is_one(home, tmp_path):
    rows = write_dataset(tmp_path, "renamed")
    other = write_run(tmp_path, rows, ranks_of(rows), dataset="renamed")
    assert main([run_of(home), str(other), *GATE]) == 0


def test_numbers_of_another_version_of_the_measures_are_not_compared(copied, capsys):
    metrics = Path(run_of(copied, "worse"), "metrics.json")
    about = json.loads(metrics.read_text("utf-8"))
    # the last is more than a float can be
    for odd in (0.123456, float("nan"), "many", 10**400):
        about["image_to_text"]["mrr"] = odd
        metrics.write_text(json.dumps(about), "utf-8")
        found = differing(refused(capsys, run_of(copied), run_of(copied, "worse")))
        assert list(found) == ["image_to_text: mrr"]
        # which of the two it is, and what its ranks give
        assert re.fullmatch(rf"{odd!s:.20} ≠ 0\.\d+", found["image_to_text: mrr"][1])
        assert re.fullmatch(r"0\.\d+", found["image_to_text: mrr"][0])


def test_other_pictures_under_the_same_names_are_other_queries(home, copied, capsys):
    for where, sums in ((home, "ab"), (copied, "ac")):
        lines = [f"{n:03}.png,{sums[n == 12] * 64}" for n in range(60)]
        table = "\n".join(["image,sha256", *lines])
        (where / "data/toy/images.csv").write_text(table, "utf-8")
    found = differing(refused(capsys, run_of(home), run_of(copied, "better")))
    assert found == {"sha256: 012.png": ["b" * 12, "c" * 12]}
    assert main([run_of(home), run_of(home, "better")]) == 0


def test_results_that_were_moved_are_compared_by_the_captions_of_the_other(
    copied, tmp_path, capsys
):
    moved = shutil.move(copied / "results", tmp_path / "production")
    a = str(moved / "toy/clip/plain/cosine")
    rows = write_dataset(tmp_path / "new")
    b = str(write_run(tmp_path / "new", rows, ranks_of(rows, seed=1)))
    assert main([a, b]) == main([b, a]) == 0
    capsys.readouterr()
    shutil.rmtree(tmp_path / "new/data")
    told = refused(capsys, a, b)
    assert f"ERROR in {tmp_path}/new/data/toy/captions.json and {tmp_path}/data/toy" in told
    assert "to do:    put captions.json and splits.json of the dataset into" in told


def test_captions_that_changed_since_are_told(copied, capsys):
    write_dataset(copied, told=["sentence"])
    told = refused(capsys, run_of(copied), run_of(copied, "worse"))
    assert f"ERROR in {copied}/data/toy\n  found:    images and captions with the sum" in told


def test_one_folder_twice_is_no_comparison(copied, capsys):
    link = copied / "link"
    link.symlink_to(run_of(copied))
    for other in (run_of(copied), f"{run_of(copied)}/../cosine", str(link)):
        assert "found:    one folder twice" in refused(capsys, run_of(copied), other)


SPOILT = {
    "no metrics": (lambda f: (f / "metrics.json").unlink(), "no finished run"),
    "no rankings": (lambda f: (f / "rankings.npz").unlink(), "no such file"),
    "a folder": (
        lambda f: ((f / "rankings.npz").unlink(), (f / "rankings.npz").mkdir()), "Is a directory"
    ),
    "no JSON": (lambda f: (f / "metrics.json").write_text("{"), "metrics.json, line 1"),
    "no metrics of a run": (lambda f: write_json(f / "metrics.json", [1]), "[1]"),
    "of no model": (lambda f: edit(f, model=["clip"]), "model: ['clip']"),
    "of no split": (lambda f: edit(f, split="all"), "split: 'all'"),
    "of so many": (lambda f: edit(f, images="many"), "images: 'many'"),
    "one way": (lambda f: edit(f, image_to_text=[1]), "image_to_text, queries: None"),
    "cut off": (lambda f: cut(f / "rankings.npz"), "rankings.npz"),
    "no rows": (lambda f: spoil(f, rows=None), "no array rows"),
    "no ranks": (lambda f: spoil(f, text_to_image_rank=None), "rankings.npz"),
    "NaN": (lambda f: spoil(f, text_to_image_rank=np.full(250, np.nan)), "float64 [250] [nan"),
    "halves": (lambda f: spoil(f, text_to_image_rank=np.full(250, 1.5)), "float64 [250] [1.5"),
    "zero": (lambda f: spoil(f, image_to_text_rank=np.zeros(250, int)), "from 1 to 250"),
    "too far": (lambda f: spoil(f, text_to_image_rank=np.full(250, 51)), "from 1 to 50"),
    "too few": (lambda f: spoil(f, text_to_image_rank=np.ones(9, int)), "int64 [9]"),
}  # fmt: skip


def edit(folder: Path, **changed: object) -> None:
    metrics = folder / "metrics.json"
    write_json(metrics, json.loads(metrics.read_text("utf-8")) | changed)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def spoil(folder: Path, **changed: np.ndarray | None) -> None:
    path = folder / "rankings.npz"
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored} | changed
    write_rankings(path, {name: own for name, own in arrays.items() if own is not None})


@pytest.mark.parametrize("kind", SPOILT)
def test_a_spoilt_run_is_named_with_what_is_wrong_and_what_to_do(copied, capsys, kind):
    spoilt, said = SPOILT[kind]
    spoilt(Path(run_of(copied, "worse")))
    for typed in (("plain", "worse"), ("worse", "plain")):
        told = refused(capsys, *(run_of(copied, one) for one in typed))
        assert said in told and "worse" in told


def test_what_is_no_run_is_told_with_one_that_is(home, tmp_path, capsys):
    folder = str(home / "results/toy/clip/better")
    assert f"to do:    name one run, such as {folder}/cosine" in refused(
        capsys, folder, run_of(home)
    )
    for odd in ("nothing", "", "\udcff", "x" * 300, str(tmp_path)):
        told = refused(capsys, run_of(home), odd)
        assert "no finished run" in told or "too long" in told
    for place in ("/metrics.json", str(home / "data/toy/captions.json")):
        assert "no finished run" in refused(capsys, place, run_of(home))


def test_what_is_refused_is_not_what_to_name(home, capsys):
    folder = Path(run_of(home))
    # not as deep as results
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        link = Path(short, "link")
        link.symlink_to(folder)
        assert f"name one run, such as {folder}\n" in refused(capsys, str(link), run_of(home))
        shutil.copy(folder / "metrics.json", short)
        Path(short, "nothing").symlink_to(home / "data")
        for odd in (short, f"{short}/nothing"):
            told = refused(capsys, odd, run_of(home))
            assert "to do:    correct the path, or make the run" in told


def test_what_is_typed_is_read_before_anything_heavy_is_loaded():
    heavy = ["scipy", "jinja2", "jsonschema", "torch", "snakemake"]
    code = f"import sys, scripts.compare.__main__; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ((*GATE, "--margin", "-1"), "--margin"),
        ((*GATE, "--margin", "nan"), "nan: 0, or a number from 1e-06 up, such as 1"),
        ((*GATE, "--margin", "1e999"), "--margin"),
        ((*GATE, "--margin", "a lot"), "--margin"),
        ((*PROOF, "1e-300"), "--margin"),
        (("--margin", "1"), "--margin goes with"),
        ((*GATE, *PROOF, "1"), "not allowed with"),
        (PROOF[:2], "needs a --margin above 0"),
        ((*PROOF, "0"), "needs a --margin above 0"),
        ((*GATE, "--metric", "median_rank"), "--metric"),
        (("--fail-if", "better"), "--fail-if"),
        (("--language", "fr"), "--language"),
    ],
)
def test_what_is_typed_wrong_ends_in_status_2(home, typed, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main([run_of(home), run_of(home, "worse"), *typed])
    assert ended.value.code == 2 and said in capsys.readouterr().err


def test_a_margin_that_nothing_could_exceed_is_refused(home, capsys):
    assert main([run_of(home), run_of(home, "worse"), *GATE, "--margin", "250"]) == 2
    told = capsys.readouterr().err
    assert "ERROR in --margin\n  found:    250\n  expected: less than 100," in told


def test_what_cannot_be_written_or_goes_wrong_is_no_answer(home, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").touch()
    pair = run_of(home), run_of(home, "worse")
    assert main([*pair, *GATE, "--to", str(tmp_path / "file")]) == 2
    assert "ERROR: " in capsys.readouterr().err

    def breaks(*_):
        raise RuntimeError("a bug")

    # Python itself would leave with 1, as a gate does that says no
    monkeypatch.setattr(comparison, "comparison_of", breaks)
    assert main([*pair, *GATE]) == 2
    assert "please report it" in capsys.readouterr().err


def test_an_answer_of_before_does_not_stay_where_there_is_none_now(home, tmp_path):
    to = ("--to", str(tmp_path))
    assert main([run_of(home), run_of(home, "better"), *to]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["compare.json", "compare.md"]
    assert main([run_of(home), str(tmp_path / "missing"), *to]) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_least_margin_has_a_size_of_data_too(home, tmp_path, capsys):
    typed = (*PROOF, "1e-6", "--to", str(tmp_path))
    assert main([run_of(home), run_of(home, "worse"), *typed]) == 1
    needed = json.loads((tmp_path / "compare.json").read_text("utf-8"))["gate"]["needed"]
    assert needed["images"] > 1e12
    assert "no more than 1e−06 points worse" in capsys.readouterr().err


# --- what else differs


def test_settings_and_versions_that_differ_are_listed_and_what_is_not_known_is_told(
    copied, tmp_path, capsys
):
    other = Path(shutil.copytree(copied, tmp_path / "other"))
    for home, templates, version in ((copied, "{}", "1.0"), (other, "a photo of {}", "2.0")):
        toy = home / "results/toy"
        (toy / "config.yaml").write_text(
            f"prompts: {{plain: ['{templates}']}}\nmodels: {{clip: {{source: local}}}}\n"
            "scorers: {cosine: {kind: cosine, when: 2026-01-31}}\nencode: {precision: float32}\n"
        )
        (toy / "clip/test").mkdir()
        precision = "float16" if home == other else "float32"
        write_json(toy / "clip/test/images.json", {"device": "cpu", "precision": precision})
        code = {"@id": "#code/commit/x", "name": "git commit", "value": f"c0ffee{version}"}
        workflow = {"@id": "#workflow", "softwareVersion": version}
        write_json(toy / "ro-crate-metadata.json", {"@graph": [workflow, code]})
        job = {"rule": "metrics", "wildcards": {}, "inputs": {}, "code": "same", "seconds": 1}
        job |= {"outputs": {}, "cpu_seconds": 1, "max_rss_mb": 1, "device": "cpu"}
        # libraries that one of them has no need of are no difference
        versions = {"numpy": version, f"only_{version}": "1"}
        job |= {"versions": versions, "machine": {"processor": "a", "cores": 2}}
        path = home / "results/jobs/results/toy/clip/plain/cosine/metrics.json.json"
        write_json(path, job)
    assert main([run_of(copied), run_of(other), "--to", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "compare.json").read_text("utf-8"))
    assert {one["what"]: (one["a"], one["b"]) for one in found["different"]} == {
        "prompt.templates": ('["{}"]', '["a photo of {}"]'),
        "workflow": ("1.0", "2.0"),
        "git commit": ("c0ffee1.0", "c0ffee2.0"),
        "images: precision": ("float32", "float16"),
        "numpy": ("1.0", "2.0"),
    }
    assert found["untold"] == {"a": [], "b": []}
    (other / "results/toy/config.yaml").unlink()
    assert main([run_of(copied), run_of(other), "--to", str(tmp_path)]) == 0
    text = (tmp_path / "compare.md").read_text("utf-8")
    assert "Of B less is known; not beside the run: config.yaml." in text
