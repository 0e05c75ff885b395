"""Makes config/README.md of config/schema.yaml: ``python tests/config_readme.py``.

The first paragraph of a description leads; the others follow the table of its keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

CONFIG = Path(__file__).resolve().parent.parent / "config"
SCHEMA, README = CONFIG / "schema.yaml", CONFIG / "README.md"
LONG = 70  # letters of a default above which it is left to the description
HEAD = ("key", "what it is", "default")
Part = dict[str, Any]


def readme(schema: Part) -> str:
    """The guide to all that a configuration may hold."""
    sections = whole(schema["properties"], schema["$defs"])
    parts = [f"# {schema['title']}", schema["description"].strip()]
    for name, section in sections.items():
        first, *rest = paragraphs(section)
        parts += [f"## `{name}`", first, *keys_of(name, section), *rest]
    return "\n\n".join(parts) + "\n"


def whole(part: Any, defs: Part) -> Any:
    """A part of the schema with what it refers to in its place, and as ``$def`` by itself."""
    if not isinstance(part, dict):
        return [whole(one, defs) for one in part] if isinstance(part, list) else part
    own = {key: whole(value, defs) for key, value in part.items()}
    if "$ref" not in part:
        return own
    below = whole(defs[part["$ref"].rpartition("/")[2]], defs)
    return below | own | {"$def": below}


def keys_of(name: str, section: Part) -> Iterator[str]:
    """The tables of a section: of its keys, or of what each entry of a registry may hold."""
    entry = section.get("additionalProperties") or {}
    kinds = [one["then"] for one in entry.get("allOf", [])]
    (by,) = entry.get("required", [""])
    if by == "source":
        for kind in kinds:
            of = kind["properties"][by]
            value = plain(of["const"] if "const" in of else of["examples"][0])
            first, *rest = paragraphs(of)
            yield from (f"**`{by}: {value}`**: {first}", table(HEAD, rows(kind)), *rest)
    elif kinds:
        said = [(kind["properties"][by], in_short(kind)) for kind in kinds]
        lines = [(f"`{of['const']}`", lead(of), keys) for of, keys in said]
        yield table((f"`{by}`", "what it does", "keys, and their defaults"), lines)
    elif "properties" in entry and "properties" not in section:
        yield table(HEAD, rows(entry))
    elif "properties" in entry:
        of_all = entry["properties"]
        lines = [
            (f"`{name}`", lead(one), in_short(one) if one["properties"] != of_all else "")
            for name, one in section["properties"].items()
        ]
        yield table(("study", "what it asks", "its own keys"), lines)
        yield from (lead(entry), table(HEAD, rows(entry)))
    elif "properties" in section:
        yield table(HEAD, rows(section, f"{name}."))


def rows(part: Part, prefix: str = "") -> Iterator[tuple[str, ...]]:
    """A row for each key, or for some side by side whose own keys are defined in one place."""

    def same(item: tuple[str, Part]) -> str:
        name, key = item
        return key["$ref"] if "$def" in key and "properties" in key else name

    for _, group in groupby(part["properties"].items(), same):
        names, (key, *others) = zip(*group, strict=True)
        said = lead(key["$def"] if others else key)
        if "const" not in key and "examples" not in key:
            what = f"{said} {in_short(key, said)}".strip()
            yield ", ".join(f"`{prefix}{name}`" for name in names), what, default_of(key)


def in_short(part: Part, said: str = "") -> str:
    """A sentence for each key below ``part`` that ``said`` does not name."""
    sentences = []
    for name, key in part.get("properties", {}).items():
        if "const" not in key and f"`{name}`" not in said:
            default = default_of(key)
            end = f" ({default})." if default else "."
            sentences.append(f"`{name}`: {lead(key).removesuffix('.')}{end}")
    return " ".join(sentences)


def paragraphs(part: Part) -> list[str]:
    return part["description"].strip().split("\n\n")


def lead(part: Part) -> str:
    """The first paragraph of what is said of a key, on one line."""
    return " ".join(paragraphs(part)[0].split())


def default_of(part: Part) -> str:
    """What a key is when it is not given; "" where it has to be, and where that is nothing."""
    value = part.get("default", "")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,}".removesuffix(".0")
    return f"`{plain(value)}`" if value not in ("", {}, []) and len(plain(value)) < LONG else ""


def plain(value: Any) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=9999, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown, without a last column that is empty."""
    lines = list(lines)
    width = len(head) - (not any(line[-1] for line in lines))
    every = [head, ("---",) * len(head), *lines]
    return "\n".join(f"| {' | '.join(line[:width])} |" for line in every)


if __name__ == "__main__":
    README.write_text(readme(yaml.safe_load(SCHEMA.read_text("utf-8"))), "utf-8")
