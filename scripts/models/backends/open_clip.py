"""Models of open_clip: open_clip_config.json, open_clip_model.safetensors, and a tokenizer's files.

The package itself builds the towers, prepares the pictures and cuts the texts. What it would ask a
hub for, or take from a pickle, it is given here or refused.
"""

from __future__ import annotations

import copy
import importlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scripts.job import BadInput, read_json
from scripts.models.backends import transformers
from scripts.models.encoders import Encoder, hub_off, in_short, quick_imports
from scripts.models.listing import OPEN_CLIP_CONFIG, OPEN_CLIP_SINGLE
from scripts.models.open_clip_files import TAKE_CONFIG, model_config, read_facts, text_tower_config
from scripts.models.tokens import tokenizer_file
from scripts.models.towers import LARGEST_VALUE
from scripts.models.weights import Facts, unexpected_tensors

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

__all__ = ["check_numbers", "import_libraries", "load", "read_facts"]

# of the loss, which no feature needs; old files have them in another shape
OF_LOSS = {"logit_scale", "logit_bias"}
# a buffer that old versions of transformers saved
IGNORED = OF_LOSS | {"text.transformer.embeddings.position_ids"}


class OpenClipEncoder(Encoder):
    """A dual encoder of open_clip.

    ``tokenizer_of_texts`` is the package's own; ``to_picture`` and ``to_values`` are its
    preprocessing, parted where a picture becomes numbers.
    """

    padding = "max_length"

    def __init__(
        self,
        folder: Path,
        facts: Facts,
        model: torch.nn.Module,
        tokenizer: Any,
        preprocessing: tuple[Callable[[Image.Image], Image.Image], Callable[..., torch.Tensor]],
        device: torch.device,
    ) -> None:
        super().__init__(folder, facts, model, device)
        self.tokenizer_of_texts = tokenizer
        self.tokenizer = getattr(tokenizer, "tokenizer", None)
        self.context_length = tokenizer.context_length
        self.to_picture, self.to_values = preprocessing
        table = value_table(self)
        self._table = None if table is None else table.to(device, self.dtype)
        tower = self._tower = getattr(model, "text", model)
        self._pool = getattr(model, "text_pool_type", None) or getattr(tower, "pool_type", "")
        self._eos = getattr(model, "text_eos_id", None) or getattr(tower, "eos_id", None)
        self._first_row = _pools_first_row(model.visual)
        # nothing behind the token that a text is read at changes its row
        self._causal = (
            getattr(tower, "attn_mask", None) is not None
            and self._pool in ("argmax", "eos")
            and getattr(tower, "cls_emb", None) is None
        )
        # a tower of transformers, which masks what fills a text up
        self._masked = hasattr(tower, "pooler") and not getattr(tokenizer, "tokenizer_mode", "")

    def file_of(self, what: Literal["weights", "tokenizer", "preprocessor"]) -> Path:
        """As in ``Encoder``."""
        if what == "tokenizer" and self.tokenizer is not None:
            return tokenizer_file(self.folder)
        return self.folder / (OPEN_CLIP_SINGLE if what == "weights" else OPEN_CLIP_CONFIG)

    def preprocess(self, image: Image.Image) -> np.ndarray:
        """Pixels (3, H, W) float32 of an image of any mode, as open_clip makes them."""
        return self.to_values(self.to_picture(image)).numpy()

    def bytes_of(self, image: Image.Image) -> np.ndarray:
        """As ``preprocess``, but uint8, a quarter of the memory: before values are scaled."""
        import numpy as np

        if self._table is None:
            return self.preprocess(image)
        return np.ascontiguousarray(np.asarray(self.to_picture(image)).transpose(2, 0, 1))

    def tokenize(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Tokens (b, context_length) of ``texts``, cut and padded as open_clip does."""
        ids = self.tokenizer_of_texts(list(texts))
        rows = self._rows()
        if int(ids.max()) >= rows:
            text, place = divmod(int(ids.argmax()), ids.shape[1])
            raise BadInput(
                self.file_of("tokenizer"),
                f"token {ids[text, place]} in the text {texts[text]!r:.80}",
                f"tokens below {rows}, the rows of the text tower's embedding",
                "take the tokenizer files that belong to the model, or that word out of the text",
            )
        return {"input_ids": ids}

    def _rows(self) -> int:
        if hasattr(self._tower, "token_embedding"):
            return self._tower.token_embedding.num_embeddings
        return self._tower.config.vocab_size

    def lengths(self, texts: list[str]) -> list[int]:
        """Tokens of each text before anything is cut; more than ``context_length`` will be cut."""
        own = self.tokenizer_of_texts
        if self.tokenizer is None:
            return [len(own.encode(text)) + 2 for text in texts]
        # in this mode the package puts three special tokens itself
        clips = own.tokenizer_mode == "clips"
        ids = self.tokenizer(
            [own.clean_fn(text) for text in texts],
            add_special_tokens=not clips,
            truncation=False,
            verbose=False,
        )["input_ids"]
        return [len(row) + 3 * clips for row in ids]

    def forward_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """As in ``Encoder``, of pixels (b, 3, H, W)."""
        return self.model.encode_image(self._values(pixels), normalize=False)

    def infer_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """As ``forward_images``, but for the last bits: the last layer makes one row of each."""
        if not self._first_row:
            return self.forward_images(pixels)
        tower = self.model.visual
        *layers, last = tower.transformer.resblocks
        states = tower._embeds(self._values(pixels))
        for layer in layers:
            states = layer(states)
        normed = last.ln_1(states)
        rows = states[:, :1] + last.ls_1(last.attention(normed[:, :1], normed, normed))
        rows = rows + last.ls_2(last.mlp(last.ln_2(rows)))
        return tower._pool(rows)[0] @ tower.proj

    def forward_texts(self, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
        """As in ``Encoder``."""
        return self.model.encode_text(self._sent(tokens)["input_ids"], normalize=False)

    def plan_texts(self, tokens: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The tokens without what stands behind the end of all texts, where no tower looks."""
        ids = tokens["input_ids"]
        if self._causal:
            last = ids if self._pool == "argmax" else (ids == self._eos).int()
            ends = last.argmax(1)
            return {"input_ids": ids[:, : int(ends.max()) + 1]}
        if self._masked:
            seen = (ids != self._tower.config.pad_token_id).any(0).nonzero().flatten()
            return {"input_ids": ids[:, : max([0, *seen.tolist()]) + 1]}
        return tokens

    def infer_texts(self, plan: dict[str, torch.Tensor]) -> torch.Tensor:
        """As ``forward_texts``, but for the last bits, by the shortest way; no gradients."""
        if self._causal:
            return self._causal_texts(self._sent(plan)["input_ids"])
        return self.forward_texts(plan)

    def _causal_texts(self, ids: torch.Tensor) -> torch.Tensor:
        """What the package's own ``encode_text`` computes, of as many tokens as there are."""
        from open_clip.transformer import text_global_pool

        tower, length = self._tower, ids.shape[1]
        states = tower.token_embedding(ids) + tower.positional_embedding[:length]
        states = tower.transformer(states, attn_mask=tower.attn_mask[:length, :length])
        pooled = tower.ln_final(text_global_pool(states, ids, self._pool, eos_token_id=self._eos))
        projection = tower.text_projection
        if projection is None:
            return pooled
        return projection(pooled) if callable(projection) else pooled @ projection


def _pools_first_row(tower: torch.nn.Module) -> bool:
    """Whether an image tower is a plain ViT whose features are its class token's."""
    from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

    return (
        isinstance(tower, VisionTransformer)
        and tower.attn_pool is None
        and tower.pool_type == "tok"
        and type(tower.transformer.resblocks[-1]) is ResidualAttentionBlock
    )


def open_torchvision() -> None:
    """Import torchvision, also where it was hidden, or beside a build of torch it was not made for.

    PyPI's is built for CUDA. Beside the CPU build of torch its library cannot be loaded, and the
    import stops at two operators that are not there; their schemas are all that the rest needs, and
    its transforms are Python.
    """
    import torch

    if sys.modules.get("torchvision", ...) is None:
        del sys.modules["torchvision"]
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float threshold) -> Tensor")
        # the schemas are there as long as the library is
        torch.library.torchvision_schemas = library
        importlib.import_module("torchvision")


