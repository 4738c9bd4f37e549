"""`index.json`: no line lost between writers, no moment without valid weights, read once."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from defect.weights import files, index
from defect.weights.errors import WeightsError
from defect.weights.index import INDEX_NAME, find_entry, read_index, update_index, write_index
from tests.conftest import ROOT
from tests.factories import make_entry, make_metadata

_WRITE_30 = """
import sys
from pathlib import Path
from defect.weights.index import update_index
from tests.factories import make_entry

for number in range(30):
    entry = make_entry(f"{sys.argv[2]}_{number:02}")
    update_index(Path(sys.argv[1]), lambda entries: [*entries, entry])
"""


def test_two_writers_at_once_keep_each_other_s_lines(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITE_30, str(tmp_path), name], cwd=ROOT)
        for name in ("first", "second")
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    expected = {f"{name}_{number:02}" for name in ("first", "second") for number in range(30)}
    assert {entry.category for entry in read_index(tmp_path)} == expected
    assert len(read_index(tmp_path)) == 60


def _save(folder: Path, value: float) -> None:
    files.save(folder, {"w": torch.full((4,), float(value))}, {}, make_metadata())


def _value(folder: Path) -> float:
    return float(files.read(folder, "cae", "bottle").network["w"][0])


@pytest.mark.parametrize("written", range(4))
def test_interrupted_at_any_point_the_old_or_the_new_file_is_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """Saving again writes the index, the file, the index: stopped after each, nothing is lost."""
    _save(tmp_path, 1)
    count = 0
    replace_file = index.replace_file

    def stop_after(path: Path, data: bytes) -> None:
        nonlocal count
        if count == written:
            raise KeyboardInterrupt
        count += 1
        replace_file(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(index, "replace_file", stop_after)
        patch.setattr(files, "replace_file", stop_after)
        if written < 3:
            with pytest.raises(KeyboardInterrupt):
                _save(tmp_path, 2)
        else:
            _save(tmp_path, 2)
    assert count == written
    assert _value(tmp_path) == (1 if written < 2 else 2)
    _save(tmp_path, 3)
    assert _value(tmp_path) == 3
    entry = find_entry(tmp_path, "cae", "bottle")
    assert entry is not None and entry.previous == ""


def test_while_a_file_is_replaced_both_are_valid_and_no_third(tmp_path: Path) -> None:
    _save(tmp_path, 1)
    path = tmp_path / "cae/bottle.safetensors"
    old, entry = path.read_bytes(), read_index(tmp_path)[0]
    _save(tmp_path, 2)
    pending = replace(read_index(tmp_path)[0], previous=entry.sha256)
    write_index(tmp_path, [pending])
    assert _value(tmp_path) == 2
    path.write_bytes(old)
    assert _value(tmp_path) == 1
    source = files.read(tmp_path, "cae", "bottle").source
    assert source.sha256 == hashlib.sha256(old).hexdigest() == entry.sha256
    path.write_bytes(old[:-1] + bytes([old[-1] ^ 1]))
    with pytest.raises(WeightsError, match="does not have the checksum"):
        _value(tmp_path)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files read as text while the test runs."""
    names: list[str] = []
    read_text = Path.read_text

    def counted(self: Path, *arguments: Any, **options: Any) -> str:
        names.append(self.name)
        return read_text(self, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", counted)
    return names


def test_the_index_is_read_once_and_again_when_it_changes(tmp_path: Path, reads: list[str]) -> None:
    write_index(tmp_path, [make_entry("bottle")])
    reads.clear()
    for _ in range(5):
        assert [entry.category for entry in read_index(tmp_path)] == ["bottle"]
        assert find_entry(tmp_path, "cae", "bottle") == make_entry("bottle")
    assert reads == [INDEX_NAME]
    # The same size and time, but another file: another program replaced it.
    status = (tmp_path / INDEX_NAME).stat()
    update_index(tmp_path, lambda entries: [make_entry("cables")])
    text = (tmp_path / INDEX_NAME).read_text().replace("cables", "cablex")
    index.replace_file(tmp_path / INDEX_NAME, text.encode())
    os.utime(tmp_path / INDEX_NAME, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert [entry.category for entry in read_index(tmp_path)] == ["cablex"]
    (tmp_path / INDEX_NAME).unlink()
    assert read_index(tmp_path) == []


def test_what_a_caller_does_with_the_list_stays_with_the_caller(tmp_path: Path) -> None:
    write_index(tmp_path, [make_entry("bottle")], {"repo": "a/b", "revision": None})
    read_index(tmp_path).clear()
    index.read_document(tmp_path)["hub"] = None
    assert len(read_index(tmp_path)) == 1
    assert index.read_document(tmp_path)["hub"] == {"repo": "a/b", "revision": None}


@pytest.mark.parametrize("document", ["[]", "null", "3", '{"schema_version": 1}', "[" * 100_000])
def test_a_damaged_index_is_an_error(tmp_path: Path, document: str) -> None:
    (tmp_path / INDEX_NAME).write_text(document)
    with pytest.raises(WeightsError, match=r"index\.json is damaged"):
        read_index(tmp_path)


def test_a_folder_without_an_index_has_no_weights(tmp_path: Path) -> None:
    assert read_index(tmp_path) == [] and read_index(tmp_path / "none") == []
    (tmp_path / "file").write_text(json.dumps({}))
    assert read_index(tmp_path / "file") == []
