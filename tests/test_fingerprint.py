"""A fingerprint changes when the meaning of a step's code changes, and only then."""

import ast
from pathlib import Path

import pytest

from scripts.fingerprint import KEPT, _content, fingerprint, reached

ROOT = Path(__file__).parent.parent


@pytest.fixture
def tree(tmp_path):
    """A script that reaches ``shared`` through ``middle``, and one that reaches neither."""

    def write(name: str, text: str) -> None:
        path = tmp_path / "scripts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        _content.cache_clear()

    write("__init__.py", "")
    write("a/user.py", "from scripts.a.middle import f\n")
    write("a/middle.py", "def f():\n    from scripts import shared\n    return shared.x\n")
    write("shared.py", '"""Doc."""\n\nx = 1\n')
    write("a/other.py", "import json\n")
    return tmp_path, write


def of(root, name, *more):
    return fingerprint(f"scripts/{name}", *more, root=root)


def test_an_edit_of_a_module_reached_through_another_changes_the_users_digest_only(tree):
    root, write = tree
    user, other = of(root, "a/user.py"), of(root, "a/other.py")
    write("shared.py", '"""Doc."""\n\nx = 2\n')
    assert of(root, "a/user.py") != user
    assert of(root, "a/other.py") == other


def test_what_a_folder_itself_holds_counts_for_those_who_import_it(tree):
    root, write = tree
    write("words/__init__.py", "x = 1\n")
    write("a/user.py", "from scripts.words import x\n")
    before = of(root, "a/user.py")
    write("words/__init__.py", "x = 2\n")
    assert of(root, "a/user.py") != before


def test_comments_docstrings_and_layout_do_not_count(tree):
    root, write = tree
    before = of(root, "a/user.py")
    write("shared.py", '"""Another doc."""\n# why\n\n\nx   =   1\n')
    assert of(root, "a/user.py") == before


def test_a_template_counts_with_its_bytes(tree):
    root, write = tree
    write("a/page.html", "<p>")
    before = of(root, "a/user.py", "scripts/a/page.html")
    write("a/page.html", "<b>")
    assert of(root, "a/user.py", "scripts/a/page.html") != before


def test_what_a_file_means_is_kept_by_its_bytes_and_a_broken_note_is_not_believed(
    tree, tmp_path_factory, monkeypatch
):
    root, write = tree
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))
    before, other = of(root, "a/user.py"), of(root, "a/other.py")
    with monkeypatch.context() as patched:
        patched.setattr(ast, "parse", None)
        _content.cache_clear()
        assert (of(root, "a/user.py"), of(root, "a/other.py")) == (before, other)
        with pytest.raises(TypeError):
            write("shared.py", "x = 2\n")
            of(root, "a/user.py")
    write("shared.py", '"""Doc."""\n\nx = 1\n')
    notes = list(KEPT.iterdir())
    assert len(notes) == 4  # the user, what it reaches, and the other
    for note in notes:
        note.write_text("[")
    _content.cache_clear()
    assert of(root, "a/user.py") == before


def test_where_nothing_can_be_kept_the_fingerprint_is_the_same(tree, tmp_path_factory, monkeypatch):
    root, _ = tree
    before = of(root, "a/user.py")
    folder = tmp_path_factory.mktemp("work")
    monkeypatch.chdir(folder)
    (folder / ".snakemake").write_text("a file where a folder should be")
    _content.cache_clear()
    assert of(root, "a/user.py") == before


def test_where_the_repository_stands_does_not_count(tree, tmp_path_factory):
    import shutil

    root, _ = tree
    copy = tmp_path_factory.mktemp("elsewhere") / "clone"
    shutil.copytree(root, copy)
    assert of(copy, "a/user.py") == of(root, "a/user.py")


STAGES = ["data", "models", "encode", "retrieve", "evaluate", "studies", "figures", "report"]
STAGES += ["explorer"]
SCRIPTS = sorted(p for stage in STAGES for p in (ROOT / "scripts" / stage).glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_a_stage_imports_from_itself_and_the_stages_before_it(script):
    stage = STAGES.index(script.parent.name)
    found = [Path(file).parent.name for file in reached((str(script.relative_to(ROOT)),))]
    assert found and not set(found) & set(STAGES[stage + 1 :])
