"""The options of a refinement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from smalti.errors import UsageError
from smalti.options import option, suggest

__all__ = ["RefineOptions", "is_fixed"]

_BEAM: dict[str, tuple[str, ...]] = {
    "in_spindle_plane": ("Mu1",),
    "out_spindle_plane": ("Mu2",),
    "wavelength": ("nu",),
    "all": ("",),
}
_CRYSTAL: dict[str, tuple[str, ...]] = {"orientation": ("Phi",), "cell": ("g_param",), "all": ("",)}
_DETECTOR: dict[str, tuple[str, ...]] = {
    "position": ("Dist", "Shift"),
    "orientation": ("Tau",),
    "distance": ("Dist", "Tau2", "Tau3"),
    "all": ("",),
}
_GROUPS = {"Beam": _BEAM, "Crystal": _CRYSTAL, "Detector": _DETECTOR}


@dataclass(frozen=True)
class RefineOptions:
    """What is refined, against which reflections, and when it ends."""

    fix_beam: tuple[str, ...] = option(
        ("in_spindle_plane", "wavelength"),
        "Parts of the beam to hold: in_spindle_plane (Mu1), out_spindle_plane (Mu2), wavelength (nu), all.",
    )
    fix_crystal: tuple[str, ...] = option((), "Parts of the crystal to hold: orientation, cell, all.")
    fix_detector: tuple[str, ...] = option(
        (), "Parts of the detector to hold: position, orientation, distance (Dist, Tau2, Tau3), all."
    )
    fix: tuple[str, ...] = option((), "More parameters to hold, by part of their names: Tau1, Group12, ...")
    refine_setting: bool = option(False, "Refine the setting rotation of the goniometer (Gamma1, Gamma2).")
    refine_still_beams: bool = option(
        False, "Refine beams that only stills use, as far as fix_beam lets; their crystals follow them."
    )
    equal_shifts: tuple[str, ...] = option(
        (),
        "Parameters that move by one common amount, as patterns: Detector*Dist, Crystal1Phi1+Crystal2Phi1.",
    )
    tiles: Literal["auto", "shared", "own"] = option(
        "auto",
        "Tiles of several detectors: shared where they are one detector that stands in several places, each "
        "in a frame of its own; auto tells by names, pixels and arrangement.",
    )
    drift_by: Literal["off", "experiment", "epoch"] = option(
        "off",
        "Let the detector drift: from experiment to experiment in their order, or by the epochs of their "
        "scans.",
    )
    drift_interval: float = option(
        1.0, "Length of a step in which the detector stands still: experiments, or hours.", gt=0
    )
    drift: tuple[str, ...] = option(
        ("Dist", "Shift1", "Shift2"),
        "Parameters of the detector that drift: Dist, Shift1, Tau2 of the whole, Group3*, ...",
        min_length=1,
    )
    drift_place: float = option(
        5.0,
        "How far a place walks in an hour, or from one experiment to the next (standard deviation).",
        unit="um",
        gt=0,
    )
    drift_angle: float = option(0.02, "The same of an angle.", unit="mrad", gt=0)
    crystals: Literal["given", "own", "one_cell"] = option(
        "given",
        "Crystals of several sweeps: shared as in the file, each sweep its own, or each its own orientation "
        "and all one cell.",
    )
    similar_cells: float = option(
        0.0, "Draw the cells of crystals to their mean, with this sigma relative to an axis; 0: do not.", ge=0
    )
    cell_target: tuple[float, ...] = option(
        (), "Draw cells to this one (with cell_sigma).", unit="Angstrom, deg"
    )
    cell_sigma: tuple[float, ...] = option(
        (), "How strongly: six standard deviations, 0 for a constant that is not drawn.", unit="Angstrom, deg"
    )
    distance: float = option(
        0.0,
        "Draw the distance of the detector to this (with distance_sigma); 0: to where it is.",
        unit="mm",
        ge=0,
    )
    distance_sigma: float = option(0.0, "How strongly: a standard deviation; 0: do not.", unit="mm", ge=0)
    weak_priors: bool = option(
        True, "Hold beam, cell and setting by weak priors that are felt only where data are few."
    )
    spindle_cut: float = option(
        0.0,
        "Leave out reflections with |zeta| below this, the cosine of the angle between spindle and rocking "
        "direction; 0: they count for less, the nearer they are.",
        ge=0,
        lt=1,
    )
    scan_varying: Literal["off", "orientation", "cell", "all"] = option(
        "off", "What of each crystal varies over its scan, after a refinement in which nothing does."
    )
    scan_interval: float = option(
        36.0,
        "Least angle from one sample of what varies to the next; 0: as the reflections ask for.",
        unit="deg",
        ge=0,
    )
    close_to_spindle: float = option(
        0.0, "The same in the form of DIALS: leave out |(s1 x s0).axis| (1/Angstrom^2) up to this.", ge=0
    )
    scan_margin: float = option(
        0.0, "Leave out reflections this near to an end of the scan.", unit="deg", ge=0
    )
    edge_spots: bool = option(
        False, "Use spots that an edge of their panel cuts, too; their centroids are drawn inwards."
    )
    use_all: bool = option(True, "Use all reflections; otherwise a random part of them.")
    reflections_per_degree: int = option(
        100, "How many to use per degree of rotation, if not all.", unit="1/deg", ge=1
    )
    noise: Literal["estimated", "table"] = option(
        "estimated",
        "Variances of centroids: estimated from the residuals, or as in the table but for one common factor.",
    )
    delta_psi_sigma: float = option(
        0.0,
        "Weigh DeltaPsi of stills with this standard deviation; 0: estimated, still by still. Larger ones "
        "fit x and y of the same spots better, and predict no better.",
        unit="mrad",
        ge=0,
    )
    parallax: bool = option(
        True,
        "Work millimetres out from pixels anew as the geometry moves, on panels that correct for parallax.",
    )
    free_fraction: float = option(
        0.05,
        "Part of the reflections that is held out of the fit, to tell how well it predicts; 0: none.",
        ge=0,
        lt=0.5,
    )
    free_minimum: int = option(1000, "Hold none out where there are fewer reflections than this.", ge=0)
    halves: Literal["auto", "reflections", "crystals", "wedges", "scan", "off"] = option(
        "auto",
        "Compare refinements of two halves: every other reflection, every other crystal, every other "
        "phi_block, halves of scans; auto: of crystals where there are 30 or more.",
    )
    eliminate_crystals: Literal["auto", "always", "never"] = option(
        "auto",
        "Solve for what crystals share alone, each crystal at its best: auto with 30 crystals or more; "
        "memory and time are then in proportion to their number.",
    )
    crystals_that_do_not_fit: Literal["leave_out", "keep"] = option(
        "leave_out",
        "Of many crystals, those with too few reflections, and those whose spots scatter far more than "
        "those of the others.",
    )
    minimum_per_crystal: int = option(
        0, "Leave out crystals with fewer reflections than this; 0: two for each parameter of its own.", ge=0
    )
    minimum_reflections: int = option(10, "Refuse to refine against fewer reflections than this.", ge=3)
    phi_block: float = option(18.0, "Judge outliers in blocks of rotation of this width.", unit="deg", gt=0)
    minimum_stratum: int = option(40, "Join neighbouring blocks until each has this many reflections.", ge=5)
    rounds: int = option(4, "Most rounds of judging outliers and minimising.", ge=1)
    seed: int = option(42, "Seed of every random choice.", ge=0)
    n_threads: int = option(0, "Threads of the kernels; 0 is one for every core.", ge=0)


def is_fixed(name: str, options: RefineOptions) -> bool:
    """Tell whether a parameter (``Detector1Group12Tau2``) is held.

    Raises
    ------
    UsageError
        A fix list holds a word that is not known.
    """
    lists = {"Beam": options.fix_beam, "Crystal": options.fix_crystal, "Detector": options.fix_detector}
    for model, words in _GROUPS.items():
        for word in lists[model]:
            if word not in words:
                raise UsageError(
                    f"fix_{model.lower()} does not know '{word}'.",
                    f"It holds parts of the {model.lower()}: {', '.join(words)}.",
                    suggest(word, list(words)),
                )
            if name.startswith(model) and any(part in name for part in words[word]):
                return True
    return any(part in name for part in options.fix)
