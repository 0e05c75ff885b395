"""Features of images and of captions in two dimensions, and the gap between the two.

The plane is that of the first two principal components of a sample with as many images as captions.
A distance is shorter in it than it is in all dimensions.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scripts.figures.panels import dots, numbers, panels
from scripts.figures.style import INK, MUTED, SMALL, draw, write_table
from scripts.job import BadInput
from scripts.jobs import Snakemake, run
from scripts.studies.reference import Reference, read_references
from scripts.studies.shown import read_study
from scripts.words import formats, read_words

SAMPLE = 300  # of images, and of captions: as many as can be told apart
SIDES = ("image", "text")


def plane_of(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first two principal components.

    Parameters
    ----------
    points : (n, d) at least two of them

    Returns
    -------
    axes : (2, d) of unit length, the largest coordinate of each positive; a row of zeros where the
        points span one dimension alone
    explained : (2,) shares of the variance
    """
    _, values, axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    values, axes = np.append(values, 0.0)[:2], np.vstack([axes, np.zeros_like(axes[:1])])[:2]
    largest = np.abs(axes).argmax(axis=1)
    signs = np.where(axes[np.arange(2), largest] < 0, -1.0, 1.0)
    whole = np.square(points - points.mean(axis=0)).sum()
    return axes * signs[:, None], values**2 / whole if whole else np.zeros(2)


def clouds_of(reference: Reference, seed: int) -> pd.DataFrame:
    """A sample of both sides in the plane, and the mean of all features of each.

    Columns model, prompt, of ("image", "text"), row (of the item; empty for a mean), x, y, and
    explained_x, explained_y (shares of the sample's variance, the same in each row).
    """
    sides = dict(zip(SIDES, (reference.images, reference.texts), strict=True))
    size = min(SAMPLE, *map(len, sides.values()))
    lot = np.random.default_rng(seed)
    rows = {of: np.sort(lot.choice(len(own), size, replace=False)) for of, own in sides.items()}
    drawn = np.concatenate([sides[of][rows[of]] for of in SIDES]).astype(np.float64)
    axes, explained = plane_of(drawn)
    centre = drawn.mean(axis=0)
    parts = []
    for of, own in sides.items():
        mean = own.mean(axis=0, dtype=np.float64)
        places = ((np.vstack([own[rows[of]], mean]) - centre) @ axes.T).round(6)
        columns = {"of": of, "row": pd.array([*rows[of], None], dtype="Int64")}
        parts.append(pd.DataFrame(columns | {"x": places[:, 0], "y": places[:, 1]}))
    table = pd.concat(parts, ignore_index=True)
    table.insert(0, "model", reference.run.model)
    table.insert(1, "prompt", reference.run.prompt)
    return table.assign(
        **dict(zip(("explained_x", "explained_y"), explained.round(6), strict=True))
    )


def plot_clouds(table: pd.DataFrame, gap: float, dimensions: int, language: str) -> Figure:
    """Draw both clouds.

    Parameters
    ----------
    table : from ``clouds_of``
    gap : distance of the means in all dimensions, as geometry.csv has it
    dimensions : of the features
    language : of the figure
    """
    words = read_words("figures", language)["clouds"]
    means = table[table.row.isna()].set_index("of").loc[list(SIDES), ["x", "y"]]
    ends = means.to_numpy(dtype=np.float64)
    figure, ((axes,),) = panels(3.9, columns=1)
    for of, marker, colour in zip(SIDES, "os", ("C0", "C1"), strict=True):
        own = table[(table.of == of) & table.row.notna()]
        told = words["sides"][of].format(count=len(own))
        axes.plot(own.x, own.y, marker, ms=2.8, color=colour, alpha=0.45, mew=0, label=told)
        x, y = means.loc[of]
        dots(axes, x, y, marker, color=colour, ms=8, zorder=5)
    axes.plot(*ends.T, color=INK, lw=1.6, zorder=4, label=words["means"])
    # a length reads the same whichever way it lies
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(axis="both")
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        numbers(axis, 6)
        share = formats.percent(table[f"explained_{name}"].iloc[0])
        axis.set_label_text(words[name].format(share=share))
    told = words["gap"].format(
        gap=formats.score(gap),
        dimensions=formats.count(dimensions),
        here=formats.score(float(np.linalg.norm(ends[0] - ends[1]))),
    )
    axes.set_title(told, size=SMALL, weight="normal", color=MUTED)
    figure.legend(loc="outside upper left", ncols=3, markerscale=1.6)
    return figure


def gap_in(path: str, model: str) -> float:
    """The gap of a model, as the study of geometry measured it."""
    table = read_study(path, "geometry")
    found = table[(table.model == model) & (table.measure == "gap")].value
    if found.empty:
        raise BadInput(path, f"no gap of {model}", "a row of it", "delete it and run again")
    return float(found.iloc[0])


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    (reference,) = read_references(files, params.split)
    table, gap = clouds_of(reference, params.seed), gap_in(files.geometry, reference.run.model)
    dimensions = reference.images.shape[1]
    draw(snakemake, lambda language: plot_clouds(table, gap, dimensions, language))
    write_table(table, snakemake.output.table)


if __name__ == "__main__":
    run(main, snakemake)
