"""Evidence for failures against loops over pairs, and the kinds that follow from it."""

from __future__ import annotations

import statistics
from dataclasses import replace

import numpy as np
import pytest
from small_run import COUNTS, collection, job_of, read_table, reference_of, unit

from scripts.data.rows import rows_of
from scripts.evaluate.intervals import Resampling
from scripts.protocol import TIE
from scripts.studies import study_errors
from scripts.studies.evidence import differing, likeness, mentions_of, misses_of, same_words
from scripts.studies.study_errors import (
    FAILURE_COLUMNS,
    KINDS,
    WORDED,
    error_rows,
    failures_of,
    mark_examples,
    mentions_of_parts,
)
from scripts.studies.words import pattern_of

RESAMPLING = Resampling(300, 0)
DIRECTIONS = ("text_to_image", "image_to_text")
NOBODY = np.empty((0, 2), dtype=np.int64)
LEXICON = {
    "colours": {"red": ["red"], "blue": ["blue", "navy"]},
    "numbers": {"two": ["two", "a pair"]},
    "categories": {"dogs": ["dog", "dogs"], "cars": ["car"], "狗": ["狗"]},
    "actions": {"run": ["runs", "running"]},
}


def scores_of(reference, direction: str) -> np.ndarray:
    queries, gallery = reference.sides(direction)
    return np.array(
        [[float(np.sum(q * item)) for item in gallery.astype(float)] for q in queries.astype(float)]
    )


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("twins", [False, True])
@pytest.mark.parametrize("mapped", [False, True])
def test_misses_are_those_of_a_loop_over_all_scores(direction, twins, mapped, biased):
    rows, images, texts = collection(COUNTS, seed=6, dim=3, noise=2, twins=twins)
    reference = reference_of(rows, images, texts, biased if mapped else None)
    own, by_text = rows.image_of_caption, direction == "text_to_image"
    expected = {}
    for query, scores in enumerate(scores_of(reference, direction)):
        image_of_item = np.arange(len(images)) if by_text else own
        image = own[query] if by_text else query
        right = [item for item in range(len(scores)) if image_of_item[item] == image]
        wrong = [item for item in range(len(scores)) if image_of_item[item] != image]
        best = max(scores[item] for item in right)
        ahead = [item for item in wrong if scores[item] >= best - TIE]
        if ahead:
            expected[query] = (1 + len(ahead), best, max(scores[item] for item in wrong))
    misses = misses_of(reference, direction)
    assert misses.query.tolist() == list(expected)
    for place, query in enumerate(misses.query):
        rank, best, worst = expected[query]
        top, right = misses.top[place], misses.right[place]
        assert misses.rank[place] == rank
        scores = scores_of(reference, direction)[query]
        assert scores[right] == pytest.approx(best)
        assert scores[top] == pytest.approx(worst, abs=2e-7)
        assert misses.margin[place] == pytest.approx(worst - best, abs=2e-7)
        pair = (misses.caption[place], misses.image[place])
        assert pair == ((query, top) if by_text else (top, query))
        assert own[pair[0]] != pair[1]


def test_likeness_is_the_largest_cosine_with_the_captions_of_an_image():
    rows, _, texts = collection(COUNTS, seed=7, twins=True)
    own = rows.image_of_caption
    caption, image = (
        side.ravel() for side in np.meshgrid(np.arange(len(texts)), np.arange(len(COUNTS)))
    )
    found = likeness(texts, rows, caption, image)
    for place, (mine, theirs) in enumerate(zip(caption, image, strict=True)):
        cosines = [
            float(np.sum(texts[mine].astype(float) * texts[other]))
            for other in range(len(texts))
            if own[other] == theirs and other != mine
        ]
        if cosines:
            assert found[place] == pytest.approx(max(cosines))
        else:
            assert np.isnan(found[place])
    none = np.empty(0, dtype=np.int64)
    assert likeness(texts, rows, none, none).shape == (0,)


def test_captions_are_the_same_by_their_words():
    rows = rows_of(
        ["a", "b"], [["A dog runs .", "两只狗！"], ["a dog RUNS", "a dog", "?!", "两只狗"]]
    )
    pairs = [(0, 1), (2, 0), (3, 0), (1, 1), (4, 0)]
    caption, image = np.array(pairs).T
    assert same_words(rows, caption, image).tolist() == [True, True, False, True, False]


