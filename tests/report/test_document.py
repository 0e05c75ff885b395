"""The report as a document: complete, in order, true to its tables, the same in both languages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from fake_run import LANGUAGES, SCORERS, FakeRun
from fake_studies import STUDIES
from test_pictures import read_gallery
from told import NUMBER, Told

from scripts.data.rows import read_captions
from scripts.job import read_json, write_json
from scripts.report.blocks import spans_in
from scripts.report.spans import text_of
from scripts.report.speaker import Speaker
from scripts.report.write_analysis import QUESTIONS
from scripts.report.write_results import TOLD, UNSAID, discussed, told_of_example
from scripts.studies.study_published import TOLERANCE
from scripts.studies.words import split_at
from scripts.version import version_of_workflow
from scripts.words import read_words
from scripts.words.labels import read_labels

SECTIONS = {
    "question": (),
    "method": ("principle", "flow", "measures", "differences"),
    "data": ("dataset", "models", "features", "training", "cost"),
    "results": ("recall", "pairs"),
    "examples": ("text_to_image", "image_to_text"),
    "analysis": tuple(QUESTIONS),
    "optimisations": (),
    "conclusion": (),
    "references": (),
    "appendix": ("definitions", "code", "commands", "versions", "audit", "curves"),
    # the run has one scorer, so there is none to compare
    "studies": (
        *("examples_further", "text_to_image", "image_to_text"),
        *(name for name in STUDIES if name != "scorers"),
    ),
}
# what says nothing of numbers in a table: which run it is, what follows, what was not compared
NO_CLAIM = re.compile(
    r"(abstract|means)_\w+|(one|reference)_run|\w+_single|tally_(other|none)"
    r"|conclusion_(limits(_model)?|use_(reference|only)|cost_(same|templates|fusion|model))"
)
# counts of what a reader sees in the tables' rows, and so in no cell of them
COUNTS = {"runs", "models", "prompts", "total", "clear", "apart", "better", "worse", "alike"}


@pytest.fixture(params=LANGUAGES)
def told(documents, request) -> Told:
    return Told(documents[request.param])


def test_every_section_is_there_in_its_order_and_not_empty(told: Told):
    found = [one["id"] for one in told.all("heading")]
    expected = [
        id_
        for section, parts in SECTIONS.items()
        for id_ in (section, *(f"{section}-{part}" for part in parts))
    ]
    assert [id_ for id_ in found if id_ in expected] == sorted(
        expected, key=lambda id_: found.index(id_)
    )
    assert set(found) == set(expected)
    # strong words against Chinese letters would keep their asterisks
    assert not any("**" in text_of(spans) for spans in paragraphs(told))
    assert [id_ for id_ in found if id_ in SECTIONS] == list(SECTIONS)
    for section in expected:
        own = told.section(section)
        assert len(own.text) > 40 or own.all("references"), section


def test_headings_figures_tables_and_equations_are_numbered_in_their_order(told: Told):
    for kind in ("figure", "table", "equation"):
        numbers = [int(block["number"]) for block in told.all(kind)]
        assert numbers == list(range(1, len(numbers) + 1)) and numbers
    numbers = [one["number"] for one in told.all("heading") if one["level"] == 1]
    assert numbers == [*map(str, range(1, 9)), "", "A", "B"]


def test_all_that_is_referred_to_is_there_and_nothing_has_a_name_twice(told: Told):
    assert len(told.ids) == len(set(told.ids))
    led = [one for one in spans_in(told.document["blocks"]) if one["kind"] in ("ref", "cite")]
    assert len(led) > 20 and {one["to"] for one in led} <= set(told.ids)
    works = told.all("references")[0]["items"]
    cited = [one for one in led if one["kind"] == "cite"]
    assert [work["number"] for work in works] == [str(n + 1) for n in range(len(works))]
    assert {work["id"] for work in works} == {one["to"] for one in cited}


def test_both_languages_say_the_same_things_in_the_same_order(documents):
    first, second = (Told(documents[lang]) for lang in LANGUAGES)
    assert [(one["kind"], one.get("id")) for one in first.blocks] == [
        (one["kind"], one.get("id")) for one in second.blocks
    ]
    assert first.cells != second.cells
    for one, other in zip(first.all("table"), second.all("table"), strict=True):
        assert len(one["columns"]) == len(other["columns"])


def test_every_row_is_as_wide_as_its_head(told: Told):
    for table in told.all("table"):
        width = len(table["columns"])
        rows = [row for group in table["groups"] for row in group["rows"]]
        assert rows and all(len(row) == width for row in rows), table["id"]
        sides = sum(side["columns"] for side in table["sides"])
        assert sides in (0, width), table["id"]


def test_text_of_data_stays_what_it_is(fake_run: FakeRun, documents):
    captions = read_captions(fake_run.data / "captions.json")
    assert any("<script>" in text for texts in captions.values() for text in texts)
    for document in documents.values():
        told = Told(document)
        assert "truncated <b>file</b>" in told.text
        assert "A <b>processor</b>" in told.text


@pytest.mark.parametrize("way", ["text_to_image", "image_to_text"])
def test_galleries_show_what_their_tables_hold(fake_run: FakeRun, documents, way):
    table = read_gallery(fake_run, way)
    for document in documents.values():
        told = Told(document)
        names = (f"gallery_{way}", f"gallery_further_{way}")
        queries, further = (told.block(name).all("gallery")[0]["queries"] for name in names)
        assert [one["outcome"] for one in queries] == ["success", "near_miss", "failure"]
        items = [item for query in [*queries, *further] for item in query["items"]]
        first = table["query"] == table.groupby("outcome")["query"].transform("first")
        rows = pd.concat([table[first], table[~first]])
        assert len(rows) > first.sum()
        for item, row in zip(items, rows.itertuples(), strict=True):
            unsaid = [word for word in row.unsaid.split("; ") if word]
            assert (item["place"], item["right"]) == (str(row.place), bool(row.right))
            if way == "text_to_image":
                assert item["image"] == row.item_image
                assert (item["unsaid"] or {"words": []})["words"] == unsaid[:UNSAID]
            else:
                expected = split_at(row.item_text, unsaid)
                assert [(one["text"], one["marked"]) for one in item["pieces"]] == expected


@pytest.mark.parametrize("way", ["text_to_image", "image_to_text"])
def test_examples_are_discussed_by_what_their_tables_hold(fake_run: FakeRun, documents, way):
    table = read_gallery(fake_run, way)
    first = table["query"] == table.groupby("outcome")["query"].transform("first")
    for document in documents.values():
        told = Told(document)
        place = [one.get("id") for one in told.blocks].index(f"examples-{way}")
        text = Told({**document, "blocks": told.blocks[place + 1 : place + 2]}).text
        for _, part in table[first].groupby("query"):
            right, others = part[part.right].iloc[0], part[~part.right]
            if len(others):
                other = others.loc[others.place.idxmin()]
                gap = abs(right.score - other.score)
                assert f"{gap:.3f}" in text or pd.isna(gap)
                for words in (other.shared, other.unsaid):
                    assert all(word in text for word in words.split("; ")[:TOLD])
        # of where the others stand no more is said than that there are some
        rest = read_words("report", document["lang"])["text"]["examples_rest"]
        assert (rest in text) == (not first.all())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("way", ["text_to_image", "image_to_text"])
def test_opposite_examples_are_told_in_opposite_words(language, way):
    words, labels = read_words("report", language), read_labels(language)
    writer = SimpleNamespace(words=words, speaker=Speaker(words, labels))

    def told(outcome: str, scores: list[float], unsaid: str, shared: str) -> str:
        own = {"direction": way, "outcome": outcome, "unsaid": unsaid, "shared": shared}
        place = 1 if outcome == "success" else 2
        rows = [
            {**own, "place": 1 + at, "score": score, "right": 1 + at == place, "rank": place}
            for at, score in enumerate(scores)
        ]
        return text_of(told_of_example(writer, pd.DataFrame(rows)))

    found = [
        told("success", [0.5], "", ""),
        told("success", [0.5, 0.25], "red", "dog"),
        told("near_miss", [0.5, 0.25], "red", "dog"),
        told("near_miss", [0.5, 0.25], "", "dog"),
        told("near_miss", [0.5, 0.25], "red", ""),
        told("near_miss", [0.5, 0.25], "", ""),
        told("failure", [0.5, float("nan")], "<b>; b; c; d; e", "dog"),
    ]
    assert len({*found}) == len(found)
    assert ["0.250" in one for one in found] == [False, *[True] * 5, False]
    assert "nan" not in found[-1] and "<b>" in found[-1] and "d…" in found[-1]
    assert not any(re.search(r"[{}]", one) for one in found)


@pytest.mark.parametrize("language", LANGUAGES)
def test_other_examples_are_spoken_of_where_there_are_some(language):
    words = read_words("report", language)
    writer = SimpleNamespace(words=words, speaker=Speaker(words, read_labels(language)))
    own = {"query": 1, "direction": "text_to_image", "outcome": "failure", "rank": 2, "score": 0.5}
    shown = pd.DataFrame(
        [
            {**own, "place": 1, "right": False, "unsaid": "red", "shared": ""},
            {**own, "place": 2, "right": True, "unsaid": "", "shared": ""},
        ]
    )
    more = pd.concat([shown, shown.assign(query=2)])
    rest = words["text"]["examples_rest"]
    told = [text_of(discussed(writer, shown, drawn)["spans"]) for drawn in (shown, more)]
    assert [rest in text for text in told] == [False, True]


def test_every_figure_that_shows_data_names_the_tables_of_its_numbers(told: Told, fake_run):
    figures = told.all("figure")
    named = [re.findall(r"[\w./-]+\.csv", Told({"blocks": [one]}).text) for one in figures]
    assert [one["id"] for one, files in zip(figures, named, strict=True) if not files] == [
        "fig_flow"
    ]
    # the fake run has no table of what its pictures show
    pictured = {"tables/hubs.csv", "tables/failures.csv"}
    for file in {file for files in named for file in files} - pictured:
        folder = fake_run.folder if file.startswith("data/") else fake_run.results
        assert (folder / file).is_file()


def test_every_figure_and_table_of_the_run_stands_in_the_report_once(told: Told, fake_run):
    drawn = {path.name.split(".")[0] for path in (fake_run.results / "figures").glob("*.en.svg")}
    shown = {one["file"].split("/")[1].split(".")[0] for one in told.all("figure")}
    assert shown == drawn - {"gallery"}
    for name in STUDIES:
        assert (f"tab_study_{name}" in told.ids) == (name != "scorers")


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (0.45, ("rose from 45.0% before training to 60.0%", "由训练前的 45.0% 升至 60.0%")),
        (0.65, ("did not rise: 65.0% before training, 60.0% after", "没有提高：训练前 65.0%")),
    ],
)
def test_what_training_did_to_its_base_is_told_whichever_way_it_went(before, said, tmp_path):
    strengths = {("base", "plain", "cosine"): 0.1, ("tuned", "plain", "cosine"): 0.2}
    run = FakeRun(tmp_path, strengths, images=24, studies=(), base="base").sketch()
    path = tmp_path / "data" / "models" / "tuned" / "model.json"
    about = read_json(path)
    about["training"]["before"]["val_recall@10"] = before
    write_json(path, about)
    for lang, words in zip(LANGUAGES, said, strict=True):
        assert Told(run.document(lang)).text.count(words) == 1


@pytest.mark.parametrize("aside", [(2, 5, 1), (0, 5, 0), (0, 0, 2), (0, 0, 0)])
def test_why_a_split_may_hold_fewer_than_its_list_names_is_told_where_it_does(aside, tmp_path):
    run = FakeRun(tmp_path, {("m", "plain", "cosine"): 0.2}, images=24, studies=()).sketch()
    about = read_json(run.results / "audit.json")
    for kind, count in zip(("images", "captions"), aside[:2], strict=True):
        about[kind]["set_aside"] = count
    # in the list of a split, and among the captions alone
    reasons = ("missing file", "caption without image")[: aside[2]]
    names = [{"item": reason, "reason": reason, "detail": ""} for reason in reasons]
    about["set_aside"] = [*names, {"item": "a", "reason": "no caption", "detail": ""}]
    write_json(run.results / "audit.json", about)
    said = (
        "Set aside: images {}, captions {}; known by name without a file: {}.",
        "图像 {} 张、描述 {} 条，只有名字而没有文件的图像 {} 张，",
    )
    for lang, words in zip(LANGUAGES, said, strict=True):
        own = Told(run.document(lang)).section("data-dataset").text
        assert (words.format(*aside) in own) == any(aside)


def test_the_report_says_with_what_and_on_what_it_was_made(told: Told):
    versions = told.block("tab_versions").cells
    assert versions[0] == "clip-retrieval" and versions[1].startswith(version_of_workflow())
    assert "3.11.7" in versions
    assert re.search(r"2 (cores|核)", told.section("data-cost").text.replace("，", " "))


def test_recall_is_defined_where_it_is_tabled(documents):
    for lang, words in (("en", "at least one right answer"), ("zh", "至少有一个正确答案")):
        told = Told(documents[lang])
        assert words in told.block("tab_metrics").text and words in told.block("fig_recall").text


def test_the_same_run_gives_the_same_document(fake_run: FakeRun, documents):
    for lang in LANGUAGES:
        assert fake_run.document(lang, name="again") == documents[lang]


def test_no_path_of_this_machine_is_in_the_report(fake_run: FakeRun, documents):
    for document in documents.values():
        text = json.dumps(document)
        assert str(fake_run.folder) not in text and str(Path.cwd()) not in text


def test_a_model_of_this_disk_is_named_without_the_way_to_it(tmp_path: Path):
    run = FakeRun(tmp_path, {("own", "plain", "cosine"): 0.5}, images=24, studies=()).sketch()
    for about in (tmp_path / "data/models").glob("*/model.json"):
        known = json.loads(about.read_text("utf-8")) | {"source": "local"}
        about.write_text(json.dumps(known | {"repo": "/home/jo/models/mine"}), "utf-8")
    text = json.dumps(run.document("en"))
    assert "mine" in text and "/home/jo" not in text


def paragraphs(told: Told) -> list[list[dict[str, str]]]:
    """Every paragraph and every item of a list; an abstract refers to nothing beyond itself."""
    own = [one for one in told.blocks if one not in told.block("abstract").blocks]
    return [
        spans
        for one in own
        for spans in ([one["spans"]] if one["kind"] == "paragraph" else one.get("items", []))
        if isinstance(spans, list)
    ]


def assert_claims_name_their_tables(run: FakeRun, monkeypatch: pytest.MonkeyPatch):
    """Each claim's paragraph names a table, and each of its numbers stands in such a table."""
    said = []
    say = Speaker.say

    def listen(self, finding):
        sentence = say(self, finding)
        said.append((finding, text_of(sentence).removesuffix(".")))
        return sentence

    monkeypatch.setattr(Speaker, "say", listen)
    told = Told(run.document("en", name="claims"))
    texts = [(text_of(spans), spans) for spans in paragraphs(told)]
    claims = [(one, text) for one, text in said if not NO_CLAIM.fullmatch(one.key)]
    assert len(claims) > 20
    for finding, sentence in claims:
        where = [spans for text, spans in texts if sentence in text]
        assert where, finding.key
        for spans in where:
            tables = [one["to"] for one in spans if one.get("to", "").startswith("tab_")]
            assert tables, (finding.key, sentence)
            # how many queries a column is of stands above it
            cells = [cell for name in tables for cell in told.block(name).in_table]
            there = {number for cell in cells for number in NUMBER.findall(cell)}
            for name, value in finding.numbers.items():
                if name not in COUNTS and re.match(r"[+−\[\d]", str(value)):
                    assert set(NUMBER.findall(str(value))) <= there, (finding.key, name, value)


