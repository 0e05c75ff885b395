"""Record a run: what it was made from, and the checksum of everything that it made."""

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from scripts.data.files import sums_of_folder
from scripts.fingerprint import ROOT
from scripts.job import BadInput, log, whole, write_json
from scripts.jobs import Snakemake, checked, jobs_behind, run
from scripts.provenance.crate import CONFIG, MARK, NAME, Recorded, Run, all_below, crate, described
from scripts.provenance.privacy import secrets, told
from scripts.provenance.seen import Seen
from scripts.provenance.verify import changed_images
from scripts.version import code_version

# beginnings of the names of rules that make features, each with a sidecar
ENCODING = ("encode", "average", "gather_features", "import_features")


def date_of(code: dict[str, Any]) -> str:
    """The day that a record bears: of the code, so that the same run gives the same record.

    SOURCE_DATE_EPOCH, where it is set, goes before; without git it is today.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch.isdecimal():
        return datetime.fromtimestamp(int(epoch), UTC).date().isoformat()
    return code.get("date") or datetime.now(UTC).date().isoformat()


def packages(lock: Path = ROOT / "requirements.lock") -> dict[str, tuple[str, str | None]]:
    """Name -> version in the lock, and version that is installed here, if any."""
    pins = dict(line.split("==") for line in lock.read_text("utf-8").split())
    return {name: (version, _installed(name)) for name, version in sorted(pins.items())}


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def platform_facts() -> dict[str, str]:
    """Python and system, without the machine's name."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return {"python": python, "system": f"{platform.system()} {platform.machine()}"}


def seeds_in(settings: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Every seed of a configuration, by the dotted name of its key."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{above}{key}"
        if isinstance(value, dict):  # there is a study of that name
            found |= seeds_in(value, f"{name}.")
        elif key in ("seed", "seeds"):
            found[name] = value
    return found


def model_facts(path: str, seen: Seen, here: Path, hidden: list[str]) -> dict[str, Any]:
    """What model.json says, and the model's files as they are."""
    about = seen.content(path)
    files = seen.below(Path(path).parent.as_posix())
    about["recorded"] = [seen.described(file, file) for file in files]
    for part in (about, *about.get("towers", {}).values()):
        part.pop("tried", None)
        if part["source"] == "local":
            # what stands there is a folder of the user's
            part["repo"] = None
    kept = {key: value for key, value in about.items() if key != "recorded"}
    return told(kept, here, hidden) | {"recorded": about["recorded"]}


def dataset_facts(name: str, seen: Seen, here: Path, hidden: list[str]) -> dict[str, Any]:
    """Where a dataset came from, checksums of what came, and of what it became.

    What came may have been deleted since, so its checksums are those of source.json.
    """
    folder = f"data/{name}"
    pictures, source = f"{folder}/images", f"{folder}/raw/source.json"
    manifest = seen.content(source)
    root = Path(os.path.normpath(here / manifest["root"]))
    inside = root.is_relative_to(here / folder)
    below = root.relative_to(here).as_posix() if inside else name
    inner = (f"{pictures}/", f"{folder}/raw/")
    files = [path for path in seen.below(folder) if not path.startswith(inner)]
    prepared = dict.fromkeys([*files, *filter(seen.is_there, (pictures, source))])
    raw = [
        Recorded(
            # "." is all of the folder
            f"{below}/{file['path']}".removesuffix("/.") + ("/" if "files" in file else ""),
            file["bytes"],
            file["sha256"],
        )
        for file in manifest["files"]
    ]
    return {
        "source": manifest["source"],
        "layout": manifest["layout"],
        "notes": told(manifest["notes"], here, hidden),
        "here": inside,
        "raw": raw,
        "prepared": [seen.described(path, path) for path in prepared],
    }


def check_pictures(folder: Path) -> None:
    """Raise ``BadInput`` where the prepared pictures of a dataset are not those of its table."""
    sums = {name: sha256 for name, (_, sha256) in sums_of_folder(folder).items() if name != MARK}
    for what, name, found, expected in changed_images(folder.parent / "images.csv", "", sums):
        if what == "new":  # what a person or a system put there is recorded with the folder
            continue
        raise BadInput(
            folder / name,
            f"{what} after the workflow prepared it: {found}",
            f"{expected}, as in images.csv",
            f"put it back as it was, or delete {folder} and run again: it is then prepared anew",
        )


def write_settings(path: Path, settings: dict[str, Any]) -> None:
    """Write the configuration in force so that Snakemake can be given it."""
    file = f"results/{settings['run']['dataset']}/{CONFIG}"
    words = (
        "# The configuration of this run, complete. The same run again:\n"
        f"#   ./run snakemake --cores 8 --configfile {file}\n"
        "# Folders outside of the repository are not told: put yours where path/to/... stands.\n"
    )
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=100)
    with whole(path) as draft:
        draft.write_text(words + text, "utf-8")


