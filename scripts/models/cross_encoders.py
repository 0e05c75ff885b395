"""One face for models that read a picture and a sentence together, and score how well they fit.

The score is the log-odds of a fit: in the order of the probability, but it never runs into 1, where
single precision would tie what differs. Two kinds of model give it.

BLIP's matching head through transformers (Li et al. 2022, "BLIP", ICML): the text tower looks at
the picture in each of its layers, and a head of two classes says whether the sentence fits. The
score is the difference of the two.

Models of language that sentence-transformers loads as its CrossEncoder, such as Qwen3-VL-Reranker
(Li et al. 2026, arXiv:2601.04720): the sentence is a query and the picture a document of one
message, and the score is how much rather the next word is "yes" than "no" (of a model that names
no word for no, the logit of the one for yes).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sized
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scripts.job import BadInput, read_json
from scripts.models.backends import sentence_transformers, transformers
from scripts.models.embedding_files import Reranker, is_reranker, read_reranker
from scripts.models.encoders import hub_off, in_short, pick_device
from scripts.models.tokens import tokenizer_file
from scripts.models.weights import Facts

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from transformers import PreTrainedModel

    from scripts.models.tokens import Tokens

# what transformers calls a BLIP with a matching head, in `architectures` of config.json
CLASS = "BlipForImageTextRetrieval"
HEAD = "itm_head.weight"
# scores closer than this are one to a model that was trained
SAME = 1e-5
FETCH = "fetch the model again, or take another revision"


def reads_pairs(folder: Path) -> bool:
    """Whether the model in ``folder`` reads pictures and texts together.

    BLIP's two towers make it a dual encoder as well; a re-ranker of sentence-transformers is none.
    """
    if is_reranker(folder):
        return True
    path = folder / "config.json"
    config = read_json(path) if path.is_file() else None
    return isinstance(config, dict) and CLASS in (config.get("architectures") or [])


def read_facts(folder: Path) -> Facts:
    """What can be said of a cross-encoder without loading it.

    Raises ``BadInput`` for another kind of model, weights without the head, and whatever is refused
    of a dual encoder.
    """
    if not reads_pairs(folder):
        raise BadInput(
            folder / "config.json",
            f"no {CLASS} among its architectures",
            f"{CLASS}, or a CrossEncoder of sentence-transformers, which read a picture and a "
            "sentence together",
            "name a cross-encoder as the model of a reranker, such as BLIP's retrieval checkpoints",
        )
    if is_reranker(folder):
        return read_reranker(folder).facts
    facts = transformers.read_facts(folder)
    if HEAD not in facts.shapes:
        raise BadInput(folder, f"weights without {HEAD}", "the whole of BLIP", FETCH)
    return facts


class CrossEncoder(ABC):
    """Scores pictures and sentences; what can be shared by a picture's sentences is made once.

    Attributes
    ----------
    folder : of the model's files
    device : where it computes
    precision : what weights and arithmetic are in
    context_length : tokens that it reads at most, the special ones included
    at_once : sentences of a picture that are computed at once, if nothing else is asked for
    """

    context_length: int
    # on a CPU fewer pad less
    AT_ONCE, AT_ONCE_ON_CPU = 128, 16

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        self.folder, self.device, self.dtype = folder, device, dtype
        self.precision = str(dtype).removeprefix("torch.")
        self.at_once = self.AT_ONCE_ON_CPU if device.type == "cpu" else self.AT_ONCE

    @abstractmethod
    def see(self, image: Image.Image) -> Any:
        """What is kept of an image of any mode, for all of its texts."""

    @abstractmethod
    def read(self, texts: list[str]) -> list[Sized]:
        """What is kept of each text, the longer the longer it is."""

    def scores(self, seen: Any, texts: list[Any]) -> np.ndarray:
        """Log-odds (b,) float32 that the picture fits each text; what is higher fits better.

        Parameters
        ----------
        seen : the picture, of ``see``
        texts : b of them, of ``read``, computed at once

        Raises ``BadInput`` for a score that is not finite, and for a pair that the model does not
        take.
        """
        import torch

        with torch.inference_mode():
            found = self._log_odds(seen, texts).float().cpu().numpy()
        if not np.isfinite(found).all():
            raise BadInput(
                self.folder,
                f"scores that are not finite, computed in {self.precision}",
                "finite scores",
                "set encode.precision: float32; if it is, the weights are damaged: fetch them anew",
            )
        return found

    @abstractmethod
    def _log_odds(self, seen: Any, texts: list[Any]) -> torch.Tensor:
        """As ``scores``, where it computes."""


@dataclass(frozen=True)
class Seen:
    """A picture as BLIP has read it: what its texts look at, layer by layer.

    Attributes
    ----------
    hidden : (1, p, d) places of the picture
    layers : keys and values (1, heads, p, d / heads) of each layer of the text tower
    """

    hidden: torch.Tensor
    layers: list[tuple[torch.Tensor, torch.Tensor]]


class MatchingHead(CrossEncoder):
    """BLIP with its matching head."""

    def __init__(
        self,
        folder: Path,
        model: PreTrainedModel,
        tokens: Tokens,
        image_processor: Any,
        device: torch.device,
    ) -> None:
        super().__init__(folder, device, model.dtype)
        self.model = model.to(device).eval()
        self.tokenizer, self.image_processor = tokens.tokenizer, image_processor
        text = model.config.text_config
        self.context_length = tokens.limit or tokens.context_length
        # BLIP reads a pair's text behind [ENC], in training and in its own evaluation; the
        # published tokenizers do not know the token, which has the row behind the decoder's
        first = text.bos_token_id
        known = first is not None and first + 1 < text.vocab_size
        self._begin = first + 1 if known else self.tokenizer.cls_token_id
        self._attention = [layer.crossattention.self for layer in model.text_encoder.encoder.layer]

    def read(self, texts: list[str]) -> list[Sized]:
        """Tokens of each text, cut at the context length."""
        ids = self.tokenizer(
            texts,
            truncation=True,
            max_length=self.context_length,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        rows = self.model.config.text_config.vocab_size
        for text, row in zip(texts, ids, strict=True):
            if max(row) >= rows:
                raise BadInput(
                    self.folder,
                    f"token {max(row)} in the text {text!r:.80}",
                    f"tokens below {rows}, the vocab_size of text_config in config.json",
                    "take the tokenizer files that belong to the model",
                )
        return [[self._begin, *row[1:]] for row in ids]

    def see(self, image: Image.Image) -> Seen:
        """What the text tower looks at, of pixels (3, H, W) as the model's processor makes them."""
        import torch

        made = self.image_processor(image, do_convert_rgb=True, return_tensors="pt")
        with torch.inference_mode():
            batch = made["pixel_values"].to(self.device, self.dtype)
            hidden = self.model.vision_model(pixel_values=batch).last_hidden_state
            layers = [
                (_by_head(one.key(hidden), one), _by_head(one.value(hidden), one))
                for one in self._attention
            ]
        return Seen(hidden, layers)

    def _log_odds(self, seen: Seen, texts: list[list[int]]) -> torch.Tensor:
        import torch
        from transformers import DynamicCache, EncoderDecoderCache

        longest = max(map(len, texts))
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in texts])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in texts])
        # what the picture's places say is the same for all texts: computed for each pair, as the
        # library does, it is most of the work
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        for layer, (keys, values) in enumerate(seen.layers):
            cache.cross_attention_cache.update(keys, values, layer)
            cache.is_updated[layer] = True
        states = self.model.text_encoder(
            input_ids=ids.to(self.device),
            attention_mask=mask.to(self.device),
            encoder_hidden_states=seen.hidden,
            past_key_values=cache,
        ).last_hidden_state
        classes = self.model.itm_head(states[:, 0]).float()
        return classes[:, 1] - classes[:, 0]


