"""What is known of the symmetry of a lattice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smalti.geometry.change_of_basis import as_operator
from smalti.geometry.lattice_symmetry import Setting
from smalti.steps.refining.refine import Fitted
from smalti.steps.reindexing import Reindexed
from smalti.text import table

__all__ = ["GROUPS", "Choice", "Symmetry"]

GROUPS = {
    "aP": "P 1",
    "mP": "P 1 2 1",
    "mC": "C 1 2 1",
    "oP": "P 2 2 2",
    "oC": "C 2 2 2",
    "oI": "I 2 2 2",
    "oF": "F 2 2 2",
    "tP": "P 4 2 2",
    "tI": "I 4 2 2",
    "hR": "R 3 2:H",
    "hP": "P 6 2 2",
    "cP": "P 4 3 2",
    "cI": "I 4 3 2",
    "cF": "F 4 3 2",
}
"""The Bravais lattices from low to high, with the rotations that each lattice has. The symmetry of the
crystal may be a part of them: positions of spots do not tell."""


@dataclass(frozen=True)
class Choice:
    """One lattice, and what refinement under it came to.

    Attributes
    ----------
    setting : Setting
        From the primitive axes.
    reindexed : Reindexed
        On its axes, before refinement.
    refined : Fitted or None
        None where refinement failed.
    rmsd : tuple of three float or None
        x px, y px, z images of the reflections that the triclinic refinement used.
    ratio : float or None
        Largest of the three over that of the triclinic lattice.
    problem : str
        Why it was not refined; "" if it was.
    """

    setting: Setting
    reindexed: Reindexed
    refined: Fitted | None
    rmsd: tuple[float, float, float] | None
    ratio: float | None
    problem: str = ""


@dataclass(frozen=True)
class Symmetry:
    """All lattices tried, and the one to take.

    Attributes
    ----------
    choices : tuple of Choice
        From low to high symmetry.
    recommended : str
        By the rule.
    taken : str
        The same, or what the user asked for.
    worse : float
        Of the rule.
    """

    choices: tuple[Choice, ...]
    recommended: str
    taken: str
    worse: float

    @property
    def chosen(self) -> Choice:
        """The lattice taken."""
        return next(item for item in self.choices if item.setting.bravais == self.taken)

    def summary(self) -> dict[str, Any]:
        """Give the ``result`` of the command."""
        return {
            "recommended": self.recommended,
            "taken": self.taken,
            "worse": self.worse,
            "lattices": [_row(item) for item in self.choices],
        }

    def text(self) -> str:
        """The same for people."""
        rows = [_cells(item, self.recommended) for item in self.choices]
        heads = (
            "lattice", "distortion\n(deg)", "a", "b", "c", "alpha", "beta", "gamma",
            "RMSD_X\n(px)", "RMSD_Y\n(px)", "RMSD_Z\n(images)", "worse\nby", "",
        )  # fmt: skip
        lines = [
            table(heads, rows, title="Lattices, refined under the symmetry of each:"),
            f"Recommended: {self.recommended}, the highest symmetry under which no RMSD is more than "
            f"{self.worse:g} times that of aP.",
            "Positions of spots tell the symmetry of the lattice; that of the crystal may be lower.",
        ]
        return "\n".join(lines)


def _row(choice: Choice) -> dict[str, Any]:
    crystal = choice.refined.experiments[0].crystal if choice.refined else None
    x, y, z = choice.rmsd or (None, None, None)
    return {
        "lattice": choice.setting.bravais,
        "space_group": choice.reindexed.space_group,
        "operator": as_operator(choice.reindexed.operator),
        "distortion_deg": choice.setting.distortion,
        "cell_found": list(choice.setting.cell),
        "cell": None if crystal is None else list(crystal.cell),
        "n_used": choice.refined.results["n_used"] if choice.refined else None,
        "rmsd_x_px": x,
        "rmsd_y_px": y,
        "rmsd_z_images": z,
        "ratio": choice.ratio,
        "problem": choice.problem,
    }


def _cells(choice: Choice, recommended: str) -> tuple[str, ...]:
    crystal = choice.refined.experiments[0].crystal if choice.refined else None
    cell = choice.setting.cell if crystal is None else crystal.cell
    rmsd = ("", "", "") if choice.rmsd is None else tuple(f"{value:.3f}" for value in choice.rmsd)
    ratio = "" if choice.ratio is None else f"{choice.ratio:.2f}"
    remark = choice.problem or ("<--" if choice.setting.bravais == recommended else "")
    numbers = (*(f"{value:.2f}" for value in cell[:3]), *(f"{value:.2f}" for value in cell[3:]))
    return (choice.setting.bravais, f"{choice.setting.distortion:.2f}", *numbers, *rmsd, ratio, remark)
