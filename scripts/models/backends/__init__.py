"""Who loads a model: one module for each library, all with the same few functions.

``read_facts(folder)`` describes a folder and refuses one that is not whole, from JSON and weight
headers alone; ``check_numbers(folder, facts)`` holds what its config asks for against its weights;
``import_libraries()`` imports what ``load(folder, facts, device, dtype)`` needs, which gives the
``Encoder``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from scripts.models.embedding_files import is_embedding, is_reranker, read_reranker
from scripts.models.listing import IMAGE, OPEN_CLIP_CONFIG
from scripts.models.weights import Facts

if TYPE_CHECKING:
    import torch

    from scripts.models.encoders import Encoder


class Backend(Protocol):
    """What each module of this folder has."""

    def read_facts(self, folder: Path) -> Facts: ...

    def check_numbers(self, folder: Path, facts: Facts) -> None: ...

    def import_libraries(self) -> None: ...

    def load(
        self, folder: Path, facts: Facts, device: torch.device, dtype: torch.dtype
    ) -> Encoder: ...


def backend_of(folder: Path) -> Backend:
    """The module that loads the model in ``folder``, told by its files."""
    from scripts.models.backends import open_clip, sentence_transformers, towers, transformers

    if (Path(folder) / IMAGE).is_dir():
        return towers
    if (Path(folder) / OPEN_CLIP_CONFIG).is_file():
        return open_clip
    return sentence_transformers if is_embedding(Path(folder)) else transformers


def read_facts(folder: Path) -> Facts:
    """What can be said of a model without loading it; ``BadInput`` where it cannot be taken."""
    folder = Path(folder)
    # which has no encoder
    if is_reranker(folder):
        return read_reranker(folder).facts
    return backend_of(folder).read_facts(folder)
