"""What is in a data folder, and what is odd about it, before anybody trains with it.

Every photo is read once; only a few numbers of each are kept, so a folder of any
size can be checked.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from defect.datasets import mvtec
from defect.datasets.samples import (
    GOOD,
    GOOD_NAMES,
    DataError,
    Sample,
    check_mask_shape,
    list_folders,
    list_images,
    read_mask,
    short_name,
)
from defect.imaging.archives import ArchiveError, PhotoFile, list_photos
from defect.imaging.bit_depth import MANY_TIMES, guess_bit_depth
from defect.imaging.errors import ImageError
from defect.imaging.photo import Photo, network_input
from defect.inspection import Message

LISTED = 5
"""Names given in one sentence."""
FEW_PHOTOS = 10
STRETCH = 1.15
"""Aspect ratios that differ by this factor."""
FLAT = 2.0
"""Standard deviation of grey levels under which a photo shows nothing."""
TINY = 32
"""Pixels a side under which a photo shows too little."""
_GAP, _GAP_SPREADS = 15.0, 3.0
"""Grey levels, and standard deviations within, that part the mean colours of two products."""
_LEAST_PHOTOS = 5
"""Among fewer, none can be told to show another product."""


class Source(Protocol):
    """A photo not yet opened."""

    @property
    def name(self) -> str: ...
    def read(self, bit_depth: int | None = None) -> Photo:
        """Raises `ImageError` where it cannot be read."""
        ...


@dataclass(frozen=True)
class Group:
    """Photos that are used alike."""

    name: str
    """Such as `bottle/train/good`, a class, or the folder itself."""
    photos: int
    masks: int = 0


@dataclass(frozen=True)
class DataCheck:
    """What is in a folder."""

    layout: str
    """`category`, `categories`, `classes`, `photos` or `nothing`."""
    groups: tuple[Group, ...]
    sizes: dict[str, int]
    """`width×height` → how many photos have it."""
    depths: dict[int, int]
    """Bits a channel → how many photos have it."""
    problems: tuple[Message, ...]
    """What should be mended or looked at first."""
    notes: tuple[Message, ...] = ()
    """What is worth knowing and may be meant so."""

    def document(self) -> dict[str, Any]:
        """For JSON: problems and notes as `key` and `text`."""
        said = {
            name: [{"key": message.key, "text": str(message)} for message in messages]
            for name, messages in (("problems", self.problems), ("notes", self.notes))
        }
        groups = [asdict(group) for group in self.groups]
        return {**asdict(self), **said, "groups": groups}


@dataclass(frozen=True)
class _Seen:
    """What is kept of a photo."""

    name: str
    digest: bytes
    size: tuple[int, int]
    """Height and width."""
    depth: int
    maximum: int | None
    colour: np.ndarray
    """Mean red, green and blue."""
    flat: bool


class _Findings:
    """Collects what was seen of photos, and what is said of them."""

    def __init__(self, bit_depth: int | None = None) -> None:
        self.bit_depth = bit_depth
        self.seen: list[_Seen] = []
        self.problems: list[Message] = []
        self.notes: list[Message] = []
        self._unreadable: list[str] = []
        self._first_error: Message | str = ""
        self._damaged: list[str] = []

    def look(self, sources: Iterable[Source]) -> list[_Seen]:
        """Reads photos; what cannot be read is noted."""
        found = []
        for source in sources:
            try:
                photo = source.read(self.bit_depth)
            except ImageError as error:
                self._unreadable.append(source.name)
                self._first_error = self._first_error or error.args[0]
                continue
            if photo.damaged:
                self._damaged.append(source.name)
            found.append(_seen(source.name, photo))
        self.seen += found
        return found

    def problem(self, key: str, template: str, names: Sequence[str] = (), **values: Any) -> None:
        if names:
            values |= {"count": len(names), "names": listed(names)}
        self.problems.append(Message(key, template, **values))

    def note(self, key: str, template: str, **values: Any) -> None:
        self.notes.append(Message(key, template, **values))

    def finish(self, layout: str, groups: Sequence[Group]) -> DataCheck:
        if self._unreadable:
            self.problem(
                "check_unreadable",
                "Not readable ({count}): {names}. The first: {reason}",
                self._unreadable,
                reason=self._first_error,
            )
        if self._damaged:
            self.problem(
                "check_damaged",
                "Partly damaged ({count}): {names}. Restore them, or leave them out.",
                self._damaged,
            )
        sizes = Counter(f"{seen.size[1]}×{seen.size[0]}" for seen in self.seen)
        depths = Counter(seen.depth for seen in self.seen)
        return DataCheck(
            layout,
            tuple(groups),
            dict(sizes.most_common()),
            dict(sorted(depths.items())),
            tuple(self.problems),
            tuple(self.notes),
        )


def check_folder(folder: Path, categories: Sequence[str] = ()) -> DataCheck:
    """Reads a data folder: one or several categories in a layout of `mvtec`, folders of classes, or
    a folder of photos.

    Args:
        categories: only these, of a folder of categories.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(
            Message("check_no_folder", 'There is no folder "{folder}".', folder=folder.name)
        )
    root = folder.resolve()
    findings = _Findings()
    if not categories and _is_category(root):
        groups = _check_category(root.parent, root.name, findings)
        return findings.finish("category", groups)
    if found := list(categories) or mvtec.list_categories(root):
        groups = [g for name in found for g in _check_category(root, name, findings)]
        return findings.finish("categories", groups)
    classes = [path for path in list_folders(root) if list_images(path)]
    if len(classes) > 1 and not list_images(root):
        groups = _check_classes(root, classes, findings)
        return findings.finish("classes", groups)
    return _check_loose(root, findings)


