"""Learn a residual map of each side's features from cached train features; val tells when to stop.

What is learnt is small, so it is trained from several seeds, each on one core: the number of cores
then changes nothing, and the spread over seeds is known.
"""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from scripts.job import BadInput, log
from scripts.jobs import Snakemake, run
from scripts.protocol import DIRECTIONS
from scripts.retrieve.adapter import adapted
from scripts.retrieve.arrays import Arrays
from scripts.retrieve.banks import Banks, read_banks
from scripts.retrieve.choose import cosine_on_val, mean_recalls
from scripts.retrieve.scorers import save_scorer

if TYPE_CHECKING:
    import torch

# epochs without a better recall on val after which training ends
PATIENCE = 3
# steps in which the learning rate rises to its value
WARMUP = 10


def fit_adapter(params: Mapping[str, Any], banks: Banks, workers: int = 1) -> Arrays:
    """Train from each seed.

    Parameters
    ----------
    params : ``seeds``, and what ``train`` takes
    banks : train and val
    workers : seeds that are trained side by side

    Returns
    -------
    kind; seeds (s,) int64; images_maps, texts_maps (s, d, d) float32; val_recall (s,) float64, mean
    recall on val; val_cosine (2,), that of cosine by direction; epochs (s,) int64, after which it
    was reached, 0 for cosine itself; place, which of the seeds is used
    """
    with ThreadPoolExecutor(workers) as pool:
        trained = list(pool.map(lambda seed: train(params, banks, seed), params["seeds"]))
    residuals, val_recall, epochs = zip(*trained, strict=True)
    for seed, recall, epoch in zip(params["seeds"], val_recall, epochs, strict=True):
        log.info("seed %d: mean recall %.4f on val after %d epochs", seed, recall, epoch)
    return {
        "kind": np.array("adapter"),
        "seeds": np.array(params["seeds"]),
        **{
            f"{side}_maps": np.stack([one[side] for one in residuals])
            for side in ("images", "texts")
        },
        "val_recall": np.array(val_recall).round(9),
        "val_cosine": cosine_on_val(banks),
        "epochs": np.array(epochs),
        "place": np.array(0),
    }


def train(
    params: Mapping[str, Any], banks: Banks, seed: int
) -> tuple[dict[str, np.ndarray], float, int]:
    """Train from one seed, beginning as cosine.

    Parameters
    ----------
    params : ``epochs`` at most, ``batch_size`` in images, ``learning_rate``, ``weight_decay``
        (towards cosine), ``temperature``
    banks : train and val
    seed : of the order of the images

    Returns
    -------
    residuals : "images" and "texts" -> (d, d) float32, those of the best epoch
    recall : mean recall on val, over both directions
    epoch : the best; 0, and residuals of zero, where no epoch did better than cosine

    Raises
    ------
    BadInput
        where the loss is not a number any more
    """
    import torch

    torch.set_num_threads(1)  # for the thread that this runs in
    features = {side: torch.tensor(banks[f"train_{side}"]) for side in ("images", "texts")}
    width = features["images"].shape[1]
    residuals = {side: torch.zeros(width, width, requires_grad=True) for side in features}
    optimizer = torch.optim.AdamW(residuals.values(), lr=0.0, weight_decay=params["weight_decay"])
    best = {side: np.zeros((width, width), dtype=np.float32) for side in features}
    best_recall, best_epoch, step = recall_on_val(best, banks), 0, 0
    for epoch in range(1, params["epochs"] + 1):
        for images, captions, positive in batches_of_epoch(
            banks, params["batch_size"], seed, epoch
        ):
            mapped = {}
            for side, rows in (("images", images), ("texts", captions)):
                some = features[side][rows]
                mapped[side] = torch.nn.functional.normalize(some + some @ residuals[side])
            loss = multi_positive_loss(
                mapped["texts"] @ mapped["images"].T / params["temperature"],
                torch.from_numpy(positive),
            )
            if not torch.isfinite(loss):
                raise BadInput(
                    f"epoch {epoch} of the adapter",
                    f"a loss of {loss.item()}",
                    "a number",
                    "lower learning_rate, or raise temperature",
                )
            step += 1
            optimizer.param_groups[0]["lr"] = params["learning_rate"] * min(1, step / WARMUP)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        now = {side: weights.detach().numpy().copy() for side, weights in residuals.items()}
        recall = recall_on_val(now, banks)
        log.info("seed %d, epoch %d: mean recall %.4f on val", seed, epoch, recall)
        if recall > best_recall:
            best, best_recall, best_epoch = now, recall, epoch
        elif epoch - best_epoch >= PATIENCE:
            break
    return best, best_recall, best_epoch


