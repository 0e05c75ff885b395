"""Once through a model, before anything is computed with it."""

from pathlib import Path


def probe(folder: Path) -> None:
    """Raise ``BadInput`` where the model in ``folder`` fails, or tells nothing apart."""
