"""Where this repository lies on disk, from where its other files are read.

Comes in: the address that Snakemake has this file from. Goes out: ROOT, the folder of the repository; for a git
address, a checkout of that commit in .snakemake/repositories/.
"""

import tempfile
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.sourcecache import HostingProviderFile, LocalGitFile, LocalSourceFile


def root_of(rules) -> Path:
    """The repository that has this folder of rules, as Snakemake names it.

    From an address Snakemake gets file by file, and never what scripts import.
    """
    if isinstance(rules, LocalSourceFile):
        return Path(str(rules)).parent
    if isinstance(rules, HostingProviderFile):
        # the clone that this very file was read from
        repository = rules.hosted_repo.repo
    elif isinstance(rules, LocalGitFile):
        import git

        repository = git.Repo(rules.repo_path)
    else:
        raise WorkflowError(
            f"{rules}: single files can be had from there, and the workflow is more than its rules. "
            "Name its Snakefile by a path, or with github(...), gitlab(...) or gitfile(...)."
        )
    commit = repository.commit(rules.ref).hexsha
    folder = Path(".snakemake/repositories", commit).absolute()
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
            # it reads what git knows from the clone, and copies none of that
            copy = repository.clone(f"{draft}/whole", shared=True, no_checkout=True)
            copy.git.checkout(commit, detach=True)
            try:
                Path(draft, "whole").rename(folder)
            except OSError:  # another job was the first
                if not folder.exists():
                    raise
    return folder / Path(rules.path).parent


ROOT = root_of(workflow.current_basedir)
