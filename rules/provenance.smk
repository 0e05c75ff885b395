"""From a finished run to its record.

Comes in: what the run was asked for; all that this was made of is found by following back what each job said
of itself. Goes out: results/<dataset>/ro-crate-metadata.json, which says what the run was made from and what
each of its files hashes to, and config.yaml beside it, with which it can be made again. `./run verify` reads the
record.
"""


rule record:
    """Record the run: code, settings, data, models, packages, and the checksum of every file."""
    input:
        REPORT,
        FIGURES,
        TABLES,
        [path for pair in built_indexes().values() for path in pair],
        ["results/{dataset}/shards.json"] if SHARD_SIZE else [],
    output:
        crate="results/{dataset}/ro-crate-metadata.json",
        config="results/{dataset}/config.yaml",
    log:
        "results/logs/record/{dataset}.log",
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/provenance/record.py"),
        # what a job ran is in its own record; one that ran anew and made the same bytes is recorded anew, too
        codes=lambda wildcards: {
            one.name: code(wildcards) if callable(code := one.params.code) else code
            for one in workflow.rules
            if "code" in one.params.keys()
        },
        settings=settings_in_force,
    script:
        "../scripts/provenance/record.py"
