"""Pixels -> loss -> weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sciu.pipeline.train.predict import Prediction, Predictor

__all__ = ["Prediction", "Predictor"]


def __getattr__(name: str) -> Any:
    """Import what others predict with only when it is asked for: torch takes a second, and most modules are small."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sciu.pipeline.train import predict

    return getattr(predict, name)
