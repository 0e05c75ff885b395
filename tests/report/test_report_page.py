"""The report as a whole: complete, escaped, self-contained, true to its tables, repeatable."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fake_run import LANGUAGES, SCORERS, FakeRun
from fake_studies import STUDIES, settings_of
from html_page import Document, abstract_of, section_of
from test_figures import read_gallery

from scripts.data.rows import read_captions
from scripts.job import read_json, write_json
from scripts.report.page import Speaker
from scripts.report.report_page import UNSAID
from scripts.report.sections import PICTURES
from scripts.studies.words import split_at
from scripts.version import version_of_workflow
from scripts.words import read_words

RESULTS = ("relevance", "judgments", "published")
SECTIONS = {
    "method": ("principle", "flow", "measures"),
    "data": ("dataset", "models", "features", "training", "cost"),
    "results": ("recall", "depth", "differences", *(f"study_{name}" for name in RESULTS)),
    "examples": ("text_to_image", "image_to_text"),
    # the run has one scorer, so there is none to compare
    "analysis": (
        "outcomes",
        "contrasts",
        *(f"study_{name}" for name in STUDIES if name not in (*RESULTS, "scorers")),
    ),
    "optimisations": (),
    "outlook": (),
    "appendix": ("definitions", "commands", "code", "versions", "checksums"),
}
# counts of what a reader sees in the tables' rows, and so in no cell of them
COUNTS = {"runs", "models", "prompts", "total", "clear", "apart", "better", "worse", "alike"}
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


@pytest.fixture(scope="module")
def documents(pages) -> dict[str, Document]:
    """The reports of ``pages``, read once."""
    return {lang: Document(html) for lang, html in pages.items()}


@pytest.fixture(params=LANGUAGES)
def page(documents, request) -> Document:
    return documents[request.param]


def test_every_tag_is_closed_and_every_id_is_there_once(page: Document):
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))


def test_every_section_is_there_numbered_and_not_empty(pages, documents):
    for lang, html in pages.items():
        document = documents[lang]
        for section, parts in SECTIONS.items():
            assert section in document.ids
            for part in parts:
                assert f"{section}-{part}" in document.ids, part
        headings = [one["text"] for one in document.all("h2") + document.all("h3")]
        assert all(
            re.match(r"[0-9A]", text)
            for text in headings
            if text not in ("Abstract", "摘要", "Before you read the numbers", "读数之前")
        )
        pieces = re.split(r"<(h[23])[^>]*>.*?</h[23]>", html)[1:]
        tags, contents = pieces[::2], pieces[1::2]
        for tag, content, following in zip(tags, contents, [*tags[1:], "h2"], strict=True):
            plain = re.sub(r"<[^>]+>", "", content).strip()
            assert len(plain) > 10 or (tag == "h2" and following == "h3")


def assert_numbered_in_order(page: Document):
    captions = [one["text"] for one in page.all("figcaption")]
    for word in (("Figure", "图"), ("Table", "表")):
        own = [text for text in captions if text.startswith(word)]
        numbers = [int(re.search(r"\d+", text)[0]) for text in own]
        assert numbers == list(range(1, len(numbers) + 1))
        assert all(len(text) > 12 for text in own)


def test_figures_and_tables_are_captioned_and_numbered_in_order(page: Document):
    assert_numbered_in_order(page)
    drawn = [name for name in STUDIES if name not in ("geometry", "scorers", "seeds", "judgments")]
    # flow, heatmap, training, recall, ranks, outcomes; and what belongs to a study
    assert len(page.all("svg")) == 6 + len(drawn) + sum(map(len, PICTURES.values()))


def test_every_figure_has_shapes_in_it_and_a_label(page: Document, pages):
    for svg in page.all("svg"):
        assert len(svg["attrs"]["aria-label"]) > 12
    for html in pages.values():
        for drawing in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
            assert drawing.count("<path") > 20


def test_every_table_has_rows_as_wide_as_its_head(page: Document, pages):
    for html in pages.values():
        for table in re.findall(r"<table.*?</table>", html, re.DOTALL):
            head, body = table.split("<tbody>")
            width = head.rsplit("<tr", 1)[1].count("<th ")
            # headings over several columns cover each column once
            spans = [int(span) for span in re.findall(r'colspan="(\d+)"', head)]
            assert not spans or sum(spans) == width
            rows = [row for row in body.split("<tr>")[1:]]
            assert rows
            assert all(row.count("<td") == width for row in rows)


def test_links_inside_the_page_lead_somewhere(page: Document):
    targets = [one["attrs"]["href"] for one in page.all("a")]
    assert len(targets) > 20
    assert all(target.startswith("#") and target[1:] in page.ids for target in targets)


def test_nothing_is_loaded_from_anywhere(pages):
    for html in pages.values():
        assert "default-src 'none'" in html
        assert "<script" not in html.lower()
        assert "@import" not in html
        for loaded in re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)["']""", html):
            assert loaded.startswith(("#", "data:image/")), loaded
        for loaded in re.findall(r"url\(([^)]*)\)", html):
            assert loaded.startswith(("#", "data:font/woff;base64,")), loaded[:80]


