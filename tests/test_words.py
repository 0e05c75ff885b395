"""What readers see stands in scripts/words, in both languages, and all of it is used."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from phrases import NAMES, all_phrases, phrases

from scripts.data import audit
from scripts.fingerprint import reached
from scripts.words import FOLDER, LANGUAGES, TERM, read_words

ROOT = Path(__file__).parents[1]
CODE = sorted((ROOT / "scripts").rglob("*.py"))
# templates, and what runs in a browser
PAGES = sorted(path for path in (ROOT / "scripts").rglob("*.*") if path.suffix in (".j2", ".js"))
PLACE = re.compile(r"(?<!\{)\{([a-z_0-9]+)[^{}]*\}")
EAST_ASIAN = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uff00-\uffef]")
# no words for readers: punctuation that no line begins with, words of captions that tell nothing,
# and texts by which models are tried
NOT_SHOWN = {"letters.py", "studies/words.py", "models/probe.py", "models/tokens.py"}
# what one language alone needs: the lexicon of the configuration and the audit have English names,
# and measures have a short name where it is another
OF_ONE = (
    re.compile(r"labels: (?:studies\.categories\.groups\.lexicon: |between\.)"),
    re.compile(r"measures: .*\.short"),
    re.compile(r"report: audit\."),
)


def test_each_phrase_stands_in_both_languages_with_the_same_places_for_numbers():
    english, chinese = (all_phrases(language) for language in LANGUAGES)
    alone = english.keys() ^ chinese.keys()
    assert [key for key in alone if not any(one.match(key) for one in OF_ONE)] == []
    for key in english.keys() & chinese.keys():
        phrase = english[key]
        assert isinstance(phrase, str) and isinstance(chinese[key], str), key
        # the one that has nothing between sentences
        assert (phrase.strip() and chinese[key].strip()) or key == "report: gap", key
        assert set(PLACE.findall(phrase)) == set(PLACE.findall(chinese[key])), key


def test_whatever_an_audit_tells_has_chinese_words():
    reasons = {text for name, text in vars(audit).items() if name.isupper() and name != "LONGEST"}
    told = {*audit.Note, *(text for text in reasons if isinstance(text, str))}
    assert len(told) > 30
    assert told - read_words("report", "zh")["audit"].keys() == set()


def strings_of(tree: ast.AST) -> Iterator[str]:
    """What stands in quotes in a module, but for what documents it."""
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and ast.get_docstring(node) is not None
    }
    for node in ast.walk(tree):
        if isinstance(getattr(node, "value", None), str) and id(node) not in documents:
            yield node.value


def test_no_script_or_page_has_words_of_its_own():
    for path in CODE:
        tree = ast.parse(path.read_text("utf-8"))
        tables = [
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
            for target in node.targets
            if isinstance(target, ast.Name)
        ]
        assert "WORDS" not in tables, path
        if path.relative_to(ROOT / "scripts").as_posix() not in NOT_SHOWN:
            assert not [text for text in strings_of(tree) if EAST_ASIAN.search(text)], path
    for path in PAGES:
        assert not EAST_ASIAN.search(path.read_text("utf-8")), path


def code_of(name: str, key: str) -> list[Path]:
    """Code and pages that may ask for a phrase."""
    scripts = ROOT / "scripts"
    if name == "figures":
        return [scripts / f"figures/plot_{key.split('.')[0]}.py"]
    if name == "explorer":
        return sorted((scripts / "explorer").glob("explorer.*"))
    if name == "search":
        return sorted((scripts / "search").glob("page.*"))
    if name in ("compare", "leaderboard"):
        return sorted((scripts / name).glob("*.*"))
    # names in tables are made by studies, measures and the configuration
    return [*CODE, scripts / "report/page.html.j2", *sorted((ROOT / "config").glob("*.yaml"))]


@functools.cache
def asked_for(paths: tuple[Path, ...]) -> tuple[set[str], list[str]]:
    """Names that code and pages hold, and patterns of those that they put together from parts."""
    names: set[str] = set()
    parts: set[str] = set()
    for path in paths:
        text = path.read_text("utf-8")
        if path.suffix != ".py":
            names.update(re.findall(r"(?<=[\"'`.])\w+", text), re.findall(r"\w+(?=:)", text))
            starts = re.findall(r"[\"`]([a-z_.]+)(?:\" [~+]|\$\{)", text)
            parts.update(f"{re.escape(start)}.+" for start in starts)
            parts.update(f".+{end}" for end in re.findall(r"\}([a-z_]+)`", text))
            continue
        tree = ast.parse(text)
        for whole in strings_of(tree):
            names.update((whole, *whole.split(".")))
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg:
                names.add(node.arg)
            elif isinstance(node, ast.Constant) and type(node.value) is int:
                names.add(str(node.value))
            elif isinstance(node, ast.JoinedStr):
                pieces = [getattr(piece, "value", None) for piece in node.values]
                parts.add(".+".join(re.escape(p) if isinstance(p, str) else "" for p in pieces))
    return names, [part for part in parts if re.search(r"[a-z]{3}", part)]


def is_used(name: str, key: str) -> bool:
    names, parts = asked_for(tuple(code_of(name, key)))
    section, last = f".{key}".split(".")[-2:]
    if name == "figures":
        last = key.split(".")[1]
    if name == "labels" and section == "groups":
        # studies put together the names of groups as they like
        text = "\n".join([*names, *parts])
        return all(word in text for word in last.split(" ") if word != "{}")
    asked = (last, f"{section}.{last}")
    if last in names or any(re.fullmatch(part, one) for part in parts for one in asked):
        return True
    # "findings.length_higher" is asked for as "{contrast}_{verdict}"
    return section == "findings" and set(last.split("_", 1)) <= names


def test_each_phrase_is_used():
    for name in NAMES:
        keys = [key for key, _ in phrases(read_words(name, "en"))]
        assert [key for key in keys if not is_used(name, key)] == [], name


def test_a_shared_term_stands_in_the_labels_alone():
    taken = [
        {
            (name, line.split(":")[0])
            for name in NAMES
            for line in (FOLDER / f"{name}.{language}.yaml").read_text("utf-8").split("\n")
            if f"{{{TERM}: " in line
        }
        for language in LANGUAGES
    ]
    assert taken[0] == taken[1]
    text = "".join(path.read_text("utf-8") for path in FOLDER.glob("*.en.yaml"))
    for term in read_words("labels", "en")["directions"].values():
        assert text.count(term) == 1


@pytest.mark.parametrize("name", ["directions.sideways", "nothing"])
def test_a_term_that_the_labels_lack_is_an_error(tmp_path, monkeypatch, name):
    monkeypatch.setattr("scripts.words.FOLDER", tmp_path)
    (tmp_path / "labels.en.yaml").write_text("directions: {up: Up}\n", "utf-8")
    (tmp_path / "page.en.yaml").write_text(f"up: {{{TERM}: directions.up}}\n", "utf-8")
    assert read_words("page", "en") == {"up": "Up"}
    (tmp_path / "page.en.yaml").write_text(f"up: {{{TERM}: {name}}}\n", "utf-8")
    with pytest.raises(KeyError, match=name.split(".")[-1]):
        read_words("page", "en")


def words_read(path: Path) -> set[str]:
    return set(re.findall(r'read_words\("(\w+)"', path.read_text("utf-8")))


def test_the_fingerprint_of_a_step_counts_the_words_that_its_script_reads():
    every = "".join(path.read_text("utf-8") for path in sorted((ROOT / "rules").glob("*.smk")))
    found = 0
    for rules in sorted((ROOT / "rules").glob("*.smk")):
        code = re.compile(r'fingerprint\(\s*"(scripts/[\w/]+\.py)"(.*?)\),?\n', re.S)
        for script, rest in code.findall(rules.read_text("utf-8")):
            for name in re.findall(r"\*([A-Z_]+)", rest):
                rest += re.search(rf"^{name} = (\[.*?\]$)", every, re.M | re.S)[1]
            counted = re.findall(r"words_of\(([^)]*)", rest)
            counted = {name for one in counted for name in re.findall(r'"(\w+)"', one)}
            modules = reached((script,)) - {"scripts/words/__init__.py"}
            read = {name for file in modules for name in words_read(ROOT / file)}
            takes = {name for name in read if TERM in (FOLDER / f"{name}.en.yaml").read_text()}
            assert counted == read | ({"labels"} if takes else set()), script
            assert not read or "scripts/words/__init__.py" in reached((script,))
            found += bool(read)
    assert found >= 12
