"""Snakemake's command line as it is meant by someone who may stand in another folder.

``./run snakemake`` works in its checkout, where data and results are, and a path that is typed is
one from where the user stands. And options of Snakemake that take several words take a target
behind them for one more: in ``--configfile my.yaml figures``, ``figures`` is meant to be made.

    python -m scripts.command FOLDER [ARGUMENT ...]     from FOLDER, in the checkout
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

CONFIGS = ("--configfile", "--configfiles")
PROFILES = ("--profile", "--workflow-profile")
DIRECTORY = ("--directory", "-d")
# each of their words is NAME=VALUE
PAIRS = (
    *("--config", "-C", "--resources", "--res", "--default-resources", "--default-res"),
    *("--set-threads", "--set-resources"),
)


class NoSuchFile(Exception):
    """A configuration that is nowhere, in words."""


def rewritten(words: list[str], stands: Path, checkout: Path) -> list[str]:
    """``words`` for a Snakemake that works in ``checkout``; targets behind options come first.

    Parameters
    ----------
    words : as they were typed
    stands : the folder in which they were typed; configurations and profiles are looked for there
        first and in ``checkout`` then, and ``--directory`` is one there
    checkout : the workflow's folder

    Raises ``NoSuchFile`` where a configuration is in neither.
    """
    ends = words.index("--") if "--" in words else len(words)
    targets, rest, option, count = [], [], "", 0
    for word in words[:ends]:
        if re.match("-.", word):
            option, equals, value = word.partition("=")
            count = 0
            rest.append(f"{option}={_placed(option, value, stands, checkout)}" if equals else word)
            if equals:  # takes no more than this one
                option = ""
            continue
        count += 1
        if (option in CONFIGS and count > 1 and not _is_config(word)) or (
            option in PAIRS and "=" not in word
        ):
            targets.append(word)
        else:
            one = count == 1 or option in CONFIGS
            rest.append(_placed(option, word, stands, checkout) if one else word)
    return [*targets, *rest, *words[ends:]]


def _is_config(word: str) -> bool:
    # JSON is the form of some results, too, which may be asked for
    return bool(re.search(r"\.ya?ml$|^(?!\.?/?(data|results)/).*\.json$", word))


def _placed(option: str, word: str, stands: Path, checkout: Path) -> str:
    """A path behind ``option``, as it is in the checkout."""
    if option not in (*CONFIGS, *PROFILES, *DIRECTORY):
        return word
    word = os.path.expanduser(word)  # noqa: PTH111, a user whom the system does not know stays
    there = stands / word
    if option in CONFIGS and not there.exists() and not (checkout / word).exists():
        raise NoSuchFile(
            f"{word}: no such file in {stands}{f' or {checkout}' if stands != checkout else ''}\n"
            "  to do:    correct the path behind --configfile"
        )
    is_there = stands != checkout and (there.exists() or option in DIRECTORY)
    return str(there) if is_there else word


def main(stands: str, *words: str) -> None:
    """Become Snakemake, with these words typed in the folder ``stands``."""
    try:
        arguments = rewritten(list(words), Path(stands).resolve(), Path.cwd())
    except NoSuchFile as error:
        sys.exit(str(error))
    os.execvp("snakemake", ["snakemake", *arguments])  # noqa: S606, S607 (./run sets PATH)


if __name__ == "__main__":
    main(*sys.argv[1:])
