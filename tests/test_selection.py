"""What a run leaves out where its dataset cannot serve it, and what stops it in words."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.config import ConfigError, checked, defaults, over_defaults
from scripts.selection import (
    asked_by_name,
    learns,
    leave_out,
    looks_at,
    prompts_behind,
    run_without,
)

FOLDER = {"source": "folder", "location": "photos"}


def config_of(splits: dict[str, int] | None, **run: Any) -> tuple[dict, set[str]]:
    """A checked config of a folder of one's own, and what it says by name."""
    entry = FOLDER | ({"splits": splits} if splits else {})
    own = {"run": {"dataset": "own", **run}, "datasets": {"own": entry}}
    return checked(over_defaults(own)), asked_by_name(own, {}, defaults())


def left(splits: dict[str, int] | None, **run: Any) -> dict:
    config, asked = config_of(splits, **run)
    leave_out(config, asked)
    return config["run"]


def test_with_test_alone_what_learns_or_compares_splits_is_left_out_and_named():
    run = left({"test": 1000})
    assert run["scorers"] == ["cosine"]
    assert run["left_out"]["split"] == {
        "scorers": ["centred", "nnn", "inverted-softmax", "adapter"],
        "studies": ["leakage"],
    }
    # one scorer is compared with nothing, and nobody judged or published these photos
    assert run["left_out"]["nothing"] == {"studies": ["judgments", "published", "scorers", "seeds"]}
    assert "images" not in run["left_out"] and "gallery" in run["studies"]


def test_of_few_images_no_groups_are_studied():
    run = left({"train": 100, "val": 20, "test": 384})
    assert set(run["left_out"]["images"]["studies"]) == {
        *("relevance", "gallery", "captions", "categories", "robustness", "geometry", "indexes"),
        "confidence",
        "precision",
    }
    assert "nnn" in run["scorers"] and "leakage" in run["studies"]
    assert run["indexes"] == []
    assert left({"test": 40}, indexes=["flat"])["indexes"] == ["flat"]
    enough = left({"train": 100, "val": 20, "test": 385})
    assert "images" not in enough["left_out"] and len(enough["indexes"]) == 3


def test_what_is_not_known_ahead_leaves_nothing_out_for_it():
    assert set(left(None)["left_out"]) == {"nothing"}


def of_two(first: dict[str, int] | None, second: dict[str, int], **run: Any) -> dict:
    """The run of two folders of one's own that hold so many images."""
    entries = {"one": FOLDER | ({"splits": first} if first else {}), "two": FOLDER}
    entries["two"] = entries["two"] | {"splits": second}
    own = {"run": {"dataset": ["one", "two"], **run}, "datasets": entries}
    config = checked(over_defaults(own))
    leave_out(config, asked_by_name(own, {}, defaults()))
    return config["run"]


def test_of_several_datasets_all_have_the_run_that_each_of_them_can_serve():
    whole, alone = {"train": 3000, "val": 400, "test": 400}, {"test": 1000}
    run = of_two(whole, alone)
    assert run["scorers"] == ["cosine"] and run["dataset"] == ["one", "two"]
    assert "leakage" in run["left_out"]["split"]["studies"]
    assert of_two(None, whole)["scorers"] == left(whole)["scorers"]
    assert set(of_two(whole, {**whole, "test": 40})["left_out"]["images"]["studies"]) >= {"gallery"}


def test_it_is_said_which_of_several_datasets_lacks_what_was_asked_for():
    whole = {"train": 30, "val": 10, "test": 10}
    with pytest.raises(ConfigError, match=r"'nnn' needs train and val, where two has no image"):
        of_two(whole, {"test": 10}, scorers=["cosine", "nnn"])
    with pytest.raises(ConfigError, match=r"datasets\.two\.splits: no image in test"):
        of_two(whole, {"train": 10, "val": 5})


def test_a_name_among_several_datasets_that_is_in_no_registry_is_told():
    own = {"run": {"dataset": ["scenes", "flickr8"]}}
    with pytest.raises(ConfigError, match=r"'flickr8' is not among the datasets.*'flickr8k'"):
        checked(over_defaults(own))


@pytest.mark.parametrize(
    ("run", "told"),
    [
        ({"scorers": ["cosine", "nnn"]}, r"run\.scorers: 'nnn' needs train and val"),
        ({"studies": ["leakage"]}, r"run\.studies: 'leakage' needs train and val"),
        ({"models": ["clip-vit-b32-tuned"]}, None),
    ],
)
def test_what_is_asked_for_by_name_stops_the_run_with_what_to_do(run, told):
    config, asked = config_of({"test": 1000}, **run)
    if told is None:  # trained on another dataset
        leave_out(config, asked)
        return
    with pytest.raises(ConfigError, match=told) as error:
        leave_out(config, asked)
    assert "datasets.own.splits" in str(error.value) and "leave it out" in str(error.value)


