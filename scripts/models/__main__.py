"""What a model is, before a run, and whether it would be taken.

    ./run model NAME|FOLDER|hf:OWNER/NAME[@REVISION] [--configfile FILE ...]

NAME is an entry of ``models`` in the configuration. Of a repository on Hugging Face its small
files are fetched, and of its weights the headers alone, a few kilobytes; what is printed in the end
is the line of configuration that pins it. A folder is looked through whole, down to a few features.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import struct
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from scripts.config import (
    TAKEN,
    TOWERS,
    ConfigError,
    checked,
    defaults,
    name_of,
    nearest,
    over_defaults,
    read_own,
)
from scripts.job import BadInput, digest_of_file, ended, is_folder, read_json

if TYPE_CHECKING:
    from scripts.models.encoders import Encoder
    from scripts.models.hubs import Wanted

UNSEEN = (
    "It would be taken, as far as can be told without its weights: whether they tell pictures and "
    "texts apart is seen when they are fetched."
)
# in the names of tensors, what begins those of an image tower, in any library
OF_IMAGES = re.compile(r"(flava\.)?(vision|visual|image)")
# what is told of preprocessing, as transformers and open_clip call it
PREPARED = (
    *("size", "crop_size", "resample", "interpolation"),
    *("image_mean", "mean", "image_std", "std"),
)
# the line that two towers have in common
SPACE = "shared space"
OF_NEITHER = re.compile(r"logit_|itm_head|multimodal|text_decoder")


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """What was typed."""
    say = argparse.ArgumentParser(
        prog="./run model",
        description="Tell what a model is and whether it would be taken, before a run.",
        allow_abbrev=False,
    )
    say.add_argument(
        "model", metavar="NAME|FOLDER|hf:OWNER/NAME[@REVISION]",
        help="a model of the configuration, a folder, or a repository on Hugging Face",
    )  # fmt: skip
    say.add_argument(
        "--configfile", nargs="+", type=Path, default=[], metavar="FILE",
        help="configurations of your own, where the model is an entry of one",
    )  # fmt: skip
    return say.parse_args(words)


@dataclass
class Looked:
    """What was seen of a model.

    Attributes
    ----------
    called : what it is and where it lies, in words
    name : as the configuration may call it
    entry : what to write there
    files : name -> bytes and sha256, where they are known
    whole : whether its weights were looked at, too
    """

    called: str
    name: str
    entry: dict[str, Any]
    files: dict[str, tuple[int | None, str | None]] = field(default_factory=dict)
    whole: bool = True


def wanted_of(typed: argparse.Namespace, stands: Path) -> Iterator[tuple[Wanted, str]]:
    """The places that are meant, each with the name of its model in the configuration.

    Raises ``BadInput`` where what was typed is nothing of the kind.
    """
    from scripts.models import fetch_model
    from scripts.models.hubs import Wanted, on_hub

    said = typed.model
    known = {*defaults()["models"], *TAKEN}
    if there := on_hub(said):
        name = name_of(there[0].partition("/")[2], said, known.__contains__)
        yield Wanted("huggingface", *there), name
        return
    files = [(stands / file).expanduser() for file in typed.configfile]
    models = checked(over_defaults(*map(read_own, files)), files)["models"]
    folder = (stands / said).expanduser()
    if said not in models:
        if not is_folder(folder):
            raise BadInput(
                said,
                "neither a model of the configuration nor a folder",
                f"a folder, hf:owner/name, or a name: {nearest(said, [*defaults()['models']])}",
                "correct it; with an entry of your own, --configfile names its file",
            )
        folder = folder.resolve()
        name = name_of(folder.name, str(folder), known.__contains__)
        yield Wanted("local", str(folder)), name
        return
    entry = models[said]
    made = Path("data/models") / said
    if (made / "model.json").is_file() and entry["source"] == "train":
        yield Wanted("local", str(made)), said
    elif entry["source"] in ("train", "features"):
        what = "is trained by the workflow" if entry["source"] == "train" else "is features alone"
        raise BadInput(
            f"models.{said}",
            f"it {what}, and there is no model yet" if entry["source"] == "train" else f"it {what}",
            "a model that is there",
            "make it with a run; what is then in data/models is told here",
        )
    else:
        for one in [entry[key] for key in TOWERS if key in entry] or [entry]:
            apart = one is entry.get(TOWERS[1])
            if fetch_model.is_local(one):
                yield fetch_model.wanted_of(one, "local", fetch_model.path_of(one), apart), said
            else:
                yield next(fetch_model.candidates(one, apart)), said


def look(wanted: Wanted, name: str, draft: Path) -> Looked:
    """Put into ``draft`` what can be told of a model without downloading its weights."""
    entry = {"source": "local", "path": wanted.repo}
    if wanted.source == "local":
        from scripts.models.fetch_model import copied, names_in

        path = Path(wanted.repo)
        if not is_folder(path):
            todo = "correct the path of the model in the config; it begins where a run works"
            raise BadInput(path.absolute(), "no such folder", "the folder of a model", todo)
        choice = wanted.choose(names_in(path))
        seen = Looked(str(path), name, entry)
        for file in choice.files:
            whole = path / file
            if whole.is_file():
                seen.files[file] = (whole.stat().st_size, digest_of_file(whole))
        # all of it is looked at, and nothing copied
        copied(path, draft, choice, wanted, put=lambda one, link: link.symlink_to(one.absolute()))
        return seen
    if wanted.source != "huggingface":
        raise BadInput(
            f"models.{name}",
            f"a repository on {wanted.source}, which gives no part of a file",
            "a repository on Hugging Face, or a folder",
            "fetch it by a run, which tells as much: ./run snakemake --cores 1 "
            f"data/models/{name}/model.json",
        )
    try:
        return look_on_hub(wanted, name, draft)
    except BadInput:
        raise
    # the client raises what its HTTP library raises, of no common kind
    except Exception as error:
        from scripts.models.hubs import REMEDIES, one_line, reason_of

        todo = REMEDIES[reason_of(error)]
        raise BadInput(wanted.repo, one_line(error), "an answer of the hub", todo) from error


def look_on_hub(wanted: Wanted, name: str, draft: Path) -> Looked:
    """As ``look``, of a repository on Hugging Face: its small files, and headers of its weights."""
    from huggingface_hub import HfApi

    from scripts.models.fetch_model import arrange

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    info = api.model_info(wanted.repo, revision=wanted.revision, files_metadata=True)
    about = {file.rfilename: file for file in info.siblings or []}
    choice = wanted.choose([*about])
    weights = [one for one in choice.files if one.endswith(".safetensors") or one == choice.weights]
    small = [one for one in choice.files if one not in weights or one.endswith(".json")]
    place = {"repo": wanted.repo, "revision": info.sha}
    seen = Looked(
        f"{wanted.repo} on Hugging Face, commit {info.sha}",
        name,
        {"source": ["huggingface"], "huggingface": place},
        whole=False,
    )
    draft.mkdir(parents=True)
    for file in small:
        there = Path(api.hf_hub_download(wanted.repo, file, revision=info.sha, local_dir=draft))
        seen.files[file] = (there.stat().st_size, digest_of_file(there))
    for file in (one for one in weights if one not in small):
        sum_ = getattr(about[file].lfs, "sha256", None)
        seen.files[file] = (about[file].size, sum_)
        if not choice.pickled:
            headers = api.parse_safetensors_file_metadata(wanted.repo, file, revision=info.sha)
            _write_headers(draft / file, headers)
    first = choice.weights if choice.weights in weights else next(iter(sorted(weights)), None)
    if first and (sum_ := seen.files[first][1]):
        place["sha256"] = sum_
    if choice.pickled:
        raise BadInput(
            f"{wanted.repo}/{choice.weights}",
            "a pickle, which is not opened to be looked at",
            "weights in safetensors",
            "a run converts it, where the entry has pickled: convert and its sha256",
        )
    arrange(draft, choice, replace(wanted, sha256=None))
    return seen


def _write_headers(path: Path, about: Any) -> None:
    """A file of safetensors with these headers and a hole for the numbers."""
    tensors = {
        name: {"dtype": one.dtype, "shape": one.shape, "data_offsets": list(one.data_offsets)}
        for name, one in about.tensors.items()
    }
    header = json.dumps({"__metadata__": about.metadata or {}, **tensors}).encode()
    size = max((one["data_offsets"][1] for one in tensors.values()), default=0)
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(header)) + header)
        stream.truncate(8 + len(header) + size)


def facts_of(draft: Path, texts_alone: bool) -> Iterator[tuple[str, str]]:
    """What is said of a model in ``draft``, line by line."""
    if texts_alone:
        from scripts.models.text_tower import read_text_tower

        tower = read_text_tower(draft)
        yield "text tower", f"{tower.parameters:,} numbers; {tower.model_type}, published apart"
        yield SPACE, f"{tower.dim} dimensions"
        return
    from scripts.models.backends import backend_of, read_facts
    from scripts.models.cross_encoders import load_cross_encoder
    from scripts.models.embedding_files import is_reranker
    from scripts.models.encoders import load_encoder

    backend = backend_of(draft)
    facts = read_facts(draft)
    backend.check_numbers(draft, facts)
    if is_reranker(draft):
        pairs = f"pairs of at most {load_cross_encoder(draft, 'cpu').context_length} tokens"
        yield "library", "sentence_transformers"
        yield "family", facts.architecture
        yield "re-ranker", f"{facts.parameters:,} numbers; {pairs}"
        yield "use", "the model of an entry of rerankers; it gives no vectors for run.models"
        yield from _preprocessing(draft)
        return
    encoder = load_encoder(draft, "cpu")
    counts = {"image": 0, "text": 0}
    for tensor, shape in facts.shapes.items():
        if not OF_NEITHER.match(tensor):
            counts["image" if OF_IMAGES.match(tensor) else "text"] += math.prod(shape)
    yield "library", type(encoder).__module__.rpartition(".")[2]
    yield "family", facts.architecture
    yield "image tower", f"{counts['image']:,} numbers; {_pictures(encoder)}"
    limit = f"texts of at most {encoder.context_length} tokens"
    yield "text tower", f"{counts['text']:,} numbers; {limit}"
    yield SPACE, f"{facts.embedding_dim} dimensions"
    yield from _preprocessing(draft)


def _pictures(encoder: Encoder) -> str:
    from PIL import Image

    made = encoder.preprocess(Image.new("RGB", (64, 48), "grey"))
    if isinstance(made, Mapping):
        return "pictures of any shape, in patches"
    return f"pictures as {' x '.join(map(str, made.shape))} values"


def _preprocessing(draft: Path) -> Iterator[tuple[str, str]]:
    """The settings of preprocessing that the folder's files name, as they name them."""
    for name in ("preprocessor_config.json", "processor_config.json", "open_clip_config.json"):
        if not (draft / name).is_file():
            continue
        settings = read_json(draft / name)
        for key in ("image_processor", "preprocess_cfg"):
            settings = settings.get(key) or settings
        there = [key for key in PREPARED if settings.get(key) is not None]
        told = [f"{key} {json.dumps(settings[key])}" for key in there]
        if told:
            yield "preprocessing", "; ".join(told)
            return