def test_every_claim_names_the_table_that_holds_its_numbers(fake_run, documents, monkeypatch):
    assert_claims_name_their_tables(fake_run, monkeypatch)


def test_a_table_is_named_once_in_a_paragraph(told: Told):
    for spans in paragraphs(told):
        led = [one["to"] for one in spans if one.get("to", "").startswith("tab_")]
        assert len(led) == len(set(led)), text_of(spans)


def test_sentences_hold_no_numbers_of_their_own():
    # depths, classes of rank, the level of intervals, and what published numbers may differ by
    allowed = {"1", "2", "5", "10", "95", *str(100 * TOLERANCE).split(".")}
    for lang in LANGUAGES:
        for key, phrase in read_words("report", lang)["findings"].items():
            assert set(re.findall(r"\d+", re.sub(r"\{\w+\}", "", phrase))) <= allowed, key


RUNS = {
    "one setting, nothing fails": ({("m", "plain", "cosine"): 2.0}, 12),
    "no better than chance": ({("m", "plain", "cosine"): 0.0, ("m", "photo", "cosine"): 0.0}, 50),
    "two models, two scorers": (
        {
            (model, prompt, scorer): strength
            for model, strength in (("clip-vit-b32", 0.1), ("siglip2-b16", 0.2))
            for prompt in ("plain", "ensemble")
            for scorer in ("cosine", "nnn")
        },
        40,
    ),
}


