"""Two real processes on loopback, one of them killed half way."""

import os
import subprocess
import sys

import numpy as np
import pytest

from jaxmed.cli import main
from jaxmed.data import from_frame
from jaxmed.parallel.processes import Process, this_process
from jaxmed.parallel.shared_stream import part_file
from jaxmed.parallel.supervisor import supervise
from jaxmed.statistics.cross_moments import cross_moments

pd = pytest.importorskip("pandas")

# Reads its share; the first time, process 1 dies of SIGKILL after its second block.
JOB = """
import os, signal, sys
from pathlib import Path
import jax
jax.config.update("jax_enable_x64", True)
import numpy as np
import jaxmed.data.streams.row_stream as streams
from jaxmed.data.atomic import npz_bytes
from jaxmed.parallel.processes import join, leave
from jaxmed.parallel.shared_stream import shared_moments

folder, kill = Path(sys.argv[1]), sys.argv[2] == "kill"
me = join()
streams.LEAST_ROWS = 20
source = streams.stream(folder / "d.csv", exposure="a", outcome="y", mediators="m*", block_bytes=1)
blocks = []

def progress(done, total):
    blocks.append(done)
    if kill and me.index == 1 and done == 2 and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)

found = shared_moments(source, checkpoint=folder / "part.npz", every=0, progress=progress)
leave()
moments = found.moments
(folder / f"found-{me.index}.npz").write_bytes(npz_bytes({
    "mean": moments.mean, "comoment": moments.comoment, "count": np.array(moments.count),
    "blocks": np.array(blocks), "of": np.array(me.count),
}))
"""


def pooled(folder):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(170, 4)) + 3, columns=["m1", "m2", "m3", "m4"])
    frame["a"], frame["y"] = rng.normal(size=(2, 170))
    frame.to_csv(folder / "d.csv", index=False)
    return cross_moments(from_frame(frame, exposure="a", outcome="y", mediators="m*"))


@pytest.mark.parametrize("kill", [pytest.param(False, marks=pytest.mark.slow), True])
def test_two_processes_give_the_pooled_moments(tmp_path, kill):
    exact = pooled(tmp_path)
    said = []
    command = [sys.executable, "-c", JOB, str(tmp_path), "kill" if kill else "live"]
    assert supervise(command, 2, restarts=1, say=said.append) == 0, said
    for index in (0, 1):
        found = np.load(tmp_path / f"found-{index}.npz")
        assert found["of"] == 2 and found["count"] == 170
        assert found["mean"] == pytest.approx(exact.mean, rel=1e-13, abs=1e-13)
        assert found["comoment"] == pytest.approx(exact.comoment, rel=1e-12, abs=1e-10)
    if kill:
        assert any("process 1 ended with signal SIGKILL" in sentence for sentence in said)
        # It went on behind the last block that it had written down.
        assert np.load(tmp_path / "found-1.npz")["blocks"].tolist()[0] > 1


def test_supervisor_gives_up(tmp_path):
    said = []
    failing = [sys.executable, "-c", "import sys; sys.exit(7)"]
    assert supervise(failing, 1, restarts=2, say=said.append) == 7
    assert sum("starting again" in sentence for sentence in said) == 2
    refusing = [sys.executable, "-c", "import sys; sys.exit(2)"]
    said.clear()
    assert supervise(refusing, 2, restarts=2, say=said.append) == 2
    assert not any("starting again" in sentence for sentence in said)
    marker = tmp_path / "other"
    waiting = (
        "import os, sys, time, pathlib\n"
        "if os.environ['JAXMED_PROCESS'] == '1': sys.exit(3)\n"
        f"time.sleep(60); pathlib.Path({str(marker)!r}).touch()"
    )
    assert supervise([sys.executable, "-c", waiting], 2, restarts=0) == 3
    assert not marker.exists(), "the peer of a dead process is ended"


def test_shares_cover_everything_once():
    for count in (1, 2, 3, 7):
        ends = [Process(i, count).share(19) for i in range(count)]
        assert ends[0][0] == 0 and ends[-1][1] == 19
        assert all(a[1] == b[0] for a, b in zip(ends, ends[1:], strict=False))
    assert this_process() == (0, 1)
    assert (
        part_file("x/m.npz", 1, 4).name == "m.1-of-4.npz"
        and part_file("m.npz", 0, 1).name == "m.npz"
    )


def test_command_line_misuse(capsys):
    assert main(["launch", "--processes", "0", "--", "mediate"]) == 2
    assert "at least 1" in capsys.readouterr().err
    assert main(["launch", "--processes", "2"]) == 2
    assert "needs a command" in capsys.readouterr().err


@pytest.mark.slow
def test_refused_data_end_all_processes(tmp_path):
    pooled(tmp_path)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "jaxmed",
            "launch",
            "--processes",
            "2",
            "--",
            "mediate",
            str(tmp_path / "d.csv"),
            "--exposure",
            "b",
            "--outcome",
            "y",
            "--mediators",
            "m*",
            "--memory",
            "0",
        ],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 2
    assert "no column 'b'" in done.stderr and "starting again" not in done.stderr
