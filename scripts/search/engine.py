"""Answers of a finished run: a sentence finds images, a photo finds captions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from scripts.job import BadInput, digest_of_file, read_json
from scripts.search.runs import (
    DELETE,
    RunName,
    index_file,
    indexed_split,
    indexes_of,
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
MAX_PHOTO = 256 * 2**20  # bytes
MAX_PIXELS = 100_000_000  # larger pictures are refused by their header


@dataclass(frozen=True)
class Hit:
    """One answer.

    Attributes
    ----------
    rank : from 1
    row : row of the image found, or of the one that the caption found belongs to, in the split
    score : inner product of the mapped features; for cosine from -1 to 1
    image : file name of that image
    captions : all captions of that image
    caption : the caption found; None where images are looked for
    """

    rank: int
    row: int
    score: float
    image: str
    captions: list[str]
    caption: str | None = None


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
    """

    def __init__(
        self, results: Path, data: Path, name: RunName, models: Models | None = None
    ) -> None:
        self.name = name
        self.image_folder = data / name.dataset / "images"
        self._results, self._data = results, data
        self._run = run_folder(results, name)
        self._dataset = data / name.dataset
        self._models = models or Models()
        self._galleries: dict[tuple[Side, Find], np.ndarray] = {}
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

    def encode_image(self, photo: Image.Image) -> np.ndarray:
        """Features (1, d) of a photo; raises ``BadInput`` as ``encode_text`` does.

        So it does for a photo that the model's preprocessing does not take.
        """
        import numpy as np
        import torch

        features = []
        for model in self.models:
            encoder = self._encoder(model, "images")
            pixels = torch.from_numpy(_preprocessed(encoder, photo)[None])
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
        index : name of an index of the run that answers in place of the exact ranking

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
        if index is not None:
            rows, scores = self._through_index(index, query, direction, k)
        else:
            rows, scores = top_k(query, self._gallery(asked, find), k)
        hits = []
        for rank, (row, score) in enumerate(zip(rows[0], scores[0], strict=True), start=1):
            if row < 0:  # an index may find fewer
                break
            image = int(row) if find == "images" else int(self.rows.image_of_caption[row])
            caption = self.rows.captions[row] if find == "captions" else None
            captions = self.rows.captions_of(image)
            hits.append(Hit(rank, image, float(score), self.rows.images[image], captions, caption))
        return hits

    def indexes(self) -> list[str]:
        """Names of the indexes that can answer, sorted."""
        measured = indexed_split(self._results, self.name) == self.name.split
        return indexes_of(self._run) if measured else []

    def open(self) -> None:
        """Read what questions of the usual kind need, so that the first one does not wait."""
        self._gallery("texts", "images")
        self._gallery("images", "captions")
        self.encode_text("a photo")

    @cached_property
    def rows(self) -> Rows:
        """Images and captions that can be found."""
        from scripts.data.rows import read_rows

        return read_rows(
            self._dataset / "captions.json", self._dataset / "splits.json", self.name.split
        )

    def photo_of(self, row: int) -> Image.Image:
        """The image in this row of the split.

        Raises ``IndexError`` for a row that is not there, ``BadInput`` for a file that is not, or
        whose name leads out of the dataset's folder.
        """
        if not 0 <= row < len(self.rows.images):
            raise IndexError(row)
        name = PurePosixPath(self.rows.images[row])
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

    def _gallery(self, asked: Side, find: Find) -> np.ndarray:
        """Mapped features of what is looked for, kept for the next query."""
        from scripts.encode.stored import read_side_by_side
        from scripts.retrieve.scorers import map_gallery

        if (asked, find) not in self._galleries:
            stem = "images" if find == "images" else f"texts.{self.name.prompt}"
            folders = [self._features(model) for model in self.models]
            npys, sidecars = ([f / f"{stem}.{end}" for f in folders] for end in ("npy", "json"))
            gallery, _ = read_side_by_side(npys, sidecars, self.rows, of=find)
            if direction := _direction(asked, find):
                gallery = map_gallery(self._scorer, gallery, direction)
            self._galleries[asked, find] = gallery
        return self._galleries[asked, find]

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
        # a name may come from an address, and becomes a part of a path
        if name not in there:
            raise BadInput(
                "index", f"{name:.200}",
                f"one that was built of the {self.name.split} split: {', '.join(there) or 'none'}",
                "take one of these, or leave it out",
            )  # fmt: skip
        path = index_file(self._run, name, direction)
        index, about = read_index(path, path.with_suffix(".json"), self.rows.digest)
        stem = "images" if GALLERY[direction] == "images" else f"texts.{self.name.prompt}"
        made_of = {
            "scorer": digest_of_file(self._run / "scorer.npz"),
            "features": [self._about(model, stem).get("sha256") for model in self.models],
            "dimension": dimension,
        }
        if any(about.get(key) != value for key, value in made_of.items()):
            raise BadInput(
                path, "an index of other features or of another scorer", f"one of {self._run}",
                "run the workflow again: it builds anew what is out of date",
            )  # fmt: skip
        return index

    def _features(self, model: str) -> Path:
        return self._results / self.name.dataset / model / self.name.split

    def _encoder(self, model: str, stem: str) -> Encoder:
        """The model, in the precision that features were computed in, as their sidecar says."""
        precision = str(self._about(model, stem).get("precision", "float32"))
        return self._models.encoder(self._data / "models" / model, precision)

    def _templates(self, model: str) -> list[str]:
        """The prompt that the captions went through; raises ``BadInput`` where it is not told."""
        stem = f"texts.{self.name.prompt}"
        templates = self._about(model, stem).get("templates")
        if not (
            isinstance(templates, list) and templates and all("{}" in str(t) for t in templates)
        ):
            raise BadInput(
                self._features(model) / f"{stem}.json", f"templates: {templates!r:.80}",
                "sentences with a place {} for the caption", DELETE,
            )  # fmt: skip
        return list(map(str, templates))

    def _about(self, model: str, stem: str) -> dict[str, Any]:
        """What the sidecar of some features says, if they are of the model that is there now.

        Queries and gallery have to come from the same weights.
        """
        folder = self._data / "models" / model
        path, provenance = self._features(model) / f"{stem}.json", folder / "model.json"
        if not provenance.is_file():
            raise BadInput(
                provenance,
                "no such file",
                f"the model of {path}",
                "name its folder with --data, or run the workflow again",
            )
        about = read_json(path)
        if not isinstance(about, dict) or about.get("model") != digest_of_file(provenance):
            raise BadInput(
                path,
                f"features of another version of {model}",
                f"features of {folder}",
                "run the workflow again: it encodes anew what is out of date",
            )
        return about