def test_markup_in_captions_audit_and_commands_shows_as_text(fake_run: FakeRun, pages):
    captions = read_captions(fake_run.data / "captions.json")
    assert any("<script>" in text for texts in captions.values() for text in texts)
    for html in pages.values():
        assert "truncated &lt;b&gt;file&lt;/b&gt;" in html
        assert "--cores 2 &lt;all&gt;" in html


def test_a_gallery_with_markup_shows_it_as_text(fake_run: FakeRun, tmp_path: Path):
    path = fake_run.results / "figures" / "gallery.tiny.text_to_image.csv"
    before = path.read_bytes().decode()
    nasty = '"<script>alert(1)</script> $x_1$ & ""quoted"" {0} 一只狗"'
    first = next(text for text in re.findall(r'"(a\W[^"]+, picture [^"]+)"', before))
    try:
        path.write_bytes(before.replace(f'"{first}"', nasty).encode())
        html = fake_run.report("en", name="nasty")
    finally:
        path.write_bytes(before.encode())
    assert "&lt;script&gt;alert(1)&lt;/script&gt; $x_1$ &amp;" in html
    assert "{0} 一只狗" in html
    assert "<script" not in html


def test_right_answers_are_marked_by_more_than_colour(page: Document):
    checks = page.all("span", "check")
    assert len(checks) >= 12
    assert {one["text"] for one in checks} == {"✓"}
    assert {one["attrs"]["aria-label"] for one in checks} <= {"right answer", "正确答案"}
    assert len(page.all("article", "query")) == 12


def test_words_that_differ_are_marked_where_the_gallerys_table_has_them(fake_run, documents):
    tables = {
        way: read_gallery(fake_run, way).query("unsaid != ''")
        for way in ("text_to_image", "image_to_text")
    }
    listed = [row.unsaid.split("; ") for row in tables["text_to_image"].itertuples()]
    marked = [
        [piece for piece, is_marked in split_at(row.item_text, row.unsaid.split("; ")) if is_marked]
        for row in tables["image_to_text"].itertuples()
    ]
    assert max(map(len, listed)) > UNSAID, "a list that is cut"
    for lang, page in documents.items():
        lists = [one["text"] for one in page.all("p", "unsaid")]
        said, comma = {"en": ("not said: ", ", "), "zh": ("未提及：", "、")}[lang]
        assert lists == [
            said + comma.join(words[:UNSAID]) + "…" * (len(words) > UNSAID) for words in listed
        ]
        _, *marks = [one["text"] for one in page.all("mark")]
        assert marks == [
            word for words in [*(words[:UNSAID] for words in listed), *marked] for word in words
        ]


def test_every_figure_that_shows_data_names_the_tables_of_its_numbers(
    page: Document, fake_run: FakeRun
):
    named = [re.findall(r"[\w./-]+\.csv", one["text"]) for one in page.all("figcaption")]
    named = [files for files in named if files]
    drawn = [one["attrs"]["id"] for one in page.all("figure") if one["attrs"]["id"][:4] == "fig_"]
    assert len(named) == len(drawn) - 1, "all but the flow chart"
    assert ["tables/errors.csv"] in named and ["tables/metrics.csv", "figures/ranks.csv"] in named
    assert ["tables/pairs.csv"] in named and ["data/models/tiny/training.csv"] in named
    # the fake run has no table of what its pictures show
    pictured = {"tables/hubs.csv", "tables/failures.csv"}
    for file in {file for files in named for file in files} - pictured:
        folder = fake_run.folder if file.startswith("data/") else fake_run.results
        assert (folder / file).is_file()


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (0.45, ("rose from 45.0% before training to 60.0%", "由训练前的 45.0% 升至 60.0%")),
        (0.65, ("did not rise: 65.0% before training, 60.0% after", "没有提高：训练前 65.0%")),
    ],
)
def test_what_training_did_to_its_base_is_told_whichever_way_it_went(before, told, tmp_path):
    strengths = {("base", "plain", "cosine"): 0.1, ("tuned", "plain", "cosine"): 0.2}
    run = FakeRun(tmp_path, strengths, images=24, studies=(), base="base").sketch()
    path = tmp_path / "data" / "models" / "tuned" / "model.json"
    about = read_json(path)
    about["training"]["before"]["val_recall@10"] = before
    write_json(path, about)
    for lang, words in zip(LANGUAGES, told, strict=True):
        html = run.report(lang)
        assert html.count(words) == 1
        # the caption of the one that has an epoch 0, and not of the base's own
        figures = [
            one["text"]
            for one in Document(html).all("figcaption")
            if "/training.csv" in one["text"]
        ]
        assert ["0" in re.sub(r"95%|data/.*", "", one) for one in figures] == [False, True]


