"""Weights files: what goes in comes back, and whatever is wrong is an error in a sentence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from defect.weights import files, index, quantisation
from defect.weights.errors import NotAvailable, WeightsError
from defect.weights.index import IndexEntry, read_index, write_index
from tests.factories import make_metadata, make_training

FILE = "cae/bottle.safetensors"
METADATA = make_metadata(
    training=make_training(loss_curve=[0.4], held_out_curve=[0.3]),
    calibration={"limit": 1.5},
    test={"count": 2},
    note="half",
)
CALIBRATION = {"error_mean": torch.linspace(0, 1, 12).view(3, 4)}
Damage = Callable[[Path], object]


def _network(seed: int = 0) -> nn.Sequential:
    """Convolution, batch statistics (one an integer) and one matrix large enough for 8 bits."""
    torch.manual_seed(seed)
    norm, dense = nn.BatchNorm2d(4), nn.Linear(1000, 600)
    norm.state_dict()["num_batches_tracked"].fill_(70_001)
    dense.weight.data[5] = 1000.0  # one row far larger than the others
    return nn.Sequential(nn.Conv2d(3, 4, 3), norm, dense)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files.save(tmp_path, _network().state_dict(), CALIBRATION, METADATA)
    return tmp_path


def _bytes(change: Callable[[bytes], bytes], listed: bool = False) -> Damage:
    """Changes the file's bytes; `listed` also their checksum in the index."""

    def damage(folder: Path) -> None:
        data = change((folder / FILE).read_bytes())
        (folder / FILE).write_bytes(data)
        if listed:
            found = hashlib.sha256(data).hexdigest()
            write_index(folder, [replace(read_index(folder)[0], sha256=found)])

    return damage


def _inside(tensor: str = "", value: Tensor | None = None, **header: Any) -> Damage:
    """Sets (or removes) a tensor, or sets fields of the header; the checksum fits."""

    def change(data: bytes) -> bytes:
        tensors = safetensors.torch.load(data)
        tensors = {k: v for k, v in tensors.items() if k != tensor}
        tensors |= {tensor: value} if value is not None else {}
        return safetensors.torch.save(tensors, {"defect": json.dumps(asdict(METADATA) | header)})

    return _bytes(change, listed=True)


