"""The undisturbed run that every disturbed one is held against."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from bad_input import Steps
from harness import Victim

# a web site on this machine and Flickr8k in small, which the tests of downloads have, too
_spec = importlib.util.spec_from_file_location(
    "sites", Path(__file__).parent.parent / "data" / "conftest.py"
)
sites = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sites)


class Server(sites.ThreadingHTTPServer):
    """To a server, a client that was killed is nothing to report."""

    def handle_error(self, *_):
        pass


sites.ThreadingHTTPServer = Server
site, photos, archives = sites.site, sites.photos, sites.archives


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Victim:
    """A finished run; to be copied, not touched."""
    victim = Victim(tmp_path_factory.mktemp("undisturbed") / "clone")
    victim.finish()
    return victim


@pytest.fixture
def finished(undisturbed, tmp_path):
    """A copy of the finished run, to be spoilt."""
    made = undisturbed.copy(tmp_path / "clone")
    yield made
    made.end()


@pytest.fixture
def steps(tmp_path, monkeypatch, capfd):
    """The steps that read a dataset, in a working directory of their own."""
    monkeypatch.chdir(tmp_path)
    return Steps(tmp_path, capfd)
