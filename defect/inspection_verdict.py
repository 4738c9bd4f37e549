"""What an inspection says, in a sentence, and when it should not be believed."""

from __future__ import annotations

from defect.detectors.autoencoder import Inspection
from defect.inspection_regions import regions

UNFAMILIAR_SHARE = 0.4
"""Share of the photo over the normal limit from which it is taken for a photo of something else.

Chosen with test photos in view, so it only warns and decides no verdict. On a quarter of the MVTec
test photos, by CAE and DAE none of 478 photos of the category itself passes it; on a sixth of them,
by the memory 4 of 157, all of metal nuts; of photos of other products 96 to 97 in 100 do."""


def unfamiliar(inspection: Inspection) -> bool:
    """Whether the photo does not look like one of its category at all, whatever the threshold.

    A defect is a place that stands out; where nearly half the photo lies over the normal limit
    it is more likely another product, another side of it, or another way of taking the photo.
    """
    return float((inspection.anomaly_map >= 1).mean()) > UNFAMILIAR_SHARE


def sentence(inspection: Inspection) -> str:
    """The verdict and what speaks for it, such as `Defective: 1.83 × the normal limit, largest
    region upper left, 2.1 % of the photo.`"""
    word = "Defective" if inspection.defective else "Looks normal"
    return f"{word}: {reason(inspection)}"


def reason(inspection: Inspection) -> str:
    """What speaks for the verdict; the second half of `sentence`."""
    score = multiple(inspection.score)
    found = regions(inspection)
    if not found:
        return f"its strangest place reaches {score} × the normal limit."
    text = (
        f"{score} × the normal limit, largest region {found[0].where}, "
        f"{percent(found[0].area)} of the photo"
    )
    if len(found) > 1:
        text += f" ({len(found)} regions, {percent(sum(r.area for r in found))} in all)"
    return text + "."


def multiple(value: float) -> str:
    """A score or threshold with two digits, rounded down: a score of 0.996 must not read 1.00,
    or it would seem to reach a limit that it does not."""
    hundredths = round(value * 100)
    return f"{(hundredths - (hundredths / 100 > value)) / 100:.2f}"


def percent(share: float) -> str:
    """A share (0..1) of the photo as per cent; never 0 for something that is there."""
    return "under 0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %"
