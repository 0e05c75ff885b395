"""Does the score agree with people? Kendall's tau between the model's score and their ratings.

The protocol is CLIPScore's (Hessel et al. 2021, "CLIPScore: a reference-free evaluation metric for
image captioning", EMNLP, section 4.1): captions in the prompt "A photo depicts {}", the score 2.5
max(cos, 0), tau-c on the experts' ratings, each rating a row of its own, and tau-b on the crowd's
shares of yes. Captions judged on the very image that they were written for are left out there, and
here, too; the figure with them is given beside it.
"""

import numpy as np

from scripts.encode.stored import read_features
from scripts.evaluate.intervals import Resampling
from scripts.job import Snakemake, log, run
from scripts.retrieve.ranking import dots
from scripts.studies.judged import Judgments, read_judgments
from scripts.studies.kendall import Variant, interval_of_tau
from scripts.studies.reference import read_references
from scripts.studies.table import About, Row, row, write_rows

WEIGHT = 2.5
VARIANTS: dict[str, Variant] = {"expert": "c", "crowd": "b", "grammar": "c"}
# the score is the cosine itself, whatever scorer the reference run has
SCORER = "cosine"


def clip_scores(images: np.ndarray, texts: np.ndarray, judgments: Judgments) -> np.ndarray:
    """(p,) float64 CLIPScore of each judged pair, from 0 to 2.5.

    Parameters
    ----------
    images : (n, d) float32, rows of unit length
    texts : (m, d) float32, rows of unit length, of captions in CLIPScore's prompt
    judgments : p of them
    """
    return WEIGHT * np.maximum(dots(texts, images, judgments.caption, judgments.image), 0.0)


def judgment_rows(
    model: str, prompt: str, scores: np.ndarray, judgments: Judgments, resampling: Resampling
) -> list[Row]:
    """Tau for each source of judgments, without and with self pairs.

    Parameters
    ----------
    model, prompt : of the scores
    scores : (p,) the model's, of each rating
    judgments : p of them
    resampling : of the intervals
    """
    from scipy.stats import kendalltau

    found = []
    for source, variant in VARIANTS.items():
        for self_pairs, kept in (("left out", ~judgments.own), ("kept", judgments.own | True)):
            chosen = kept & (judgments.source == source)
            if not chosen.any():
                continue
            score, rating = scores[chosen], judgments.rating[chosen]
            interval = interval_of_tau(score, rating, judgments.image[chosen], variant, resampling)
            found.append(
                row(
                    About((model, prompt, SCORER), "", f"{source}, self pairs {self_pairs}"),
                    f"tau_{variant}",
                    kendalltau(score, rating, variant=variant).statistic,
                    len(score),
                    interval,
                )
            )
    return found


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    references = read_references(files, params.split)
    rows = references[0].rows
    judgments = read_judgments(files.judgments, rows)
    resampling = Resampling(params.resamples, params.seed)
    found: list[Row] = []
    for reference, npy, sidecar in zip(
        references, files.texts_judged, files.texts_judged_sidecars, strict=True
    ):
        log.info("%s: scores of %d ratings", reference.run.model, len(judgments))
        texts = read_features(npy, sidecar, rows, of="captions")
        scores = clip_scores(reference.images, texts, judgments)
        found += judgment_rows(reference.run.model, params.prompt, scores, judgments, resampling)
    write_rows(snakemake.output.table, found)


if __name__ == "__main__":
    run(main, snakemake)
