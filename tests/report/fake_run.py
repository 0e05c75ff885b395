"""A run that never was, in the files of a real one: pictures, captions, rankings, costs."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from fake_captions import captions_of
from fake_rankings import fake_scores, rankings_from
from fake_studies import STUDIES, settings_of, write_studies
from PIL import Image, ImageDraw

from scripts.data.rows import rows_of
from scripts.evaluate.compare import rows_of_runs, to_csv
from scripts.evaluate.intervals import Resampling
from scripts.evaluate.metrics import metrics_of
from scripts.evaluate.pairs import COLUMNS as PAIR_COLUMNS
from scripts.evaluate.pairs import compare_all, pairs_of
from scripts.evaluate.runs import read_run
from scripts.figures import (
    plot_flow,
    plot_gallery,
    plot_index_tradeoff,
    plot_ranks,
    plot_recall,
    plot_study,
    plot_training,
)
from scripts.job import write_json
from scripts.report import document, warn
from scripts.report.blocks import read_document
from scripts.report.write_ending import PICTURES
from scripts.retrieve.arrays import write_arrays
from scripts.retrieve.similarity import write_rankings
from scripts.studies.families import table_behind
from scripts.studies.study_relevance import (
    DUPLICATE_COLUMNS,
    TIE_COLUMNS,
    duplicate_rows,
    tie_rows,
)
from scripts.studies.table import write_rows

PLOTS = (plot_flow, plot_gallery, plot_index_tradeoff, plot_ranks, plot_recall)
PLOTS += (plot_study, plot_training)
# their own rules and tests draw these; any drawing will do for a report
COPIED = ("heatmap", "outcomes", "failures", *PICTURES["geometry"])
SKETCH = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0L9 9"/></svg>'
LANGUAGES = ("en", "zh")
DIRECTIONS = ("text_to_image", "image_to_text")
STATISTICS = {"resamples": 300, "flips": 999, "seed": 0, "all_pairs": 12}
RESAMPLING = Resampling(STATISTICS["resamples"], STATISTICS["seed"])
SCORERS = {
    "centred": {"kind": "centring"},
    "nnn": {"kind": "nnn"},
    "inverted-softmax": {"kind": "inverted_softmax"},
    "adapter": {"kind": "adapter"},
    "fusion": {"kind": "fusion", "with": "another-model"},
    "cosine+blip+first": {"kind": "reranked", "by": "blip"},
}


class Named(SimpleNamespace):
    """As Snakemake's own: attributes, and ``get`` for those that may not be there."""

    def get(self, name: str, default: Any = None) -> Any:
        return getattr(self, name, default)


