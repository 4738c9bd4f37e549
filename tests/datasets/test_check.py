"""What `check` says of a data folder before anybody trains with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defect.cli import main
from defect.datasets.check import DataCheck, check_folder, check_photos, listed
from defect.datasets.samples import DataError
from defect.imaging.archives import find_photos
from tests.factories import good_photos, write_photos

Captured = pytest.CaptureFixture[str]


def keys(found: DataCheck) -> set[str]:
    return {problem.key for problem in found.problems}


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with one category in order: 12 training photos, 2 good and 2 defective test photos,
    and their masks."""
    photos = good_photos(16, 0)
    part = tmp_path / "data/part"
    for i, photo in enumerate(photos[:12]):
        save(part / f"train/good/{i:03d}.png", photo)
    for i, photo in enumerate(photos[12:14]):
        save(part / f"test/good/{i:03d}.png", photo)
    mask = np.zeros((256, 256), np.uint8)
    mask[40:80, 40:80] = 255
    for i, photo in enumerate(photos[14:]):
        photo[40:80, 40:80] = 255
        save(part / f"test/hole/{i:03d}.png", photo)
        save(part / f"ground_truth/hole/{i:03d}_mask.png", mask)
    return tmp_path / "data"


def test_a_folder_in_order_has_no_problems(root: Path, capsys: Captured) -> None:
    found = check_folder(root)
    assert not found.problems and not found.notes
    assert found.layout == "categories"
    assert [(g.name, g.photos, g.masks) for g in found.groups] == [
        ("part/train/good", 12, 0),
        ("part/test/good", 2, 0),
        ("part/test/hole", 2, 2),
    ]
    assert found.sizes == {"256×256": 16} and found.depths == {8: 16}
    assert main(["check", str(root)]) == 0
    printed = capsys.readouterr().out
    assert "part/train/good: 12 photos" in printed and "No problems." in printed
    assert main(["check", str(root / "part")]) == 0
    assert "one category" in capsys.readouterr().out


def copied(part: Path) -> None:
    shutil.copy(part / "train/good/000.png", part / "test/good/copy.png")


def doubled(part: Path) -> None:
    shutil.copy(part / "train/good/000.png", part / "train/good/copy.png")


def without_photo(part: Path) -> None:
    shutil.copy(part / "ground_truth/hole/000_mask.png", part / "ground_truth/hole/7_mask.png")


def without_mask(part: Path) -> None:
    (part / "ground_truth/hole/001_mask.png").unlink()


def other_mask(part: Path) -> None:
    save(part / "ground_truth/hole/001_mask.png", np.full((100, 200), 255, np.uint8))


def empty_mask(part: Path) -> None:
    save(part / "ground_truth/hole/001_mask.png", np.zeros((256, 256), np.uint8))


def torn(part: Path) -> None:
    (part / "train/good/torn.png").write_bytes(b"\x89PNG")


def cut_off(part: Path) -> None:
    save(part / "train/good/cut.png", good_photos(1, 9)[0])
    data = (part / "train/good/cut.png").read_bytes()
    (part / "train/good/cut.png").write_bytes(data[:-12])


def another_shape(part: Path) -> None:
    save(part / "train/good/wide.png", np.ascontiguousarray(good_photos(1, 9)[0][:128]))


def black(part: Path) -> None:
    save(part / "train/good/black.png", np.zeros((256, 256, 3), np.uint8))


def tiny(part: Path) -> None:
    save(part / "train/good/tiny.png", np.ascontiguousarray(good_photos(1, 9)[0][::16, ::16]))


