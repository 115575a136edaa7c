"""How many programs each test compiles: a bound, and a line at the end of the run.

Counted are requests to the compiler while the test itself runs, answered from the cache or not;
fixtures are left out of the bound, since the first test that asks for a shared one would pay for
all of them, and are part of the total. Programs of child processes are not seen.

Host code of the library runs some single operations outside jit. Each is compiled once a process,
in whichever test comes first: beyond the bound, all tests of a process share an allowance for them.
"""

import collections

import jax.monitoring
import pytest

COMPILED = "/jax/core/compile/backend_compile_duration"
ALLOWED = 40
ONCE_A_PROCESS = 120
asked: list[str] = []  # names of programs, in the order in which this process compiled them
heard = [0]  # events of any name that JAX has timed in this process
left = [ONCE_A_PROCESS]


def note(event, duration, **what):
    heard[0] += 1
    if event == COMPILED:
        asked.append(what.get("fun_name", "unnamed"))


jax.monitoring.register_event_duration_secs_listener(note)


def pytest_configure(config):
    config.stash[COUNTED] = len(asked)
    config.stash[HEARD] = heard[0]
    if not hasattr(config, "workerinput"):  # reports come together where the tests are handed out
        config.pluginmanager.register(Total(), "total-of-programs")


def complaint(compiled, allowed):
    """What is wrong with so many programs; empty within the bound or the rest of the allowance."""
    beyond = len(compiled) - allowed
    if beyond <= left[0]:
        left[0] -= max(beyond, 0)
        return ""
    found = ", ".join(f"{n} {name}" for name, n in collections.Counter(compiled).most_common())
    return (
        f"{len(compiled)} programs compiled, {allowed} allowed: {found}. Operations outside jit "
        "are one program for each shape: use NumPy, or jit the whole."
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    before = len(asked)
    result = yield
    said = complaint(asked[before:], allowed(item.get_closest_marker("programs")))
    if said:
        pytest.fail(said, pytrace=False)
    return result


def allowed(marker):
    """The bound of a test with this marker, or with none."""
    if marker is None:
        return ALLOWED
    given = dict(zip(("n", "reason"), marker.args, strict=False)) | marker.kwargs
    if set(given) != {"n", "reason"} or not given["reason"]:
        pytest.fail("programs(n, reason) needs both", pytrace=False)
    return given["n"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    stash = item.config.stash
    report.programs, report.timed = len(asked) - stash[COUNTED], heard[0] > stash[HEARD]
    stash[COUNTED] = len(asked)
    return report


COUNTED = pytest.StashKey[int]()
HEARD = pytest.StashKey[int]()


class Total:
    """The line at the end of the run, which fails where the count cannot be right."""

    def __init__(self):
        self.programs = 0
        self.timed = False

    @property
    def is_deaf(self):
        """Whether JAX was at work and no program was counted: its events have other names."""
        return self.timed and self.programs == 0

    def pytest_runtest_logreport(self, report):
        self.programs += getattr(report, "programs", 0)
        self.timed |= getattr(report, "timed", False)

    def pytest_sessionfinish(self, session):
        if self.is_deaf and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        terminalreporter.write_line(f"{self.programs} programs compiled in the tests' processes")
        if self.is_deaf:
            terminalreporter.write_line(f"JAX compiled, but none of its events is {COMPILED}")
