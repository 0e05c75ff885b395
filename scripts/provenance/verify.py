"""Hold a finished run against its record: every file, byte for byte.

Needs nothing but Python, so that results can be checked where no environment is set up.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.job import BadInput, digest_of_file
from scripts.provenance.crate import NAME, Recorded, described, files_below, read_crate

TO_DO = {
    "changed": "put back what was recorded, from a copy; or delete it, and it can be made anew",
    "missing": "put it back, from a copy; or have it made anew",
    "new": "move it elsewhere, if the run did not make it",
}
ANEW = (
    "To make anew what is missing, and to record the run as it then is, repeat its command with\n"
    "--forcerun record at the end: ./run snakemake --cores 8 --configfile ... --forcerun record"
)


@dataclass
class Verdict:
    """What holding a run against its record brought.

    Attributes
    ----------
    files : recorded files of the run, and of its data and models, that were looked at
    differences : (what, path, found, expected), ``what`` one of the keys of ``TO_DO``
    absent : folders of data and models that are not here, so that their files were not looked at
    """

    files: int = 0
    differences: list[tuple[str, str, str, str]] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


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
    recorded = read_crate(path)
    top = folder.resolve().parent.parent
    verdict = Verdict()
    mine = [file for file in recorded if not file.path.startswith("data/")]
    for file in mine:
        _compare(folder / file.path, file, (folder / file.path).as_posix(), verdict)
    known = {file.path for file in mine}
    for name in files_below(folder):
        if name not in known:
            size = (folder / name).stat().st_size if (folder / name).is_file() else 0
            verdict.differences.append(
                ("new", (folder / name).as_posix(), f"{size:,} bytes", "no such file")
            )
    for file in recorded:
        if file.path.startswith("data/"):
            home = _home(file.path)
            if (top / home).exists():
                _compare(top / file.path, file, file.path, verdict)
            elif home not in verdict.absent:
                verdict.absent.append(home)
    return verdict


def _home(path: str) -> str:
    """The folder that is there or not as a whole: of a dataset, what was downloaded, or a model."""
    parts = path.split("/")
    # source.json stays when the archives beside it are deleted
    raw = len(parts) > 3 and parts[2] == "raw" and parts[3] != "source.json"
    return path.rstrip("/") if raw else "/".join(parts[: 3 if parts[1] == "models" else 2])


def _compare(path: Path, expected: Recorded, name: str, verdict: Verdict) -> None:
    """Add to ``verdict`` how the file or folder at ``path`` differs, if it does."""
    verdict.files += 1
    as_recorded = _told(expected)
    if not path.exists():
        verdict.differences.append(("missing", name, "no such file", as_recorded))
        return
    # what is no plain file, such as a pipe, may never end
    if not (path.is_dir() if expected.path.endswith("/") else path.is_file()):
        verdict.differences.append(("changed", name, "something else than a file", as_recorded))
        return
    found = described(path, expected.path)
    if found == expected:
        return
    named = list(_changed_images(path)) if expected.path.endswith("/images/") else []
    verdict.differences += named or [("changed", name, _told(found), as_recorded)]


def _changed_images(folder: Path) -> Iterator[tuple[str, str, str, str]]:
    """Which of a dataset's images are not those of images.csv beside their folder."""
    table = folder.parent / "images.csv"
    if not table.is_file():
        return
    with table.open(encoding="utf-8", newline="") as stream:
        rows = {row.get("image") or "": row.get("sha256") or "" for row in csv.DictReader(stream)}
    there = set(files_below(folder))
    for image in sorted(there | set(rows)):
        name = f"data/{folder.parent.name}/images/{image}"
        if image not in there:
            yield "missing", name, "no such file", f"sha256 {rows[image]}"
        elif image not in rows:
            yield "new", name, f"{(folder / image).stat().st_size:,} bytes", "no such file"
        elif (found := digest_of_file(folder / image)) != rows[image]:
            yield "changed", name, f"sha256 {found}", f"sha256 {rows[image]}"


def _told(file: Recorded) -> str:
    return f"{file.size:,} bytes, sha256 {file.sha256}"


def _printable(name: str) -> str:
    """``name`` without what a terminal would obey or cannot show."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def as_text(folder: Path, verdict: Verdict) -> str:
    """The verdict for a person."""
    lines = []
    for what, todo in TO_DO.items():
        there = [one for one in verdict.differences if one[0] == what]
        for _, name, found, expected in there:
            shown = _printable(name)
            lines += [f"{what}: {shown}", f"  found:    {found}", f"  expected: {expected}"]
        if there:
            lines += [f"  to do:    {todo}"]
    count = len(verdict.differences)
    if count:
        kinds = {one[0] for one in verdict.differences}
        lines += [ANEW] if kinds & {"changed", "missing"} else []
        lines += [
            f"{folder}: NOT as recorded: {count} differences, {verdict.files} files looked at"
        ]
    else:
        lines += [f"{folder}: {verdict.files} files, all as recorded"]
    lines += [f"  not here, so not looked at: {_printable(home)}" for home in verdict.absent]
    # the record vouches for the files; who keeps this sum elsewhere can vouch for the record
    lines += [f"  sha256 of the record itself: {digest_of_file(folder / NAME)}"]
    return "\n".join(lines)


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
            verdict = verify(folder)
            print(as_text(folder, verdict))
            status = max(status, int(bool(verdict.differences)))
    except KeyboardInterrupt:
        return 130
    except BadInput as error:
        print(f"ERROR in {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