def another_product(part: Path) -> None:
    for i, photo in enumerate(good_photos(3, 9)):
        save(part / f"train/good/other_{i}.png", photo // 3)


def deep(part: Path) -> None:
    for i in range(12):
        path = part / f"train/good/{i:03d}.png"
        values = np.asarray(Image.open(path).convert("L")).astype(np.uint16)
        save(path, values * (4 if i == 3 else 16))


@pytest.mark.parametrize(
    ("spoil", "key", "text"),
    [
        (copied, "check_copies_across", "part/test/good/copy.png = part/train/good/000.png"),
        (doubled, "check_copies", "part/train/good/000.png = part/train/good/copy.png"),
        (without_photo, "check_masks_without_photos", "part/ground_truth/hole/7_mask.png"),
        (without_mask, "check_photos_without_masks", "hole/001.png"),
        (other_mask, "mask_shape", "200×100"),
        (empty_mask, "check_mask_empty", "hole/001_mask.png"),
        (torn, "check_unreadable", "part/train/good/torn.png"),
        (cut_off, "check_damaged", "part/train/good/cut.png"),
        (another_shape, "check_shapes", "wide.png (256×128)"),
        (black, "check_flat", "black.png"),
        (tiny, "check_tiny", "tiny.png"),
        (another_product, "check_mixed", "(3 of 17)"),
        (deep, "check_bit_depth", "12 bits (12)"),
        (deep, "check_depths_differ", "train/good/003.png"),
        (deep, "check_depths", "12 of 16 bits"),
    ],
)
def test_every_problem_is_named(
    root: Path, spoil: Callable[[Path], None], key: str, text: str, capsys: Captured
) -> None:
    spoil(root / "part")
    found = check_folder(root)
    said = {problem.key: str(problem) for problem in found.problems}
    assert text in said[key], said
    assert main(["check", str(root), "--json"]) == 1
    printed = capsys.readouterr().out
    document = json.loads(printed)
    assert {"key": key, "text": said[key]} in document["problems"]


def test_what_may_be_meant_so_is_only_a_note(root: Path) -> None:
    shutil.rmtree(root / "part/ground_truth")
    for i in range(4, 12):
        (root / f"part/train/good/{i:03d}.png").unlink()
    found = check_folder(root)
    assert not found.problems
    assert {note.key for note in found.notes} == {"check_no_masks", "check_few_photos"}
    shutil.rmtree(root / "part/test")
    assert "check_no_test" in {note.key for note in check_folder(root).notes}


def test_other_layouts(root: Path, tmp_path: Path) -> None:
    part = root / "part"
    (part / "train/good").rename(part / "train/normal")
    (part / "test/good").rename(part / "test/normal")
    (part / "test/hole").rename(part / "test/anomaly")
    (part / "ground_truth/hole").rename(part / "ground_truth/anomaly")
    found = check_folder(part)
    assert (found.layout, keys(found)) == ("category", set())
    assert ("part/test/anomaly", 2) in [(g.name, g.photos) for g in found.groups]

    photos = good_photos(6, 2)
    write_photos(tmp_path / "classes/crack", photos[:3])
    write_photos(tmp_path / "classes/dent", photos[3:])
    found = check_folder(tmp_path / "classes")
    assert [(g.name, g.photos) for g in found.groups] == [("crack", 3), ("dent", 3)]
    assert (found.layout, keys(found)) == ("classes", set())

    write_photos(tmp_path / "loose/night", photos)
    (tmp_path / "loose/night/part_0.cr2").write_bytes(b"raw")
    (tmp_path / "loose/notes.txt").write_text("not a photo")
    save(tmp_path / "loose/part_9.png", good_photos(1, 8)[0])
    loose = check_folder(tmp_path / "loose")
    assert loose.layout == "photos" and [g.photos for g in loose.groups] == [7]
    assert keys(loose) == {"check_not_read"}

    (tmp_path / "empty").mkdir()
    assert keys(check_folder(tmp_path / "empty")) == {"check_nothing"}
    with pytest.raises(DataError, match="no folder"):
        check_folder(tmp_path / "absent")


def test_one_folder_of_photos(tmp_path: Path) -> None:
    write_photos(tmp_path / "loose", good_photos(6, 2))
    assert not check_folder(tmp_path / "loose").problems
    (tmp_path / "loose/a.cr2").write_bytes(b"raw")
    found = check_folder(tmp_path / "loose")
    assert (found.layout, keys(found)) == ("photos", {"check_not_read"})


def test_the_short_form_of_photos_to_teach_from(tmp_path: Path) -> None:
    paths = write_photos(tmp_path, good_photos(6, 2))
    assert check_photos(find_photos(paths)[0]) == ()
    shutil.copy(paths[0], tmp_path / "copy.png")
    (problem,) = check_photos(find_photos([tmp_path])[0])
    assert problem.key == "check_copies"


def test_dark_photos_are_named_for_their_depth_alone(root: Path) -> None:
    deep(root / "part")
    (root / "part/train/good/003.png").unlink()
    photos = find_photos([root / "part/train/good"])[0]
    assert {problem.key for problem in check_photos(photos)} == {"check_bit_depth"}
    assert check_photos(photos, bit_depth=12) == ()


def test_train_says_the_problems_first(root: Path, capsys: Captured, tmp_path: Path) -> None:
    doubled(root / "part")
    copied(root / "part")
    weights = ["--weights", str(tmp_path / "weights")]
    assert main(["train", "memory", "part", "--data", str(root), *weights]) == 1
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert len(lines) == 2 and all(line.startswith("Check: The same photo") for line in lines)
    assert "no feature extractor" in printed.err


def test_long_lists_end_in_a_count() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([*"abcdefg"]) == "a, b, c, d, e and 2 more"
