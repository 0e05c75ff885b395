"""Hold a finished run against its record: every file, byte for byte.

Needs nothing but Python, so that results can be checked where no environment is set up.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.data.files import digest_of_sums, sums_of_folder
from scripts.job import BadInput, digest_of_file, ended
from scripts.provenance.crate import EMPTY, MARK, NAME, Recorded, all_below, described, read_crate

TO_DO = {
    "changed": "put back what was recorded, from a copy; or delete it, and have it made anew",
    "missing": "put it back, from a copy; or have it made anew",
    "unreadable": "see that it can be read, and verify again",
    "new": "move it elsewhere, if the run did not make it",
}
ANEW = [
    "What is missing is made anew where its path (of pictures, that of their folder) stands behind",
    "-- at the end of the run's command: ./run snakemake --cores 8 --configfile ... -- PATH",
]
NOTHING = hashlib.sha256().hexdigest()

Difference = tuple[str, str, str, str]


@dataclass
class Verdict:
    """What holding a run against its record brought.

    Attributes
    ----------
    files : recorded files of the run, and of its data and models, that were looked at
    differences : (what, path, found, expected), ``what`` one of the keys of ``TO_DO``
    notes : what was not looked at, or not where it seems to be; no difference
    """

    files: int = 0
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(folder: Path) -> Verdict:
    """Hold ``folder``, a ``results/<dataset>``, against the record in it.

    Data and models are looked for in ``data/`` beside ``results/``. They may have been left behind,
    or the archives deleted: a folder that is not there is told and is no difference.

    Raises ``BadInput`` where there is no record, or none that can be read.
    """
    path = folder / NAME
    if not path.is_file():
        raise BadInput(
            path,
            "no such file" if folder.is_dir() else "no such folder",
            "the record of a finished run",
            "name a folder results/<dataset>; a run is recorded when it is finished",
        )
    beside, elsewhere = read_crate(path)
    verdict = Verdict()
    for one in (folder.parent, folder, path):
        _note_link(one, one.as_posix(), verdict)
    _hold(folder, folder.as_posix(), {file.path: file for file in beside}, verdict, but=NAME)
    top = Path(os.path.normpath(folder.absolute())).parent.parent
    homes: dict[str, dict[str, Recorded]] = {}
    for file in elsewhere:
        home = "/".join(file.path.split("/")[: 3 if file.path.startswith("data/models/") else 2])
        homes.setdefault(home, {})[file.path.removeprefix(f"{home}/")] = file
    for home, files in homes.items():
        if not os.path.exists(top / home):  # noqa: PTH110 a name may be too long for a file
            verdict.notes.append(f"not here, so not looked at: {home}")
            continue
        for part in (*reversed(Path(home).parents[:-1]), Path(home)):
            _note_link(top / part, str(part), verdict)
        raw = "" if home.startswith("data/models/") else "raw/"
        for name in [name for name in files if raw and _is_own(name, raw)]:
            if not os.path.lexists(top / home / name):
                del files[name]
                verdict.notes.append(f"not here, so not looked at: {home}/{name.rstrip('/')}")
        _hold(top / home, home, files, verdict, raw)
    return verdict


def _note_link(path: Path, shown: str, verdict: Verdict) -> None:
    if path.is_symlink():
        note = f"looked at behind a link: {shown}, to {path.readlink()}"
        if note not in verdict.notes:
            verdict.notes.append(note)


def _is_own(name: str, raw: str) -> bool:
    """Whether a file is the user's own: it may be a link, or be deleted once it was read."""
    return bool(raw) and f"{name}/".startswith(raw) and name != f"{raw}source.json"


def _hold(
    folder: Path,
    shown: str,
    files: dict[str, Recorded],
    verdict: Verdict,
    raw: str = "",
    but: str = "",
) -> None:
    """Add to ``verdict`` how a folder differs from what is recorded of it.

    Parameters
    ----------
    folder : all that is in it is looked at
    shown : what it is called
    files : by their names in it
    verdict : of all folders
    raw : beginning of the names of files that a dataset was taken from, if there are any
    but : name of the one file that is not looked at
    """
    there = all_below(folder, but)
    whole = tuple(name for name in files if name.endswith("/"))
    own = {name: what for name, what in there.odd.items() if _is_own(name, raw)}
    odd = {name: what for name, what in there.odd.items() if name not in own}
    found = list(_oddities(odd, files, whole))
    for name, file in files.items():
        if name.rstrip("/") not in odd:
            found += _compared(folder / name, name, file, files.get("images.csv"))
    untold = dict(there.untold)
    others = (name for name in [*there.files, *own] if name not in files)
    for name in (name for name in others if not name.startswith(whole)):
        if _is_own(name, raw):
            untold[name] = own.get(name, "not of what the dataset was taken from")
        else:
            size = f"{(folder / name).lstat().st_size:,} bytes"
            found.append(("new", name, size, "no such file"))
    verdict.files += len(files)
    verdict.differences += [
        (what, f"{shown}/{name}".rstrip("/"), there_is, expected)
        for what, name, there_is, expected in found
    ]
    verdict.notes += [
        f"not looked at: {shown}/{name} ({why})"
        for name, why in untold.items()
        if why == EMPTY or not name.startswith(whole)
    ]