def test_names_differ_where_no_caption_of_the_image_has_any_of_their_words():
    rows = rows_of(
        ["a", "b", "c"],
        [
            ["A red Car beside a pair of dogs", "一只狗"],
            ["navy cars", "two things, blue"],
            ["reduced scarlet"],
        ],
    )
    words = {**LEXICON["colours"], **LEXICON["numbers"], **LEXICON["categories"]}
    caption, image = np.array([(0, 1), (0, 2), (2, 0), (1, 2), (4, 0)]).T
    names = differing(mentions_of(rows, words), caption, image)
    assert names == [["red", "dogs", "cars"], ["red", "two", "dogs", "cars"], ["blue"], ["狗"], []]


def kinds_of(captions, images, texts, direction="text_to_image", fitting=NOBODY, far=0.9):
    """Query -> kind, for captions, image features and text features set by hand."""
    rows = rows_of([f"{place}.jpg" for place in range(len(captions))], captions)
    reference = reference_of(rows, unit(np.array(images, float)), unit(np.array(texts, float)))
    failures = failures_of(reference, direction, fitting, mentions_of_parts(rows, LEXICON), far)
    return {failure["query"]: failure for failure in failures}


# the first caption lies beside the second image, and close to what its captions say
IMAGES = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0.1, 1]]
TEXTS = [[0.2, 1, 0], [1, 0.1, 0], [0, 1, 0.1], [0.1, 1, 0]]
# and there are captions that are further from their siblings
TEXTS += [[0, 0, 1], [0, -1, -0.1], [0, 0.1, 1], [-1, -1, -0.1]]


def captions_with(query: str, theirs: str = "something else is here", own: str = "mine"):
    last = [["a thing of its own", "and once more"], ["another thing of its own", "and again"]]
    return [[query, own], [theirs, "nothing"], *last]


@pytest.mark.parametrize(
    ("query", "theirs", "kind"),
    [
        ("A dog runs .", "a DOG, runs", "identical_caption"),
        ("a red dog runs", "a blue dog is running", "colour"),
        ("two red dogs", "a dog", "number"),
        ("a red dog runs", "a blue dog", "action"),
        ("two red dogs running", "a car", "object"),
        ("an unnamed thing", "one more thing", "look_alike"),
    ],
)
def test_a_failure_is_of_the_kind_that_its_words_show(query, theirs, kind):
    failure = kinds_of(captions_with(query, theirs), IMAGES, TEXTS)[0]
    assert failure["kind"] == kind
    assert failure["top_item"] == 1
    assert failure["right_item"] == 0


def test_who_is_accepted_by_people_needs_no_other_reason():
    found = kinds_of(captions_with("a red dog"), IMAGES, TEXTS, fitting=np.array([[0, 1]]))
    assert found[0]["kind"] == "accepted"
    found = kinds_of(captions_with("a red dog"), IMAGES, TEXTS, fitting=np.array([[0, 2], [1, 1]]))
    assert found[0]["kind"] == "object"


@pytest.mark.parametrize(("theirs", "kind"), [("a car", "tie"), ("a dog", "identical_caption")])
def test_a_tie_is_told_before_all_but_the_equal_captions_that_make_it(theirs, kind):
    images = [[1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0.1, 1]]
    texts = [[1, 0, 0], [1, 0.1, 0], [0, 1, 0], [0, 1, 0.1], *TEXTS[4:]]
    failure = kinds_of(captions_with("a dog", theirs), images, texts)[0]
    assert failure["kind"] == kind
    assert failure["top_item"] == 1
    assert failure["margin"] == 0


def lone_query(words: str, far: float) -> str:
    """The kind of a query far from its siblings and from those of the image found."""
    captions = [
        [words, "some words that are of no kind of use", "some words that are of no kind at all"],
        ["the words of another image that nobody has named"],
        ["once more the words of another image to be told"],
    ]
    images = [[1, 0, 0], [0, 0, 1], [0, 1, 0.2]]
    texts = [[0.1, 0, 1], [1, 0, 0], [1, 0.01, 0], [0, 1, 0], [0, 1, 0.1]]
    return kinds_of(captions, images, texts, far=far)[0]["kind"]


def test_what_has_no_words_to_differ_in_is_vague_or_far_off_or_of_no_kind():
    assert lone_query("a picture", far=0.1) == "vague"
    assert lone_query("a long list of words that say nothing of this image", far=0.1) == "far"
    assert lone_query("a long list of words that say nothing of this image", far=1) == "other"


