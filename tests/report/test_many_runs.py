"""With fifty runs a report stays one that can be read, and says where the rest is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fake_figures import assert_readable, many_changes, metrics, words_of
from fake_run import LANGUAGES, FakeRun
from fake_studies import settings_of, write_studies
from test_document import assert_claims_name_their_tables
from told import Told

from scripts.evaluate.few import FEW
from scripts.evaluate.pairs import WAYS
from scripts.figures.plot_hub_tradeoff import changes_of, plot_hub_tradeoff
from scripts.figures.plot_recall import plot_recall
from scripts.figures.plot_study import plot_study
from scripts.figures.style import PALETTE, sheet
from scripts.protocol import DIRECTIONS
from scripts.report.findings import told_of
from scripts.report.spans import text_of
from scripts.studies.shown import read_study
from scripts.words.labels import read_labels

# lines of a table that is read; of a dozen comparisons, each has three
MOST_LINES = 42
A4 = 11.7  # inches
RECALLS = [f"recall@{k}{end}" for k in (1, 5, 10) for end in ("", "_low", "_high")]
REST = {
    "en": "More rows ({}) stand in tables/metrics.csv",
    "zh": "其余 {} 行见 tables/metrics.csv",
}
SHAPES = {
    "ten models": [
        (f"model-{model}", prompt, scorer)
        for model in range(10)
        for prompt, scorer in (("plain", "cosine"), ("plain", "centred"), ("plain", "nnn"),
                               ("photo", "cosine"), ("ensemble", "cosine"))
    ],
    "fifty models": [(f"model-{model}", "plain", "cosine") for model in range(50)],
    "one model": [("tiny", f"prompt-{prompt}", "cosine") for prompt in range(47)]
    + [("tiny", "prompt-0", scorer) for scorer in ("centred", "nnn", "adapter")],
}  # fmt: skip
STUDIES = ("prompts", "scorers", "geometry", "precision", "gallery", "errors")


@pytest.fixture(scope="module", params=SHAPES)
def run(request, tmp_path_factory) -> FakeRun:
    lot = np.random.default_rng(1)
    strengths = {key: float(lot.uniform(0.05, 0.5)) for key in SHAPES[request.param]}
    folder = tmp_path_factory.mktemp("many")
    return FakeRun(folder, strengths, images=24, trained=False, studies=STUDIES).sketch()


def lines_of(told: Told, table: str) -> list[list[str]]:
    (block,) = told.block(f"tab_{table}").blocks
    return [row for group in block["groups"] for row in group["rows"]]


def test_every_claim_stands_in_a_table_that_was_shortened(run, monkeypatch):
    assert_claims_name_their_tables(run, monkeypatch)


def test_no_table_of_runs_has_a_line_for_each_and_all_say_where_the_others_are(run):
    for lang in LANGUAGES:
        told = Told(run.document(lang))
        for table in told.all("table"):
            name, lines = table["id"], sum(len(group["rows"]) for group in table["groups"])
            # what a model is, and the sums of its files, stand nowhere else
            if name not in ("tab_models", "tab_checksums", "tab_preprocessing"):
                assert lines <= MOST_LINES, (name, lines)
        # the reference and the best run have a line, and whoever is best in a column is bold
        shown = [[text_of(cell) for cell in row] for row in lines_of(told, "metrics")]
        assert len(shown) <= FEW + 6
        sums = [row[-1].partition("[")[0].strip() for row in shown]
        assert {f"{100 * sum_:.1f}" for sum_ in best_and_first(run)} <= set(sums)
        assert REST[lang].format(50 - len(shown)) in told.block("tab_metrics").text


def test_a_family_of_few_pairs_is_told_whole_and_of_many_the_best_and_those_near_zero():
    few, many = (pairs_with_leads(np.linspace(-0.2, 0.4, count)) for count in (12, 41))
    assert told_of(few, "prompt", "m") is few
    leads = told_of(many, "prompt", "m").drop_duplicates("prompt")["mean"]
    assert len(leads) == FEW
    assert set(leads) >= set(sorted(many["mean"])[-FEW // 2 :])
    assert set(leads) >= {lead for lead in many["mean"] if abs(lead) < 0.04}
    # of several models, those of the one that is looked at
    others = pd.concat([few.assign(model="a"), few.assign(model="m")])
    assert set(told_of(others, "prompt", "m").model) == {"m"}


def pairs_with_leads(leads: np.ndarray) -> pd.DataFrame:
    """Prompts of a model against its first one."""
    return pd.DataFrame([
        {"model": "m", "prompt": f"p{number}", "other_prompt": "p", "direction": way, "mean": lead}
        for number, lead in enumerate(leads) for way in WAYS
    ])  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_of_runs_that_no_sheet_holds_the_recall_of_a_few_is_drawn(language):
    table = metrics(10, 5, 1)
    first = ["clip-model-0", "a-prompt-name-0"]
    others = (table[["model", "prompt"]] != first).any(axis=1)
    table.loc[others & (table.model != "clip-model-7"), RECALLS] *= 0.5
    with sheet():
        figure = plot_recall(table, language)
        assert_readable(figure)
        words = words_of(figure)
    assert figure.get_figheight() < A4
    drawn = [word for word in words if word.startswith(("clip-model", "a-prompt"))]
    # in both panels or in one, each run has its prompt's name once
    assert sum(word.startswith("a-prompt") for word in drawn) == FEW
    assert {"clip-model-0", "clip-model-7"} <= set(drawn)
    assert any("50" in word and "tables/metrics.csv" in word for word in words)


@pytest.mark.parametrize("language", LANGUAGES)
def test_of_many_runs_those_that_gain_most_and_those_next_to_the_first_are_named(language):
    with sheet():
        figure = plot_hub_tradeoff(changes_of(*many_changes(49)), language)
        assert_readable(figure)
        names = [word for word in words_of(figure) if word.startswith("prompt number")]
    # each gains more than the one before it
    near, best = FEW - FEW // 2, FEW // 2
    assert names == [f"prompt number {n}" for n in (*range(near), *range(49 - best, 49))]


@pytest.mark.parametrize("study", ["gallery", "precision"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_more_models_than_colours_are_not_drawn_upon_each_other(study, language, tmp_path):
    labels = read_labels(language)
    for models, told in ((len(PALETTE), False), (50, True)):
        keys = [(f"model-{model}", "plain", "cosine") for model in range(models)]
        write_studies(tmp_path, keys, 100, 0)
        table = read_study(tmp_path / f"{study}.csv", study)
        with sheet():
            figure = plot_study(table, study, settings_of(study)["figure"], labels)
            assert_readable(figure)
            text = " ".join(words_of(figure))
        assert (f"tables/{study}.csv" in text) == told
        assert ("model-1" in text) == (not told)


@pytest.mark.parametrize("language", LANGUAGES)
def test_of_many_prompts_of_a_model_a_few_are_drawn(language):
    leads = np.linspace(-0.2, 0.4, 46)
    table = pd.DataFrame([
        {"model": "m", "prompt": f"p{number}", "scorer": "cosine", "direction": way,
         "group": f"p{number}", "x": np.nan, "measure": "mean", "queries": 100,
         "value": lead, "low": lead - 0.01, "high": lead + 0.01}
        for way in DIRECTIONS for number, lead in enumerate(leads)
    ])  # fmt: skip
    settings, labels = settings_of("prompts")["figure"], read_labels(language)
    with sheet():
        figure = plot_study(table, "prompts", settings, labels)
        assert_readable(figure)
        words = words_of(figure)
    assert sum(word.startswith("p") and word[1:].isdigit() for word in words) == FEW
    assert "p45" in words and any("46" in word and "tables/pairs.csv" in word for word in words)


def best_and_first(run: FakeRun) -> list[float]:
    """rsum of the best run and of the first one."""
    sums = pd.read_csv(run.metrics).query("direction == 'text_to_image'").rsum
    return [sums.max(), sums.iloc[0]]
