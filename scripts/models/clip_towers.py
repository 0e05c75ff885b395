"""CLIP's towers without the work that no pooled feature needs: the same features, sooner.

A causal tower's row at a token depends on the tokens up to it and on nothing else. Texts that begin
alike, as all do under one prompt, therefore have the same rows for as long as they are alike: here
each distinct beginning is one row, computed once, and padding none. Attention alone sees texts side
by side. The last layer of either tower makes the one row that is pooled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from transformers import CLIPModel, PreTrainedModel

# of quick_gelu, CLIP's activation
SLOPE = 1.702
# torch's attention works on so many places of a text at once: 31 take it twice as long as 32
TILE = 16


def distinct_beginnings(input_ids: torch.Tensor, eos_token_id: int) -> dict[str, torch.Tensor]:
    """What ``text_features`` computes for token ids (b, length), padded behind each text's end.

    Returns
    -------
    tokens, positions : (n,) the last token of each distinct beginning, and its place in a text
    rows : (b, length or a few more) which of the n each token of each text is; any behind its end
    firsts : (n,) a place in ``rows``, flattened, where each of the n stands
    ends : (b,) place of each text's last token
    """
    import torch

    ids = input_ids.numpy()
    # to transformers, 2 means the highest id: old files have it, whatever their tokenizer's is
    ends = ids.argmax(axis=1) if eos_token_id == 2 else (ids == eos_token_id).argmax(axis=1)
    length = ends.max() + 1
    ids = ids[:, :length]
    places = np.arange(ids.shape[1])
    # in this order, whoever begins as another text does stands right behind one that does
    order = np.lexsort(ids.T[::-1])
    in_order = ids[order]
    new = np.ones(ids.shape, dtype=bool)
    new[1:] = np.logical_or.accumulate(in_order[1:] != in_order[:-1], axis=1)
    new &= places <= ends[order, None]
    rows = np.zeros(ids.shape, dtype=np.int64)
    rows[new] = np.arange(new.sum())
    rows[order] = np.maximum.accumulate(rows, axis=0)
    missing = -length % TILE
    if missing <= TILE // 2:
        rows = np.pad(rows, ((0, 0), (0, missing)))
    text, position = np.nonzero(new)
    text = order[text]
    found = {
        "tokens": ids[text, position],
        "positions": position,
        "rows": rows,
        "firsts": text * rows.shape[1] + position,
        "ends": ends,
    }
    return {name: torch.from_numpy(np.ascontiguousarray(some)) for name, some in found.items()}


def text_features(model: PreTrainedModel, beginnings: dict[str, torch.Tensor]) -> torch.Tensor:
    """Projected features (b, dim) of a model with CLIP's text tower.

    ``beginnings`` is what ``distinct_beginnings`` found of token ids; for these the features are
    those of ``model.get_text_features``, but for the last bits.
    """
    import torch

    tower = model.text_model
    rows, ends = beginnings["rows"], beginnings["ends"]
    count, length = rows.shape
    embeddings = tower.embeddings
    states = embeddings.token_embedding(beginnings["tokens"])
    states = states + embeddings.position_embedding(beginnings["positions"])

    def of_texts(some: torch.Tensor) -> torch.Tensor:
        return some.index_select(0, rows.flatten()).view(count, length, -1)

    for layer in tower.encoder.layers[:-1]:
        attention, normed = layer.self_attn, layer.layer_norm1(states)
        mixed = _attended(
            attention,
            of_texts(attention.q_proj(normed)),
            of_texts(attention.k_proj(normed)),
            of_texts(attention.v_proj(normed)),
            is_causal=True,
        )
        mixed = mixed.flatten(0, 1).index_select(0, beginnings["firsts"])
        states = _rest_of_layer(layer, states, mixed)
    seen = torch.arange(length, device=ends.device) <= ends[:, None]
    last = rows[torch.arange(count, device=ends.device), ends]
    states = _pooled_row(tower.encoder.layers[-1], states, last, of_texts, seen)
    return model.text_projection(tower.final_layer_norm(states))


def image_features(model: CLIPModel, pixels: torch.Tensor) -> torch.Tensor:
    """Projected features (b, dim) of a CLIPModel for pixels (b, 3, H, W).

    As ``model.get_image_features`` of the same pixels, but for the last bits.
    """
    import torch

    tower = model.vision_model
    states = tower.pre_layrnorm(tower.embeddings(pixels))
    for layer in tower.encoder.layers[:-1]:
        attention, normed = layer.self_attn, layer.layer_norm1(states)
        mixed = _attended(
            attention, attention.q_proj(normed), attention.k_proj(normed), attention.v_proj(normed)
        )
        states = _rest_of_layer(layer, states, mixed)
    count, length, _ = states.shape
    # the class token comes first
    first = torch.arange(0, count * length, length, device=states.device)
    states = _pooled_row(
        tower.encoder.layers[-1],
        states.flatten(0, 1),
        first,
        lambda some: some.view(count, length, -1),
    )
    return model.visual_projection(tower.post_layernorm(states))


def _pooled_row(
    layer: torch.nn.Module,
    states: torch.Tensor,
    last: torch.Tensor,
    of_items: Callable[[torch.Tensor], torch.Tensor],
    seen: torch.Tensor | None = None,
) -> torch.Tensor:
    """Rows (b, width) that a layer makes of rows ``last`` (b,) of ``states`` (n, width).

    ``of_items`` puts each item's rows side by side, (b, length, width), of which ``seen``
    (b, length) says which there are.
    """
    attention, normed = layer.self_attn, layer.layer_norm1(states)
    mixed = _attended(
        attention,
        attention.q_proj(normed.index_select(0, last))[:, None],
        of_items(attention.k_proj(normed)),
        of_items(attention.v_proj(normed)),
        attn_mask=None if seen is None else seen[:, None, None],
    )
    return _rest_of_layer(layer, states.index_select(0, last), mixed[:, 0])


def _attended(
    attention: torch.nn.Module,
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    **masked: Any,
) -> torch.Tensor:
    """Weighted values (b, q, width) of queries (b, q, width), keys and values (b, k, width)."""
    from torch.nn.functional import scaled_dot_product_attention

    shape = (len(queries), -1, attention.num_heads, attention.head_dim)
    heads = (some.view(shape).transpose(1, 2) for some in (queries, keys, values))
    return scaled_dot_product_attention(*heads, **masked).transpose(1, 2).flatten(2)


def _rest_of_layer(
    layer: torch.nn.Module, states: torch.Tensor, mixed: torch.Tensor
) -> torch.Tensor:
    states = states + layer.self_attn.out_proj(mixed)
    if hasattr(layer.mlp, "added_to"):
        return layer.mlp.added_to(states)
    return states + _of_mlp(layer.mlp, layer.layer_norm2(states))


def _of_mlp(mlp: torch.nn.Module, normed: torch.Tensor) -> torch.Tensor:
    """As ``mlp(normed)``, with one pass over the hidden rows, the widest of all, in place of three.

    CLIP's x sigmoid(1.702 x) is SiLU(1.702 x) / 1.702, and products take factors for nothing.
    """
    import torch

    if mlp.config.hidden_act != "quick_gelu":
        return mlp(normed)
    rows, first, second = normed.flatten(0, -2), mlp.fc1, mlp.fc2
    hidden = torch.addmm(first.bias, rows, first.weight.t(), alpha=SLOPE, beta=SLOPE)
    torch.nn.functional.silu(hidden, inplace=True)
    rows = torch.addmm(second.bias, hidden, second.weight.t(), alpha=1 / SLOPE)
    return rows.view(normed.shape)