def _preprocessed(encoder: Encoder, photo: Image.Image) -> np.ndarray:
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


def checked_query(query: str) -> str:
    """``query`` on one line; raises ``BadInput`` where it holds no words or is not text."""
    try:
        query.encode("utf-8")
    except UnicodeEncodeError:
        raise BadInput(
            "query", f"{query!r:.80}", "UTF-8 text", "set the terminal to UTF-8"
        ) from None
    if not query.strip():
        raise BadInput("query", "no words", "a sentence", 'ask like "a dog running on grass"')
    return " ".join(query.split())


def open_photo(path: Path) -> Image.Image:
    """The photo in a file, see ``decode_photo``."""
    try:
        if path.is_dir():
            raise BadInput(path, "a folder", "a photo", "name a file in it")
        # a pipe may never end
        if path.exists() and not path.is_file():
            raise BadInput(path, "not a plain file", "a photo", "check the path")
        if path.stat().st_size > MAX_PHOTO:
            raise BadInput(path, f"more than {MAX_PHOTO:,} bytes", "a photo", "make it smaller")
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(path, "no such file", "a photo", "check the path") from None
    except OSError as error:
        raise BadInput(path, error.strerror or str(error), "a photo", "check the path") from None
    return decode_photo(content, path)


def decode_photo(content: bytes, name: object) -> Image.Image:
    """The first frame of a photo, upright and in RGB, as the dataset's own images are.

    Raises ``BadInput``, which calls it ``name``, for what is no image or too large a one.
    """
    from scripts.data.audit import OVERSIZED, Unusable
    from scripts.data.images import decode

    try:
        return decode(content, MAX_PIXELS)
    except Unusable as error:
        todo = "make it smaller" if error.reason == OVERSIZED else "convert it to JPEG or PNG"
        raise BadInput(name, f"not readable as an image: {error.detail}", "a photo", todo) from None
