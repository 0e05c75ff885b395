"""Train a dual encoder contrastively on a train split, from scratch or from another model."""

import csv
import math
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scripts.data.prepared import read_checksums
from scripts.data.rows import read_rows
from scripts.job import BadInput, drafted, log, progress, whole
from scripts.jobs import Snakemake, run
from scripts.models.backends import backend_of, transformers
from scripts.models.encoders import Encoder, load_encoder
from scripts.models.examples import Examples, batches_of_epoch, read_examples, shifted
from scripts.models.folder import (
    check_not_linked,
    model_files,
    move_model,
    verify_model,
    write_provenance,
)
from scripts.models.new_clip import write_new_clip
from scripts.models.probe import probe
from scripts.protocol import reaches

if TYPE_CHECKING:
    import torch

COLUMNS = (
    *("epoch", "step", "train_loss", "val_loss", "val_recall@1", "val_recall@10", "learning_rate"),
)
# where the config leaves the learning rate open
FROM_SCRATCH, FINE_TUNING = 2e-3, 1e-5
# what a base model brings along
FROM_SCRATCH_ONLY = (
    *("image_size", "patch_size", "width", "layers", "heads"),
    *("text_width", "text_layers", "text_heads"),
    *("embedding_dim", "context_length", "vocabulary"),
)
# as in CLIP: a score is at most a hundred times the cosine
MAX_SCALE = 100.0
EVALUATED_AT_ONCE = 100
TEXTS_AT_ONCE = 64
# Sums are shared out among threads, so another number gives other last bits, and by the end of a
# training other weights. So it is always this number, on as many cores as there are.
THREADS = 8


def by_length(lengths: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
    """Rows of texts in blocks of about the same length, as few as can be computed at once.

    A block is as long as its longest text; long captions beside short ones double the work.
    """
    return lengths.argsort(stable=True).split(TEXTS_AT_ONCE)


def forward_texts(
    encoder: Encoder, tokens: "dict[str, torch.Tensor]", lengths: "torch.Tensor"
) -> "torch.Tensor":
    """Features (n, d) of n texts, gradients flowing; see ``tokenize_all``."""
    import torch

    blocks = by_length(lengths)
    features = [
        encoder.forward_texts(
            {name: rows[block, : lengths[block].max()] for name, rows in tokens.items()}
        )
        for block in blocks
    ]
    return torch.cat(features)[torch.cat(blocks).argsort()]


def learning_rate_at(step: int, steps: int, peak: float, warmup: float) -> float:
    """Learning rate of a step, counted from 0: rises in a line, then falls along a cosine to 0.

    ``warmup`` is the share of ``steps`` in which it rises.
    """
    rising = round(warmup * steps)
    if step < rising:
        return peak * (step + 1) / rising
    return peak * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising))) / 2


def train(
    encoder: Encoder, taught: Examples, held_out: Examples, entry: dict[str, Any]
) -> "tuple[dict[str, torch.Tensor], list[dict[str, float]]]":
    """Train, and give the weights of the best epoch and a row of ``COLUMNS`` for each.

    The best epoch is the one with the highest val_recall@10; of equals, the highest val_recall@1;
    of equals, the first.

    Parameters
    ----------
    encoder : what is trained, in place
    taught, held_out : the train and val splits
    entry : ``epochs``, ``batch_size``, ``captions_per_image``, ``learning_rate``,
        ``weight_decay``, ``warmup``, ``shift``, ``seed``

    Raises
    ------
    BadInput
        where the loss is not a number any more
    """
    import torch

    model, device = encoder.model, encoder.device
    captions_per_image = entry.get("captions_per_image", 1)
    optimizer = optimizer_of(model, entry["weight_decay"])
    generator = torch.Generator().manual_seed(entry["seed"])
    per_epoch = math.ceil(len(taught.rows.images) / entry["batch_size"])
    steps = entry["epochs"] * per_epoch
    ticks = iter(progress(range(steps), "training", unit="steps"))
    history: list[dict[str, float]] = []
    best: dict[str, torch.Tensor] = {}
    for epoch in range(1, entry["epochs"] + 1):
        to_train(model)
        losses = []
        for images, captions in batches_of_epoch(
            taught.rows, entry["batch_size"], epoch, entry["seed"], captions_per_image
        ):
            rate = learning_rate_at(next(ticks), steps, entry["learning_rate"], entry["warmup"])
            for group in optimizer.param_groups:
                group["lr"] = rate
            pixels = taught.pixels[torch.from_numpy(images)].to(device).float()
            pixels = shifted(pixels, entry["shift"], generator)
            drawn = torch.from_numpy(captions.reshape(-1))
            tokens = {name: rows[drawn] for name, rows in taught.tokens.items()}
            texts = forward_texts(encoder, tokens, taught.lengths[drawn])
            loss = loss_of_batch(
                encoder.forward_images(pixels),
                texts.unflatten(0, captions.shape),
                model.logit_scale.exp(),
                taught.caption_ids[images],
                taught.id_of_caption[captions],
            )
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                raise BadInput(
                    f"epoch {epoch}, step {len(losses)}",
                    f"a loss of {losses[-1]}",
                    "a number",
                    "lower learning_rate, or raise warmup",
                )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            with torch.no_grad():
                model.logit_scale.clamp_(max=math.log(MAX_SCALE))
        row = {
            "epoch": epoch,
            "step": epoch * per_epoch,
            "train_loss": float(np.mean(losses)),
            **evaluate(encoder, held_out, entry["batch_size"]),
            "learning_rate": rate,
        }
        history.append(row)
        log.info(
            "epoch %d: loss %.3f, on val %.3f, Recall@1 %.3f, Recall@10 %.3f",
            *(row[name] for name in ("epoch", *COLUMNS[2:6])),
        )
        if best_epoch(history) == epoch:
            best = {name: value.to("cpu", copy=True) for name, value in model.state_dict().items()}
    next(ticks, None)
    return best, history


