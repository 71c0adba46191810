"""The charts of a report, made of its figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from smalti.charts import Chart, Curve
from smalti.steps.reporting.markup import number, symbol

__all__ = ["charts_of"]

Data = Mapping[str, Any]


def charts_of(data: Data) -> dict[str, list[Chart]]:
    """Give the charts of each section by its key; a section without data has none."""
    return {
        "angle": _trend(data, data["angle"], "angle_deg", "rotation angle (deg)"),
        "order": _trend(data, data["order"], "experiment", "experiment"),
        "resolution": _resolution(data),
        "intensity": _intensity(data),
        "distributions": [*_histograms(data), *_quantiles(data)],
        "images": [_images(data)],
    }


def _names(data: Data) -> list[tuple[str, str]]:
    return [("X", "µm"), ("Y", "µm"), (symbol(data["third"]), "mdeg")]


def _trend(data: Data, trend: Data, key: str, label: str) -> list[Chart]:
    """Give the three mean residuals, each in a band of its RMSD; nothing where there is no trend."""
    if not trend[key]:
        return []
    charts = []
    for k, (name, unit) in enumerate(_names(data)):
        mean, rms = ([row[k] for row in trend[what]] for what in ("mean", "rmsd"))
        curve = Curve("mean, in a band of ± RMSD", mean, rms)
        charts.append(Chart(f"{name}, calculated − observed", label, f"{name} ({unit})", trend[key], [curve]))
    return charts


def _resolution(data: Data) -> list[Chart]:
    trend = data["resolution"]
    if not trend["d"]:
        return []
    x = [1.0 / d**2 for d in trend["d"]]
    marks = [(1.0 / d**2, f"{d:.3g}") for d in _spread(trend["d"])]
    return _by_size(data, trend, x, "resolution (Angstrom)", marks)


def _intensity(data: Data) -> list[Chart]:
    trend = data["intensity"]
    if not trend["log10_counts"]:
        return []
    x = trend["log10_counts"]
    steps = (1, 3) if x[-1] - x[0] > 1.5 else (1, 2, 5)
    counts = [n * 10.0**k for k in range(math.floor(x[0]), math.ceil(x[-1]) + 1) for n in steps]
    marks = [(math.log10(n), f"{n:,.6g}") for n in counts if x[0] <= math.log10(n) <= x[-1]]
    return _by_size(data, trend, x, "intensity (counts)", marks)


def _by_size(
    data: Data, trend: Data, x: Sequence[float], label: str, marks: Sequence[tuple[float, str]]
) -> list[Chart]:
    """Give RMSDs and means of X and Y, and the RMSD of the third residual."""

    def curves(what: str, word: str) -> list[Curve]:
        return [Curve(f"{word} {name}", [row[k] for row in trend[what]]) for k, name in enumerate("XY")]

    third = symbol(data["third"])
    angles = [Curve(f"RMSD {third}", [row[2] for row in trend["rmsd"]])]
    return [
        Chart("RMSD on the detector", label, "RMSD (µm)", x, curves("rmsd", "RMSD"), x_ticks=marks),
        Chart(
            "Mean residual on the detector",
            label,
            "mean residual (µm)",
            x,
            curves("mean", "mean"),
            x_ticks=marks,
        ),
        Chart(f"RMSD in {third}", label, f"RMSD {third} (mdeg)", x, angles, x_ticks=marks),
    ]


def _spread(d: Sequence[float]) -> list[float]:
    """Pick about five resolutions that lie evenly in 1/d^2."""
    low, high = 1.0 / d[0] ** 2, 1.0 / d[-1] ** 2
    if high <= low:
        return [d[0]]
    return [float(f"{(low + (high - low) * k / 4) ** -0.5:.3g}") for k in range(5)]


def _histograms(data: Data) -> list[Chart]:
    charts = []
    for (name, unit), histogram in zip(_names(data), data["histograms"], strict=True):
        curves = [Curve("used", histogram["used"], colour=1)]
        if histogram["before"] is not None:
            curves.append(Curve("before", histogram["before"], colour=3))
        if any(histogram["rejected"]):
            curves.append(Curve("rejected", histogram["rejected"], colour=4))
        note = (
            f"median {number(histogram['median'])}, robust sigma {number(histogram['robust_sigma'])}, "
            f"RMSD {number(histogram['rmsd'])} {unit}"
        )
        charts.append(
            Chart(f"{name}:", f"{name} ({unit})", "spots", histogram["edges"], curves, "stairs", note=note)
        )
    return charts


def _quantiles(data: Data) -> list[Chart]:
    """Quantiles of the residuals against those of a normal law: a straight line where they follow it."""
    normal = data["quantiles"]["normal"]
    if not normal:
        return []
    curves = [
        Curve(name, data["quantiles"][key], colour=k + 1)
        for k, (key, name) in enumerate((("x", "X"), ("y", "Y"), ("third", symbol(data["third"]))))
    ]
    curves.append(Curve("normal", normal, colour=4))
    note = "in robust sigmas; tails that bend away from the line are heavier than normal."
    return [Chart("Against a normal law", "normal quantile", "quantile", normal, curves, note=note)]


def _images(data: Data) -> Chart:
    images = data["images"]
    step = images["images_per_bin"]
    x = [float(images["first"] + step * k) for k in range(len(images["used"]))]
    curves = [
        Curve("used", images["used"], colour=1),
        Curve("indexed, not used", images["other"], colour=3),
        Curve("rejected", images["rejected"], colour=4),
        Curve("not indexed", images["unindexed"], colour=2),
    ]
    what = images["of"]
    label = f"spots per {what}" if step == 1 else f"spots per {step} {what}s"
    return Chart("Spots found", what, label, x, curves, "bars")
