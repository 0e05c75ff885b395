"""Send a handful of texts and drawn pictures through a model, to see that it tells them apart."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scripts.job import BadInput
from scripts.models.backends import backend_of, read_facts
from scripts.models.cross_encoders import load_cross_encoder, probe_pairs, reads_pairs
from scripts.models.embedding_files import is_reranker
from scripts.models.encoders import Encoder, in_short, load_encoder

if TYPE_CHECKING:
    import torch
    from PIL import Image

# Of one language each, common words, as many of as many letters: a tokenizer that knows none of
# them makes the same of all. A model need not know each language, nor what is big and small.
SENTENCES = (
    ("the dog ran", "two men sit", "one boy eat", "RED CAR SKY"),
    ("一只狗跑", "两个男人", "天空很蓝", "红色汽车"),
    ("una isla gris", "dos aves vuel", "mar azul bajo", "CON AGUA FRIA"),
    ("кот спит дома", "два дома тихо", "она идёт туда", "ТАМ РЕКА ВОДЫ"),
    ("كلب يجري", "ولد يأكل", "بحر أزرق", "بيت كبير"),
    ("犬が走る", "猫が寝る", "空は青い", "車は赤い"),
)
# Rows of unit length are the same where they are no farther apart than rounding puts one row that
# is computed twice, which is 1e-6 in float32. Untrained towers bring all inputs near each other,
# but not that near: see tests/models/test_probe.py for what was measured.
SAME = 1e-5
# where a word begins, in pieces of SentencePiece and of GPT-2, and where it ends, in those of CLIP
MARKS = ("\u2581", "\u0120", "</w>")
# a hundredth of a step between two bytes, where a processor brings them to 0 to 1
VALUES_APART = 4e-5
# sentences that are longer than most models read; some read more than a laptop could compute
CUT = 128
# what the order of sums may do, in a deep tower, to one text that is padded in two ways
ALIKE = 1e-3


def probe(folder: Path) -> None:
    """Load the model in ``folder`` on the CPU in float32 and compute a few features, or scores.

    Raises
    ------
    BadInput
        for what ``load_encoder`` refuses, for features that are the same for different inputs, not
        finite, or dependent on what stands beside a text in its batch, and where the model fails;
        the message names the file that is to blame as far as it can be told
    """
    folder = Path(folder)
    backend = backend_of(folder)
    backend.check_numbers(folder, read_facts(folder))
    if not is_reranker(folder):
        encoder = load_encoder(folder, "cpu")
        probe_texts(encoder)
        probe_images(encoder)
    if reads_pairs(folder):
        probe_pairs(load_cross_encoder(folder, "cpu"), drawn_pictures(), [*SENTENCES[0]])


def probe_texts(encoder: Encoder) -> None:
    """See that texts are told apart, and that a text's features are its own."""
    blamed = encoder.file_of("tokenizer")
    texts = [text for sentences in SENTENCES for text in sentences]
    ids = _tried(blamed, "a text", lambda: encoder.tokenize(texts)["input_ids"]).tolist()
    each = len(SENTENCES[0])
    languages = [range(first, first + each) for first in range(0, len(texts), each)]
    known = [rows for rows in languages if len({tuple(ids[row]) for row in rows}) == each]
    if not known:
        same = next(row for row in languages[0] if ids[row] in ids[:row])
        raise BadInput(
            blamed,
            f"tokens that are the same for different texts, such as {texts[same]!r}, in each of "
            f"the {len(languages)} languages that are tried",
            "a tokenizer that has words or letters of some language",
            "take the tokenizer files that belong to the model",
        )

    _check_marks(encoder, blamed)

    def features_of(some: list[str]) -> np.ndarray:
        features = _tried(blamed, "a text", lambda: encoder.encode_texts(encoder.tokenize(some)))
        return features.double().numpy()

    rows = features_of(texts)
    cut = "a long story of a dog " * min(encoder.context_length, CUT)
    alone = _tried(blamed, "a text", lambda: _plain(encoder, encoder.tokenize(texts[:1])))
    for found in (rows[0], features_of([texts[0], cut])[0]):
        apart = np.linalg.norm(alone - found)
        if not apart <= ALIKE:
            raise BadInput(
                blamed,
                f"the text {texts[0]!r} has other features beside longer ones than alone, "
                f"{apart:.2g} apart",
                "features that do not depend on how a text is padded",
                "take the tokenizer files and the config.json that belong to the model",
            )
    for language in known:
        _check_apart(encoder, rows[language], [texts[row] for row in language])


def _plain(encoder: Encoder, tokens: dict[str, torch.Tensor]) -> np.ndarray:
    import torch

    with torch.inference_mode():
        return encoder.unit(encoder.forward_texts(tokens))[0].double().numpy()


