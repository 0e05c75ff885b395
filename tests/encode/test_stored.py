"""Features are read back whole, or refused with the file's name and what to do."""

import json

import numpy as np
import pytest

from scripts.data.rows import rows_of
from scripts.encode.stored import read_features, read_side_by_side
from scripts.job import BadInput, digest_of_file

ROWS = rows_of(["a.jpg", "b.jpg"], [["one", "two"], ["three"]])
FEATURES = np.array([[1, 0, 0], [0.6, 0.8, 0]], dtype=np.float32)


@pytest.fixture
def written(tmp_path):
    """Write an array and its sidecar, any part of which a test may spoil."""

    def write(features=FEATURES, **spoilt):
        npy, sidecar = tmp_path / "images.npy", tmp_path / "images.json"
        np.save(npy, features)
        about = {
            "rows": ROWS.digest, "shape": list(features.shape), "sha256": digest_of_file(npy)
        }  # fmt: skip
        sidecar.write_text(json.dumps(about | spoilt))
        return npy, sidecar

    return write


def test_features_come_back_as_they_were_written(written):
    assert np.array_equal(read_features(*written(), ROWS, of="images"), FEATURES)
    three = FEATURES[[0, 1, 0]]
    assert np.array_equal(read_features(*written(three), ROWS, of="captions"), three)


def test_several_copies_of_the_captions_are_read_only_where_as_many_are_asked_for(written):
    six = FEATURES[[0, 1, 0, 1, 1, 0]]
    files = written(six)
    assert np.array_equal(read_features(*files, ROWS, of="captions", copies=2), six)
    with pytest.raises(BadInput, match="3 rows, one for each of the captions"):
        read_features(*files, ROWS, of="captions")
    with pytest.raises(BadInput, match="9 rows, 3 for each of the captions"):
        read_features(*files, ROWS, of="captions", copies=3)


@pytest.mark.parametrize(
    ("features", "told"),
    [
        (FEATURES.astype(np.float64), "2-D float64"),
        (FEATURES[0], "1-D float32"),
        (FEATURES[:1], "2 rows"),
        (FEATURES * 1.002, "length 1"),
        (FEATURES * np.float32([[1], [np.nan]]), "row 1"),
        (np.float32([[np.inf, 0, 0], [1, 0, 0]]), "row 0"),
        (FEATURES * 0, "length 0.0000"),
    ],
    ids=["float64", "one row", "rows missing", "not of unit length", "nan", "inf", "zero"],
)
def test_features_that_are_not_unit_rows_are_refused(written, features, told):
    npy, sidecar = written(features)
    with pytest.raises(BadInput, match=told) as error:
        read_features(npy, sidecar, ROWS, of="images")
    assert f"delete {npy} and {sidecar} and run again" in str(error.value)


def test_rounding_within_the_tolerance_is_accepted(written):
    assert len(read_features(*written(FEATURES * 1.0005), ROWS, of="images")) == 2


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        ({"rows": "0" * 64}, "another list of images and captions"),
        ({"shape": [2, 4]}, "sidecar's"),
        ({"sha256": "0" * 64}, "changed after it was made"),
    ],
    ids=["other rows", "other shape", "other bytes"],
)
def test_features_that_the_sidecar_does_not_describe_are_refused(written, spoilt, told):
    with pytest.raises(BadInput, match=told):
        read_features(*written(**spoilt), ROWS, of="images")


def test_a_changed_row_is_noticed_by_the_checksum(written):
    npy, sidecar = written()
    np.save(npy, FEATURES[::-1])
    with pytest.raises(BadInput, match="changed after it was made"):
        read_features(npy, sidecar, ROWS, of="images")


def test_a_sidecar_without_its_keys_is_refused(written):
    npy, sidecar = written()
    sidecar.write_text('{"rows": "x"}')
    with pytest.raises(BadInput, match="the keys"):
        read_features(npy, sidecar, ROWS, of="images")


def test_a_pickled_array_is_refused_and_not_run(written, tmp_path):
    npy, sidecar = written()
    np.save(npy, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BadInput, match=r"images\.npy"):
        read_features(npy, sidecar, ROWS, of="images")


@pytest.mark.parametrize("kept", [0, 5, 100, 150])
def test_a_cut_file_is_refused(written, kept):
    npy, sidecar = written()
    npy.write_bytes(npy.read_bytes()[:kept])
    with pytest.raises(BadInput, match=r"images\.npy"):
        read_features(npy, sidecar, ROWS, of="images")


def test_missing_files_are_named(written):
    npy, sidecar = written()
    sidecar.unlink()
    with pytest.raises(BadInput, match=r"images\.json\n  found:    no such file"):
        read_features(npy, sidecar, ROWS, of="images")
    npy.unlink()
    with pytest.raises(BadInput, match=r"images\.npy\n  found:    no such file"):
        read_features(npy, sidecar, ROWS, of="images")


def test_features_of_two_models_stand_side_by_side(written, tmp_path):
    npy, sidecar = written()
    for path in (npy, sidecar):
        path.rename(path.with_stem("first"))
    narrow = np.array([[0, 1], [1, 0]], dtype=np.float32)
    other = written(narrow)
    npys, sidecars = [npy.with_stem("first"), other[0]], [sidecar.with_stem("first"), other[1]]
    features, widths = read_side_by_side(npys, sidecars, ROWS, of="images")
    assert np.array_equal(features, np.hstack([FEATURES, narrow]))
    assert widths.tolist() == [3, 2]
