"""The workflow on a real Slurm of one node: what it asks of it, and what it survives there."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import one_node
import pytest
import warm_python
from patience import LONG
from small_runs import FEW, RUN, assert_part_of

# small jobs: look more often; and one core each, where the local run has two
ON_NODES = ("--workflow-profile", "slurm", "--max-threads", "1")
ON_NODES += ("--slurm-init-seconds-before-status-checks", "4")
TABLES = [f"{RUN}/tables/{name}.csv" for name in ("metrics", "pairs", "steps", "robustness")]
LATER = [f"{RUN}/tables/gallery.csv", f"{RUN}/figures/recall.en.svg"]
ENCODING = (
    "encode_images",
    "encode_texts",
    "encode_damaged",
    "encode_images_in",
    "encode_texts_in",
)


def told(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=LONG).stdout


def jobs() -> list[dict[str, str]]:
    """What Slurm says of every job that it was given, in their order."""
    lines = told("scontrol", "--details", "--oneliner", "show", "job").splitlines()
    found = [
        {"Comment": ""} | dict(re.findall(r"(\w[\w:/]*)=(\S*)", line))
        for line in lines
        if "JobId=" in line
    ]
    return sorted(found, key=lambda job: int(job["JobId"]))


def wait_for(what, seconds: float = LONG):
    """The first value of ``what()`` that holds."""
    until = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.3)
    return value


def of(comment: str, state: str = "") -> list[dict[str, str]]:
    """Jobs of a rule or group, by the beginning of the comment that the executor gives them."""
    return [
        job
        for job in jobs()
        if job["Comment"].startswith(comment) and job["JobState"].startswith(state)
    ]


def all_ended() -> bool:
    """Whether no job waits or runs; one that completes has yet to be told how it ended."""
    return not any(of("", state) for state in ("PENDING", "RUNNING", "COMPLETING"))


@pytest.fixture
def nothing_left():
    yield
    assert one_node.left_behind() == []


def test_a_node_is_stopped_with_its_jobs_also_when_a_test_fails(nothing_left):
    # what tests that were killed have left of a node goes when the next one starts
    before = set(one_node.ETC.iterdir()) if one_node.ETC.exists() else set()
    before -= {one_node.ETC / name for name in one_node.CONFIGURATION}
    try:
        with one_node.running():
            told("sbatch", "--output=/dev/null", "--wrap", "sleep 600")
            wait_for(lambda: of("", "RUNNING"))
            raise ZeroDivisionError
    except one_node.Unavailable as reason:
        pytest.skip(str(reason))
    except ZeroDivisionError:
        pass
    assert set(one_node.ETC.iterdir()) == before


@pytest.mark.parametrize("name", one_node.CONFIGURATION)
def test_where_a_slurm_is_configured_none_is_started(name, tmp_path, monkeypatch):
    if reason := one_node.why_not():
        pytest.skip(reason)
    monkeypatch.setattr(one_node, "ETC", tmp_path)
    assert one_node.why_not() is None
    (tmp_path / name).write_text("theirs")
    with pytest.raises(one_node.Unavailable, match="a real Slurm is configured"):
        one_node.start()
    assert (tmp_path / name).read_text() == "theirs"


class Cluster:
    """A copy of the repository whose runs go to the node, as docs/clusters.md says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.profile = folder / "profiles/slurm/profile.yaml"

    def set(self, old: str, new: str, file: str = "profiles/slurm/profile.yaml") -> None:
        path = self.folder / file
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    def start(self, *options: str, warm: bool = False) -> subprocess.Popen[str]:
        """Snakemake, on its way; what it says goes to a file.

        Where jobs may be ``warm``, their Snakemake has imported already, and is no process of
        Slurm's job: neither its memory nor a signal is Slurm's.
        """
        python = ["-m", "snakemake"]
        if warm:
            python = ["-c", warm_python.SNAKEMAKE, warm_python.python()]
        about = {"PYTHONPATH": "", "CUDA_VISIBLE_DEVICES": "", "WARM": "snakemake libraries"}
        with (self.folder / "said.log").open("a") as said:
            return subprocess.Popen(
                [sys.executable, *python, *FEW, *ON_NODES, *options],
                cwd=self.folder,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=os.environ | about,
                start_new_session=True,
            )

    def said(self) -> str:
        return (self.folder / "said.log").read_text("utf-8")

    def second_training_has_begun(self) -> bool:
        """Whether a training that was tried again has come so far as to write its log."""
        log = self.folder / "results/logs/train_model/clip-tiny.log"
        running = of("rule_train_model", "RUNNING")
        if len(of("rule_train_model")) < 2 or not running or not log.is_file():
            return False
        return log.stat().st_mtime > datetime.fromisoformat(running[0]["StartTime"]).timestamp()

    def wait_for(self, what, process: subprocess.Popen, seconds: float = LONG):
        """``wait_for``, while Snakemake runs."""
        value = wait_for(lambda: what() or process.poll() is not None, seconds)
        assert process.poll() is None, self.said()
        return value


