"""Read features back, and refuse any that do not belong to these rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from scripts.data.rows import Rows
from scripts.job import BadInput, digest_of_file, read_json

# a side of the rows, and of which of them each kind of features is
Of = Literal["images", "captions"]
ROWS_OF: dict[str, Of] = {"images": "images", "texts": "captions"}
# float32 rows that were normalised once differ from unit length by about 1e-7; what is further off
# was not normalised, or was normalised in half precision
UNIT_TOLERANCE = 1e-3


def read_features(
    npy: str | Path,
    sidecar: str | Path,
    rows: Rows,
    of: Of,
    copies: int = 1,
) -> np.ndarray:
    """Features of one split, in the order of ``rows``.

    Parameters
    ----------
    npy : the array, (n, d) float32 with rows of unit length
    sidecar : JSON beside it, with "rows" (digest of the row order), "shape" and "sha256"
    rows : the order that the features have to be in
    of : which side of ``rows`` they describe
    copies : how often they describe it, one after the other (captions damaged in several ways)

    Returns
    -------
    (n, d) float32, n = copies * len(rows.images) or copies * len(rows.captions), read-only

    Raises
    ------
    BadInput
        where the array is unreadable, of another type or shape, not finite, not of unit length,
        made for another order of images and captions, or not the one that the sidecar describes.
    """
    again = f"delete {npy} and {sidecar} and run again: the workflow makes both anew"
    features = _load(npy, again)
    if features.dtype != np.float32 or features.ndim != 2:
        raise BadInput(npy, f"{features.ndim}-D {features.dtype}", "a 2-D array of float32", again)
    about = read_json(sidecar)
    if not isinstance(about, dict) or not {"rows", "shape", "sha256"} <= set(about):
        raise BadInput(sidecar, f"{about!r:.80}", 'the keys "rows", "shape" and "sha256"', again)
    if about["rows"] != rows.digest:
        raise BadInput(
            sidecar, "features of another list of images and captions", "this dataset's", again
        )
    expected = copies * len(getattr(rows, of))
    each = f"{'one' if copies == 1 else copies} for each of the {of}"
    if len(features) != expected or list(features.shape) != about["shape"]:
        raise BadInput(
            npy,
            f"shape {features.shape}",
            f"{expected} rows, {each}, and the sidecar's shape {about['shape']}",
            again,
        )
    lengths = np.sqrt(np.einsum("ij,ij->i", features, features))
    if not np.isfinite(lengths).all():
        row = int(np.argmin(np.isfinite(lengths)))
        raise BadInput(f"{npy}, row {row}", "a value that is not finite", "numbers", again)
    off = np.abs(lengths - 1)
    if off.max() > UNIT_TOLERANCE:
        row = int(off.argmax())
        raise BadInput(f"{npy}, row {row}", f"length {lengths[row]:.4f}", "length 1", again)
    if digest_of_file(npy) != about["sha256"]:
        raise BadInput(npy, "a file that changed after it was made", "its sidecar's sha256", again)
    return features


def read_side_by_side(
    npys: Sequence[str | Path],
    sidecars: Sequence[str | Path],
    rows: Rows,
    of: Of,
) -> tuple[np.ndarray, np.ndarray]:
    """Features of one split under one model or several, side by side.

    Parameters
    ----------
    npys, sidecars : a path for each model, see ``read_features``
    rows, of : as there

    Returns
    -------
    features : (n, sum of widths) float32
    widths : (models,) int64, dimensions of each model's features
    """
    features = [read_features(*files, rows, of) for files in zip(npys, sidecars, strict=True)]
    widths = np.array([part.shape[1] for part in features])
    # one model's stay in their file
    return features[0] if len(features) == 1 else np.concatenate(features, axis=1), widths


def _load(npy: str | Path, again: str) -> np.ndarray:
    """The array in a .npy file, mapped; a pickled one could run code, and is refused."""
    try:
        # what is not asked for takes no memory, and jobs of one machine share the rest
        return np.asarray(np.load(npy, allow_pickle=False, mmap_mode="r"))
    except FileNotFoundError:
        raise BadInput(npy, "no such file", "features", again) from None
    except (ValueError, EOFError) as error:
        raise BadInput(npy, str(error) or "an empty file", "a whole .npy file", again) from None