def _index(change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(folder: Path) -> None:
        change(document := json.loads((folder / "index.json").read_text()))
        (folder / "index.json").write_text(json.dumps(document))

    return damage


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
PLAIN = safetensors.torch.save({"network.x": torch.zeros(2)})
BIAS, MATRIX = "network.0.bias", "network.2.weight"
DAMAGES: dict[str, tuple[Damage, str]] = {
    "absent": (lambda f: (f / FILE).unlink(), f"{FILE} is listed .* but absent"),
    "flipped": (_bytes(lambda d: d[:-1] + bytes([d[-1] ^ 1])), f"{FILE} does not have the check"),
    "half": (_bytes(lambda d: d[: len(d) // 2]), "does not have the checksum"),
    "pointer": (_bytes(lambda d: POINTER), f"{FILE} is a Git LFS pointer.*git lfs pull"),
    "listed half": (_bytes(lambda d: d[: len(d) // 2], True), "not a valid safetensors file"),
    "zip": (_bytes(lambda d: b"PK\3\4" + bytes(99), True), f"{FILE} has no readable metadata"),
    "no metadata": (_bytes(lambda d: PLAIN, True), "has no readable metadata"),
    "field": (_inside(unheard_of=1), "has no readable metadata"),
    "version": (_inside(schema_version=2), f"{FILE} has schema version 2; .* reads version 1"),
    "missing": (_inside(BIAS), f"{FILE} does not fit the CAE network: missing 0.bias"),
    "extra": (_inside("network.9.bias", torch.zeros(1)), "not fit .* unexpected 9.bias"),
    "shape": (_inside(BIAS, torch.zeros(5)), r"0.bias has shape \(5,\) instead of \(4,\)"),
    "group": (_inside("head.bias", torch.zeros(1)), 'unknown tensor "head.bias"'),
    "no scale": (_inside(MATRIX + "::scale"), f'damaged tensor "{MATRIX}": its 8-bit codes and'),
    "scale": (_inside(MATRIX + "::scale", torch.ones(1, 1)), "its scale has another shape"),
    "lone scale": (_inside("network.z::scale", torch.ones(1, 1)), 'unknown tensor "network.z::sc'),
    "codes": (_inside(BIAS, torch.zeros(4, dtype=torch.int8)), "8-bit codes and their scale do"),
    "nan": (_inside(BIAS, torch.full((4,), torch.nan)), f'"{BIAS}": not all its values are num'),
    "cut index": (lambda f: (f / "index.json").write_text('{"sche'), "index.json is damaged"),
    "binary index": (lambda f: (f / "index.json").write_bytes(b"\xff\xfe"), "is damaged"),
    "index entry": (_index(lambda d: d["files"][0].pop("sha256")), "index.json is damaged"),
    "index null": (_index(lambda d: d["files"][0].update(file=None)), "index.json is damaged"),
    "index version": (
        _index(lambda d: d.update(schema_version=2, files=[{"new": 1}])),
        "json has schema version 2",
    ),
}


def _use(folder: Path, category: str = "bottle") -> nn.Module:
    network = _network(seed=1)
    files.load_into(network, files.read(folder, "cae", category))
    return network


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_an_error(folder: Path, damage: str) -> None:
    change, text = DAMAGES[damage]
    change(folder)
    with pytest.raises(WeightsError, match=text) as caught:
        _use(folder)
    found = str(caught.value)
    assert not isinstance(caught.value, NotAvailable)
    assert str(folder) not in found and found.startswith("weights/") and found.endswith(".")


def test_what_is_not_listed_is_not_available(folder: Path) -> None:
    (folder / "cae/cable.safetensors").write_bytes((folder / FILE).read_bytes())
    with pytest.raises(NotAvailable, match=r'No CAE weights for "cable" .*for CAE: bottle') as err:
        _use(folder, "cable")
    assert str(folder) not in str(err.value)
    with pytest.raises(NotAvailable, match=r"for DAE: none\).*train dae bottle"):
        files.read(folder, "dae", "bottle")


def test_a_file_too_large_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 1000)
    with pytest.raises(WeightsError, match=f"{FILE} is \\d+ MB, more than"):
        _use(folder)


def test_round_trip(folder: Path) -> None:
    content = files.read(folder, "cae", "bottle")
    loaded = _use(folder).state_dict()
    for name, tensor in quantisation.as_stored(_network().state_dict()).items():
        assert torch.equal(content.network[name], tensor) and torch.equal(loaded[name], tensor)
    assert loaded["1.num_batches_tracked"] == 70_001
    assert torch.equal(content.calibration["error_mean"], CALIBRATION["error_mean"].half().float())
    assert content.metadata == METADATA
    assert (content.source.source, content.source.file) == ("bundled", FILE)


def test_precision_on_disk(folder: Path) -> None:
    inside = safetensors.torch.load((folder / FILE).read_bytes())
    large = inside["network.2.weight"], inside["network.2.weight::scale"]
    assert [t.dtype for t in large] == [torch.int8, torch.float32]
    assert inside["network.0.weight"].dtype == torch.float16
    assert inside["network.1.num_batches_tracked"].dtype == torch.int64
    before = _network().state_dict()
    after = quantisation.as_stored(before)
    error = (after["2.weight"] - before["2.weight"]).abs()
    assert (error <= before["2.weight"].abs().amax(1, keepdim=True) / 254 * 1.001).all()
    assert torch.equal(after["0.weight"], before["0.weight"].half().float())


def test_index_lists_checksum_and_size(folder: Path) -> None:
    data = (folder / FILE).read_bytes()
    entry = IndexEntry(FILE, "cae", "bottle", hashlib.sha256(data).hexdigest(), len(data))
    assert json.loads((folder / "index.json").read_text())["files"] == [index.line(entry)]
    assert files.read(folder, "cae", "bottle").source.sha256 == entry.sha256


def test_saving_again_replaces_and_keeps_the_rest(folder: Path) -> None:
    hub = {"repo": "someone/defect", "revision": "abc"}
    _index(lambda d: d.update(hub=hub))(folder)
    network = _network(2).state_dict()
    files.save(folder, network, {}, replace(METADATA, category="apple"))
    files.save(folder, network, {}, METADATA)
    assert [e.category for e in read_index(folder)] == ["apple", "bottle"]
    assert json.loads((folder / "index.json").read_text())["hub"] == hub
    assert torch.equal(_use(folder).state_dict()["0.bias"], network["0.bias"].half().float())
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert names == {FILE, "cae/apple.safetensors", "index.json", index.LOCK_NAME}


def test_a_write_cut_off_leaves_the_old_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError("no space left")

    before = (folder / FILE).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(OSError, match="no space"):
            files.save(folder, _network(3).state_dict(), {}, METADATA)
    assert (folder / FILE).read_bytes() == before
    assert files.read(folder, "cae", "bottle").metadata == METADATA


def test_metadata_needs_only_the_header(folder: Path) -> None:
    _bytes(lambda d: d[: 8 + int.from_bytes(d[:8], "little")])(folder)
    assert files.read_metadata(folder / FILE) == METADATA


@pytest.mark.parametrize("data", [b"", b"1234", POINTER, b"\xff" * 40, bytes(40)])
def test_metadata_of_something_else(folder: Path, data: bytes) -> None:
    (folder / FILE).write_bytes(data)
    with pytest.raises(WeightsError, match=f"^weights/{FILE} ") as caught:
        files.read_metadata(folder / FILE)
    assert str(folder) not in str(caught.value)


def test_metadata_of_an_absent_file(folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"cae/cable\.safetensors .* absent"):
        files.read_metadata(folder / "cae/cable.safetensors")


def test_what_half_precision_cannot_hold_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="half precision"):
        files.save(tmp_path, {"w": torch.tensor([1e5])}, {}, METADATA)
    assert not list(tmp_path.iterdir())
