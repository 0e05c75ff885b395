"""What a run uses of its configuration where its dataset or its models cannot serve all of it.

A scorer that learns needs something to learn from, a study of groups of images needs images enough,
and where a model is features alone that were made elsewhere, nothing new can be encoded. What
config/config.yaml selects is left out where it lacks that, and named; what a person's own
configuration names is not left out silently: it stops the run in words.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from scripts.config import ConfigError, datasets_of

# what scorers learn from, by their kind; train and val where nothing is said
LEARNT_FROM: dict[str, tuple[str, ...]] = {"cosine": (), "fusion": ("val",)}
LEARNT_FROM_BOTH = ("train", "val")
# between the names that the name of a derived scorer is made of, and in no name that is given
AND = "+"

# why -> "scorers" or "studies" -> names; for "model", model -> names
LeftOut = dict[str, dict[str, list[str]]]


def asked_by_name(
    own: Mapping[str, Any], config: Mapping[str, Any], default: Mapping[str, Any]
) -> set[str]:
    """Keys of ``run`` whose names a person's own configuration gives.

    Parameters
    ----------
    own : what was said at the command, in files or words
    config : as Snakemake has put it together, with what a folder's own config.yaml says
    default : config/config.yaml
    """
    run, said = (one.get("run") for one in (config, own))
    others = run.items() if isinstance(run, dict) else ()
    return {
        *(said if isinstance(said, dict) else ()),
        *(key for key, value in others if value != default["run"].get(key)),
    }


def learnt_from(scorer: Mapping[str, Any]) -> tuple[str, ...]:
    """The splits that a scorer of the config learns from, "train" before "val"."""
    if scorer["kind"] == "reranked":
        return ("val",) if scorer["weights"] else ()
    return LEARNT_FROM.get(scorer["kind"], LEARNT_FROM_BOTH)


def _add_reranked(config: dict[str, Any], asked: Collection[str]) -> list[str]:
    """Add what each reranker of the run makes of its first scorer to the scorers; their names.

    The second score alone, and its sum with the first at a weight that val chooses. Their study
    comes along unless a person named the studies.
    """
    run, found = config["run"], {}
    for name in run["rerankers"]:
        entry = {**config["rerankers"][name], "kind": "reranked", "first": run["scorers"][0]}
        alone = AND.join((run["scorers"][0], name))
        found[alone] = {**entry, "by": name, "weights": []}
        found[AND.join((alone, "first"))] = {**entry, "by": name}
    config["scorers"] |= found
    run["scorers"] = [*run["scorers"], *found]
    if found and "studies" not in asked and "reranking" not in run["studies"]:
        run["studies"] = [*run["studies"], "reranking"]
    return [*found]


def leave_out(config: dict[str, Any], asked: Collection[str]) -> None:
    """Take out of ``config["run"]`` what cannot be served, and note it in ``left_out``.

    What its rerankers make of the first scorer that stays is added.

    Parameters
    ----------
    config : checked, with its defaults; changed in place
    asked : keys of ``run`` whose names a person gave, of which nothing is left out

    Raises ``ConfigError`` where such a scorer, study or model needs a split that is not there, or
    features that are.
    """
    run = config["run"]
    known = _known_of_all(config)
    problems = [*_without_images(config), *_without_features(config, asked)]
    left_out: LeftOut = run["left_out"]

    def take_out(key: str, name: str, why: str, missing: list[str]) -> None:
        if key not in asked or AND in name:
            run[key] = [one for one in run[key] if one != name]
            names = left_out.setdefault(why, {}).setdefault(key, [])
            names += {name}.difference(names)
        elif missing:
            lacking = _lacking(config, missing)
            told = " and ".join(f"datasets.{one}.splits" for one in lacking)
            problems.append(
                f"run.{key}: {name!r} needs {' and '.join(missing)}, where {' and '.join(lacking)} "
                f"has no image ({told}); leave it out, or name images of each split beside the "
                "captions"
            )

    for name, missing in _taught_by_none(run["scorers"], config, known):
        take_out("scorers", name, "split", missing)
    for name, missing in _taught_by_none(_add_reranked(config, asked), config, known):
        take_out("scorers", name, "split", missing)
    for name in run["studies"]:
        needs = config["studies"][name].get("needs", {})
        missing = _missing(needs.get("splits", ()), known)
        if why := "split" if missing else _tells_nothing(needs, known, config):
            take_out("studies", name, why, missing)
    if "indexes" in left_out.get("images", {}).get("studies", ()) and "indexes" not in asked:
        run["indexes"] = []  # comparing so few with each other takes no time
    if problems:
        raise ConfigError(problems)


def _without_features(config: dict[str, Any], asked: Collection[str]) -> list[str]:
    """Take out what no model of the run can serve, note what some cannot; what stops the run."""
    run, problems = config["run"], []
    in_star = run["models"][:1] if run["combinations"] == "star" else run["models"]

    def served(key: str, lacking: Callable[[str, str], list[str]], what: str) -> None:
        culprits = {name: [lacking(model, name) for model in in_star] for name in run[key]}
        for name, of in culprits.items():
            for model in dict.fromkeys(bad for some in of for bad in some):
                noted = run["left_out"].setdefault("model", {}).setdefault(model, [])
                noted += [name] if name not in noted else []
        gone = [name for name, of in culprits.items() if all(of)]
        if gone and (key in asked or (gone == run[key] and key != "studies")):
            models = dict.fromkeys(bad for name in gone for of in culprits[name] for bad in of)
            problems.append(
                f"run.{key}: {', '.join(gone)} cannot be had of {', '.join(models)}, features that "
                f"were made elsewhere without {what}; name others, or add what is missing to the "
                "features and to their entry in models"
            )
        else:
            run[key] = [name for name in run[key] if name not in gone]

    served("prompts", lambda model, name: without(config, model, [name]), "texts of that prompt")
    if problems:
        return problems
    first = run["prompts"][0]
    served(
        "scorers",
        lambda model, name: run_without(config, model, first, name),
        "splits to learn from",
    )
    for model in run["models"]:
        for one in run_without(config, model, first, run["scorers"][0]):
            problems.append(
                f"models.{one}: no features for {first!r} and {run['scorers'][0]!r}, which stand "
                f"first in the run and are what models are compared by; put first what {one} has"
            )
    served(
        "studies",
        lambda model, name: study_without(config, model, name),
        "their model or what is compared",
    )
    return problems


def encodes(config: Mapping[str, Any], model: str) -> bool:
    """Whether a model is there that encodes, rather than features that it made elsewhere."""
    return config["models"][model]["source"] != "features"


def prompts_behind(config: Mapping[str, Any], model: str, prompt: str) -> dict[str, list[str]]:
    """Of features made elsewhere, the prompts whose mean a prompt is, with their templates.

    That is the prompt itself where the texts hold it; nothing where they lack one of its templates.
    """
    held = {name: config["prompts"][name] for name in config["models"][model]["prompts"]}
    if prompt in held:
        return {prompt: held[prompt]}
    single = {templates[0]: name for name, templates in held.items() if len(templates) == 1}
    templates = config["prompts"].get(prompt, [])
    whole = all(template in single for template in templates)
    return {single[template]: [template] for template in templates} if whole else {}


def without(
    config: Mapping[str, Any],
    model: str,
    prompts: Iterable[str] = (),
    splits: Collection[str] = (),
    new: bool = False,
) -> list[str]:
    """``[model]`` where it is features made elsewhere that lack one of these; else nothing.

    ``new`` is whatever only a model itself can encode.
    """
    if encodes(config, model):
        return []
    lacking = (
        new
        or any(not prompts_behind(config, model, prompt) for prompt in prompts)
        or not set(splits) <= set(config["models"][model]["splits"])
    )
    return [model] if lacking else []


def run_without(config: Mapping[str, Any], model: str, prompt: str, scorer: str) -> list[str]:
    """Models whose features lack what a run needs: its own, or the other one of a fusion."""
    entry = config["scorers"][scorer]
    models = dict.fromkeys([model, entry.get("with") or model])
    return [bad for one in models for bad in without(config, one, [prompt], learnt_from(entry))]


def study_without(config: Mapping[str, Any], model: str, study: str) -> list[str]:
    """``[model]`` where its features lack what a study needs beyond those of the runs."""
    entry = config["studies"][study]
    needs = entry.get("needs", {})
    prompts = [entry["prompt"]] if study == "judgments" else []
    return without(config, model, prompts, needs.get("splits", ()), needs.get("model", False))


def looks_at(config: Mapping[str, Any], study: str) -> list[str]:
    """Models that a study looks at for which it needs features of its own.

    In a star, that is the one in its middle.
    """
    run = config["run"]
    models = run["models"][:1] if run["combinations"] == "star" else run["models"]
    return [model for model in models if not study_without(config, model, study)]


def _known_of_all(config: Mapping[str, Any]) -> dict[str, int] | None:
    """Images of each split that every dataset of the run has; None where nothing is told of any."""
    told = [config["datasets"][name].get("splits") for name in datasets_of(config["run"])]
    told = [splits for splits in told if splits is not None]
    names = {split for splits in told for split in splits}
    return {name: min(one.get(name, 0) for one in told) for name in names} if told else None


def _lacking(config: Mapping[str, Any], splits: Collection[str]) -> list[str]:
    """The datasets of the run that are known to have no image in one of these splits."""
    datasets = config["datasets"]
    return [
        name
        for name in datasets_of(config["run"])
        if _missing(splits, datasets[name].get("splits"))
    ]


def _missing(needed: Collection[str], known: Mapping[str, int] | None) -> list[str]:
    """The splits of ``needed`` that are known to be empty."""
    return [] if known is None else [split for split in needed if not known.get(split)]


def _taught_by_none(
    names: Collection[str], config: Mapping[str, Any], known: Mapping[str, int] | None
) -> list[tuple[str, list[str]]]:
    """The scorers among ``names`` that learn from splits known to be empty, and these."""
    missing = [(name, _missing(learnt_from(config["scorers"][name]), known)) for name in names]
    return [(name, splits) for name, splits in missing if splits]


def _without_images(config: Mapping[str, Any]) -> list[str]:
    problems = [
        f"datasets.{dataset}.splits: no image in test, which is what is measured; name images "
        "of test beside the captions, or take away the split"
        for dataset in _lacking(config, ["test"])
    ]
    for name in config["run"]["models"]:
        model = config["models"][name]
        if model["source"] == "train":
            own = config["datasets"][model["dataset"]].get("splits")
            if missing := _missing(LEARNT_FROM_BOTH, own):
                problems.append(
                    f"run.models: {name!r} is trained on {model['dataset']}, which has no image in "
                    f"{' and '.join(missing)}; take another model, or another dataset for it"
                )
    return problems


def _tells_nothing(
    needs: Mapping[str, Any], known: Mapping[str, int] | None, config: Mapping[str, Any]
) -> str:
    """Why a study tells nothing of this run, as in ``left_out``; "" where it may tell something."""
    if known and known.get("test", 0) < needs.get("images", 0):
        return "images"
    run = config["run"]
    kinds = [config["scorers"][name]["kind"] for name in run["scorers"]]
    sources = {config["datasets"][name]["source"] for name in datasets_of(run)}
    has_nothing = (
        len(run["prompts"]) < needs.get("prompts", 0)
        or len(run["scorers"]) < needs.get("scorers", 0)
        or needs.get("kind", kinds[0]) not in kinds
        or not sources <= set(needs.get("sources", sources))
    )
    return "nothing" if has_nothing else ""


def learns(dataset: str, config: Mapping[str, Any], models: Collection[str]) -> bool:
    """Whether something in the run needs train or val of a dataset.

    Parameters
    ----------
    dataset : one that is searched, or one that a model is trained on
    config : of which everything is left out that could not be served
    models : that the run uses, and those that they begin from
    """
    run = config["run"]
    trained = [config["models"][name] for name in models]
    if any(one["source"] == "train" and one["dataset"] == dataset for one in trained):
        return True
    fitted = any(learnt_from(config["scorers"][name]) for name in run["scorers"])
    compared = any(
        config["studies"][name].get("needs", {}).get("splits") for name in run["studies"]
    )
    return dataset in datasets_of(run) and (fitted or compared)
