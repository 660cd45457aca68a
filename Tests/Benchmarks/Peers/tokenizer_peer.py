"""The MergeVQ image tokenizer as a plain PyTorch module: the peer that the Swift tokenizer is measured against.

Written from the method (Li et al., "MergeVQ", CVPR 2025), with the cost profile of the published implementation: a full
softmax over all 2^d codes in the entropy penalty, materialised attention weights with proportional attention, dense
source matrices.  Parameter names are those of published checkpoints, so ``load_state_dict`` reads them and the parity
fixtures alike.
"""

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class TokenizerConfig:
    """Sizes of a tokenizer, named as in the published configurations."""

    resolution: int = 256
    ch: int = 64
    ch_mult: list = field(default_factory=lambda: [1, 1, 2, 4, 8])
    z_channels: int = 18
    num_res_blocks: int = 4
    num_res_extra: int = 1
    num_att_blocks: int = 12
    num_heads: int = 8
    head_dim: int | None = None
    isotropic: int = 0  # width of the isotropic encoder; 0 selects the hybrid one
    dist_head: str | None = "layer3"
    num_classes: int = 768
    rec_embed_dim: int | None = None  # None: no learned source recovery
    rec_layers: int = 2
    rec_heads: int = 4

    @property
    def downsampling(self) -> int:
        return 2 ** (len(self.ch_mult) - 1)

    @property
    def grid(self) -> int:
        return self.resolution // self.downsampling


PUBLISHED = {
    "g-d32": {"ch": 32, "ch_mult": [1, 2, 4, 8]},
    "g-d64": {"ch": 64, "ch_mult": [1, 2, 4, 8]},
    "gr-d32": {"ch": 32},
    "gr-d64": {"ch": 64},
    "gr-d96": {"ch": 96},
}


def published(name: str, resolution: int = 256, **changes) -> TokenizerConfig:
    """The configuration called ``name``, with ``changes`` applied."""
    return TokenizerConfig(resolution=resolution, **{**PUBLISHED[name], **changes})


# Merge schedule and merging


def merge_schedule(total: int, blocks: int) -> list[int]:
    """Tokens to merge in each of ``blocks`` blocks: linearly decreasing from 1.5 r to 0.5 r, summing to ``total``."""

    def schedule(r: int) -> list[int]:
        first = int(1.5 * r)
        last = 2 * r - first
        step = (last - first) / (blocks - 1) if blocks > 1 else 0.0
        return [int(first + step * i) for i in range(blocks)]

    if total == 0:
        return [0] * blocks
    r = min(range(total + 1), key=lambda r: abs(sum(schedule(r)) - total))
    counts = schedule(r)
    remainder = total - sum(counts)
    for index in range(blocks):
        # The first block absorbs the remainder; only where that would leave it negative do the next ones help.
        counts[index], remainder = max(0, counts[index] + remainder), min(0, counts[index] + remainder)
    return counts


class Merge:
    """One bipartite soft matching: the ``r`` best proposals of even (A) tokens to odd (B) tokens."""

    def __init__(self, metric: Tensor, r: int):
        """``metric``: B x T x C unit vectors, token 0 being the protected class token."""
        scores = metric[:, ::2] @ metric[:, 1::2].transpose(-1, -2)
        scores[:, 0, :] = -math.inf
        best, partner = scores.max(dim=-1)
        order = best.argsort(dim=-1, descending=True)
        self.merged = order[:, :r, None]
        self.kept = order[:, r:].sort(dim=-1).values[..., None]
        self.partner = partner[..., None].gather(1, self.merged)

    def sum(self, x: Tensor) -> Tensor:
        """Adds merged rows of ``x`` (B x T x C) to their partners; survivors of A first, then B."""
        a, b = x[:, ::2], x[:, 1::2]
        width = x.shape[-1]
        kept = a.gather(1, self.kept.expand(-1, -1, width))
        moved = a.gather(1, self.merged.expand(-1, -1, width))
        b = b.scatter_add(1, self.partner.expand(-1, -1, width), moved)
        return torch.cat([kept, b], dim=1)


# Shared pieces


def group_norm(channels: int, affine: bool = True) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels, eps=1e-6, affine=affine)


