"""What an estimator has to keep, as named checks: for the library's own and for yours."""

from jaxmed.testing.check_estimator import CHECKS, QUICK, check_estimator
from jaxmed.testing.subject import Subject, example_data

__all__ = ["CHECKS", "QUICK", "Subject", "check_estimator", "example_data"]
