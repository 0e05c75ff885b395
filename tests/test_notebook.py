"""The notebook of the demo runs from top to bottom, and shows what was made."""

import base64
import shutil
import sys
from html import escape
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from patience import LONG
from small_runs import RUN, SMALL

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "docs/demo.ipynb"


@pytest.fixture
def set_up(finished):
    """The finished small run, under a ``.venv`` whose Snakemake takes it for the demo."""
    (finished.folder / ".venv/bin").mkdir(parents=True)
    small = f"-m snakemake --cores 2 {' '.join(SMALL)}"
    for name, arguments in (("python", '"$@"'), ("snakemake", small)):
        tool = finished.folder / ".venv/bin" / name
        tool.write_text(f"#!/bin/sh\nexec {sys.executable} {arguments}\n")
        tool.chmod(0o755)
    shutil.copy(finished.folder / "requirements.lock", finished.folder / ".venv")
    return finished.folder


def test_the_notebook_makes_the_demo_and_shows_its_picture_its_report_and_that_all_is_as_recorded(
    set_up,
):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    # the clone is there
    cells = [cell for cell in notebook.cells if "clone" not in cell.metadata.get("tags", [])]
    assert len(cells) == len(notebook.cells) - 1
    notebook.cells = cells
    NotebookClient(notebook, resources={"metadata": {"path": set_up}}, timeout=LONG).execute()
    run, picture, page, verified = (c.outputs for c in notebook.cells if c.cell_type == "code")
    assert "Report     results/scenes/report.en.html" in told(run)
    drawn = set_up / RUN / "figures/gallery.clip-tiny.text_to_image.en.png"
    assert base64.b64decode(picture[0].data["image/png"]) == drawn.read_bytes()
    report = (set_up / RUN / "report.en.html").read_text("utf-8")
    assert f'srcdoc="{escape(report)}"' in page[0].data["text/html"]
    assert "all as recorded" in told(verified)


def told(outputs) -> str:
    return "".join(output.text for output in outputs)


def test_the_notebook_is_kept_without_what_came_out():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not [cell for cell in code if cell.outputs or cell.execution_count]
    cloned = code[0]
    assert cloned.metadata["tags"] == ["clone"] and "git clone" in cloned.source