@pytest.mark.parametrize("case", RUNS)
def test_other_runs_give_other_reports_that_are_whole(case, tmp_path: Path):
    strengths, images = RUNS[case]
    run = FakeRun(
        tmp_path, strengths, images=images, trained=False, dataset="flickr8k",
        studies=("prompts", "scorers", "gallery"),
    ).sketch()  # fmt: skip
    documents = {lang: Told(run.document(lang)) for lang in LANGUAGES}
    for lang, told in documents.items():
        assert len(told.ids) == len(set(told.ids)) and "data-training" not in told.ids
        text = told.block("abstract").text
        assert len(text) < 800
        if lang == "zh":
            assert 100 <= len(re.findall(r"[\u4e00-\u9fff]", text)) <= 150
    english, chinese = (documents[lang].text for lang in ("en", "zh"))
    if case == "no better than chance":
        assert "not clearly above" in english and "并未明确高于" in chinese
    if case == "one setting, nothing fails":
        assert "This run has one prompt" in english and "本次运行只有一种提示模板" in chinese
    if case == "two models, two scorers":
        assert "siglip2-b16 does better" in english
        assert "siglip2-b16 优于" in chinese


def test_the_prompt_that_helped_and_the_one_that_hurt_are_named_so(documents):
    english, chinese = (Told(documents[lang]) for lang in ("en", "zh"))
    assert "ensemble does better than plain" in english.text
    assert "photo does worse than plain" in english.text
    assert "ensemble 优于 plain" in chinese.text and "photo 不如 plain" in chinese.text
    assert {"ensemble", "photo"} <= set(english.strong)


