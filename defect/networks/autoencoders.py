"""The thesis's autoencoders: layers only. No files, no scores, no training.

Every network takes RGB in the range 0..1, shape N×3×256×256, and carries its own ImageNet mean and
spread, so nothing else in the project normalises. An autoencoder's reconstruction comes out in the
same 0..1 pixel space. Parameter counts are pinned by `tests/networks/test_autoencoders.py`.

The thesis prints 2,764,099 parameters for CAE and DAE; its own layer list gives the 777,987 built
here.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

AutoencoderName = Literal["cae", "vae", "dae"]
AUTOENCODERS: tuple[AutoencoderName, ...] = get_args(AutoencoderName)
LATENT = 128
LOG_VARIANCE_RANGE = (-20.0, 2.0)
WIDTHS = (32, 64, 128, 256)
_CODE_SHAPE = (256, 16, 16)


class Normalised(nn.Module):
    """Holds the ImageNet statistics as buffers that are not saved with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), False)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Pixels 0..1 → zero mean, unit spread per channel."""
        return (pixels - self.mean) / self.std

    def denormalise(self, x: Tensor) -> Tensor:
        """The inverse of `normalise`; not clipped."""
        return x * self.std + self.mean


def _encoder() -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in zip((3, *WIDTHS[:-1]), WIDTHS, strict=True):
        conv = nn.Conv2d(n_in, n_out, 3, stride=2, padding=1)
        layers += [conv, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _decoder() -> nn.Sequential:
    layers: list[nn.Module] = []
    widths = WIDTHS[::-1]
    for n_in, n_out in pairwise(widths):
        up = nn.ConvTranspose2d(n_in, n_out, 3, stride=2, padding=1, output_padding=1)
        layers += [up, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
    layers.append(nn.ConvTranspose2d(widths[-1], 3, 3, stride=2, padding=1, output_padding=1))
    return nn.Sequential(*layers)


class CAE(Normalised):
    """Convolutional autoencoder, 777,987 parameters: 256×256×3 → 16×16×256 → 256×256×3."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _encoder()
        self.decoder = _decoder()

    def encode(self, pixels: Tensor) -> Tensor:
        """N×3×256×256 in 0..1 → N×256×16×16 features."""
        features: Tensor = self.encoder(self.normalise(pixels))
        return features

    def decode(self, features: Tensor) -> Tensor:
        """N×256×16×16 features → N×3×256×256 reconstruction in the normalised space."""
        output: Tensor = self.decoder(features)
        return output

    def forward(self, pixels: Tensor) -> Tensor:
        """N×3×256×256 in 0..1 → its reconstruction, same shape, in (not clipped to) 0..1."""
        return self.denormalise(self.decode(self.encode(pixels)))


class DAE(CAE):
    """Denoising autoencoder: the CAE's layers, trained to undo a corruption of its input.

    The corruption belongs to the training room; at inference a DAE is fed the clean photo.
    """


class VAE(Normalised):
    """Variational autoencoder with a 128-dimensional code, 26,009,603 parameters."""

    def __init__(self) -> None:
        super().__init__()
        size = _CODE_SHAPE[0] * _CODE_SHAPE[1] * _CODE_SHAPE[2]
        self.encoder = _encoder()
        self.to_mean = nn.Linear(size, LATENT)
        self.to_log_variance = nn.Linear(size, LATENT)
        self.from_code = nn.Linear(LATENT, size)
        self.decoder = _decoder()

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """N×3×256×256 in 0..1 → code mean and log variance (clamped to [−20, 2]), N×128 each."""
        features = self.encoder(self.normalise(pixels)).flatten(1)
        low, high = LOG_VARIANCE_RANGE
        return self.to_mean(features), self.to_log_variance(features).clamp(low, high)

    def decode(self, code: Tensor) -> Tensor:
        """N×128 code → N×3×256×256 reconstruction in the normalised space."""
        features = self.from_code(code).view(-1, *_CODE_SHAPE)
        # The view is channels-first; without this the decoder runs its slower layout.
        features = features.contiguous(memory_format=torch.channels_last)
        output: Tensor = self.decoder(features)
        return output

    def forward(self, pixels: Tensor) -> Tensor:
        """Reconstruction from the code's mean (no sampling, no log variance)."""
        features = self.encoder(self.normalise(pixels)).flatten(1)
        return self.denormalise(self.decode(self.to_mean(features)))

    def sample(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For training: (normalised reconstruction of a sampled code, its mean, log variance)."""
        mean, log_variance = self.encode(pixels)
        code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.decode(code), mean, log_variance


Autoencoder = CAE | VAE


def build_autoencoder(model: AutoencoderName) -> Autoencoder:
    """The untrained network of that name, in evaluation-fast `channels_last` layout."""
    classes: dict[AutoencoderName, type[CAE] | type[VAE]] = {"cae": CAE, "vae": VAE, "dae": DAE}
    network = classes[model]()
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def fold_batch_norm(network: Autoencoder) -> Autoencoder:
    """The same function in fewer passes over memory, in place: for inference only.

    Each BatchNorm becomes part of the convolution before it; what is left of it does nothing. A
    VAE's log variance, a third of its bytes, is for training: it goes.
    """
    if isinstance(network, VAE):
        del network.to_log_variance
    for stack in (network.encoder, network.decoder):
        for i, layer in enumerate(stack):
            if isinstance(layer, nn.BatchNorm2d):
                conv = stack[i - 1]
                assert isinstance(conv, (nn.Conv2d, nn.ConvTranspose2d))
                transpose = isinstance(conv, nn.ConvTranspose2d)
                fused = fuse_conv_bn_eval(conv, layer.eval(), transpose=transpose)
                fused.requires_grad_(False)
                fused.weight.data = fused.weight.contiguous(memory_format=torch.channels_last)
                stack[i - 1], stack[i] = fused, nn.Identity()
    return network


def count_parameters(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in network.parameters())