def say(seen: Looked, facts: list[tuple[str, str]]) -> None:
    """Print what was seen."""
    print(seen.called)
    for what, told in facts:
        print(f"  {what:<15} {told}")
    for place, (name, (size, sum_)) in enumerate(sorted(seen.files.items())):
        bytes_ = "size not told" if size is None else f"{size:,} bytes"
        told = f"{name}, {bytes_}, sha256 {sum_ or 'not told'}"
        print(f"  {'' if place else 'files':<15} {told}")
    print("It would be taken." if seen.whole else UNSEEN)


def line_of(name: str, entries: list[dict[str, Any]]) -> str:
    """The line of configuration that asks for a model of one entry, or of two towers."""
    towers = {"source": "towers", **dict(zip(TOWERS, entries, strict=False))}
    own = {name: entries[0] if len(entries) == 1 else towers}
    line = yaml.safe_dump(own, default_flow_style=True, sort_keys=False, width=10_000)
    return f"models: {line.strip()}"


def told(typed: argparse.Namespace, stands: Path) -> int:
    """Tell of the model that was named in the folder ``stands``; 0, as nothing was refused."""
    entries, spaces = [], []
    for wanted, name in wanted_of(typed, stands):
        with tempfile.TemporaryDirectory() as folder:
            draft = Path(folder) / "model"
            try:
                seen = look(wanted, name, draft)
                facts = [*facts_of(draft, wanted.texts_alone)]
            except BadInput as error:
                parts = (one.replace(str(draft), wanted.repo) for one in error.parts)
                raise BadInput(*parts) from None
            say(seen, facts)
            entries.append(seen.entry)
            spaces.append(dict(facts).get(SPACE))  # a re-ranker has none
    if len({*spaces}) > 1:
        found = f"{spaces[0]} for a picture and {spaces[1]} for a text"
        todo = "take a text tower that was taught the image tower's space"
        raise BadInput(f"models.{typed.model}", found, "as many for both", todo)
    print(line_of(name, entries))
    return 0


def main(stands: str, *words: str) -> int:
    """Run the command line of who stands in the folder ``stands``; returns the exit status."""
    typed = arguments(list(words))
    try:
        return ended(lambda: told(typed, Path(stands)))
    except ConfigError as error:
        print(f"ERROR in {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
