"""How well does this CLIP model find the right image for a sentence, and the right sentence for an image?

Data flows one way: download, prepare, split, fetch or train the model, encode, rank, measure, draw, report.
"""

from snakemake.utils import min_version

min_version("9.25")


configfile: "config/config.yaml"


report: "scripts/report/captions/workflow.rst"


include: "rules/common.smk"
include: "rules/inputs.smk"
include: "rules/shown.smk"
include: "rules/data.smk"
include: "rules/models.smk"
include: "rules/encode.smk"
include: "rules/retrieve.smk"
include: "rules/evaluate.smk"
include: "rules/studies.smk"
include: "rules/figures.smk"
include: "rules/report.smk"
include: "rules/provenance.smk"
include: "rules/leaderboard.smk"


rule all:
    default_target: True
    input:
        rules.report.input,
        rules.figures.input,
        rules.tables.input,
        collect("results/{dataset}/ro-crate-metadata.json", dataset=DATASETS),
        rules.leaderboard.output if len(DATASETS) > 1 else [],
    localrule: True
