"""What is pinned is all that is needed and no more: for a run, for tests, for each kind of rule.

Two locks, one over the other, are what ``./run`` and ``./run test`` install; of the first, each
conda environment has what the scripts of its rules import.
"""

import ast
import functools
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
LOCK = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split())
LAYER, *PINS = (ROOT / "requirements-tests.lock").read_text().splitlines()
TESTS = dict(line.split("==") for line in PINS)
BOTH = LOCK | TESTS
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
ENVS = sorted(path.stem for path in (ROOT / "envs").glob("*.yaml"))
DISTRIBUTIONS = packages_distributions()


def pins_of(env: str) -> dict[str, str]:
    """Name -> version of every package of pip in an environment."""
    listed = yaml.safe_load((ROOT / "envs" / f"{env}.yaml").read_text("utf-8"))["dependencies"]
    (pins,) = [entry["pip"] for entry in listed if isinstance(entry, dict)]
    return dict(pin.split("==") for pin in pins)


def scripts_of(env: str) -> list[str]:
    """The scripts of all rules that run in an environment."""
    found = []
    for path in (ROOT / "rules").glob("*.smk"):
        for rule in re.split(
            r"^\s*(?:use rule|rule|checkpoint) ", path.read_text("utf-8"), flags=re.M
        )[1:]:
            script = re.search(r'script:\s+"\.\./(scripts/\w+/\w+\.py)"', rule)
            if script and f'"../envs/{env}.yaml"' in rule:
                found.append(script[1])
    return sorted(found)


