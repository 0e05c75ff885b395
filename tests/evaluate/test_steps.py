"""Time and memory of each rule, from files as Snakemake writes them."""

from __future__ import annotations

import csv
from types import SimpleNamespace

import pytest

from scripts.evaluate import steps
from scripts.evaluate.steps import cost_of_rules, read_benchmark
from scripts.job import BadInput

PLAIN = ["s", "h:m:s", "max_rss", "max_vms", "max_uss", "max_pss", "io_in", "io_out", "mean_load",
         "cpu_time"]  # fmt: skip
EXTENDED = [*PLAIN, "jobid", "rule_name", "wildcards", "params", "threads", "cpu_usage",
            "resources", "input_size_mb"]  # fmt: skip


def row(s="2.0000", rss="100.50", load="150.00") -> list[str]:
    return [s, "0:00:02", rss, "2000.0", "80.0", "90.0", "1.0", "0.0", load, "3.0"]


@pytest.fixture
def written(tmp_path):
    """Write benchmarks/<rule>/<name>.tsv with a header and rows."""

    def write(rule: str, name: str, *rows: list[str], header=PLAIN):
        path = tmp_path / "benchmarks" / rule / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join("\t".join(line) + "\n" for line in (header, *rows)))
        return path

    return write


def test_jobs_of_a_rule_add_up(written):
    paths = [
        written("encode", "a.train", row("10.0", "500.0", "100.00")),
        written("encode", "a.test", row("30.0", "700.0", "200.00")),
        written("metrics", "a", row("1.5", "90.0", "50.0")),
    ]
    assert cost_of_rules(paths) == [
        {"rule": "encode", "jobs": 2, "seconds": 40.0, "max_rss_mb": 700.0,
         "mean_load_percent": 175.0},
        {"rule": "metrics", "jobs": 1, "seconds": 1.5, "max_rss_mb": 90.0,
         "mean_load_percent": 50.0},
    ]  # fmt: skip


@pytest.mark.parametrize("nothing", ["NA", "-"])
def test_jobs_too_short_to_measure_leave_gaps_and_not_zeros(written, nothing):
    short = written("split", "a", row("0.0123", nothing, nothing))
    assert cost_of_rules([short]) == [
        {"rule": "split", "jobs": 1, "seconds": 0.01, "max_rss_mb": None,
         "mean_load_percent": None}
    ]  # fmt: skip
    long = written("split", "b", row("4.0", "60.0", "100.0"))
    assert cost_of_rules([short, long])[0] == {
        "rule": "split", "jobs": 2, "seconds": 4.01, "max_rss_mb": 60.0, "mean_load_percent": 100.0
    }  # fmt: skip


def test_the_extended_form_is_read_too(written):
    more = ["3", "encode", "{'dataset': 'a'}", "{'templates': ['\"{}\" it says', 'x\\ty']}", "2",
            "3.0", "{'gpu': 1}", "{'a.npy': 0.5}"]  # fmt: skip
    path = written("encode", "a", [*row(), *more], header=EXTENDED)
    assert read_benchmark(path) == {"s": 2.0, "max_rss": 100.5, "mean_load": 150.0}


def test_repeats_of_one_job_are_averaged(written):
    path = written("encode", "a", row("2.0", "80.0", "100.0"), row("4.0", "90.0", "NA"))
    assert read_benchmark(path) == {"s": 3.0, "max_rss": 90.0, "mean_load": 100.0}


@pytest.mark.parametrize("content", ["", "s\th:m:s\n", "a\tb\n1\t2\n", "\n"])
def test_what_is_no_benchmark_is_refused(tmp_path, content):
    path = tmp_path / "x.tsv"
    path.write_text(content)
    with pytest.raises(BadInput, match=r"x\.tsv"):
        read_benchmark(path)


def test_a_value_that_is_no_number_is_refused(written):
    with pytest.raises(BadInput, match="'soon'"):
        read_benchmark(written("encode", "a", row("soon")))


def test_the_rule_writes_a_csv_with_empty_fields_for_what_is_unknown(written, tmp_path):
    paths = [str(written("split", "a", row("1.0", "NA", "NA"))), str(written("x", "b", row()))]
    output = tmp_path / "steps.csv"
    steps.main(
        SimpleNamespace(
            input=SimpleNamespace(benchmarks=paths), output=SimpleNamespace(csv=str(output))
        )
    )
    with output.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0] == {
        "rule": "split", "jobs": "1", "seconds": "1.0", "max_rss_mb": "", "mean_load_percent": ""
    }  # fmt: skip
    assert [one["rule"] for one in rows] == ["split", "x"]


def test_a_file_that_snakemake_wrote_is_read(tmp_path):
    benchmark = pytest.importorskip("snakemake.benchmark")
    for extended in (False, True):
        header = benchmark.BenchmarkRecord.get_header(extended)
        record = benchmark.BenchmarkRecord(
            jobid=1, rule_name="x", wildcards={}, params={}, resources={}, threads=1, input=[],
            running_time=2.5, max_rss=64.0, cpu_usage=100.0, cpu_time=2.0,
        )  # fmt: skip
        for attribute in ("wildcards", "params", "resources"):
            setattr(record, attribute, {})  # the constructor puts them into tuples
        record.data_collected = True
        path = tmp_path / "x.tsv"
        path.write_text("\t".join(header) + "\n" + record.to_tsv(extended) + "\n")
        assert read_benchmark(path) == {"s": 2.5, "max_rss": 64.0, "mean_load": 40.0}
