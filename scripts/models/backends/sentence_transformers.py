"""Models of sentence-transformers that read pictures and texts alike, as Qwen3-VL does.

The package's own modules make tokens, patches and features. It would import modules by the names
that a file gives, and take pickles where there is nothing else: here they are made by a short list,
and their files were looked at before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scripts.job import BadInput
from scripts.models.backends import transformers as whole
from scripts.models.backends.open_clip import open_torchvision
from scripts.models.embedding_files import Embedding, is_reranker, read_embedding
from scripts.models.encoders import Encoder, hub_off, in_short, quick_imports
from scripts.models.listing import MODULES
from scripts.models.tokens import tokenizer_file
from scripts.models.towers import LARGEST_VALUE, preprocessor_file
from scripts.models.weights import Facts, weight_files

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

__all__ = ["check_numbers", "import_libraries", "limit_of", "load", "load_modules", "read_facts"]

# of a base model saved within the one that writes words, which nothing is embedded with
WITHIN, HEAD = "model.", "lm_head."
# what has as many places as a picture or text has tokens
OF_TOKENS = ("input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids")
# tokens of a text, where neither a tokenizer nor a config tells
UNLIMITED = 1_000_000
# width and height in pixels of a picture as large as they come
LARGE = (1024, 1024)


class SentenceTransformersEncoder(Encoder):
    """An embedding model of sentence-transformers.

    ``model`` is its modules, the transformer first. Texts are queries to it, pictures documents.
    """

    def __init__(
        self,
        folder: Path,
        about: Embedding,
        model: torch.nn.Sequential,
        device: torch.device,
    ) -> None:
        super().__init__(folder, about.facts, model, device)
        self.prompts, self._kept = about.prompts, about.kept
        self._first: Any = model[0]
        # one that reads texts has one
        tokenizer = self.tokenizer = self._first.tokenizer
        self.context_length = limit_of(self._first)
        options = _text_options(self._first)
        side = options.get("padding_side") or tokenizer.padding_side
        self._pad = (side == "left", tokenizer.pad_token_id)
        # what each side is to the package
        self._modality = {
            side: self._made(side, [one])["modality"]
            for side, one in (("texts", "a dog"), ("images", _drawn()[0]))
        }

    def file_of(self, what: Literal["weights", "tokenizer", "preprocessor"]) -> Path:
        """As in ``Encoder``."""
        if what == "weights":
            return weight_files(self.folder)[0]
        return (tokenizer_file if what == "tokenizer" else preprocessor_file)(self.folder)

    def preprocess(self, image: Image.Image) -> dict[str, np.ndarray]:
        """What the model takes of an image of any mode, by name: its patches, and its tokens."""
        try:
            made = self._made("images", [image])
        # of a picture that is too long for its width, for one
        except Exception as error:
            raise BadInput(
                preprocessor_file(self.folder),
                f"a picture of {image.width} x {image.height} pixels that the model's processor "
                f"does not take: {in_short(error)}",
                "a picture about as wide as high",
                "cut or shrink it, or take it out",
            ) from error
        return {name: one.numpy() for name, one in _tensors(made).items()}

    def batch_of_images(self, images: Sequence[dict[str, np.ndarray]]) -> dict[str, torch.Tensor]:
        """Several tensors by name; tokens filled up to the longest, as the tokenizer does it."""
        import numpy as np
        import torch

        def filled(name: str, row: np.ndarray) -> np.ndarray:
            missing = longest - row.shape[1]
            sides = (missing, 0) if left else (0, missing)
            return np.pad(row, ((0, 0), sides), constant_values=pad if name == "input_ids" else 0)

        left, pad = self._pad
        # where pictures have no tokens, there is nothing to fill up
        longest = max(len(one.get("input_ids", [[]])[0]) for one in images)
        batch = {}
        for name in images[0]:
            parts = [one[name] for one in images]
            parts = [filled(name, one) for one in parts] if name in OF_TOKENS else parts
            batch[name] = torch.from_numpy(np.concatenate(parts))
        return batch

    def tokenize(self, texts: list[str]) -> dict[str, torch.Tensor]:
        """Tokens (b, length) of ``texts`` and their instruction, cut and padded by the package."""
        return _tensors(self._read(texts))

    def lengths(self, texts: list[str]) -> list[int]:
        """Tokens of each text before anything is cut; more than ``context_length`` will be cut."""
        made = self._read(texts, processing_kwargs={"text": {"truncation": False}})
        return made["attention_mask"].sum(dim=1).tolist()

    def forward_images(self, pixels: dict[str, torch.Tensor]) -> torch.Tensor:
        """As in ``Encoder``."""
        return self._rows("images", pixels)

    def forward_texts(self, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
        """As in ``Encoder``."""
        return self._rows("texts", tokens)

    def largest(self, side: str, count: int) -> Any:
        """As in ``Encoder``; pictures may be larger, and are then not reckoned with."""
        from PIL import Image

        if side == "texts":
            return super().largest(side, count)
        return self.batch_of_images([self.preprocess(Image.new("RGB", LARGE))] * count)

    def _made(self, side: str, inputs: Sequence[Any], **settings: Any) -> dict[str, Any]:
        """What the package makes of texts or pictures."""
        # named, as a text that is the address of a picture would be read as that picture
        one, task = {"texts": ("text", "query"), "images": ("image", "document")}[side]
        named = [{one: value} for value in inputs]
        return self._first.preprocess(named, prompt=self.prompts[side], task=task, **settings)

    def _read(self, texts: list[str], **settings: Any) -> dict[str, Any]:
        try:
            return self._made("texts", texts, **settings)
        # of a text that holds the token of a picture, for one; which it is, one by one tells
        except Exception as error:
            for text in texts if len(texts) > 1 else ():
                self._read([text], **settings)
            raise BadInput(
                self.file_of("tokenizer"),
                f"the text {texts[0]!r:.80}, which the model's processor does not take: "
                f"{in_short(error)}",
                "texts without the tokens that stand for a picture",
                "take that word out of the text",
            ) from error

    def _rows(self, side: str, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        features: dict[str, Any] = {
            name: one.to(self.dtype) if one.is_floating_point() else one
            for name, one in self._sent(inputs).items()
        }
        features["modality"] = self._modality[side]
        return self.model(features)["sentence_embedding"][:, : self._kept]


def _text_options(first: Any) -> dict[str, Any]:
    options = first.processing_kwargs
    return options.get("common", {}) | options.get("text", {})


def limit_of(first: Any) -> int:
    """Tokens that a transformer of the package reads at most, which its tokenizer is told, too."""
    tokenizer = first.tokenizer
    places = getattr(first.config.get_text_config(), "max_position_embeddings", None)
    # without a limit of its own it says 1e30
    tokenizer.model_max_length = min(tokenizer.model_max_length, places or UNLIMITED)
    return _text_options(first).get("max_length") or tokenizer.model_max_length


def _tensors(made: dict[str, Any]) -> dict[str, torch.Tensor]:
    import torch

    return {name: one for name, one in made.items() if isinstance(one, torch.Tensor)}


def _drawn() -> list[Image.Image]:
    """Two pictures of different size."""
    from PIL import Image

    return [Image.new("RGB", size, "white") for size in ((40, 50), (90, 30))]


def import_libraries() -> None:
    """Import torch and sentence-transformers, with what they need to load a model."""
    with quick_imports():
        # transformers asks for it once, when it is imported; it reads pictures and films with it
        open_torchvision()
        from transformers.utils import is_torchvision_available

        if not is_torchvision_available():
            raise BadInput(
                "a model of sentence-transformers",
                "transformers, which another kind of model loaded here before, without torchvision",
                "a process of its own for each kind of model",
                "load this model first, or in another process",
            )
        import sentence_transformers  # noqa: F401


def read_facts(folder: Path) -> Facts:
    """What can be said of a model without loading it; see ``read_embedding``."""
    return read_embedding(folder).facts


def check_numbers(folder: Path, facts: Facts) -> None:
    """Raise ``BadInput`` where config.json asks for tensors of other shapes than the weights have.

    The model is made without any memory for its tensors.
    """
    import_libraries()
    from transformers import AutoConfig

    def make() -> Any:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return _class_of(folder).from_config(config, trust_remote_code=False)

    shapes = facts.shapes
    if not is_reranker(folder):
        shapes = {
            name.removeprefix(WITHIN): shape
            for name, shape in shapes.items()
            if not name.startswith(HEAD)
        }
    whole.check_shapes(folder, make, shapes)


def load(folder: Path, facts: Facts, device: torch.device, dtype: torch.dtype) -> Encoder:
    """The encoder of a folder that ``read_facts`` described."""
    import_libraries()
    import torch

    about = read_embedding(folder)
    try:
        model = load_modules(folder, facts, about.modules, dtype).to(device)
        encoder = SentenceTransformersEncoder(folder, about, model, device)
        one_by_one = encoder.batch_of_images([encoder.preprocess(one) for one in _drawn()])
        together = _tensors(encoder._made("images", _drawn()))
    except BadInput:
        raise
    # of a stranger's files it raises nearly anything
    except Exception as error:
        raise _unloadable(folder, error) from error
    if one_by_one.keys() != together.keys() or not all(
        torch.equal(one, together[name]) for name, one in one_by_one.items()
    ):
        raise BadInput(
            preprocessor_file(folder),
            "pictures that become other values beside each other than one by one",
            "a processor that makes of each picture what it makes of it alone",
            "give its vectors with source: features",
        )
    largest = max(float(one.abs().max()) for one in together.values() if one.is_floating_point())
    if not largest <= LARGEST_VALUE:
        raise BadInput(
            preprocessor_file(folder),
            f"white becomes {largest:.4g}",
            "values near zero: bytes scaled to 0 to 1 (do_rescale), less a mean, by a deviation",
            "take the preprocessor file that belongs to the model",
        )
    return encoder


def _unloadable(folder: Path, error: Exception) -> BadInput:
    return BadInput(
        folder / MODULES[0],
        f"a model that sentence-transformers cannot load: {in_short(error)}",
        "modules, a tokenizer and a processor of one model",
        "fetch the model again, or take another revision",
    )


def load_modules(
    folder: Path, facts: Facts, modules: Sequence[tuple[str, str]], dtype: torch.dtype
) -> torch.nn.Sequential:
    """Modules of the package, of kinds that ``scripts.models.embedding_files`` lets through."""
    import torch

    try:
        with hub_off():
            first, *others = [_made(folder, facts, *one, dtype) for one in modules]
    except BadInput:
        raise
    except Exception as error:
        raise _unloadable(folder, error) from error
    # the transformer keeps in float32 what its positions turn by
    return torch.nn.Sequential(first, *(one.to(dtype) for one in others))


def _class_of(folder: Path) -> Any:
    """What makes the transformer of a folder: with the head that tells words, for a re-ranker."""
    from transformers import AutoModel, AutoModelForMultimodalLM

    return AutoModelForMultimodalLM if is_reranker(folder) else AutoModel


def _made(folder: Path, facts: Facts, kind: str, below: str, dtype: torch.dtype) -> Any:
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.cross_encoder.modules import LogitScore
    from sentence_transformers.sentence_transformer.modules import Pooling

    passed = None if is_reranker(folder) else HEAD

    class Counted(Transformer):
        """With weights that are read, and counted, as those of any model."""

        def _load_model(self, name: str, task: str, config: Any, *_: Any, **__: Any) -> Any:
            return whole.load_model(
                folder, _class_of(folder), dtype, facts.shapes, passed=passed, config=config
            )

    classes = {"Transformer": Counted, "Pooling": Pooling, "Dense": Dense, "Normalize": Normalize}
    classes["LogitScore"] = LogitScore
    return classes[kind].load(
        str(folder), subfolder=below, local_files_only=True, trust_remote_code=False
    )
