"""All runs of all datasets of a run, side by side: as table, as Markdown and as pages."""

from pathlib import Path

from scripts.evaluate.intervals import Resampling
from scripts.job import whole
from scripts.jobs import Snakemake, run
from scripts.leaderboard.board import Board, board_of, write_csv
from scripts.leaderboard.entries import read_entry
from scripts.leaderboard.page import Page
from scripts.words import LANGUAGES


def write(board: Board, folder: Path) -> list[Path]:
    """Write leaderboard.csv, .md, .en.html and .zh.html into a folder."""
    table, text = folder / "leaderboard.csv", folder / "leaderboard.md"
    with whole(table) as draft:
        write_csv(board, draft)
    with whole(text) as draft:
        draft.write_text(Page(board, LANGUAGES[0]).markdown(), "utf-8")
    pages = [folder / f"leaderboard.{language}.html" for language in LANGUAGES]
    for language, page in zip(LANGUAGES, pages, strict=True):
        with whole(page) as draft:
            draft.write_text(Page(board, language).html(), "utf-8")
    return [*pages, table, text]


def main(snakemake: Snakemake) -> None:
    """Unpack the job."""
    files, params = snakemake.input, snakemake.params
    entries = [read_entry(Path(path).parent) for path in files.metrics]
    board = board_of(entries, Resampling(params.resamples, params.seed))
    write(board, Path(snakemake.output.csv).parent)


if __name__ == "__main__":
    run(main, snakemake)
