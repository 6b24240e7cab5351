"""The split into training and validation: whole packs and whole clusters of copies on one side."""

import collections
import difflib
import hashlib
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from sst import files
from sst.errors import UsageError
from sst.files import FEWEST_PACKS

TRAIN, VALIDATION = "train", "validation"


class Split(NamedTuple):
    """The result of `assign`."""

    names: list[str]  # "train" or "validation" per sample, in the order given
    split_by: str  # "folder": whole packs; "file": single sounds with their duplicates


def assign(
    ids: Sequence[str],
    labels: Sequence[str],
    duplicates: Sequence[Hashable],
    train_ratio: float,
    validation_packs: Sequence[str] = (),
) -> Split:
    """Divides samples by group; no group is divided, and the order given does not matter.

    A group is a pack with every pack that shares a sound with it. A pack is the folder around the
    labelled folders (`Machine/machine-kick/x.wav`: `Machine`), or the only folder there is. Where
    this leaves fewer than `FEWEST_PACKS` groups, one group holds most of the samples, or most
    samples belong to a label that only one group has, the groups are the sounds themselves, each
    with its duplicates. Groups go to validation in the order of the sha256 of their first id,
    until about `1 - train_ratio` of the samples are there. The last group of a label stays in
    training, and each label with two groups or more has samples on both sides. From two groups on,
    neither side is ever empty; a single group trains.

    Args:
        ids: `Sample.id`, unique.
        labels: the kind of sound, "" for none.
        duplicates: a value for each sample that only samples of the same sound share.
        train_ratio: about this share trains, between 0 and 1.
        validation_packs: if there are any, these packs validate and all others train. A pack goes
            by the end of its path: `909` or `Machines/909`.

    Raises:
        UsageError: for a ratio that is not between 0 and 1; for a named pack that is none, or that
            shares a sound with one that is not named; if no sound is left to train.
    """
    check_ratio(train_ratio)
    if validation_packs:
        return Split(_assign_named_packs(ids, duplicates, validation_packs), "folder")
    groups, split_by = _groups([files.pack_of(i) for i in ids], ids, duplicates), "folder"
    if not _worth_dividing(groups, labels):
        groups, split_by = _groups(ids, ids, duplicates), "file"
    names = [TRAIN] * len(ids)
    for group in _validation_groups(groups, ids, labels, train_ratio):
        for row in groups[group]:
            names[row] = VALIDATION
    return Split(names, split_by)


def check_ratio(train_ratio: float) -> None:
    """Raises UsageError for a share that leaves one side empty."""
    if not 0.0 < train_ratio < 1.0:
        raise UsageError(f"train_ratio={train_ratio!r} should be between 0 and 1, such as 0.9.")


def _assign_named_packs(
    ids: Sequence[str], duplicates: Sequence[Hashable], validation_packs: Sequence[str]
) -> list[str]:
    """Returns the side of each sample where the packs that validate are named."""
    packs = [files.pack_of(i) for i in ids]
    every = set(packs)
    named = {pack for name in validation_packs for pack in _match_packs(name, every)}
    if named == every:
        raise UsageError("validation_packs names every pack; some have to train.")
    for rows in _groups(packs, ids, duplicates):
        there = {packs[row] for row in rows}
        if there & named and there - named:
            raise UsageError(
                f"validation_packs names {min(there & named)!r}, which shares sounds with "
                f"{min(there - named)!r}: name both or neither."
            )
    return [VALIDATION if pack in named else TRAIN for pack in packs]


def _match_packs(name: str, packs: set[str]) -> list[str]:
    """Returns the packs whose path ends with `name`. Raises UsageError where there are none."""
    found = [pack for pack in packs if f"/{pack}".endswith(f"/{name.strip('/')}")]
    if not found:
        near = difflib.get_close_matches(name, [pack.split("/")[-1] for pack in packs], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise UsageError(f"validation_packs: there is no pack {name!r}{hint}")
    return found


def _groups(
    keys: Sequence[str], ids: Sequence[str], duplicates: Sequence[Hashable]
) -> list[list[int]]:
    """Joins rows by a shared key or a shared sound; orders by the sha256 of the first id."""
    parent = list(range(len(keys)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    first: dict[Hashable, int] = {}
    for row, pair in enumerate(zip(keys, duplicates, strict=True)):
        for kind, value in enumerate(pair):
            other = first.setdefault((kind, value), row)
            parent[root(row)] = root(other)
    members: dict[int, list[int]] = collections.defaultdict(list)
    for row in range(len(keys)):
        members[root(row)].append(row)
    return sorted(members.values(), key=lambda rows: _rank(min(ids[row] for row in rows)))


def _rank(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _worth_dividing(groups: Sequence[Sequence[int]], labels: Sequence[str]) -> bool:
    if len(groups) < FEWEST_PACKS or 2 * max(map(len, groups)) > len(labels):
        return False
    groups_of = _label_groups(groups, labels)
    single = sum(1 for label in labels if label and len(groups_of[label]) == 1)
    return 2 * single <= len(labels)


def _label_groups(groups: Iterable[Sequence[int]], labels: Sequence[str]) -> dict[str, set[int]]:
    groups_of: dict[str, set[int]] = collections.defaultdict(set)
    for group, rows in enumerate(groups):
        for row in rows:
            groups_of[labels[row]].add(group)
    return groups_of


def _validation_groups(
    groups: Sequence[Sequence[int]], ids: Sequence[str], labels: Sequence[str], train_ratio: float
) -> list[int]:
    """Chooses groups that cover the labels, rarest first, then by rank up to the target size."""
    if len(groups) < 2:
        return []
    selection = _Selection(groups, labels)
    target = max(1.0, len(ids) * (1.0 - train_ratio))
    selection.cover_labels(target)
    for group, rows in enumerate(groups):
        if selection.size + len(rows) / 2 <= target and selection.can_spare(group):
            selection.take(group)
    if not selection.chosen:
        selection.take(min(range(len(groups)), key=lambda g: (len(groups[g]), g)))
    return selection.chosen


class _Selection:
    """The groups chosen for validation so far, and the groups left of each label for training."""

    def __init__(self, groups: Sequence[Sequence[int]], labels: Sequence[str]) -> None:
        self._groups, self._of_label = groups, _label_groups(groups, labels)
        self._labels = [{labels[row] for row in rows} - {""} for rows in groups]
        self._left = {label: len(found) for label, found in self._of_label.items() if label}
        self._covered: set[str] = set()
        self.chosen: list[int] = []
        self.size = 0  # rows of the groups chosen

    def take(self, group: int) -> None:
        """Adds a group."""
        self.chosen.append(group)
        self._covered |= self._labels[group]
        self.size += len(self._groups[group])
        for label in self._labels[group]:
            self._left[label] -= 1

    def can_spare(self, group: int) -> bool:
        """Tells whether training keeps a group, and one of each label, without this one."""
        last = len(self.chosen) + 1 == len(self._groups)
        kept = all(self._left[label] > 1 for label in self._labels[group])
        return group not in self.chosen and not last and kept

    def cover_labels(self, target: float) -> None:
        """Takes a group of each label that can be spared, small ones where `target` rows allow."""
        groups = self._groups
        for label in sorted(self._left, key=lambda name: (self._left[name], name)):
            options = [g for g in sorted(self._of_label[label]) if self.can_spare(g)]
            if label in self._covered or not options:
                continue
            small = [g for g in options if self.size + len(groups[g]) <= target]
            if small:
                self.take(max(small, key=lambda g: (len(self._labels[g] - self._covered), -g)))
            else:
                self.take(min(options, key=lambda g: (len(groups[g]), g)))
