"""A model's own tokenizer, made to pad, cut and end each text as its text tower needs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.job import BadInput, log
from scripts.models.families import Tower, text_tower
from scripts.models.weights import TOKENIZERS

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

# each pair starts and ends differently, so that what they have in common there is special tokens;
# a tokenizer need not know each language
SAMPLES = (("a dog", "two cats"), ("一只狗", "红汽车"), ("7", "42"))
# texts of SigLIP end in "</s>" and are filled up with it, those of SigLIP 2, which has Gemma's
# tokenizer, in "<eos>" and "<pad>"
FILLED_WITH = {"<eos>": "<pad>"}


@dataclass
class Tokens:
    """A tokenizer, and what its tower asks of it.

    Attributes
    ----------
    tokenizer : of the folder's own files
    context_length : tokens that a text may have, the special ones included
    limit : the tokenizer's own limit where it is lower, which its tower does not need, else None
    padding : "longest" of a batch, or "max_length" for a tower that reads padding as text
    masked : whether the tower has to be told where there is text
    lower_case : whether the tower has seen lower case alone
    rows : of the tower's embedding
    file : that the tokenizer is made of
    """

    tokenizer: PreTrainedTokenizerBase
    context_length: int
    limit: int | None
    padding: str
    masked: bool
    lower_case: bool
    rows: int
    file: Path

    def tokenize(self, texts: list[str], padding: str) -> dict[str, torch.Tensor]:
        """Tokens (b, length) of ``texts``, cut at the context length, and padded as asked."""
        batch = self.tokenizer(
            self._cased(texts),
            padding=padding,
            truncation=True,
            max_length=self.context_length,
            # whatever the tokenizer's files ask for; a text alone is all of one sentence, which
            # towers that take numbers of sentences assume
            return_attention_mask=self.masked,
            return_token_type_ids=False,
            return_tensors="pt",
        )
        self._check_rows(batch["input_ids"], texts)
        return dict(batch)

    def lengths(self, texts: list[str]) -> list[int]:
        """Tokens of each text before anything is cut."""
        ids = self.tokenizer(self._cased(texts), truncation=False, verbose=False)["input_ids"]
        return [len(row) for row in ids]

    def _cased(self, texts: list[str]) -> list[str]:
        return [text.lower() for text in texts] if self.lower_case else list(texts)

    def _check_rows(self, ids: torch.Tensor, texts: list[str]) -> None:
        """``BadInput`` where a text has a token that the model has no row for."""
        if int(ids.max()) < self.rows:
            return
        text, place = divmod(int(ids.argmax()), ids.shape[1])
        raise BadInput(
            self.file,
            f"token {ids[text, place]} in the text {texts[text]!r:.80}",
            f"tokens below {self.rows}, the vocab_size of text_config in config.json",
            "take the tokenizer files that belong to the model, or that word out of the text",
        )


def fitted_tokens(
    folder: Path,
    load: Callable[..., PreTrainedTokenizerBase],
    text_config: PreTrainedConfig,
) -> Tokens:
    """A tokenizer set as a tower of ``text_config`` needs it, whatever its files say.

    Parameters
    ----------
    folder : the model's
    load : gives its tokenizer; what is named overrides the files
    text_config : of its text tower

    Raises
    ------
    BadInput
        where no setting helps: texts that do not begin or end as the tower needs, or more tokens
        than it has embeddings
    """
    path = tokenizer_file(folder)
    tokenizer = load()
    rows = text_config.vocab_size
    if len(tokenizer) > rows and not _are_sentinels(tokenizer, rows):
        raise BadInput(
            path,
            f"{len(tokenizer)} tokens",
            f"at most {rows}, the vocab_size of text_config in config.json",
            "take the tokenizer files that belong to the model, or resize its embedding where it "
            "was trained",
        )
    if len(tokenizer) < rows * 3 // 4:
        log.warning(
            "%s has %d tokens and the model %d: if the files are another model's, features are "
            "worthless",
            path,
            len(tokenizer),
            rows,
        )
    tower = text_tower(text_config.model_type)
    lower_case = tower.pooled == "last"
    last = _check_frame(path, tokenizer, text_config, lower_case)
    written = tokenizer.pad_token
    if tower.pooled != "first" or tokenizer.pad_token_id is None:
        # what stands behind the end is never seen, or, by SigLIP, as in its training
        end = tokenizer.convert_ids_to_tokens(last)
        filled = FILLED_WITH.get(end, end) if tower.pooled == "last" else end
        if written != filled:
            # a word that fills up is cut out of texts, too, unless it never was one that fills up
            tokenizer = load(pad_token=filled)
    _check_words(path, tokenizer, written)
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    positions = text_config.max_position_embeddings
    if tower.offset:
        if text_config.pad_token_id != tokenizer.pad_token_id:
            raise BadInput(
                folder / "config.json",
                f"pad_token_id {text_config.pad_token_id} of text_config, behind which positions "
                f"begin; the tokenizer fills up with {tokenizer.pad_token_id}",
                "one token to fill up with",
                "correct the number, or take the tokenizer files that belong to the model",
            )
        positions -= text_config.pad_token_id + 1
    # a tokenizer without a limit of its own says 1e30
    limit = tokenizer.model_max_length
    if limit < positions:
        log.warning(
            "%s limits texts to %d tokens; the model has %d positions, and texts are cut there",
            folder,
            limit,
            positions,
        )
    return Tokens(
        tokenizer,
        context_length=positions,
        limit=limit if limit < positions else None,
        padding="max_length" if tower.pooled == "last" else "longest",
        masked=tower.pooled != "last",
        lower_case=lower_case,
        rows=rows,
        file=path,
    )


def _are_sentinels(tokenizer: PreTrainedTokenizerBase, rows: int) -> bool:
    """Whether all tokens beyond ``rows`` are T5's extra ids, which stand in no text."""
    beyond = [token for token, row in tokenizer.get_vocab().items() if row >= rows]
    return all(re.fullmatch("\u2581?<extra_id_[0-9]+>", token) for token in beyond)


