"""The report for paper: the page itself, set by Typst."""

import tempfile
from pathlib import Path

from scripts.job import BadInput, Snakemake, run, whole
from scripts.report.pdf_fonts import folders
from scripts.report.typst_markup import TEMPLATE, document

# PDF/UA-1: tagged for readers who hear it, and a character without a glyph is an error
STANDARD = "ua-1"


def pdf(page: str, where: object = "the page") -> bytes:
    """A page of the report as PDF.

    The same page gives the same bytes: no date is written, and all type comes from packages.

    Parameters
    ----------
    page : HTML, from ``report_page``
    where : its file, for messages

    Raises ``BadInput`` for a page that holds what paper cannot show, and for anything that Typst
    warns of: a letter without a glyph, a font that is not there, a layout that does not settle.
    """
    import typst

    made = document(page, where)
    files = {
        **made.files,
        "main.typ": made.markup.encode(),
        TEMPLATE.name: TEMPLATE.read_bytes(),
    }
    fonts = typst.Fonts(include_system_fonts=False, font_paths=list(folders()))
    # from files, since what Typst is handed in memory has to be text
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        try:
            printed, warnings = typst.compile_with_warnings(
                Path(folder) / "main.typ",
                font_paths=fonts,
                format="pdf",
                pdf_standards=[STANDARD],
                timestamp=0,
            )
        except typst.TypstError as error:
            raise _refused(where, error.diagnostic or error.message) from None
    if warnings:
        raise _refused(where, "\n".join(one.diagnostic or one.message for one in warnings))
    return printed


def _refused(where: object, said: str) -> BadInput:
    return BadInput(
        where,
        said.strip(),
        "a page that Typst sets without a warning",
        "correct scripts/report/report.typ or typst_markup.py; the line is that of the markup",
    )


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    source = Path(snakemake.input.html)
    content = pdf(source.read_text("utf-8"), source)
    with whole(snakemake.output.pdf) as draft:
        draft.write_bytes(content)


if __name__ == "__main__":
    run(main, snakemake)
