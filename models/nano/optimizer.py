"""Muon for the matrices, AdamW for the rest.

Muon (Jordan et al., 2024) replaces a matrix's momentum by its nearest orthogonal matrix; scaled by
``0.2 * sqrt(max(rows, columns))`` (Liu et al., arXiv 2502.16982) its steps are as large as AdamW's,
so both share one learning rate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5


def orthogonalized(matrices: Tensor) -> Tensor:
    """The nearest orthogonal matrices ``[n, rows, columns]``, roughly, by Newton-Schulz in bf16."""
    a, b, c = NEWTON_SCHULZ
    x = matrices.bfloat16()
    wide = x if x.shape[1] <= x.shape[2] else x.mT
    wide = wide / (wide.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = wide @ wide.mT
        wide = torch.baddbmm(wide, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide if x.shape[1] <= x.shape[2] else wide.mT


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised, with decoupled weight decay; for two-dimensional weights."""

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.02,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Takes one step; matrices of one shape together, which is faster."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    alike[p.shape].append(p)
            for shape, params in alike.items():
                updates = orthogonalized(torch.stack([self.direction(p, group) for p in params]))
                for p, update in zip(params, updates, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(update.to(p.dtype), alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)

    def direction(self, p: nn.Parameter, group: dict[str, Any]) -> Tensor:
        """Nesterov's momentum of one matrix, brought up to date, in bf16."""
        momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
        momentum.lerp_(p.grad, 1 - group["momentum"])
        return p.grad.lerp(momentum, group["momentum"]).bfloat16()


def optimizers(model: nn.Module, lr: float) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices; AdamW for embeddings, stem, heads, norms and biases."""
    matrices, others, vectors = [], [], []
    for name, p in model.named_parameters():
        if p.ndim == 2 and ("layer" in name or "projector" in name):
            matrices.append(p)
        else:
            (others if p.ndim > 1 else vectors).append(p)
    groups = [{"params": others, "weight_decay": 0.02}, {"params": vectors, "weight_decay": 0.0}]
    return [Muon(matrices, lr), torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98))]
