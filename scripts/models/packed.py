"""Linear layers that a CPU goes through sooner in bfloat16, in the place of torch's own.

oneDNN multiplies by weights that lie in an order of its own, and adds a bias on the way. torch's
``Linear`` brings the weights into that order at every call, and writes the bias to all rows first.
Here both are done once, by the operators that torch.compile puts in its place; without a compiler.
"""

from __future__ import annotations

import torch
from torch import nn

from scripts.models.clip_towers import SLOPE


def pack(model: nn.Module) -> None:
    """Put packed layers in the place of those that ``model`` has, where oneDNN has bfloat16.

    The features are the same, but for the last bits; there are no gradients.
    """
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return
    for layer in [*model.modules()]:
        mlp, norm = getattr(layer, "mlp", None), getattr(layer, "layer_norm2", None)
        activation = type(getattr(mlp, "activation_fn", None)).__name__
        if activation == "QuickGELUActivation" and type(norm) is nn.LayerNorm:
            layer.mlp = PackedQuickGelu(mlp, norm)
    for parent in [*model.modules()]:
        for name, child in [*parent.named_children()]:
            # not those of its subclasses: torch's own attention reads the weights of one
            if type(child) is nn.Linear:
                setattr(parent, name, PackedLinear(child))


class PackedLinear(nn.Linear):
    """As a linear layer, with ``scale`` times its bias."""

    def __init__(self, linear: nn.Linear, scale: float = 1.0) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        bias = linear.bias
        # a scaled one would be rounded once more in bfloat16
        self.bias = bias if bias is None or scale == 1 else scale * bias.detach().float()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, "none", [], "")


class PackedQuickGelu(nn.Module):
    """The MLP of a layer with CLIP's activation, with one pass over its hidden rows, the widest.

    x sigmoid(1.702 x) is SiLU(1.702 x) / 1.702. What normed rows are scaled by can have the first
    factor for nothing, and the sum that follows the second.
    """

    def __init__(self, mlp: nn.Module, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.first, self.second = (PackedLinear(some, SLOPE) for some in (mlp.fc1, mlp.fc2))
        # in float32, which layer_norm takes for rows in bfloat16 and which rounds nothing twice
        self.scale, self.shift = (
            SLOPE * some.detach().float() for some in (norm.weight, norm.bias)
        )
        self.eps = norm.eps
        # a sum rounds the factor that it is given to bfloat16; this takes it as it is
        self.one = torch.ones(1, dtype=norm.weight.dtype)

    def forward(self, normed: torch.Tensor) -> torch.Tensor:
        return self._after(SLOPE * normed) / SLOPE

    def added_to(self, states: torch.Tensor) -> torch.Tensor:
        """``states + mlp(norm(states))``."""
        shape = states.shape[-1:]
        normed = nn.functional.layer_norm(states, shape, self.scale, self.shift, self.eps)
        return torch.addcmul(states, self._after(normed), self.one, value=1 / SLOPE)

    def _after(self, rows: torch.Tensor) -> torch.Tensor:
        return self.second(nn.functional.silu(self.first(rows), inplace=True))
