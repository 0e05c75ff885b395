"""A Python that has torch and transformers imported already, for the many jobs of the tests' runs.

An encoding job of the small run takes four seconds of CPU, three of which are imports, and there
are some hundred of them. ``warm_python`` starts one process that imports once and forks for each
job. The program that it gives stands in for ``python`` in Snakemake: scripts that load a model it
hands to that process, with their working directory, environment and streams, all else to Python
itself. Runs under conda and on Slurm have Python itself for every job.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
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
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

# rules whose scripts load a model; Snakemake runs each as tmp<letters>.<script>.py
LOADS = ("encode_images", "encode_texts", "encode_damaged", "choose_precision", "train_model")
CLIENT = f"""#!{sys.executable} -IS
import json, os, socket, sys
python, address = {sys.executable!r}, ADDRESS
if len(sys.argv) == 2 and sys.argv[1].split(".")[-2:-1] in {[[name] for name in LOADS]}:
    about = dict(script=sys.argv[1], folder=os.getcwd(), environment=dict(os.environ))
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        socket.send_fds(server, [b"0"], [0, 1, 2])
        server.sendall(json.dumps(about).encode())
        server.shutdown(socket.SHUT_WR)
        os._exit(int(server.recv(8) or 1))
os.execv(python, [python, *sys.argv[1:]])
"""
# `python -m snakemake` with another Python for its scripts
SNAKEMAKE = "import sys; sys.executable = sys.argv.pop(1); from snakemake.cli import main; main()"


def snakemake() -> list[str]:
    """The command, to which arguments are to be added."""
    return [sys.executable, "-c", SNAKEMAKE, str(_program())]


@functools.cache
def _program() -> Path:
    """What stands in for Python as long as this process is there."""
    ends = contextlib.ExitStack()
    atexit.register(ends.close)
    folder = ends.enter_context(tempfile.TemporaryDirectory())
    return ends.enter_context(_begun(Path(folder)))


@contextlib.contextmanager
def _begun(folder: Path) -> Iterator[Path]:
    address, program = folder / "socket", folder / "python"
    program.write_text(CLIENT.replace("ADDRESS", repr(str(address))), "utf-8")
    program.chmod(0o755)
    command = [sys.executable, __file__, str(address)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as server:
        assert server.stdout.read(5) == b"ready"
        yield program


def _serve(address: str) -> None:
    """Import, then answer each client with the exit status of its script, while stdin is open."""
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from scripts.models import encoders

    encoders.import_libraries()
    import transformers

    transformers.CLIPModel  # noqa: B018, imported when it is first asked for
    # a job imports the scripts of its own folder
    for name in [name for name in sys.modules if name.split(".")[0] == "scripts"]:
        del sys.modules[name]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the answered
    with socket.socket(socket.AF_UNIX) as clients:
        clients.bind(address)
        clients.listen(64)
        print("ready", end="", flush=True)
        while select.select([clients, sys.stdin], [], [])[0] == [clients]:
            client, _ = clients.accept()
            if not os.fork():
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                clients.close()
                _answer(client)
            client.close()


def _answer(client: socket.socket) -> NoReturn:
    """Run a client's script in a process of its own, which ends where the client does."""
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    try:
        about = json.loads(b"".join(iter(lambda: client.recv(2**16), b"")))
    except ValueError:  # killed while it asked
        os._exit(1)
    ended, runs = os.pipe()
    job = os.fork()
    if not job:
        client.close()
        os.close(ended)
        _run(about, streams)
    os.close(runs)
    # the pipe closes when the job ends, the socket when whoever waits for it is killed
    closed = select.poll()
    closed.register(ended)
    closed.register(client, 0)
    if client.fileno() in dict(closed.poll()):
        os.kill(job, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
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
    sys.argv = [about["script"]]
    sys.path[0] = str(Path(about["script"]).parent)
    status = 0
    try:
        runpy.run_path(about["script"], run_name="__main__")
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
    _serve(sys.argv[1])
