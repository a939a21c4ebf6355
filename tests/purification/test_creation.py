"""A store of another version is read; to go on with it as if it were of this one would decide otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from noisy_clips import begin, one_epoch

from sciu.purification import Auto, Purifier, PurifierError

EARLIER = {"method": "auto", "window": 3, "find_after": 2, "correct_after": 8, "gain": 5.0, "pull": 3.0, "sure": 0.9}


def test_a_store_whose_method_decided_otherwise_is_read_but_not_continued(tmp_path: Path) -> None:
    """As that of method auto in early versions."""
    with begin(tmp_path, policy=Auto(act_after=2)) as purifier, purifier.store.writing() as transaction:
        transaction.put_json("meta", {**transaction.get_json("meta"), "policy": EARLIER})
    with Purifier.open(tmp_path) as purifier:
        assert one_epoch(purifier).header.policy == EARLIER, "an index is the same bytes, whatever version derives it"
        purifier.pin(3, "keep")
    with pytest.raises(PurifierError, match="it has correct_after, find_after, gain, which this version has not"):
        Purifier.open(tmp_path, policy=Auto(act_after=2))
    with pytest.raises(PurifierError, match="policy's `method`: here it is 'sciu', in the store 'auto'"):
        Purifier.open(tmp_path, policy=begin(tmp_path / "other").policy)


def test_what_an_earlier_version_did_not_store_has_its_default(tmp_path: Path) -> None:
    with begin(tmp_path, policy=Auto(act_after=2)) as purifier, purifier.store.writing() as transaction:
        meta = transaction.get_json("meta")
        del meta["policy"]["revive_every"]
        transaction.put_json("meta", meta)
    Purifier.open(tmp_path, policy=Auto(act_after=2)).close()
    with pytest.raises(PurifierError, match="policy's `revive_every`: here it is 3, in the store 0"):
        Purifier.open(tmp_path, policy=Auto(act_after=2, revive_every=3))
