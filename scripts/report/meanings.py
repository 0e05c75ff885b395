"""What an answer means for who searches: a sentence or two for each question, by what was found.

No sentence has numbers of its own. Each is earned by findings of its question, and another one by
their opposites.
"""

from __future__ import annotations

from collections.abc import Sequence

from scripts.report.findings import Finding

_WARNS, _SILENT = {"confidence_warns"}, {"confidence_silent", "confidence_misleads"}
_BY_HUBS = {"prompt_hubs", "prompt_hubs_more", "link_fall_gain"}
_NOT_BY_HUBS = {"prompt_no_hubs", "prompt_hubs_harmless", "link_fall_nothing"}
_MORE_RIGHT = {"relevance_people_clear", "relevance_duplicates_clear"}
_AS_RIGHT = {
    f"relevance_{of}_{how}" for of in ("people", "duplicates") for how in ("slight", "none")
}
_NO_LEAK = {"leakage_none", "leakage_images_alike", "leakage_images_rises"}
_NO_INDEX = {"index_costs_none", "index_costs_misses", "index_costs_slow"}

# question -> its points -> sentences, and of which findings each asks one; the first is said that
# this run has earned
MEANINGS: dict[str, tuple[dict[str, tuple[set[str], ...]], ...]] = {
    "why": (
        {"near": ({"near_misses_more"},), "far": ({"near_misses_fewer"},)},
        {"fitted": ({"fit_train", "fit_trained"},)},
        {"common": ({"agreement_more"},), "uncommon": ({"agreement_alike"},)},
        {"warned_partly": (_WARNS, _SILENT), "warned": (_WARNS,), "unwarned": (_SILENT,)},
    ),
    "together": (
        {
            "hubs_partly": (_BY_HUBS, _NOT_BY_HUBS),
            "hubs": (_BY_HUBS,),
            "hubs_open": ({"prompt_hubs_both"},),
            "no_hubs": (_NOT_BY_HUBS,),
        },
        {"dose": ({"shift_dose"},)},
        {"unshift": ({"shift_most", "shift_part"},), "no_unshift": ({"shift_none"},)},
    ),
    "language": (
        {"bag": ({"words_bag"},), "order": ({"words_order"},)},
        {"ways_alike": ({"alone_alike"},), "ways_apart": ({"alone_easier", "alone_harder"},)},
    ),
    "scale": (
        {"size": ({"gallery_falls"},), "no_size": ({"gallery_holds"},)},
        {"index": ({"index_costs_pays"},), "no_index": (_NO_INDEX,)},
    ),
    "beyond": (
        {"lower_bound": (_MORE_RIGHT,), "counted": (_AS_RIGHT,)},
        {"leak": ({"leakage_images_falls"},), "no_leak": (_NO_LEAK,)},
    ),
}


def meanings(question: str, found: Sequence[Finding]) -> list[Finding]:
    """What the findings of a question mean; nothing where they tell neither way."""
    keys = {one.key for one in found}
    said = []
    for point in MEANINGS[question]:
        earned = (name for name, asked in point.items() if all(keys & one for one in asked))
        said += [Finding(f"means_{name}") for name in list(earned)[:1]]
    return said
