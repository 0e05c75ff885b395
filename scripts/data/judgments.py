"""Which caption fits which image, as people judged it, or the grammar that drew the scenes.

One row for each rating: those of Flickr8k's three experts from 1 to 4, the crowd's share of yes, or
the grammar's grade from 1 to 4. Datasets without judgments get a table with its header alone.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from scripts.data.caption_files import token_lines
from scripts.data.draw_scenes import image_name
from scripts.data.files import named, open_files, text_of
from scripts.data.names import matched
from scripts.data.ratings import Rating, write_ratings
from scripts.data.rows import read_captions, read_splits
from scripts.data.scene_claims import grades
from scripts.data.scenes import Lot, scene
from scripts.data.sources.archives import PHOTOS, TOKENS
from scripts.job import BadInput, log, read_json
from scripts.jobs import Snakemake, run

EXPERTS = "ExpertAnnotations.txt"
CROWD = "CrowdFlowerAnnotations.txt"
# three fields of a line -> source, rating and votes of each rating; None where they are malformed
RatingsIn = Callable[[list[str]], list[tuple[str, float, int]] | None]
# grades from which a caption describes the picture, if with a minor mistake
FITS = 3
# pictures judged for each caption of a scene that do not fit it, so that there are all grades
OTHERS = 5
# how far a share of the file may be from that of its numbers
SHARE_ROUNDED = 0.01


def judgments_of_archives(
    root: Path, paths: Sequence[str], captions_of: dict[str, list[str]], images: set[str]
) -> list[Rating]:
    """Flickr8k's judgments (Hodosh, Young and Hockenmaier 2013) of what is in use.

    Parameters
    ----------
    root, paths : where the files are, as the manifest tells
    captions_of : image -> captions, as prepared
    images : images of the split

    Raises
    ------
    BadInput
        where a line is not what it should be
    """
    texts = [path for path in paths if path not in PHOTOS]
    texts += [name for name in (EXPERTS, CROWD) if (root / name).is_file()]
    files, _ = open_files(root, texts)
    content, where = text_of(files, TOKENS, root)
    # the texts may write an image's name otherwise than its file has it
    as_kept, _ = matched((image for image, _, _ in token_lines(content, where)), captions_of)
    captions_of = {name: captions_of[image] for name, image in as_kept.items()}
    place_of = _places_of_ids(content, where, captions_of)
    found: list[Rating] = []
    for name, ratings_in in RATINGS_IN.items():
        if named(files, name) is None:
            log.info("no judgments: %s has no %s", root, name)
            continue
        content, where = text_of(files, name, root)
        skipped = 0
        for image, caption_id, ratings in _lines(content, where, ratings_in):
            caption_image, caption = place_of.get(caption_id, ("", 0))
            image, caption_image = as_kept.get(image, ""), as_kept.get(caption_image, "")
            if not {image, caption_image} <= images:
                skipped += 1
                continue
            found += [
                Rating(source, image, caption_image, caption, rating, votes)
                for source, rating, votes in ratings
            ]
        log.info("%s: %d lines of images or captions not in use were skipped", name, skipped)
    return found


def _places_of_ids(
    text: str, where: str, captions_of: dict[str, list[str]]
) -> dict[str, tuple[str, int]]:
    """Caption id ("1.jpg#2") -> image and place among its captions as prepared.

    Preparing drops empty captions, so numbers and places may differ; equal texts are taken in turn.
    """
    numbered = sorted(
        (image, number, line, caption.strip())
        for line, (image, number, caption) in enumerate(token_lines(text, where))
    )
    taken: dict[str, int] = {}
    place_of: dict[str, tuple[str, int]] = {}
    for image, number, _, caption in numbered:
        start = taken.get(image, 0)
        if caption in captions_of.get(image, [])[start:]:
            place = captions_of[image].index(caption, start)
            taken[image] = place + 1
            place_of.setdefault(f"{image}#{number}", (image, place))
    return place_of


def _lines(
    text: str, where: str, ratings_in: RatingsIn
) -> Iterator[tuple[str, str, list[tuple[str, float, int]]]]:
    """Image, caption id and ratings of each line."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        image, *rest = line.strip().split("\t")
        ratings = ratings_in(rest[1:]) if len(rest) == 4 else None
        if ratings is None or not re.fullmatch(r".+#[0-9]{1,9}", rest[0]):
            raise BadInput(
                f"{where}, line {number}",
                f"{line!r:.120}",
                "image<TAB>image#number<TAB>, then three ratings from 1 to 4 for experts, or share "
                "of yes, number of yes and number of no for the crowd",
                "get the file again, or correct the line",
            )
        yield image, rest[0], ratings


