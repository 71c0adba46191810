"""What the summary of a refinement adds to a report: steps, parameters, uncertainties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smalti.steps.reporting.moved import STILL_UM
from smalti.steps.reporting.numbers import significant

__all__ = ["Refinement"]

SHIFTS = ("fast", "slow", "normal")
TURNS = ("tilt_fast", "tilt_slow", "rotation")
"""Keys of a panel's rotation about its fast axis, slow axis and normal."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refinement:
    """The parts of a refinement's summary that the report shows; all may be absent.

    Attributes
    ----------
    steps : list of dict
        ``round``, ``step``, ``n``, ``rmsd`` (um, um, mdeg), ``objective``.
    ended : str
        Why it ended.
    parameters : list of dict
        ``name``, ``label``, ``value``, ``shift``, ``esd``, ``unit``, ``prior_share``.
    panels : dict
        Flat number of a panel to its ``displacement_um``, ``displacement_esd_um``, ``turn_mrad``,
        ``turn_esd_mrad`` (three numbers each: fast, slow, normal), ``prior_share``, ``corner_um`` (the
        largest displacement of a corner, and its ESD), ``halves_sigma``, ``weakest``, and ``doubt``
        where the refinement does not believe it.
    whole : dict or None
        ``shift_um``, ``shift_esd_um``, ``turn_mrad``, ``turn_esd_mrad`` of the detector, laboratory axes.
    reasons : tuple of str
        Why the refinement itself says that its result should not be believed.
    free : dict or None
        RMSDs over reflections that took no part: ``n``, ``um`` (um, um, mdeg).
    cell_esd : list or None
    left_out : dict
        Number of an experiment that was left out to the reason.
    drift : Mapping or None
        As the refinement tells it.
    rejected : dict or None
        ``left_out`` (reason to number), ``n``, ``fraction``, ``expected_of_good``, ``n_mislabelled``,
        ``n_mislabelled_by_chance``.
    gauge : str
        What is held because no data see it.
    weak_modes, correlations : list of dict
        As the refinement tells them.
    """

    steps: list[dict[str, Any]] = field(default_factory=list)
    ended: str = ""
    parameters: list[dict[str, Any]] = field(default_factory=list)
    panels: dict[int, dict[str, Any]] = field(default_factory=dict)
    whole: dict[str, Any] | None = None
    reasons: tuple[str, ...] = ()
    free: dict[str, Any] | None = None
    cell_esd: list[float | None] | None = None
    left_out: dict[int, str] = field(default_factory=dict)
    drift: Row | None = None
    rejected: dict[str, Any] | None = None
    gauge: str = ""
    weak_modes: list[dict[str, Any]] = field(default_factory=list)
    correlations: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, details: Row | None) -> Refinement:
        """Read the summary of a refinement, as it stands in the ``.json`` beside the refined files."""
        if not details:
            return cls()
        summary = details.get("result", details)
        parameters = [_parameter(row) for row in summary.get("parameters") or ()]
        detectors: Sequence[Row] = summary.get("detectors") or []
        crystals: Sequence[Row] = summary.get("crystals") or []
        first = [row for row in summary.get("panels") or () if row.get("detector", 1) == 1]
        return cls(
            steps=[_step(row) for row in summary.get("steps") or ()],
            ended=str(summary.get("ended") or ""),
            parameters=parameters,
            panels=_panels(first),
            whole=next((_whole(row) for row in detectors), None),
            reasons=tuple((summary.get("verdict") or {}).get("reasons") or ()),
            free=_free(summary.get("free")),
            cell_esd=_round(crystals[0].get("cell_esd"), 2) if len(crystals) == 1 else None,
            left_out={
                int(row["experiment"]): str(row["why"])
                for row in summary.get("experiments") or ()
                if row.get("why")
            },
            drift=summary.get("drift"),
            rejected=_rejected(summary),
            gauge=str(summary.get("gauge") or "").removeprefix("held: "),
            weak_modes=[_mode(row) for row in summary.get("weak_modes") or ()],
            correlations=[_correlation(row) for row in summary.get("correlations") or ()],
        )


def _rejected(summary: Row) -> dict[str, Any] | None:
    row = summary.get("rejected")
    if not row:
        return None
    keys = ("n", "fraction", "expected_of_good", "n_mislabelled", "n_mislabelled_by_chance")
    shares = {key: _round([row.get(key)], 3) for key in keys}
    counts = {str(reason): int(count) for reason, count in (summary.get("left_out") or {}).items()}
    return {"left_out": counts, **{key: found[0] if found else None for key, found in shares.items()}}


