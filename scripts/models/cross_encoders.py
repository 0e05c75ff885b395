"""One face for models that read a picture and a sentence together, and score how well they fit.

BLIP's matching head through transformers (Li et al. 2022, "BLIP", ICML): the text tower looks at
the picture in each of its layers, and a head of two classes says whether the sentence fits. The
score is the difference of the two, the log-odds of a fit: in the order of the probability, but it
never runs into 1, where single precision would tie what differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scripts.job import BadInput, read_json
from scripts.models.backends import transformers
from scripts.models.encoders import hub_off, pick_device
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
    """Whether config.json in ``folder`` is of a model that reads pictures and texts together.

    Its two towers make it a dual encoder as well.
    """
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
            f"{CLASS}, which reads a picture and a sentence together",
            "name a cross-encoder as the model of a reranker, such as BLIP's retrieval checkpoints",
        )
    facts = transformers.read_facts(folder)
    if HEAD not in facts.shapes:
        raise BadInput(folder, f"weights without {HEAD}", "the whole of BLIP", FETCH)
    return facts


@dataclass(frozen=True)
class Seen:
    """A picture as a cross-encoder has read it: what its texts look at, layer by layer.

    Attributes
    ----------
    hidden : (1, p, d) places of the picture
    layers : keys and values (1, heads, p, d / heads) of each layer of the text tower
    """

    hidden: torch.Tensor
    layers: list[tuple[torch.Tensor, torch.Tensor]]


class CrossEncoder:
    """Scores pictures and sentences; a picture is read once for all its sentences.

    Attributes
    ----------
    device : where it computes
    precision : what weights and arithmetic are in
    context_length : tokens that a text may have, the special ones included
    """

    def __init__(
        self,
        folder: Path,
        model: PreTrainedModel,
        tokens: Tokens,
        image_processor: Any,
        device: torch.device,
    ) -> None:
        self.folder, self.device = folder, device
        self.model = model.to(device).eval()
        self.tokenizer, self.image_processor = tokens.tokenizer, image_processor
        self.precision = str(model.dtype).removeprefix("torch.")
        text = model.config.text_config
        self.context_length = tokens.limit or tokens.context_length
        # BLIP reads a pair's text behind [ENC], in training and in its own evaluation; the
        # published tokenizers do not know the token, which has the row behind the decoder's
        first = text.bos_token_id
        known = first is not None and first + 1 < text.vocab_size
        self._begin = first + 1 if known else self.tokenizer.cls_token_id
        self._attention = [layer.crossattention.self for layer in model.text_encoder.encoder.layer]

    def preprocess(self, image: Image.Image) -> np.ndarray:
        """Pixels (3, H, W) float32 of an image of any mode, as the model's processor makes them."""
        batch = self.image_processor(image, do_convert_rgb=True, return_tensors="np")
        return batch["pixel_values"][0]

    def tokenize(self, texts: list[str]) -> list[list[int]]:
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

    def see(self, pixels: np.ndarray) -> Seen:
        """Read a picture, (3, H, W) of ``preprocess``."""
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(pixels)[None].to(self.device, self.model.dtype)
            hidden = self.model.vision_model(pixel_values=batch).last_hidden_state
            layers = [
                (_by_head(one.key(hidden), one), _by_head(one.value(hidden), one))
                for one in self._attention
            ]
        return Seen(hidden, layers)

    def scores(self, seen: Seen, tokens: list[list[int]]) -> np.ndarray:
        """Log-odds (b,) float32 that the picture fits each text; what is higher fits better.

        Parameters
        ----------
        seen : the picture
        tokens : b texts, of ``tokenize``, computed at once

        Raises ``BadInput`` for a score that is not finite.
        """
        import torch
        from transformers import DynamicCache, EncoderDecoderCache

        longest = max(map(len, tokens))
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in tokens])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in tokens])
        # what the picture's places say is the same for all texts: computed for each pair, as the
        # library does, it is most of the work
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        for layer, (keys, values) in enumerate(seen.layers):
            cache.cross_attention_cache.update(keys, values, layer)
            cache.is_updated[layer] = True
        with torch.inference_mode():
            states = self.model.text_encoder(
                input_ids=ids.to(self.device),
                attention_mask=mask.to(self.device),
                encoder_hidden_states=seen.hidden,
                past_key_values=cache,
            ).last_hidden_state
            classes = self.model.itm_head(states[:, 0]).float()
            found = (classes[:, 1] - classes[:, 0]).cpu().numpy()
        if not np.isfinite(found).all():
            raise BadInput(
                self.folder,
                f"scores that are not finite, computed in {self.precision}",
                "finite scores",
                "set encode.precision: float32; if it is, the weights are damaged: fetch them anew",
            )
        return found


def _by_head(rows: torch.Tensor, attention: Any) -> torch.Tensor:
    heads = (*rows.shape[:-1], attention.num_attention_heads, attention.attention_head_size)
    return rows.view(heads).transpose(1, 2)


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
    transformers.import_libraries()
    import torch
    from transformers import BlipForImageTextRetrieval

    where = pick_device(device)
    torch.backends.cudnn.allow_tf32 = False
    dtype = getattr(torch, "float32" if precision == "auto" else precision)
    with hub_off():
        model = transformers.load_model(folder, BlipForImageTextRetrieval, dtype, facts.shapes)
        tokens = transformers.load_tokens(folder, model.config.text_config)
        image_processor = transformers.load_image_processor(folder, facts.side, in_patches=False)
    return CrossEncoder(folder, model, tokens, image_processor, where)


def probe_pairs(encoder: CrossEncoder, pictures: dict[str, Image.Image], texts: list[str]) -> None:
    """See that pictures are told apart, and texts; ``BadInput`` where two are one to the model."""
    tokens = encoder.tokenize(texts)
    rows = np.stack(
        [encoder.scores(encoder.see(encoder.preprocess(one)), tokens) for one in pictures.values()]
    )
    for names, table in (([*pictures], rows), (texts, rows.T)):
        for one, other in combinations(range(len(names)), 2):
            if np.abs(table[one] - table[other]).max() <= SAME:
                raise BadInput(
                    encoder.folder,
                    f"the same scores for {names[one]!r} and {names[other]!r}",
                    "different scores for different inputs",
                    "the weights are damaged, or nothing was learnt: take them from elsewhere",
                )
