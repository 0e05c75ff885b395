"""A Python that has imported already what Snakemake and scripts need, for the runs of the tests.

An encoding job of the small run takes four seconds of CPU, a dry run more than two and a figure
almost two, most of which are imports; there are hundreds of each. For each kind a process imports
once and then forks for whoever asks. The program that ``python`` gives stands in for Python:
``-m snakemake`` and the scripts of rules it hands to these processes, with their working directory,
environment and streams, all else to Python itself. Where WARM names a kind, it is the only one.
Runs under conda and on Slurm have nothing of this.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NoReturn

from threadpoolctl import threadpool_limits

# scripts that need torch; Snakemake runs each as .snakemake/scripts/tmp<letters>.<script>.py
TORCH = ("encode_images", "encode_texts", "encode_damaged", "choose_precision", "train_model")
TORCH += ("fit_adapter",)
# what the others need, each a few of these
LIBRARIES = ("snakemake.iocontainers", "scipy.sparse", "scipy.special", "scipy.stats", "pandas")
LIBRARIES += ("sklearn.cluster", "faiss", "threadpoolctl", "jinja2", "typst", "fontTools.subset")
LIBRARIES += ("matplotlib.figure", "matplotlib.backends.backend_agg")
LIBRARIES += ("matplotlib.backends.backend_svg",)
# what a plan imports only when it comes to it
PLANNING = ("jsonschema", "requests", "smart_open")
CLIENT = f"""#!{sys.executable} -IS
import json, os, socket, sys
python, folder = {sys.executable!r}, FOLDER
kind = "snakemake" if sys.argv[1:3] == ["-m", "snakemake"] else None
if len(sys.argv) == 2 and "/.snakemake/scripts/tmp" in sys.argv[1]:
    kind = "torch" if sys.argv[1].split(".")[-2] in {TORCH} else "libraries"
if kind and kind in os.environ.get("WARM", kind):
    about = dict(arguments=sys.argv[1:], folder=os.getcwd(), environment=dict(os.environ))
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(folder + "/" + kind)
        socket.send_fds(server, [b"0"], [0, 1, 2])
        server.sendall(json.dumps(about).encode())
        server.shutdown(socket.SHUT_WR)
        os._exit(int(server.recv(8) or 1))
os.execv(python, [python, *sys.argv[1:]])
"""
# `python -m snakemake` that is a process like any other, with another Python for its scripts
SNAKEMAKE = "import sys; sys.executable = sys.argv.pop(1); from snakemake.cli import main; main()"


@functools.cache
def python() -> str:
    """The program, which is there as long as this process."""
    ends = contextlib.ExitStack()
    atexit.register(ends.close)
    folder = Path(ends.enter_context(tempfile.TemporaryDirectory()))
    program = folder / "python"
    program.write_text(CLIENT.replace("FOLDER", repr(str(folder))), "utf-8")
    program.chmod(0o755)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    for kind in ("torch", "libraries", "snakemake"):
        command = [sys.executable, __file__, str(program), kind]
        # else the scripts of this checkout stood before those of the copy that a run is of
        alone = os.environ | {"PYTHONPATH": ""}
        server = ends.enter_context(subprocess.Popen(command, env=alone, **pipes))
        assert server.stdout.read(5) == b"ready"
    return str(program)


def _serve(program: Path, kind: str) -> None:
    """Answer each client with an exit status, while stdin is open; import for the first one."""
    with socket.socket(socket.AF_UNIX) as clients:
        clients.bind(str(program.with_name(kind)))
        clients.listen(64)
        print("ready", end="", flush=True)
        imported = False
        while select.select([clients, sys.stdin], [], [])[0] == [clients]:
            if not imported:
                _import(program, kind)
                imported = True
                signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the answered
            client, _ = clients.accept()
            if not os.fork():
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                clients.close()
                _answer(client)
            client.close()


def _import(program: Path, kind: str) -> None:
    if kind == "torch":
        sys.path[0] = str(Path(__file__).resolve().parent.parent)
        from scripts.models.backends.transformers import import_libraries

        import_libraries()
        import transformers

        transformers.CLIPModel  # noqa: B018, imported when it is first asked for
        # a job imports the scripts of its own folder
        for name in [name for name in sys.modules if name.split(".")[0] == "scripts"]:
            del sys.modules[name]
    elif kind == "libraries":
        for name in LIBRARIES:
            importlib.import_module(name)
    else:
        import snakemake.cli

        # which imports all plugins
        snakemake.cli.get_argument_parser()
        for name in PLANNING:
            importlib.import_module(name)
        sys.executable = str(program)
    gc.freeze()


def _answer(client: socket.socket) -> NoReturn:
    """Do a client's work in a process of its own, which ends where the client does."""
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    try:
        about = json.loads(b"".join(iter(lambda: client.recv(2**16), b"")))
    except ValueError:  # killed while it asked
        os._exit(1)
    ended, runs = os.pipe()
    work = os.fork()
    if not work:
        client.close()
        os.close(ended)
        _run(about, streams)
    os.setpgid(work, work)
    os.close(runs)
    # the pipe closes when the work ends, the socket when whoever waits for it is killed
    closed = select.poll()
    closed.register(ended)
    closed.register(client, 0)
    if client.fileno() in dict(closed.poll()):
        os.killpg(work, signal.SIGKILL)  # with the clients that it waits for itself
    status = os.waitstatus_to_exitcode(os.waitpid(work, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        client.sendall(str(status % 256).encode())
    os._exit(0)


def _run(about: dict, streams: list[int]) -> NoReturn:
    for stream, descriptor in enumerate(streams):
        os.dup2(descriptor, stream)
        os.close(descriptor)
    os.chdir(about["folder"])
    os.environ.clear()
    os.environ.update(about["environment"])
    module, *rest = about["arguments"][1:] or [None]
    sys.argv = [module, *rest] if module else about["arguments"]
    sys.path[0] = about["folder"] if module else str(Path(sys.argv[0]).parent)
    if threads := os.environ.get("OMP_NUM_THREADS"):
        # which libraries read when they are imported
        threadpool_limits(int(threads))
    status = 0
    try:
        if module:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    # all of torch is not taken apart again, which would be half a second
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.argv[2])
