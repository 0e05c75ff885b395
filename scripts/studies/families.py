"""Studies whose rows stand in pairs.csv, a family of it each, and in no table of their own.

Without an import of what computes, since the rules read it, too.
"""

from __future__ import annotations

FAMILY_OF = {"prompts": "prompt", "scorers": "scorer"}


def table_behind(study: str) -> str:
    """The name of the table that holds a study's rows."""
    return "pairs" if study in FAMILY_OF else study
