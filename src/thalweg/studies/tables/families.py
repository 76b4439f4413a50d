"""What the doors of learned potentials offer: public names that a study may use as a ``kind``.

A kind is the class's own name, or what a paper calls its method. Keys, types, units and defaults are read off the
classes and functions themselves; see `thalweg.studies.tables.language`. What a plug-in adds needs no entry here.
"""

from __future__ import annotations

from thalweg.learned_potentials.linear.regularization import Regularization
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.learner import Learner
from thalweg.learned_potentials.terms.term import Term
from thalweg.representations.messages.messages import Messages
from thalweg.representations.representation import Representation
from thalweg.studies.tables.language import Families, Family


def _own_names(room: str, *names: str) -> dict[str, str]:
    return {name: f"{room}.{name}" for name in names}


REPRESENTATIONS = Family(
    Representation,
    _own_names(
        "representations", "ACE", "SOAP", "MomentTensors", "Bispectrum", "SymmetryFunctions", "FCHL19",
        "Quadratic", "Scattering",
    ),
)  # fmt: skip
"""What sites are described by."""

MESSAGES = Family(Messages, _own_names("representations", "SchNet", "DTNN", "PaiNN", "EmbeddedDensity"))
"""What sites learn from each other."""

REGULARIZATIONS = Family(
    Regularization,
    _own_names("learned_potentials", "CrossValidated", "Balanced", "Evidence", "Ridge", "AutomaticRelevance"),
)
"""Who decides how strongly coefficients are held back."""

PAPERS = {
    "GAP": "learned_potentials.gaussian_approximation",
    "MTP": "learned_potentials.moment_tensors",
    "SNAP": "learned_potentials.snap",
    "ExpansionWithKernel": "learned_potentials.expansion_with_kernel",
    "BehlerParrinello": "learned_potentials.behler_parrinello",
    "LearnedMessages": "learned_potentials.learned_messages",
    "sGDML": "learned_potentials.sgdml",
    "LocalGradientDomain": "learned_potentials.local_gradient_domain",
    "GlobalGradientDomain": "learned_potentials.global_gradient_domain",
    "FCHL19": "learned_potentials.fchl19",
    "PIP": "learned_potentials.pip",
}
"""Papers: functions that return a recipe, of which the learner is taken."""

PARAMETRIC = _own_names("learned_potentials", "StillingerWeber", "LennardJones", "Morse")
"""Potentials of few parameters, fitted."""

LEARNERS = Family(
    Learner | Recipe,
    _own_names(
        "learned_potentials", "Linear", "SparseKernel", "Network", "MessagePassing", "GradientDomain",
        "SiteGradientDomain",
    )
    | PAPERS
    | PARAMETRIC,
)  # fmt: skip
"""What is fitted."""

BASELINES = Family(
    Term | Learner,
    {
        "GFN2": "interop.TightBinding",
        "ForceField": "studies.force_field",
        "Silicon": "learned_potentials.stillinger_weber_silicon",
        "Potential": "studies.earlier_potential",
    }
    | PARAMETRIC,
)
"""What is known before; those of `PARAMETRIC` are fitted first, to the same frames."""

COMMITTEES = Family(
    Learner,
    {"full": "learned_potentials.Committee", "shallow": "learned_potentials.ShallowCommittee"},
    default="full",
)
"""Several fits of one learner."""

FAMILIES: Families = (REPRESENTATIONS, MESSAGES, REGULARIZATIONS, LEARNERS, BASELINES)
"""Kinds of parameters that are objects, by their types; those of unions of classes are these classes."""