def test_from_an_image_the_retrieved_caption_is_what_is_asked():
    # the first image retrieves the third caption, which is the second image's
    images = [[1, 0, 0], [0.9, 0.5, 0]]
    texts = [[1, 0.6, 0], [1, 0.7, 0], [1, 0.1, 0], [0.9, 0.6, 0]]
    captions = [["a blue dog runs", "a dog runs"], ["a red dog runs", "a dog"]]
    failure = kinds_of(captions, images, texts, "image_to_text")[0]
    assert (failure["kind"], failure["missing_colours"]) == ("colour", "red")
    assert failure["query_image"] == failure["right_image"] == "0.jpg"
    assert failure["query_text"] == ""
    assert (failure["top_image"], failure["top_text"]) == ("1.jpg", "a red dog runs")
    assert failure["right_text"] == "a blue dog runs"
    assert (failure["differing"], failure["words"]) == ("red", 4)
    accepted = np.array([[2, 0]])
    assert kinds_of(captions, images, texts, "image_to_text", accepted)[0]["kind"] == "accepted"


def test_an_empty_lexicon_and_lone_captions_give_kinds_all_the_same():
    rows, images, texts = collection([1] * 12, seed=3, dim=3, noise=3)
    reference = reference_of(rows, images, texts)
    for direction in DIRECTIONS:
        failures = failures_of(reference, direction, NOBODY, mentions_of_parts(rows, {}), 0.5)
        assert failures
        assert {failure["kind"] for failure in failures} <= {"far", "other"}
        assert {failure["yardstick"] for failure in failures} == {None}


@pytest.fixture
def failures():
    rows, images, texts = collection([4] * 30, seed=6, dim=3, noise=2, twins=True)
    reference = reference_of(rows, images, texts)
    mentions = mentions_of_parts(rows, {"numbers": {"odd": ["1", "3"]}})
    return reference, failures_of(reference, "text_to_image", NOBODY, mentions, 0.3), mentions


def test_shares_are_of_all_misses_and_counts_of_each_kind(failures):
    reference, found, mentions = failures
    kinds = [*sorted({failure["kind"] for failure in found}), "accepted"]
    table = error_rows(reference, "text_to_image", found, mentions, kinds, RESAMPLING)
    shares = [row for row in table if row["measure"] == "share"]
    assert [row["group"] for row in shares] == kinds
    assert sum(row["value"] for row in shares) == pytest.approx(1)
    assert len(kinds) >= 4
    for row in shares:
        ranks = [failure["rank"] for failure in found if failure["kind"] == row["group"]]
        assert row["queries"] == len(ranks)
        assert row["value"] == pytest.approx(len(ranks) / len(found))
        assert row["low"] <= row["value"] <= row["high"]
        (median,) = [
            other["value"]
            for other in table
            if other["measure"] == "median_rank" and other["group"] == row["group"]
        ]
        assert median == (statistics.median(ranks) if ranks else None)
    assert all(tuple(failure) and set(failure) == set(FAILURE_COLUMNS) for failure in found)


def kind_by_words(text: str, others: list[str]) -> str:
    """The largest thing that a caption names and others do not, as a reader would look for it."""
    missing = {
        part
        for part, names in LEXICON.items()
        for words in names.values()
        if any(pattern_of([word]).search(text) for word in words)
        and not any(pattern_of(words).search(other) for other in others)
    }
    for part, kind in zip(
        ("categories", "actions", "numbers", "colours"),
        ("object", "action", "number", "colour"),
        strict=True,
    ):
        if part in missing:
            return kind
    return ""


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_what_words_show_is_held_against_the_same_captions_beside_their_own_image(direction):
    lot = np.random.default_rng(3)
    said = ["a red dog", "two dogs", "a blue car", "a dog runs", "a pair of red cars", "running"]
    counts = [4, 3, 1, 4, 2, 5, 4, 3] * 3
    captions = [[str(lot.choice(said)) for _ in range(count)] for count in counts]
    _, images, texts = collection(counts, seed=2, dim=3, noise=2)
    reference = reference_of(rows_of([f"{n}.jpg" for n in range(24)], captions), images, texts)
    rows, mentions = reference.rows, mentions_of_parts(reference.rows, LEXICON)
    found = failures_of(reference, direction, NOBODY, mentions, 0.9)
    table = error_rows(reference, direction, found, mentions, list(KINDS), RESAMPLING)
    beside = {(one["group"], one["measure"]): one for one in table}
    wrong, right = [], []
    for failure in found:
        pair = (failure["query"], failure["top_item"])
        caption, image = pair if direction == "text_to_image" else pair[::-1]
        own = rows.image_of_caption[caption]
        if min(counts[image], counts[own]) < 2:
            continue
        theirs, text = rows.captions_of(image), rows.captions[caption]
        siblings = [
            rows.captions[one] for one in range(len(texts))
            if rows.image_of_caption[one] == own and one != caption
        ]  # fmt: skip
        kinds = [kind_by_words(text, theirs[:k] + theirs[k + 1 :]) for k in range(len(theirs))]
        wrong.append({kind: kinds.count(kind) / len(kinds) for kind in WORDED})
        right.append(kind_by_words(text, siblings))
    assert 10 < len(right) < len(found)
    for kind in WORDED:
        base, excess = beside[kind, "base"], beside[kind, "excess"]
        assert base["value"] == pytest.approx(right.count(kind) / len(right))
        share = sum(one[kind] for one in wrong) / len(wrong)
        assert excess["value"] == pytest.approx(share - base["value"], abs=1e-9)
        assert base["queries"] == excess["queries"] == len(right)
        assert excess["low"] < excess["value"] < excess["high"]
    assert not any(("far", measure) in beside for measure in ("base", "excess"))