def multi_positive_loss(scores: "torch.Tensor", positive: "torch.Tensor") -> "torch.Tensor":
    """Symmetric InfoNCE with several right answers, none of which is a wrong answer of another.

    Each right answer is set against the wrong answers alone, -log(exp(s) / (exp(s) + sum of exp of
    the wrong ones)), averaged over a query's right answers, then over queries, then over both
    directions. With one right answer each, this is CLIP's loss. In the denominator of supervised
    contrastive learning (Khosla et al. 2020, arXiv:2004.11362, equation 2) the other right answers
    stand too, and are pushed away.

    Parameters
    ----------
    scores : (m, n) divided by the temperature; captions by images
    positive : (m, n) boolean, at least one in each row and column
    """
    import torch

    wrong = scores.masked_fill(positive, float("-inf"))
    caption, image = positive.nonzero(as_tuple=True)
    right = scores[caption, image]
    softplus = torch.nn.functional.softplus
    total = scores.new_zeros(())
    for dim, query in ((1, caption), (0, image)):
        # log(1 + exp(log of the sum over wrong ones - s)); without wrong answers there is no loss
        each = softplus(wrong.logsumexp(dim)[query] - right)
        answers = positive.sum(dim)
        total = total + (each / answers[query]).sum() / len(answers)
    return total / 2


def batches_of_epoch(
    banks: Banks, batch_size: int, seed: int, epoch: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Images of each step in a new order each epoch, all their captions, and what is right.

    Yields
    ------
    images : (b,) rows of train images
    captions : (c,) rows of train captions: all of these images
    positive : (c, b) boolean, captions of the image, or equal to one of them
    """
    of_caption = banks["train_image_of_caption"]
    count = len(banks["train_images"])
    starts = np.searchsorted(of_caption, np.arange(count + 1))
    _, text = np.unique(banks["train_captions"], return_inverse=True)
    order = np.random.default_rng([seed, epoch]).permutation(count)
    for images in np.array_split(order, -(-count // batch_size)):
        captions = np.concatenate([np.arange(*starts[[image, image + 1]]) for image in images])
        place = np.repeat(np.arange(len(images)), np.diff(starts)[images])
        _, number = np.unique(text[captions], return_inverse=True)
        describes = np.zeros((number.max() + 1, len(images)), dtype=bool)
        describes[number, place] = True
        yield images, captions, describes[number]


def recall_on_val(residuals: Mapping[str, np.ndarray], banks: Banks) -> float:
    """Mean recall on val over both directions."""
    images, texts = (adapted(banks[f"val_{side}"], residuals[side]) for side in ("images", "texts"))
    recalls = mean_recalls(images, texts, banks["val_image_of_caption"])
    return float(np.mean([recalls[direction][0] for direction in DIRECTIONS]))


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    # read when torch is imported: a thread that waits must not burn the core that another needs
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    params = dict(snakemake.params.entry)
    del params["kind"]
    banks = read_banks(snakemake.input)
    save_scorer(snakemake.output.scorer, fit_adapter(params, banks, snakemake.threads))


if __name__ == "__main__":
    run(main, snakemake)
