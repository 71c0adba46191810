"""Each panel by a row of a table."""

import pytest

from smalti.errors import UsageError
from smalti.testing import synthetic
from smalti_plugins.detectors.in_plane import InPlane
from smalti_plugins.detectors.per_panel import PerPanel

DETECTOR = synthetic.detector("PILATUS 1M", 200.0)


def freedoms(component):
    """Names of the freedoms of each panel."""
    found = {}
    for parameter in component.parameters(DETECTOR):
        if len(parameter.panels) == 1:
            found.setdefault(parameter.panels[0], []).append(parameter.label.split()[-1])
    return found


def test_a_table_says_what_each_panel_may_do():
    found = freedoms(PerPanel(panels="0, 7-8: all; others: in_plane; Panel3: fixed; 5:dist + TAU1"))
    assert {panel for panel, own in found.items() if len(own) == 6} == {0, 7, 8}
    assert 3 not in found
    assert found[5] == ["Dist", "Tau1"]
    assert found[1] == ["Shift1", "Shift2", "Tau1"]


def test_panels_without_a_row_are_fixed_to_the_detector():
    assert set(freedoms(PerPanel(panels="2: shifts"))) == {2}


def test_in_plane_is_one_such_table():
    names = [parameter.name for parameter in InPlane().parameters(DETECTOR)]
    table = PerPanel(panels="others: in_plane").parameters(DETECTOR)
    assert names == [parameter.name for parameter in table]


@pytest.mark.parametrize(
    ("table", "what", "cure"),
    [
        ("3", "'3' is no row", "3,7-9: all"),
        ("3: ", "'3:' is no row", "3,7-9: all"),
        (": all", "': all' is no row", "3,7-9: all"),
        ("3: fre", "'fre' is no choice of freedoms", "in_plane"),
        ("3: al", "'al' is no choice of freedoms", "Did you mean 'all'"),
        ("10: all", "no panel 10", "counted from 0"),
        ("8-12: all", "no panels 8-12", "counted from 0"),
        ("4-2: all", "no panels 4-2", "counted from 0"),
        ("Panel77: all", "'Panel77' is no panel", "3,7-9: all"),
        ("1-3: all; 2: fixed", "1 panel twice: 2", "once"),
        ("others: all; others: fixed", "'others: fixed' is no row", "3,7-9: all"),
        ("1, others: all", "'1, others: all' is no row", "3,7-9: all"),
    ],
)
def test_mistakes_are_told_with_the_cure(table, what, cure):
    with pytest.raises(UsageError) as caught:
        PerPanel(panels=table).parameters(DETECTOR)
    assert what in caught.value.what
    assert cure in caught.value.why + caught.value.fix