def check_photos(photos: Iterable[Source], bit_depth: int | None = None) -> tuple[Message, ...]:
    """The problems of good photos of one product, such as somebody teaches from.

    Args:
        bit_depth: of the camera, where somebody knows.
    """
    findings = _Findings(bit_depth)
    _compare(findings.look(photos), findings)
    return findings.finish("photos", ()).problems


def listed(names: Sequence[str], most: int = LISTED) -> str:
    """`a, b, c and 4 more`"""
    text = ", ".join(names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"


def _is_category(root: Path) -> bool:
    try:
        return bool(mvtec.train_samples(root.parent, root.name))
    except DataError:
        return False


def _check_category(root: Path, name: str, findings: _Findings) -> list[Group]:
    """Training and test photos of one category with their masks."""
    train = mvtec.train_samples(root, name)
    test = mvtec.test_samples(root, name)
    taught = findings.look(_sources(root, train))
    tested = findings.look(_sources(root, [s for s in test if not s.defective]))
    defective = [sample for sample in test if sample.defective]
    others = findings.look(_sources(root, defective))
    _compare([*taught, *tested], findings, name)
    _check_copies(taught, [*tested, *others], findings)
    _check_masks(root, name, defective, findings)
    if len(taught) < FEW_PHOTOS:
        text = "{category}: only {count} training photos; expect wrong verdicts."
        findings.note("check_few_photos", text, category=name, count=len(taught))
    if not test:
        text = "{category}: no test photos, so nothing can be measured."
        findings.note("check_no_test", text, category=name)
    kinds = Counter(sample.kind for sample in test)
    masks = Counter(sample.kind for sample in test if sample.mask)
    tests = [Group(f"{name}/test/{kind}", count, masks[kind]) for kind, count in kinds.items()]
    return [Group(f"{name}/train/{GOOD}", len(train)), *tests]


def _sources(root: Path, samples: Iterable[Sample]) -> list[PhotoFile]:
    return [PhotoFile(s.path, s.path.relative_to(root).as_posix()) for s in samples]


def _check_masks(root: Path, name: str, defective: list[Sample], findings: _Findings) -> None:
    unmatched = [path.relative_to(root).as_posix() for path in mvtec.unmatched_masks(root, name)]
    if unmatched:
        findings.problem(
            "check_masks_without_photos",
            "Masks without a photo ({count}): {names}. Name each like its photo, such as "
            "000_mask.png for 000.png.",
            unmatched,
        )
    without = [short_name(sample.path) for sample in defective if sample.mask is None]
    if without and len(without) < len(defective):
        findings.problem(
            "check_photos_without_masks",
            "Defective photos without a mask ({count}): {names}. Pixel figures leave them out.",
            without,
        )
    elif without:
        text = "{category}: no masks, so only image-level figures."
        findings.note("check_no_masks", text, category=name)
    for sample in defective:
        if sample.mask is None:
            continue
        try:
            mask = read_mask(sample.mask)
            check_mask_shape(mask, sample)
        except DataError as error:
            findings.problems.append(error.args[0])
            continue
        if not mask.any():
            text = "The mask {name} is empty: it marks nothing."
            findings.problem("check_mask_empty", text, name=short_name(sample.mask))


def _check_copies(train: list[_Seen], test: list[_Seen], findings: _Findings) -> None:
    known = {seen.digest: seen.name for seen in train}
    shared = [f"{s.name} = {known[s.digest]}" for s in test if s.digest in known]
    if shared:
        findings.problem(
            "check_copies_across",
            "The same photo in train and test ({count}): {names}. Figures would be too good: take "
            "it out of one.",
            shared,
        )


def _check_classes(root: Path, classes: Sequence[Path], findings: _Findings) -> list[Group]:
    seen: list[_Seen] = []
    groups = []
    for folder in classes:
        photos = list_images(folder)
        groups.append(Group(folder.name, len(photos)))
        seen += findings.look(_sources(root, [Sample(path, folder.name) for path in photos]))
    _check_shapes(seen, findings)
    _check_depths(seen, findings)
    _check_same(seen, findings)
    if {folder.name.lower() for folder in classes} & {"train", "test"}:
        findings.problem(
            "check_layout",
            "There is train/ or test/ but no train/good with photos in it (or {names}): the folder "
            "is read as classes.",
            GOOD_NAMES[1:],
        )
    return groups


def _check_loose(root: Path, findings: _Findings) -> DataCheck:
    try:
        listing = list_photos([root])
    except ArchiveError as error:
        findings.problems.append(error.args[0])
        return findings.finish("nothing", ())
    if listing.unread:
        text = "Pictures of a format that is not read ({count}): {names}. Save them as PNG or JPEG."
        findings.problem("check_not_read", text, listing.unread)
    _compare(findings.look(listing.photos), findings)
    if not listing.photos:
        findings.problem("check_nothing", "There are no photos in this folder.")
    groups = [Group(root.name, len(listing.photos))] if listing.photos else []
    return findings.finish("photos" if groups else "nothing", groups)


def _compare(seen: list[_Seen], findings: _Findings, category: str = "") -> None:
    """Good photos of one product with one another."""
    _check_shapes(seen, findings)
    _check_depths(seen, findings)
    _check_same(seen, findings)
    # What is nearly black only for its bit depth was named for that.
    shallow = guess_bit_depth(each.maximum for each in seen) < 16
    if flat := [e.name for e in seen if e.flat and not (shallow and e.maximum is not None)]:
        text = "Photos that show nothing, of one colour ({count}): {names}."
        findings.problem("check_flat", text, flat)
    if tiny := [each.name for each in seen if min(each.size) < TINY]:
        text = "Photos of fewer than {side} pixels a side ({count}): {names}."
        findings.problem("check_tiny", text, tiny, side=TINY)
    if other := _other_product([each for each in seen if not each.flat]):
        findings.problem(
            "check_mixed",
            "By their mean colour these look like another product, or another light ({count} of "
            "{total}): {names}. One detector is for one product.",
            other,
            total=len(seen),
        )


def _check_shapes(seen: list[_Seen], findings: _Findings) -> None:
    if len({each.size for each in seen}) < 2:
        return
    ratios = Counter(each.size[1] / each.size[0] for each in seen)
    usual = ratios.most_common(1)[0][0]
    others = [
        f"{each.name} ({each.size[1]}×{each.size[0]})"
        for each in seen
        if max(each.size[1] / each.size[0] / usual, usual * each.size[0] / each.size[1]) > STRETCH
    ]
    if others:
        findings.problem(
            "check_shapes",
            "Another shape than most ({count}): {names}. They are stretched to the usual one.",
            others,
        )
    else:
        text = "The photos have {count} sizes of about the same shape."
        findings.note("check_sizes", text, count=len({each.size for each in seen}))


def _check_depths(seen: list[_Seen], findings: _Findings) -> None:
    undeclared = [each for each in seen if each.maximum is not None]
    maxima = [each.maximum or 0 for each in undeclared]
    depth = guess_bit_depth(maxima)
    if depth < 16 and findings.bit_depth is None:
        findings.problem(
            "check_bit_depth",
            "16-bit files with values of {depth} bits ({count}): {names}. They are nearly black "
            "unless read so: `teach` recognises it, `inspect` takes --bit-depth {depth}; to train "
            "an autoencoder, scale them first.",
            [each.name for each in undeclared],
            depth=depth,
        )
    if maxima and max(maxima) > MANY_TIMES * max(min(maxima), 1):
        dark, bright = (pick(undeclared, key=lambda s: s.maximum or 0) for pick in (min, max))
        findings.problem(
            "check_depths_differ",
            "The highest values of 16-bit photos differ: {lowest} in {dark}, {highest} in "
            "{bright}. Are they all of one camera and bit depth?",
            lowest=dark.maximum,
            dark=dark.name,
            highest=bright.maximum,
            bright=bright.name,
        )
    if len({each.depth for each in seen}) > 1:
        counts = Counter(each.depth for each in seen)
        text = "Photos of different bit depths: {depths}."
        counted = ", ".join(f"{count} of {depth} bits" for depth, count in sorted(counts.items()))
        findings.problem("check_depths", text, depths=counted)


def _check_same(seen: list[_Seen], findings: _Findings) -> None:
    copies: dict[bytes, list[str]] = defaultdict(list)
    for each in seen:
        copies[each.digest].append(each.name)
    same = [" = ".join(names) for names in copies.values() if len(names) > 1]
    if same:
        text = "The same photo more than once ({count}): {names}. Copies teach nothing new."
        findings.problem("check_copies", text, same)


def _other_product(seen: Sequence[_Seen]) -> list[str]:
    """The smaller of two groups of photos whose mean colours lie apart; empty if there is one."""
    if len(seen) < _LEAST_PHOTOS:
        return []
    colours = np.stack([each.colour for each in seen])
    for values in (*colours.T, *(colours - colours.mean(1, keepdims=True)).T):
        order = np.argsort(values)
        gaps = np.diff(values[order])
        at = int(gaps.argmax()) + 1
        low, high = values[order[:at]], values[order[at:]]
        spread = np.sqrt((low.var() * len(low) + high.var() * len(high)) / len(values))
        if gaps[at - 1] > max(_GAP, _GAP_SPREADS * spread):
            smaller = order[:at] if len(low) < len(high) else order[at:]
            return [seen[i].name for i in sorted(smaller)]
    return []


def _seen(name: str, photo: Photo) -> _Seen:
    pixels = photo.pixels
    return _Seen(
        name=name,
        digest=hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest(),
        size=photo.size,
        depth=photo.bit_depth,
        maximum=photo.maximum,
        colour=pixels.mean((0, 1)),
        flat=float(network_input(pixels).mean(2).std()) < FLAT,
    )