def _check_words(path: Path, tokenizer: PreTrainedTokenizerBase, filled: str | None) -> None:
    """``BadInput`` where what texts are filled up with is a word, and so is cut out of each."""
    special = {str(one) for one in tokenizer.added_tokens_decoder.values() if one.special}
    if filled in special and not re.search("[<\\[{|]", filled):
        raise BadInput(
            path,
            f"{filled!r:.40} as a special token, though texts hold it",
            "special tokens that are no words, such as <pad>",
            "take the tokenizer files from where the model was first published",
        )


def tokenizer_file(folder: Path) -> Path:
    """The file that a folder's tokenizer is made of first of all."""
    return next((folder / name for name in TOKENIZERS if (folder / name).is_file()), folder)


def _check_frame(
    path: Path, tokenizer: PreTrainedTokenizerBase, text_config: PreTrainedConfig, lower_case: bool
) -> int:
    """The id that texts end in; ``BadInput`` unless they begin and end as the tower needs."""
    faults = []
    for pair in SAMPLES:
        texts = [text.lower() if lower_case else text for text in pair]
        found = tokenizer(texts, truncation=False, padding=False)["input_ids"]
        told = _Frame(found, tokenizer, text_config).fault()
        if not told:
            return found[0][-1]
        faults.append(told)
    raise BadInput(
        path,
        faults[0],
        f"texts as a text tower of kind {text_config.model_type} has seen them",
        "take the tokenizer files and the config.json that belong to the model",
    )


@dataclass(frozen=True)
class _Frame:
    """How texts, as ids, begin and end."""

    texts: list[list[int]]
    tokenizer: PreTrainedTokenizerBase
    text_config: PreTrainedConfig

    def fault(self) -> str:
        """What is wrong with it; "" if nothing is."""
        if not all(self.texts):
            return "a text becomes no token at all"
        tower = text_tower(self.text_config.model_type)
        if tower.pooled == "last":
            return self._fault_of_last()
        return self._fault_of_end(tower) if tower.pooled == "end" else self._fault_of_first()

    @property
    def _first(self) -> set[int]:
        return {text[0] for text in self.texts}

    @property
    def _last(self) -> set[int]:
        return {text[-1] for text in self.texts}

    def _named(self, token: int) -> str:
        return f"{token} ({self.tokenizer.convert_ids_to_tokens(token)!r:.40})"

    @property
    def _begins(self) -> str:
        return f"a text begins with token {self._named(self.texts[0][0])}"

    @property
    def _ends_in(self) -> str:
        return f"a text ends in token {self._named(self.texts[0][-1])}"

    def _fault_of_last(self) -> str:
        tokenizer, first = self.tokenizer, self._first
        if self._last != {tokenizer.eos_token_id}:
            return f"{self._ends_in}, not in the tokenizer's end token {tokenizer.eos_token!r:.40}"
        # what they share may be the piece that begins any word
        started = len(first) == 1 and first <= {*tokenizer.all_special_ids}
        return f"{self._begins}, where SigLIP has none to begin with" if started else ""

    def _fault_of_end(self, tower: Tower) -> str:
        end = self.text_config.eos_token_id
        read = [max(text) if end == tower.highest else end for text in self.texts]
        for text, token in zip(self.texts, read, strict=True):
            if token not in text:
                return f"{self._ends_in}, and has no end token {end} (eos_token_id of config.json)"
            if text.index(token) != len(text) - 1:
                told = f"features are read at token {self._named(token)} inside a text"
                return f"{told}; {self._ends_in}"
        begin = self.tokenizer.bos_token_id
        if begin is not None and self._first != {begin}:
            return f"{self._begins}, not with the tokenizer's {self.tokenizer.bos_token!r:.40}"
        return ""

    def _fault_of_first(self) -> str:
        tokenizer, text_config = self.tokenizer, self.text_config
        # a tokenizer that has no such tokens is of another kind of model, or calls them otherwise
        begin = tokenizer.cls_token_id
        begin = text_config.bos_token_id if begin is None else begin
        end = tokenizer.sep_token_id
        end = text_config.eos_token_id if end is None else end
        if self._first != {begin}:
            told = f"{self._begins}, where features are read"
            return f"{told}, not with {tokenizer.cls_token or begin!r}"
        if end is not None and self._last != {end}:
            return f"{self._ends_in}, not in {tokenizer.sep_token or end!r}"
        return ""
