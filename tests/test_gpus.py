"""Jobs that share a machine take different GPUs. Stand-ins answer for CUDA: no GPU is needed."""

import signal
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import pytest

from scripts import jobs
from scripts.gpus import device_called, own_gpu
from scripts.job import BadInput
from scripts.models.encoders import pick_device
from scripts.retrieve.products import products_on

HOLDER = """
import sys
from types import SimpleNamespace
from scripts.gpus import own_gpu
class Cuda:
    device_count = staticmethod(lambda: 1)
    get_device_properties = staticmethod(lambda _: SimpleNamespace(uuid="GPU-0"))
print(own_gpu(Cuda), flush=True)
sys.stdin.read()
"""


class Cuda:
    """GPUs by what they are called, each with so much memory free."""

    def __init__(self, *free: int, called: tuple[str, ...] = ()) -> None:
        self.free = free
        self.called = called or tuple(f"GPU-{number}" for number in range(len(free)))

    def is_available(self) -> bool:
        return bool(self.free)

    def is_initialized(self) -> bool:
        return True

    def device_count(self) -> int:
        return len(self.free)

    def get_device_properties(self, index: int) -> SimpleNamespace:
        return SimpleNamespace(uuid=self.called[index])

    def mem_get_info(self, index: int) -> tuple[int, int]:
        return self.free[index], 100


@pytest.fixture(autouse=True)
def locks(tmp_path, monkeypatch):
    """Locks of their own for each test, and nothing remembered of another."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own_gpu.cache_clear()
    yield
    own_gpu.cache_clear()


def test_each_job_takes_a_gpu_that_no_other_has_and_keeps_it():
    # as another process would: with a lock of its own
    first, second = Cuda(10, 10, 10), Cuda(10, 10, 10)
    assert [own_gpu(first), own_gpu(second), own_gpu(first)] == ["cuda:0", "cuda:1", "cuda:0"]


def test_where_all_are_taken_the_one_with_most_memory_free_is_shared():
    for expected in ("cuda:0", "cuda:1", "cuda:2", "cuda:1", "cuda:1"):
        assert own_gpu(Cuda(10, 30, 20)) == expected


def test_a_gpu_is_known_by_its_own_name_and_not_by_the_number_that_a_job_sees():
    assert own_gpu(Cuda(10, called=("GPU-2",))) == "cuda:0"
    assert own_gpu(Cuda(10, 10, called=("GPU-2", "GPU-3"))) == "cuda:1"


def test_the_one_that_a_scheduler_shows_is_taken_whoever_holds_it():
    assert [own_gpu(Cuda(10)), own_gpu(Cuda(10))] == ["cuda:0", "cuda:0"]


def test_a_job_that_is_killed_lets_its_gpu_go(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    temp = {"TMPDIR": str(tmp_path), "PYTHONPATH": "."}
    with subprocess.Popen([sys.executable, "-c", HOLDER], env=temp, **pipes) as other:
        assert other.stdout.readline() == "cuda:0\n"
        assert own_gpu(Cuda(10, 10)) == "cuda:1"
        other.send_signal(signal.SIGKILL)
    assert own_gpu(Cuda(10, 10)) == "cuda:0"


def test_without_a_place_for_locks_the_gpu_with_most_memory_free_is_taken(tmp_path):
    (tmp_path / "no folder").touch()
    tempfile.tempdir = str(tmp_path / "no folder")
    assert own_gpu(Cuda(10, 30)) == "cuda:1"


@pytest.mark.parametrize(
    ("name", "gpus", "expected"),
    [
        ("auto", 2, "cuda:0"),
        ("cuda", 2, "cuda:0"),
        ("cuda:1", 2, "cuda:1"),
        ("auto", 0, "cpu"),
        ("cuda", 0, "cuda"),
        ("cpu", 2, "cpu"),
    ],
)
def test_a_gpu_is_chosen_where_the_setting_leaves_it_open(name, gpus, expected):
    backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: False))
    torch = SimpleNamespace(cuda=Cuda(*[10] * gpus), backends=backends)
    assert device_called(name, torch) == expected


def test_encoding_and_ranking_take_the_gpu_that_was_chosen(monkeypatch):
    torch = pytest.importorskip("torch")
    own_gpu(Cuda(10, 10))  # of another job
    cuda = Cuda(10, 10)
    for name in ("is_available", "device_count", "get_device_properties", "mem_get_info"):
        monkeypatch.setattr(torch.cuda, name, getattr(cuda, name))
    assert pick_device("auto") == torch.device("cuda", 1)
    # there is none behind the stand-in
    with pytest.raises(BadInput, match=r"found: +cuda:1\n"):
        products_on("auto")


def test_the_record_of_a_job_says_which_gpu_it_had_memory_on(monkeypatch):
    cuda = Cuda(10, 10, 10)
    cuda.max_memory_allocated = [0, 0, 7].__getitem__
    cuda.get_device_name = ["A", "B", "C"].__getitem__
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert jobs._device() == "cuda:2" and jobs._machine()["gpu"] == "C"