class Module:
    """A file of ours: what it defines, and what a name in it may stand for."""

    def __init__(self, path: Path) -> None:
        self.defined: dict[str, ast.AST] = {}
        self.top: list[ast.AST] = []
        for node in ast.parse(path.read_bytes()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.defined[node.name] = node
                self.top += node.decorator_list
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                # a table of functions runs none of them before it is looked into
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [target.id for target in targets if isinstance(target, ast.Name)]
                self.defined |= dict.fromkeys(names, node)
                self.top += [part for part in ast.walk(node) if isinstance(part, ast.Call)]
            else:
                self.top.append(node)
        self.bound: dict[str, tuple[str, str]] = {}
        for node in self.top:
            for part in walk(node):
                if isinstance(part, ast.ImportFrom):
                    self.bound |= bindings(part)


def walk(node: ast.AST):
    """Every node that runs: no annotations, and nothing that is there for type checkers alone."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.AST):
                yield from walk(child)


def bindings(node: ast.ImportFrom) -> dict[str, tuple[str, str]]:
    """Name -> module of ours and name in it."""
    if not (node.module or "").startswith("scripts"):
        return {}
    return {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}


@functools.cache
def module_of(name: str) -> Module | None:
    place = ROOT / name.replace(".", "/")
    paths = (place.with_suffix(".py"), place / "__init__.py")
    return next((Module(path) for path in paths if path.is_file()), None)


def packages_used_by(script: str) -> dict[str, str]:
    """Package -> where it is imported, for all that a script runs, function by function.

    A function that the script does not reach may import what the environment has not, such as the
    one that opens an encoder, in a module whose other functions write files.
    """
    used: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    # the empty name is a module's top level
    main = script.removesuffix(".py").replace("/", ".")
    waiting = [(main, "")]
    while waiting:
        place = waiting.pop()
        module = module_of(place[0])
        if place in seen or module is None:
            continue
        seen.add(place)
        if place[1] and place[1] not in module.defined:
            # a module, or a name that its top level makes
            waiting += [(place[0], ""), (".".join(place), "")]
            continue
        waiting.append((place[0], ""))
        bound = dict(module.bound)
        skipped = {"TYPE_CHECKING"} | ({"__name__ == '__main__'"} if place[0] != main else set())
        for part in parts_that_run(module, place[1], skipped):
            if isinstance(part, ast.ImportFrom):
                bound |= bindings(part)
            waiting += places_used(part, place[0], module, bound)
            for top in packages_named(part):
                (package,) = DISTRIBUTIONS[top][:1]
                used.setdefault(plain(package), f"{place[0]}, line {part.lineno}")
    return used


def parts_that_run(module: Module, name: str, skipped: set[str]):
    """Every node of what a module defines under a name, or of its top level."""
    for node in [module.defined[name]] if name else module.top:
        if not (isinstance(node, ast.If) and ast.unparse(node.test) in skipped):
            yield from walk(node)


def places_used(
    part: ast.AST, own: str, module: Module, bound: dict[str, tuple[str, str]]
) -> list[tuple[str, str]]:
    """Modules of ours, and names in them, that a node of the module ``own`` makes run."""
    if isinstance(part, ast.ImportFrom):
        # a name of another module is reached where it is used; its top level runs now
        of_names = bindings(part).values()
        return [place for of, name in of_names for place in ((of, ""), (f"{of}.{name}", ""))]
    if isinstance(part, ast.Name):
        return (
            [(own, part.id)] if part.id in module.defined else [*filter(None, [bound.get(part.id)])]
        )
    if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
        of = ".".join(bound.get(part.value.id, ()))
        return [(of, part.attr)] if of and module_of(of) else []
    return []


def packages_named(part: ast.AST) -> set[str]:
    """What an import names that is neither ours nor Python's."""
    names = []
    if isinstance(part, ast.Import):
        names = [alias.name for alias in part.names]
    elif isinstance(part, ast.ImportFrom):
        names = [part.module or ""]
    tops = {name.split(".")[0] for name in names}
    return tops - {"scripts"} - sys.stdlib_module_names


def needed_with(names: list[str], pins: dict[str, str] = LOCK) -> set[str]:
    """``names`` and every package of ``pins`` that they need here, by their own metadata."""
    found: set[tuple[str, tuple[str, ...]]] = set()
    waiting = [(name, ()) for name in names]
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in found:
            continue
        found.add((name, extras))
        for named, wanted in needs_of(name, extras):
            if named in pins:
                waiting.append((named, wanted))
    return {name for name, _ in found}


def needs_of(name: str, extras: tuple[str, ...] = ()) -> list[tuple[str, tuple[str, ...]]]:
    """Packages that an installed one needs on this system, and which extras of each."""
    needs = [Requirement(line) for line in requires(name) or []]
    return [
        (plain(need.name), tuple(sorted(need.extras)))
        for need in needs
        if not need.marker or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def named_in(requirements: list[str]) -> list[str]:
    return [plain(Requirement(line).name) for line in requirements]


def test_a_lock_is_a_list_of_names_and_versions_and_that_of_the_tests_lies_over_the_other():
    assert LAYER == "-r requirements.lock"
    for pins in (LOCK, TESTS):
        assert list(pins) == sorted(pins)
        assert not [pin for pin in pins.items() if not re.fullmatch(r"\d[\w.]*", pin[1])]
    # a package in both could have two versions
    assert not set(LOCK) & set(TESTS)


def test_the_two_locks_are_what_the_project_names_and_all_that_it_needs_and_no_more():
    of_runs = needed_with(named_in(PROJECT["project"]["dependencies"]), BOTH)
    of_tests = needed_with(named_in(PROJECT["dependency-groups"]["dev"]), BOTH)
    assert of_runs == set(LOCK)
    assert of_tests - of_runs == set(TESTS)


@pytest.mark.parametrize("pins", [LOCK, BOTH], ids=["a run", "tests"])
def test_a_lock_needs_no_package_that_it_does_not_pin_and_is_what_is_installed(pins):
    missing = {
        name: needs
        for name in pins
        # what the CPU build of torch does without is pinned by the other builds themselves
        if name != "torch" and (needs := {need for need, _ in needs_of(name)} - set(pins))
    }
    assert missing == {}
    installed = {name: version(name).partition("+")[0] for name in pins}
    assert installed == pins


def test_every_rule_with_a_script_has_one_of_these_environments():
    with_scripts = {
        script
        for path in (ROOT / "rules").glob("*.smk")
        for script in re.findall(r'"\.\./(scripts/\w+/\w+\.py)"$', path.read_text("utf-8"), re.M)
    }
    assert len(with_scripts) > 30
    assert {script for env in ENVS for script in scripts_of(env)} == with_scripts


@pytest.mark.parametrize("env", ENVS)
def test_an_environment_has_every_package_that_its_scripts_reach(env):
    pins = pins_of(env)
    missing = {
        (script, package): place
        for script in scripts_of(env)
        for package, place in packages_used_by(script).items()
        if package not in pins
    }
    assert missing == {}


@pytest.mark.parametrize("env", ENVS)
def test_an_environment_pins_all_that_its_packages_need(env):
    pins = pins_of(env)
    assert needed_with(list(pins)) - set(pins) == set()
    assert {name: version for name, version in pins.items() if LOCK[name] != version} == {}


# read where a model of that kind is loaded, by transformers and torch
OPENED_BY_OTHERS = {
    "models": {
        *("safetensors", "sentencepiece", "protobuf", "open-clip-torch", "sentence-transformers"),
    },
    "report": {"mpl-font"},
}


@pytest.mark.parametrize("env", ENVS)
def test_an_environment_has_nothing_that_its_work_does_not_need(env):
    used = {package for script in scripts_of(env) for package in packages_used_by(script)}
    needed = needed_with(sorted(used | OPENED_BY_OTHERS.get(env, set())))
    assert set(pins_of(env)) - needed == set()


@pytest.mark.parametrize("env", ENVS)
def test_an_environment_is_python_pip_and_pins_from_conda_forge_alone(env):
    listed = yaml.safe_load((ROOT / "envs" / f"{env}.yaml").read_text("utf-8"))
    assert listed["channels"] == ["conda-forge", "nodefaults"]
    assert [name for name in listed["dependencies"] if isinstance(name, str)] == [
        "python=3.11",
        "pip",
    ]


def test_torch_is_in_the_environment_of_models_alone():
    assert [env for env in ENVS if {"torch", "transformers"} & set(pins_of(env))] == ["models"]


def test_a_function_that_is_not_reached_needs_nothing_and_one_that_is_does():
    gathers = packages_used_by("scripts/encode/gather_features.py")
    assert "numpy" in gathers and "torch" not in gathers
    assert {"torch", "pillow"} <= set(packages_used_by("scripts/encode/encode_images.py"))
