"""The profiles: what is asked of a cluster, and what goes to its queue together."""

import os
import re
from pathlib import Path

import yaml

from scripts.config import checked

ROOT = Path(__file__).parent.parent
DEFAULT, SLURM, GENERIC, KUBERNETES = (
    yaml.safe_load((ROOT / "profiles" / name / "profile.yaml").read_text("utf-8"))
    for name in ("default", "slurm", "generic", "kubernetes")
)
CONFIG = checked(yaml.safe_load((ROOT / "config/config.yaml").read_text("utf-8")))
HEAD = r"^ *(?:use rule \w+ as|rule|checkpoint) (\w+)(?::| with:)\n"
RULES = {
    name: body
    for path in (ROOT / "rules").glob("*.smk")
    for name, body in re.findall(
        rf"{HEAD}(.*?)(?=^\S|^    \w+ \w+.*:$|\Z)", path.read_text("utf-8"), re.M | re.S
    )
}
ON_GPU = {"train_model", "choose_precision", "encode_images", "encode_texts", "encode_damaged"}
# these rules with other outputs
AGAIN = {f"encode_{side}_{form}" for side in ("images", "texts") for form in ("in", "shard")}
ON_GPU |= {*AGAIN, "cross_scores"}
WITHOUT_GPU = ("--config", "encode={device: cpu}")


def test_both_profiles_agree_on_what_runs_again():
    own = {"cores", "resources"}  # here of the machine, there of a job
    assert {key: SLURM[key] for key in DEFAULT.keys() - own} == {
        key: value for key, value in DEFAULT.items() if key not in own
    }


def test_encoding_training_and_reading_pairs_ask_for_a_gpu_and_nothing_else_does():
    assert len(RULES) > 40 and set(RULES) >= ON_GPU
    asking = {name for name, body in RULES.items() if "gpu=gpus_to_encode" in body}
    assert asking | AGAIN == ON_GPU
    # ranking does where its device is one; by default it is the CPU
    others = {name for name, body in RULES.items() if "gpu=" in body} - asking
    assert others == {name for name, body in RULES.items() if "gpu=gpus_to_rank" in body}
    assert others == {"similarity"} and CONFIG["similarity"]["device"] == "cpu"
    # memory, time and a place for the partition
    text = (ROOT / "profiles/slurm/profile.yaml").read_text("utf-8")
    assert len(re.findall("# slurm_partition: gpu", text)) == len(ON_GPU)
    for rule in ON_GPU:
        assert "attempt" in SLURM["set-resources"][rule]["mem_mb"]


def test_every_step_is_a_job_of_its_own_by_intent_or_in_a_group():
    local = {name for name, body in RULES.items() if "localrule: True" in body}
    alone = {"train_model", "choose_precision", "encode_images", *(AGAIN - {"encode_texts_in"})}
    alone |= {"similarity_shard", "cross_scores"}
    assert {"download", "fetch_model", "all", "tables"} <= local | {"all"}
    assert set(RULES) - local == alone | set(SLURM["groups"])
    assert set(SLURM["set-resources"]) <= set(RULES)


def test_small_jobs_go_to_the_queue_together(fresh):
    demo = ("--configfile", "config/demo.yaml")
    told = fresh.snakemake("-n", "--workflow-profile", "slurm", *demo).stdout
    steps = re.findall("^ *rule ", told, re.M)
    queued = re.findall(r"^\[.*\] Group job (\w+)|^rule (?!all)(\w+):", told, re.M)
    assert len(steps) > 80 and len(queued) < 16
    groups = [group for group, _ in queued if group]
    assert set(groups) == set(SLURM["groups"].values())
    assert all(groups.count(group) == 1 for group in ("runs", "studies", "report"))


def test_no_group_waits_for_itself_with_shards_either(fresh):
    sharded = "encode: {shard_size: 640}\nsimilarity: {shards: 3}\n"
    (fresh.folder / "sharded.yaml").write_text(sharded)
    assert fresh.planned("--workflow-profile", "slurm", "--configfile", "sharded.yaml").jobs
    looked = "run: {rerankers: [blip]}\n"
    (fresh.folder / "looked.yaml").write_text(sharded + looked)
    (fresh.folder / "path/to/blip").mkdir(parents=True)
    planned = fresh.planned("--workflow-profile", "slurm", "--configfile", "looked.yaml")
    assert planned.jobs["cross_scores"] == planned.jobs["rerank"] == 2


