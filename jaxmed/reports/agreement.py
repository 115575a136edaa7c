"""Whether the tests agree: with each other, and with the interval of the estimator of record."""

import dataclasses

from jaxmed.reports import access
from jaxmed.reports.direction import DIRECTIONS
from jaxmed.reports.format import finite, number, p_statement, percent
from jaxmed.reports.record import Record
from jaxmed.reports.wording import exposure, level_of_tests, outcome, with_interval, word

__all__ = ["Finding", "agreement", "finding", "pattern"]

LEAST_SQUARES = ("ols", "OLS, all mediators")


@dataclasses.dataclass(frozen=True)
class Finding:
    """What tests and intervals say of the net indirect effect, each at the level of the record.

    Attributes:
      tested: the test of it rejects; None where there is none. In the dual the random-effects
        test of the total, else all tests of alignment together.
      interval: the interval of the total indirect effect leaves zero out; None where there is none.
      both_paths: the intersection-union test rejects; None where there is none.
      offset: the upward and the downward part are both away from zero.
      robust: the test that allows unequal variances rejects; None where there is none.
      two_estimators: interval and test differ and are of different estimators, which is no
        contradiction: they are not of one number.
    """

    tested: bool | None
    interval: bool | None
    both_paths: bool | None
    offset: bool
    robust: bool | None
    two_estimators: bool


def finding(record: Record) -> Finding:
    """The finding of one record."""
    indirect = access.effect(record, access.INDIRECT)
    known = access.excludes_zero(indirect) or access.holds_zero(indirect)
    parts = [access.effect(record, direction) for direction in DIRECTIONS]
    dual = access.is_dual(record)
    tested = _aligned(record) if dual else _rejects(record, access.TOTAL_TEST)
    # The test of the primal is of least squares, those of the dual are of no estimator.
    own = not dual and indirect is not None and _estimator(indirect) == LEAST_SQUARES
    interval = access.excludes_zero(indirect) if known else None
    return Finding(
        tested=tested,
        interval=interval,
        both_paths=_rejects(record, access.INTERSECTION_UNION),
        offset=all(map(access.excludes_zero, parts)),
        robust=_rejects(record, access.ROBUST_TOTAL),
        two_estimators=None not in (tested, interval) and tested != interval and not own,
    )


def _estimator(entry: access.Entry) -> tuple[str, str]:
    return entry["method"], entry["method_label"]


def _rejects(record: Record, name: str) -> bool | None:
    p = access.value(access.test(record, name), "p_value")
    # At the boundary p = alpha the interval, made of the same draws, leaves zero out.
    return p <= level_of_tests(record) if finite(p) else None


def _aligned(record: Record) -> bool | None:
    random = _rejects(record, access.DUAL_TOTAL)
    if random is not None:
        return random
    found = [_rejects(record, name) for name in (access.COSINE, access.PERMUTATION)]
    found = [rejects for rejects in found if rejects is not None]
    return all(found) if found else None


def agreement(record: Record) -> list[str]:
    """Sentences on the tests, and on the interval beside them."""
    found = finding(record)
    sentences = _dual(record) if access.is_dual(record) else _primal(record, found)
    return [*sentences, *_interval(record, found)]


def _p(record: Record, name: str) -> str:
    return p_statement(access.value(access.test(record, name), "p_value"))


def _primal(record: Record, found: Finding) -> list[str]:
    total, union = _p(record, access.TOTAL_TEST), _p(record, access.INTERSECTION_UNION)
    kind = "" if access.is_single(record) else "total "
    of_total, of_paths = f"test of the {kind}indirect effect", "intersection-union test"
    effect = "an indirect effect" if access.is_single(record) else "a net indirect effect"
    if found.both_paths is None:
        reason = record.document["paths"]["reason"] or "no test of the paths exists"
        return [f"No test of the two paths could be computed: {reason}."]
    if found.tested is None:
        return [
            f"So few rows are left beyond the mediators that no {of_total} and no interval of it "
            f"exists; the {of_paths} has {union}."
        ]
    pair = {
        (True, True): f"The two tests agree: {effect} is shown ({of_total}, {total}), and so is "
        f"the existence of both paths ({of_paths}, {union}).",
        (False, False): f"The two tests agree: at {percent(level_of_tests(record))} neither "
        f"{effect} ({of_total}, {total}) nor the existence of both paths ({of_paths}, {union}) is "
        "shown. That does not show that there is none.",
        (False, True): f"The two tests differ: both paths exist ({of_paths}, {union}), but no "
        f"{effect.split(' ', 1)[1]} is shown ({of_total}, {total}).",
        (True, False): f"The two tests disagree: {effect} is shown ({of_total}, {total}), but not "
        f"the existence of both paths ({of_paths}, {union}): no firm conclusion.",
    }[found.tested, found.both_paths]
    sentences = [pair]
    if found.robust is not None and found.robust != found.tested:
        sentences.append(
            f"Allowing unequal variances, the test has {_p(record, access.ROBUST_TOTAL)}, and says "
            "otherwise."
        )
    if not access.is_single(record):
        sentences += _parts(record, found)
    return sentences


