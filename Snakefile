"""How well does this CLIP model find the right image for a sentence, and the right sentence for an image?

Data flows one way: download, prepare, split, fetch or train the model, encode, rank, measure, draw, report.
"""

from snakemake.utils import min_version

min_version("9.25")


configfile: "config/config.yaml"


# not by its path alone, of which Snakemake 9.27 makes /rules/root.smk where gitfile(...) names this file
include: workflow.current_basedir.join("rules/root.smk")
include: ROOT / "rules/common.smk"
include: ROOT / "rules/inputs.smk"
include: ROOT / "rules/shown.smk"
include: ROOT / "rules/data.smk"
include: ROOT / "rules/models.smk"
include: ROOT / "rules/encode.smk"
include: ROOT / "rules/retrieve.smk"
include: ROOT / "rules/evaluate.smk"
include: ROOT / "rules/studies.smk"
include: ROOT / "rules/figures.smk"
include: ROOT / "rules/report.smk"
include: ROOT / "rules/provenance.smk"
include: ROOT / "rules/leaderboard.smk"
# of all rules
include: ROOT / "rules/bundles.smk"


rule all:
    default_target: True
    input:
        rules.report.input,
        rules.figures.input,
        rules.tables.input,
        collect("results/{dataset}/ro-crate-metadata.json", dataset=DATASETS),
        rules.leaderboard.output if len(DATASETS) > 1 else [],
    localrule: True
