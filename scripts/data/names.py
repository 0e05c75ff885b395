"""Which file a name means that is written a little otherwise, as lists from elsewhere write them.

What is taken is always a file that stands there; the name that was written only finds it.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from urllib.parse import unquote

from scripts.data.files import MAX_PATH

SUFFIX = re.compile(r"\.(jpe?g|jpe|png|webp|gif|bmp|tiff?|p[bgpn]m|avif)$", re.IGNORECASE)
# names that are compared with every other are few, short, and not of millions
ALIKE, LONGEST, MOST = 0.8, 200, 20_000

Key = tuple[str, ...]


def matched(
    names: Iterable[str], there: Iterable[str], preferred: Iterable[str] = ()
) -> tuple[dict[str, str], dict[str, str]]:
    """Find what each of ``names`` means of what is ``there``.

    First by the name as it is; else where it differs only in how its accents are encoded, in
    folders in front (of either), in slashes and percent signs, in case or in the suffix of an
    image: the least of these differences goes first, and it must tell one name and one file; of
    two files, the one that is ``preferred``. A name that is longer than any path is only
    compared as it is.

    Returns
    -------
    found : name -> what it means
    doubts : name -> why it is none of those that it might mean, in words
    """
    names, there = list(dict.fromkeys(names)), dict.fromkeys(there)
    found = {name: name for name in names if name in there}
    doubts: dict[str, str] = {}
    left = [name for name in names if name not in found and _is_path(name)]
    there, preferred = list(filter(_is_path, there)), list(filter(_is_path, preferred))
    taken = set(found)
    for form in FORMS:
        if not left:
            break
        candidates_of, preferred_of = _candidates(there, form), _candidates(preferred, form)
        claims = {name: claim for name in left if (claim := candidates_of(form(name)))}
        for name, claim in claims.items():
            if len(claim) > 1:
                claims[name] = preferred_of(form(name)) or claim
        wanted = Counter(claim[0] for claim in claims.values() if len(claim) == 1)
        for name, claim in claims.items():
            if len(claim) > 1:
                doubts[name] = f"{claim[0]} and {claim[1]} are there"
            elif claim[0] in taken or wanted[claim[0]] > 1:
                doubts[name] = f"{claim[0]} is there, which another name means, too"
            else:
                found[name] = claim[0]
        taken |= wanted.keys()
        left = [name for name in left if name not in claims]
    return found, doubts


def same_text(name: str, other: str) -> bool:
    """Whether two names differ at most in how their accents are encoded.

    Some systems store é as one character and some as two; both look the same to whoever types it.
    """
    return unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other)


def nearest(name: str, there: Iterable[str]) -> str:
    """What is written most like ``name``, for a person to compare; "" where nothing is like it."""
    if len(name) > LONGEST:
        return ""
    others = list(islice(there, MOST))
    for short in (stem_of, _last):
        named = {short(other): other for other in reversed(others)}
        alike = difflib.get_close_matches(short(name), named, n=1, cutoff=ALIKE)
        if alike:
            return named[alike[0]]
    return ""


def _is_path(name: str) -> bool:
    # each folder of a name is compared with what follows: of thousands, none ends
    return len(name.encode("utf-8", "surrogatepass")) <= MAX_PATH


def _last(name: str) -> str:
    return re.split(r"[/\\]", name)[-1].casefold()


def stem_of(name: str) -> str:
    """The last part of a path, without case and without the suffix of an image."""
    return SUFFIX.sub("", _last(name))


def _unicode(name: str) -> Key:
    return (unicodedata.normalize("NFC", name),)


def _parts(name: str, fold: bool, stem: bool) -> Key:
    """Folders and name without what tells nothing; empty where no two names may be compared."""
    name = unicodedata.normalize("NFC", name.strip())
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", name):
        name = re.sub(r"[?#].*", "", name.split("://", 1)[1], flags=re.DOTALL)
    name = unquote(name).replace("\\", "/")
    name = re.sub(r"^(\.\./)+", "", name)
    if stem:
        name = SUFFIX.sub("", name)
    if fold:
        name = name.casefold()
    parts = PurePosixPath(name).parts
    return () if ".." in parts else tuple(part for part in parts if part.strip("/"))


# from the least difference to the greatest
FORMS: tuple[Callable[[str], Key], ...] = (
    _unicode,
    *(partial(_parts, fold=fold, stem=stem) for stem in (False, True) for fold in (False, True)),
)


def _candidates(there: Iterable[str], form: Callable[[str], Key]) -> Callable[[Key], list[str]]:
    """A search for what has the same key, or one with more or fewer folders in front.

    It gives two where there are more.
    """
    whole: dict[Key, list[str]] = {}
    ends: dict[Key, list[str]] = {}
    for name in there:
        key = form(name)
        _add(whole, key, name)
        for end in _ends(key):
            _add(ends, end, name)

    def search(key: Key) -> list[str]:
        if not key:
            return []
        fewer = (whole[end] for end in _ends(key) if end in whole)
        return whole.get(key) or ends.get(key) or next(fewer, [])

    return search


def _ends(key: Key) -> Iterator[Key]:
    return (key[start:] for start in range(1, len(key)))


def _add(index: dict[Key, list[str]], key: Key, name: str) -> None:
    found = index.setdefault(key, [])
    if len(found) < 2:
        found.append(name)
