"""Of many runs a few are shown: the best, and those next to the one that they are held against."""

from scripts.evaluate.few import few

SCORES = {name: score for score, name in enumerate("abcdefghijklmnopqrst")}


def test_few_are_the_best_and_the_first_with_its_neighbours_in_their_order():
    assert "".join(few(SCORES, "f", 6)) == "efgrst"
    # at either end, its neighbours are on one side
    assert "".join(few(SCORES, "a", 6)) == "abcrst"
    assert "".join(few(SCORES, "t", 4)) == "qrst"


def test_as_many_as_there_is_room_for_are_all_shown():
    assert few(SCORES, "c", len(SCORES)) == list(SCORES)
    assert few({"only": 0.5}, "only", 12) == ["only"]


def test_of_equal_scores_the_earlier_is_taken():
    assert few(dict.fromkeys("abcdef", 0.5), "a", 4) == ["a", "b", "c", "d"]
