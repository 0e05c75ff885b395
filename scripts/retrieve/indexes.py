"""FAISS indexes of a mapped gallery, which find the best items without scoring them all.

Whatever the scorer, a score is the inner product of a mapped query and a mapped gallery item
(``scorers``), so an index is built over ``scorers.map_gallery`` and asked with
``scorers.map_queries``.

faiss is imported inside functions: naming the kinds, and the command line's help, need none of it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scripts.job import BadInput, digest_of_file, log, read_json, whole, write_json
from scripts.retrieve.arrays import made_anew

if TYPE_CHECKING:
    import faiss

KINDS = ("flat", "hnsw", "ivf_pq")
# faiss itself asks for as many vectors behind each centroid of a k-means
POINTS_PER_CENTROID = 39
# of the codes' k-means, nearly all of the time that an ivf_pq takes: with faiss's own 256 vectors
# for each centroid and 25 rounds it found 0.4 points more of the exact top ten, in 2.5 times the
# time at 10,000 vectors and up to 10 times at more
CODE_POINTS, CODE_ROUNDS = 64, 10

Params = Mapping[str, Any]


def build(kind: str, params: Params, vectors: np.ndarray, threads: int = 1) -> faiss.Index:
    """An index of all ``vectors``, by inner product.

    - flat: every vector is compared, as ``ranking.top_k`` does, but in float32 alone.
    - hnsw: a graph of neighbours (Malkov and Yashunin 2020, arXiv:1603.09320) is walked. Items
      that are equal are each other's nearest, so that dozens of them leave no way out to others.
    - ivf_pq: vectors are sorted into lists by k-means, of which the nearest are read, and kept as
      short codes of what they differ by from the list's centre (Jégou et al. 2011,
      doi:10.1109/TPAMI.2010.57).

    Parameters
    ----------
    kind : one of ``KINDS``
    params : the other keys of the config's entry; what ``adapted`` makes smaller is logged
    vectors : (n, d) float32, n at least 1; inner products of the order of one
    threads : with one, equal vectors give equal bytes on one kind of processor; with more, the
        graph of hnsw depends on which thread comes first

    Raises ``ValueError`` for another kind, and for vectors of another type or shape.
    """
    import faiss

    if vectors.ndim != 2 or vectors.dtype != np.float32 or not len(vectors):
        raise ValueError(f"{vectors.ndim}-D {vectors.dtype}, {len(vectors)} rows")
    wanted, params = params, adapted(kind, params, *vectors.shape)
    for name in params:
        if params[name] != wanted[name]:
            log.info(
                "%d x %d: %s %d instead of %d", *vectors.shape, name, params[name], wanted[name]
            )
    width = vectors.shape[1]
    with _threads(threads):
        if kind == "flat":
            index = faiss.IndexFlatIP(width)
        elif kind == "hnsw":
            index = faiss.IndexHNSWFlat(width, params["m"], faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = params["ef_construction"]
            index.hnsw.efSearch = params["ef_search"]
        else:
            parts = params["sub_quantizers"]
            vectors = _padded(vectors, -(-width // parts) * parts)
            index = _trained_ivf_pq(params, vectors)
        index.add(np.ascontiguousarray(vectors))
    return index


def adapted(kind: str, params: Params, count: int, width: int) -> dict[str, Any]:
    """``params`` as far as a gallery of ``count`` vectors of ``width`` dimensions can bear them.

    A k-means needs as many vectors as it has centroids, and a list of few vectors is not worth
    reading alone.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is none of {KINDS}")
    params = {key: value for key, value in params.items() if key != "kind"}
    if kind != "ivf_pq":
        return params
    fits = {
        "lists": min(params["lists"], max(1, count // POINTS_PER_CENTROID)),
        "bits": min(params["bits"], max(1, count.bit_length() - 1)),
        "sub_quantizers": min(params["sub_quantizers"], width),
    }
    fits["probes"] = min(params["probes"], fits["lists"])
    return params | fits


def search(
    index: faiss.Index, queries: np.ndarray, k: int, threads: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k best vectors for each query, as far as the index finds them.

    Parameters
    ----------
    index : what ``build`` gave
    queries : (n, d) float32, of the width of the vectors
    k : length of the lists; shorter where there are fewer vectors
    threads : as many as faiss takes where None

    Returns
    -------
    (n, k) int64 rows, best first, and (n, k) float32 scores, for ivf_pq approximate ones; where the
    index found fewer than k, the last rows are -1 and score -inf
    """
    with _threads(threads):
        scores, rows = index.search(_padded(queries, index.d), min(k, index.ntotal))
    scores[rows < 0] = -np.inf
    return rows, scores


def memory_of(index: faiss.Index) -> int:
    """Bytes that an index takes, on disk and, but for a few tables, in memory."""
    import faiss

    size = 0

    def count(part: bytes) -> int:
        nonlocal size
        size += len(part)
        return len(part)

    # the bytes are counted as they are written, and kept nowhere
    faiss.write_index(index, faiss.PyCallbackIOWriter(count))
    return size


def write_index(
    path: str | Path, sidecar: str | Path, index: faiss.Index, about: Mapping[str, Any]
) -> None:
    """Write an index and the sidecar without which ``read_index`` refuses it.

    Parameters
    ----------
    path, sidecar : to write
    index : what ``build`` gave
    about : what else the sidecar says: "rows", the digest of the row order, "dimension" of the
        vectors, and what they and the index were made from
    """
    import faiss

    with whole(path) as draft:
        faiss.write_index(index, str(draft))
        sha256 = digest_of_file(draft)
    told = {**about, "count": index.ntotal, "faiss": faiss.__version__, "sha256": sha256}
    write_json(sidecar, told)


def read_index(
    path: str | Path, sidecar: str | Path, rows: str
) -> tuple[faiss.Index, dict[str, Any]]:
    """An index, and what its sidecar says.

    faiss takes a file apart in C++ and trusts what stands there, so it is given none but the one
    that the sidecar knows by its sum.

    Parameters
    ----------
    path, sidecar : what ``write_index`` wrote
    rows : digest of the row order that it has to be of

    Raises ``BadInput`` for a file that is missing, changed, or of other rows.
    """
    import faiss

    if not Path(path).is_file():
        raise BadInput(path, "no such file", "an index", made_anew(path))
    about = read_json(sidecar)
    known = {"rows": str, "dimension": int, "count": int, "sha256": str}
    if not isinstance(about, dict) or any(
        not isinstance(about.get(key), kind) for key, kind in known.items()
    ):
        found = json.dumps(about)[:80]
        raise BadInput(sidecar, found, f"an object with {', '.join(known)}", made_anew(sidecar))
    if about["rows"] != rows:
        raise BadInput(
            sidecar,
            "an index of another list of images and captions",
            "this dataset's",
            made_anew(path),
        )
    if digest_of_file(path) != about["sha256"]:
        raise BadInput(
            path, "a file that changed after it was made", "its sidecar's sha256", made_anew(path)
        )
    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:  # of another version of faiss
        reason = str(error).strip().splitlines()[-1]
        raise BadInput(path, reason, "an index of this faiss", made_anew(path)) from None
    if index.ntotal != about["count"] or index.d < about["dimension"]:
        found = f"{index.ntotal} vectors of {index.d} dimensions"
        expected = f"{about['count']} of {about['dimension']}, as its sidecar says"
        raise BadInput(path, found, expected, made_anew(path))
    return index, about


def _trained_ivf_pq(params: Params, vectors: np.ndarray) -> faiss.IndexIVFPQ:
    """An empty index whose lists and codes are learnt from ``vectors``."""
    import faiss

    width = vectors.shape[1]
    index = faiss.IndexIVFPQ(
        faiss.IndexFlatIP(width),
        *(width, params["lists"], params["sub_quantizers"], params["bits"]),
        faiss.METRIC_INNER_PRODUCT,
    )
    index.nprobe = params["probes"]
    index.pq.cp.max_points_per_centroid, index.pq.cp.niter = CODE_POINTS, CODE_ROUNDS
    for kmeans in (index.cp, index.pq.cp):
        kmeans.seed = params["seed"]
        # faiss would warn on standard error; ``adapted`` has told what a small gallery gets
        kmeans.min_points_per_centroid = 1
    # a single vector has to stand for both centroids of the smallest k-means
    index.train(np.resize(vectors, (max(len(vectors), 2), width)))
    return index


def _padded(vectors: np.ndarray, width: int) -> np.ndarray:
    """``vectors`` with zeros up to ``width``, which change no inner product."""
    missing = width - vectors.shape[1]
    if missing < 0:
        raise ValueError(f"{vectors.shape[1]} dimensions; the index has {width}")
    if missing:
        vectors = np.pad(vectors, ((0, 0), (0, missing)))
    return np.ascontiguousarray(vectors, dtype=np.float32)


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let faiss, and the BLAS that came with it, use ``count`` threads inside the block."""
    import faiss

    before = faiss.omp_get_max_threads()
    if count is not None:
        faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