def import_libraries() -> None:
    """Import torch and open_clip, with what they need to load a model."""
    # first, and without torchvision: what it does is the same whoever else is loaded
    transformers.import_libraries()
    with quick_imports():
        open_torchvision()
        importlib.import_module("open_clip")


def load(folder: Path, facts: Facts, device: torch.device, dtype: torch.dtype) -> Encoder:
    """The encoder of a folder that ``read_facts`` described."""
    from safetensors.torch import load_file
    from transformers.initialization import no_init_weights

    path = folder / OPEN_CLIP_CONFIG
    # to draw numbers takes most of the time, and all memory twice
    with no_init_weights():
        model = made(folder, model_config(path))
    tensors = load_file(folder / OPEN_CLIP_SINGLE)
    check_shapes(folder, model, {name: list(one.shape) for name, one in tensors.items()})
    model.load_state_dict(_by_name(model, tensors), strict=False, assign=True)
    tokenizer = _blamed(tokenizer_file(folder), "tokenizer", lambda: load_tokenizer(folder))
    preprocessing = _blamed(path, "preprocess_cfg", lambda: load_preprocessing(path, model))
    return OpenClipEncoder(folder, facts, model.to(device, dtype), tokenizer, preprocessing, device)


def check_numbers(folder: Path, facts: Facts) -> None:
    """Raise ``BadInput`` where the config asks for other tensors than the weights have.

    The model is made without any memory for its tensors.
    """
    import_libraries()
    import torch

    with hub_off(), torch.device("meta"):
        model = made(folder, model_config(folder / OPEN_CLIP_CONFIG))
    check_shapes(folder, model, facts.shapes)