def test_the_report_carries_the_version_of_the_workflow(pages):
    row = rf"<td[^>]*>clip-retrieval</td>\s*<td[^>]*>{re.escape(version_of_workflow())}</td>"
    for page in pages.values():
        assert re.search(row, page.partition('id="tab_versions"')[2].partition("</table>")[0])


def test_recall_is_defined_wherever_it_is_tabled_or_drawn(pages):
    assert pages["en"].count("at least one right answer in the top K") >= 3
    assert pages["zh"].count("前 K 名中至少有一个正确答案") >= 3


def test_the_same_run_gives_the_same_bytes(fake_run: FakeRun, pages):
    for lang in LANGUAGES:
        assert fake_run.report(lang, name="again") == pages[lang]


def test_no_path_of_this_machine_is_in_the_report(fake_run: FakeRun, pages):
    for html in pages.values():
        assert str(fake_run.folder) not in html
        assert str(Path.cwd()) not in html


def test_a_model_of_this_disk_is_named_without_the_way_to_it(tmp_path: Path):
    strengths = {("own", "plain", "cosine"): 0.5}
    run = FakeRun(tmp_path, strengths, images=24, studies=()).sketch()
    for about in (tmp_path / "data/models").glob("*/model.json"):
        told = json.loads(about.read_text("utf-8")) | {"source": "local"}
        about.write_text(json.dumps(told | {"repo": "/home/jo/models/mine"}), "utf-8")
    html = run.report("en")
    assert "mine" in html
    assert "/home/jo" not in html


def assert_numbers_are_tabled(run: FakeRun, monkeypatch: pytest.MonkeyPatch):
    """Each number that a sentence carries stands in a cell of the report, in the same form."""
    said = []
    say = Speaker.say

    def listen(self, finding):
        said.append(finding)
        return say(self, finding)

    monkeypatch.setattr(Speaker, "say", listen)
    html = run.report("en", name="numbers")
    cells = re.findall(r"<td[^>]*>(.*?)</td>", html, re.DOTALL)
    there = {number for cell in cells for number in NUMBER.findall(re.sub(r"<[^>]+>", "", cell))}
    assert len(said) > 20
    for finding in said:
        for name, value in finding.numbers.items():
            if name not in COUNTS and re.match(r"[+−\[\d]", str(value)):
                assert set(NUMBER.findall(str(value))) <= there, (finding.key, name, value)


def test_every_number_in_a_sentence_is_in_a_table(
    fake_run: FakeRun, pages, monkeypatch: pytest.MonkeyPatch
):
    assert_numbers_are_tabled(fake_run, monkeypatch)


def test_sentences_hold_no_numbers_of_their_own():
    allowed = {"1", "2", "5", "10", "95"}  # depths, classes of rank, and the level of intervals
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
    for lang in LANGUAGES:
        html = run.report(lang)
        document = Document(html)
        assert document.open == []
        assert len(document.ids) == len(set(document.ids))
        assert_numbered_in_order(document)
        assert "data-training" not in document.ids
        text = abstract_of(html)
        assert len(text) < 800
        if lang == "zh":
            han = len(re.findall(r"[\u4e00-\u9fff]", text))
            assert 100 <= han <= 150
    if case == "no better than chance":
        assert "not clearly above" in run.report("en")
        assert "并未明确高于" in run.report("zh")
    if case == "one setting, nothing fails":
        assert "This run has one prompt" in run.report("en")
        assert "本次运行只有一种提示模板" in run.report("zh")
    if case == "two models, two scorers":
        assert "The model <strong>siglip2-b16</strong> does better" in run.report("en")
        assert "模型 <strong>siglip2-b16</strong> 优于" in run.report("zh")


def test_the_prompt_that_helped_and_the_one_that_hurt_are_named_so(pages):
    assert "<strong>ensemble</strong> does better than plain" in pages["en"]
    assert "<strong>photo</strong> does worse than plain" in pages["en"]
    assert "<strong>ensemble</strong> 优于 plain" in pages["zh"]
    assert "<strong>photo</strong> 不如 plain" in pages["zh"]


def test_no_model_is_called_openais_clip(pages):
    for html in pages.values():
        assert "OpenAI" not in html


