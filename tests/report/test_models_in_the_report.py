"""What the report says of models: their precision, and where features are from."""

from __future__ import annotations

from fake_run import LANGUAGES, FakeRun
from told import Told

from scripts.job import read_json, write_json
from scripts.report.spans import text_of

FOUND = {
    "asked": "auto", "device": "cpu", "native": "bfloat16", "least_cosine": 0.999,
    "sample": {"splits": ["val", "train"], "images": 1064, "captions": 64},
    "cosines": {
        "bfloat16": {
            "images": {"smallest": 0.962304, "median": 0.996531},
            "texts": {"smallest": 0.999971, "median": 0.999986},
        }
    },
}  # fmt: skip
OVERFLOWN = {side: {"smallest": None, "median": None} for side in ("images", "texts")}
NATIVE = {"native": "float32", "sample": None, "cosines": {}}

# what a sentence on a precision that was chosen or named says
KEY = "encode.precision"


def paragraphs(told: Told) -> list[str]:
    return [text_of(one["spans"]) for one in told.all("paragraph")]


# of each model what was found, and what its sentence says and does not
CASES = {
    "a": ({"precision": "bfloat16", "reason": "close"},
          ["0.96230", "0.99997", "1,064"], ["0.99653"]),
    "b": ({"precision": "float32", "reason": "apart"},
          ["float32", "0.96230", "0.99653", "0.99997", "0.99998", "1,064", "64", "val, train"], []),
    "c": ({"precision": "float32", "reason": "not_finite", "cosines": {"bfloat16": OVERFLOWN}},
          ["bfloat16", "1,064"], ["0.9"]),
    "d": ({"precision": "float32", "reason": "native"} | NATIVE, ["float32", "cpu"], ["bfloat16"]),
}  # fmt: skip


def test_each_model_has_its_precision_and_why_it_was_taken(tmp_path):
    strengths = {(model, "plain", "cosine"): 0.2 for model in CASES}
    run = FakeRun(tmp_path, strengths, images=20, studies=()).sketch()
    run.precisions = {model: FOUND | found for model, (found, _, _) in CASES.items()}
    for lang in LANGUAGES:
        said = {one[0]: one for one in paragraphs(Told(run.document(lang))) if KEY in one}
        assert [*said] == [*CASES]
        for model, (_, shown, hidden) in CASES.items():
            assert all(number in said[model] for number in shown), said[model]
            assert not any(number in said[model] for number in hidden), said[model]


def test_of_features_that_were_made_elsewhere_what_is_unknown_is_told_once(tmp_path):
    run = FakeRun(tmp_path, {("api", "plain", "cosine"): 0.2}, images=20, studies=()).sketch()
    folder = run.folder / "data/models/api"
    about = read_json(folder / "model.json")
    about |= {"source": "features", "architecture": "features", "parameters": None}
    about.pop("training", None)
    for file in folder.iterdir():
        file.unlink()
    write_json(folder / "model.json", about)
    known = ("rows", "shape", "sha256", "model", "templates")
    for path in (run.results / "api/test").glob("*.json"):
        write_json(path, {k: v for k, v in read_json(path).items() if k in known})
    told = [Told(run.document(lang)) for lang in ("en", "zh")]
    en, zh = (one.text for one in told)
    assert "The features of api were made elsewhere" in en and "api 的特征在别处算好" in zh
    assert KEY not in en and "whichever precision it computed in (not stated)" in en
    assert "features made elsewhere" in en and "在别处算好的特征" in zh
    assert "How they prepare their input is not known" in en and "它们如何处理输入" in zh
    for one in told:
        assert "tab_models" in one.ids and "tab_preprocessing" not in one.ids
        assert one.cells.count("not stated") + one.cells.count("未说明") <= 1


def test_a_precision_that_the_configuration_names_is_told_as_that(documents):
    for lang, words in (("en", "the one that the configuration names"), ("zh", "由配置指定")):
        said = [one for one in paragraphs(Told(documents[lang])) if KEY in one]
        assert len(said) == 1 and words in said[0]
