"""The thesis's steel-surface classifier: layers only.

The thesis prints 11,177,030 parameters; its own layer list gives the 390,918 built here.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from defect.networks.autoencoders import WIDTHS, Normalised


class SteelCNN(Normalised):
    """The thesis's six-class steel-surface classifier, 390,918 parameters."""

    def __init__(self, classes: int = 6) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in zip((3, *WIDTHS[:-1]), WIDTHS, strict=True):
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out)]
            layers += [nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(WIDTHS[-1], classes)

    def feature_map(self, pixels: Tensor) -> Tensor:
        """N×3×256×256 in 0..1 → N×256×16×16, the map Grad-CAM weighs."""
        features: Tensor = self.features(self.normalise(pixels))
        return features

    def classify(self, feature_map: Tensor) -> Tensor:
        """N×256×16×16 → N×6 logits."""
        pooled = F.adaptive_avg_pool2d(feature_map, 1).flatten(1)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits

    def forward(self, pixels: Tensor) -> Tensor:
        """N×3×256×256 in 0..1 → N×6 logits."""
        return self.classify(self.feature_map(pixels))