def main(snakemake: Snakemake) -> None:
    here = Path.cwd()
    hidden = secrets()
    folder = Path(snakemake.output.crate).parent
    settings = told(snakemake.params.settings, here, hidden)
    write_settings(Path(snakemake.output.config), settings)
    jobs = list(jobs_behind(snakemake.input))
    seen = Seen(job.seen for job in jobs if not job.rule.endswith("_shard"))
    maker = {path: job.rule for job in jobs for path in job.outputs if seen.is_there(path)}
    # shards of features are gone, once they have been gathered
    lasting = {path for job in jobs if not job.rule.endswith("_shard") for path in job.outputs}
    if gone := sorted(lasting - maker.keys()):
        log.warning(
            "%d files that the run made are gone, and are not recorded; the run's command with "
            "their paths behind -- at its end makes them anew: %s", len(gone), ", ".join(gone[:10]),
        )  # fmt: skip
    results = [path for path in maker if Path(path).is_relative_to(folder)]
    checked(maker)
    for path in maker:
        # pictures of a run without a shared disk are not here, and their table alone may be gone
        pictures = Path(path).match("data/*/images") and Path(path).is_dir()
        if pictures and Path(path).with_name("images.csv").is_file():
            check_pictures(Path(path))
    made = {Path(path).relative_to(folder).as_posix() for path in results} | {CONFIG}
    there = all_below(folder, but=NAME)
    beside = [name for name in there.files if name not in made]
    for name, what in there.odd.items():
        log.warning("%s: %s, which is not recorded; ./run verify will tell of it", name, what)
    if beside:
        log.warning(
            "%d files in %s are not of this run; they are recorded as such: %s",
            len(beside), folder, ", ".join(beside[:10]),
        )  # fmt: skip
    code = code_version()
    about = Run(
        dataset=snakemake.wildcards.dataset,
        results=[seen.described(f"{folder}/{name}", name) for name in sorted(made)],
        beside=[described(folder / name, name) for name in beside],
        datasets={
            name: dataset_facts(name, seen, here, hidden)
            for name in sorted(Path(p).parts[1] for p in maker if p.endswith("/raw/source.json"))
        },
        models=[
            model_facts(path, seen, here, hidden)
            for path in sorted(maker)
            if path.startswith("data/models/") and path.endswith("/model.json")
        ],
        encodings={
            Path(path).relative_to(folder).with_suffix(".npy").as_posix(): seen.content(path)
            for path in sorted(results)
            if maker[path].startswith(ENCODING) and path.endswith(".json")
        },
        seeds=seeds_in(settings),
        fingerprints=dict(sorted({job.rule: job.code for job in jobs}.items())),
        code=code,
        packages=packages(),
        platform=platform_facts(),
        date=date_of(code),
    )
    write_json(snakemake.output.crate, crate(about))
    log.info("%d files recorded", len(about.results) + len(about.beside))


if __name__ == "__main__":
    run(main, snakemake)