def test_no_model_is_called_openais_clip(told: Told):
    assert "OpenAI" not in told.text


def test_studies_without_rows_are_named_and_one_of_ones_own_has_its_place(tmp_path: Path):
    run = FakeRun(tmp_path, {("m", "plain", "cosine"): 0.2}, images=20,
                  titles={"mine": {"zh": "我的研究"}},
                  studies=("published", "prompts", "mine"))  # fmt: skip
    table = run.metrics.with_name("published.csv")
    table.write_text(table.read_text("utf-8").splitlines()[0] + "\n", "utf-8")
    (run.metrics.with_name("mine.csv")).write_text(
        run.metrics.with_name("leakage.csv").read_text("utf-8"), "utf-8"
    )
    run.sketch()
    empty = {"en": "nothing to show: Beside published numbers, Prompts",
             "zh": "没有可展示的内容：与公布的数字相比、提示模板"}  # fmt: skip
    for lang in LANGUAGES:
        told = Told(run.document(lang))
        assert "studies-published" not in told.ids and empty[lang] in told.text
        # a study of the user's own has no words here, but its title, its figure and its table
        assert "我的研究" in told.section("studies-mine").text
        assert {"fig_study_mine", "tab_study_mine"} <= set(told.ids)


def test_own_optimisations_are_told_with_gain_choice_and_literature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    strengths = {("tiny", "plain", scorer): 0.2 for scorer in ("cosine", *SCORERS)}
    strengths |= {("tiny", "plain", "nnn"): 0.3, ("tiny", "plain", "fusion"): 0.05}
    strengths |= {("tiny", "ensemble", "cosine"): 0.3, ("tuned", "plain", "cosine"): 0.3}
    run = FakeRun(
        tmp_path,
        strengths,
        images=60,
        base="tiny",
        studies=("prompts", "scorers", "seeds", "reranking"),
    ).sketch()
    scorers = {
        "en": ("Centring (centred)", "Nearest-neighbour normalisation (nnn)",
               "Inverted softmax (inverted-softmax)", "Residual adapter (adapter)",
               "Fusion of two encoders (fusion)", "A second look (cosine+blip+first)"),
        "zh": ("中心化（centred）", "最近邻归一化（nnn）", "反向 softmax（inverted-softmax）",
               "残差适配器（adapter）", "双编码器融合（fusion）", "复查（cosine+blip+first）"),
    }  # fmt: skip
    others = {
        "en": ("Prompt ensemble (ensemble)", "Fine-tuning (tuned)"),
        "zh": ("提示集成（ensemble）", "微调（tuned）"),
    }
    for lang in LANGUAGES:
        told = Told(run.document(lang))
        section, stop = told.section("optimisations"), {"en": ".", "zh": "。"}[lang]
        names = {f"{name}{stop}" for name in (*scorers[lang], *others[lang])}
        assert names <= set(section.strong)
        # and so before the first result
        first = {"en": "Cosine (cosine)", "zh": "余弦（cosine）"}[lang]
        used = told.section("data-features").text
        assert all(name in used for name in (first, *scorers[lang]))
        better, worse = {"en": ("does better than", "does worse than"), "zh": ("优于", "不如")}[
            lang
        ]
        assert f"nnn {better} cosine" in section.text and f"fusion {worse} cosine" in section.text
        assert f"tuned {better} tiny" in section.text
        assert "30.3" in section.text and "34.8" in section.text
        # of what there was to gain
        of = {"en": "of what a perfect second look would gain", "zh": "理想复查可得增益的"}[lang]
        text = section.text.replace("\u00a0", " ")
        assert of in text and "γ = 0.5" in text
        assert "w = 0.5, k = 4" in text and "w = 0.25, k = 16" in text
    assert_claims_name_their_tables(run, monkeypatch)


def test_every_measure_is_defined(told: Told):
    section = told.section("appendix-definitions").text
    for name in ("R-Precision", "mAP@R", "nDCG@10", "rsum", "Holm", "Kendall"):
        assert name in section
    cells = told.block("tab_statistics").cells
    assert "300" in cells and "999" in cells
