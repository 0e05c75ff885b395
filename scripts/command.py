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
# read by Snakemake, and made by it
INPUTS = (*CONFIGS, "--profile", "--workflow-profile", "--snakefile", "-s")
OUTPUTS = ("--directory", "-d", "--report", "--archive")
# each of their words is NAME=VALUE
PAIRS = (
    *("--config", "-C", "--resources", "--res", "--default-resources", "--default-res"),
    *("--set-threads", "--set-resources", "--set-resource-scopes", "--set-scatter"),
)
# letters that may stand before another one in the same word, as in -nd FOLDER
FLAGS = "DFSafhklnptv"


class NoSuchFile(Exception):
    """A configuration that is nowhere, in words."""


def rewritten(words: list[str], stands: Path, checkout: Path) -> list[str]:
    """``words`` for a Snakemake that works in ``checkout``; targets behind options come first.

    Parameters
    ----------
    words : as they were typed
    stands : the folder in which they were typed; configurations, profiles and a Snakefile are
        looked for there first and in ``checkout`` then; ``--directory`` is one there, and what
        ``--report`` and ``--archive`` write is put there
    checkout : the workflow's folder

    Raises ``NoSuchFile`` where a configuration is in neither.
    """
    ends = words.index("--") if "--" in words else len(words)
    targets, rest, option, count = [], [], "", 0
    for word in words[:ends]:
        if re.match("-.", word):
            begin, option, value = _taken_apart(word)
            count = 0
            if value is not None:  # takes no more than this one
                word = begin + _placed(option, value, stands, checkout)
                option = ""
            rest.append(word)
            continue
        count += 1
        if (option in CONFIGS and count > 1 and not _is_config(word, checkout)) or (
            # a name has no slash, as the path of a target may have before a =
            option in PAIRS and not re.match("[^/=]*=", word)
        ):
            targets.append(word)
        else:
            one = count == 1 or option in CONFIGS
            rest.append(_placed(option, word, stands, checkout) if one else word)
    return [*targets, *rest, *words[ends:]]


def _taken_apart(word: str) -> tuple[str, str, str | None]:
    """Of an option's word: what is before the value, the option that is meant, and the value."""
    if short := re.fullmatch(rf"(-[{FLAGS}]*([Cds]))(=?)(.*)", word, re.DOTALL):
        begin, letter, equals, value = short.groups()
        return begin + equals, f"-{letter}", value if equals or value else None
    name, equals, value = word.partition("=")
    begun = [one for one in (*INPUTS, *OUTPUTS, *PAIRS) if name[2:] and one.startswith(name)]
    # as Snakemake does, by what an option begins with; what is ambiguous is for it to refuse
    alone = name not in begun and (len(begun) == 1 or tuple(begun) == CONFIGS)
    return name + equals, begun[0] if alone else name, value if equals else None


def _is_config(word: str, checkout: Path) -> bool:
    # JSON is the form of some results, too, which may be asked for
    below = word.removeprefix(f"{checkout}/")
    return bool(re.search(r"\.ya?ml$|^(?!(\./)?(data|results)/).*\.json$", below))


def _placed(option: str, word: str, stands: Path, checkout: Path) -> str:
    """A path behind ``option``, as it is in the checkout."""
    if option not in (*INPUTS, *OUTPUTS) or (not word and option not in CONFIGS):
        return word
    word = os.path.expanduser(word)  # noqa: PTH111, a user whom the system does not know stays
    there = stands / word
    if option in CONFIGS and not (_is_file(there) or _is_file(checkout / word)):
        places = " or ".join(dict.fromkeys(map(str, (stands, checkout))))
        raise NoSuchFile(
            f"{word or repr(word)}: no such file in {places}\n"
            "  to do:    correct the path behind --configfile"
        )
    is_there = stands != checkout and (there.exists() or option in OUTPUTS)
    return str(there) if is_there else word


def _is_file(path: Path) -> bool:
    # or a pipe, as the shell makes of <(...)
    return path.exists() and not path.is_dir()


def main(stands: str, *words: str) -> None:
    """Become Snakemake, with these words typed in the folder ``stands``."""
    try:
        arguments = rewritten(list(words), Path(stands).resolve(), Path.cwd())
    except NoSuchFile as error:
        sys.exit(str(error))
    os.execvp("snakemake", ["snakemake", *arguments])  # noqa: S606, S607 (./run sets PATH)


if __name__ == "__main__":
    main(*sys.argv[1:])