class FakeRun:
    """A run in a folder, in the places of the design.

    Parameters
    ----------
    strengths : (model, prompt, scorer) -> how much better than noise it is
    base : the model that all others of the run were tuned from
    studies, titles : those of the run, and what the configuration calls them
    """

    def __init__(
        self,
        folder: Path,
        strengths: dict[tuple[str, str, str], float],
        images: int = 60,
        per_image: int = 3,
        seed: int = 0,
        trained: bool = True,
        dataset: str = "toys",
        base: str | None = None,
        studies: tuple[str, ...] = STUDIES,
        titles: dict[str, dict[str, str]] | None = None,
    ) -> None:
        self.base, self.studies, self.titles = base, studies, titles or {}
        self.precisions: dict[str, dict[str, Any]] = {}
        self.folder, self.dataset, self.trained = folder, dataset, trained
        names = [f"{number:04d}.jpg" for number in range(images + 20)]
        texts = {name: captions_of(number, per_image) for number, name in enumerate(names)}
        self.rows = rows_of(names[:images], [texts[name] for name in names[:images]])
        self.keys = list(strengths)
        self._write_data(names, texts, images)
        self._write_models(
            sorted({key[0] for key in strengths}, key=[k[0] for k in self.keys].index)
        )
        metrics, runs = [], []
        for number, (key, strength) in enumerate(strengths.items()):
            scores = fake_scores(self.rows, strength, seed + 100 * (number + 1))
            rankings = rankings_from(scores, self.rows, 10)
            write_rankings(self.rankings_of(key), rankings)
            runs.append(read_run(self.rankings_of(key), self.rows))
            self._write_scorer(key)
            metrics.append(
                {
                    **dict(zip(("model", "prompt", "scorer"), key, strict=True)),
                    "dataset": dataset,
                    "split": "test",
                    **metrics_of(rankings, self.rows, RESAMPLING),
                }
            )
        self.metrics = self.results / "tables" / "metrics.csv"
        self.metrics.parent.mkdir(parents=True)
        to_csv(rows_of_runs(metrics), self.metrics)
        pairs = pairs_of(runs, STATISTICS["all_pairs"])
        records = compare_all(pairs, self.rows, RESAMPLING, STATISTICS["flips"])
        write_rows(self.metrics.with_name("pairs.csv"), records, PAIR_COLUMNS)
        ties = [tie for one in runs for tie in tie_rows(one, self.rows)]
        write_rows(self.metrics.with_name("ties.csv"), ties, TIE_COLUMNS)
        duplicates = duplicate_rows(self.rows)
        write_rows(self.metrics.with_name("duplicates.csv"), duplicates, DUPLICATE_COLUMNS)
        write_studies(self.metrics.parent, self.keys, 3 * images, seed)
        write_json(
            self.results / "machine.json",
            {
                "machines": [
                    {"processor": "A <b>processor</b>", "cores": 2, "memory_gb": 23.5,
                     "system": "Linux x86_64", "rules": ["prepare"]},
                ],
                "packages": [{"name": "python", "version": "3.11.7"}],
            },
        )  # fmt: skip
        # features of all but the first model were made elsewhere
        first, *elsewhere = self.models
        rows = [f"{first},21.54,1159.4,421.2\n", *(f"{model},,,\n" for model in elsewhere)]
        (self.results / "tables" / "costs.csv").write_text(
            "model,images_per_second,texts_per_second,max_rss_mb\n" + "".join(rows), "utf-8"
        )
        (self.results / "tables" / "steps.csv").write_text(
            "rule,jobs,seconds,max_rss_mb,mean_load_percent\n"
            "prepare,1,3.2,95.5,88\nencode_images,1,12.5,812.0,170\nencode_texts,3,4.5,640.1,150\n"
            "similarity,3,0.4,180.0,\nmetrics,3,0.1,,\n",
            "utf-8",
        )

    @property
    def data(self) -> Path:
        return self.folder / "data" / self.dataset

    @property
    def results(self) -> Path:
        return self.folder / "results" / self.dataset

    def _write_scorer(self, key: tuple[str, str, str]) -> None:
        """What a scorer of this kind learns, as far as a report reads it."""
        both = np.array([0.5, 0.25])
        learnt = {
            "centring": {"share": both},
            "nnn": {"weight": both, "neighbours": np.array([4, 16])},
            "inverted_softmax": {"beta": np.array([20.0, 0.0])},
            "fusion": {"weight": both, "with": np.array("another-model")},
            "adapter": {"epochs": np.array([3, 4, 3]), "seeds": np.array([0, 1, 2])},
            "reranked": {"first": both},
        }
        kind = SCORERS.get(key[2], {}).get("kind", "cosine")
        path = self.rankings_of(key).with_name("scorer.npz")
        write_arrays(path, {"kind": np.array(kind), **learnt.get(kind, {})})

    def rankings_of(self, key: tuple[str, str, str]) -> Path:
        return self.results.joinpath(*key, "rankings.npz")

    def rows_of(self, study: str) -> Path:
        return self.metrics.with_name(f"{table_behind(study)}.csv")

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(key[0] for key in self.keys))

    def _write_data(self, names: list[str], texts: dict[str, list[str]], images: int) -> None:
        (self.data / "images").mkdir(parents=True)
        for number, name in enumerate(names):
            size = ((96, 64), (64, 96), (80, 80))[number % 3]
            picture = Image.new(
                "RGB", size, tuple(int(40 + 37 * number * k % 200) for k in (1, 2, 3))
            )
            ImageDraw.Draw(picture).ellipse((20, 12, 60, 52), fill=(number * 3 % 255, 180, 60))
            picture.save(self.data / "images" / name)
        write_json(
            self.data / "captions.json",
            [{"image": name, "captions": own} for name, own in texts.items()],
        )
        write_json(
            self.data / "splits.json",
            {
                "train": names[images + 5 :],
                "val": names[images : images + 5],
                "test": names[:images],
            },
        )
        # of an official split
        table = [f"{name},test" for name in names]
        (self.data / "images.csv").write_text("\n".join(["image,split", *table]), "utf-8")
        write_json(
            self.data / "raw" / "source.json",
            {
                "source": "folder",
                "layout": "folder",
                "root": "x",
                "notes": {},
                "files": [{"path": "captions.json", "bytes": 10, "sha256": "ab" * 32}],
            },
        )
        write_json(
            self.results / "audit.json",
            {
                "source": "folder",
                "layout": "folder",
                "images": {
                    "found": len(names) + 2,
                    "used": len(names),
                    "set_aside": 2,
                    "converted": 1,
                },
                "captions": {"found": 245, "used": 240, "set_aside": 5},
                "set_aside": [
                    {"item": "bad.jpg", "reason": "truncated <b>file</b>", "detail": ""},
                    {"item": "gone.jpg", "reason": "no caption", "detail": ""},
                ],
                "converted": [{"item": "0001.jpg", "reason": "CMYK"}],
                "notes": [{"note": "byte-identical images", "count": 3, "items": ["0001.jpg"]}],
            },
        )

    def _write_models(self, models: list[str]) -> None:
        for model in models:
            folder = self.folder / "data" / "models" / model
            write_json(
                folder / "model.json",
                {
                    "model": model,
                    "source": "train" if self.trained else "huggingface",
                    "repo": None if self.trained else "somebody/some-model",
                    "revision": None if self.trained else "0123456789abcdef",
                    "architecture": "clip",
                    "files": {"config.json": "cd" * 32, "model.safetensors": "ef" * 32},
                    "parameters": 16_400_000,
                    "embedding_dim": 64,
                    "tried": [],
                    **(
                        {
                            "training": {
                                "dataset": self.dataset,
                                "base": self.base if model != self.base else None,
                                "epochs": 8,
                                "best_epoch": 6,
                                "val_recall@10": 0.6,
                                **(
                                    {"before": {"val_recall@10": 0.45}}
                                    if self.base not in (None, model)
                                    else {}
                                ),
                            }
                        }
                        if self.trained
                        else {}
                    ),
                },
            )
            write_json(folder / "config.json", {"text_config": {"max_position_embeddings": 32}})
            write_json(
                folder / "processor_config.json",
                {
                    "image_processor": {
                        "size": {"shortest_edge": 64},
                        "do_center_crop": True,
                        "do_resize": True,
                        "crop_size": {"height": 64, "width": 64},
                        "image_mean": [0.48, 0.46, 0.41],
                        "image_std": [0.27, 0.26, 0.28],
                        "resample": 3,
                        "do_normalize": True,
                    }
                },
            )
            log = ["epoch,step,train_loss,val_loss,val_recall@1,val_recall@10,learning_rate"]
            for epoch in range(1, 9):
                log.append(
                    f"{epoch},{epoch * 10},{3 / epoch + 0.5},{3 / epoch + 0.9},{0.05 * epoch},"
                    f"{0.1 * epoch},0.001"
                )
            (folder / "training.csv").write_text("\n".join(log) + "\n", "utf-8")
            shared = {
                "device": "cpu",
                "precision": "float32",
                "rows": self.rows.digest,
                "model": "aa",
                "sha256": "bb",
            }
            write_json(
                self.results / model / "test" / "images.json",
                {**shared, "shape": [len(self.rows.images), 64]},
            )
            for prompt in dict.fromkeys(key[1] for key in self.keys):
                write_json(
                    self.results / model / "test" / f"texts.{prompt}.json",
                    {
                        **shared,
                        "shape": [len(self.rows.captions), 64],
                        "truncated": 1,
                        "templates": ["{}", "a photo of {}"] if prompt == "ensemble" else ["{}"],
                    },
                )

    def _write_precisions(self) -> list[str]:
        """What was found for each model of ``precisions`` to compute in."""
        paths = [self.results / model / "precision.json" for model in self.precisions]
        for path, found in zip(paths, self.precisions.values(), strict=True):
            write_json(path, found)
        return [str(path) for path in paths]

    def figure(self, name: str, *parts: str) -> dict[str, Any]:
        """Outputs of a plot rule, in both languages."""
        stem = ".".join((name, *parts))
        folder = self.results / "figures"
        return {
            "svg": [str(folder / f"{stem}.{lang}.svg") for lang in LANGUAGES],
            "png": [str(folder / f"{stem}.{lang}.png") for lang in LANGUAGES],
            "table": str(folder / f"{stem}.csv"),
        }

    def draw(self) -> FakeRun:
        """Every figure, by the rules' own ``main``."""
        params = {"languages": list(LANGUAGES), "style": {"dpi": 60}, "split": "test", **STATISTICS}
        rows = {"captions": self.data / "captions.json", "splits": self.data / "splits.json"}
        plot_recall.main(job({"metrics": self.metrics}, self.figure("recall"), params))
        rankings = [str(self.rankings_of(key)) for key in self.keys]
        plot_ranks.main(job({"rankings": rankings, **rows}, self.figure("ranks"), params))
        plot_flow.main(job({}, self.figure("flow"), params))
        for study in self.studies:
            if settings_of(study)["figure"]["form"] == "none":
                continue
            inputs = {"table": self.rows_of(study)}
            settings = {**params, "settings": settings_of(study)["figure"]}
            output = self.figure("study", study)
            plot_study.main(job(inputs, output, settings, {"study": study}))
        for picture in COPIED:
            folder = self.results / "figures"
            (folder / f"{picture}.csv").touch()
            for lang in LANGUAGES:
                shutil.copy(folder / f"recall.{lang}.svg", folder / f"{picture}.{lang}.svg")
        if "indexes" in self.studies:
            inputs = {"table": self.metrics.with_name("index_costs.csv")}
            plot_index_tradeoff.main(job(inputs, self.figure("index_tradeoff"), params))
        for model in self.models:
            if self.trained:
                files = self.folder / "data" / "models" / model
                inputs = {"log": files / "training.csv", "model": files / "model.json"}
                plot_training.main(job(inputs, self.figure("training", model), params))
            key = next(key for key in self.keys if key[0] == model)
            for way in DIRECTIONS:
                inputs = {
                    "rankings": str(self.rankings_of(key)),
                    **rows,
                    "images": str(self.data / "images"),
                }
                counts = {
                    "direction": way,
                    "top_k": 5,
                    "successes": 2,
                    "near_misses": 2,
                    "failures": 2,
                    "seed": 1,
                }
                plot_gallery.main(job(inputs, self.figure("gallery", model, way), params | counts))
        return self

    def sketch(self) -> FakeRun:
        """As ``draw``, with one line in place of each drawing: for what a report says in words."""
        with ExitStack() as patched:
            for script in PLOTS:
                patched.enter_context(mock.patch.object(script, "draw", sketched))
            return self.draw()

    def warned_of(self) -> dict[str, Any]:
        """Inputs of the rule that looks for what to warn of."""
        study = self.metrics.with_name("precision.csv")
        return {
            "metrics": self.metrics,
            "pairs": self.metrics.with_name("pairs.csv"),
            "texts": sorted(str(path) for path in self.results.glob("*/test/texts.*.json")),
            "precisions": self._write_precisions(),
            "audit": self.results / "audit.json",
            "source": self.data / "raw" / "source.json",
            "table": self.data / "images.csv",
            "splits": self.data / "splits.json",
            **({"precision_study": study} if "precision" in self.studies else {}),
        }

    def document(self, lang: str, name: str = "document") -> dict[str, Any]:
        """The report in one language as blocks, by the rule's own ``main``."""
        figures, tables = self.results / "figures", self.results / "tables"
        output = self.results / f"{name}.{lang}.json"
        made = {"warnings": self.results / "warnings.json"}
        warn.main(job(self.warned_of(), made, {"left_out": {}}))
        lists = {
            "relevance": ("ties", "duplicates"),
            "indexes": ("index_costs",),
        }
        inputs = {
            **{of: tables / f"{of}.csv" for study in self.studies for of in lists.get(study, ())},
            "warnings": self.results / "warnings.json",
            "machine": self.results / "machine.json",
            "costs": tables / "costs.csv",
            "metrics": self.metrics,
            "steps": tables / "steps.csv",
            "audit": self.results / "audit.json",
            "source": self.data / "raw" / "source.json",
            "captions": self.data / "captions.json",
            "splits": self.data / "splits.json",
            "rankings": [str(self.rankings_of(key)) for key in self.keys],
            "encodings": sorted(str(path) for path in self.results.glob("*/test/*.json")),
            "precisions": self._write_precisions(),
            "scorers": [str(self.rankings_of(key).with_name("scorer.npz")) for key in self.keys],
            "pairs": self.metrics.with_name("pairs.csv"),
            "studies": [str(self.rows_of(study)) for study in self.studies],
            "models": [
                str(self.folder / "data" / "models" / m / "model.json") for m in self.models
            ],
            "galleries": [
                str(figures / f"gallery.{self.models[0]}.{way}.csv") for way in DIRECTIONS
            ],
        }
        params = {
            "split": "test",
            "figures": [
                path.name.removesuffix(f".{lang}.svg")
                for path in sorted(figures.glob(f"*.{lang}.svg"))
                if not path.name.startswith("gallery.")
            ],
            "studies": {
                study: settings_of(study, self.titles.get(study)) for study in self.studies
            },
            "scorers": {
                scorer: SCORERS.get(scorer, {"kind": "cosine"})
                for scorer in dict.fromkeys(key[2] for key in self.keys)
            },
            "statistics": STATISTICS,
            "commands": ["./run snakemake --cores 2 <all>"],
            "listing": "scripts/recall_at_k.py",
        }
        wildcards = {"dataset": self.dataset, "lang": lang}
        document.main(job(inputs, {"document": str(output)}, params, wildcards))
        return read_document(output)


def sketched(snakemake: Any, _: Any) -> None:
    """Each figure of a job as one line."""
    for path in snakemake.output.svg:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(SKETCH, "utf-8")


def job(
    inputs: dict[str, Any],
    output: dict[str, Any],
    params: dict[str, Any],
    wildcards: dict[str, str] | None = None,
) -> SimpleNamespace:
    """What a script sees as ``snakemake``."""
    return SimpleNamespace(
        input=Named(**inputs),
        output=Named(**output),
        params=Named(**params),
        wildcards=Named(**(wildcards or {})),
    )


PROMPTS = {
    ("tiny", "plain", "cosine"): 0.20,
    ("tiny", "photo", "cosine"): 0.06,
    ("tiny", "ensemble", "cosine"): 0.27,
}
