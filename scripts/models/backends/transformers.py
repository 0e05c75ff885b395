"""Models of transformers: config.json, model.safetensors, its tokenizer and its preprocessor."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scripts.job import BadInput
from scripts.models.clip_towers import distinct_beginnings, image_features, text_features
from scripts.models.encoders import Encoder, hub_off, in_short, quick_imports
from scripts.models.families import read_family
from scripts.models.tokens import Tokens, fitted_tokens, tokenizer_file
from scripts.models.towers import check_pixels, preprocessor_file
from scripts.models.weights import Facts, read_facts, unexpected_tensors, weight_files

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image
    from transformers import (
        BaseImageProcessor,
        PreTrainedConfig,
        PreTrainedModel,
        PreTrainedTokenizerBase,
    )

__all__ = ["check_numbers", "import_libraries", "load", "read_facts"]

# a config may count an embedding once that a file has twice, but not ask for twice the numbers
MORE = 2


class TransformersEncoder(Encoder):
    """A dual encoder of transformers; ``image_processor`` is of the folder's own files."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    def __init__(
        self,
        folder: Path,
        facts: Facts,
        model: PreTrainedModel,
        tokens: Tokens,
        image_processor: BaseImageProcessor,
        device: torch.device,
    ) -> None:
        super().__init__(folder, facts, model, device)
        _, self.family = read_family(folder)
        self.tokenizer = tokens.tokenizer
        self.image_processor = image_processor
        self.context_length = tokens.context_length
        self.tokenizer_limit = tokens.limit
        # SigLIP saw every text padded to its full context and attends to the padding: shorter
        # padding gives other features. Causal and masked towers never see padding.
        self.padding = tokens.padding
        self.shares_beginnings = model.config.text_config.model_type == "clip_text_model"
        self._tokens = tokens
        table = value_table(image_processor)
        self._table = None if table is None else _tensor_on(table, device, model.dtype)

    def packable(self) -> Sequence[torch.nn.Module]:
        """All of it."""
        return (self.model,)

    def file_of(self, what: Literal["weights", "tokenizer", "preprocessor"]) -> Path:
        """As in ``Encoder``."""
        if what == "weights":
            return weight_files(self.folder)[0]
        return (tokenizer_file if what == "tokenizer" else preprocessor_file)(self.folder)

    def preprocess(self, image: Image.Image) -> Any:
        """Pixels (3, H, W) float32 of an image of any mode, as the model's processor makes them.

        Where the model takes more than pixels, all of it by name.
        """
        batch = _batch_of_one(self.image_processor, image)
        if len(self.family.inputs) == 1:
            return batch["pixel_values"][0]
        return {name: batch[name][0] for name in self.family.inputs}

    def batch_of_images(self, images: Sequence[Any]) -> Any:
        """One batch, a tensor or several by name, of what ``preprocess`` or ``bytes_of`` gave."""
        if not isinstance(images[0], dict):
            return super().batch_of_images(images)
        together = super().batch_of_images
        return {name: together([one[name] for one in images]) for name in images[0]}

    def bytes_of(self, image: Image.Image) -> Any:
        """As ``preprocess``, but uint8, a quarter of the memory: before values are scaled.

        ``forward_images`` gives them the values that ``preprocess`` would. float32 as there for a
        processor that does more to a value than look it up by its channel.
        """
        if self._table is None:
            return self.preprocess(image)
        return _processed(self.image_processor, image, do_rescale=False, do_normalize=False)

    def tokenize(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Tokens (b, length) of ``texts``, cut at the context length, padded as the model needs."""
        return self._tokens.tokenize(texts, self.padding)

    def lengths(self, texts: list[str]) -> list[int]:
        """Tokens of each text before anything is cut; more than ``context_length`` will be cut."""
        return self._tokens.lengths(texts)

    def forward_images(self, pixels: Any) -> torch.Tensor:
        """Projected features (b, dim) of ``batch_of_images``, not normalised; gradients flow."""
        if isinstance(pixels, dict):
            inputs = self._sent(pixels)
            inputs["pixel_values"] = self._values(inputs["pixel_values"])
        else:
            inputs = {"pixel_values": self._values(pixels)}
        return self.family.image_features(self.model, **inputs)

    def forward_texts(self, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
        """Projected features (b, dim) of ``tokenize``'s tokens, not normalised; gradients flow."""
        return self.family.text_features(self.model, **self._sent(tokens))

    def plan_texts(self, tokens: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What ``infer_texts`` has to compute for ``tokenize``'s tokens; on the CPU."""
        if not self.shares_beginnings:
            return tokens
        return distinct_beginnings(tokens["input_ids"], self.model.text_model.eos_token_id)

    def infer_images(self, pixels: Any) -> torch.Tensor:
        """As ``forward_images``, but for the last bits, by the shortest way; no gradients."""
        if self.architecture != "clip":
            return self.forward_images(pixels)
        return image_features(self.model, self._values(pixels))

    def infer_texts(self, plan: dict[str, torch.Tensor]) -> torch.Tensor:
        """As ``forward_texts``, but for the last bits, by the shortest way; no gradients."""
        if not self.shares_beginnings:
            return self.forward_texts(plan)
        return text_features(self.model, self._sent(plan))


def import_libraries() -> None:
    """Import torch and transformers, with what they need to load a model."""
    # pictures are made in Pillow, the same on every machine; transformers would import it
    sys.modules.setdefault("torchvision", None)  # type: ignore[arg-type]
    with quick_imports(), _hidden("scipy"):
        import torch  # noqa: F401
        import transformers.modeling_utils
        import transformers.models.auto.tokenization_auto  # noqa: F401


@contextlib.contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Let an import do without what it takes where it is there.

    scipy, for the losses of detectors, is 0.3 s and 36 MB.
    """
    there = package in sys.modules
    sys.modules.setdefault(package, None)  # type: ignore[arg-type]
    try:
        yield
    finally:
        if not there:
            del sys.modules[package]


def load(folder: Path, facts: Facts, device: torch.device, dtype: torch.dtype) -> Encoder:
    """The encoder of a folder that ``read_facts`` described."""
    import transformers

    _, family = read_family(folder)
    made = getattr(transformers, family.made)
    attention = {"attn_implementation": family.attention} if family.attention else {}
    model = load_model(folder, made, dtype, facts.shapes, **attention).to(device)
    tokens = load_tokens(folder, model.config.text_config)
    image_processor = load_image_processor(folder, facts.side, len(family.inputs) > 1)
    return TransformersEncoder(folder, facts, model, tokens, image_processor, device)


def check_numbers(folder: Path, facts: Facts) -> None:
    """Raise ``BadInput`` where config.json asks for tensors of other shapes than the weights have.

    The model is made without any memory for its tensors, of every kind of tower.
    """
    import_libraries()
    import transformers

    _, family = read_family(folder)
    made = getattr(transformers, family.made)

    def make() -> PreTrainedModel:
        config = made.config_class.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        return made(config)

    check_shapes(folder, make, facts.shapes)


def check_shapes(
    folder: Path, make: Callable[[], PreTrainedModel], shapes: dict[str, list[int]]
) -> None:
    """As ``check_numbers``, for the model that ``make`` makes of config.json."""
    import numpy as np
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    try:
        with hub_off(), torch.device("meta"):
            asked = {name: list(one.shape) for name, one in make().state_dict().items()}
    # a config of numbers that fit no model fails anywhere in it
    except Exception as error:
        raise BadInput(
            folder / "config.json",
            f"no model can be made of it: {in_short(error)}",
            "the config.json of a supported model",
            "take the config.json that belongs to the weights",
        ) from error
    for name, shape in asked.items():
        if name in shapes and shape != shapes[name]:
            raise BadInput(
                folder / "config.json",
                f"it makes {name} {shape!s:.80}; the weights have {shapes[name]!s:.80}",
                "one shape",
                "take the config.json that belongs to the weights",
            )
    needed, there = (
        sum(float(np.prod(shape, dtype=float)) for shape in some.values())
        for some in (asked, shapes)
    )
    if needed > MORE * there:
        raise BadInput(
            folder / "config.json",
            f"it asks for {needed:.3g} numbers; the weights have {there:.3g}",
            "a config.json of this model",
            "take the config.json that belongs to the weights",
        )


def load_tokens(folder: Path, text_config: PreTrainedConfig) -> Tokens:
    """The folder's own tokenizer, fitted to a text tower of ``text_config``."""
    from transformers import AutoTokenizer

    def load(**settings: str) -> PreTrainedTokenizerBase:
        return AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **settings
        )

    try:
        return fitted_tokens(folder, load, text_config)
    except BadInput:
        raise
    # on damaged files it, and the library in Rust below it, raise nearly anything
    except Exception as error:
        raise unreadable(tokenizer_file(folder), "tokenizer", error) from error


def load_image_processor(
    folder: Path, side: int | None, in_patches: bool = False
) -> BaseImageProcessor:
    """The folder's own image processor, in Pillow: the same on every machine.

    ``side`` is that of the only pictures that the model takes, if it does not take any;
    ``in_patches`` says whether it takes a picture as a row of patches.
    """
    import numpy as np
    from PIL import Image

    # the mixin's own module: `from transformers import AutoImageProcessor` gives a stand-in where
    # torchvision is missing, though the Pillow backend does without it
    from transformers.models.auto.image_processing_auto import AutoImageProcessor

    try:
        processor = AutoImageProcessor.from_pretrained(
            folder, backend="pil", local_files_only=True, trust_remote_code=False
        )
        pictures = [Image.new("RGB", size, "grey") for size in ((40, 50), (90, 30))]
        values = [_processed(processor, picture) for picture in pictures]
        shapes, largest = [*map(np.shape, values)], max(float(np.abs(one).max()) for one in values)
    except Exception as error:  # as above; and what it does not do to a picture
        raise unreadable(preprocessor_file(folder), "preprocessor", error) from error
    check_pixels(folder, shapes, largest, side, in_patches)
    return processor


def value_table(image_processor: BaseImageProcessor) -> np.ndarray | None:
    """The value (3, 256) float32 that a processor gives each byte of each channel.

    None where a picture does not come out as the table says, bit by bit, and so for a processor
    that does more than resize, crop, scale and shift.
    """
    import numpy as np
    from PIL import Image

    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    try:
        values = _processed(
            image_processor, Image.fromarray(ramp), do_resize=False, do_center_crop=False
        )
        table = values.reshape(3, 256)
        found = _processed(image_processor, picture, do_rescale=False, do_normalize=False)
        expected = _processed(image_processor, picture)
    # a processor need not know these settings, and each fails in its own way
    except Exception:
        return None
    if found.dtype != np.uint8 or len(found) != 3:
        return None
    alike = np.array_equal(
        np.stack([row[own] for row, own in zip(table, found, strict=True)]), expected
    )
    return table if alike else None


def _processed(
    image_processor: BaseImageProcessor, image: Image.Image, **settings: bool
) -> np.ndarray:
    return _batch_of_one(image_processor, image, **settings)["pixel_values"][0]


def _batch_of_one(
    image_processor: BaseImageProcessor, image: Image.Image, **settings: bool
) -> dict[str, np.ndarray]:
    # not every folder asks for RGB, which grey and transparent images need; others would be copied
    other = image.mode != "RGB"
    return image_processor(image, do_convert_rgb=other, return_tensors="np", **settings)


def _tensor_on(values: np.ndarray, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    import torch

    return torch.from_numpy(values).to(device, dtype)


def load_model(
    folder: Path,
    made: Any,
    dtype: torch.dtype,
    shapes: dict[str, list[int]],
    passed: str | None = None,
    **settings: Any,
) -> PreTrainedModel:
    """The model in ``folder``, by a class of transformers, with all of its tensors and no others.

    Parameters
    ----------
    folder : of its files
    made : the class
    dtype : of its numbers
    shapes : of the weights
    passed : what the names of tensors begin with that are not the model's, and loaded elsewhere
    settings : what else the class is told
    """
    import transformers

    # a bar of a second in the log, and warnings of values that every published SigLIP has; what
    # would spoil features is checked below
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    try:
        model, report = made.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **settings,
        )
    except Exception as error:  # as below, and what safetensors raises
        raise unreadable(folder, "weights", error) from error
    # transformers fills what is missing with random numbers and only warns
    missing = sorted(report["missing_keys"])
    if missing:
        raise BadInput(
            folder,
            f"weights without {missing[0]} and {len(missing) - 1} more",
            "every tensor of the model",
            "fetch the model again, or take another revision",
        )
    # and it passes over what is too much, of places whatever only ends in their name
    places = {name for name in shapes if name.endswith("position_ids")}
    unexpected = (set(report["unexpected_keys"]) | places) - {n for n, _ in model.named_buffers()}
    if passed:
        unexpected = {name for name in unexpected if not name.startswith(passed)}
    if unexpected:
        raise unexpected_tensors(folder, unexpected)
    return model


def unreadable(where: Path, what: str, error: Exception) -> BadInput:
    """What to tell of a part of a model that transformers cannot load."""
    todo = "fetch the model again, or take another revision"
    if isinstance(error, ImportError) and what == "tokenizer":
        todo = "install what is missing into the environment (SigLIP: sentencepiece and protobuf)"
    elif isinstance(error, ImportError):
        todo = "take a model whose config asks for no other library"
    return BadInput(
        where,
        f"{what} that transformers cannot load: {in_short(error)}",
        f"a {what} of a supported model",
        todo,
    )
