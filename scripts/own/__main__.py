"""Does retrieval work on these pictures? Any folder of captioned pictures, evaluated at once.

    ./run evaluate PATH [--model NAME|FOLDER|hf:OWNER/NAME ...] [--prompt NAME ...]
                        [--captions FILE] [--dry-run] [-- OPTION ...]

PATH is a folder in any layout of docs/datasets.md, one file of it (an archive, or the list of
captions), or a configuration in YAML. What comes behind -- goes to Snakemake.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import yaml

from scripts import command
from scripts.config import ConfigError, datasets_of, defaults, read_own
from scripts.job import BadInput, whole
from scripts.own.settings import dataset_of, of_folder, of_models, with_splits
from scripts.protocol import ENOUGH


def arguments(words: list[str]) -> argparse.Namespace:
    """What was typed, in front of ``--``."""
    say = argparse.ArgumentParser(
        prog="./run evaluate",
        description="Evaluate retrieval on your own captioned pictures, to a report.",
        epilog="What comes behind -- goes to Snakemake: ./run evaluate photos -- --verbose",
        allow_abbrev=False,
    )
    say.add_argument(
        "path", metavar="PATH", type=Path, help="folder of pictures with captions, or a YAML file"
    )
    say.add_argument(
        *("--model", "--models"),
        nargs="+", action="extend", default=[], metavar="MODEL",
        help="models of config/config.yaml, folders, or hf:owner/name; its first one by default",
    )  # fmt: skip
    say.add_argument(
        *("--prompt", "--prompts"), nargs="+", action="extend", default=[], metavar="NAME",
        help="prompts of config/config.yaml; its first one where nothing is said",
    )  # fmt: skip
    say.add_argument("--captions", type=Path, metavar="FILE", help="the captions, if not told")
    say.add_argument("--dry-run", "-n", action="store_true", help="only show what would run")
    return say.parse_args(words)


def configured(typed: argparse.Namespace, stands: Path, works: Path) -> list[str]:
    """The files of the run's configuration, of which one is written to the results.

    Parameters
    ----------
    typed : as ``arguments`` gives it
    stands : the folder in which it was typed
    works : the folder of data/ and results/

    Raises ``BadInput`` and ``ConfigError``
    """
    path = _placed(typed.path, stands)
    captions = typed.captions and _placed(typed.captions, stands)
    is_own = path.suffix.lower() in (".yaml", ".yml") and path.is_file()
    own = read_own(path) if is_own else {}
    # what is no registry is told with all else that is wrong
    theirs = own["models"] if isinstance(own.get("models"), dict) else {}
    names, models = of_models(typed.model, stands, {**defaults()["models"], **theirs})
    run: dict[str, Any] = {"models": names} if names else {}
    if typed.prompt:
        run["prompts"] = typed.prompt
    files: list[str] = []
    if is_own:
        files.append(str(path))
        run = dataset_of(own, path) | run
        said = own.get("run")
        made: dict[str, Any] = {"run": run, "models": models}
        own = own | {"run": (said if isinstance(said, dict) else {}) | run}
        if models:
            own["models"] = theirs | models
    else:
        default = defaults()["run"]
        name, entry = of_folder(path, captions, works)
        first = {key: [default[key][0]] for key in ("models", "prompts")}
        own = made = {
            "run": {"dataset": name, **first, **run},
            "datasets": {name: entry},
            "models": models,
        }
    more, seen = with_splits(own, works)
    if seen and "encode" not in own and min(one.images for one in seen.values()) < ENOUGH:
        # to find out what is fast takes longer than these take in what is exact
        made["encode"] = {"precision": "float32"}
    for dataset, entry in more.items():
        entries = made.setdefault("datasets", {})
        entries[dataset] = entries.get(dataset, {}) | entry
    datasets = datasets_of(defaults()["run"] | own["run"])
    made = {key: value for key, value in made.items() if value}
    target = works / "results" / f"{'+'.join(datasets)}.yaml"
    if made:
        with whole(target) as draft:
            draft.write_text(yaml.safe_dump(made, sort_keys=False, allow_unicode=True), "utf-8")
        files.append(str(target))
    for dataset, one in seen.items():
        _say(f"{dataset}: {one}")
    results = ", ".join(str(works / "results" / dataset) for dataset in datasets)
    _say(f"Settings: {' and '.join(files)}; results: {results}")
    return files


def _placed(path: Path, stands: Path) -> Path:
    # without a look at links, whose names are what was typed
    return Path(os.path.normpath(stands / path.expanduser()))


def _say(line: str) -> None:
    print(f"[run] {line}", file=sys.stderr)


def main(stands: str, *words: str) -> None:
    """Become Snakemake for what was typed in the folder ``stands``."""
    ends = words.index("--") if "--" in words else len(words)
    typed = arguments(list(words[:ends]))
    rest = list(words[ends + 1 :])
    other = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    other.add_argument("--directory", "-d", type=Path)
    directory = other.parse_known_args(rest)[0].directory
    works = _placed(directory, Path(stands).resolve()) if directory else Path.cwd()
    try:
        files = configured(typed, Path(stands).resolve(), works)
    except (BadInput, ConfigError) as error:
        sys.exit(f"ERROR in {error}")
    cores = [] if any(one.startswith(("--cores", "-c")) for one in rest) else ["--cores", "all"]
    dry = ["--dry-run", "--quiet", "rules"] if typed.dry_run else []
    command.main(stands, *cores, *dry, *rest, "--configfile", *files)


if __name__ == "__main__":
    main(*sys.argv[1:])