@pytest.fixture(scope="module")
def cluster(finished_run, tmp_path_factory):
    """The small run on the node from nothing to its tables, with all that may happen on the way.

    Training is first given too little memory; then Ctrl-C; then the same command again, and a job
    of its encoding is cancelled by hand. What comes after encoding is one job, which is the faster
    way of the two in docs/clusters.md; then steps of later groups go the other way.
    """
    if Path("/dev/nvidia0").exists():
        pytest.skip("the node's GPUs are made up, and here is a real one that would be found")
    folder = finished_run.copy(tmp_path_factory.mktemp("cluster") / "clone", made=False).folder
    cluster = Cluster(folder)
    for line in ("slurm_partition: gpu", "slurm_partition: cpu", "slurm-status-command: squeue"):
        cluster.set(f"# {line}", line)
    cluster.set("encode: {device: cpu,", "encode: {device: auto,", "config/small.yaml")
    cluster.set(
        'log.info("%s on %s in %s"',
        'log.info("given: %s", os.environ.get("CUDA_VISIBLE_DEVICES")); log.info("%s on %s in %s"',
        "scripts/encode/features.py",
    )
    cluster.set("import numpy as np", "import os\nimport numpy as np", "scripts/encode/features.py")
    process = None
    try:
        with one_node.running():
            enough = "train_model:\n    mem_mb: 8000 * attempt"
            cluster.set(enough, "train_model:\n    mem_mb: 60 + 8000 * (attempt - 1)")
            process = cluster.start("--until", *ENCODING)
            cluster.wait_for(cluster.second_training_has_begun, process)
            os.killpg(process.pid, signal.SIGINT)
            cluster.interrupted = process.wait(LONG)
            cluster.unlocked = wait_for(all_ended)
            cluster.jobs_before = len(jobs())
            cluster.set("mem_mb: 60 + 8000 * (attempt - 1)", "mem_mb: 8000 * attempt")
            process = cluster.start("--until", *ENCODING, warm=True)
            cluster.cancelled = cluster.wait_for(
                lambda: of("rule_encode_images", "RUNNING"), process
            )[0]
            told("scancel", cluster.cancelled["JobId"])
            assert process.wait(LONG) == 0, cluster.said()
            rest = f"{shlex.quote(warm_python.python())} -m snakemake --cores 2 {shlex.join(FEW)}"
            rest = f"{rest} -- {shlex.join(TABLES)}"
            log = folder / "rest.log"
            asked = ("--cpus-per-task=2", "--mem=4000", "--comment=rest", f"--output={log}")
            told("sbatch", *asked, f"--chdir={folder}", "--wrap", f"PYTHONPATH= {rest}")
            wait_for(all_ended)
            assert of("rest", "COMPLETED"), log.read_text("utf-8")
            later = ("study_gallery", "plot_recall")
            process = cluster.start("--forcerun", *later, "--", *LATER, warm=True)
            assert process.wait(LONG) == 0, cluster.said()
            wait_for(all_ended)
            cluster.jobs = jobs()
            yield cluster
    except one_node.Unavailable as reason:
        pytest.skip(str(reason))
    finally:
        if process and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert one_node.left_behind() == []


def test_the_demo_comes_to_the_tables_of_the_local_run_on_other_cores(cluster, finished_run):
    assert_part_of(cluster.folder, finished_run.folder)
    assert all((cluster.folder / path).is_file() for path in (*TABLES, *LATER))


def test_groups_are_jobs_that_come_to_their_end(cluster):
    done = [job["Comment"] for job in cluster.jobs if job["JobState"] == "COMPLETED"]
    assert {comment.split("_")[1] for comment in done if comment != "rest"} == {
        *("data", "train", "encode", "texts", "studies", "report")
    }


def test_encoding_and_training_get_a_gpu_and_nothing_else_does(cluster):
    wants_gpu = re.compile("rule_encode|rule_train|rule_texts")
    for job in cluster.jobs:
        asked = bool(wants_gpu.match(job["Comment"]))
        assert job["Partition"] == ("gpu" if asked else "cpu"), job["Comment"]
        assert job["NumCPUs"] == ("2" if job["Comment"] == "rest" else "1"), job["Comment"]
        assert ("gpu:1" in job.get("TresPerJob", "")) == asked, job["Comment"]
    logs = (cluster.folder / "results/logs").glob("encode_*/*.log")
    # a job whose texts another encoded asks for none of it
    loading = [
        told for log in logs if "had the model loaded" not in (told := log.read_text("utf-8"))
    ]
    given = [re.search(r"given: (\S+)", told)[1] for told in loading]
    assert len(given) >= 4 and set(given) <= {"0", "1"}


def test_a_job_that_ran_out_of_memory_is_tried_again_with_more(cluster):
    first, second = [job for job in cluster.jobs if "rule_train_model" in job["Comment"]][:2]
    assert first["Comment"] == second["Comment"]
    assert first["JobState"] not in ("COMPLETED", "PENDING", "RUNNING")
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("60M", "8060M")
    logs = cluster.folder / ".snakemake/slurm_logs/rule_train_model/clip-tiny"
    assert "exceeded memory limit" in (logs / f"{first['JobId']}.log").read_text("utf-8")


def test_ctrl_c_cancels_the_jobs_and_the_same_command_goes_on(cluster):
    assert cluster.interrupted != 0 and cluster.unlocked
    interrupted = cluster.jobs[cluster.jobs_before - 1]
    assert interrupted["JobState"] == "CANCELLED"
    # what was done was not done again
    assert len([job for job in cluster.jobs if job["Comment"].startswith("rule_data")]) == 1


def test_a_cancelled_job_is_submitted_again(cluster):
    comment = cluster.cancelled["Comment"]
    states = [job["JobState"] for job in cluster.jobs if job["Comment"] == comment]
    assert states == ["CANCELLED", "COMPLETED"]


def test_a_finished_run_has_nothing_to_do(cluster):
    command = [sys.executable, "-m", "snakemake", "-n", *FEW, *ON_NODES, "--", *TABLES, *LATER]
    done = subprocess.run(command, cwd=cluster.folder, capture_output=True, text=True, timeout=LONG)
    assert "Nothing to be done" in done.stdout + done.stderr