def _parts(record: Record, found: Finding) -> list[str]:
    """What the upward and the downward part add to it."""
    upward, downward = (access.effect(record, direction) for direction in DIRECTIONS)
    both = f"the upward part, {with_interval(upward)}, and the downward part, "
    both += with_interval(downward)
    if found.offset and found.tested:
        return [f"Paths of both signs offset some of it: {both}; the net effect is what is left."]
    if found.offset and found.both_paths:
        return [
            f"Paths of both signs offset each other: {both}. Tests of the net effect look at what "
            "is left; the intersection-union test looks at the paths."
        ]
    if found.both_paths and not found.tested:
        return ["Whether the two paths meet in the same mediators is not settled."]
    return []


def _dual(record: Record) -> list[str]:
    tests = (
        (access.DUAL_TOTAL, "random-effects test of the total"),
        (access.COSINE, "cosine test"),
        (access.PERMUTATION, "permutation of the exposure"),
    )
    found = [
        (name, label, rejects)
        for name, label in tests
        if (rejects := _rejects(record, name)) is not None
    ]
    if not found:
        reason = record.document["paths"]["reason"] or "no test of the paths exists"
        return [f"No test of the two paths could be computed: {reason}."]
    numbers = ", ".join(f"{label} {_p(record, name)}" for name, label, _ in found)
    rejected = [rejects for _, _, rejects in found]
    head = "The test says" if len(found) == 1 else "The tests agree"
    if not any(rejected):
        return [
            f"{head}: a net indirect effect is not shown at {percent(level_of_tests(record))} "
            f"({numbers}). That does not exclude one, nor paths of both signs that offset each "
            "other."
        ]
    by_random_effects = found[0][0] == access.DUAL_TOTAL
    if not all(rejected):
        said = f"The tests disagree at {percent(level_of_tests(record))} ({numbers})"
        if not (by_random_effects and rejected[0]):
            return [f"{said}: no firm conclusion."]
        return [f"{said}. By random effects {_pattern(record)}.", _if_unrelated(record)]
    if by_random_effects:
        return [f"{head}: {_pattern(record)} ({numbers}).", _if_unrelated(record)]
    return [f"{head}: a net indirect effect is shown ({numbers}).", _alignment(record)]


def pattern(record: Record) -> str:
    """What the random-effects test says of the mediators' effects: they follow or run against."""
    return "follow" if _follow(record) else "run against"


def _follow(record: Record) -> bool:
    return access.value(access.test(record, access.DUAL_TOTAL), "statistic") > 0


def _pattern(record: Record) -> str:
    return (
        f"the mediators' effects on {outcome(record)} {pattern(record)} the effects of "
        f"{exposure(record)} on them"
    )


def _if_unrelated(record: Record) -> str:
    return (
        f"If effects of different mediators are unrelated, more {exposure(record)} goes with "
        f"{'higher' if _follow(record) else 'lower'} {outcome(record)} through the mediators "
        "together; effects of one sign on correlated mediators give the same without a net effect."
    )


def _alignment(record: Record) -> str:
    cosine = access.value(record.document["paths"], "cosine")
    return (
        f"The exposure path and the outcome path {'agree' if cosine > 0 else 'oppose each other'} "
        f"(cosine {number(cosine)}): through the mediators together, more {exposure(record)} goes "
        f"with {word(cosine)} {outcome(record)}."
    )


def _interval(record: Record, found: Finding) -> list[str]:
    """Where the interval of the estimator of record says another thing than the test."""
    if found.interval is None or found.tested is None or found.interval == found.tested:
        return []
    entry = access.effect(record, access.INDIRECT)
    assert entry is not None  # it has an interval
    if found.two_estimators:
        return [_of_two(record, found, entry["method_label"])]
    verb, does = (
        ("leaves zero out", "does not reject") if found.interval else ("holds zero", "rejects")
    )
    return [f"The test {does} where the interval {verb}: no firm conclusion follows."]


def _of_two(record: Record, found: Finding, label: str) -> str:
    """Which estimator shows an effect and which does not."""
    effect = "an indirect effect" if access.is_single(record) else "a net indirect effect"
    shows = f"{label} {'shows' if found.interval else 'does not show'} {effect} by its interval"
    if not access.is_dual(record):
        does = "does" if found.tested else "does not"
        return (
            f"{shows}, and least squares {does} by its test: they are two estimators, and the "
            "finding rests on one of them."
        )
    random = _rejects(record, access.DUAL_TOTAL) is not None
    test = "random-effects test" if random else "test of alignment"
    return (
        f"{shows}, and the {test} {'rejects' if found.tested else 'does not reject'}: it is no "
        "test of that estimator, and the finding rests on one of them."
    )
