"""One face for every dual encoder: images and texts in, rows of one shared space out."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from scripts.job import BadInput
from scripts.models.clip_towers import distinct_beginnings, image_features, text_features
from scripts.models.tokens import Tokens, fitted_tokens, tokenizer_file
from scripts.models.towers import check_pixels, preprocessor_file
from scripts.models.weights import ARCHITECTURES, Facts, read_facts, unexpected_tensors

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

# torch's threads wait for each other by spinning, which on cores that others use too (a decoding
# pool, another job) takes several times as long. OpenMP reads this once, when torch is imported
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

PRECISIONS = ("float32", "bfloat16", "float16")
# instructions that multiply bfloat16: of Intel and AMD, and of ARM
BFLOAT16_ON_CPU = ("avx512_bf16", "amx_bf16", "bf16")


class Encoder:
    """A dual encoder with the preprocessing, padding and context length of its own files.

    Attributes
    ----------
    model : the transformers model, in eval mode on ``device``
    device : where it computes
    architecture : ``model_type`` of its config.json
    dim : length of a feature vector
    context_length : tokens that a text may have, the special ones included
    tokenizer_limit : the tokenizer's own limit where it is lower and the model needs none, or None
    precision : what weights and arithmetic are in
    shares_beginnings : whether what texts of a batch have in common in front is computed once
    batches_at_once : how many are computed side by side
    """

    def __init__(
        self,
        folder: Path,
        dim: int,
        model: PreTrainedModel,
        tokens: Tokens,
        image_processor: BaseImageProcessor,
        device: torch.device,
    ) -> None:
        self.folder = folder
        self.model = model.eval()
        self.tokenizer = tokens.tokenizer
        self.image_processor = image_processor
        self.device = device
        self.architecture: str = model.config.model_type
        self.precision = str(model.dtype).removeprefix("torch.")
        self.dim = dim
        self.context_length = tokens.context_length
        self.tokenizer_limit = tokens.limit
        # SigLIP saw every text padded to its full context and attends to the padding: shorter
        # padding gives other features. Causal and masked towers never see padding.
        self.padding = tokens.padding
        self.shares_beginnings = model.config.text_config.model_type == "clip_text_model"
        self.batches_at_once = 1
        self._masked, self._lower_case = tokens.masked, tokens.lower_case
        table = value_table(image_processor)
        self._table = None if table is None else _tensor_on(table, device, model.dtype)

    def preprocess(self, image: Image.Image) -> np.ndarray:
        """Pixels (3, H, W) float32 of an image of any mode, as the model's processor makes them."""
        return _processed(self.image_processor, image)

    def bytes_of(self, image: Image.Image) -> np.ndarray:
        """As ``preprocess``, but uint8, a quarter of the memory: before values are scaled.

        ``forward_images`` gives them the values that ``preprocess`` would. float32 as there for a
        processor that does more to a value than look it up by its channel.
        """
        if self._table is None:
            return self.preprocess(image)
        return _processed(self.image_processor, image, do_rescale=False, do_normalize=False)

    def tokenize(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Tokens (b, length) of ``texts``, cut at the context length, padded as the model needs."""
        batch = self.tokenizer(
            self._cased(texts),
            padding=self.padding,
            truncation=True,
            max_length=self.context_length,
            # whatever the tokenizer's files ask for; a text alone is all of one sentence, which
            # towers that take numbers of sentences assume
            return_attention_mask=self._masked,
            return_token_type_ids=False,
            return_tensors="pt",
        )
        self._check_rows(batch["input_ids"], texts)
        return dict(batch)

    def _check_rows(self, ids: torch.Tensor, texts: list[str]) -> None:
        """``BadInput`` where a text has a token that the model has no row for."""
        rows = self.model.config.text_config.vocab_size
        if int(ids.max()) < rows:
            return
        text, place = divmod(int(ids.argmax()), ids.shape[1])
        raise BadInput(
            tokenizer_file(self.folder),
            f"token {ids[text, place]} in the text {texts[text]!r:.80}",
            f"tokens below {rows}, the vocab_size of text_config in config.json",
            "take the tokenizer files that belong to the model, or that word out of the text",
        )

    def lengths(self, texts: list[str]) -> list[int]:
        """Tokens of each text before anything is cut; more than ``context_length`` will be cut."""
        ids = self.tokenizer(self._cased(texts), truncation=False, verbose=False)["input_ids"]
        return [len(row) for row in ids]

    def largest(self, side: str, count: int) -> Any:
        """A batch of ``count`` "images" or "texts" as large as they come, to see what it needs."""
        import numpy as np
        import torch
        from PIL import Image

        if side == "texts":
            # no two begin alike
            firsts = islice(cycle(ascii_lowercase), count)
            return self.tokenize([f"{first} " + "a " * self.context_length for first in firsts])
        return torch.from_numpy(np.stack([self.bytes_of(Image.new("RGB", (64, 64)))] * count))

    def forward_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Projected features (b, dim) of pixels (b, 3, H, W), not normalised; gradients flow.

        Pixels are as ``preprocess`` or ``bytes_of`` gives them.
        """
        return self.model.get_image_features(pixel_values=self._values(pixels)).pooler_output

    def forward_texts(self, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
        """Projected features (b, dim) of ``tokenize``'s tokens, not normalised; gradients flow."""
        return self.model.get_text_features(**self._sent(tokens)).pooler_output

    def plan_texts(self, tokens: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What ``infer_texts`` has to compute for ``tokenize``'s tokens; on the CPU."""
        if not self.shares_beginnings:
            return tokens
        return distinct_beginnings(tokens["input_ids"], self.model.text_model.eos_token_id)

    def infer_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """As ``forward_images``, but for the last bits, by the shortest way; no gradients."""
        if self.architecture != "clip":
            return self.forward_images(pixels)
        return image_features(self.model, self._values(pixels))

    def infer_texts(self, plan: dict[str, torch.Tensor]) -> torch.Tensor:
        """As ``forward_texts``, but for the last bits, by the shortest way; no gradients."""
        if not self.shares_beginnings:
            return self.forward_texts(plan)
        return text_features(self.model, self._sent(plan))

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Unit rows (b, dim) float32 of pixels (b, 3, H, W)."""
        import torch

        with torch.inference_mode():
            return self.checked(self.unit(self.infer_images(pixels)))

    def encode_texts(self, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
        """Unit rows (b, dim) float32 of ``tokenize``'s tokens."""
        import torch

        with torch.inference_mode():
            return self.checked(self.unit(self.infer_texts(self.plan_texts(tokens))))

    def _values(self, pixels: torch.Tensor) -> torch.Tensor:
        pixels = pixels.to(self.device)
        if self._table is not None and not pixels.is_floating_point():
            pixels = _looked_up(self._table, pixels)
        return pixels.to(self.model.dtype)

    def _sent(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: values.to(self.device) for name, values in tensors.items()}

    def _cased(self, texts: list[str]) -> list[str]:
        return [text.lower() for text in texts] if self._lower_case else list(texts)

    def unit(self, features: torch.Tensor) -> torch.Tensor:
        """Rows (b, dim) in float32 and of length one; not finite where that cannot be."""
        import torch

        features = features.float()
        norms = torch.linalg.vector_norm(features, dim=-1, keepdim=True)
        return features / torch.where(norms.isfinite(), norms, torch.nan)

    def checked(self, features: torch.Tensor) -> torch.Tensor:
        """``features`` as they are; ``BadInput`` where one is not finite. Waits for the device."""
        if not bool(features.isfinite().all()):
            raise BadInput(
                self.folder,
                f"features of length zero or not finite, computed in {self.precision}",
                "finite features",
                "set encode.precision: float32; if it is, the weights are damaged: fetch them anew",
            )
        return features


def pick_device(name: str = "auto") -> torch.device:
    """The device called ``name`` ("cpu", "cuda", "cuda:1", "mps"), or the best one ("auto")."""
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    there = {
        "cpu": True,
        "mps": torch.backends.mps.is_available(),
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
    }
    if not there.get(device.type, False):
        raise BadInput(
            "device",
            name,
            "auto, cpu, or a cuda or mps device that torch finds here",
            "set device: auto",
        )
    return device


def import_libraries() -> None:
    """Import torch and transformers, with what they need to load a model."""
    # the package that fetches native code from a hub is not there, to whatever asks for it
    sys.modules.setdefault("kernels", None)  # type: ignore[arg-type]
    # a million objects are made and hardly one becomes garbage: looking for it took 0.9 of 3.2 s,
    # and another 0.9 s when the process ends, but for the freezing
    collecting = gc.isenabled()
    gc.disable()
    try:
        import torch  # noqa: F401
        import transformers.modeling_utils
        import transformers.models.auto.tokenization_auto  # noqa: F401

        gc.freeze()
    finally:
        if collecting:
            gc.enable()


def native_precision(device: torch.device) -> str:
    """The fastest of ``PRECISIONS`` that ``device`` computes in by itself.

    Half precision where the device multiplies matrices in it; on a CPU that would have to emulate
    it, and on MPS, whose half precision depends on the version of macOS, float32.
    """
    import torch

    if device.type == "cuda":
        with torch.cuda.device(device):
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if native else "float16"
    # oneDNN says yes to what it emulates, too
    if device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        found = torch.cpu.get_capabilities()
        return "bfloat16" if any(found.get(name) for name in BFLOAT16_ON_CPU) else "float32"
    return "float32"


@contextlib.contextmanager
def hub_off() -> Iterator[None]:
    """Let no library reach a hub, whatever a config asks, and leave that as it was.

    The environment is read at an import, which here may have been for a download; all requests and
    all of transformers ask this constant.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def load_encoder(folder: Path, device: str = "auto", precision: str = "float32") -> Encoder:
    """Load the dual encoder in ``folder`` without touching the network or running its code.

    Parameters
    ----------
    folder : config.json, safetensors weights, tokenizer and preprocessor files
    device : see ``pick_device``
    precision : what the weights and the arithmetic are in, one of ``PRECISIONS``, or "auto", see
        ``native_precision``; features are float32 always

    Raises
    ------
    BadInput
        for what ``read_facts`` refuses, weights that lack a tensor or have one too many, and a
        tokenizer or preprocessor that cannot be read, or is of another model
    """
    folder = Path(folder)
    facts = read_facts(folder)
    if precision not in ("auto", *PRECISIONS):
        valid = f"auto, or one of {', '.join(PRECISIONS)}"
        raise BadInput("precision", precision, valid, "correct it")
    import_libraries()
    where = pick_device(device)
    if precision == "auto":
        precision = native_precision(where)
    import torch

    # float32 means float32: cuDNN would round the patch embedding to TF32 otherwise
    torch.backends.cudnn.allow_tf32 = precision != "float32"
    with hub_off():
        model = _load_model(folder, facts, getattr(torch, precision)).to(where)
        tokens = load_tokens(folder, model.config.text_config)
        image_processor = load_image_processor(folder, facts.side)
    return Encoder(folder, facts.embedding_dim, model, tokens, image_processor, where)


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
        raise _unreadable(tokenizer_file(folder), "tokenizer", error) from error


def load_image_processor(folder: Path, side: int | None) -> BaseImageProcessor:
    """The folder's own image processor, in Pillow: the same on every machine.

    ``side`` is that of the only pictures that the model takes, if it does not take any.
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
        raise _unreadable(preprocessor_file(folder), "preprocessor", error) from error
    check_pixels(folder, shapes, largest, side)
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
    # not every folder asks for RGB; grey and transparent images need it everywhere
    batch = image_processor(image, do_convert_rgb=True, return_tensors="np", **settings)
    return batch["pixel_values"][0]


def _looked_up(table: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Values (b, 3, H, W) of bytes, from ``table`` (3, 256)."""
    import torch

    rows = torch.arange(0, 768, 256, dtype=torch.int32, device=pixels.device)
    places = pixels.int() + rows[:, None, None]
    return table.flatten().index_select(0, places.flatten()).view(pixels.shape)


def _tensor_on(values: np.ndarray, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    import torch

    return torch.from_numpy(values).to(device, dtype)


def _load_model(folder: Path, facts: Facts, dtype: torch.dtype) -> PreTrainedModel:
    import transformers

    # a bar of a second in the log, and warnings of values that every published SigLIP has; what
    # would spoil features is checked below
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    # torch's fused attention by name; the towers of a dual encoder may have none and choose
    dual = facts.architecture == "vision-text-dual-encoder"
    attention = {} if dual else {"attn_implementation": "sdpa"}
    try:
        model, report = getattr(transformers, ARCHITECTURES[facts.architecture]).from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **attention,
        )
    except Exception as error:  # as below, and what safetensors raises
        raise _unreadable(folder, "weights", error) from error
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
    places = {name for name in facts.shapes if name.endswith("position_ids")}
    unexpected = (set(report["unexpected_keys"]) | places) - {n for n, _ in model.named_buffers()}
    if unexpected:
        raise unexpected_tensors(folder, unexpected)
    return model


def in_short(error: Exception) -> str:
    """Kind and words of an exception of a library, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _unreadable(where: Path, what: str, error: Exception) -> BadInput:
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
