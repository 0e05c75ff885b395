"""One face for models that read a picture and a sentence together, and score how well they fit.

BLIP's matching head through transformers (Li et al. 2022, "BLIP", ICML): the text tower looks at
the picture in each of its layers, and a head of two classes says whether the sentence fits. The
score is the difference of the two, the log-odds of a fit: in the order of the probability, but it
never runs into 1, where single precision would tie what differs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scripts.job import BadInput, read_json
from scripts.models.encoders import hub_off, in_short, pick_device
from scripts.models.towers import check_config, check_preprocessor
from scripts.models.weights import (
    FLOATS,
    Facts,
    check_dtypes,
    check_files,
    read_tensors,
    unexpected_tensors,
)

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# what transformers calls a BLIP with a matching head, in `architectures` of config.json
CLASS = "BlipForImageTextRetrieval"
HEAD = "itm_head.weight"
# scores closer than this are one to a model that was trained
SAME = 1e-5
FETCH = "fetch the model again, or take another revision"


def reads_pairs(folder: Path) -> bool:
    """Whether config.json in ``folder`` is of a model that reads pictures and texts together."""
    config = read_json(folder / "config.json")
    return isinstance(config, dict) and CLASS in (config.get("architectures") or [])


def read_facts(folder: Path) -> Facts:
    """What can be said of a cross-encoder without loading it.

    Raises ``BadInput`` for another kind of model, weights that are missing, pickled, damaged or
    without the head, and a tokenizer or preprocessor that is missing or of another size.
    """
    path = folder / "config.json"
    if not reads_pairs(folder):
        config = read_json(path)
        told = config.get("architectures") if isinstance(config, dict) else None
        raise BadInput(
            path,
            f"architectures: {told!s:.80}",
            f"{CLASS}, which reads a picture and a sentence together",
            "name a cross-encoder as the model of a reranker, such as BLIP's retrieval checkpoints",
        )
    config = read_json(path)
    check_config(path, config)
    tensors = read_tensors(folder)
    check_dtypes(folder, tensors)
    check_files(folder)
    shapes = {name: shape for name, (_, shape) in tensors.items()}
    if HEAD not in shapes or not shapes.get("text_proj.weight"):
        raise BadInput(
            folder, f"weights without {HEAD} or text_proj.weight", "the whole of BLIP", FETCH
        )
    vision = config.get("vision_config")
    side = vision.get("image_size") if isinstance(vision, dict) else None
    side = side if type(side) is int else None
    check_preprocessor(folder, side)
    return Facts(
        architecture="blip",
        parameters=sum(math.prod(shape) for dtype, shape in tensors.values() if dtype in FLOATS),
        embedding_dim=shapes["text_proj.weight"][0],
        shapes=shapes,
        side=side,
    )


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
        tokenizer: PreTrainedTokenizerBase,
        image_processor: Any,
        device: torch.device,
    ) -> None:
        self.folder, self.device = folder, device
        self.model = model.to(device).eval()
        self.tokenizer, self.image_processor = tokenizer, image_processor
        self.precision = str(model.dtype).removeprefix("torch.")
        text = model.config.text_config
        self.context_length = min(text.max_position_embeddings, tokenizer.model_max_length)
        # BLIP reads a pair's text behind [ENC], in training and in its own evaluation; the
        # published tokenizers do not know the token, which has the row behind the decoder's
        first = text.bos_token_id
        known = first is not None and first + 1 < text.vocab_size
        self._begin = first + 1 if known else tokenizer.cls_token_id
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
    from scripts.models.backends.transformers import import_libraries, load_image_processor

    folder = Path(folder)
    facts = read_facts(folder)
    import_libraries()
    import torch
    import transformers

    where = pick_device(device)
    torch.backends.cudnn.allow_tf32 = False
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    only_here = {"local_files_only": True, "trust_remote_code": False}
    with hub_off():
        try:
            model, report = getattr(transformers, CLASS).from_pretrained(
                folder,
                dtype=getattr(torch, "float32" if precision == "auto" else precision),
                use_safetensors=True,
                output_loading_info=True,
                **only_here,
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **only_here)
        # on damaged files it raises nearly anything
        except Exception as error:
            raise BadInput(
                folder,
                f"a model that transformers cannot load: {in_short(error)}",
                f"a whole {CLASS}",
                FETCH,
            ) from error
        image_processor = load_image_processor(folder, facts.side)
    # transformers fills what is missing with random numbers and only warns
    if missing := sorted(report["missing_keys"]):
        found = f"weights without {missing[0]} and {len(missing) - 1} more"
        raise BadInput(folder, found, "every tensor of the model", FETCH)
    places = {name for name, _ in model.named_buffers()}
    if unexpected := set(report["unexpected_keys"]) - places:
        raise unexpected_tensors(folder, unexpected)
    if tokenizer.pad_token_id is None or tokenizer.cls_token_id is None:
        raise BadInput(
            folder,
            "a tokenizer without a token to begin with, or to fill up with",
            "BERT's tokenizer, as BLIP has it",
            "take the tokenizer files that belong to the model",
        )
    return CrossEncoder(folder, model, tokenizer, image_processor, where)


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