class ResBlock(nn.Module):
    """GroupNorm, SiLU, 3x3 convolution, twice, around a residual."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.norm1 = group_norm(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm2 = group_norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.nin_shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.nin_shortcut is None else self.nin_shortcut(x))


class LayerScale(nn.Module):
    def __init__(self, width: int, initial: float = 1e-5):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), initial))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Attention(nn.Module):
    """Multi-head self-attention; with ``size``, proportional attention that also returns the merging metric."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, size: Tensor | None = None) -> tuple[Tensor, Tensor]:
        batch, length, width = x.shape
        qkv = self.qkv(x).reshape(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        weights = (q * (width // self.heads) ** -0.5) @ k.transpose(-2, -1)
        if size is not None:
            weights = weights + size.log()[:, None, None, :, 0]
        y = (weights.softmax(dim=-1) @ v).transpose(1, 2).reshape(batch, length, width)
        return self.proj(y), k.mean(1)


class MLP(nn.Module):
    """Linear, GELU, Linear; with ``depthwise``, a depthwise 3x3 convolution on the token grid before the GELU."""

    def __init__(self, width: int, depthwise: bool = False):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.dwconv = nn.Conv2d(4 * width, 4 * width, 3, padding=1, groups=4 * width) if depthwise else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        if self.dwconv is not None:
            batch, length, width = x.shape
            side = math.isqrt(length)
            image = x.transpose(1, 2).reshape(batch, width, side, side)
            x = self.dwconv(image).flatten(2).transpose(1, 2)
        return self.fc2(F.gelu(x))


# Encoder


class MergingBlock(nn.Module):
    """A transformer block that merges ``r`` tokens between attention and MLP."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP(width)
        self.ls2 = LayerScale(width)

    def forward(self, x: Tensor, size: Tensor, source: Tensor, r: int) -> tuple[Tensor, Tensor, Tensor]:
        y, metric = self.attn(self.norm1(x), size)
        x = x + self.ls1(y)
        r = min(r, (x.shape[1] - 1) // 2)
        if r > 0:
            with torch.no_grad():
                merge = Merge(F.normalize(metric, dim=-1), r)
                source = merge.sum(source)
            total = merge.sum(size)
            x = merge.sum(x * size) / total
            size = total
        return x + self.ls2(self.mlp(self.norm2(x))), size, source


class MergingTransformer(nn.Module):
    def __init__(self, width: int, depth: int, heads: int):
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.blocks = nn.ModuleList(MergingBlock(width, heads) for _ in range(depth))

    def forward(self, x: Tensor, merged: int) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens B x L x C to (tokens, sizes, source) of 1 + L - ``merged`` tokens, the class token first."""
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)
        batch, length, _ = x.shape
        size = x.new_ones(batch, length, 1)
        source = torch.eye(length, dtype=x.dtype).expand(batch, -1, -1)
        for block, r in zip(self.blocks, merge_schedule(merged, len(self.blocks))):
            x, size, source = block(x, size, source, r)
        return x, size, source


class Level(nn.Module):
    """One resolution of an encoder or decoder: ResBlocks and, where there is another level, a change of scale."""

    def __init__(self, blocks: list[nn.Module], downsample: nn.Module | None = None, upsample: nn.Module | None = None):
        super().__init__()
        self.block = nn.ModuleList(blocks)
        if downsample is not None:
            self.downsample = downsample
        if upsample is not None:
            self.upsample = upsample


class Encoder(nn.Module):
    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.isotropic = config.isotropic > 0
        if self.isotropic:
            width, patch = config.isotropic, config.downsampling
            heads = width // config.head_dim if config.head_dim else config.num_heads
            self.conv_in = nn.Sequential(nn.Conv2d(3, width, patch, stride=patch), nn.GroupNorm(width, width, eps=1e-6))
        else:
            widths = [config.ch * m for m in config.ch_mult]
            heads = config.num_heads
            self.conv_in = nn.Conv2d(3, config.ch, 3, padding=1, bias=False)
            levels, width = [], config.ch
            for index, outputs in enumerate(widths):
                blocks = []
                for _ in range(config.num_res_blocks):
                    blocks.append(ResBlock(width, outputs))
                    width = outputs
                last = index == len(widths) - 1
                levels.append(Level(blocks, None if last else nn.Conv2d(width, width, 3, stride=2, padding=1)))
            self.down = nn.ModuleList(levels)
        self.attn = MergingTransformer(width, config.num_att_blocks, heads)
        self.norm_out = group_norm(width)
        self.conv_out = nn.Conv2d(width, config.z_channels, 1)
        if config.dist_head == "layer3":
            self.dist_head = nn.Sequential(
                nn.Linear(width, 4 * width),
                nn.GELU(),
                nn.Linear(4 * width, 4 * width),
                nn.GELU(),
                nn.Linear(4 * width, config.num_classes),
            )
        elif config.dist_head is not None:
            self.dist_head = nn.Sequential(
                nn.Linear(width, 4 * width),
                nn.GELU(),
                nn.LayerNorm(4 * width),
                nn.Linear(4 * width, config.num_classes),
            )
        else:
            self.dist_head = None

    def forward(self, image: Tensor, merged: int) -> dict[str, Tensor]:
        """Images B x 3 x H x W; ``latent`` is B x d x sqrt(K) x sqrt(K) where K = L - ``merged`` is a square."""
        x = self.conv_in(image)
        if not self.isotropic:
            for level in self.down:
                for block in level.block:
                    x = block(x)
                if hasattr(level, "downsample"):
                    x = level.downsample(x)
        x, size, source = self.attn(x.flatten(2).transpose(1, 2), merged)
        side = math.isqrt(x.shape[1] - 1)
        latent = x[:, 1:].transpose(1, 2).reshape(x.shape[0], x.shape[2], side, side)
        latent = self.conv_out(F.silu(self.norm_out(latent)))
        head = None if self.dist_head is None else self.dist_head(x[:, 0])
        return {"latent": latent, "size": size, "source": source, "head": head}


# Quantization


class LookupFreeQuantizer(nn.Module):
    """Sign quantization with the entropy penalty as published: one softmax over all 2^d codes per token."""

    def __init__(self, bits: int, temperature: float = 0.01, epsilon: float = 1e-5):
        super().__init__()
        self.temperature, self.epsilon = temperature, epsilon
        powers = 2 ** torch.arange(bits)
        self.register_buffer("powers", powers, persistent=False)
        codes = ((torch.arange(2**bits)[:, None] & powers) != 0).float() * 2 - 1
        self.register_buffer("codes", codes, persistent=False)

    def forward(self, z: Tensor) -> dict[str, Tensor]:
        """Tokens B x K x d to quantized tokens (straight-through), indices and loss terms."""
        sign = torch.where(z > 0, 1.0, -1.0).to(z.dtype)
        indices = ((z > 0) * self.powers).sum(-1)
        affinity = 2 * z.reshape(-1, z.shape[-1]) @ self.codes.to(z.dtype).t()
        probability = (affinity / self.temperature).softmax(dim=-1)
        log_probability = (affinity / self.temperature).log_softmax(dim=-1)
        sample_entropy = -(probability * log_probability).sum(-1).mean()
        mean = probability.mean(0)
        batch_entropy = -(mean * (mean + self.epsilon).log()).sum()
        return {
            "quantized": z + (sign - z).detach(),
            "indices": indices,
            "sample_entropy": sample_entropy,
            "batch_entropy": batch_entropy,
            "commitment": F.mse_loss(z, sign.detach()),
        }


# Source recovery


class RecoveryBlock(nn.Module):
    """Cross-attention from position queries to the kept tokens."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP(width)
        self.gamma1 = nn.Parameter(torch.full((width,), 1e-5))
        self.gamma2 = nn.Parameter(torch.full((width,), 1e-5))

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        batch, length, width = x.shape
        head_dim = width // self.heads
        q = self.q(self.norm1(x)).reshape(batch, length, self.heads, head_dim).transpose(1, 2)
        k, v = self.kv(tokens).reshape(batch, -1, 2, self.heads, head_dim).permute(2, 0, 3, 1, 4).unbind(0)
        weights = ((q * head_dim**-0.5) @ k.transpose(-2, -1)).softmax(dim=-1)
        x = x + self.gamma1 * self.proj((weights @ v).transpose(1, 2).reshape(batch, length, width))
        return x + self.gamma2 * self.mlp(self.norm2(x))


class SourceRecovery(nn.Module):
    """Predicts, for every full-grid position, which of the K kept tokens it came from."""

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        width = config.rec_embed_dim
        self.rec_embed = nn.Linear(config.z_channels, width)
        self.norm_in = nn.LayerNorm(width)
        self.rec_tokens = nn.Parameter(torch.randn(1, config.grid**2, width) * 0.02)
        self.blocks = nn.ModuleList(RecoveryBlock(width, config.rec_heads) for _ in range(config.rec_layers))
        self.rec_head = nn.Linear(width, width)

    def forward(self, quantized: Tensor) -> Tensor:
        """Quantized tokens B x K x d to logits B x K x L."""
        tokens = self.norm_in(self.rec_embed(quantized))
        queries = self.rec_tokens.expand(quantized.shape[0], -1, -1)
        for block in self.blocks:
            queries = block(queries, tokens)
        return self.rec_head(tokens) @ self.rec_head(queries).transpose(1, 2)


# Decoder


class AdaptiveGroupNorm(nn.Module):
    """GroupNorm whose scale and shift come from the channel statistics of the decoder's input."""

    def __init__(self, code_width: int, channels: int):
        super().__init__()
        self.gn = group_norm(channels, affine=False)
        self.gamma = nn.Linear(code_width, channels)
        self.beta = nn.Linear(code_width, channels)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        z = z.flatten(2)
        scale = self.gamma((z.var(dim=-1) + 1e-6).sqrt())
        shift = self.beta(z.mean(dim=-1))
        return self.gn(x) * scale[..., None, None] + shift[..., None, None]


class Upsample(nn.Module):
    """3x3 convolution to four times the width, then depth to space with block-major channels."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width, 4 * width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        batch, channels, height, width = x.shape
        x = x.reshape(batch, 2, 2, channels // 4, height, width).permute(0, 3, 4, 1, 5, 2)
        return x.reshape(batch, channels // 4, 2 * height, 2 * width)


class DecoderBlock(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP(width, depthwise=True)
        self.ls2 = LayerScale(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x))[0])
        return x + self.ls2(self.mlp(self.norm2(x)))


class GridTransformer(nn.Module):
    """Depthwise position convolution and attention blocks over the full token grid."""

    def __init__(self, width: int, depth: int, heads: int):
        super().__init__()
        self.pos_embed = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.blocks = nn.ModuleList(DecoderBlock(width, heads) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        tokens = x.flatten(2).transpose(1, 2)
        for block in self.blocks:
            tokens = block(tokens)
        return tokens.transpose(1, 2).reshape(x.shape)


class Decoder(nn.Module):
    def __init__(self, config: TokenizerConfig):
        super().__init__()
        widths = [config.ch * m for m in config.ch_mult]
        width = widths[-1]
        self.conv_in = nn.Conv2d(config.z_channels, width, 3, padding=1)
        self.attn = GridTransformer(width, config.num_att_blocks, config.num_heads)
        levels, adaptive = [], []
        for index in reversed(range(len(widths))):
            adaptive.insert(0, AdaptiveGroupNorm(config.z_channels, width))
            blocks = []
            for _ in range(config.num_res_blocks + (config.num_res_extra if index > 0 else 0)):
                blocks.append(ResBlock(width, widths[index]))
                width = widths[index]
            levels.insert(0, Level(blocks, upsample=Upsample(width) if index > 0 else None))
        self.up = nn.ModuleList(levels)
        self.adaptive = nn.ModuleList(adaptive)
        self.norm_out = group_norm(width)
        self.conv_out = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Full tokens as an image, B x d x g x g, to pixels."""
        x = self.attn(self.conv_in(z))
        for level, adaptive in zip(reversed(self.up), reversed(self.adaptive)):
            x = adaptive(x, z)
            for block in level.block:
                x = block(x)
            if hasattr(level, "upsample"):
                x = level.upsample(x)
        return self.conv_out(F.silu(self.norm_out(x)))


# The whole tokenizer


class Tokenizer(nn.Module):
    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quantizer = LookupFreeQuantizer(config.z_channels)
        self.recovery = SourceRecovery(config) if config.rec_embed_dim else None
        self.decoder = Decoder(config)

    def forward(self, image: Tensor, merged: int) -> dict[str, Tensor]:
        """Everything of one pass: encoder outputs, quantizer terms, ``full_tokens`` and ``reconstruction``."""
        out = self.encoder(image, merged)
        out |= self.quantizer(out["latent"].flatten(2).transpose(1, 2))
        source = out["source"][:, 1:, 1:]
        out["full_tokens"] = source.transpose(1, 2) @ out["quantized"]
        grid = self.config.grid
        z = out["full_tokens"].transpose(1, 2).reshape(image.shape[0], -1, grid, grid)
        out["reconstruction"] = self.decoder(z)
        if self.recovery is not None:
            out["source_logits"] = self.recovery(out["quantized"].detach())
        return out


def reconstruction_losses(out: dict[str, Tensor], image: Tensor) -> dict[str, Tensor]:
    """The three terms every variant trains with, and their weighted sum ``loss``."""
    l1 = (image - out["reconstruction"]).abs().mean()
    entropy = out["sample_entropy"] - out["batch_entropy"]
    loss = l1 + 0.1 * entropy + 0.25 * out["commitment"]
    return {"l1": l1, "entropy": entropy, "commitment": out["commitment"], "loss": loss}


def source_loss(out: dict[str, Tensor]) -> Tensor:
    """Cross-entropy of the predicted group of each position against the true one."""
    group = out["source"][:, 1:, 1:].argmax(dim=1)
    return F.cross_entropy(out["source_logits"], group)


def alignment_loss(head: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    """Kullback-Leibler divergence of the softened class-token head from the softened teacher."""
    return (
        F.kl_div((head / temperature).log_softmax(-1), (teacher / temperature).softmax(-1), reduction="batchmean")
        * temperature**2
    )
