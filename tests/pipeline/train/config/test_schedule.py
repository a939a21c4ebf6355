"""Learning rates follow their shape, and depend on the position alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.errors import SettingError
from sciu.pipeline.train.config.schedule import SHAPES, Schedule


@given(st.sampled_from(list(SHAPES)), st.integers(1, 300), st.floats(0, 0.99), st.floats(0, 1))
def test_rates_rise_to_the_peak_and_never_above(shape: str, epochs: int, warm: float, where: float) -> None:
    schedule = Schedule(peak=0.1, epochs=epochs, shape=shape, warmup=warm * epochs)
    assert 0 <= schedule.lr(where * epochs) <= 0.1 + 1e-12
    assert schedule.lr(schedule.warmup) == pytest.approx(0.1)


@given(st.sampled_from(list(SHAPES)), st.floats(0, 100), st.floats(0, 100))
def test_rates_only_fall_after_the_warmup(shape: str, one: float, other: float) -> None:
    schedule = Schedule(peak=1.0, epochs=100, shape=shape)
    assert schedule.lr(max(one, other)) <= schedule.lr(min(one, other)) + 1e-12


def test_values() -> None:
    cosine = Schedule(peak=2.0, epochs=10, warmup=2)
    assert [cosine.lr(at) for at in (0, 1, 2, 6, 10, 11)] == pytest.approx([0, 1, 2, 1, 0, 0])
    step = Schedule(peak=1.0, epochs=100, shape="step", every=40)
    assert [step.lr(at) for at in (0, 39.9, 40, 80)] == pytest.approx([1, 1, 0.1, 0.01])
    smooth = Schedule(peak=1.0, epochs=100, shape="exponential", every=40)
    assert smooth.lr(20) == pytest.approx(0.1**0.5)
    assert Schedule(peak=1.0, epochs=5, shape="constant").lr(4) == 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"peak": 0.0}, "lr must be above 0, but is 0"),
        ({"shape": "cosin"}, "schedule must be one of .* but is 'cosin'"),
        ({"warmup": 10.0}, "lr_warmup must be 0 to below 10 epochs, but is 10"),
        ({"decay": 0.0}, "decay must be above 0"),
        ({"every": 0.0}, "decay_every must be above 0"),
        ({"epochs": 0}, "epochs must be at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Schedule(**{"peak": 0.1, "epochs": 10, **setting})  # type: ignore[arg-type]
