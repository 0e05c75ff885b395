"""Files over HTTP: resumed where they were cut, and checked before they get their name."""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from pathlib import Path
from urllib.parse import urlsplit

import requests

from scripts.job import digest_of_file, log, progress

# attempts in a row that bring nothing new; a slow line that is cut often may take many more
ATTEMPTS = 4
# seconds before the second attempt, doubled before each further one
PAUSE = 1.0
# seconds to connect, and to wait for the next bytes
TIMEOUT = (15, 60)
# bytes read at once, a sixteenth of a megabyte: what came of a piece is lost where the line goes
# dead within it
PIECE = 62_500
# answers and failures that another attempt may not meet
PASSING = (408, 425, 429, 500, 502, 503, 504)
CUT = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class Unavailable(Exception):
    """A source does not give the file, for a reason that asking again does not change.

    ``told`` may name addresses; keys in them are left out.
    """

    def __init__(self, told: str) -> None:
        super().__init__(plain_address(told))


class _Interrupted(Exception):
    """A download stopped for a reason that may pass."""


def fetch(
    url: str, target: Path, md5: str | None = None, auth: tuple[str, str] | None = None
) -> None:
    """Download ``url`` to ``target``.

    Until it is whole and its checksum is right, the file stands beside ``target`` with ``.part``
    after its name, so a download that was interrupted goes on from there, in a later run too.

    Parameters
    ----------
    url : of the file
    target : where it goes, in a folder that exists
    md5 : its MD5, where it is known
    auth : user and password; never shown, and never sent in the clear

    Raises
    ------
    Unavailable
        where the server does not give the file, gives a web page instead, gives another file than
        ``md5`` says (which is deleted), leads from https to http, or cannot be reached
    OSError
        where it cannot be written
    """
    if auth and not (_is_https(url) or _is_this_machine(url)):
        raise Unavailable(f"{url}: a key is sent to https addresses only")
    part = target.with_name(f"{target.name}.part")
    resumed = part.exists()
    _patiently(url, part, auth)
    if md5 and resumed and digest_of_file(part, "md5") != md5:
        log.warning("%s: an earlier run's part does not fit, so from the start", plain_address(url))
        part.unlink()
        _patiently(url, part, auth)
    if md5 and (found := digest_of_file(part, "md5")) != md5:
        part.unlink()
        raise Unavailable(f"{url}: found MD5 {found}, expected {md5}; it was deleted")
    part.replace(target)


def plain(error: Exception) -> str:
    """An exception in one line, without the keys that an address may hold."""
    text = plain_address(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text:.300}"


def plain_address(text: str) -> str:
    """``text`` without queries, which may be signatures, and users and passwords of addresses."""
    text = re.sub(r"\?[^\s'\")]*=[^\s'\")]*", "", text)
    return re.sub(r"://[^\s/'\"]*@", "://", text)


def _is_https(url: str) -> bool:
    return urlsplit(url).scheme == "https"


def _is_this_machine(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")


def _patiently(url: str, part: Path, auth: tuple[str, str] | None) -> None:
    """Make ``part`` whole, asking again while that may help."""
    failures = 0
    while True:
        before = _size(part)
        try:
            _go_on(url, part, auth)
            return
        except (_Interrupted, *CUT) as error:
            failures = 1 if _size(part) > before else failures + 1
            if failures == ATTEMPTS:
                raise Unavailable(f"{url}: {plain(error)}, {ATTEMPTS} times") from None
            log.warning("%s: %s; trying again", plain_address(url), plain(error))
            time.sleep(PAUSE * 2 ** (failures - 1))
        except requests.RequestException as error:
            raise Unavailable(f"{url}: {plain(error)}") from None


def _go_on(url: str, part: Path, auth: tuple[str, str] | None) -> None:
    """Ask once for what ``part`` does not hold yet, and append it."""
    have = _size(part)
    # the bytes of an encoded answer are not those of the file, so it could not be resumed
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, auth=auth, stream=True, timeout=TIMEOUT) as answer:
        # no checksum is known of every file: what comes over TLS must not end outside of it
        if _is_https(url) and not all(map(_is_https, _way(answer))):
            raise Unavailable(f"{url}: leads from https to an address without it")
        start, total = _range(answer.headers.get("Content-Range", ""))
        if answer.status_code == 416 and have:
            if total == have:
                return
            part.unlink()
            raise _Interrupted("the part is not one of this file")
        if answer.status_code in PASSING:
            raise _Interrupted(f"HTTP {answer.status_code}")
        if answer.status_code not in (200, 206):
            raise Unavailable(f"{url}: HTTP {answer.status_code} {answer.reason}")
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            raise Unavailable(f"{url}: a web page, not the file")
        if answer.status_code == 200:
            have = 0
        elif start != have:
            part.unlink(missing_ok=True)
            raise _Interrupted(f"the server went on at byte {start}, not at {have}")
        _append(part, have, answer)


def _append(part: Path, have: int, answer: requests.Response) -> None:
    """Write what comes behind the first ``have`` bytes of ``part``."""
    length = int(answer.headers.get("Content-Length") or 0)
    _check_space(part, length)
    pieces, total = answer.iter_content(PIECE), -(-length // PIECE) or None
    with part.open("ab" if have else "wb") as stream:
        for piece in progress(pieces, part.stem, total=total, unit="MB", scale=PIECE / 1e6):
            stream.write(piece)
    if length and _size(part) < have + length:
        raise _Interrupted(f"cut after {_size(part):,} of {have + length:,} bytes")


def _way(answer: requests.Response) -> list[str]:
    """Every address that was asked until this answer came."""
    return [step.url for step in (*answer.history, answer)]


def _range(content_range: str) -> tuple[int | None, int | None]:
    """First byte and size of the whole file, as far as a Content-Range header tells them."""
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", content_range.strip())
    if match is None:
        return None, None
    return (
        int(match[1]) if match[1] else None,
        int(match[2]) if match[2] != "*" else None,
    )


def _check_space(part: Path, length: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if length > free:
        wanted = f"{os.strerror(errno.ENOSPC)}: {length:,} bytes to come, {free:,} free"
        raise OSError(errno.ENOSPC, wanted, str(part))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
