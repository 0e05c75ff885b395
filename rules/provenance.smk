"""From a finished run to its record.

Comes in: every output of the run, and what is known of its data and models. Goes out:
results/<dataset>/ro-crate-metadata.json, which says what the run was made from and what each of its files
hashes to, and config.yaml beside it, with which it can be made again. `./run verify` reads the record.
"""


rule record:
    """Record the run: code, settings, data, models, packages, and the checksum of every file."""
    input:
        unpack(files_of_run),
    output:
        crate="results/{dataset}/ro-crate-metadata.json",
        config="results/{dataset}/config.yaml",
    log:
        "results/logs/record/{dataset}.log",
    benchmark:
        "results/benchmarks/record/{dataset}.tsv"
    conda:
        "../envs/report.yaml"
    params:
        code=fingerprint("scripts/provenance/record.py"),
        fingerprints=fingerprints_of_run,
        settings=settings_in_force,
    script:
        "../scripts/provenance/record.py"