def test_a_model_that_is_trained_where_there_is_no_train_stops_the_run():
    own = {
        "run": {"dataset": "own", "models": ["tuned"], "scorers": ["cosine"], "studies": []},
        "datasets": {"own": FOLDER | {"splits": {"test": 9}}},
        "models": {"tuned": {"source": "train", "dataset": "own", "base": "clip-vit-b32"}},
    }
    config = checked(over_defaults(own))
    with pytest.raises(ConfigError, match="'tuned' is trained on own, which has no image in train"):
        leave_out(config, {"models", "scorers", "studies"})


def test_a_dataset_without_test_stops_the_run():
    config, asked = config_of({"train": 5, "val": 5})
    with pytest.raises(ConfigError, match="no image in test, which is what is measured"):
        leave_out(config, asked)


def test_a_study_of_few_images_is_made_where_it_is_asked_for_by_name():
    assert left({"test": 40}, studies=["gallery"])["studies"] == ["gallery"]


def test_a_finished_run_that_is_made_again_from_its_configuration_says_the_same():
    first = left({"test": 40})
    config = checked(over_defaults({"datasets": {"own": FOLDER | {"splits": {"test": 40}}}}))
    config["run"] = {**first}
    leave_out(config, set(first))
    assert config["run"] == first


def test_names_are_a_persons_own_where_they_are_typed_or_differ_from_the_default():
    default = defaults()
    typed = {"run": {"scorers": default["run"]["scorers"]}}
    assert asked_by_name(typed, {}, default) == {"scorers"}
    assert asked_by_name({}, {"run": default["run"] | {"prompts": ["photo"]}}, default) == {
        "prompts"
    }
    assert asked_by_name({}, {"run": default["run"]}, default) == set()
    assert asked_by_name({"run": None}, {"run": None}, default) == set()


@pytest.mark.parametrize(
    ("run", "answer"),
    [
        ({"scorers": ["cosine"], "studies": ["errors"]}, False),
        ({"scorers": ["cosine", "centred"], "studies": []}, True),
        ({"scorers": ["cosine"], "studies": ["leakage"]}, True),
        ({"scorers": ["cosine", "fusion"], "studies": []}, True),
    ],
)
def test_a_run_learns_where_a_scorer_or_a_study_needs_another_split(run, answer):
    config, _ = config_of(None, **run)
    assert learns("own", config, ["clip-vit-b32"]) is answer
    assert learns("flickr8k", config, ["clip-vit-b32-tuned", "clip-vit-b32"])


ELSEWHERE = {"source": "features", "path": "there", "prompts": ["plain"]}


def with_features(entry: dict, own_models: dict | None = None, **run: Any) -> tuple[dict, set[str]]:
    """A checked config of the default dataset with features ``api``, and what it says by name."""
    own = {
        "run": {"models": ["api"], **run},
        "models": {"api": ELSEWHERE | entry, **(own_models or {})},
    }
    return checked(over_defaults(own)), asked_by_name(own, {}, defaults())


def test_what_needs_the_model_itself_is_left_out_where_there_are_features_alone():
    config, asked = with_features({})
    leave_out(config, asked)
    run = config["run"]
    assert run["prompts"] == ["plain"] and "nnn" in run["scorers"]
    gone = ["photo", "picture", "showing", "ensemble", "judgments", "robustness", "precision"]
    assert run["left_out"]["model"] == {"api": gone}
    # of one prompt there is nothing to compare
    assert run["left_out"]["nothing"] == {"studies": ["prompts"]}
    assert not {"judgments", "robustness", "precision", "prompts"} & set(run["studies"])
    assert {"leakage", "errors", "indexes"} <= set(run["studies"])
    again = checked(over_defaults({"models": {"api": ELSEWHERE}, "run": {"models": ["api"]}}))
    again["run"] = {**run}
    leave_out(again, set(run))
    assert again["run"] == run


def test_an_ensemble_is_there_where_its_templates_are():
    held = ["plain", "photo", "picture", "showing", "depicts"]
    config, asked = with_features({"prompts": held})
    leave_out(config, asked)
    assert config["run"]["prompts"][-1] == "ensemble" and "judgments" in config["run"]["studies"]
    of_templates = prompts_behind(config, "api", "ensemble")
    assert list(of_templates) == held[:4] and of_templates["photo"] == ["a photo of {}"]
    config, _ = with_features({"prompts": ["plain", "ensemble"]})
    assert list(prompts_behind(config, "api", "ensemble")) == ["ensemble"]


def test_features_of_test_alone_leave_out_what_learns_and_compares_splits():
    config, asked = with_features({"splits": ["test"]})
    leave_out(config, asked)
    run = config["run"]
    assert run["scorers"] == ["cosine"] and "leakage" not in run["studies"]
    assert {"centred", "adapter", "leakage"} <= set(run["left_out"]["model"]["api"])


