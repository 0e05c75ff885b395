"""Where a storage provider carries what a run reads and makes, so that its jobs may share no disk.

Comes in: all rules, each of which names its own files only. Goes out: results/jobs/<output>.tar for each output, with
what else later steps need of the job, as an output here and as an input there. Without a provider nothing changes.
"""

from snakemake.io import is_callable, is_flagged, strip_wildcard_constraints

from scripts.bundles import COPIES, is_bundle


def paths_in(found) -> list[str]:
    """The paths that an input, or its function, names: one, several, or several by name."""
    if isinstance(found, str):
        return [] if is_flagged(found, "local") else [found]
    parts = found.values() if isinstance(found, dict) else found
    return [path for part in parts for path in paths_in(part)]


def as_it_is(error: Exception):
    """A checkpoint that is to come stops what asks for bundles as it stops the input itself."""
    raise error


def with_bundles(step, copies: Path) -> None:
    """Give a rule a bundle for each of its outputs, and those of what it reads."""

    def bundles_of(paths) -> list[str]:
        # the provider's names for them, but not where they come from a function
        own = (
            os.path.relpath(path, copies) if Path(path).is_relative_to(copies) else path
            for path in paths
        )
        return [bundle_of(path) for path in own if not is_bundle(path)]

    inputs = list(step.input)

    def of_inputs(wildcards) -> list[str]:
        called = [
            step.apply_input_function(one, wildcards, as_it_is, raw_exceptions=True)[0]
            for one in inputs
            if is_callable(one)
        ]
        written = [one for one in inputs if not is_callable(one)]
        named = bundles_of(paths_in([*called, *written]))
        return [path.format(**wildcards) for path in named]

    step.set_output(
        bundles=[
            (temp if is_flagged(path, "temp") else str)(bundle)
            for path in step.output
            for bundle in bundles_of([strip_wildcard_constraints(path)])
        ]
    )
    step.set_input(bundles=of_inputs)


if CARRIED:
    prefix = (workflow.storage_settings.default_storage_prefix or "").rstrip("/")
    probe = workflow.storage_registry.default_storage_provider.object(f"{prefix}/data".lstrip("/"))
    copies = Path(probe.local_path()).parent
    os.environ[COPIES] = str(copies)
    for step in workflow.rules:
        # not those of a workflow that uses this one, nor its own a second time
        if "code" in step.params.keys() and "bundles" not in step.output.keys():
            with_bundles(step, copies)