def to_train(model: "torch.nn.Module") -> None:
    """Set a model to training, but for batch normalisation, whose statistics stay the base's.

    A small batch would replace what millions of images taught, and in two steps does where the
    momentum is high (MobileNetV2's is 0.997); training would also see other features than
    evaluation. Models from scratch here have none.
    """
    from torch.nn.modules.batchnorm import _BatchNorm

    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()


def loss_of_batch(
    images: "torch.Tensor",
    texts: "torch.Tensor",
    scale: "torch.Tensor",
    caption_ids: "torch.Tensor",
    drawn: "torch.Tensor",
) -> "torch.Tensor":
    """Mean over the drawn captions of the loss of a batch with that one caption for each image.

    Two captions of an image so never meet in one softmax, and the image tower, the dearer one,
    computes once for all of them.

    Parameters
    ----------
    images : (b, d) features
    texts : (k, b, d) features of k captions for each image
    scale : what cosines are multiplied by
    caption_ids : (b, c), see ``Examples``
    drawn : (k, b) ids of the texts
    """
    from scripts.models.losses import also_right, contrastive_loss

    losses = [
        contrastive_loss(images, rows, scale, also_right(caption_ids, ids).to(images.device))
        for rows, ids in zip(texts, drawn, strict=True)
    ]
    return sum(losses) / len(losses)


def best_epoch(history: list[dict[str, float]]) -> int:
    """The epoch whose weights are kept; see ``train``."""
    best = max(history, key=lambda row: (row["val_recall@10"], row["val_recall@1"], -row["epoch"]))
    return int(best["epoch"])


def optimizer_of(model: "torch.nn.Module", weight_decay: float) -> "torch.optim.Optimizer":
    """AdamW as CLIP used it: biases, gains and the temperature do not decay."""
    import torch

    weights = [value for value in model.parameters() if value.ndim >= 2]
    others = [value for value in model.parameters() if value.ndim < 2]
    groups = [
        {"params": weights, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    # one pass over each tensor; a tiny model has many of them, and the loop over them shows
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), eps=1e-6, fused=True)


def evaluate(encoder: Encoder, held_out: Examples, batch_size: int) -> dict[str, float]:
    """Loss in batches as in training, always the same ones, and recall of images by captions."""
    import torch

    encoder.model.eval()
    rows = held_out.rows
    images = torch.cat(
        [encoder.encode_images(block.float()) for block in held_out.pixels.split(EVALUATED_AT_ONCE)]
    )
    with torch.inference_mode():
        texts = forward_texts(encoder, held_out.tokens, held_out.lengths).float()
        texts = torch.nn.functional.normalize(texts, dim=-1)
    losses = []
    with torch.inference_mode():
        for some, captions in batches_of_epoch(rows, batch_size, epoch=0, seed=0):
            loss = loss_of_batch(
                images[some],
                texts[captions],
                encoder.model.logit_scale.exp(),
                held_out.caption_ids[some],
                held_out.id_of_caption[captions],
            )
            losses.append(loss.item())
        scores = texts @ images.T
        own = scores.gather(1, torch.from_numpy(rows.image_of_caption)[:, None].to(scores.device))
        ranks = reaches(scores, own).sum(dim=1)
    return {
        "val_loss": float(np.mean(losses)),
        "val_recall@1": (ranks <= 1).float().mean().item(),
        "val_recall@10": (ranks <= 10).float().mean().item(),
    }


