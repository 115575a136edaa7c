"""Studies: the tables and figures of a paper, declared as cells of sweeps."""

from jaxmed.studies.run import StudyResult, run_study
from jaxmed.studies.study import Study

__all__ = ["Study", "StudyResult", "run_study"]