def _by_head(rows: torch.Tensor, attention: Any) -> torch.Tensor:
    heads = (*rows.shape[:-1], attention.num_attention_heads, attention.attention_head_size)
    return rows.view(heads).transpose(1, 2)


class LanguageModel(CrossEncoder):
    """A CrossEncoder of sentence-transformers, which makes message and patches of each pair.

    The sentence stands before the picture, so nothing that the model computes is shared.
    """

    # places of a picture are as many as those of a page of text
    AT_ONCE, AT_ONCE_ON_CPU = 16, 4

    def __init__(
        self,
        folder: Path,
        about: Reranker,
        model: torch.nn.Sequential,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        super().__init__(folder, device, dtype)
        self.model = model.to(device).eval()
        self._first: Any = model[0]
        self._prompt = about.prompt
        self.context_length = sentence_transformers.limit_of(self._first)
        # a tokenizer that several threads ask at once fails
        self._one_at_a_time = threading.Lock()

    def see(self, image: Image.Image) -> Image.Image:
        """The picture itself."""
        return image

    def read(self, texts: list[str]) -> list[Sized]:
        """The texts themselves."""
        return [*texts]

    def _log_odds(self, seen: Image.Image, texts: list[str]) -> torch.Tensor:
        import torch

        with self._one_at_a_time:
            made = self._made(seen, texts)
        lengths = made["attention_mask"].sum(dim=1).tolist()
        if max(lengths) > self.context_length:
            text = texts[lengths.index(max(lengths))]
            raise BadInput(
                self.folder,
                f"{max(lengths)} tokens of a picture of {seen.width} x {seen.height} pixels and "
                f"the text {text!r:.80}",
                f"at most {self.context_length}: a pair is never cut, as what is lost may be the "
                "picture",
                "shorten the text, or take another model",
            )
        features = {
            name: one.to(self.device, self.dtype if one.is_floating_point() else one.dtype)
            if isinstance(one, torch.Tensor)
            else one
            for name, one in made.items()
        }
        return self.model(features)["scores"][:, 0]

    def _made(self, seen: Image.Image, texts: list[str]) -> dict[str, Any]:
        # named, as a text that is the address of a picture would be read as that picture
        pairs = [({"text": text}, {"image": seen}) for text in texts]
        whole = {"truncation": False}
        options = {"text": whole, "chat_template": whole}
        try:
            return self._first.preprocess(pairs, prompt=self._prompt, processing_kwargs=options)
        # of a text that holds the token of a picture, for one; which it is, one by one tells
        except Exception as error:
            for text in texts if len(texts) > 1 else ():
                self._made(seen, [text])
            raise BadInput(
                tokenizer_file(self.folder),
                f"a picture of {seen.width} x {seen.height} pixels and the text {texts[0]!r:.80}, "
                f"which the model's processor does not take: {in_short(error)}",
                "a picture about as wide as high, a text without the tokens that stand for a "
                "picture, and a chat template that has places for a query and a document",
                "take that word out of the text, or the picture out; or take another model",
            ) from error


def load_cross_encoder(
    folder: Path, device: str = "auto", precision: str = "float32"
) -> CrossEncoder:
    """Load the cross-encoder in ``folder`` without touching the network or running its code.

    Parameters
    ----------
    folder : all files of the model
    device : see ``encoders.pick_device``
    precision : one of ``encoders.PRECISIONS``; "auto" is float32, as what it is measured by are
        features, and a cross-encoder has none

    Raises ``BadInput`` for what ``read_facts`` refuses, weights that lack a tensor or have one too
    many, and a tokenizer or preprocessor that cannot be read.
    """
    folder = Path(folder)
    facts = read_facts(folder)
    language = is_reranker(folder)
    (sentence_transformers if language else transformers).import_libraries()
    import torch

    where = pick_device(device)
    torch.backends.cudnn.allow_tf32 = False
    dtype = getattr(torch, "float32" if precision == "auto" else precision)
    with hub_off():
        load = _language_model if language else _matching_head
        return load(folder, facts, where, dtype)


def _matching_head(
    folder: Path, facts: Facts, where: torch.device, dtype: torch.dtype
) -> CrossEncoder:
    from transformers import BlipForImageTextRetrieval

    model = transformers.load_model(folder, BlipForImageTextRetrieval, dtype, facts.shapes)
    tokens = transformers.load_tokens(folder, model.config.text_config)
    image_processor = transformers.load_image_processor(folder, facts.side, in_patches=False)
    return MatchingHead(folder, model, tokens, image_processor, where)


def _language_model(
    folder: Path, facts: Facts, where: torch.device, dtype: torch.dtype
) -> CrossEncoder:
    about = read_reranker(folder)
    modules = sentence_transformers.load_modules(folder, facts, about.modules, dtype)
    return LanguageModel(folder, about, modules, where, dtype)


def probe_pairs(encoder: CrossEncoder, pictures: dict[str, Image.Image], texts: list[str]) -> None:
    """See that pictures are told apart, and texts; ``BadInput`` where two are one to the model."""
    read = encoder.read(texts)
    rows = np.stack([encoder.scores(encoder.see(one), read) for one in pictures.values()])
    for names, table in (([*pictures], rows), (texts, rows.T)):
        for one, other in combinations(range(len(names)), 2):
            if np.abs(table[one] - table[other]).max() <= SAME:
                raise BadInput(
                    encoder.folder,
                    f"the same scores for {names[one]!r} and {names[other]!r}",
                    "different scores for different inputs",
                    "the weights are damaged, or nothing was learnt: take them from elsewhere",
                )
