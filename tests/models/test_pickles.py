"""What becomes of a pickle whose checksum is known."""

from __future__ import annotations

import re
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import load_file

from scripts.job import BadInput
from scripts.models.pickles import convert_pickle


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
def test_shared_turned_and_wrapped_tensors_come_out_as_they_were(tmp_path, zipped):
    one = torch.arange(6.0).reshape(2, 3)
    whole = OrderedDict(
        one=one, same=one, turned=one.T, part=one[1], half=one.half(), ids=torch.arange(3)
    )
    whole["parameter"] = torch.nn.Parameter(one)
    torch.save(whole, tmp_path / "a.bin", _use_new_zipfile_serialization=zipped)
    convert_pickle(tmp_path / "a.bin", tmp_path / "a.safetensors")
    made = load_file(tmp_path / "a.safetensors")
    assert made.keys() == whole.keys()
    assert all(torch.equal(made[name], whole[name]) for name in whole)
    assert all(made[name].dtype == whole[name].dtype for name in whole)


NOT_TAKEN = {
    "nested": ({"state_dict": {"w": torch.ones(2)}}, "no plain tensor: 'state_dict'"),
    "a number": ({"w": torch.ones(2), "epoch": 3}, "no plain tensor: 'epoch'"),
    "no names": ({0: torch.ones(2)}, "no plain tensor: 0"),
    "sparse": ({"w": torch.eye(3).to_sparse()}, "no plain tensor: 'w'"),
    "a list": ([torch.ones(2)], "a pickle of list"),
    "nothing": ({}, "an empty dictionary"),
    "no data": ({"w": torch.ones(2, device="meta")}, "no plain tensor: 'w'"),
    "ragged": (
        {"w": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])},
        "no plain tensor: 'w'",
    ),
    "half a character": ({"\ud800": torch.ones(2)}, r"cannot have: '\\ud800'"),
    "the format's own key": ({"__metadata__": torch.ones(2)}, "cannot have: '__metadata__'"),
    "double complex": ({"w": torch.ones(2, dtype=torch.complex128)}, "lacks: torch.complex128"),
    "a module": (torch.nn.Linear(2, 2), "will not read as weights"),
    "a view of a terabyte": ({"w": torch.ones(1).expand(2**38)}, "bytes of tensors in"),
}


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_what_is_not_one_dictionary_of_tensors_is_told(tmp_path, name):
    value, told = NOT_TAKEN[name]
    torch.save(value, tmp_path / "a.bin")
    with pytest.raises(BadInput, match=told):
        convert_pickle(tmp_path / "a.bin", tmp_path / "a.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("content", ["a module", b"version https://git-lfs"])
def test_no_advice_to_open_a_pickle_all_the_same_is_handed_on(tmp_path, content):
    if isinstance(content, bytes):
        (tmp_path / "a.bin").write_bytes(content)
    else:
        torch.save(torch.nn.Linear(2, 2), tmp_path / "a.bin")
    with pytest.raises(BadInput, match=r"weights: Unsupported (global: .*Linear|operand)") as told:
        convert_pickle(tmp_path / "a.bin", tmp_path / "a.safetensors")
    assert not re.search("weights_only|trust|safe_globals|\x1b", str(told.value))


@pytest.mark.parametrize("content", [b"", b"PK\3\4 cut", b"version https://git-lfs", b"\x80\2."])
def test_what_is_no_pickle_of_torch_is_told(tmp_path, content):
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(BadInput, match="will not read as weights"):
        convert_pickle(tmp_path / "a.bin", tmp_path / "a.safetensors")
