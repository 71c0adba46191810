"""A stream finds the displaced panels again, and writes what one refinement in memory would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.errors import DataError, UsageError
from smalti.geometry.superposition import panel_motions
from smalti.progress import silent
from smalti.roles import Minimiser
from smalti.steps.pools import Pool
from smalti.steps.refining import RefineOptions
from smalti.steps.streaming import Journal, Streamed, StreamOptions, find_pairs, refine_stream, survey_all
from smalti.steps.streaming.common import Common, common_of
from smalti.steps.streaming.fitting import fit
from smalti.steps.streaming.passing import Files, Runner
from smalti.steps.streaming.source import StreamSource
from smalti.steps.streaming.sums import Sums
from smalti.steps.streaming.survey import Survey
from smalti.steps.streaming.writing import write_refined
from smalti.storage import read_experiments, read_reflections, write_experiments, write_reflections
from smalti.tables import Flag
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.minimisers.levenberg_marquardt import LevenbergMarquardt
from smalti_plugins.minimisers.scipy_least_squares import ScipyLeastSquares
from smalti_plugins.outliers.sauter_poon import SauterPoon


@pytest.fixture(scope="module")
def streamed(surveys: tuple[Survey, ...], threads: Pool) -> Streamed:
    return refined(surveys, threads)


def refined(surveys: tuple[Survey, ...], pool: Pool, **options: object) -> Streamed:
    return refine_stream(
        surveys, Hierarchical(level=1), LevenbergMarquardt(), SauterPoon(), RefineOptions(),
        StreamOptions(**options), pool, Journal(),
    )  # fmt: skip


def test_displaced_panels_are_found(streamed: Streamed, stills: Path) -> None:
    true = read_experiments(next(stills.glob("truth*.expt")))[0].detector
    found = streamed.detector
    size = np.array([panel.size_mm for panel in found.panels])
    away = panel_motions(found.stacked(), true.stacked(), size).shift
    known = streamed.fitted.known.moved.own_covariance
    pulls = away[:, :2] / np.sqrt(np.einsum("pii->pi", known)[:, :2])
    assert np.hypot(away[:, 0], away[:, 1]).max() < 0.01
    assert 0.3 < np.sqrt(np.mean(pulls**2)) < 2.0
    assert streamed.trustworthy
    assert streamed.results["reduced_chi_squared"] == pytest.approx(1.0, abs=0.05)


def test_a_sample_comes_first_and_changes_little(
    streamed: Streamed, surveys: tuple[Survey, ...], threads: Pool
) -> None:
    sampled = refined(surveys, threads, sample=16)
    assert "sample" in sampled.results["seconds"]
    away = np.abs(sampled.fitted.p - streamed.fitted.p) / streamed.fitted.known.uncertainty.esd
    assert away.max() < 0.3


def test_every_table_can_be_told(streamed: Streamed) -> None:
    text = streamed.text()
    assert "48 crystals in 2 pairs of files" in text
    assert "Verdict: trustworthy" in text
    assert len(streamed.results["panels"]) == 3
    assert streamed.results["halves"]["reduced_chi_squared"] < 3.0


def test_priors_count_however_many_crystals_there_are(streamed: Streamed) -> None:
    """What only priors tell looks like nothing beside the curvature of a hundred thousand crystals."""
    known = streamed.fitted.known
    sums = known.sums
    many = replace(sums, matrix=1e6 * sums.matrix, gradient=1e6 * sums.gradient)
    assert known.n_null == 0 == replace(known, sums=many).n_null
    none = replace(known.prior, precision=np.zeros_like(known.prior.precision))
    assert replace(known, sums=many, prior=none).n_null > 0


@pytest.fixture(scope="module")
def written(
    streamed: Streamed, surveys: tuple[Survey, ...], threads: Pool, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("written")
    history = ({"id": "x", "program": "smalti"},)
    write_refined(
        streamed.fitted.order, surveys, folder / "r.expt", folder / "r.refl", folder, threads, history
    )
    return folder


def test_what_is_written_is_one_data_set(
    written: Path, streamed: Streamed, surveys: tuple[Survey, ...]
) -> None:
    experiments, table = read_experiments(written / "r.expt"), read_reflections(written / "r.refl")
    given = [read_reflections(item.pair.reflections) for item in surveys]
    models = [model for item in surveys for model in read_experiments(item.pair.experiments)]
    assert len(experiments) == 48
    assert table.n_rows == sum(item.n_rows for item in given)
    np.testing.assert_array_equal(table["miller_index"], np.concatenate([t["miller_index"] for t in given]))
    np.testing.assert_array_equal(table["id"], np.concatenate([given[0]["id"], given[1]["id"] + 24]))
    assert [item.identifier for item in experiments] == [item.identifier for item in models]
    assert table.identifiers == {k: item.identifier for k, item in enumerate(models) if item.identifier}
    assert len({id(item.detector) for item in experiments}) == 1
    np.testing.assert_allclose(experiments[0].detector.stacked(), streamed.detector.stacked(), atol=1e-12)
    assert experiments.history == table.history == ({"id": "x", "program": "smalti"},)
    # Wavelengths are held; crystals are not where they were.
    assert [item.beam.wavelength for item in experiments] == [item.beam.wavelength for item in models]
    turned = [a.crystal.A - b.crystal.A for a, b in zip(experiments, models, strict=True)]  # type: ignore[union-attr]
    assert np.abs(turned).max(axis=(1, 2)).min() > 0.0


def test_flags_say_what_became_of_each_reflection(written: Path, streamed: Streamed) -> None:
    table = read_reflections(written / "r.refl")
    used = table.flagged(Flag.USED_IN_REFINEMENT)
    assert int(used.sum()) == streamed.results["n_used"]
    assert int(table.flagged(Flag.CENTROID_OUTLIER).sum()) == streamed.results["n_rejected"]
    off = table["xyzcal.mm"][used, :2] - table["xyzobs.mm.value"][used, :2]
    rmsd = np.sqrt(np.mean(off**2, axis=0))
    np.testing.assert_allclose(rmsd, streamed.fitted.sums.rmsd[:2], rtol=1e-3)


@pytest.mark.dials
def test_dials_reads_what_is_written(written: Path, dials: str) -> None:
    import subprocess

    command = [f"{dials}/dials.show", str(written / "r.expt"), str(written / "r.refl")]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=written).stdout
    assert f"Reflection list contains {read_reflections(written / 'r.refl').n_rows} reflections" in shown


def test_a_level_is_not_chosen(common: Common) -> None:
    with pytest.raises(UsageError, match="does not choose the level"):
        common_of(
            common.example, Hierarchical(level="auto"), common.rejector, RefineOptions(),
            any_detector=False, one_beam=False,
        )  # fmt: skip


def test_what_needs_all_crystals_at_once_is_refused(common: Common) -> None:
    for options in (RefineOptions(crystals="one_cell"), RefineOptions(similar_cells=0.01)):
        with pytest.raises(UsageError, match="A stream does not know"):
            common_of(
                common.example, common.parameterisation, common.rejector, options,
                any_detector=False, one_beam=False,
            )  # fmt: skip


@pytest.mark.parametrize("minimiser", [GaussNewton(), ScipyLeastSquares()])
def test_other_minimisers_find_the_same(
    surveys: tuple[Survey, ...], threads: Pool, minimiser: Minimiser, streamed: Streamed
) -> None:
    order = replace(streamed.fitted.order, at=np.zeros_like(streamed.fitted.p))
    runner = Runner(Files(surveys), threads, Journal(), silent, "testing")
    found = fit(order, streamed.fitted.prior, runner, minimiser, 1)
    away = np.abs(found.p - streamed.fitted.p) / streamed.fitted.known.uncertainty.esd
    assert away.max() < 0.02


def test_a_minimiser_that_wants_residuals_is_refused(common: Common) -> None:
    source = StreamSource(common, common.prior, lambda p: Sums.none(len(p), common.n_panels))
    for ask in (source.residuals, source.jacobian):
        with pytest.raises(UsageError, match="cannot refine a stream"):
            ask(np.zeros(source.n_parameters))


def test_another_detector_is_refused_unless_it_does_not_matter(
    surveys: tuple[Survey, ...], threads: Pool, tmp_path: Path
) -> None:
    pair = surveys[1].pair
    models = read_experiments(pair.experiments)
    d = models[0].detector.stacked()
    d[1, 0, 2] += 0.01
    moved = models[0].detector.with_panel_frames(d)
    write_experiments(
        tmp_path / "b.expt", replace(models, items=tuple(replace(item, detector=moved) for item in models))
    )
    write_reflections(tmp_path / "b.refl", read_reflections(pair.reflections))
    both = survey_all([surveys[0].pair, *find_pairs([tmp_path])], threads)
    with pytest.raises(DataError, match="The detector of .*b.expt"):
        refined(both, threads)
    assert refined(both, threads, detector="first").results["n_crystals"] == 48


def test_crystals_that_do_not_fit_are_left_out(
    surveys: tuple[Survey, ...], threads: Pool, tmp_path: Path
) -> None:
    pair = surveys[0].pair
    table = read_reflections(pair.reflections)
    h = np.array(table["miller_index"])
    wrong = table["id"] == 7
    h[wrong] += np.random.default_rng(0).integers(-2, 3, (int(wrong.sum()), 3))
    write_reflections(tmp_path / "a.refl", table.with_columns({"miller_index": h}))
    write_experiments(tmp_path / "a.expt", read_experiments(pair.experiments))
    result = refined(survey_all(find_pairs([tmp_path]), threads), threads).results
    assert result["n_crystals"] == 23
    assert sum(result["left_out"].values()) >= 1
