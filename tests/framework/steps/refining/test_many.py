"""Many experiments as distributions, and the columns of RMSDs."""

from __future__ import annotations

import numpy as np

from smalti.steps.refining.telling.many import experiments_text, summary_row
from smalti.steps.refining.telling.rmsd_columns import rmsd_columns, rmsd_heads, rmsd_words, third_head


def row(number, n=20, x=0.3, psi=0.7, z=None, why="", still=True):
    return {
        "experiment": number,
        "identifier": "",
        "still": still,
        "n_used": n,
        "n_rejected": 1 if n else 0,
        "rmsd_x_px": x if n else None,
        "rmsd_y_px": 0.3 if n else None,
        "rmsd_z_images": z,
        "rmsd_delta_psi_mrad": psi if n else None,
        "cell": [79.0, 79.0, 38.0, 90.0, 90.0, 90.0],
        "why": why,
    }


def crystal(a, group="P 43 21 2"):
    return {"space_group": group, "cell": [a, a, 38.0, 90.0, 90.0, 90.0], "volume": a * a * 38.0}


def test_the_summary_of_three_hundred():
    rows = [row(k, n=10 + k % 30) for k in range(300)]
    rows[17] = row(17, x=1.5)
    rows[40] = row(40, psi=7.0)
    rows[148] = row(148, n=0, why="its spots fit no model")
    summary = summary_row(rows, [crystal(79.0 + 0.001 * k) for k in range(300)])
    assert (summary["n"], summary["n_stills"], summary["n_left_out"]) == (300, 300, 1)
    used = [item["n_used"] for item in rows if item["n_used"]]
    assert summary["quartiles"]["n_used"] == np.percentile(used, [0, 25, 50, 75, 100]).tolist()
    assert "rmsd_z_images" not in summary["quartiles"]
    worst = summary["worst"]
    assert [item["experiment"] for item in worst[:2]] == [40, 17]
    assert worst[0]["by"] == "rmsd_delta_psi_mrad" and round(worst[0]["times_median"], 6) == 10.0
    assert worst[1]["by"] == "rmsd_x_px" and round(worst[1]["times_median"], 6) == 5.0
    assert summary["left_out"] == [{"experiment": 148, "why": "its spots fit no model"}]
    (cells,) = summary["cells"]
    assert (cells["space_group"], cells["n"]) == ("P 43 21 2", 300)
    np.testing.assert_allclose(
        cells["cell"][0], np.percentile(79.0 + 0.001 * np.arange(300), [0, 25, 50, 75, 100])
    )


def test_it_is_a_screen_of_text():
    rows = [
        row(k, n=0 if k % 10 == 0 else 20, why="" if k % 10 else "too few reflections") for k in range(300)
    ]
    groups = ["P 43 21 2"] * 200 + ["P 4"] * 100
    crystals = [crystal(79.0 + 0.01 * k, group) for k, group in enumerate(groups)]
    text = experiments_text(summary_row(rows, crystals))
    assert len(text.splitlines()) < 40
    assert "300 experiments, 300 of them stills; 30 left out:" in text
    assert "Left out, too few reflections: 0, 10, 20, 30, 40, 50, 60, 70 and 22 more." in text
    assert "200 crystals in P 43 21 2:" in text and "100 crystals in P 4:" in text


def test_nothing_used_is_no_failure():
    summary = summary_row([row(k, n=0, why="gone") for k in range(20)], [])
    assert summary["quartiles"] == {} and summary["worst"] == [] and summary["cells"] == []
    assert experiments_text(summary).startswith("20 experiments, 20 of them stills; 20 left out.")


def test_columns_are_those_that_there_are():
    still, swept = row(0), row(1, psi=None, z=0.2, still=False)
    assert rmsd_columns([still]) == ["rmsd_x_px", "rmsd_y_px", "rmsd_delta_psi_mrad"]
    assert rmsd_columns([swept]) == ["rmsd_x_px", "rmsd_y_px", "rmsd_z_images"]
    both = rmsd_columns([still, swept])
    assert rmsd_heads(both)[2:] == ["RMSD_Z\n(images)", "RMSD_DPsi\n(mrad)"]
    assert rmsd_words(still, both, 2) == ["0.30", "0.30", "-", "0.70"]
    assert rmsd_columns([{"free_rmsd_z_images": 0.1}], "free_")[-1] == "free_rmsd_z_images"
    assert rmsd_columns([]) == ["rmsd_x_px", "rmsd_y_px", "rmsd_z_images"]
    assert [third_head(third) for third in ("phi", "delta_psi", "mixed")] == ["Phi", "DPsi", "Phi, DPsi"]
