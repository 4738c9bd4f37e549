"""Your product: photos in, a detector out, odd ones named, nothing of it for anybody else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from defect.training.teaching import MAX_PHOTOS, Product, false_alarm_odds, load_taught_file, teach
from PIL import Image

from defect.__main__ import main
from defect.detectors.cache import held_bytes
from defect.imaging.archives import PhotoFile
from defect.training import teaching as product
from defect.training.outliers import find_outliers
from defect.ui.tabs import product_html as words
from defect.ui.tabs.product import _LOOKS, inspect_many, inspect_taught
from defect.ui.taught_detectors import PRODUCTS, SECONDS, Products
from defect.weights.files import WeightsError
from tests.memory_photos import good_photos, write_extractor


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("weights")
    write_extractor(where)
    return where


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Nine good photos, one with a hole, one a copy, one no photo at all."""
    where = tmp_path_factory.mktemp("photos")
    photos = good_photos(10, 0)
    photos[9, 100:130, 100:130] = 255
    for i, photo in enumerate(photos):
        Image.fromarray(photo).save(where / f"part_{i}.png")
    Image.fromarray(photos[0]).save(where / "part_copy.png")
    (where / "part_notes.png").write_bytes(b"not a picture")
    return sorted(str(path) for path in where.iterdir())


@pytest.fixture(scope="module")
def taught(folder: Path, paths: list[str]) -> Product:
    return teach(paths, "My <part>/../x", folder=folder)


def test_what_slipped_in_is_named_and_what_is_useless_left_out(taught: Product) -> None:
    assert [taught.names[odd.index] for odd in taught.odd] == ["part_9.png"]
    assert taught.photos == 10
    described = " ".join(taught.notes)
    assert "1 is a copy" in described and "part_notes.png" in described
    assert taught.name == "My__part_____x"
    assert len(taught.file) < 2_500_000