def check_shapes(folder: Path, model: torch.nn.Module, shapes: dict[str, list[int]]) -> None:
    """Raise ``BadInput`` unless a model has the tensors ``shapes``, and no others."""
    path = folder / OPEN_CLIP_CONFIG
    there = _by_name(model, shapes)
    asked = {name: list(one.shape) for name, one in model.state_dict().items()}
    asked = {name: shape for name, shape in asked.items() if name not in IGNORED}
    for name, shape in asked.items():
        if name in there and shape != there[name]:
            raise BadInput(
                path,
                f"it makes {name} {shape!s:.80}; the weights have {there[name]!s:.80}",
                "one shape",
                TAKE_CONFIG,
            )
    if missing := sorted(asked.keys() - there.keys()):
        raise BadInput(
            folder / OPEN_CLIP_SINGLE,
            f"weights without {missing[0]} and {len(missing) - 1} more",
            f"every tensor that {path.name} counts",
            "fetch the model again, or take another revision",
        )
    if unexpected := there.keys() - asked.keys():
        raise unexpected_tensors(folder, unexpected)


def _by_name(model: torch.nn.Module, tensors: dict[str, Any]) -> dict[str, Any]:
    """What a file holds by the names of a model: old files have the text tower's at the top."""
    from open_clip.model import convert_to_custom_text_state_dict

    if not hasattr(model, "positional_embedding"):
        tensors = convert_to_custom_text_state_dict(tensors)
    return {name: one for name, one in tensors.items() if name not in IGNORED}


