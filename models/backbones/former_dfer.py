"""Former-DFER (Zhao and Liu, 2021): a spatial transformer inside ResNet-18, then a temporal one over the frames.

The stem to stage 3 of ResNet-18 turns a frame into 7 x 7 tokens. One transformer block attends over them; stage 4 and
an average give 512 features. Three blocks over the frames and a class token give the embedding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet18

from sciu.models.backbones.contract import check_clip
from sciu.models.errors import ModelError

SIZE, FRAMES = 112, 16
_TOKENS, _TOKEN_WIDTH, _WIDTH = 49, 256, 512


class FormerDfer(nn.Module):
    """Clip [B, T <= 16, 3, 112, 112] -> embedding [B, 512]."""

    embedding_size = _WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.spatial = SpatialFormer().to(memory_format=torch.channels_last)
        self.temporal = TemporalFormer()

    def forward(self, clip_BTCHW: Tensor) -> Tensor:
        """Return the class token after the temporal transformer."""
        check_clip(clip_BTCHW, smallest=1)
        B, T, _, H, W = clip_BTCHW.shape
        if (H, W) != (SIZE, SIZE) or T > FRAMES:
            raise ModelError(
                f"clips of former_dfer must be at most {FRAMES} frames of {SIZE} x {SIZE}, but are {T} of {H} x {W}."
            )
        frames = clip_BTCHW.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        embedding_BD: Tensor = self.temporal(self.spatial(frames).view(B, T, _WIDTH))
        return embedding_BD


class SpatialFormer(nn.Module):
    """Frames [N, 3, 112, 112] -> features [N, 512]."""

    def __init__(self) -> None:
        super().__init__()
        resnet = resnet18()
        self.stem = nn.Sequential(resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool)
        self.stages = nn.Sequential(resnet.layer1, resnet.layer2, resnet.layer3)
        self.position = nn.Parameter(torch.randn(1, _TOKENS, _TOKEN_WIDTH))
        self.block = Block(_TOKEN_WIDTH, heads=8, head_width=32, hidden=512)
        self.last_stage = resnet.layer4

    def forward(self, frames_NCHW: Tensor) -> Tensor:
        """Return stage 4 averaged over the frame."""
        map_NDHW = self.stages(self.stem(frames_NCHW))
        tokens_NLD = self.block(map_NDHW.flatten(2).transpose(1, 2) + self.position)
        map_NDHW = tokens_NLD.transpose(1, 2).reshape(map_NDHW.shape).contiguous(memory_format=torch.channels_last)
        features_ND: Tensor = self.last_stage(map_NDHW).mean(dim=(2, 3))
        return features_ND


class TemporalFormer(nn.Module):
    """Features [B, T, 512] -> embedding [B, 512]."""

    def __init__(self) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.randn(1, 1, _WIDTH))
        self.position = nn.Parameter(torch.randn(1, FRAMES + 1, _WIDTH))
        self.blocks = nn.Sequential(*(Block(_WIDTH, heads=8, head_width=64, hidden=1024) for _ in range(3)))

    def forward(self, features_BTD: Tensor) -> Tensor:
        """Put the class token before the frames, and return its last state."""
        B, T, _ = features_BTD.shape
        tokens = torch.cat([self.class_token.expand(B, -1, -1), features_BTD], dim=1)
        states: Tensor = self.blocks(tokens + self.position[:, : T + 1])
        return states[:, 0]


class Block(nn.Module):
    """A transformer block with normalisation first; queries, keys and values without bias."""

    def __init__(self, width: int, *, heads: int, head_width: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * heads * head_width, bias=False)
        self.out = nn.Linear(heads * head_width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, width))

    def forward(self, tokens_BLD: Tensor) -> Tensor:
        """Apply attention, then the MLP, each with a residual connection."""
        tokens_BLD = tokens_BLD + self._attend(self.norm_attention(tokens_BLD))
        return tokens_BLD + self.mlp(self.norm_mlp(tokens_BLD))

    def _attend(self, tokens_BLD: Tensor) -> Tensor:
        B, L, _ = tokens_BLD.shape
        q, k, v = self.qkv(tokens_BLD).view(B, L, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen_BHLd = functional.scaled_dot_product_attention(q, k, v)
        return self.out(seen_BHLd.transpose(1, 2).reshape(B, L, -1))
