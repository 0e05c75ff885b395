"""A real Slurm of one node on this machine, for tests: start it, and stop it with all that it runs.

    python tests/slurm/one_node.py start
    python tests/slurm/one_node.py stop

The node has made-up cores, memory and two GPUs (character devices that nothing reads), so what is
tested is what Slurm grants and takes away, not how fast it is. Needs root and Debian's packages
slurm-wlm and munge; no systemd. Everything that it writes is in one folder, but for two links that
Slurm wants in /etc/slurm, because a job step keeps no variable that could tell it otherwise.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("/run/clip-retrieval-slurm")
ETC = Path("/etc/slurm")
CONFIGURATION = ("slurm.conf", "gres.conf")
CLUSTER = "clip-retrieval-tests"
# in the environment of daemons and the steps they start; what a job runs has the cluster's name
MARKS = {"CLIP_RETRIEVAL_SLURM": str(FOLDER), "SLURM_CLUSTER_NAME": CLUSTER}
CORES, MEMORY_MB = 8, 64_000

SLURM_CONF = """
ClusterName={cluster}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# without an accounting database, squeue has to tell how jobs ended
AccountingStorageType=accounting_storage/none
MinJobAge=3600
# no control groups here: Slurm itself looks every second what a job uses, and ends it at its limit
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
KillWait=2
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
GresTypes=gpu
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} Gres=gpu:2
PartitionName=cpu Nodes={node} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={node} MaxTime=INFINITE State=UP
"""


class Unavailable(Exception):
    """Why no Slurm can be started here."""


def why_not() -> str | None:
    """Why no Slurm can be started on this machine, or None where it can."""
    commands = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "squeue", "scancel", "scontrol")
    missing = [command for command in commands if not shutil.which(command, path=_path())]
    if os.geteuid() != 0:
        return "starting Slurm needs root"
    if missing:
        return f"no {missing[0]} here: apt-get install slurm-wlm munge"
    if os.environ.get("SLURM_CONF"):
        return "SLURM_CONF is set: a real Slurm is configured"
    for name in CONFIGURATION:
        path = ETC / name
        if (path.exists() or path.is_symlink()) and not _is_ours(path):
            return f"{path} is there: a real Slurm is configured"
    ours = {_pid_of(name) for name in DAEMONS}
    for name in ("slurmctld", "slurmd"):
        if others := processes_called(name) - ours:
            return f"{name} runs already, as process {min(others)}"
    return None


def start() -> None:
    """Start the node, and wait until it takes jobs. What an earlier one left behind goes first.

    Raises ``Unavailable`` with the reason where it cannot be.
    """
    if reason := why_not():
        raise Unavailable(reason)
    stop()
    for part in (FOLDER, FOLDER / "state", FOLDER / "spool"):
        part.mkdir(mode=0o755, parents=True)
    try:
        _configure()
        _start_daemons()
    except BaseException:
        stop()
        raise


def stop() -> None:
    """End every job and every daemon of ours, and put /etc/slurm back as it was."""
    if _alive(_pid_of("slurmctld")):
        _told("scancel", "--signal=KILL", "--full", "--user=root", patient=False)
        _told("scancel", "--user=root", patient=False)
        _wait(lambda: not _told("squeue", "--noheader", patient=False).strip(), 10)
    for name in reversed(DAEMONS):
        _end(_pid_of(name))
    # steps outlive the daemon that started them
    for pid in _marked():
        _end(pid, signal.SIGKILL)
    for name in CONFIGURATION:
        if _is_ours(ETC / name):
            (ETC / name).unlink()
    shutil.rmtree(FOLDER, ignore_errors=True)


@contextlib.contextmanager
def running() -> Iterator[None]:
    """The node, for as long as the block lasts; one at a time on a machine."""
    if reason := why_not():
        raise Unavailable(reason)
    with Path(f"{FOLDER}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable("another test has the node") from None
        try:
            start()
            yield
        finally:
            stop()


def left_behind() -> list[str]:
    """What of a node is still there: processes and files."""
    processes = [f"process {pid}" for pid in sorted(_marked())]
    files = [FOLDER, *(ETC / name for name in CONFIGURATION)]
    return processes + [str(path) for path in files if path.exists() or path.is_symlink()]


DAEMONS = ("munged", "slurmctld", "slurmd")


def _configure() -> None:
    # Slurm takes the short name of a host
    host = socket.gethostname().split(".")[0]
    with _bound() as one, _bound() as other:
        ports = one.getsockname()[1], other.getsockname()[1]
    values = {
        "cluster": CLUSTER,
        "host": host,
        "node": "onenode",
        "folder": FOLDER,
        "controller_port": ports[0],
        "node_port": ports[1],
        "cores": CORES,
        "memory": MEMORY_MB,
    }
    (FOLDER / "slurm.conf").write_text(SLURM_CONF.format(**values).lstrip())
    gpus = [FOLDER / f"gpu{number}" for number in range(2)]
    for gpu in gpus:
        # Slurm wants a character device and never opens it
        gpu.symlink_to("/dev/null")
    (FOLDER / "gres.conf").write_text("".join(f"Name=gpu File={gpu}\n" for gpu in gpus))
    key = FOLDER / "munge.key"
    key.touch(0o600)
    key.write_bytes(os.urandom(128))
    ETC.mkdir(exist_ok=True)
    for name in CONFIGURATION:
        (ETC / name).symlink_to(FOLDER / name)


def _start_daemons() -> None:
    munged = [
        "munged",
        *(f"--{what}={FOLDER}/munge.{what.split('-')[0]}" for what in ("key-file", "socket")),
        *(f"--{what}={FOLDER}/munged.{what.split('-')[0]}" for what in ("pid-file", "log-file")),
        f"--seed-file={FOLDER}/munged.seed",
    ]
    for command in (munged, ["slurmctld"], ["slurmd", "-N", "onenode"]):
        done = subprocess.run(
            command,
            env=os.environ | {"PATH": _path()} | MARKS,
            stdin=subprocess.DEVNULL,
            stdout=(FOLDER / "start.log").open("a"),
            stderr=subprocess.STDOUT,
            timeout=300,
        )
        if done.returncode:
            raise Unavailable(f"{command[0]} does not start:\n{_end_of_logs()}")
    if not _wait(lambda: "idle" in _told("sinfo", "--noheader", "-o", "%T", patient=False), 20):
        raise Unavailable(f"the node takes no jobs:\n{_end_of_logs()}")


def _end_of_logs() -> str:
    logs = sorted(FOLDER.glob("*.log"))
    return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-1000:]}" for log in logs)


def _bound() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _told(*command: str, patient: bool = True) -> str:
    """What a command of Slurm's says; where it may fail, what it says before."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if patient and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout
    return ""


