"""The lines of the benchmark's one table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One measurement."""

    what: str
    value: float
    unit: str
    ratio: float | None = None
    of: str = ""
    """What the ratio is of."""
    floor: str = ""
    """What the ratio (or, without one, the value) must keep, such as `≤ 1.3`."""

    @property
    def kept(self) -> bool | None:
        """Whether the floor is kept; none where there is none."""
        if not self.floor:
            return None
        sign, bound = self.floor.split()[:2]
        value = self.value if self.ratio is None else self.ratio
        return value <= float(bound) if sign == "≤" else value >= float(bound)


def show(line: Line) -> str:
    """A line of the table."""
    ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
    mark = {None: "", True: "kept", False: "MISSED"}[line.kept]
    first = f"{line.what:40}{line.value:10.1f} {line.unit:10}"
    return f"{first}{ratio:>7} {line.of:32}{line.floor:>9}  {mark}"
