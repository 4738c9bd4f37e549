"""The thesis's networks: sizes, shapes, and what each does outside and inside training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from defect.networks.autoencoders import (
    AUTOENCODERS,
    CAE,
    DAE,
    LOG_VARIANCE_RANGE,
    VAE,
    Autoencoder,
    AutoencoderName,
    build_autoencoder,
    count_parameters,
    fold_batch_norm,
)
from defect.networks.steel_cnn import SteelCNN
from defect.training import autoencoder as training
from defect.training.loop import Batch

PARAMETERS = {"cae": 777_987, "dae": 777_987, "vae": 26_009_603}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(scope="module")
def networks() -> dict[AutoencoderName, Autoencoder]:
    torch.manual_seed(0)
    return {model: build_autoencoder(model).eval() for model in AUTOENCODERS}


@pytest.fixture
def vae(networks: dict[AutoencoderName, Autoencoder]) -> VAE:
    network = networks["vae"]
    assert isinstance(network, VAE)
    return network


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    return torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(1))


def test_parameter_counts(networks: dict[AutoencoderName, Autoencoder]) -> None:
    assert {model: count_parameters(network) for model, network in networks.items()} == PARAMETERS
    assert count_parameters(SteelCNN()) == 390_918


@torch.inference_mode()
def test_autoencoder_shapes(
    networks: dict[AutoencoderName, Autoencoder], photos: torch.Tensor, vae: VAE
) -> None:
    for network in networks.values():
        assert network(photos).shape == photos.shape
    cae = networks["cae"]
    assert isinstance(cae, CAE)
    assert cae.encode(photos).shape == (2, 256, 16, 16)
    assert [part.shape for part in vae.encode(photos)] == [(2, 128), (2, 128)]
    assert vae.decode(torch.zeros(5, 128)).shape == (5, 3, 256, 256)


@torch.inference_mode()
def test_steel_shapes(photos: torch.Tensor) -> None:
    network = SteelCNN().eval()
    features = network.feature_map(photos)
    assert features.shape == (2, 256, 16, 16)
    assert network(photos).shape == (2, 6)
    assert torch.equal(network.classify(features), network(photos))
    assert SteelCNN(classes=4).eval()(photos).shape == (2, 4)


def test_model_names_build_their_classes(networks: dict[AutoencoderName, Autoencoder]) -> None:
    assert {model: type(network) for model, network in networks.items()} == {
        "cae": CAE,
        "vae": VAE,
        "dae": DAE,
    }


def test_pixel_statistics_are_carried_but_not_saved(
    networks: dict[AutoencoderName, Autoencoder],
) -> None:
    for network in (*networks.values(), SteelCNN()):
        for name, values in zip(("mean", "std"), IMAGENET, strict=True):
            assert dict(network.named_buffers())[name].flatten().tolist() == pytest.approx(values)
            assert name not in network.state_dict()


def test_normalising_and_back(networks: dict[AutoencoderName, Autoencoder]) -> None:
    cae = networks["cae"]
    pixels = torch.tensor(IMAGENET).unsqueeze(-1).unsqueeze(-1)  # the mean; then the spread
    assert torch.equal(cae.normalise(pixels[:1]), torch.zeros(1, 3, 1, 1))
    assert torch.allclose(cae.normalise(pixels[:1] + 2 * pixels[1:]), torch.full((3, 1, 1), 2.0))
    assert torch.allclose(cae.denormalise(cae.normalise(pixels)), pixels, atol=1e-6)


@torch.inference_mode()
def test_a_reconstruction_comes_out_in_pixel_space(photos: torch.Tensor) -> None:
    """A decoder that answers 1 everywhere means: one spread above the mean."""
    network = CAE().eval()
    last = network.decoder[-1]
    assert isinstance(last, torch.nn.ConvTranspose2d) and last.bias is not None
    last.weight.zero_()
    last.bias.fill_(1.0)
    expected = [mean + std for mean, std in zip(*IMAGENET, strict=True)]
    assert network(photos).amax((0, 2, 3)).tolist() == pytest.approx(expected)
    assert network(photos).amin((0, 2, 3)).tolist() == pytest.approx(expected)


@torch.inference_mode()
def test_vae_rebuilds_from_the_mean(vae: VAE, photos: torch.Tensor) -> None:
    mean, _ = vae.encode(photos)
    assert torch.equal(vae(photos), vae(photos))
    assert torch.allclose(vae(photos), vae.denormalise(vae.decode(mean)), atol=1e-6)


@torch.inference_mode()
@pytest.mark.parametrize("far", [-1000.0, 1000.0])
def test_vae_clamps_the_log_variance(vae: VAE, photos: torch.Tensor, far: float) -> None:
    layer = vae.to_log_variance
    assert layer.bias is not None
    before = layer.bias.clone()
    try:
        layer.bias.fill_(far)
        bound = LOG_VARIANCE_RANGE[0] if far < 0 else LOG_VARIANCE_RANGE[1]
        assert bound in (-20.0, 2.0)
        assert (vae.encode(photos)[1] == bound).all()
        assert (vae.sample(photos)[2] == bound).all()
    finally:
        layer.bias.copy_(before)


@torch.inference_mode()
def test_vae_samples_only_for_training(
    vae: VAE, photos: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sampled code is mean + spread × noise; a mean-only reconstruction draws nothing."""
    codes: list[torch.Tensor] = []

    def decode(code: torch.Tensor) -> torch.Tensor:
        codes.append(code)
        return torch.zeros(len(code), 3, 1, 1)

    monkeypatch.setattr(vae, "decode", decode)
    torch.manual_seed(3)
    _, mean, log_variance = vae.sample(photos)
    after_one = torch.get_rng_state()
    torch.manual_seed(3)
    noise = torch.randn_like(mean)
    assert torch.allclose(codes[0], mean + noise * (log_variance / 2).exp(), atol=1e-5)
    assert not torch.allclose(codes[0], mean, atol=0.1)
    vae(photos)
    assert torch.allclose(codes[1], mean, atol=1e-6)
    assert torch.equal(torch.get_rng_state(), after_one)


