"""Forged weights files: other types, values and limits beyond any detector's, flipped bits."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from defect.detectors import scoring
from defect.detectors.memory import memory
from defect.inspection import WeightsSource
from defect.weights import files
from defect.weights.errors import WeightsError
from defect.weights.files import Metadata, Training
from defect.weights.quantisation import MAX_VALUE, pack, unpack

SOURCE = WeightsSource("uploaded", "forged.safetensors", "", 0)
METADATA = Metadata("cae", "cap", "none", "none", Training(9, 8, "cpu", "float32", 3.0))
NUMBERS: dict[str, Any] = {
    "feature_limit": 2.0,
    "error_limits": [7.0, 8.0],
    "brightness": [0.2, 0.3, 0.4],
    "limit": 0.9,
    "thesis_limit": 0.01,
    "normal_scores": [0.5, 0.9],
    "normal_thesis_scores": [0.001],
}
MEMORY_NUMBERS: dict[str, Any] = {
    "levels": [{"size": [32, 64], "block": 4, "limit": 1.2, "view_limits": [1.0, 1.1]}],
    "brightness": 0.4,
    "limit": 1.0,
    "normal_scores": [0.5, 0.9],
    "photos": 10,
    "extractor": "a" * 64,
    "known_sensitivity": {"stain": [3, 4]},
}
_LEVEL: dict[str, Any] = MEMORY_NUMBERS["levels"][0]


def honest() -> bytes:
    """A small file as `save` writes it, with every kind of tensor."""
    torch.manual_seed(3)
    network = {
        "conv": torch.randn(4, 3),
        "large": torch.randn(700, 800),
        "count": torch.tensor(70_001),
    }
    return files.to_bytes(network, {"mean": torch.rand(5)}, METADATA)


def forged(tensor: Tensor, name: str = "network.conv", **others: Tensor) -> bytes:
    """The file with one tensor in place of its own, as another program would write it."""
    tensors = safetensors.torch.load(honest())
    header = {"defect": json.dumps(files.dataclasses.asdict(METADATA))}
    data: bytes = safetensors.torch.save({**tensors, name: tensor, **others}, header)
    return data


@pytest.mark.parametrize(
    "tensor",
    [
        torch.full((4, 3), 1e300, dtype=torch.float64),
        torch.full((4, 3), 1.0, dtype=torch.float64),
        torch.full((4, 3), 1e38),
        torch.full((4, 3), 2e6),
        torch.full((4, 3), float("inf")),
        torch.full((4, 3), float("nan")),
        torch.full((4, 3), float("inf"), dtype=torch.float16),
        torch.full((4, 3), 1.0, dtype=torch.bfloat16),
        torch.full((4, 3), 2**40, dtype=torch.int64),
        torch.ones((4, 3), dtype=torch.int64),
        torch.ones((4, 3), dtype=torch.int32),
        torch.ones((4, 3), dtype=torch.int16),
        torch.ones((4, 3), dtype=torch.uint8),
        torch.ones((4, 3), dtype=torch.bool),
        torch.ones((4, 3), dtype=torch.complex64),
        torch.ones((4, 3), dtype=torch.float8_e4m3fn),
        torch.ones((4, 3), dtype=torch.int8),
    ],
    ids=lambda tensor: f"{tensor.dtype} {tensor.flatten()[0].item()}",
)
def test_other_types_and_values_are_refused(tensor: Tensor) -> None:
    with pytest.raises(WeightsError, match=r"network\.conv"):
        files.parse(forged(tensor), SOURCE)


@pytest.mark.parametrize("count", [-1, 2**31, 2**62])
def test_a_senseless_counter_is_refused(count: int) -> None:
    with pytest.raises(WeightsError, match="count"):
        files.parse(forged(torch.tensor(count), "network.count"), SOURCE)


@pytest.mark.parametrize(
    "scale",
    [torch.full((700, 1), 1e38), torch.full((700, 1), 1.0).double(), torch.ones(700),
     torch.full((700, 1), float("nan")), torch.full((700, 1), 1e4)],
    ids=["1e38", "double", "shape", "nan", "over the bound"],
)  # fmt: skip
def test_a_scale_is_checked_after_it_was_multiplied(scale: Tensor) -> None:
    codes = torch.full((700, 800), 127, dtype=torch.int8)
    scale_name = "network.large::scale"
    with pytest.raises(WeightsError, match=r"network\.large"):
        files.parse(forged(codes, "network.large", **{scale_name: scale}), SOURCE)


def test_what_is_stored_comes_back() -> None:
    weights = files.parse(honest(), SOURCE)
    assert weights.network["count"] == 70_001
    assert weights.network["large"].dtype == weights.network["conv"].dtype == torch.float32
    packed = pack("x", torch.full((3,), 60_000.0))
    assert float(unpack(packed["x"], None)[0]) == pytest.approx(60_000, abs=32)
    assert MAX_VALUE > 65_504  # all of half precision


def test_an_unknown_type_in_the_header_is_a_sentence() -> None:
    data = honest()
    for kind in (b"F4", b"F6_E2M3", b"C64", b"XX", b"F64", b"BF16"):
        with pytest.raises(WeightsError):
            files.parse(data.replace(b'"dtype":"F16"', b'"dtype":"' + kind + b'"', 1), SOURCE)


# The file's own checksum


def test_every_flipped_bit_is_found() -> None:
    """250 flips all over the file: header, numbers, tensors."""
    data = honest()
    files.parse(data, SOURCE)
    rng, silent = random.Random(5), []
    header = 8 + int.from_bytes(data[:8], "little")
    padding = len(data[:header]) - len(data[:header].rstrip(b" "))
    places = [rng.randrange(header - padding) for _ in range(100)]
    places += [rng.randrange(header, len(data)) for _ in range(150)]
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << rng.randrange(8)
        try:
            files.parse(bytes(flipped), SOURCE)
        except WeightsError:
            continue
        silent.append(place)
    assert silent == []


def test_a_file_is_the_same_each_time_and_an_older_one_still_loads() -> None:
    data = honest()
    assert data == honest()
    old = forged(safetensors.torch.load(data)["network.conv"])
    assert b"checksum" in data and b"checksum" not in old
    for content in (data, old):
        assert torch.equal(files.parse(content, SOURCE).network["count"], torch.tensor(70_001))
    assert safetensors.torch.load(data).keys() == safetensors.torch.load(old).keys()


# Numbers in the header


def _calibration() -> dict[str, Tensor]:
    return {name: torch.ones(shape) for name, shape in scoring._TENSOR_SHAPES.items()}


def _memory() -> dict[str, Tensor]:
    """Tensors for one level of 4×8 cells, two blocks, 8 channels, 6 directions and 3 of a block."""
    shapes = {
        "channel_centre": (8,),
        "directions": (8, 6),
        "centre": (6,),
        "projection": (6, 6),
        "mean": (32, 6),
        "whitening": (2, 6),
    }
    return {
        f"level0.view{view}.{name}": torch.ones(shape)
        for view in range(2)
        for name, shape in shapes.items()
    }


WRONG_LIMITS = [0, -1.0, 1e-9, 1e7, 1e308, float("inf"), float("nan"), 10**400, True, "1", None, []]


@pytest.mark.parametrize("value", WRONG_LIMITS, ids=lambda value: str(value)[:12])
def test_a_limit_out_of_range_is_refused(value: Any) -> None:
    scoring.restore_calibration(_calibration(), NUMBERS)
    memory.restore_memory(_memory(), MEMORY_NUMBERS)
    for name in ("feature_limit", "limit", "thesis_limit"):
        with pytest.raises(ValueError, match=name):
            scoring.restore_calibration(_calibration(), {**NUMBERS, name: value})
    with pytest.raises(ValueError, match="error_limits"):
        scoring.restore_calibration(_calibration(), {**NUMBERS, "error_limits": [1.0, value]})
    for changes in (
        {"limit": value},
        {"levels": [{**_LEVEL, "limit": value}]},
        {"levels": [{**_LEVEL, "view_limits": [1.0, value]}]},
    ):
        with pytest.raises(ValueError, match="limit"):
            memory.restore_memory(_memory(), {**MEMORY_NUMBERS, **changes})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("brightness", [0.5, 0.4, 0.6]),
        ("brightness", [0.1, 0.2]),
        ("brightness", [0.1, 0.2, 1.5]),
        ("brightness", 0.5),
        ("brightness", [0.1, 0.2, float("nan")]),
        ("error_limits", [1.0]),
        ("error_limits", {"0": 1.0, "1": 2.0}),
        ("normal_scores", [float("nan")]),
        ("normal_scores", [-1.0]),
        ("normal_scores", [10**400]),
        ("normal_scores", "scores"),
        ("normal_scores", [0.1] * 20_000),
        ("normal_thesis_scores", [None]),
    ],
)
def test_other_senseless_numbers_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        scoring.restore_calibration(_calibration(), {**NUMBERS, name: value})


WRONG_IN_A_LEVEL: dict[str, list[Any]] = {
    "size": [None, [32], [32, "64"], [0, 64], [33, 64], [32, 8192], [64, 64], [32.0, 64]],
    "block": [None, 0, -4, 3, 8, True, 10**400],
    "view_limits": [None, [], [1.0], [1.0] * 3],
}
WRONG_IN_A_MEMORY: dict[str, list[Any]] = {
    "levels": [None, [], {}, [None], [_LEVEL] * 2, [_LEVEL] * 3],
    "brightness": [None, 0, -0.4, 1.5, "0.4", float("nan"), 10**400],
    "normal_scores": [None, [], "x", [{}], [-1.0], [10**400], [0.5] * 1001],
    "photos": [None, 0, -1, 2.0, True, 10**400],
    "extractor": [None, 7, "a" * 129],
    "known_sensitivity": [None, [], {"a": 3}, {"a": [1]}, {"a": [5, 4]}, {"a": [-1, 4]}],
}
WRONG_IN_A_MEMORY["known_sensitivity"].append({str(i): [1, 2] for i in range(65)})
WRONG_IN_A_MEMORY["levels"] += [
    [{**_LEVEL, name: value}] for name, values in WRONG_IN_A_LEVEL.items() for value in values
]


@pytest.mark.parametrize("name", WRONG_IN_A_MEMORY)
def test_senseless_numbers_of_a_memory_are_refused(name: str) -> None:
    for value in WRONG_IN_A_MEMORY[name]:
        with pytest.raises(ValueError, match=r"its|it does"):
            memory.restore_memory(_memory(), {**MEMORY_NUMBERS, name: value})
    missing = {key: value for key, value in MEMORY_NUMBERS.items() if key != name}
    with pytest.raises(ValueError, match=r"its|it does"):
        memory.restore_memory(_memory(), missing)
