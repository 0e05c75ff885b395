"""A finished run on four coloured squares, and who asks it."""

from __future__ import annotations

import pytest
from asking import client_of
from colour_run import ColourEncoder, make_run


@pytest.fixture
def encoder(monkeypatch):
    """The colour encoder in place of the one that would be loaded."""
    one = ColourEncoder()
    monkeypatch.setattr("scripts.models.encoders.load_encoder", lambda *_, **__: one)
    return one


@pytest.fixture
def project(tmp_path, encoder):
    """data/ and results/ of a finished run on four coloured squares."""
    return make_run(tmp_path)


@pytest.fixture
def client(project):
    return client_of(project)