def _mode(row: Row) -> dict[str, Any]:
    figures = {key: _round([row.get(key)], 3) for key in ("eigenvalue", "prior_share")}
    words = {key: str(row.get(key) or "") for key in ("name", "kind")}
    return {**words, **{key: found[0] if found else None for key, found in figures.items()}}


def _correlation(row: Row) -> dict[str, Any]:
    value = _round([row.get("correlation")], 4)
    names = {key: str(row.get(key) or "") for key in ("first", "second")}
    return {**names, "correlation": value[0] if value else None}


def _round(
    values: Sequence[float | None] | None, digits: int = 4, scale: float = 1.0
) -> list[float | None] | None:
    if values is None:
        return None
    return [None if value is None else significant(float(value) * scale, digits) for value in values]


def _free(row: Row | None) -> dict[str, Any] | None:
    """RMSDs of what took no part: um, um, mdeg."""
    keys = ("rmsd_x_mm", "rmsd_y_mm", "rmsd_phi_deg")
    if not row or any(row.get(key) is None for key in keys):
        return None
    return {"n": row.get("n"), "um": _round([row[key] for key in keys], scale=1e3)}


def _step(row: Row) -> dict[str, Any]:
    rmsd = (row.get("rmsd_x_mm"), row.get("rmsd_y_mm"), row.get("rmsd_phi_deg"))
    objective = row.get("objective")
    return {
        "round": row.get("round"),
        "step": row.get("step"),
        "n": row.get("n"),
        "rmsd": _round(rmsd, scale=1e3),
        "objective": None if objective is None else significant(float(objective), 7),
    }


def _parameter(row: Row) -> dict[str, Any]:
    numbers = {
        key: _round([row.get(key)], digits) for key, digits in (("value", 7), ("shift", 4), ("esd", 3))
    }
    share = _round([row.get("prior_share")], 2)
    return {
        "name": str(row.get("name", "")),
        "label": str(row.get("label") or row.get("name", "")),
        "unit": str(row.get("unit", "")),
        **{key: found[0] if found else None for key, found in numbers.items()},
        "prior_share": share[0] if share else None,
    }


def _panels(rows: Sequence[Row]) -> dict[int, dict[str, Any]]:
    """Read what moved; a refinement of the whole detector moves no panel against the others."""
    found = {int(row["panel"]): _motion(row) for row in rows if "panel" in row}
    shifts = [abs(v or 0.0) for motion in found.values() for v in motion.get("displacement_um") or ()]
    if max(shifts, default=0.0) < STILL_UM:
        kept = ("prior_share", "doubt")
        return {panel: {k: motion[k] for k in kept if k in motion} for panel, motion in found.items()}
    return found


def _motion(row: Row) -> dict[str, Any]:
    share = _round([row.get("prior_share")], 2)
    found: dict[str, Any] = {"prior_share": share[0] if share else None}
    if row.get("believed") is False:
        found["doubt"] = str(row.get("why") or "not believed")
    if "shift_fast_um" in row:
        found["moved"] = row.get("moved")
        found["displacement_um"] = _round([row.get(_shift_key(axis)) for axis in SHIFTS])
        found["displacement_esd_um"] = _round([row.get(f"esd_{axis}_um") for axis in SHIFTS], 3)
        found["turn_mrad"] = _round([row.get(f"{axis}_mrad") for axis in TURNS])
        found["turn_esd_mrad"] = _round([row.get(f"esd_{axis}_mrad") for axis in TURNS], 3)
        found["corner_um"] = _worst_corner(row)
        halves = _round([row.get("half_difference_sigma")], 3)
        found["halves_sigma"] = halves[0] if halves else None
        found["weakest"] = str(row.get("weakest") or "")
    return found


def _worst_corner(row: Row) -> list[float | None] | None:
    """Displacement and ESD (um) of the corner that moved most."""
    corners = [float(value) for value in row.get("corner_um") or ()]
    if not corners:
        return None
    esds = row.get("esd_corner_um") or [None] * len(corners)
    worst = corners.index(max(corners))
    return [significant(corners[worst]), *(_round([esds[worst]], 3) or [])]


def _shift_key(axis: str) -> str:
    return "normal_um" if axis == "normal" else f"shift_{axis}_um"


def _whole(row: Row) -> dict[str, Any]:
    return {
        "shift_um": _round(row.get("shift_mm"), scale=1e3),
        "shift_esd_um": _round(row.get("esd_shift_mm"), 2, scale=1e3),
        "turn_mrad": _round(row.get("rotation_mrad")),
        "turn_esd_mrad": _round(row.get("esd_rotation_mrad"), 2),
    }
