"""Each example of CONTRIBUTING.md, followed to the letter on a copy of the repository."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_runs import RUN, SMALL
from tiny_models import SIDE, TOWER, clip_vocabulary, make_clip, save

ROOT = Path(__file__).parent.parent
SECTIONS = dict(
    section.partition("\n")[::2]
    for section in (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("\n## ")[1:]
)
STEP = re.compile(
    r"^`([^`]+)`, (?:(new|at the end)|(after|before|in place of) `([^`]+)`):\n\n"
    r"```\w*\n(.*?)^```$",
    re.M | re.S,
)
MINE = (*SMALL, "my.yaml")


def follow(section: str, folder: Path) -> None:
    """Do in ``folder`` what the example of a section says, one file after the other."""
    steps = STEP.findall(SECTIONS[section])
    # none is passed over because it is worded otherwise
    assert len(steps) == SECTIONS[section].count("\n```\n") > 1
    for file, whole, place, anchor, text in steps:
        path = folder / file
        if whole:
            assert path.exists() == (whole != "new"), path
            with path.open("a", encoding="utf-8") as stream:
                stream.write(text)
            continue
        before = path.read_text("utf-8")
        (line,) = [line for line in before.splitlines(keepends=True) if anchor in line]
        after = {
            "after": line + text,
            "before": text + line,
            "in place of": line.replace(anchor, text.rstrip("\n")),
        }
        path.write_text(before.replace(line, after[place]), "utf-8")


def test_every_kind_of_addition_has_its_example():
    kinds = ["study", "figure", "metric", "dataset source", "scorer", "model family"]
    assert list(SECTIONS) == [f"A {kind}" for kind in kinds]


def test_a_study_brings_its_table_its_figure_and_a_section_of_the_report(finished):
    follow("A study", finished.folder)
    finished.snakemake(*MINE)
    run = finished.folder / RUN
    assert "all images,,captions,32,5.0" in (run / "tables/mine.csv").read_text("utf-8")
    assert (run / "figures/study.mine.zh.png").stat().st_size > 1000
    for language, title in (("en", "Captions &amp; images"), ("zh", "描述与图像")):
        assert title in (run / f"report.{language}.html").read_text("utf-8")


def test_a_figure_is_drawn_in_both_languages_with_its_table_beside_it(finished):
    follow("A figure", finished.folder)
    planned = finished.planned("figures", *SMALL).jobs
    # the words of figures are one file; what is drawn is computed no second time
    assert planned["plot_lengths"] == 1
    assert all(rule.startswith("plot_") for rule in planned.keys() - {"figures"})
    finished.snakemake(f"{RUN}/figures/lengths.csv", *SMALL)
    figures = finished.folder / RUN / "figures"
    assert pd.read_csv(figures / "lengths.csv").captions.sum() == 32 * 5
    drawn = [(figures / f"lengths.{language}.svg").read_bytes() for language in ("en", "zh")]
    assert drawn[0] != drawn[1]


def test_a_metric_stands_in_the_metrics_and_their_table(finished):
    follow("A metric", finished.folder)
    planned = finished.planned(f"{RUN}/tables/metrics.csv", *SMALL)
    assert set(planned.jobs) == {"metrics", "compare"}
    finished.snakemake(f"{RUN}/tables/metrics.csv", *SMALL)
    run = finished.folder / RUN
    with np.load(run / "clip-tiny/photo/cosine/rankings.npz") as found:
        share = (found["text_to_image_rank"] <= 20).mean()
    table = pd.read_csv(run / "tables/metrics.csv").query("prompt == 'photo'")
    (value,) = table.query("direction == 'text_to_image'")["recall@20"]
    assert value == pytest.approx(share)
    assert "R@20" in (run / "tables/metrics.md").read_text("utf-8")


def test_a_dataset_source_is_found_and_read(finished):
    follow("A dataset source", finished.folder)
    drawn = sorted((finished.folder / "data/scenes/images").glob("test-*.png"))
    for split, picture in zip(("train", "val", "test"), drawn, strict=False):
        folder = finished.folder / "my pictures/pictures" / split
        folder.mkdir(parents=True)
        shutil.copy(picture, folder / f"a picture of {split}.png")
    data = finished.folder / "data/mine"
    finished.snakemake("data/mine/splits.json", "data/mine/captions.json", *MINE)
    splits = json.loads((data / "splits.json").read_text("utf-8"))
    assert splits == {name: [f"a picture of {name}.png"] for name in ("train", "val", "test")}
    records = json.loads((data / "captions.json").read_text("utf-8"))
    assert {one["captions"][0] for one in records} == {f"a picture of {split}" for split in splits}


def test_a_scorer_is_fitted_ranked_and_measured(finished):
    follow("A scorer", finished.folder)
    run = finished.folder / RUN / "clip-tiny"
    finished.snakemake(f"{RUN}/clip-tiny/plain/power/rankings.npz", *MINE)
    images, texts = (np.load(run / f"test/{name}.npy") for name in ("images", "texts.plain"))
    texts, images = (np.sign(side) * np.abs(side) ** 0.7 for side in (texts, images))
    texts, images = (side / np.linalg.norm(side, axis=1)[:, None] for side in (texts, images))
    scores = texts @ images.T
    own = scores[np.arange(len(texts)), np.arange(len(texts)) // 5][:, None]
    with np.load(run / "plain/power/rankings.npz") as found:
        ranks = found["text_to_image_rank"]
    assert (ranks == np.count_nonzero(scores >= own, axis=1)).mean() > 0.99


FACTS = "import sys; from pathlib import Path; from scripts.models import {module}; "
FACTS += "{module}.{function}(Path(sys.argv[1]))"


def make_clipseg(folder: Path) -> None:
    """The family of the example, small, with random weights, and CLIP's tokenizer."""
    from transformers import CLIPSegConfig, CLIPSegModel

    make_clip(folder)
    end = clip_vocabulary()[0]["<|endoftext|>"]
    text = {"bos_token_id": end - 1, "eos_token_id": end, "pad_token_id": end}
    text |= TOWER | {"vocab_size": end + 1, "max_position_embeddings": 16}
    vision = TOWER | {"image_size": SIDE, "patch_size": 8}
    towers = {"text_config": text, "vision_config": vision}
    save(CLIPSegModel(CLIPSegConfig(**towers, projection_dim=24)), folder)


def test_a_model_of_another_family_is_loaded_and_tells_inputs_apart(fresh, tmp_path):
    make_clipseg(tmp_path / "model")

    def call(module: str, function: str) -> str:
        code = FACTS.format(module=module, function=function)
        command = [sys.executable, "-c", code, str(tmp_path / "model")]
        return subprocess.run(command, cwd=fresh.folder, capture_output=True, text=True).stderr

    assert "found:    model_type: clipseg" in call("weights", "read_facts")
    follow("A model family", fresh.folder)
    assert "Traceback" not in call("probe", "probe")