def test_every_study_has_its_figure_and_its_table_where_it_is_told(pages):
    for html in pages.values():
        for name in STUDIES:
            if name == "scorers":
                continue
            place = "results" if name in RESULTS else "analysis"
            section = section_of(html, f"{place}-study_{name}")
            assert f'id="tab_study_{name}"' in section, name
            drawn = settings_of(name)["figure"]["form"] != "none"
            assert (f'id="fig_study_{name}"' in section) == drawn, name
            assert "<li>" in section, name
        for study, own in PICTURES.items():
            section = section_of(html, f"analysis-study_{study}")
            assert all(f'id="fig_{name}"' in section for name in own), study
        assert 'id="fig_outcomes"' in section_of(html, "analysis-outcomes")
        assert 'id="fig_heatmap"' in section_of(html, "method-flow")


def test_studies_without_rows_are_named_and_take_no_room(tmp_path: Path):
    strengths = {("m", "plain", "cosine"): 0.2}
    run = FakeRun(tmp_path, strengths, images=20, titles={"mine": {"zh": "我的研究"}},
                  studies=("published", "prompts", "mine"))  # fmt: skip
    table = run.metrics.with_name("published.csv")
    table.write_text(table.read_text("utf-8").splitlines()[0] + "\n", "utf-8")
    (run.metrics.with_name("mine.csv")).write_text(
        run.metrics.with_name("leakage.csv").read_text("utf-8"), "utf-8"
    )
    run.sketch()
    for lang, title in (("en", "我的研究"), ("zh", "我的研究")):
        html = run.report(lang)
        assert "study_published" not in html
        document = Document(html)
        assert_numbered_in_order(document)
        # a study of the user's own has no words here, but its title, its figure and its table
        assert [one for one in document.all("h3") if title in one["text"]]
        assert {"fig_study_mine", "tab_study_mine"} <= set(document.ids)
        empty = {"en": "nothing to show: Beside published numbers, Prompts",
                 "zh": "没有可展示的内容：与公布的数字相比、提示模板"}[lang]  # fmt: skip
        assert empty in html


def test_own_optimisations_are_told_with_gain_choice_and_literature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    strengths = {("tiny", "plain", scorer): 0.2 for scorer in ("cosine", *SCORERS)}
    strengths |= {("tiny", "plain", "nnn"): 0.3, ("tiny", "plain", "fusion"): 0.05}
    strengths |= {("tiny", "ensemble", "cosine"): 0.3, ("tuned", "plain", "cosine"): 0.3}
    run = FakeRun(
        tmp_path, strengths, images=60, base="tiny", studies=("seeds", "reranking")
    ).sketch()
    names = {"en": ("Prompt ensemble.", "Centring.", "Nearest-neighbour normalisation.",
                    "Inverted softmax.", "Residual adapter.", "Fusion of two encoders.",
                    "A second look at the top.", "Fine-tuning."),
             "zh": ("提示集成。", "中心化。", "最近邻归一化。", "反向 softmax。", "残差适配器。",
                    "双编码器融合。", "复查列表前部。", "微调。")}  # fmt: skip
    for lang in LANGUAGES:
        html = run.report(lang)
        section = html.split('id="optimisations"')[1].split('id="outlook"')[0]
        assert re.findall(r"<strong>([^<]+)</strong>", section)[:1] == [names[lang][0]]
        for name in names[lang]:
            assert f"<strong>{name}</strong>" in section
        better, worse = {"en": ("does better than", "does worse than"), "zh": ("优于", "不如")}[
            lang
        ]
        assert f"<strong>nnn</strong> {better} cosine" in section
        assert f"<strong>fusion</strong> {worse} cosine" in section
        assert f"<strong>tuned</strong> {better} tiny" in section
        for number in ("30.3", "34.8", "51.1", "43.5"):
            assert number in section
        # of what there was to gain
        told = {"en": "of what a perfect second look would gain", "zh": "理想复查可得增益的"}[lang]
        assert told in section and "γ = 0.5" in section
        assert "w = 0.5, k = 4" in section and "w = 0.25, k = 16" in section
    assert_numbers_are_tabled(run, monkeypatch)


def test_every_measure_is_defined_with_its_source(pages):
    for html in pages.values():
        section = section_of(html, "appendix-definitions")
        for name in ("R-Precision", "mAP@R", "nDCG@10", "rsum", "Holm", "Kendall"):
            assert name in section
        for source in (
            "1935",
            "1979",
            "1993",
            "1999",
            "2002",
            "2005",
            "2010",
            "2018",
            "2020",
            "2022",
        ):
            assert source in section
        numbers = re.search(r'id="tab_statistics".*?</table>', html, re.DOTALL)[0]
        assert ">300<" in numbers and ">999<" in numbers