def _check_marks(encoder: Encoder, blamed: Path) -> None:
    """Raise ``BadInput`` where words are not told apart as the vocabulary tells them.

    A tokenizer of another class finds, in CLIP's vocabulary, none of the pieces that end a word.
    """
    if encoder.tokenizer is None:
        return
    vocabulary = encoder.tokenizer.get_vocab()
    for mark in MARKS:
        marked = sum(mark in piece for piece in vocabulary)
        ids = encoder.tokenize(["one two three"])["input_ids"][0].tolist()
        pieces = encoder.tokenizer.convert_ids_to_tokens(ids)
        if marked > len(vocabulary) // 10 and not any(mark in piece for piece in pieces):
            kind = type(encoder.tokenizer).__name__
            raise BadInput(
                blamed,
                f"{mark!r} parts words in the vocabulary, and a {kind} makes {pieces[:6]} of "
                "'one two three'",
                "the kind of tokenizer that the vocabulary was made with",
                "correct tokenizer_class in tokenizer_config.json, or take the tokenizer files "
                "that belong to the model",
            )


def probe_images(encoder: Encoder) -> None:
    """See that pictures are told apart, and that a picture's features are its own."""
    blamed = encoder.file_of("preprocessor")
    pictures = drawn_pictures()
    made = [encoder.preprocess(one) for one in pictures.values()]
    values = [one["pixel_values"] if isinstance(one, dict) else one for one in made]
    apart = [float(np.abs(one - other).max()) for one, other in combinations(values, 2)]
    # not so for values that are not finite, either
    if not min(apart) > VALUES_APART:
        raise BadInput(
            blamed,
            "the same values for different pictures, or values that are not finite",
            "a preprocessor that keeps what a picture shows",
            "take the preprocessor file that belongs to the model",
        )

    def features_of(some: list[Any]) -> np.ndarray:
        batch = _tried(
            blamed, "a picture", lambda: encoder.encode_images(encoder.batch_of_images(some))
        )
        return batch.double().numpy()

    features = features_of(made)
    if features.shape[1] != encoder.dim:
        raise BadInput(
            encoder.file_of("weights"),
            f"{features.shape[1]} numbers for a picture and {encoder.dim} for a text",
            "as many for both",
            "take a model whose towers were trained together",
        )
    first = next(iter(pictures))
    wide = encoder.preprocess(pictures[first].resize((192, 48)))
    if not np.linalg.norm(features_of([wide, made[0]])[1] - features[0]) <= ALIKE:
        raise BadInput(
            blamed,
            f"the picture of {first} has other features beside a wider one",
            "features that do not depend on how a batch is filled up",
            "take the preprocessor file and the config.json that belong to the model",
        )
    _check_apart(encoder, features, [*pictures])


def drawn_pictures() -> dict[str, Image.Image]:
    """Pictures of different shapes and colours, by what they show."""
    from PIL import Image, ImageDraw

    pictures = {}
    for name, background, colour in (("a red ball", "white", "red"), ("a dark box", "green", 0)):
        picture = Image.new("RGB", (96, 72), background)
        draw = ImageDraw.Draw(picture)
        (draw.ellipse if "ball" in name else draw.rectangle)((8, 8, 56, 56), fill=colour)
        pictures[name] = picture
    ramp = Image.linear_gradient("L").resize((96, 72))
    pictures["a ramp"] = Image.merge("RGB", [ramp, ramp.rotate(180), ramp])
    return pictures


def _check_apart(encoder: Encoder, rows: np.ndarray, names: list[str]) -> None:
    """Raise ``BadInput`` where two of ``rows`` (n, d), of different input, are the same."""
    for one, other in combinations(range(len(rows)), 2):
        if np.linalg.norm(rows[one] - rows[other]) <= SAME:
            raise BadInput(
                encoder.file_of("weights"),
                f"the same features for {names[one]!r} and {names[other]!r}",
                "different features for different inputs",
                "the weights are damaged, or nothing was learnt: take them from elsewhere",
            )


def _tried(blamed: Path, what: str, call: Callable[[], torch.Tensor]) -> torch.Tensor:
    """What ``call`` gives; ``BadInput`` where the model fails at it, however it does."""
    try:
        return call()
    except BadInput:
        raise
    # each model fails in its own way, far below
    except Exception as error:
        if isinstance(error, AttributeError):  # a tower of a kind that gives no pooled features
            blamed = blamed.parent / "config.json"
        raise BadInput(
            blamed,
            f"the model fails at {what}: {in_short(error)}",
            "files that fit the weights",
            "take all files from where the model came from",
        ) from error
