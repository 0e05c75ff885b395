"""Models of two towers that were published apart, in the folders image/ and text/ of the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scripts.models.backends import backend_of
from scripts.models.backends import transformers as whole
from scripts.models.backends.transformers import import_libraries
from scripts.models.encoders import Encoder
from scripts.models.families import read_family
from scripts.models.listing import IMAGE, TEXT
from scripts.models.text_tower import BEGINS, M_CLIP_DENSE, Dense, TextTower, read_text_tower
from scripts.models.tokens import Tokens, tokenizer_file
from scripts.models.weights import Facts, weight_files

if TYPE_CHECKING:
    import torch
    from PIL import Image

__all__ = ["check_numbers", "import_libraries", "load", "read_facts"]


class TowersEncoder(Encoder):
    """The pictures of one model, and texts of another that was taught its space."""

    def __init__(
        self,
        folder: Path,
        facts: Facts,
        images: Encoder,
        texts: torch.nn.ModuleList,
        tower: TextTower,
        tokens: Tokens,
    ) -> None:
        import torch

        both = torch.nn.ModuleList([images.model, texts])
        super().__init__(folder, facts, both, images.device)
        self._images, self._texts, self._tower, self._tokens = images, texts, tower, tokens
        self.tokenizer = tokens.tokenizer
        self.context_length = tokens.context_length
        self.padding = tokens.padding

    def packable(self) -> Sequence[torch.nn.Module]:
        """As the image tower's own, and all of the text tower."""
        return (*self._images.packable(), self._texts)

    def file_of(self, what: Literal["weights", "tokenizer", "preprocessor"]) -> Path:
        """As in ``Encoder``."""
        if what == "preprocessor":
            return self._images.file_of(what)
        text = self.folder / TEXT
        return weight_files(text)[0] if what == "weights" else tokenizer_file(text)

    def preprocess(self, image: Image.Image) -> Any:
        """As the image tower's own."""
        return self._images.preprocess(image)

    def bytes_of(self, image: Image.Image) -> Any:
        """As the image tower's own."""
        return self._images.bytes_of(image)

    def batch_of_images(self, images: Sequence[Any]) -> Any:
        """As the image tower's own."""
        return self._images.batch_of_images(images)

    def forward_images(self, pixels: Any) -> torch.Tensor:
        """As the image tower's own."""
        return self._images.forward_images(pixels)

    def infer_images(self, pixels: Any) -> torch.Tensor:
        """As the image tower's own."""
        return self._images.infer_images(pixels)

    def tokenize(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Tokens (b, length) of ``texts``, cut at the context length, padded to the longest."""
        return self._tokens.tokenize(texts, self.padding)

    def lengths(self, texts: list[str]) -> list[int]:
        """Tokens of each text before anything is cut; more than ``context_length`` will be cut."""
        return self._tokens.lengths(texts)

    def forward_texts(self, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
        """Features (b, dim) of ``tokenize``'s tokens, not normalised; gradients flow."""
        tokens = self._sent(tokens)
        body, *layers = self._texts
        made = body(**tokens)
        if self._tower.pooled == "logits":
            rows = made.logits
        elif self._tower.pooled == "first":
            rows = made.last_hidden_state[:, 0]
        else:
            seen = tokens["attention_mask"][..., None]
            # a long sum, which half precision does not hold
            states = made.last_hidden_state.float() * seen
            rows = (states.sum(dim=1) / seen.sum(dim=1)).to(self.dtype)
        for layer in layers:
            rows = layer(rows)
        return rows


def read_facts(folder: Path) -> Facts:
    """What can be said of both towers without loading them; ``BadInput`` where one is at fault."""
    image, text = folder / IMAGE, read_text_tower(folder / TEXT)
    backend = backend_of(image)
    of_image = backend.read_facts(image)
    own = of_image.parameters
    if backend is whole:
        _, family = read_family(image)
        other = (family.tensors[0], family.projection)
        own -= sum(
            math.prod(shape)
            for name, shape in of_image.shapes.items()
            if name.startswith(other) and not name.endswith("position_ids")
        )
    return Facts(
        architecture=f"{of_image.architecture} + {text.model_type}",
        parameters=own + text.parameters,
        embedding_dim=text.dim,
        shapes={},
        side=of_image.side,
    )


def check_numbers(folder: Path, facts: Facts) -> None:
    """As each tower's own."""
    image, text = folder / IMAGE, folder / TEXT
    backend = backend_of(image)
    backend.check_numbers(image, backend.read_facts(image))
    check_text_numbers(text, read_text_tower(text))


def check_text_numbers(folder: Path, tower: TextTower) -> None:
    """Raise ``BadInput`` where the config of a text tower asks for other shapes than it has."""
    import_libraries()

    def make() -> Any:
        return _class_of(tower).from_config(_config_of(folder, tower), trust_remote_code=False)

    whole.check_shapes(folder, make, tower.shapes)


def load(folder: Path, facts: Facts, device: torch.device, dtype: torch.dtype) -> Encoder:
    """The encoder of a folder that ``read_facts`` described."""
    import torch

    image, text = folder / IMAGE, folder / TEXT
    backend = backend_of(image)
    images = backend.load(image, backend.read_facts(image), device, dtype)
    if isinstance(images, whole.TransformersEncoder):
        # its own text tower only takes memory
        images.model.set_submodule(images.family.tensors[0].rstrip("."), torch.nn.Identity())
    tower = read_text_tower(text)
    texts, tokens = load_texts(text, tower, dtype)
    return TowersEncoder(folder, facts, images, texts.to(device), tower, tokens)


def load_texts(
    folder: Path, tower: TextTower, dtype: torch.dtype
) -> tuple[torch.nn.ModuleList, Tokens]:
    """A text tower and the layers behind it, and its tokenizer."""
    import torch

    config = _config_of(folder, tower)
    own = {}
    if tower.config:
        own = {"config": config, "key_mapping": {f"^{BEGINS}": ""}}
    body = whole.load_model(
        folder, _class_of(tower), dtype, tower.shapes, passed=M_CLIP_DENSE, **own
    )
    tokens = whole.load_tokens(folder, body.config)
    if tower.limit:
        tokens.context_length = min(tokens.context_length, tower.limit)
    tokens.lower_case = tokens.lower_case or tower.lower_case
    return torch.nn.ModuleList([body, *(_layer(one, dtype) for one in tower.dense)]), tokens


def _class_of(tower: TextTower) -> Any:
    import transformers

    if tower.pooled == "logits":
        return transformers.AutoModelForSequenceClassification
    return transformers.AutoModel


def _config_of(folder: Path, tower: TextTower) -> Any:
    from transformers import AutoConfig

    if tower.config:
        return AutoConfig.for_model(**tower.config)
    return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _layer(dense: Dense, dtype: torch.dtype) -> torch.nn.Module:
    import torch
    from safetensors import safe_open

    out, into = dense.shape
    layer = torch.nn.Linear(into, out, bias=dense.biased, dtype=dtype)
    with safe_open(dense.file, "pt") as tensors, torch.no_grad():
        for name, values in layer.named_parameters():
            values.copy_(tensors.get_tensor(dense.prefix + name))
    return torch.nn.Sequential(layer, getattr(torch.nn, dense.activation)())
