"""Runs whose files a storage provider carries: S3, as moto plays it on the loopback."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import pytest
import warm_python
import yaml
from PIL import Image
from small_runs import FEW, RUN, assert_part_of

from scripts.job import digest_of_file

if TYPE_CHECKING:
    from conftest import Project

boto3 = pytest.importorskip("boto3")
moto_server = pytest.importorskip("moto.server")

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "pictures"
KEYS = {"aws_access_key_id": "anyone", "aws_secret_access_key": "anything"}
# each job finds an empty folder, nothing else
SUBMIT = """#!/bin/sh
number=$(ls QUEUE | wc -l)
mkdir -p QUEUE/$number/node
cp "$5" QUEUE/$number/script
cd QUEUE/$number/node
(sh ../script && echo success > ../status || echo failed > ../status) > ../said 2>&1 &
echo $number
"""
STATUS = """#!/bin/sh
[ -s "QUEUE/$1/status" ] && cat "QUEUE/$1/status" || echo running
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where S3 answers."""
    # a line for each of thousands of requests
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


def carried(address: str, folder: str) -> list[str]:
    """What Snakemake is told so that S3 carries its files."""
    return [
        *("--default-storage-provider", "s3"),
        *("--default-storage-prefix", f"s3://{BUCKET}/{folder}"),
        *("--storage-s3-endpoint-url", address),
        *("--storage-s3-access-key", KEYS["aws_access_key_id"]),
        *("--storage-s3-secret-key", KEYS["aws_secret_access_key"]),
    ]


def fetched(address: str, folder: str, to: Path) -> Path:
    """All that S3 has of a run, as files."""
    s3 = boto3.resource("s3", endpoint_url=address, region_name="us-east-1", **KEYS)
    for item in s3.Bucket(BUCKET).objects.filter(Prefix=f"{folder}/"):
        path = to / item.key.removeprefix(f"{folder}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        item.Object().download_file(str(path))
    return to


@pytest.fixture
def scheduler(tmp_path, monkeypatch) -> Path:
    """The queue of the programs that profiles/generic calls; a folder of its own for each job."""
    queue, programs = tmp_path / "queue", tmp_path / "bin"
    queue.mkdir()
    programs.mkdir()
    # the Python that is called there by its name alone
    (programs / "python").symlink_to(warm_python.python())
    for name, text in (("submit", SUBMIT), ("status", STATUS), ("cancel", "#!/bin/sh")):
        program = programs / f"clip-{name}"
        program.write_text(text.replace("QUEUE", str(queue)))
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return queue


@pytest.fixture
def clone(fresh) -> Project:
    """The repository as git has it: what a job without a shared disk gets is what git tracks."""
    for config in ("small.yaml", "few.yaml"):
        shutil.copy(ROOT / "tests" / config, fresh.folder / "config")
    shutil.copy(ROOT / ".gitignore", fresh.folder)
    for words in (("init", "-q"), ("add", ".")):
        subprocess.run(["git", "-C", str(fresh.folder), *words], check=True)
    return fresh


ELSEWHERE = ("--profile", "profiles/slurm", "--workflow-profile", "generic")
ELSEWHERE += ("--shared-fs-usage", "none", "--job-deploy-sources")
ELSEWHERE += ("--seconds-between-status-checks", "1", "--latency-wait", "5")


def recorded(run: Path) -> dict[str, str]:
    """Name of each file and folder in a run's record -> its checksum."""
    crate = json.loads((run / RUN / "ro-crate-metadata.json").read_text("utf-8"))
    return {part["@id"]: part["sha256"] for part in crate["@graph"] if "sha256" in part}


def assert_recorded(run: Path, whole: Path) -> None:
    """The record has all files of the run, and of its data and model what that of ``whole`` has."""
    sums = recorded(run)
    there = {path for path in (run / RUN).rglob("*") if path.is_file()}
    names = {quote(path.relative_to(run / RUN).as_posix()) for path in there}
    assert names - sums.keys() == {"ro-crate-metadata.json"}
    for name in names & sums.keys():
        assert digest_of_file(run / RUN / unquote(name)) == sums[name], name
    expected = recorded(whole)
    data = {name for name in expected if re.match("#data/(scenes|models/clip-tiny)/", name)}
    assert len(data) > 12
    assert {name: sums.get(name) for name in data} == {name: expected[name] for name in data}


def test_a_run_through_s3_is_the_run_without_it(clone, finished_run, address, tmp_path):
    # what comes behind, each job of the next test asks for in the same way
    tables = [f"{RUN}/tables/{name}.csv" for name in ("metrics", "robustness")]
    to_tables = (*FEW, *carried(address, "local"), "--", *tables)
    clone.snakemake(*to_tables)
    assert not any((clone.folder / name / "scenes").exists() for name in ("data", "results"))
    made = fetched(address, "local", tmp_path / "made")
    assert_part_of(made, finished_run.folder)
    assert clone.planned(*to_tables).jobs == {}


def test_jobs_that_share_no_disk_make_the_same_run(
    clone, finished_run, address, scheduler, tmp_path
):
    fewer = (*FEW, "--config", "run={scorers: [cosine], studies: [gallery]}")
    clone.snakemake(*ELSEWHERE, *carried(address, "nodes"), *fewer)
    assert len(list(scheduler.iterdir())) > 5
    made = fetched(address, "nodes", tmp_path / "made")
    assert_part_of(made, finished_run.folder)
    assert_recorded(made, finished_run.folder)


def test_what_is_the_user_s_travels_with_what_describes_it(clone, address, scheduler):
    photos = clone.folder / "photos"
    photos.mkdir()
    names = [f"{number}.png" for number in range(8)]
    for number, name in enumerate(names):
        Image.new("RGB", (40, 30), (30 * number, 90, 120)).save(photos / name)
    lines = [f"{name},a picture of the colour {name[0]}" for name in names]
    (photos / "captions.csv").write_text("\n".join(["image,caption", *lines]))
    settings = {"run": {"dataset": "mine"}, "datasets": {"mine": {"source": "folder"}}}
    settings["datasets"]["mine"]["location"] = "photos"
    (clone.folder / "mine.yaml").write_text(yaml.safe_dump(settings))
    targets = ("data/mine/splits.json", "data/mine/judgments.csv")
    clone.snakemake(
        *(*ELSEWHERE, *carried(address, "mine"), "--configfile", "mine.yaml", "--", *targets)
    )
    made = fetched(address, "mine", clone.folder / "made")
    with tarfile.open(made / "results/jobs/data/mine/images.tar") as tar:
        inside = [name for name in tar.getnames() if name.endswith(".png")]
    assert inside == [f"data/mine/images/{name}" for name in names]
    assert sorted(path.name for path in photos.iterdir()) == sorted([*names, "captions.csv"])
