"""What is told of a dataset stays short, whatever is in it."""

from scripts.data.audit import Findings, Note


def test_a_name_of_any_length_is_set_aside_in_a_few_characters():
    findings = Findings()
    for end in "ab":
        findings.set_aside("x" * 50_000 + end, "missing file", "y" * 50_000, "test")
    findings.note(Note.TWICE, ["z" * 50_000])
    told = [*findings.aside[0], *findings.aside[1], *findings.notes[0]["items"]]
    assert max(map(len, told)) < 5_000
    # and is still one of its own
    assert len(findings.split_of) == len({item for item, _, _ in findings.aside}) == 2
