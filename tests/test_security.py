"""What SECURITY.md promises of the code as a whole, which no test of a single step holds."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml
from tiny_models import make_clip

from scripts.models.encoders import load_encoder
from scripts.models.folder import write_provenance

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "scripts").rglob("*.py"))
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8"))
SCHEMA = (ROOT / "config/schema.yaml").read_text("utf-8")


def calls(path: Path):
    """Dotted name and keywords of every call in a file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
            yield ast.unparse(node.func), keywords


def imported(path: Path) -> set[str]:
    """First words of the modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_the_code_is_looked_at():
    assert len(SCRIPTS) > 80
    assert any(name == "np.load" for path in SCRIPTS for name, _ in calls(path))


def test_nothing_unpickles_and_nothing_runs_text():
    unpickling = {
        "pickle",
        "cPickle",
        "_pickle",
        "dill",
        "cloudpickle",
        "joblib",
        "shelve",
        "marshal",
    }
    running = {"eval", "exec", "compile", "os.system", "os.popen", "torch.load", "torch.hub.load"}
    running |= {"pd.read_pickle", "pandas.read_pickle", "yaml.load", "yaml.unsafe_load"}
    for path in SCRIPTS:
        assert not imported(path) & unpickling, path
        for name, keywords in calls(path):
            # the one pickle that is converted: torch's own reader, which builds tensors alone
            if name == "torch.load" and path == ROOT / "scripts/models/pickles.py":
                assert keywords["weights_only"] == "True"
                continue
            assert name not in running, f"{path}: {name}"
            assert keywords.get("shell", "False") == "False", path


def test_arrays_and_models_are_opened_without_pickles_and_without_code_of_others():
    for path in SCRIPTS:
        for name, keywords in calls(path):
            if name == "np.load":
                assert keywords.get("allow_pickle") == "False", path
            if name.endswith("from_pretrained"):
                assert keywords.get("trust_remote_code") == "False", path
                assert keywords.get("local_files_only") == "True", path
            assert keywords.get("trust_remote_code", "False") == "False", path


def test_archives_are_never_unpacked_and_certificates_always_checked():
    # reads of a tar where its members lie, and the rest is as with zip; bundles are the run's own
    tars = [path for path in SCRIPTS if "tarfile" in imported(path)]
    assert tars == [ROOT / "scripts/bundles.py", ROOT / "scripts/data/tars.py"]
    for path in SCRIPTS:
        for name, keywords in calls(path):
            assert not name.endswith((".extractall", ".extract", "unpack_archive")), path
            assert "verify" not in keywords, f"{path}: {name}"


def test_only_git_is_run_as_another_program():
    running = {path for path in SCRIPTS if "subprocess" in imported(path)}
    assert running == {ROOT / "scripts/version.py"}


def test_a_model_cannot_bring_code_of_its_own(tmp_path):
    folder = tmp_path / "model"
    make_clip(folder)
    trace = tmp_path / "it ran"
    code = f"open({str(trace)!r}, 'w').close()\nclass Model: pass\nConfig = Tokenizer = Model\n"
    (folder / "modeling.py").write_text(code)
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        settings = json.loads((folder / name).read_text("utf-8"))
        settings["auto_map"] = {
            "AutoConfig": "modeling.Config",
            "AutoModel": "modeling.Model",
            "AutoTokenizer": ["modeling.Tokenizer", "modeling.Tokenizer"],
            "AutoImageProcessor": "modeling.Model",
        }
        (folder / name).write_text(json.dumps(settings))
    write_provenance(folder, "mine", "local", repo=None, revision=None, tried=[])
    assert load_encoder(folder, "cpu").dim == 24
    assert not trace.exists()


def test_what_is_downloaded_by_default_comes_over_tls():
    addresses = re.findall(
        r"\bhttp://[^\s\"']+", (ROOT / "config/config.yaml").read_text() + SCHEMA
    )
    assert not [
        address for address in addresses if not address.startswith("http://json-schema.org")
    ]
    assert len(re.findall(r"https://[^\s\"']+", SCHEMA)) >= 2


def test_every_model_of_a_hub_is_pinned():
    for name, model in CONFIG["models"].items():
        for hub in model["source"] if isinstance(model["source"], list) else []:
            by_commit = re.fullmatch(r"[0-9a-f]{40}", model[hub]["revision"])
            by_sum = re.fullmatch(r"[0-9a-f]{64}", model[hub].get("sha256") or "")
            assert by_commit or by_sum, f"{name} of {hub}"


def test_templates_escape_what_they_are_given():
    for path in SCRIPTS:
        for name, keywords in calls(path):
            if name.split(".")[-1] == "Environment":
                told = keywords.get("autoescape", "")
                assert told and told != "False", path


def test_every_dependency_is_reviewed_with_its_version_of_the_lock():
    page = (ROOT / "docs/dependencies.md").read_text("utf-8")
    of_runs, of_tests = page.split("\n## For tests and checks only\n")
    for part, lock in ((of_runs, "requirements.lock"), (of_tests, "requirements-tests.lock")):
        reviewed = re.findall(r"^\| ([a-z0-9-]+) \| (\d[\w.]*) \|", part, re.M)
        pins = re.findall(r"^([a-z0-9-]+)==(.+)$", (ROOT / lock).read_text(), re.M)
        assert sorted(reviewed) == sorted(pins)


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/dependencies.md"])
def test_tests_and_files_that_the_page_names_are_there(page):
    named = re.findall(
        r"`((?:tests|scripts|config|docs)/[\w./-]+)`", (ROOT / page).read_text("utf-8")
    )
    assert [name for name in named if not (ROOT / name).exists()] == []
    if page == "SECURITY.md":
        assert len(named) > 10