def test_a_study_of_ones_own_needs_no_place_in_a_group(fresh):
    fresh.edit(
        "rules/studies.smk",
        "rule study_gallery:",
        """rule study_mine:
    input:
        pairs="results/{dataset}/tables/pairs.csv",
    output:
        table="results/{dataset}/tables/mine.csv",
    params:
        code="mine",
    shell:
        "cp {input} {output}"


rule study_gallery:""",
    )
    fresh.edit("config/config.yaml", "studies:\n  relevance", "studies:\n  mine: {}\n  relevance")
    fresh.edit("config/config.yaml", "    - leakage\n", "    - leakage\n    - mine\n")
    assert fresh.planned("--workflow-profile", "slurm").jobs["study_mine"] == 1


def test_indexes_are_timed_with_all_cores_to_themselves(fresh):
    costs = "results/flickr8k/tables/index_costs.csv"
    told = fresh.snakemake("-n", "--cores", "5", costs).stdout
    own = re.search(r"^rule study_indexes:\n((?: +\S.*\n)+)", told, re.M)[1]
    assert "threads: 5\n" in own


def test_ranking_on_a_gpu_asks_for_one(fresh):
    (fresh.folder / "ranked.yaml").write_text("encode: {device: cpu}\nsimilarity: {device: auto}\n")
    asked = fresh.snakemake("-n", "--configfile", "ranked.yaml").stdout
    rules = re.findall(r"^rule (\w+):.*?^ *resources: (.*?)$", asked, re.M | re.S)
    assert {name for name, resources in rules if "gpu=1" in resources} == {"similarity"}


def test_without_a_gpu_to_use_none_is_asked_for(fresh):
    asked = fresh.snakemake("-n", "--workflow-profile", "slurm").stdout
    assert "gpu=1" in asked
    asked = fresh.snakemake("-n", "--workflow-profile", "slurm", *WITHOUT_GPU).stdout
    assert "gpu=1" not in asked


# a scheduler that runs each job at once on this machine, but the first, which it loses
SUBMIT = """#!/bin/sh
number=$(ls queue | wc -l)
mkdir queue/$number
echo "$1 $2 $3 $4" > queue/$number/asked
if [ $number = 0 ]; then
    echo failed > queue/$number/status
else
    (sh "$5" && echo success > queue/$number/status || echo failed > queue/$number/status) \\
        > queue/$number/said 2>&1 &
fi
echo $number
"""
STATUS = """#!/bin/sh
[ -s "queue/$1/status" ] && cat "queue/$1/status" || echo running
"""


def test_any_scheduler_is_told_what_a_job_needs_and_more_where_it_failed(
    finished, tmp_path, monkeypatch
):
    # a job with a GPU, as the setting allows one, and behind it a group of two, as two jobs
    auto = finished.folder / "config/auto.yaml"
    auto.write_text((finished.folder / "config/small.yaml").read_text().replace("cpu", "auto"))
    run = "results/scenes/clip-tiny/plain/cosine"
    for path in ("results/scenes/clip-tiny/test/images.npy", f"{run}/metrics.json"):
        (finished.folder / path).unlink()
    (tmp_path / "bin").mkdir()
    (finished.folder / "queue").mkdir()
    for name, text in (("submit", SUBMIT), ("status", STATUS), ("cancel", "#!/bin/sh")):
        program = tmp_path / f"bin/clip-{name}"
        program.write_text(text)
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    finished.snakemake(
        *("--profile", "profiles/slurm", "--workflow-profile", "generic"),
        *("--configfile", "config/auto.yaml", "--seconds-between-status-checks", "0"),
        *("--allowed-rules", "encode_images", "similarity", "metrics", "--", f"{run}/metrics.json"),
    )
    asked = [one.read_text() for one in sorted((finished.folder / "queue").glob("*/asked"))]
    # cores, MB, minutes and GPUs; of the group's two steps, the minutes of both
    assert asked == ["1 8000 60 1\n", "1 16000 120 1\n", "2 2000 10 0\n"]
    assert (finished.folder / run / "metrics.json").is_file()


def test_the_profile_of_any_scheduler_asks_by_default_for_what_slurm_s_does_and_no_gpu():
    assert GENERIC["default-resources"] == SLURM["default-resources"] | {"gpu": 0}


def test_the_profile_of_kubernetes_asks_for_what_slurm_s_does_and_names_whose_gpus():
    # without the maker of a GPU its executor refuses a job whose rule says how many it wants
    own = {"gpu_manufacturer": "'nvidia'", "scale": 1}
    assert KUBERNETES["default-resources"] == SLURM["default-resources"] | own
    assert {"default-storage-provider", "default-storage-prefix"} <= KUBERNETES.keys()
