"""Answers of a finished run: a sentence finds images, a photo finds captions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from scripts.job import BadInput, digest_of_file, read_json
from scripts.search.queries import checked_query, open_photo
from scripts.search.runs import (
    DELETE,
    RunName,
    encoded_splits,
    encoding,
    index_file,
    indexes_of,
    measured_split,
    models_behind,
    run_folder,
)

# numpy, Pillow and torch are imported where they are used, so that --help answers at once
if TYPE_CHECKING:
    import faiss
    import numpy as np
    from PIL import Image

    from scripts.data.rows import Rows
    from scripts.models.encoders import Encoder

Side = Literal["texts", "images"]
Find = Literal["images", "captions"]


@dataclass(frozen=True)
class Hit:
    """One answer.

    Attributes
    ----------
    rank : from 1
    split : where the image found stands, or the one that the caption found belongs to
    row : of that image in the split
    score : inner product of the mapped features; for cosine from -1 to 1
    image : file name of that image
    captions : all captions of that image
    caption : the caption found; None where images are looked for
    """

    rank: int
    split: str
    row: int
    score: float
    image: str
    captions: list[str]
    caption: str | None = None


class OutOfDate(BadInput):
    """Features of another model, or of other pictures, than those that are there now."""


class Models:
    """Encoders, each loaded once and shared by all runs of its model.

    Parameters
    ----------
    device : where queries are encoded
    keep : how many stay in memory; the one that was asked for longest ago goes first
    """

    def __init__(self, device: str = "cpu", keep: int = 4) -> None:
        self._device = device
        self._loaded = lru_cache(maxsize=keep)(self._load)

    def encoder(self, folder: Path, precision: str = "float32") -> Encoder:
        """The model in ``folder``; loaded anew where the files there have changed."""
        return self._loaded(folder, precision, digest_of_file(folder / "model.json"))

    def _load(self, folder: Path, precision: str, version: str) -> Encoder:
        from scripts.models.encoders import load_encoder

        return load_encoder(folder, device=self._device, precision=precision)


class Search:
    """Answers from the features of one run; what it reads it reads once, when first needed.

    Parameters
    ----------
    results, data : folders of the workflow
    name : which run, see ``find_run``
    models : where encoders come from; runs of one model may share them
    split : to look through it alone; None for all that are encoded
    """

    def __init__(
        self,
        results: Path,
        data: Path,
        name: RunName,
        models: Models | None = None,
        split: str | None = None,
    ) -> None:
        self.name = name
        self.image_folder = data / name.dataset / "images"
        self._results, self._data = results, data
        self._run = run_folder(results, name)
        self._dataset = data / name.dataset
        self._models = models or Models()
        self._split = split
        self._rows: dict[str, Rows] = {}
        self._galleries: dict[tuple[str, Side, Find], np.ndarray] = {}
        self._indexes: dict[tuple[str, str], faiss.Index] = {}

    def by_text(
        self, query: str, k: int = 10, find: Find = "images", index: str | None = None
    ) -> list[Hit]:
        """Answers to a sentence; see ``encode_text`` and ``best``."""
        return self.best(self.encode_text(query)[0], "texts", k, find, index)

    def by_image(
        self, photo: Image.Image, k: int = 10, find: Find = "captions", index: str | None = None
    ) -> list[Hit]:
        """Answers to a photo; see ``encode_image`` and ``best``."""
        return self.best(self.encode_image(photo), "images", k, find, index)

    def encode_text(self, query: str) -> tuple[np.ndarray, bool]:
        """Features (1, d) of a sentence, which goes through the run's prompt as the captions did.

        Those of a fusion's two models stand side by side. Returns, too, whether a model had to
        leave out its end. Raises ``BadInput`` for a query without words, and for a model that the
        run's features are not of.
        """
        import numpy as np

        from scripts.encode.encode_texts import encode_captions

        query = checked_query(query)
        features, cuts = [], 0
        for model in self.models:
            templates = self._templates(model)
            encoder = self._encoder(model, f"texts.{self.name.prompt}")
            some, cut = encode_captions(encoder, [query], templates, batch_size=1)
            features.append(some)
            cuts += cut
        return np.concatenate(features, axis=1), cuts > 0

    def in_other_letters(self, query: str) -> bool:
        """Whether ``query`` has letters, and no caption that can be found has any of them."""
        letters = {one for one in query.lower() + query.upper() if one.isalpha()}
        texts = (caption for rows in self.rows.values() for caption in rows.captions)
        return bool(letters) and all(map(letters.isdisjoint, texts))

    def encode_image(self, photo: Image.Image) -> np.ndarray:
        """Features (1, d) of a photo; raises ``BadInput`` as ``encode_text`` does.

        So it does for a photo that the model's preprocessing does not take.
        """
        import numpy as np

        features = []
        for model in self.models:
            encoder = self._encoder(model, "images")
            pixels = encoder.batch_of_images([_preprocessed(encoder, photo)])
            features.append(encoder.encode_images(pixels).cpu().numpy())
        return np.concatenate(features, axis=1)

    def best(
        self, query: np.ndarray, asked: Side, k: int, find: Find, index: str | None = None
    ) -> list[Hit]:
        """The k best answers to one encoded query.

        Parameters
        ----------
        query : (1, d) float32, of unit length for each model
        asked : what was encoded
        k : how many; fewer where there are fewer
        find : what to look for
        index : name of an index of the run that answers in place of the exact ranking; it knows
            only the split that was measured

        Raises ``BadInput`` where the run's files do not fit each other, for an index that is not
        among ``indexes``, and for any where one side is searched with itself.
        """
        from scripts.retrieve.ranking import top_k
        from scripts.retrieve.scorers import map_queries

        if direction := _direction(asked, find):
            query = map_queries(self._scorer, query, direction)
        else:
            # each model's cosine counts alike
            query = query / len(self.models)
        found: list[tuple[float, str, int]] = []
        for split in self.splits(index):
            if index is not None:
                rows, scores = self._through_index(index, query, direction, k)
            else:
                rows, scores = top_k(query, self._gallery(split, asked, find), k)
            # an index may find fewer
            found += [(s, split, r) for s, r in zip(scores[0], rows[0], strict=True) if r >= 0]
        # as in one gallery: of equal scores, the earlier row
        found = sorted(found, key=lambda one: -one[0])[:k]
        return [
            self._hit(rank, split, int(row), float(score), find)
            for rank, (score, split, row) in enumerate(found, start=1)
        ]

    def _hit(self, rank: int, split: str, row: int, score: float, find: Find) -> Hit:
        rows = self.rows[split]
        image = row if find == "images" else int(rows.image_of_caption[row])
        caption = rows.captions[row] if find == "captions" else None
        captions = rows.captions_of(image)
        return Hit(rank, split, image, score, rows.images[image], captions, caption)

    def splits(self, index: str | None = None) -> list[str]:
        """Splits that are looked through, the measured one first; through an index, it alone."""
        if index is None:
            return list(self.rows)
        measured = measured_split(self._results, self.name)
        if measured not in self.rows:
            raise BadInput(
                f"--index {index:.200}", f"a search of {', '.join(self.rows)}",
                f"one of {measured}, of which indexes are built", "leave out --split or --index",
            )  # fmt: skip
        return [measured]

    def not_encoded(self) -> dict[str, int]:
        """Further splits of the dataset, and how many images each has."""
        listed = self._images_of.items()
        return {split: len(names) for split, names in listed if names and split not in self.rows}

    def encoding(self) -> str:
        """The command that encodes the splits ``not_encoded``."""
        return encoding(self._results, self.name, list(self.not_encoded()))

    def indexes(self) -> list[str]:
        """Names of the indexes that can answer, sorted."""
        measured = measured_split(self._results, self.name)
        return indexes_of(self._run) if measured in self.rows else []

    def open(self) -> None:
        """Read what questions of the usual kind need, so that the first one does not wait."""
        for split in self.rows:
            self._gallery(split, "texts", "images")
            self._gallery(split, "images", "captions")
        self.encode_text("a photo")

    @cached_property
    def rows(self) -> dict[str, Rows]:
        """Images and captions that can be found, by split; the measured one is first.

        Left out is a split of which the features are of another model, prompt or list of pictures
        than now: the workflow encodes anew only what its next run needs. Of the measured split, and
        of one that was asked for, ``OutOfDate`` tells.
        """
        measured = measured_split(self._results, self.name)
        encoded = encoded_splits(self._results, self.name)
        wanted = sorted(encoded, key=lambda split: split != measured)
        if self._split is not None:
            self._check_split(self._split, encoded)
            wanted = [self._split]
        found: dict[str, Rows] = {}
        prompt = None
        for split in filter(self._images_of.get, wanted):
            try:
                said = [
                    self._about(model, stem, split).get("templates")
                    for model in self.models
                    for stem in ("images", f"texts.{self.name.prompt}")
                ]
            except OutOfDate:
                if split in (measured, self._split):
                    raise
                continue
            prompt = prompt or said
            if said == prompt:
                found[split] = self.rows_of(split)
        if not found:
            raise BadInput(
                self._dataset / "splits.json", f"nothing of {', '.join(encoded)}",
                "what the run encoded", "name the run's folder of data with --data",
            )  # fmt: skip
        return found

    def _check_split(self, split: str, encoded: list[str]) -> None:
        """Raise ``BadInput`` for a split without images, or without features."""
        if not self._images_of[split]:
            there = [name for name, images in self._images_of.items() if images]
            raise BadInput(
                "--split", split, f"one that {self.name.dataset} has: {', '.join(there)}",
                "take one of these, or leave out --split",
            )  # fmt: skip
        if split not in encoded:
            raise BadInput(
                "--split", f"{split}, which is not encoded", f"one of {', '.join(encoded)}",
                f"encode it: {encoding(self._results, self.name, [split])}",
            )  # fmt: skip

    def rows_of(self, split: str) -> Rows:
        """Images and captions of any split of the dataset, encoded or not."""
        from scripts.data.rows import read_rows

        if split not in self._rows:
            captions, splits = (self._dataset / f"{name}.json" for name in ("captions", "splits"))
            self._rows[split] = read_rows(captions, splits, split)
        return self._rows[split]

    def split_of(self, digest: str) -> str | None:
        """The split whose rows have this digest, among those that were read."""
        return next((name for name, rows in self._rows.items() if rows.digest == digest), None)

    @cached_property
    def _images_of(self) -> dict[str, list[str]]:
        """The images of each split, which may be none."""
        from scripts.data.rows import read_splits

        path = self._dataset / "splits.json"
        if not path.is_file():
            raise BadInput(
                path, "no such file", f"what {self.name.dataset} was made into for the run",
                "name the run's folder of data: --data FOLDER",
            )  # fmt: skip
        return read_splits(path)

    def photo_of(self, split: str, row: int) -> Image.Image:
        """The image in this row of a split.

        Raises ``IndexError`` for a row that is not there, ``BadInput`` for a file that is not, or
        whose name leads out of the dataset's folder.
        """
        images = self.rows_of(split).images
        if not 0 <= row < len(images):
            raise IndexError(row)
        name = PurePosixPath(images[row])
        if name.is_absolute() or ".." in name.parts:
            raise BadInput(
                self._dataset / "captions.json", f"the image {name}", "a name inside images/",
                "delete the file and run again: it is then made anew",
            )  # fmt: skip
        return open_photo(self.image_folder / name)

    @cached_property
    def models(self) -> list[str]:
        """The run's model, and for a fusion the other one."""
        return models_behind(self._results, self.name)

    @cached_property
    def _scorer(self) -> dict[str, np.ndarray]:
        from scripts.retrieve.scorers import load_scorer

        return load_scorer(self._run / "scorer.npz")

    def _gallery(self, split: str, asked: Side, find: Find) -> np.ndarray:
        """Mapped features of what is looked for, kept for the next query."""
        from scripts.encode.stored import read_side_by_side
        from scripts.retrieve.scorers import map_gallery

        if (split, asked, find) not in self._galleries:
            stem = "images" if find == "images" else f"texts.{self.name.prompt}"
            folders = [self._features(model, split) for model in self.models]
            npys, sidecars = ([f / f"{stem}.{end}" for f in folders] for end in ("npy", "json"))
            gallery, _ = read_side_by_side(npys, sidecars, self.rows[split], of=find)
            if direction := _direction(asked, find):
                gallery = map_gallery(self._scorer, gallery, direction)
            self._galleries[split, asked, find] = gallery
        return self._galleries[split, asked, find]

    def _through_index(
        self, name: str, query: np.ndarray, direction: str | None, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """What an index finds for a mapped query (1, d'); see ``indexes.search``."""
        from scripts.retrieve.indexes import search

        if direction is None:
            raise BadInput(
                f"--index {name}", "a side searched with itself",
                "a sentence for images, or a photo for captions", "leave out --find or --index",
            )  # fmt: skip
        if (name, direction) not in self._indexes:
            self._indexes[name, direction] = self._read_index(name, direction, query.shape[1])
        return search(self._indexes[name, direction], query, k)

    def _read_index(self, name: str, direction: str, dimension: int) -> faiss.Index:
        """An index of the run, if it is of the features and the scorer that are there now."""
        from scripts.retrieve.indexes import read_index
        from scripts.retrieve.kinds import GALLERY

        there = self.indexes()
        [split] = self.splits(name)
        # a name may come from an address, and becomes a part of a path
        if name not in there:
            raise BadInput(
                "index", f"{name:.200}",
                f"one that was built of the {split} split: {', '.join(there) or 'none'}",
                "take one of these, or leave it out",
            )  # fmt: skip
        path = index_file(self._run, name, direction)
        index, about = read_index(path, path.with_suffix(".json"), self.rows[split].digest)
        stem = "images" if GALLERY[direction] == "images" else f"texts.{self.name.prompt}"
        made_of = {
            "scorer": digest_of_file(self._run / "scorer.npz"),
            "features": [self._about(model, stem, split).get("sha256") for model in self.models],
            "dimension": dimension,
        }
        if any(about.get(key) != value for key, value in made_of.items()):
            raise BadInput(
                path, "an index of other features or of another scorer", f"one of {self._run}",
                "run the workflow again: it builds anew what is out of date",
            )  # fmt: skip
        return index

    def _features(self, model: str, split: str) -> Path:
        return self._results / self.name.dataset / model / split

    def _encoder(self, model: str, stem: str) -> Encoder:
        """The model, in the precision that features were computed in, as their sidecar says."""
        about, folder = (
            self._about(model, stem, next(iter(self.rows))),
            self._data / "models" / model,
        )
        if read_json(folder / "model.json").get("source") == "features":
            raise BadInput(
                f"{self.name.dataset}, {model}",
                "features that were made elsewhere, and no model to encode a new sentence or photo",
                "a run whose model is here",
                "ask another run, with --model; or encode the query where the features were made, "
                "as one more caption of the dataset",
            )
        return self._models.encoder(folder, str(about.get("precision", "float32")))

    def _templates(self, model: str) -> list[str]:
        """The prompt that the captions went through; raises ``BadInput`` where it is not told."""
        stem, split = f"texts.{self.name.prompt}", next(iter(self.rows))
        templates = self._about(model, stem, split).get("templates")
        if not (
            isinstance(templates, list) and templates and all("{}" in str(t) for t in templates)
        ):
            raise BadInput(
                self._features(model, split) / f"{stem}.json", f"templates: {templates!r:.80}",
                "sentences with a place {} for the caption", DELETE,
            )  # fmt: skip
        return list(map(str, templates))

    def _about(self, model: str, stem: str, split: str) -> dict[str, Any]:
        """What the sidecar of some features says, if they are of what is there now.

        Queries and gallery have to come from the same weights, and rows are told by their number.
        """
        folder = self._data / "models" / model
        path, provenance = self._features(model, split) / f"{stem}.json", folder / "model.json"
        if not provenance.is_file():
            raise BadInput(
                provenance,
                "no such file",
                f"the model of {path}",
                "name its folder with --data, or run the workflow again",
            )
        again = "run the workflow again: it encodes anew what is out of date"
        if split != measured_split(self._results, self.name):
            again = f"encode anew: {encoding(self._results, self.name, [split])}"
        about = read_json(path)
        for key, now, what, of in (
            ("model", digest_of_file(provenance), f"another version of {model}", folder),
            ("rows", self.rows_of(split).digest, "other pictures or captions", self._dataset),
        ):
            if not isinstance(about, dict) or about.get(key) != now:
                raise OutOfDate(
                    path, f"features of {what}", f"features of {of}",
                    f"name the run's folder of data with --data, or {again}",
                )  # fmt: skip
        return about


def _preprocessed(encoder: Encoder, photo: Image.Image) -> Any:
    try:
        return encoder.preprocess(photo)
    # each family brings its own, and it raises what it likes, from ValueError to MemoryError
    except Exception as error:
        raise BadInput(
            f"a picture of {photo.width} x {photo.height} pixels",
            f"the model's preprocessing does not take it: {type(error).__name__} {error!s:.200}",
            "a picture about as wide as high",
            "cut or shrink it",
        ) from None


def _direction(asked: Side, find: Find) -> str | None:
    """The scorer's direction; None within one side, where similarity is plain cosine."""
    return {("texts", "images"): "text_to_image", ("images", "captions"): "image_to_text"}.get(
        (asked, find)
    )