def _expert_ratings(fields: list[str]) -> list[tuple[str, float, int]] | None:
    if not all(re.fullmatch("[1-4]", field) for field in fields):
        return None
    return [("expert", float(field), 1) for field in fields]


def _crowd_ratings(fields: list[str]) -> list[tuple[str, float, int]] | None:
    share, *counts = fields
    if not re.fullmatch(r"[01](\.[0-9]{1,20})?", share):
        return None
    if not all(re.fullmatch(r"[0-9]{1,6}", count) for count in counts):
        return None
    yes, no = map(int, counts)
    # a share that its numbers do not give is a line with a field moved or lost
    if not yes + no or abs(float(share) - yes / (yes + no)) > SHARE_ROUNDED:
        return None
    # it is rounded in the file, and made again from the numbers here
    return [("crowd", yes / (yes + no), yes + no)]


RATINGS_IN = {EXPERTS: _expert_ratings, CROWD: _crowd_ratings}


def judgments_of_scenes(seed: int, number: int, captions_of: dict[str, list[str]]) -> list[Rating]:
    """The grammar's judgments of test captions on test pictures.

    A caption is judged on its own picture, on all that it fits with one mistake at most, and on
    ``OTHERS`` drawn by lot, as people were asked about likely pairs and a few unlikely ones.

    Parameters
    ----------
    seed : that the dataset was drawn from
    number : pictures of the test split
    captions_of : image -> captions, as prepared, of the test split
    """
    names = [image_name("test", index) for index in range(number)]
    kept = [index for index, name in enumerate(names) if name in captions_of]
    asked = [(index, place) for index in kept for place in range(len(captions_of[names[index]]))]
    all_grades = grades(
        [captions_of[names[index]][place] for index, place in asked],
        [scene(seed, "test", index) for index in kept],
    )
    found: list[Rating] = []
    for (index, place), row in zip(asked, all_grades, strict=True):
        lot = Lot("judgments", seed, "test", index, place)
        chosen = [at for at, grade in enumerate(row) if grade >= FITS or kept[at] == index]
        others = [at for at, grade in enumerate(row) if grade < FITS and kept[at] != index]
        for _ in range(min(OTHERS, len(others))):
            drawn = lot.one_of(others)
            others.remove(drawn)
            chosen.append(drawn)
        found += [
            Rating("grammar", names[kept[at]], names[index], place, float(row[at]))
            for at in sorted(chosen)
        ]
    return found


def judgments_of(
    manifest: dict[str, Any],
    entry: dict[str, Any],
    captions_of: dict[str, list[str]],
    splits: dict[str, list[str]],
) -> list[Rating]:
    """All judgments that a dataset has.

    Parameters
    ----------
    manifest : the contents of source.json
    entry : the dataset in the config
    captions_of : image -> captions, as prepared
    splits : split -> images
    """
    used = {image for images in splits.values() for image in images} & captions_of.keys()
    if entry["source"] == "scenes":
        test = {image: captions_of[image] for image in splits["test"] if image in captions_of}
        return judgments_of_scenes(entry["seed"], entry["images"]["test"], test)
    if manifest["layout"] == "archives":
        paths = [file["path"] for file in manifest["files"]]
        return judgments_of_archives(Path(manifest["root"]), paths, captions_of, used)
    log.info("no judgments come with a dataset of the layout %s", manifest["layout"])
    return []


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files = snakemake.input
    found = judgments_of(
        read_json(files.manifest),
        snakemake.params.entry,
        read_captions(files.captions),
        read_splits(files.splits),
    )
    log.info("%d ratings of captions for images", len(found))
    write_ratings(snakemake.output.judgments, found)


if __name__ == "__main__":
    run(main, snakemake)