def test_another_model_keeps_what_features_lack():
    config, asked = with_features({}, models=["clip-vit-b32", "api"])
    leave_out(config, asked)
    run = config["run"]
    assert "photo" in run["prompts"] and "robustness" in run["studies"]
    assert {"photo", "robustness", "judgments"} <= set(run["left_out"]["model"]["api"])
    assert looks_at(config, "robustness") == ["clip-vit-b32"]
    assert looks_at(config, "leakage") == ["clip-vit-b32", "api"]
    assert run_without(config, "api", "photo", "cosine") == ["api"]
    assert run_without(config, "api", "plain", "nnn") == []
    # all of it is the second model's, so it may be asked for by name
    leave_out(*with_features({}, models=["clip-vit-b32", "api"], prompts=["plain", "photo"]))


def test_in_a_star_it_is_the_first_model_that_counts():
    star = {"combinations": "star"}
    config, asked = with_features({}, models=["clip-vit-b32", "api"], **star)
    leave_out(config, asked)
    assert "model" not in config["run"]["left_out"]
    config, asked = with_features({}, models=["api", "clip-vit-b32"], **star)
    leave_out(config, asked)
    assert "robustness" not in config["run"]["studies"] and config["run"]["prompts"] == ["plain"]


@pytest.mark.parametrize(
    ("entry", "run", "told"),
    [
        ({}, {"studies": ["robustness"]}, r"run\.studies: robustness cannot be had of api"),
        ({}, {"studies": ["judgments"]}, r"run\.studies: judgments cannot"),
        (
            {},
            {"prompts": ["plain", "photo"]},
            r"run\.prompts: photo cannot be had of api, .* without texts",
        ),
        (
            {"splits": ["test"]},
            {"scorers": ["cosine", "nnn"]},
            r"run\.scorers: nnn cannot .* without splits",
        ),
        (
            {"prompts": ["photo"]},
            {"models": ["clip-vit-b32", "api"]},
            r"models\.api: no features for 'plain' and 'cosine', which stand first",
        ),
        ({"prompts": ["photo"]}, {"scorers": ["cosine", "fusion"]}, None),
        ({"prompts": ["depicts"]}, {}, r"run\.prompts: plain, photo, .*, ensemble cannot"),
    ],
)
def test_what_features_lack_stops_the_run_where_it_is_asked_for_or_nothing_is_left(
    entry, run, told
):
    config, asked = with_features(entry, **run)
    if told is None:  # the other model of a fusion is there, and photo is the first that api has
        leave_out(config, asked)
        assert config["run"]["prompts"] == ["photo"]
        return
    with pytest.raises(ConfigError, match=told):
        leave_out(config, asked)


def test_the_other_model_of_a_fusion_may_lack_what_it_needs():
    config, asked = with_features({"splits": ["test"]}, models=["clip-vit-b32"])
    config["scorers"]["fusion"]["with"] = "api"
    config["run"]["scorers"] = ["cosine", "fusion"]
    leave_out(config, asked)
    assert config["run"]["scorers"] == ["cosine"]
    assert config["run"]["left_out"]["model"] == {"api": ["fusion"]}


RERANKED = {"rerankers": ["blip"]}
SPLITS = {"train": 400, "val": 400, "test": 400}


def test_a_reranker_makes_two_scorers_of_the_first_and_brings_its_study_along():
    config, asked = config_of(SPLITS, scorers=["nnn", "cosine"], **RERANKED)
    leave_out(config, asked)
    run, scorers = config["run"], config["scorers"]
    assert run["scorers"] == ["nnn", "cosine", "nnn+blip", "nnn+blip+first"]
    assert run["studies"][-1] == "reranking"
    alone, summed = (scorers[name] for name in run["scorers"][2:])
    assert (alone["kind"], alone["first"], alone["by"], alone["depth"]) == (
        *("reranked", "nnn", "blip", 128),
    )
    assert alone["weights"] == [] and summed["weights"][:2] == [0, 1]
    named = left(SPLITS, studies=["scorers"], **RERANKED)
    assert named["studies"] == ["scorers"]
    assert "reranking" not in left(SPLITS)["studies"]


def test_without_val_the_sum_of_both_scores_is_left_out_and_named_whatever_else_is_named():
    for scorers in ({}, {"scorers": ["cosine"]}):
        run = left({"test": 400}, **scorers, **RERANKED)
        assert run["scorers"] == ["cosine", "cosine+blip"]
        assert "cosine+blip+first" in run["left_out"]["split"]["scorers"]
        # what was left out once is named once where the run is made again
        again = left({"test": 400}, **RERANKED, left_out=run["left_out"])
        assert again["left_out"]["split"]["scorers"].count("cosine+blip+first") == 1


def test_with_its_sum_a_reranker_learns_and_without_it_does_not():
    config, asked = config_of(SPLITS, scorers=["cosine"], studies=[], **RERANKED)
    assert not learns("own", config, ["clip-vit-b32"])
    leave_out(config, asked)
    assert learns("own", config, ["clip-vit-b32"])
