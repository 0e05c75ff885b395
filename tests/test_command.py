"""`./run snakemake` means what was typed where it was typed."""

from pathlib import Path

import pytest

from scripts.command import NoSuchFile, rewritten


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    """Where a user stands, and the checkout, each with files of its own and one of both."""
    stands, checkout = tmp_path / "study", tmp_path / "checkout"
    for name in (
        *(
            "study/my.yaml",
            "study/both.yaml",
            "study/set.json",
            "study/data/set.json",
            "study/slurm/profile.yaml",
        ),
        *("checkout/config/demo.yaml", "checkout/both.yaml", "checkout/results/a/audit.json"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return stands, checkout


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--configfile my.yaml", "--configfile {there}/my.yaml"),
        ("--configfile=my.yaml figures", "--configfile={there}/my.yaml figures"),
        ("--configfiles my.yaml -n", "--configfiles {there}/my.yaml -n"),
        ("--configfile ../study/my.yaml", "--configfile {there}/../study/my.yaml"),
        # what stands in the checkout only is meant there, as the README types it
        ("--configfile config/demo.yaml", "--configfile config/demo.yaml"),
        ("--configfile both.yaml", "--configfile {there}/both.yaml"),
        (
            "--configfile config/demo.yaml my.yaml set.json",
            "--configfile config/demo.yaml {there}/my.yaml {there}/set.json",
        ),
        ("--configfile {there}/my.yaml", "--configfile {there}/my.yaml"),
        ("--directory new -n", "--directory {there}/new -n"),
        ("-d new figures", "-d {there}/new figures"),
        ("--directory=new", "--directory={there}/new"),
        ("--profile slurm -n", "--profile {there}/slurm -n"),
        ("--workflow-profile=slurm", "--workflow-profile={there}/slurm"),
        ("--workflow-profile profiles/slurm", "--workflow-profile profiles/slurm"),
        # as short as Snakemake takes it
        ("-dnew figures", "-d{there}/new figures"),
        ("-d=new", "-d={there}/new"),
        ("-nd new figures", "-nd {there}/new figures"),
        ("--direct new", "--direct {there}/new"),
        ("--configf my.yaml figures", "figures --configf {there}/my.yaml"),
        ("--configfi=my.yaml", "--configfi={there}/my.yaml"),
        ("--conf my.yaml", "--conf my.yaml"),
        ("-Ca=1 figures", "-Ca=1 figures"),
        # what is read is looked for, and what is made is put where one stands
        ("-s my.yaml -n", "-s {there}/my.yaml -n"),
        ("--snakefile Snakefile", "--snakefile Snakefile"),
        ("--report new.zip figures", "--report {there}/new.zip figures"),
        ("--report --configfile my.yaml", "--report --configfile {there}/my.yaml"),
        ("--archive=new.tar.gz", "--archive={there}/new.tar.gz"),
        ("--report-after-run a", "--report-after-run a"),
        # targets behind what takes several words
        ("--configfile my.yaml figures tables", "figures tables --configfile {there}/my.yaml"),
        (
            "--configfile my.yaml results/a/audit.json --cores 2",
            "results/a/audit.json --configfile {there}/my.yaml --cores 2",
        ),
        ("--cores 2 --config a=1 b=2 figures -n", "figures --cores 2 --config a=1 b=2 -n"),
        (
            "--configfile my.yaml {checkout}/results/a/audit.json {there}/set.json",
            "{checkout}/results/a/audit.json --configfile {there}/my.yaml {there}/set.json",
        ),
        (
            "--configfile my.yaml {there}/data/set.json",
            "--configfile {there}/my.yaml {there}/data/set.json",
        ),
        ("--config a=b/c results/x=y.json", "results/x=y.json --config a=b/c"),
        ("--resources mem_mb=9 report", "report --resources mem_mb=9"),
        ("--set-scatter a=2 report", "report --set-scatter a=2"),
        ("--set-threads a=1 --forcerun split", "--set-threads a=1 --forcerun split"),
        # and what is right as it is
        ("figures --configfile my.yaml", "figures --configfile {there}/my.yaml"),
        ("--cores 2 tables --forcerun a b", "--cores 2 tables --forcerun a b"),
        ("--configfile my.yaml -- my.yaml -x", "--configfile {there}/my.yaml -- my.yaml -x"),
        ("-n -c 4 figures", "-n -c 4 figures"),
        ("", ""),
    ],
)
def test_paths_are_those_of_the_folder_it_was_typed_in_and_targets_are_targets(
    folders, typed, meant
):
    stands, checkout = folders
    words = [text.format(there=stands, checkout=checkout).split() for text in (typed, meant)]
    assert rewritten(words[0], stands, checkout) == words[1]


def test_in_the_checkout_paths_stay_as_they_are(folders):
    _, checkout = folders
    words = ["--configfile", "both.yaml", "--directory", "new", "--profile=config"]
    assert rewritten(words, checkout, checkout) == words


def test_a_home_is_meant_where_the_shell_does_not_say_so(folders, monkeypatch):
    stands, checkout = folders
    monkeypatch.setenv("HOME", str(stands))
    meant = [f"--configfile={stands}/my.yaml"]
    for folder in (checkout, checkout / "config"):
        assert rewritten(["--configfile=~/my.yaml"], folder, checkout) == meant


@pytest.mark.parametrize(
    "typed", [["my.yml"], ["my.yaml", "other.yaml", "figures"], [""], ["slurm"]]
)
def test_a_configuration_that_is_nowhere_is_told_with_where_it_was_looked_for(folders, typed):
    stands, checkout = folders
    with pytest.raises(
        NoSuchFile, match=r"(?s)(my\.yml|other\.yaml|''|slurm): no such file in .*to do:"
    ) as told:
        rewritten(["--configfile", *typed], stands, checkout)
    assert str(stands) in str(told.value) and str(checkout) in str(told.value)