@torch.inference_mode()
def test_dae_adds_no_noise_of_its_own(
    networks: dict[AutoencoderName, Autoencoder], photos: torch.Tensor
) -> None:
    cae = CAE().eval()
    cae.load_state_dict(networks["dae"].state_dict())
    assert torch.equal(networks["dae"](photos), networks["dae"](photos))
    assert torch.allclose(networks["dae"](photos), cae(photos), atol=1e-5)


@pytest.mark.parametrize(("model", "corrupted"), [("dae", True), ("cae", False)])
def test_training_corrupts_the_input_of_a_dae_only(
    model: AutoencoderName, corrupted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gaussian noise alone, with the pasted patches left away, changes the loss of a DAE."""
    network = build_autoencoder(model).train()
    pixels = torch.full((4, 3, 64, 64), 0.5)
    nothing = (pixels, torch.zeros(4, 1, 64, 64))
    monkeypatch.setattr(training, "paste_anomalies", lambda *arguments: nothing)

    def loss(seed: int) -> float:
        generator = torch.Generator().manual_seed(seed)
        batch = Batch(pixels, np.arange(4), 0.0, generator, torch.device("cpu"))
        return training._loss(network, batch).item()

    losses = {loss(seed) for seed in range(3)}
    assert len(losses) == (3 if corrupted else 1)


@pytest.mark.parametrize("model", ["cae", "dae"])
def test_the_seed_decides_the_first_weights(model: AutoencoderName) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return build_autoencoder(model).state_dict()

    first, second, other = weights(5), weights(5), weights(6)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["encoder.0.weight"], other["encoder.0.weight"])
    assert not torch.equal(first["decoder.0.weight"], other["decoder.0.weight"])


@pytest.mark.parametrize("model", ["cae", "vae"])
def test_folding_batch_norm_changes_nothing_but_the_work(model: AutoencoderName) -> None:
    torch.manual_seed(0)
    network = build_autoencoder(model).train()
    with torch.no_grad():
        network(torch.rand(4, 3, 256, 256))  # moves the running statistics away from 0 and 1
        pixels = torch.rand(2, 3, 256, 256)
        before = network.eval()(pixels)
        after = fold_batch_norm(network)(pixels)
    assert torch.allclose(before, after, atol=1e-4)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
