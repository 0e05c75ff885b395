"""Which GPU a job takes: one that no job beside it has, where it sees several."""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any


def device_called(name: str, torch: Any) -> str:
    """What torch calls the device of a setting: that which "auto" and "cuda" leave open is chosen.

    Parameters
    ----------
    name : "auto" for a GPU, else MPS, else the CPU; "cuda" for a GPU; any other is as it was
    torch : the module, which those who call this import when they need it
    """
    has_gpu = torch.cuda.is_available()
    if name in ("auto", "cuda") and has_gpu:
        return own_gpu(torch.cuda)
    if name == "auto":
        return "mps" if torch.backends.mps.is_available() else "cpu"
    return name


@functools.cache
def own_gpu(cuda: Any) -> str:
    """The GPU that this job has from now on, such as "cuda:2"; the same whenever it asks.

    It is the first of those that ``cuda`` (``torch.cuda``) shows which no other job of this user on
    this machine holds; where each is held, the one with most memory free. Where a scheduler shows a
    job one alone (CUDA_VISIBLE_DEVICES), it is that one.
    """
    there = range(cuda.device_count())
    # by what the GPU itself is called: a job that sees other ones counts otherwise
    found = next((one for one in there if _hold(str(cuda.get_device_properties(one).uuid))), None)
    if found is None:
        found = max(there, key=lambda one: cuda.mem_get_info(one)[0])
    return f"cuda:{found}"


def _hold(gpu: str) -> bool:
    """Whether this process now has the lock of a GPU, until it ends, however it ends."""
    if sys.platform == "win32":
        return False
    import fcntl

    folder = Path(tempfile.gettempdir(), f"clip-retrieval-gpus-{os.getuid()}")
    # where nothing may be written, none is held
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        # whoever else may write there cannot lead it to another file
        lock = os.open(folder / gpu, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
        else:
            return True
    return False