def test_captions_without_siblings_have_no_right_pair_to_be_held_against():
    rows, images, texts = collection([1] * 12, seed=3, dim=3, noise=3)
    reference = reference_of(rows, images, texts)
    mentions = mentions_of_parts(rows, LEXICON)
    failures = failures_of(reference, "text_to_image", NOBODY, mentions, 0.5)
    table = error_rows(reference, "text_to_image", failures, mentions, list(KINDS), RESAMPLING)
    assert {one["measure"] for one in table} == {"share", "median_rank"}


def test_a_run_without_misses_has_no_rows(failures):
    reference, _, mentions = failures
    assert error_rows(reference, "text_to_image", [], mentions, ["far"], RESAMPLING) == []
    perfect = replace(reference.run, ranks={way: np.ones(4, dtype=int) for way in DIRECTIONS})
    nothing = replace(reference, run=perfect)
    for direction in DIRECTIONS:
        mentions = mentions_of_parts(reference.rows, LEXICON)
        assert failures_of(nothing, direction, NOBODY, mentions, 0.1) == []


def test_examples_are_drawn_by_lot_from_each_kind(failures):
    _, found, _ = failures

    def drawn(seed: int) -> list[int]:
        for failure in found:
            failure["example"] = 0
        mark_examples(found, 2, seed)
        return [failure["query"] for failure in found if failure["example"]]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    for kind in KINDS:
        own = [failure["example"] for failure in found if failure["kind"] == kind]
        assert sum(own) == min(2, len(own))


@pytest.mark.parametrize("judged", [False, True])
def test_the_rule_writes_both_tables(tmp_path, judged):
    captions = captions_with("a red dog runs", "a blue dog runs")
    rows = rows_of([f"{place}.jpg" for place in range(len(captions))], captions)
    reference = reference_of(rows, unit(np.array(IMAGES, float)), unit(np.array(TEXTS, float)))
    task = job_of(tmp_path, reference, examples=1, far=0.5, lexicon=LEXICON)
    ratings = [f"expert,1.jpg,0.jpg,0,{rating},1" for rating in (4, 3, 1)] if judged else []
    header = "source,image,caption_image,caption,rating,votes"
    task.input.judgments = str(tmp_path / "judgments.csv")
    (tmp_path / "judgments.csv").write_text("\n".join([header, *ratings]) + "\n", "utf-8")
    task.output.failures = str(tmp_path / "failures.csv")
    study_errors.main(task)
    failures = read_table(task.output.failures)
    first = failures[0]
    assert (first["query"], first["query_text"]) == ("0", "a red dog runs")
    assert first["kind"] == ("accepted" if judged else "colour")
    kinds = [kind for kind in KINDS if kind in {failure["kind"] for failure in failures}]
    table = read_table(task.output.table)
    for direction in DIRECTIONS:
        own = [(row["group"], row["measure"]) for row in table if row["direction"] == direction]
        missed = direction in {failure["direction"] for failure in failures}
        every = [
            (kind, measure)
            for kind in kinds
            for measure in ("share", "median_rank", *(("base", "excess") * (kind in WORDED)))
        ]
        assert own == (every if missed else [])
        for kind in kinds:
            drawn = [
                failure["example"]
                for failure in failures
                if (failure["direction"], failure["kind"]) == (direction, kind)
            ]
            assert drawn.count("1") == min(1, len(drawn))
