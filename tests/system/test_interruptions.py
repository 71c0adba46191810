"""What comes from outside while commands run: plugins left out or broken, signals, closed pipes."""

import json
import signal
import subprocess
import sys
import time

import pytest


def test_components_are_left_out_by_plugin(smalti, work, monkeypatch):
    call = ("refine", "indexed.expt", "indexed.refl", "--outliers", "tukey")
    smalti(*call, "--plugin", "-tukey").refused(2, "'tukey'")
    monkeypatch.setenv("SMALTI_DISABLE", "tukey")
    smalti(*call).refused(2, "'tukey'")


def test_a_broken_plugin_ends_plugins_with_5(smalti, monkeypatch):
    from importlib.metadata import EntryPoint

    from smalti import discovery

    real = discovery.entry_points(group=discovery.GROUP)
    broken = EntryPoint("broken", "no_such_module_anywhere", discovery.GROUP)
    monkeypatch.setattr(discovery, "entry_points", lambda group: [*real, broken])
    result = smalti("plugins")
    assert result.status == 5
    assert "no_such_module_anywhere" in result.out
    told = json.loads(smalti("plugins", "--json").out)
    assert {p["name"]: p["state"] for p in told["result"]["plugins"]}["broken"] == "broken"
    assert smalti("plugins", "--plugin", "-broken").status == 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing_half_written(tmp_path, sent):
    code = "import sys; from smalti.cli import main; sys.exit(main())"
    words = ["simulate", "--layout", "PILATUS 300K", "d_min=4", "--n-images", "900", "-o", "out", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/*.cbf")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(sent)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert json.loads(out)["error"]["what"] == "Interrupted."
    images = sorted(tmp_path.glob("out/*.cbf"))
    assert 0 < len(images) < 900
    assert {path.stat().st_size > 100_000 for path in images} == {True}
    assert not list(tmp_path.glob("out/.*")) and not list(tmp_path.glob("out/*.part"))


def test_whoever_reads_may_stop_reading(calibrated):
    code = "import sys; from smalti.cli import main; sys.exit(main())"
    show = f"{sys.executable} -c '{code}' show {calibrated / 'indexed.expt'} | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", show], capture_output=True, text=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
