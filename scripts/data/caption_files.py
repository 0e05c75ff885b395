"""The two formats in which Flickr8k's captions are handed round, read strictly."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator

from scripts.data.audit import EMPTY_CAPTION, LONG_CAPTION, Findings
from scripts.job import BadInput

# the longest sentence that anyone reads has some thousand; a model reads 248 words at most
MAX_CAPTION = 100_000
# line ends of any kind and what drives terminals: text pasted from a page or a document has them,
# readers see nothing of them, or two words as one, and no model learnt them
INVISIBLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]+")
# what shows nothing though Unicode counts it among letters, marks and symbols
BLANK = re.compile(
    "[\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u2800\\u3164\\ufe00-\\ufe0f\\uffa0]"
)


# with the language that Flickr8k-CN and its kind have between, too, and a space behind
TOKEN_LINE = re.compile(
    r"([^\t\r]+)#([0-9]{1,9})\t([^\t\r]*)\s*|([^\s#]+)#\w+#([0-9]{1,9})[ \t]([^\t\r]*)\s*"
)


def token_captions(text: str, where: str, findings: Findings) -> dict[str, list[str]]:
    """As ``numbered_captions``, without those that are not ``usable``."""
    found = numbered_captions(text, where)
    return {image: usable(image, captions, findings) for image, captions in found.items()}


def numbered_captions(text: str, where: str) -> dict[str, list[str]]:
    """Image -> captions from lines ``name#number<TAB>caption``, in the order of their numbers.

    ``where`` is how to call the file in a message.
    """
    numbered: dict[str, list[tuple[int, str]]] = {}
    for image, number, caption in token_lines(text, where):
        numbered.setdefault(image, []).append((number, caption))
    # sorted by number alone: two captions of one number stay in the order of the file
    return {
        image: [caption for _, caption in sorted(captions, key=lambda one: one[0])]
        for image, captions in numbered.items()
    }


def token_lines(text: str, where: str) -> Iterator[tuple[str, int, str]]:
    """Image, number and caption of each line ``name#number<TAB>caption``; ``BadInput`` for others.

    A second tab in a line tells that it lost its end: its image would take the next one's caption.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        match = TOKEN_LINE.fullmatch(line)
        if match is None:
            raise BadInput(
                f"{where}, line {number}",
                f"{line!r:.80}",
                "name#number<TAB>caption",
                "get the file again, or correct the line",
            )
        image, place, caption = match.groups()[:3] if match[1] else match.groups()[3:]
        yield image, int(place), caption


def table_captions(text: str, where: str, findings: Findings) -> dict[str, list[str]]:
    """Image -> captions from a CSV table with the header ``image,caption``, in its order.

    ``where`` is how to call the file in a message. Empty captions are set aside.
    """
    # a caption that is too long is set aside like any other, not refused with the table
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    rows = csv.reader(io.StringIO(text, newline=""))
    captions: dict[str, list[str]] = {}
    try:
        header = next(rows, [])
        if [column.strip().casefold() for column in header] != ["image", "caption"]:
            raise BadInput(
                f"{where}, line 1",
                f"{header!r:.80}",
                "the header image,caption",
                "correct the header",
            )
        last = rows.line_num
        for row in rows:
            first, last = last + 1, rows.line_num
            if not row:
                continue
            # a comma in a caption that was not quoted splits it, and nothing else could
            image, caption = row[0].strip(), ",".join(row[1:])
            if len(row) < 2 or not image or "\n" in caption:
                raise BadInput(
                    f"{where}, line {first}",
                    f"{','.join(row)!r:.80}",
                    "image,caption on one line",
                    "correct the line; a quote that is opened there may not be closed",
                )
            captions.setdefault(image, []).append(caption)
    except csv.Error as error:
        raise BadInput(
            f"{where}, line {rows.line_num}", str(error), "image,caption", "correct the line"
        ) from None
    return {image: usable(image, texts, findings) for image, texts in captions.items()}


def _shows(character: str) -> bool:
    # C: controls, directions, and what is no character; Z: spaces of all widths
    return unicodedata.category(character)[0] not in "CZ" and not BLANK.match(character)


def usable(image: str, captions: list[str], findings: Findings) -> list[str]:
    """``captions`` without space around them, and without those that are set aside.

    These are the empty ones, in which nothing shows, and those of more than ``MAX_CAPTION``
    characters. What is ``INVISIBLE`` becomes a space.
    """
    findings.captions_found += len(captions)
    kept = []
    for number, written in enumerate(captions):
        caption = written.strip()
        if INVISIBLE.search(caption):
            caption = " ".join(INVISIBLE.sub(" ", caption).split())
            findings.spaced.append(f"{image}: caption {number}")
        if not any(map(_shows, caption)):
            findings.set_aside(image, EMPTY_CAPTION, f"caption {number}")
        elif len(caption) > MAX_CAPTION:
            detail = f"caption {number}: {len(caption):,} characters, more than {MAX_CAPTION:,}"
            findings.set_aside(image, LONG_CAPTION, detail)
        else:
            kept.append(caption)
    return kept