def _wait(true, seconds: float) -> bool:
    """Whether ``true()`` comes true within ``seconds``."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def _is_ours(path: Path) -> bool:
    return path.is_symlink() and path.readlink().parent == FOLDER


def _pid_of(name: str) -> int | None:
    """The process of a daemon of ours, by its pid file; None where that is gone or another's."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((FOLDER / f"{name}.pid").read_text())
        # a number in an old file may have passed on to another process
        return pid if pid in _marked() else None
    return None


def processes_called(name: str) -> set[int]:
    """Numbers of the running processes of this name."""
    found = set()
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if comm.read_text().strip() == name:
                found.add(int(comm.parent.name))
    return {pid for pid in found if _alive(pid)}


def _marked() -> set[int]:
    """Processes of our daemons and of the jobs under them, by what they have inherited."""
    found = set()
    marks = {f"{name}={value}".encode() for name, value in MARKS.items()}
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if marks & set(environ.read_bytes().split(b"\0")):
                found.add(int(environ.parent.name))
    return found - {os.getpid()}


def _alive(pid: int | None) -> bool:
    if pid is None:
        return False
    with contextlib.suppress(OSError):
        # what has ended and was not waited for is no longer running
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


def _end(pid: int | None, how: signal.Signals = signal.SIGTERM) -> None:
    if pid is None:
        return
    for number in (how, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if _wait(lambda: not _alive(pid), 10):
            return


if __name__ == "__main__":
    try:
        {"start": start, "stop": stop}[sys.argv[1]]()
    except (IndexError, KeyError):
        sys.exit(__doc__)
    except Unavailable as error:
        sys.exit(f"No Slurm: {error}")
