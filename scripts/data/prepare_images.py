"""Decode every image once; keep what can be used, set aside what cannot, and say why."""

import csv
import hashlib
import shutil
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from scripts.data.ahead import map_ahead
from scripts.data.audit import Findings, Note, Unusable
from scripts.data.download import read_manifest
from scripts.data.files import MAX_NAME
from scripts.data.images import Picture, take_in
from scripts.data.place import Place
from scripts.data.records import Record
from scripts.data.rows import SPLITS
from scripts.data.sources import SOURCES
from scripts.job import BadInput, log, progress, whole, write_json
from scripts.jobs import Snakemake, run

COLUMNS = ("image", "width", "height", "bytes", "sha256", "split")


@dataclass(frozen=True)
class Kept:
    """An image in the images folder: a row of images.csv, and its captions."""

    image: str
    width: int
    height: int
    bytes: int
    sha256: str
    split: str
    captions: list[str]


class Names:
    """Names for the files of one folder, no two of which any file system takes for the same."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def claim(self, name: str) -> str:
        """``name`` or, where it is taken, a name like it with a number before the suffix.

        Taken are names that differ only in case or in how an accent is encoded, too: some systems
        take them for one. A file cannot have the name of another's folder either.
        """
        flat = PurePosixPath(name.replace("/", "~"))
        claimed, number = name, 1
        while not self._is_free(claimed):
            number += 1
            claimed = f"{_shortened(flat.stem)}~{number}{flat.suffix}"
        self._files.add(_folded(claimed))
        self._folders |= _folders_of(claimed)
        return claimed

    def _is_free(self, name: str) -> bool:
        folded = _folded(name)
        return not (
            folded in self._files or folded in self._folders or _folders_of(name) & self._files
        )


def prepare_images(
    manifest: dict[str, Any],
    folder: Path,
    max_pixels: int,
    max_aspect: float,
    findings: Findings,
    threads: int = 1,
) -> list[Kept]:
    """Fill ``folder`` with the usable images of the dataset that ``manifest`` describes.

    Parameters
    ----------
    manifest : the contents of source.json
    folder : where the images go; what stands there is removed
    max_pixels, max_aspect : larger and longer pictures are set aside, not decoded
    findings : filled
    threads : images decoded at once; the result does not depend on it

    Returns
    -------
    kept : one entry for each image, sorted by name
    """
    for what, items in manifest["notes"].items():
        findings.note(Note(what), items)
    source = SOURCES[manifest["layout"]]
    paths = [file["path"] for file in manifest["files"]]
    place = Place(Path(manifest["root"]), manifest["options"]).within(paths)
    total, records = source.read(place, paths, findings)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    watched = progress(records, "images", total=total, unit="images")
    take = partial(_take_in, max_pixels, max_aspect)
    kept = list(_stored(watched, folder, take, findings, threads))
    kept.sort(key=lambda one: one.image)
    _note_oddities(kept, findings)
    return kept


def check_losses(findings: Findings, used: Counter[str], max_lost: float, where: str) -> None:
    """Raise ``BadInput`` where too many of the images that captions or lists name are lost.

    At most the share ``max_lost`` of all may be and, so that no split shrinks unseen, of each that
    is named; but there one image at least. ``used`` counts those that can be used by their split:
    one at least, and one in each that is named.
    """
    lost = findings.lost()
    total = used.total() + len(lost)
    if not used.total() or len(lost) > max_lost * total:
        _stop(findings, f"{len(lost)} of {total} images", lost, max_lost, where)
    for split in SPLITS:
        lost_there = [entry for entry in lost if findings.split_of.get(entry[0]) == split]
        total = used[split] + len(lost_there)
        told = f"{len(lost_there)} of {total} images of {split}"
        if lost_there and (not used[split] or len(lost_there) > max(1, max_lost * total)):
            _stop(findings, told, lost_there, max_lost, where)
        if lost_there:
            log.warning("%s cannot be used", told)


def _stop(
    findings: Findings,
    told: str,
    lost: list[tuple[str, str, str]],
    max_lost: float,
    where: str,
) -> NoReturn:
    for item, reason, detail in findings.aside:
        log.warning("set aside: %s: %s (%s)", item, reason, detail)
    examples = "; ".join(
        f"{item:.80}: {reason} ({detail:.200})" for item, reason, detail in lost[:5]
    )
    raise BadInput(
        where,
        f"{told} that captions or lists name cannot be used: {examples or 'none'}",
        f"at least one image, and at most {max_lost:.1%} that cannot be used, in each split too",
        "put these images or names right or take them out (all are listed in the log of this "
        "step), or raise prepare.max_lost in the config",
    )


def _stored(
    records: Iterable[Record],
    folder: Path,
    take: Callable[[Record], tuple[Record, Picture | Unusable]],
    findings: Findings,
    threads: int,
) -> Iterator[Kept]:
    """Decode and write the images of ``records`` in turn; what cannot be used goes to findings."""
    names = Names()
    renamed: list[str] = []
    with ThreadPoolExecutor(threads) as pool:
        taken = map_ahead(pool, take, records, window=4 * threads)
        for record, picture in taken:
            if isinstance(picture, Unusable):
                split = record.split if record.split in SPLITS else ""
                findings.set_aside(record.image, picture.reason, picture.detail, split)
                continue
            wanted = f"{record.image}.png" if picture.converted else record.image
            image = names.claim(wanted)
            if picture.converted:
                findings.converted.append((record.image, picture.converted, image))
            if image != wanted:
                renamed.append(f"{record.image}, stored as {image}")
            path = folder / image
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture.content)
            yield Kept(
                image,
                picture.width,
                picture.height,
                len(picture.content),
                hashlib.sha256(picture.content).hexdigest(),
                record.split,
                record.captions,
            )
    findings.note(Note.RENAMED, renamed)


def _take_in(
    max_pixels: int, max_aspect: float, record: Record
) -> tuple[Record, Picture | Unusable]:
    try:
        return record, take_in(record.read(), record.image, max_pixels, max_aspect)
    except Unusable as error:
        return record, error


def _note_oddities(kept: list[Kept], findings: Findings) -> None:
    twins: dict[str, list[str]] = {}
    for one in kept:
        twins.setdefault(one.sha256, []).append(one.image)
    findings.note(
        Note.BYTE_IDENTICAL, (" = ".join(same) for same in twins.values() if len(same) > 1)
    )
    findings.note(
        Note.ONE_LETTER,
        (
            f"{one.image}: {caption}"
            for one in kept
            for caption in one.captions
            if sum(map(str.isalnum, caption)) < 2
        ),
    )
    findings.note(Note.SPACED, findings.spaced)
    findings.note(Note.IN_NO_SPLIT, (one.image for one in kept if one.split == "none"))


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _shortened(stem: str) -> str:
    # a path in one piece may be longer than what a file system takes for a name
    return stem.encode()[: MAX_NAME - 40].decode("utf-8", "ignore")


def _folders_of(name: str) -> set[str]:
    return {_folded(str(folder)) for folder in PurePosixPath(name).parents} - {"."}


def write_table(kept: list[Kept], path: Path) -> None:
    """Write images.csv."""
    with whole(path) as draft, draft.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows([getattr(one, column) for column in COLUMNS] for one in kept)


def main(snakemake: Snakemake) -> None:
    manifest = read_manifest(snakemake.input.manifest)
    findings = Findings()
    # what Pillow thinks of EXIF data names no file, and sets no image aside
    warnings.filterwarnings("ignore", module=r"PIL\.")
    with whole(snakemake.output.images) as draft:
        kept = prepare_images(
            manifest,
            draft,
            snakemake.params.max_pixels,
            snakemake.params.max_aspect,
            findings,
            snakemake.threads,
        )
        captions = sum(len(one.captions) for one in kept)
        audit = findings.report(manifest["source"], manifest["layout"], len(kept), captions)
        write_json(snakemake.output.audit, audit)
        used = Counter(one.split for one in kept)
        check_losses(findings, used, snakemake.params.max_lost, manifest["root"])
    write_table(kept, Path(snakemake.output.table))
    write_json(
        snakemake.output.captions,
        [{"image": one.image, "captions": one.captions} for one in kept],
    )
    log.info("%d of %d images used", len(kept), findings.images_found)
    for reason, count in sorted(findings.reasons().items()):
        log.info("set aside: %s (%d)", reason, count)
    for note in findings.notes:
        log.info("%s (%d)", note["note"], note["count"])
    if findings.aside or findings.notes:
        log.info("%s names each", snakemake.output.audit)


if __name__ == "__main__":
    run(main, snakemake)
