"""One face for every dual encoder: images and texts in, rows of one shared space out."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, Literal

from scripts.gpus import device_called
from scripts.job import BadInput

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from transformers import PreTrainedTokenizerBase

    from scripts.models.weights import Facts

# torch's threads wait for each other by spinning, which on cores that others use too (a decoding
# pool, another job) takes several times as long. OpenMP reads this once, when torch is imported
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# oneDNN keeps what it has compiled for a thousand shapes, 0.2 GB where texts are of all lengths and
# nothing is gained. A convolutional tower has some seventy
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "96")

PRECISIONS = ("float32", "bfloat16", "float16")
# tokens that a caption may be thought to have at most, where a model would read a book
LONGEST = 512
# instructions that multiply bfloat16: of Intel and AMD, and of ARM
BFLOAT16_ON_CPU = ("avx512_bf16", "amx_bf16", "bf16")


class Encoder(ABC):
    """A dual encoder with the preprocessing, padding and context length of its own files.

    What is behind it, a library that loads such files, is one of ``scripts.models.backends``.

    Attributes
    ----------
    folder : of the model's files
    model : the library's own, in eval mode on ``device``
    device : where it computes
    architecture : what the library calls this kind of model
    dim : length of a feature vector
    context_length : tokens that a text may have, the special ones included
    tokenizer_limit : the tokenizer's own limit where it is lower and the model needs none, or None
    tokenizer : where it is one of transformers, else None
    padding : whether texts are padded to the "longest" of their batch or to "max_length"
    precision : what weights and arithmetic are in
    shares_beginnings : whether what texts of a batch have in common in front is computed once
    batches_at_once : how many are computed side by side
    """

    context_length: int
    tokenizer_limit: int | None = None
    tokenizer: PreTrainedTokenizerBase | None = None
    padding = "longest"
    shares_beginnings = False
    batches_at_once = 1
    # value (3, 256) of each byte of a picture's channels, where that is all that is done to bytes
    _table: torch.Tensor | None = None

    def __init__(
        self, folder: Path, facts: Facts, model: torch.nn.Module, device: torch.device
    ) -> None:
        self.folder = folder
        self.model = model.eval()
        self.device = device
        self.architecture = facts.architecture
        # what gives no vectors has no encoder
        self.dim = facts.embedding_dim or 0
        self.dtype = next(one.dtype for one in model.parameters() if one.is_floating_point())
        self.precision = str(self.dtype).removeprefix("torch.")

    def pack(self) -> None:
        """Make ``model`` compute sooner where that can be; no gradients flow from then on."""
        if self.device.type == "cpu" and self.precision == "bfloat16":
            from scripts.models.packed import pack

            for part in self.packable():
                pack(part)
            give_back()

    def packable(self) -> Sequence[torch.nn.Module]:
        """What of ``model`` has layers of which nothing but these themselves reads the weights."""
        return ()

    @abstractmethod
    def file_of(self, what: Literal["weights", "tokenizer", "preprocessor"]) -> Path:
        """The file of ``folder`` to name where that part of the model is at fault."""

    @abstractmethod
    def preprocess(self, image: Image.Image) -> Any:
        """What the model takes of an image of any mode: (3, H, W) float32, or several arrays."""

    def bytes_of(self, image: Image.Image) -> Any:
        """As ``preprocess``, but as small as can be kept, which ``forward_images`` takes as well.

        Where values are only looked up by channel and byte, uint8, a quarter of the memory.
        """
        return self.preprocess(image)

    def batch_of_images(self, images: Sequence[Any]) -> Any:
        """One batch, a tensor or several by name, of what ``preprocess`` or ``bytes_of`` gave."""
        import numpy as np
        import torch

        return torch.from_numpy(np.stack(images))

    @abstractmethod
    def tokenize(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Tokens of ``texts``, cut at the context length, padded as the model needs.

        "input_ids" (b, length) is among them.
        """

    @abstractmethod
    def lengths(self, texts: list[str]) -> list[int]:
        """Tokens of each text before anything is cut; more than ``context_length`` will be cut."""

    @abstractmethod
    def forward_images(self, pixels: Any) -> torch.Tensor:
        """Projected features (b, dim) of ``batch_of_images``, not normalised; gradients flow."""

    @abstractmethod
    def forward_texts(self, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
        """Projected features (b, dim) of ``tokenize``'s tokens, not normalised; gradients flow."""

    def plan_texts(self, tokens: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What ``infer_texts`` has to compute for ``tokenize``'s tokens; on the CPU."""
        return tokens

    def infer_images(self, pixels: Any) -> torch.Tensor:
        """As ``forward_images``, but for the last bits, by the shortest way; no gradients."""
        return self.forward_images(pixels)

    def infer_texts(self, plan: dict[str, torch.Tensor]) -> torch.Tensor:
        """As ``forward_texts``, but for the last bits, by the shortest way; no gradients."""
        return self.forward_texts(plan)

    def encode_images(self, pixels: Any) -> torch.Tensor:
        """Unit rows (b, dim) float32 of ``batch_of_images``."""
        import torch

        with torch.inference_mode():
            return self.checked(self.unit(self.infer_images(pixels)))

    def encode_texts(self, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
        """Unit rows (b, dim) float32 of ``tokenize``'s tokens."""
        import torch

        with torch.inference_mode():
            return self.checked(self.unit(self.infer_texts(self.plan_texts(tokens))))

    def largest(self, side: str, count: int) -> Any:
        """A batch of ``count`` "images" or "texts" as large as they come, to see what it needs."""
        from PIL import Image

        if side == "texts":
            # no two begin alike
            firsts = islice(cycle(ascii_lowercase), count)
            words = "a " * min(self.context_length, LONGEST)
            return self.tokenize([f"{first} {words}" for first in firsts])
        return self.batch_of_images([self.bytes_of(Image.new("RGB", (64, 64)))] * count)

    def _values(self, pixels: torch.Tensor) -> torch.Tensor:
        pixels = pixels.to(self.device)
        if self._table is not None and not pixels.is_floating_point():
            pixels = looked_up(self._table, pixels)
        return pixels.to(self.dtype)

    def _sent(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: values.to(self.device) for name, values in tensors.items()}

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


def give_back() -> None:
    """Let the system have the memory of weights that are gone, which glibc would keep."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def looked_up(table: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Values (b, 3, H, W) of bytes, from ``table`` (3, 256)."""
    import torch

    rows = torch.arange(0, 768, 256, dtype=torch.int32, device=pixels.device)
    places = pixels.int() + rows[:, None, None]
    return table.flatten().index_select(0, places.flatten()).view(pixels.shape)


def pick_device(name: str = "auto") -> torch.device:
    """The device called ``name`` ("cpu", "cuda:1", "mps"), a GPU ("cuda"), or the best ("auto")."""
    import torch

    try:
        device = torch.device(device_called(name, torch))
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


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Import large libraries without looking for garbage, and without code that a hub would give.

    A million objects are made and hardly one becomes garbage: looking for it took 0.9 of 3.2 s, and
    another 0.9 s when the process ends, but for the freezing.
    """
    # the package that fetches native code from a hub is not there, to whatever asks for it
    sys.modules.setdefault("kernels", None)  # type: ignore[arg-type]
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
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
    folder : all files of a model, of a kind that one of ``scripts.models.backends`` loads
    device : see ``pick_device``
    precision : what the weights and the arithmetic are in, one of ``PRECISIONS``, or "auto", see
        ``native_precision``; features are float32 always

    Raises
    ------
    BadInput
        for what ``read_facts`` refuses, weights that lack a tensor or have one too many, and a
        tokenizer or preprocessor that cannot be read, or is of another model
    """
    from scripts.models.backends import backend_of

    folder = Path(folder)
    backend = backend_of(folder)
    facts = backend.read_facts(folder)
    if precision not in ("auto", *PRECISIONS):
        valid = f"auto, or one of {', '.join(PRECISIONS)}"
        raise BadInput("precision", precision, valid, "correct it")
    backend.import_libraries()
    where = pick_device(device)
    if precision == "auto":
        precision = native_precision(where)
    import torch

    # float32 means float32: cuDNN would round the patch embedding to TF32 otherwise
    torch.backends.cudnn.allow_tf32 = precision != "float32"
    with hub_off():
        return backend.load(folder, facts, where, getattr(torch, precision))


def in_short(error: Exception) -> str:
    """Kind and words of an exception of a library, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
