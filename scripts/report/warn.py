"""What a reader should know before the numbers: the contents of warnings.json.

A warning is a kind, its numbers, and the file that they come from. It has no words: the sentence of
each kind stands in ``scripts/words/warnings.<language>.yaml``, and ``warned.py`` says it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.data.audit import Note
from scripts.data.rows import read_splits
from scripts.data.split import meant, read_official
from scripts.evaluate.pairs import BOTH, SIGNIFICANT
from scripts.evaluate.runs import chance, right_answers
from scripts.job import log, read_json, write_json
from scripts.jobs import Snakemake, run
from scripts.measures import RECALLS
from scripts.protocol import DEPTHS, DIRECTIONS, ENOUGH, HALF_WIDTH, half_width
from scripts.studies.table import P_OF, read_table

# captions cut, of all, from which on the last digit of a recall as it is printed may change
CUT = 0.001
NAMES = ("model", "prompt", "scorer")

# rows of a table in CSV, as text
Rows = Sequence[Mapping[str, str]]
# each of {"kind", "numbers"}
Warned = list[dict[str, Any]]


def of_size(metrics: Rows) -> Warned:
    """Whether there are few test images, and whether lists reach over a whole gallery.

    Parameters
    ----------
    metrics : rows of metrics.csv
    """
    found: Warned = []
    for way in DIRECTIONS:
        row = next(row for row in metrics if row["direction"] == way)
        queries, gallery = int(row["queries"]), int(row["gallery"])
        if way == "text_to_image" and half_width(gallery) > HALF_WIDTH:
            numbers: dict[str, Any] = {
                "images": gallery,
                "half_width": round(half_width(gallery), 4),
                "enough": ENOUGH,
                "wanted": HALF_WIDTH,
            }
            found.append({"kind": "few_images", "numbers": numbers})
        right = right_answers(way, queries, gallery)
        certain = [depth for depth in DEPTHS if chance(gallery, right, depth) == 1]
        if certain:
            numbers = {"direction": way, "measure": f"recall@{certain[0]}", "gallery": gallery}
            found.append({"kind": "whole_gallery", "numbers": numbers})
    return found


def of_leads(metrics: Rows, pairs: Rows) -> Warned:
    """The other runs that the one with the highest recall, both ways, is not clearly above.

    Parameters
    ----------
    metrics : rows of metrics.csv
    pairs : rows of pairs.csv; the lead is over the run that comes next
    """
    recall: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for row in metrics:
        recall[_key(row)] += sum(float(row[name]) for name in RECALLS)
    best = max(recall, key=lambda key: recall[key])
    leads, alike = [], 0
    for row in pairs:
        if row["direction"] == BOTH and best in (_key(row), _key(row, "other_")):
            sign = 1 if _key(row) == best else -1
            low, high = sorted(sign * float(row[f"mean_{end}"]) for end in ("low", "high"))
            leads.append([sign * float(row["mean"]) + 0.0, low, high])
            alike += row["verdict"] == "alike"
    if not alike:
        return []
    numbers = {
        **dict(zip(NAMES, best, strict=True)),
        "alike": alike,
        "others": len(leads),
        "lead": min(leads),
    }
    return [{"kind": "not_apart", "numbers": numbers}]


def _key(row: Mapping[str, str], of: str = "") -> tuple[str, ...]:
    return tuple(row[f"{of}{name}"] for name in NAMES)


def of_captions(about: Mapping[str, Any], model: str, prompt: str) -> Warned:
    """Whether captions lost their end under a prompt.

    Parameters
    ----------
    about : the sidecar of their features
    model, prompt : that they are of
    """
    # of features made elsewhere it is not known
    cut, captions = about.get("truncated", 0), about["shape"][0]
    if cut < CUT * captions or not cut:
        return []
    numbers = {"model": model, "prompt": prompt, "captions": captions}
    if cut == captions:
        return [{"kind": "all_captions_cut", "numbers": numbers}]
    return [
        {"kind": "captions_cut", "numbers": {**numbers, "cut": cut, "share": cut / captions}},
    ]


def of_precision(found: Mapping[str, Any], model: str) -> Warned:
    """Whether a model would not do in the fast precision of the device.

    Parameters
    ----------
    found : the contents of precision.json
    model : that it is of
    """
    if found["reason"] not in ("apart", "not_finite"):
        return []
    numbers = {name: found[name] for name in ("device", "native", "precision")} | {"model": model}
    if found["reason"] == "apart":
        cosines = found["cosines"][found["native"]].values()
        numbers["smallest"] = min(one["smallest"] for one in cosines)
    return [{"kind": f"precision_{found['reason']}", "numbers": numbers}]


def of_precision_study(rows: Rows) -> Warned:
    """Precisions that change a measure by more than chance.

    Parameters
    ----------
    rows : of the study's table
    """
    tested: dict[tuple[str, str], list[bool]] = {}
    for row in rows:
        if row["measure"].startswith(P_OF):
            clear = float(row["value"]) < SIGNIFICANT
            tested.setdefault((row["model"], row["group"]), []).append(clear)
    return [
        {
            "kind": "precision_changes",
            "numbers": {"model": model, "name": name, "changed": sum(own), "total": len(own)},
        }
        for (model, name), own in tested.items()
        if any(own)
    ]


def of_audit(audit: Mapping[str, Any], official: bool = False) -> Warned:
    """Images that are there more than once, and in no split of a dataset that has some.

    Parameters
    ----------
    audit : the contents of audit.json
    official : whether the split is that of the dataset's authors, who left out what they wanted
    """
    notes = {note["note"]: note for note in audit["notes"]}
    found: Warned = []
    if twins := notes.get(Note.BYTE_IDENTICAL):
        numbers = {"groups": twins["count"], "example": twins["items"][0]}
        found.append({"kind": "duplicates", "numbers": numbers})
    if (alone := notes.get(Note.IN_NO_SPLIT)) and not official:
        numbers = {"images": alone["count"], "example": alone["items"][0]}
        others = notes.get(Note.OTHER_SPLITS, {"items": []})["items"]
        kind = "in_other_split" if others else "in_no_split"
        found.append({"kind": kind, "numbers": numbers | ({"names": others} if others else {})})
    if one := notes.get(Note.ONE_SPLIT):
        found.append({"kind": "one_split", "numbers": {"split": one["items"][0]}})
    return found


def of_source(source: Mapping[str, Any]) -> Warned:
    """Sources that come first in the configuration and could not be had.

    Parameters
    ----------
    source : the contents of source.json
    """
    skipped = source.get("skipped", [])
    numbers = {"source": source["source"], "skipped": skipped}
    return [{"kind": "sources_skipped", "numbers": numbers}] if skipped else []


def worst(cut: Iterable[dict[str, Any]]) -> Warned:
    """Of the prompts under which captions were cut, the one of each model that cut most."""
    of_model: dict[str, dict[str, Any]] = {}
    for one in cut:
        model = one["numbers"]["model"]
        if model not in of_model or _share(one) > _share(of_model[model]):
            of_model[model] = one
    return list(of_model.values())


def _share(cut: dict[str, Any]) -> float:
    return cut["numbers"].get("share", 1.0)


def of_split(official: Mapping[str, str], splits: Mapping[str, Sequence[str]]) -> Warned:
    """How the images were split, where the dataset does not say it itself.

    Parameters
    ----------
    official : image -> its split in the dataset, "" where that has none
    splits : the contents of splits.json
    """
    stands_for = meant(Counter(official.values()))
    found = [
        {"kind": "one_split", "numbers": {"split": split}}
        if other != "test"
        else {"kind": "val_measured", "numbers": {"images": len(splits["test"])}}
        for split, other in stands_for.items()
    ]
    if any(stands_for.get(split, split) for split in official.values()):
        return found
    numbers: dict[str, Any] = {split: len(images) for split, images in splits.items()}
    if numbers["test"] == sum(numbers.values()):
        return [*found, {"kind": "all_test", "numbers": {"test": numbers["test"]}}]
    kind = "split_drawn" if numbers["test"] >= ENOUGH else "split_halved"
    drawn = {"kind": kind, "numbers": numbers | {"enough": ENOUGH, "wanted": HALF_WIDTH}}
    return [*found, drawn]


def of_left_out(left_out: Mapping[str, Mapping[str, Sequence[str]]]) -> Warned:
    """What the run left out as its dataset or a model cannot serve it, by why.

    Parameters
    ----------
    left_out : ``run.left_out`` of the config
    """
    of_models: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for model, names in left_out.get("model", {}).items():
        of_models[tuple(names)].append(model)
    return [
        *(
            {
                "kind": f"left_out_{why}",
                "numbers": {"names": [*named.get("scorers", []), *named.get("studies", [])]},
            }
            for why, named in left_out.items()
            if why != "model"
        ),
        *(
            {"kind": "left_out_model", "numbers": {"models": models, "names": list(names)}}
            for names, models in of_models.items()
        ),
    ]


def warnings_of(files: Any, left_out: Mapping[str, Mapping[str, Sequence[str]]]) -> Warned:
    """All warnings of a run, the weightiest first, each with the file that it comes from.

    Parameters
    ----------
    files : the inputs of the rule
    left_out : ``run.left_out`` of the config
    """
    metrics, pairs = read_table(files.metrics), read_table(files.pairs)
    source = read_json(files.source)
    cut = [
        {**one, "from": path}
        for path in files.texts
        for one in of_captions(
            read_json(path), Path(path).parts[-3], Path(path).stem.removeprefix("texts.")
        )
    ]
    precisions = [
        {**one, "from": path}
        for path in files.get("precisions", [])
        for one in of_precision(read_json(path), Path(path).parts[-2])
    ]
    study = files.get("precision_study")
    found = [
        *_from(files.metrics, of_size(metrics)),
        *_from(files.pairs, of_leads(metrics, pairs)),
        *worst(cut),
        *precisions,
        *_from(study, of_precision_study(read_table(study))),
        *_from(files.audit, of_audit(read_json(files.audit), bool(source.get("official_split")))),
        *_from(files.source, of_source(source)),
        *_from(files.splits, of_split(read_official(Path(files.table)), read_splits(files.splits))),
        *_from("config.yaml", of_left_out(left_out)),
    ]
    return found


def _from(path: str, found: Warned) -> Warned:
    return [{**one, "from": str(path)} for one in found]


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    found = warnings_of(snakemake.input, snakemake.params.left_out)
    log.info("warnings: %d", len(found))
    write_json(snakemake.output.warnings, found)


if __name__ == "__main__":
    run(main, snakemake)
