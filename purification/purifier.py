"""The purifier: what is believed about every clip, changed once per epoch and never lost."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.purification.clip_state import Action, ClipStates, Rows, Status, count_states
from sciu.purification.creation import create_store, read_meta, require_same
from sciu.purification.errors import PurifierError
from sciu.purification.event import Event
from sciu.purification.history import Entry, clips_of, rows_of_verdict
from sciu.purification.index import Changes, EpochIndex, Ids, IndexHeader, make_targets
from sciu.purification.revision import (
    Pin,
    PinAction,
    check_clips,
    check_seen,
    rows_of_pin,
    rows_of_quarantine,
    rows_of_undo,
)
from sciu.purification.rules.policy import Policy
from sciu.purification.rules.registry import policy_from_json
from sciu.purification.store import layout
from sciu.purification.store.evidence import Evidence
from sciu.purification.store.records import Records
from sciu.purification.store.running_average import average, normalised, running_at
from sciu.purification.store.score_ring import add_and_weigh, mean_probabilities, scores_of, weigh_stored
from sciu.purification.store.store import Store, Transaction


class Purifier:
    """Records scores, decides after each epoch, and says what to decode next."""

    def __init__(self, store: Store) -> None:
        self.store = store
        with store.reading() as transaction:
            self.meta = meta = read_meta(transaction, store.folder)
            self.policy: Policy = policy_from_json(meta.policy)
            self.num_classes: int = meta.num_classes
            self.class_names: tuple[str, ...] = tuple(meta.class_names)
            self.fingerprint: str = meta.fingerprint
            self.clips: int = meta.clips
            self.lines = layout.load_lines(transaction, self.clips)
            self.given = layout.load_states(transaction).given
        self._records: Records | None = None
        self._index: EpochIndex | None = None

    @classmethod
    def create(
        cls,
        path: Path | str,
        *,
        labels: Any,
        num_classes: int,
        policy: Policy,
        paths: Sequence[str] | None = None,
        class_names: Sequence[str] | None = None,
        fingerprint: str = "",
        network: bool = False,
    ) -> Purifier:
        """Create a store in a new folder.

        :param path: the folder, new or empty, on a local disk
        :param labels: a class number for each clip, by clip id; -1 is a clip that is not in the training set
        :param num_classes: how many classes there are
        :param policy: what decides; it is kept in the store
        :param paths: of the clips, for lists and exports; without them a clip is named by its id
        :param class_names: in the order of the class numbers
        :param fingerprint: what identifies the dataset; `open` with another one is refused
        :param network: allow a network file system, on which a crash may lose the store
        """
        return cls(
            create_store(
                Path(path), labels=labels, num_classes=num_classes, policy=policy, paths=paths,
                class_names=class_names, fingerprint=fingerprint, network=network,
            )
        )  # fmt: skip

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        fingerprint: str = "",
        policy: Policy | None = None,
        recording: bool = True,
        read_only: bool = False,
        network: bool = False,
    ) -> Purifier:
        """Open a store: the same state, the same index, byte for byte.

        :param fingerprint: if given, it must be that which the store was created with; so must be the policy
        :param recording: whether `record` and `end_epoch` will be called; one process at a time may
        :param read_only: open it for queries alone; any number of processes may read, pin and undo at the same time
        :param network: allow a network file system
        """
        store = Store(Path(path), read_only=read_only, network=network)
        try:
            if recording and not read_only:
                store.claim_recording()
            purifier = cls(store)
            require_same(purifier.meta, store.folder, fingerprint=fingerprint, policy=policy)
        except BaseException:
            store.close()
            raise
        return purifier

    def __enter__(self) -> Purifier:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store. Scores of an epoch that has not ended are lost."""
        self.store.close()

    @property
    def path(self) -> Path:
        """The folder of the store."""
        return self.store.folder

    @property
    def epoch(self) -> int:
        """The epoch that is open, from 1 on."""
        if self._index is not None:
            return self._index.epoch
        with self.store.reading() as transaction:
            return transaction.head.epoch

    # ---- the loop: index, record, end_epoch

    def index(self) -> EpochIndex:
        """Return what to decode in the open epoch."""
        if self._index is None:
            with self.store.reading() as transaction:
                self._index = self._derive(transaction, self.epoch)
        return self._index

    def record(self, ids: Any, weights: Any, probs: Any) -> None:
        """Record the weights [B] and probabilities [B, K] of some clips; if a clip is recorded twice, the last counts.

        In memory only: all are stored at once when the epoch ends.
        Numpy arrays or tensors on the CPU; the weights are ones for a network without a weight head.
        """
        self._check_recording()
        if self._records is None:
            self._records = Records(self.clips, self.num_classes)
            self._allowed = np.zeros(self.clips, np.bool_)
            self._allowed[self.index().ids] = True
        self._records.put(ids, weights, probs, self._allowed, self.epoch)

    def end_epoch(self) -> EpochIndex:
        """Store the scores, decide, and open the next epoch, in one transaction; return its index.

        If it fails, nothing has changed: the scores are kept, and it can be called again.
        """
        self._check_recording()
        epoch = self.epoch
        if self._records is None or not self._records.seen.any():
            raise PurifierError(
                f"epoch {epoch} must have scores to end, but nothing was recorded. Call `record` first."
            )
        with self._changing() as (transaction, states):
            if transaction.head.epoch != epoch:
                raise PurifierError(
                    f"epoch {epoch} of '{self.path}' was ended by another process. Open the store again."
                )
            evidence = add_and_weigh(
                transaction, states, self._records, epoch, window=self.policy.window, weighted=self.policy.weighted
            )
            if self.policy.averages:
                running_KN = average(transaction, self._records, epoch, clips=self.clips, classes=self.num_classes)
                opened = layout.load_event(transaction, layout.opening(transaction, epoch))
                evidence = replace(evidence, running_KN=running_KN, before=opened.thresholds)
            verdict = self.policy.decide(evidence, states, epoch)
            rows = rows_of_verdict(verdict, verdict.grounds or self.policy.grounds(evidence, states), evidence, states)
            states.apply(rows)
            event = Event.now(
                "epoch", epoch=epoch, scored=int(self._records.seen.sum()), thresholds=verdict.thresholds,
                spared=self._named(verdict.spared), transition=verdict.transition,
            )  # fmt: skip
            event = layout.append_event(transaction, event, rows)
            layout.open_epoch(transaction, epoch + 1, event.number)
        self._records = None
        self._index = self._make_index(epoch + 1, event, rows, states, evidence.running_KN)
        return self._index

    def _check_recording(self) -> None:
        if not self.store.records:
            raise PurifierError(f"'{self.path}' was not opened for recording, or was closed. Open it to record.")

    def index_at(self, epoch: int) -> EpochIndex:
        """Return the index of any epoch that was ever opened, derived from the history."""
        with self.store.reading() as transaction:
            self._require_opened(transaction, epoch)
            return self._derive(transaction, epoch)

    def states_at(self, epoch: int) -> ClipStates:
        """Return the states of all clips when an epoch was opened."""
        with self.store.reading() as transaction:
            self._require_opened(transaction, epoch)
            return self._states_at(transaction, layout.opening(transaction, epoch))

    def indexes(self) -> Iterator[EpochIndex]:
        """Yield the index of every epoch, from the first, in one pass through the history."""
        with self.store.reading() as transaction:
            head = transaction.head
            past = ClipStates.begin(layout.load_states(transaction).given)
            opened = {layout.opening(transaction, e): e for e in range(1, head.epoch + 1)}
            for number in range(head.events):
                rows = layout.load_rows(transaction, number)
                past.apply(rows)
                if number in opened:
                    event = layout.load_event(transaction, number)
                    running_KN = self._running(transaction, opened[number])
                    yield self._make_index(opened[number], event, rows, past.copy(), running_KN)

    def _derive(self, transaction: Transaction, epoch: int) -> EpochIndex:
        number = layout.opening(transaction, epoch)
        states = self._states_at(transaction, number)
        event, rows = layout.load_event(transaction, number), layout.load_rows(transaction, number)
        return self._make_index(epoch, event, rows, states, self._running(transaction, epoch))

    def _running(self, transaction: Transaction, epoch: int) -> NDArray[np.float16] | None:
        """Return the running averages as of the opening of an epoch, None if the policy keeps none."""
        if not self.policy.averages:
            return None
        return running_at(transaction, epoch, clips=self.clips, classes=self.num_classes)

    def _states_at(self, transaction: Transaction, number: int) -> ClipStates:
        return layout.replay(transaction, layout.load_states(transaction), number + 1)

    def states_before(self, event: int) -> ClipStates:
        """Return the labels and status of all clips before an event."""
        with self.store.reading() as transaction:
            return layout.replay(transaction, layout.load_states(transaction), event)

    @staticmethod
    def _require_opened(transaction: Transaction, epoch: int) -> None:
        last = transaction.head.epoch
        if not 1 <= operator.index(epoch) <= last:
            raise PurifierError(f"`epoch` must be from 1 to {last}, the open one, but is {epoch}.")

    def _make_index(
        self, epoch: int, event: Event, rows: Rows, states: ClipStates, running_KN: NDArray[np.float16] | None
    ) -> EpochIndex:
        training = states.training
        score_only = np.zeros_like(training)
        if self.policy.scores_pruned(epoch):
            score_only = states.ours & states.has(Status.PRUNED) & ~states.has(Status.QUARANTINED | Status.PIN_DROP)
        ids = np.flatnonzero(training | score_only)
        changes = Changes(*(clips_of(rows, action) for action in (Action.PRUNE, Action.CORRECT, Action.RESTORE)))
        header = IndexHeader(
            epoch=epoch,
            generation=event.number + 1,
            counts={
                **count_states(states), "listed": len(ids), "score_only": int(score_only.sum()),
                "newly_pruned": len(changes.pruned), "newly_corrected": len(changes.corrected),
                "restored": len(changes.restored),
            },
            policy=self.meta.policy,
            thresholds=event.thresholds,
            spared=event.spared,
        )  # fmt: skip
        labels = np.where(training, states.label, np.int16(-1))
        targets = None
        if running_KN is not None:
            pull = event.thresholds.get("pull", self.policy.first_pull)
            targets = make_targets(running_KN, np.where(training & ~states.has(Status.PIN_LABEL), pull, 0))
        return EpochIndex(epoch, ids, labels, header, changes, self.lines, targets)

    def _named(self, spared: dict[str, int]) -> dict[str, int]:
        return {name if name == "all" else self.class_names[int(name)]: count for name, count in spared.items()}

    # ---- users' decisions, and files that cannot be read

    def pin(self, clip: int, action: PinAction, *, label: int | None = None, who: str = "", why: str = "") -> None:
        """Pin a clip: `keep` it, `drop` it, fix its `label`, or `free` it again. From the next epoch on."""
        self.review([Pin(clip=clip, action=action, label=label, who=who, why=why)])

    def review(self, pins: Sequence[Pin]) -> None:
        """Apply many pins in one transaction; an invalid one stops all."""
        with self._changing() as (transaction, states):
            for pin in pins:
                check_seen(transaction, pin)
                rows = rows_of_pin(pin, states, self.num_classes)
                self._happened(transaction, states, rows, Event.now("pin", action=pin.action, who=pin.who, why=pin.why))

    def quarantine(self, clips: Sequence[int], why: str, *, who: str = "") -> Ids:
        """Quarantine clips whose files cannot be read, from the next epoch on; return those that changed."""
        with self._changing() as (transaction, states):
            rows = rows_of_quarantine(clips, states, into=True)
            self._happened(transaction, states, rows, Event.now("quarantine", who=who, why=why))
        return rows["clip"].astype(np.int64)

    def quarantine_each(self, faults: Mapping[int, str]) -> None:
        """Quarantine clips, each for its own reason; an event per reason."""
        for why in dict.fromkeys(faults.values()):
            self.quarantine([clip for clip, reason in faults.items() if reason == why], why)

    def release(self, clips: Sequence[int], why: str = "", *, who: str = "") -> Ids:
        """Release clips from quarantine, from the next epoch on; return those that changed."""
        with self._changing() as (transaction, states):
            rows = rows_of_quarantine(clips, states, into=False)
            self._happened(transaction, states, rows, Event.now("release", who=who, why=why))
        return rows["clip"].astype(np.int64)

    def undo(
        self, *, clip: int | None = None, epoch: int | None = None, event: int | None = None,
        who: str = "", why: str = "",
    ) -> Ids:  # fmt: skip
        """Undo the last change of a clip, what the end of an epoch changed, or what it changed of one clip.

        Undoing an epoch leaves alone the clips that have changed since. Undoing a clip twice undoes the change before,
        too; with `event`, its last change must be that one. An undone clip is judged by a whole window of new scores,
        perhaps with the same result: to make the undo last, use a pin. Returns the clips that were changed.
        """
        with self._changing() as (transaction, states):
            rows = rows_of_undo(transaction, states, clip, epoch, event)
            self._happened(transaction, states, rows, Event.now("undo", undone_epoch=epoch, who=who, why=why))
        return rows["clip"].astype(np.int64)

    @contextmanager
    def _changing(self) -> Iterator[tuple[Transaction, ClipStates]]:
        """Load the states, and write what has changed when the block ends without an error."""
        with self.store.writing() as transaction:
            states = layout.load_states(transaction)
            before = states.copy()
            yield transaction, states
            layout.save_states(transaction, states, before)

    def _happened(self, transaction: Transaction, states: ClipStates, rows: Rows, event: Event) -> None:
        """Apply rows outside an epoch's end; without rows there is no event."""
        if len(rows):
            states.apply(rows)
            layout.append_event(transaction, replace(event, epoch=transaction.head.epoch), rows)

    # ---- reading

    def states(self) -> ClipStates:
        """Return the current states, pins included, as the next index will have them."""
        with self.store.reading() as transaction:
            return layout.load_states(transaction)

    def evidence(self, *, against_given: bool = False) -> Evidence:
        """Return the evidence of the stored scores, pruned clips included, for the current labels or those given."""
        with self.store.reading() as transaction:
            states = layout.load_states(transaction)
            if against_given:
                states.label = states.given
            return self.weigh(transaction, states)

    def weigh(self, transaction: Transaction, states: ClipStates) -> Evidence:
        """Return the evidence of the stored scores for the labels in `states`."""
        evidence = weigh_stored(
            transaction, states, classes=self.num_classes, window=self.policy.window, weighted=self.policy.weighted
        )
        return replace(evidence, running_KN=self._running(transaction, self.epoch))

    def mean_probabilities(self) -> NDArray[np.float32]:
        """Return each clip's mean stored probabilities, or its running average, [K, N]; NaN where never scored."""
        with self.store.reading() as transaction:
            if (running_KN := self._running(transaction, self.epoch)) is not None:
                return normalised(running_KN)
            states = layout.load_states(transaction)
            return mean_probabilities(transaction, states, classes=self.num_classes, window=self.policy.window)

    def scores(self, clip: int) -> list[tuple[int, float, list[float]]]:
        """Return a clip's last scores, oldest first: epoch, weight, probabilities."""
        with self.store.reading() as transaction:
            states = layout.load_states(transaction)
            check_clips([clip], states)
            return scores_of(transaction, states, clip, classes=self.num_classes, window=self.policy.window)

    def events(self, first: int = 0) -> list[Event]:
        """Return all events, or those from `first` on, in order, without their rows."""
        with self.store.reading() as transaction:
            count = transaction.head.events
            return [layout.load_event(transaction, number) for number in range(first, count)]

    def rows(self, event: int) -> Rows:
        """Return the rows of an event."""
        with self.store.reading() as transaction:
            return layout.load_rows(transaction, event)

    def history(self, clip: int) -> list[Entry]:
        """Return all that happened to a clip, in order."""
        found = ((event, self.rows(event.number)) for event in self.events() if event.rows)
        return [Entry(event, row) for event, rows in found for row in rows if row["clip"] == clip]
