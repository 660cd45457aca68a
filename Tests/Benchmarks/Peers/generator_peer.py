"""The factorised autoregressive transformer as a plain PyTorch module, with MergeAR and random order.

Llama-style blocks (Sun et al., "LlamaGen", 2024; Luo et al., "Open-MAGVIT2", 2024), the compressed context of MergeAR (Li
et al., "MergeVQ", 2025) and position instruction tokens (Pang et al., "RandAR", 2025).  Parameter names are those of
published checkpoints.  Attention goes through ``scaled_dot_product_attention``, decoding through a key-value cache.
"""

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class GeneratorConfig:
    """Sizes of a generator, named as in the published configurations; the default is the 12 x 768 one."""

    grid: int = 16
    spatial_n_layer: int = 12
    factorized_n_layer: int = 2
    n_head: int = 12
    dim: int = 768
    factorized_bits: list = field(default_factory=lambda: [6, 12])
    class_num: int = 1000
    multiple_of: int = 256
    norm_eps: float = 1e-5
    rope_base: float = 10000
    dropout: float = 0.0
    candidates: int = 0  # rows of the merge instruction embedding; 0: no MergeAR
    random_order: bool = False

    @property
    def length(self) -> int:
        return self.grid**2

    @property
    def hidden(self) -> int:
        hidden = int(2 * 4 * self.dim / 3)
        return -(-hidden // self.multiple_of) * self.multiple_of


def rotary_table(grid: int, head_dim: int, base: float) -> Tensor:
    """(1 + grid^2) x head_dim/2 x 2: cosines and sines of the class token (all zero) and of every raster cell.

    The first half of the pairs turns with the row, the second with the column.
    """
    pairs = head_dim // 4
    frequency = base ** (-torch.arange(pairs, dtype=torch.float64) / pairs)
    angle = torch.arange(grid, dtype=torch.float64)[:, None] * frequency
    rows = angle[:, None, :].expand(grid, grid, pairs)
    columns = angle[None, :, :].expand(grid, grid, pairs)
    angles = torch.cat([rows, columns], dim=-1).reshape(grid * grid, 2 * pairs)
    cells = torch.stack([angles.cos(), angles.sin()], dim=-1)
    return torch.cat([torch.zeros_like(cells[:1]), cells]).to(torch.get_default_dtype())


def rotate(x: Tensor, rotary: Tensor) -> Tensor:
    """Turns the adjacent pairs of B x T x heads x head_dim by rows T x pairs x 2 or B x T x pairs x 2."""
    pairs = x.reshape(*x.shape[:-1], -1, 2)
    cosine, sine = rotary.unsqueeze(-3).unbind(-1)
    even, odd = pairs.unbind(-1)
    return torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], dim=-1).flatten(-2)


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


class Cache:
    """Keys and values of one attention layer; written in place, read up to what has been written."""

    def __init__(self, batch: int, heads: int, length: int, head_dim: int):
        self.keys = torch.empty(batch, heads, length, head_dim)
        self.values = torch.empty_like(self.keys)
        self.used = 0

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        end = self.used + k.shape[2]
        self.keys[:, :, self.used : end] = k
        self.values[:, :, self.used : end] = v
        self.used = end
        return self.keys[:, :, :end], self.values[:, :, :end]


class Attention(nn.Module):
    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.heads = config.n_head
        self.wqkv = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.wo = nn.Linear(config.dim, config.dim, bias=False)

    def forward(self, x: Tensor, rotary: Tensor, mask: Tensor | None, cache: Cache | None) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (part.reshape(batch, length, self.heads, -1) for part in self.wqkv(x).chunk(3, dim=-1))
        q, k = rotate(q, rotary).transpose(1, 2), rotate(k, rotary).transpose(1, 2)
        v = v.transpose(1, 2)
        if cache is not None:
            k, v = cache.append(k, v)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None and length > 1)
        return self.wo(y.transpose(1, 2).reshape(batch, length, width))


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.w1 = nn.Linear(config.dim, config.hidden, bias=False)
        self.w3 = nn.Linear(config.dim, config.hidden, bias=False)
        self.w2 = nn.Linear(config.hidden, config.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Block(nn.Module):
    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.attention = Attention(config)
        self.feed_forward = FeedForward(config)
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.ffn_norm = RMSNorm(config.dim, config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, rotary: Tensor, mask: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), rotary, mask, cache))
        return x + self.dropout(self.feed_forward(self.ffn_norm(x)))