def made(folder: Path, config: dict[str, Any]) -> torch.nn.Module:
    """The model of a config, its weights random, as the package's own factory makes it."""
    import open_clip

    config = dict(config)
    vision, text = config["vision_cfg"], config["text_cfg"]
    config["vision_cfg"] = vision | {"timm_model_pretrained": False}
    custom = config.pop("custom_text", False) or "hf_model_name" in text
    kind = open_clip.CLIP
    if custom:
        kind = open_clip.CoCa if "multimodal_cfg" in config else open_clip.CustomTextCLIP
    with _text_tower(folder, text) as text_cfg:
        made = _blamed(
            folder / OPEN_CLIP_CONFIG, "model_cfg", lambda: kind(**config | {"text_cfg": text_cfg})
        )
    return made


@contextmanager
def _text_tower(folder: Path, text: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """``text_cfg`` whose text tower, where it is one of transformers, is found on this disk."""
    name = text.get("hf_model_name")
    if not name:
        yield text
        return
    with tempfile.TemporaryDirectory() as place:
        config = json.dumps(text_tower_config(folder, name))
        Path(place, "config.json").write_text(config, "utf-8")
        yield text | {"hf_model_name": place, "hf_model_pretrained": False}


def load_tokenizer(folder: Path) -> Any:
    """The package's tokenizer for the folder: CLIP's own, or that of the folder's files."""
    from open_clip import get_tokenizer, tokenizer

    text = model_config(folder / OPEN_CLIP_CONFIG)["text_cfg"]
    if text.get("hf_tokenizer_name"):
        return get_tokenizer(f"local-dir:{folder}", local_files_only=True, trust_remote_code=False)
    if text.get("tokenizer_kwargs"):
        return get_tokenizer(f"local-dir:{folder}")
    # the package has made one already; a second would take 28 MB
    own = copy.copy(tokenizer._tokenizer)
    own.context_length = text.get("context_length", tokenizer.DEFAULT_CONTEXT_LENGTH)
    return own


def load_preprocessing(
    path: Path, model: torch.nn.Module
) -> tuple[Callable[[Image.Image], Image.Image], Callable[..., torch.Tensor]]:
    """The package's preprocessing for a model, parted where a picture in RGB becomes numbers."""
    from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
    from PIL import Image
    from torchvision.transforms import Compose

    asked = merge_preprocess_dict(PreprocessCfg(), read_json(path).get("preprocess_cfg"))
    asked["size"] = model.visual.image_size
    steps = image_transform_v2(PreprocessCfg(**asked), is_train=False).transforms
    to_picture, to_values = Compose(steps[:-2]), Compose(steps[-2:])
    largest = float(to_values(to_picture(Image.new("RGB", (40, 50), "grey"))).abs().max())
    if not largest <= LARGEST_VALUE:
        raise BadInput(
            path,
            f"preprocess_cfg: grey becomes {largest:.4g}",
            "values near zero: bytes scaled to 0 to 1, less a mean, by a deviation",
            TAKE_CONFIG,
        )
    return to_picture, to_values


def value_table(encoder: OpenClipEncoder) -> torch.Tensor | None:
    """The value (3, 256) float32 that preprocessing gives each byte of each channel.

    None where a picture does not come out as the table says, bit by bit.
    """
    import numpy as np
    import torch
    from PIL import Image

    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    table = encoder.to_values(Image.fromarray(ramp)).reshape(3, 256)
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    picture = encoder.to_picture(Image.fromarray(noise))
    places = torch.from_numpy(np.asarray(picture).transpose(2, 0, 1).copy()).long()
    found = torch.stack([row[own] for row, own in zip(table, places, strict=True)])
    return table if torch.equal(found, encoder.to_values(picture)) else None


def _blamed(path: Path, what: str, call: Callable[[], Any]) -> Any:
    """What ``call`` gives; ``BadInput`` that names the file where the package fails at it."""
    try:
        return call()
    except BadInput:
        raise
    # of a file of a stranger it raises nearly anything, AssertionError included
    except Exception as error:
        raise BadInput(
            path,
            f"{what} that open_clip cannot use: {in_short(error)}",
            f"a {what} of a model of open_clip",
            "fetch the model again, or take another revision",
        ) from error