def _oddities(
    odd: dict[str, str], files: dict[str, Recorded], whole: tuple[str, ...]
) -> Iterator[Difference]:
    """What stands where ``files`` are recorded, or beside them, and is neither file nor folder."""
    for name, what in odd.items():
        recorded = files.get(name) or files.get(f"{name}/")
        if recorded:
            yield "changed", name, what, _told(recorded)
        elif name.startswith(whole) or any(
            one.startswith(f"{name}/" if name else "") for one in files
        ):
            yield "changed", name, what, "a file or a folder itself"
        else:
            yield "new", name, what, "no such file"


def _compared(
    path: Path, name: str, expected: Recorded, table: Recorded | None
) -> Iterator[Difference]:
    """How the file or folder at ``path`` differs from what is recorded of it, if it does.

    Images are named by the table beside them, if that is as recorded.
    """
    as_recorded = _told(expected)
    try:
        mode = path.stat().st_mode
        # what is no plain file, such as a pipe, may never end
        if not (stat.S_ISDIR if name.endswith("/") else stat.S_ISREG)(mode):
            yield "changed", name, "something else than it was", as_recorded
        elif stat.S_ISDIR(mode):
            yield from _compared_folder(path, name, expected, table)
        elif (found := described(path, expected.path)) != expected:
            yield "changed", name, _told(found), as_recorded
    except (FileNotFoundError, NotADirectoryError):
        yield "missing", name, "no such file", as_recorded
    except OSError as error:
        yield "unreadable", name, error.strerror or str(error), as_recorded


def _compared_folder(
    path: Path, name: str, expected: Recorded, table: Recorded | None
) -> Iterator[Difference]:
    files = sums_of_folder(path)
    if files.get(MARK) == (0, NOTHING):
        del files[MARK]
    sums = {file: sha256 for file, (_, sha256) in files.items()}
    size = sum(size for size, _ in files.values())
    # a copy without hidden files has lost the mark that was there when the run was recorded
    ways = [digest_of_sums(sums | mark) for mark in ({}, {MARK: NOTHING})]
    if size == expected.size and expected.sha256 in ways:
        return
    csv_file = path.parent / "images.csv"
    known = name == "images/" and table and digest_of_file(csv_file) == table.sha256
    named = list(changed_images(csv_file, name, sums)) if known else []
    found = Recorded(expected.path, size, ways[0])
    yield from named or [("changed", name, _told(found), _told(expected))]


def changed_images(csv_file: Path, name: str, sums: dict[str, str]) -> Iterator[Difference]:
    """Which of a dataset's images are not those of its table."""
    try:
        with csv_file.open(encoding="utf-8", newline="") as stream:
            table = {
                row.get("image") or "": row.get("sha256") or "" for row in csv.DictReader(stream)
            }
    except (UnicodeDecodeError, csv.Error):  # a table of someone who wrote the record, too
        return
    for image in sorted(sums.keys() | table.keys()):
        if image not in sums:
            yield "missing", name + image, "no such file", f"sha256 {table[image]}"
        elif image not in table:
            yield "new", name + image, f"sha256 {sums[image]}", "no such file"
        elif sums[image] != table[image]:
            yield "changed", name + image, f"sha256 {sums[image]}", f"sha256 {table[image]}"


def _told(file: Recorded) -> str:
    return f"{file.size:,} bytes, sha256 {file.sha256}"


def _printable(text: str) -> str:
    """``text`` without what a terminal would obey or cannot show."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_text(folder: Path, verdict: Verdict) -> str:
    """The verdict for a person."""
    lines = []
    for what, todo in TO_DO.items():
        there = [one for one in verdict.differences if one[0] == what]
        for _, name, found, expected in there:
            lines += [f"{what}: {name}", f"  found:    {found}", f"  expected: {expected}"]
        if there:
            lines += [f"  to do:    {todo}"]
    count = len(verdict.differences)
    if count:
        kinds = {one[0] for one in verdict.differences}
        lines += ANEW if kinds & {"changed", "missing"} else []
        lines += [
            f"{folder}: NOT as recorded: {count} differences, {verdict.files} files looked at"
        ]
    else:
        lines += [f"{folder}: {verdict.files} files, all as recorded"]
    lines += [f"  {note}" for note in verdict.notes]
    # the record vouches for the files; who keeps this sum elsewhere can vouch for the record
    lines += [f"  sha256 of the record itself: {digest_of_file(folder / NAME)}"]
    return "\n".join(map(_printable, lines))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 where all is as recorded, else 1."""
    parser = argparse.ArgumentParser(
        prog="./run verify",
        description="Compute the sha256 of every file of a finished run again and compare it "
        "with the run's record, ro-crate-metadata.json.",
    )
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="results/<dataset>",
        help="which run (default: every recorded run)",
    )  # fmt: skip
    parser.add_argument("--results", type=Path, default=Path("results"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    folders = options.folders or sorted(path.parent for path in options.results.glob(f"*/{NAME}"))
    status = 0
    try:
        if not folders:
            raise BadInput(
                options.results,
                "no record of a run",
                f"<dataset>/{NAME}",
                "make a run first: ./run",
            )
        for folder in folders:
            status = max(status, _verified(folder))
    except KeyboardInterrupt:
        return 130
    except BadInput as error:
        print(f"ERROR in {error}", file=sys.stderr)
        return 1
    return status


def _verified(folder: Path) -> int:
    """Tell the verdict on one folder, so that a record that cannot be read hides no other's."""

    def told() -> int:
        verdict = verify(folder)
        print(as_text(folder, verdict))
        return int(bool(verdict.differences))

    return ended(told)


if __name__ == "__main__":
    sys.exit(main())