def test_the_command_line_teaches_and_inspects(
    folder: Path, paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, report = tmp_path / "part.safetensors", tmp_path / "report"
    given = [path for path in paths if "part_9" not in path]
    assert main(["teach", *given, "--out", str(file), "--weights", str(folder)]) == 0
    described = capsys.readouterr().out
    assert "from 9 photos; expect about 1 false alarm in" in described and "1 is a copy" in described
    inspect = ["inspect", "taught", str(file), "--weights", str(folder)]
    corrupted = next(path for path in paths if "part_9" in path)
    assert main([*inspect, paths[0]]) == 0
    assert main([*inspect, corrupted, "--out", str(report)]) == 3
    assert "my_part" in (report / "report.csv").read_text()
    assert main(["inspect", "taught", str(tmp_path / "none.safetensors"), corrupted]) == 1
    described = capsys.readouterr().err
    assert 'There is no file "none.safetensors"' in described and str(tmp_path) not in described


def test_teaching_again_without_the_odd_one(
    folder: Path, paths: list[str], taught: Product
) -> None:
    names = [taught.names[odd.index] for odd in taught.odd]
    again = teach(paths, "x", without=names, folder=folder)
    assert again.photos == 9 and not again.odd
    bad = next(path for path in paths if path.endswith("part_9.png"))
    assert again.inspector(bad).defective


def test_a_detector_goes_out_and_comes_back(
    folder: Path, taught: Product, paths: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "mine.safetensors"
    file.write_bytes(taught.file)
    back = load_taught_file(str(file), folder)
    assert back.inspector(paths[0]).score == pytest.approx(taught.inspector(paths[0]).score)
    file.write_bytes(taught.file[:1000])
    with pytest.raises(WeightsError, match=r"mine\.safetensors"):
        load_taught_file(str(file), folder)
    with file.open("wb") as stream:
        stream.truncate(10**9)
    with pytest.raises(WeightsError, match="too large"):
        load_taught_file(str(file), folder)


def test_senseless_uploads_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no photos yet"):
        teach([], "x", folder=folder)
    with pytest.raises(ValueError, match=f"at most {MAX_PHOTOS}"):
        teach(["a.png"] * 500, "x", folder=folder)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match="None of the photos"):
        teach([str(tmp_path / "a.png")], "x", folder=folder)


def test_other_kinds_of_odd() -> None:
    images = good_photos(8, 3)
    images[2] = (images[2] * 0.5).astype(np.uint8)
    images[5] = np.asarray(Image.fromarray(images[5]).reduce(8).resize((256, 256)))
    scores = np.array([0.8, 0.75, 0.8, 0.7, 0.82, 0.8, 3.0, 0.78])
    reasons = {odd.index: odd.reason for odd in find_outliers(images, scores)}
    assert "darker" in reasons[2] and "blurred" in reasons[5] and "another product" in reasons[6]
    assert set(reasons) == {2, 5, 6}
    assert find_outliers(images[:4], scores[:4]) == []


def test_the_promise_grows_with_the_photos() -> None:
    assert false_alarm_odds(1) < false_alarm_odds(12) < false_alarm_odds(50) < false_alarm_odds(1000) <= 100


def test_a_detector_is_nobody_else_s_and_goes_in_time(taught: Product) -> None:
    now = [0.0]
    kept = Products(2, lambda: now[0])
    mine, other = kept.put(taught, "me"), kept.put(taught, "you")
    assert kept.get(mine) is taught and mine != other
    assert kept.get("guessed") is None and kept.get(None) is None
    kept.forget_session("me")
    assert kept.get(mine) is None and kept.get(other) is taught
    now[0] += SECONDS + 1
    assert kept.get(other) is None
    keys = [kept.put(taught, "you") for _ in range(3)]
    assert [kept.get(key) is not None for key in keys] == [False, True, True]
    kept.forget(keys[1])
    assert kept.get(keys[1]) is None


def test_detectors_and_looks_go_by_their_bytes(taught: Product, paths: list[str]) -> None:
    size = held_bytes(taught.inspector.memory) + len(taught.file)
    kept = Products(24, budget=2.5 * size)
    keys = [kept.put(taught, "me") for _ in range(3)]
    assert [kept.get(key) is not None for key in keys] == [False, True, True]
    look = taught.inspector(paths[0])
    large = replace(look, photo=np.zeros((1024, 1024, 3), np.uint8))
    looks = [_LOOKS.put(large) for _ in range(40)]
    remembered = sum(_LOOKS.get(key) is not None for key in looks)
    assert 10 < remembered <= 64e6 / held_bytes(large) < 40
    assert _LOOKS.get(looks[-1]) is large


def test_many_photos_by_key(taught: Product, paths: list[str]) -> None:
    key = PRODUCTS.put(taught, None)
    rows, tiles = inspect_many(paths, key, 1.0)
    assert len(rows) == 12 and len(tiles) == 11
    found = [row.score or 0 for row in rows[:-1]]
    assert found == sorted(found, reverse=True) and rows[-1].verdict == "not read"
    assert inspect_taught(key, paths[0]).model == "memory"
    with pytest.raises(ValueError, match="at most"):
        inspect_many(paths * 20, key, 1.0)
    PRODUCTS.forget(key)
    for wrong in (None, "guessed", key):
        with pytest.raises(WeightsError):
            inspect_many(paths, wrong, 1.0)


def test_names_from_outside_are_escaped(taught: Product) -> None:
    evil = "<img src=x onerror=alert(1)>.png"
    described = words.taught(replace(taught, names=(evil,) * 10, notes=(evil,)))
    assert "<img" not in described and "&lt;img" in described
    assert "1 false alarm in" in described
    assert "<img" not in words.problem(evil)


def test_memory_is_bounded_while_photos_are_read(tmp_path: Path) -> None:
    """Of each upload only the network's view is kept."""
    Image.new("RGB", (3000, 2000), "grey").save(tmp_path / "a.jpg")
    images, names, _ = product._read([PhotoFile(tmp_path / "a.jpg", "a.jpg")] * 3, ())
    assert images.nbytes == 256 * 256 * 3 and names == ("a.jpg",)