class ClassEmbedding(nn.Module):
    """One row per class and one for the dropped class, the last."""

    def __init__(self, classes: int, width: int):
        super().__init__()
        self.embedding_table = nn.Embedding(classes + 1, width)

    def forward(self, labels: Tensor) -> Tensor:
        return self.embedding_table(labels)


class Generator(nn.Module):
    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        sizes = [2**bits for bits in config.factorized_bits]
        self.class_emb = ClassEmbedding(config.class_num, config.dim)
        self.pre_emb = nn.Embedding(sizes[0], config.dim)
        self.post_emb = nn.Embedding(sizes[1], config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.spatial_blocks = nn.ModuleList(Block(config) for _ in range(config.spatial_n_layer))
        self.factorized_blocks = nn.ModuleList(Block(config) for _ in range(config.factorized_n_layer))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.head = nn.ModuleList(nn.Linear(config.dim, size, bias=False) for size in sizes)
        if config.candidates:
            self.merge_emb = nn.Embedding(config.candidates, config.dim)
        if config.random_order:
            self.pos_instruct_embeddings = nn.Parameter(torch.randn(1, config.dim) * 0.02)
        rotary = rotary_table(config.grid, config.dim // config.n_head, config.rope_base)
        self.register_buffer("rotary", rotary, persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
        for head in self.head:
            nn.init.zeros_(head.weight)

    def embed(self, pre: Tensor, post: Tensor) -> Tensor:
        return self.pre_emb(pre) + self.post_emb(post)

    def spatial(self, x: Tensor, rotary: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.dropout(x)
        for block in self.spatial_blocks:
            x = block(x, rotary, mask)
        return x

    def factorized(self, h: Tensor, pre: Tensor) -> tuple[Tensor, Tensor]:
        """Spatial outputs B x T x D and the true pre-tokens B x T to the logits of both factors."""
        batch, length, width = h.shape
        x = torch.stack([h, self.pre_emb(pre)], dim=2).reshape(batch * length, 2, width)
        for block in self.factorized_blocks:
            x = block(x, self.rotary[:2])
        first, second = self.norm(x).reshape(batch, length, 2, width).unbind(2)
        return self.head[0](first), self.head[1](second)

    def forward(self, pre: Tensor, post: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits B x L x 2^bits of both factors in raster order; labels B x 1."""
        x = torch.cat([self.class_emb(labels), self.embed(pre, post)[:, :-1]], dim=1)
        return self.factorized(self.spatial(x, self.rotary[: x.shape[1]]), pre)

    def forward_merged(
        self, pre: Tensor, post: Tensor, labels: Tensor, keep: Tensor, representative: Tensor, window: int
    ) -> tuple[Tensor, Tensor]:
        """MergeAR: the instruction token ``keep`` (B) follows the class, and evicted duplicates are masked."""
        x = torch.cat([self.class_emb(labels), self.merge_emb(keep)[:, None], self.embed(pre, post)[:, :-1]], dim=1)
        rotary = torch.cat([self.rotary[:1], self.rotary[: x.shape[1] - 1]])
        h = self.spatial(x, rotary, merged_mask(representative, window)[:, None])
        return self.factorized(h[:, 1:], pre)

    def forward_random_order(self, pre: Tensor, post: Tensor, labels: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Random order: token n lies at raster cell ``cells[b, n]`` and follows an instruction that names the cell."""
        batch, count = cells.shape
        rows = self.rotary[1:][cells]
        instruction = self.pos_instruct_embeddings.reshape(1, 1, self.config.n_head, -1).expand(batch, count, -1, -1)
        instruction = rotate(instruction, rows).flatten(2)
        pairs = torch.stack([instruction, self.embed(pre, post)], dim=2).flatten(1, 2)
        x = torch.cat([self.class_emb(labels), pairs], dim=1)[:, :-1]
        rotary = torch.cat([self.rotary[:1].expand(batch, 1, -1, -1), rows.repeat_interleave(2, dim=1)], dim=1)
        return self.factorized(self.spatial(x, rotary[:, :-1])[:, 1::2], pre)

    @torch.no_grad()
    def sample(self, labels: Tensor, guidance: tuple[float, float], choose) -> tuple[Tensor, Tensor]:
        """Raster-order sampling with a key-value cache and classifier-free guidance.

        ``choose(logits, factor)`` picks an index per row. A guidance of 1 for both factors skips the dropped class.
        """
        config, batch = self.config, labels.shape[0]
        guided = guidance != (1.0, 1.0)
        if guided:
            labels = torch.cat([labels, torch.full_like(labels, config.class_num)])
        head_dim = config.dim // config.n_head
        rows = labels.shape[0]
        caches = [Cache(rows, config.n_head, config.length, head_dim) for _ in self.spatial_blocks]
        x = self.class_emb(labels)
        chosen = []
        for position in range(config.length):
            for block, cache in zip(self.spatial_blocks, caches, strict=True):
                x = block(x, self.rotary[position : position + 1], cache=cache)
            inner = [Cache(rows, config.n_head, 2, head_dim) for _ in self.factorized_blocks]
            picks, embedded = [], []
            for factor, table in enumerate((self.pre_emb, self.post_emb)):
                for block, cache in zip(self.factorized_blocks, inner, strict=True):
                    x = block(x, self.rotary[factor : factor + 1], cache=cache)
                logits = self.head[factor](self.norm(x))[:, 0]
                if guided:
                    conditional, unconditional = logits.split(batch)
                    logits = unconditional + guidance[factor] * (conditional - unconditional)
                picks.append(choose(logits, factor))
                x = table(picks[-1])[:, None].repeat(rows // batch, 1, 1)
                embedded.append(x)
            x = embedded[0] + embedded[1]
            chosen.append(torch.stack(picks))
        pre, post = torch.stack(chosen, dim=-1)
        return pre, post


def merged_mask(representative: Tensor, window: int) -> Tensor:
    """B x (L+1) x (L+1), true where the row may attend: [class, M, t_0 .. t_{L-2}], duplicates seen in the window only."""
    length = representative.shape[1] - 1
    i = torch.arange(length)
    behind = i[:, None] - i
    is_representative = representative[:, :length] == i
    tokens = (behind >= 0) & ((behind <= window) | is_representative[:, None, :])
    mask = torch.zeros(representative.shape[0], length + 2, length + 2, dtype=torch.bool)
    mask[:, 0, 0] = True
    mask[:, 1:, :2] = True
    mask[:, 2:, 2:] = tokens
    return mask


def factorized_loss(logits: tuple[Tensor, Tensor], pre: Tensor, post: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each factor; their sum is what is trained."""
    return F.cross_entropy(logits[0].flatten(0, 1), pre.flatten()), F.cross_entropy(
        logits[1].flatten(0, 1), post.flatten()
    )


def greedy(logits: Tensor, factor: int) -> Tensor:
    return logits.argmax(dim=-1)


def kept_by_top_k(logits: Tensor, k: int) -> Tensor:
    """True for the k largest logits of every row (and any equal to the smallest of them)."""
    return logits >= logits.topk(k, dim=-1).values[..., -1:]


def kept_by_top_p(logits: Tensor, p: float) -> Tensor:
    """True for the most probable entries up to and including the first whose cumulated probability exceeds p."""
    values, order = logits.sort(dim=-1, descending=True)
    probability = values.softmax(-1)
    kept = probability.cumsum(-1) - probability <= p
    return torch.zeros_like(kept).scatter(-1, order, kept)


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Optimizer groups: weight decay on tensors of rank 2 and more only."""
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]


def parameter_count(model: nn.Module) -> int:
    return sum(math.prod(p.shape) for p in model.parameters())
