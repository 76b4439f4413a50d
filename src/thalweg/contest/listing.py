"""The tasks there are, by name."""

from __future__ import annotations

from thalweg.contest.rules.task import ContestTask
from thalweg.contest.tasks.affinities import AffinitiesTask
from thalweg.contest.tasks.coarse_models import CoarseModelsTask
from thalweg.contest.tasks.potentials import PotentialsTask
from thalweg.contest.tasks.sampling_policies import SamplingPoliciesTask
from thalweg.contest.tasks.slow_variables import SlowVariablesTask

TASKS: tuple[ContestTask, ...] = (
    PotentialsTask(),
    SlowVariablesTask(),
    SamplingPoliciesTask(),
    CoarseModelsTask(),
    AffinitiesTask(),
)


def task_named(name: str) -> ContestTask:
    """The task of this name.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> task_named("affinities").unit
    'pK units'
    """
    for task in TASKS:
        if task.name == name:
            return task
    raise ValueError(f"there is no task {name}; there are: {', '.join(task.name for task in TASKS)}")