def train_model(
    entry: dict[str, Any],
    data: dict[str, Path],
    base: Path | None,
    folder: Path,
    device: str,
    threads: int,
) -> list[dict[str, float]]:
    """Fill ``folder`` with the trained model; give a row of ``COLUMNS`` for each epoch.

    A model that starts from another has a row for epoch 0, too: what its base does on val. The
    weights kept are those of a later epoch all the same, or there would be no model to compare.

    Parameters
    ----------
    entry : see ``train`` and ``write_new_clip``
    data : ``images`` (folder), ``table``, ``captions``, ``splits``
    base : folder of the model that training starts from; None starts from nothing
    folder : where the model goes, under its name in the config; what other files stand there is
        removed
    device : see ``pick_device``
    threads : threads that decode images; what computes is always ``THREADS``
    """
    import torch

    check_not_linked(folder)
    torch.set_num_threads(THREADS)
    torch.manual_seed(entry["seed"])
    (folder / "model.json").unlink(missing_ok=True)
    rows = {split: read_rows(data["captions"], data["splits"], split) for split in ("train", "val")}
    transformers.import_libraries()
    with drafted(folder / "model") as draft:
        if base is None:
            write_new_clip(draft, entry, rows["train"].captions)
        else:
            of_base = verify_model(base / "model.json")["files"]
            check_base(base)
            draft.mkdir(parents=True)
            for name in model_files(base):
                shutil.copyfile(base / name, draft / name)
        encoder = load_encoder(draft, device)
        check_can_learn(encoder)
        if entry["learning_rate"] is None:
            entry = entry | {"learning_rate": FROM_SCRATCH if base is None else FINE_TUNING}
        examples = {
            split: read_examples(
                one, data["images"], read_checksums(data["table"], one.images), encoder, threads
            )
            for split, one in rows.items()
        }
        # what the base does before a step is taken
        start = {} if base is None else evaluate(encoder, examples["val"], entry["batch_size"])
        weights, history = train(encoder, examples["train"], examples["val"], entry)
        encoder.model.load_state_dict(weights)
        for old in draft.glob("*.safetensors*"):
            old.unlink()
        encoder.model.save_pretrained(draft)
        probe(draft)
        move_model(draft, folder)
    best = history[best_epoch(history) - 1]
    if start:
        history = [{"epoch": 0, "step": 0, **start}, *history]
    write_history(folder / "training.csv", history)
    told = {name: value for name, value in entry.items() if name != "source"}
    if base is not None:
        told = {name: told[name] for name in told if name not in FROM_SCRATCH_ONLY}
        told["before"] = start
        told["base_weights"] = [of_base[file] for file in of_base if file.endswith(".safetensors")]
    write_provenance(
        folder,
        folder.name,
        "train",
        repo=None,
        revision=None,
        tried=[],
        training={
            **told,
            "images": len(rows["train"].images),
            "captions": len(rows["train"].captions),
            "best_epoch": best["epoch"],
            **{name: best[name] for name in ("val_loss", "val_recall@1", "val_recall@10")},
        },
    )
    return history


def check_base(base: Path) -> None:
    """Raise ``BadInput`` where training cannot start from a model, as another library saves it."""
    if backend_of(base) is not transformers:
        raise BadInput(
            f"base: {base.name}",
            "a model that another library than transformers loads",
            "a model as transformers saves it, which training can save again",
            "take the same model from a repository that has config.json and model.safetensors, or "
            "leave base out",
        )


def check_can_learn(encoder: Encoder) -> None:
    """Raise ``BadInput`` for a model that scores pairs otherwise, or takes pictures otherwise."""
    import torch

    scaled = hasattr(encoder.model, "logit_scale")
    if not scaled or not isinstance(encoder.largest("images", 1), torch.Tensor):
        raise BadInput(
            f"a base of kind {encoder.architecture}, {type(encoder.model).__name__}",
            "pictures in patches of their own number" if scaled else "no logit_scale to learn with",
            "a model that is trained as CLIP is, such as CLIP, SigLIP or Chinese-CLIP",
            "name another model as base, or null",
        )


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    """Write a row for each epoch, numbers to six digits; what was not measured is left empty."""
    with whole(path) as draft, draft.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(
            [f"{row[name]:.6g}" if name in row else "" for name in COLUMNS] for row in history
        )


def stay_on_cores(count: int) -> None:
    """Let this process and its threads use ``count`` cores, where the system can be told so."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        # not all jobs on the same ones
        first = os.getpid() % len(allowed)
        os.sched_setaffinity(0, (allowed[first:] + allowed[:first])[:count])


def main(snakemake: Snakemake) -> None:
    given = snakemake.input
    stay_on_cores(snakemake.threads)
    # read when torch is imported: a thread that waits must not burn the core that another needs,
    # which takes ten times as long on a machine with other work; and cuBLAS adds in the same
    # order each time only with a workspace of its own
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    if torch.cuda.is_available():
        torch.use_deterministic_algorithms(True, warn_only=True)
    base = given.get("base")
    train_model(
        snakemake.params.entry,
        {name: Path(given[name]) for name in ("images", "table", "captions", "splits")},
        Path(base).parent if base else None,
        Path(snakemake.output.provenance).parent,
        snakemake.params.device,
        snakemake.threads,
    )


if __name__ == "__main__":
    run(main, snakemake)
