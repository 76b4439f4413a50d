"""Which kinds a study of a learned potential may name, and which of their parameters are quantities.

Everything else (keys, types, defaults) is read off the classes; see `thalweg.studies.tables.calls`.
"""

from __future__ import annotations

from thalweg.studies.tables.calls import Families, Family, Kind

LEARNED = "thalweg.potentials.learned"
SEEN = "thalweg.representations"
NEAR = {"cutoff": "length"}
OPEN = ("elements",)

REPRESENTATIONS: Family = {
    "ACE": Kind(f"{SEEN}.ace:ACE", NEAR, OPEN),
    "SOAP": Kind(f"{SEEN}.soap:SOAP", NEAR | {"smearing": "length"}, OPEN),
    "MomentTensors": Kind(f"{SEEN}.moment_tensors:MomentTensors", NEAR, OPEN),
    "Bispectrum": Kind(f"{SEEN}.bispectrum:Bispectrum", NEAR, OPEN),
    "SymmetryFunctions": Kind(f"{SEEN}.symmetry_functions:SymmetryFunctions", NEAR, OPEN),
    "FCHL19": Kind(f"{SEEN}.fchl:FCHL19", NEAR, (*OPEN, "width", "eta")),
    "Quadratic": Kind(f"{SEEN}.quadratic:Quadratic"),
    "Scattering": Kind(f"{SEEN}.scattering:Scattering", NEAR | {"widths": "length"}, OPEN),
}
"""What sites are described by."""

MESSAGES: Family = {
    name: Kind(f"{SEEN}.{file}:{name}", NEAR)
    for name, file in {
        "SchNet": "schnet", "DTNN": "dtnn", "PaiNN": "painn", "EmbeddedDensity": "embedded_density",
    }.items()
}  # fmt: skip
"""What sites learn from each other."""

PAPERS: Family = {
    "GAP": Kind(
        f"{LEARNED}.linear_recipes:gaussian_approximation",
        NEAR | {"smearing": "length"},
        ("weights", "baseline"),
    ),
    "MTP": Kind(f"{LEARNED}.linear_recipes:moment_tensors", NEAR, ("weights", "baseline")),
    "SNAP": Kind(f"{LEARNED}.linear_recipes:snap", NEAR, ("weights", "baseline")),
    "ExpansionWithKernel": Kind(
        f"{LEARNED}.linear_recipes:expansion_with_kernel", {}, ("weights", "baseline")
    ),
    "BehlerParrinello": Kind(
        f"{LEARNED}.network_recipes:behler_parrinello",
        NEAR | {"nearest": "length"},
        ("weights", "checkpoint"),
    ),
    "LearnedMessages": Kind(f"{LEARNED}.network_recipes:learned_messages", {}, ("weights", "checkpoint")),
    "sGDML": Kind(f"{LEARNED}.molecular_recipes:sgdml", {}, ("permutations", "baseline")),
    "LocalGradientDomain": Kind(
        f"{LEARNED}.molecular_recipes:local_gradient_domain",
        {"reaches": "length"},
        ("permutations", "baseline"),
    ),
    "GlobalGradientDomain": Kind(
        f"{LEARNED}.molecular_recipes:global_gradient_domain", {}, ("permutations", "baseline")
    ),
    "FCHL19": Kind(f"{LEARNED}.molecular_recipes:fchl19", NEAR, ("baseline",)),
    "PIP": Kind(
        f"{LEARNED}.molecular_recipes:pip", {"lengths": "length"}, ("permutations", "baseline", "memory")
    ),
}
"""Papers: functions that return a recipe, of which the learner is taken."""

PARAMETRIC: Family = {
    "StillingerWeber": Kind(f"{LEARNED}.stillinger_weber:StillingerWeber", NEAR | {"strengths": "energy"}),
    "LennardJones": Kind(f"{LEARNED}.pair_terms:LennardJones", NEAR),
    "Morse": Kind(f"{LEARNED}.pair_terms:Morse", NEAR | {"depths": "energy"}),
}
"""Potentials of few parameters, fitted."""

LEARNERS: Family = {
    "Linear": Kind(f"{LEARNED}.linear:Linear"),
    "SparseKernel": Kind(f"{LEARNED}.sparse_kernel:SparseKernel"),
    "Network": Kind(f"{LEARNED}.network:Network"),
    "MessagePassing": Kind(f"{LEARNED}.message_passing:MessagePassing"),
    "GradientDomain": Kind(
        f"{LEARNED}.gradient_domain:GradientDomain", {"reaches": "length"}, ("permutations",)
    ),
    "SiteGradientDomain": Kind(f"{LEARNED}.site_gradient_domain:SiteGradientDomain"),
    **PAPERS,
    **PARAMETRIC,
}  # fmt: skip
"""What is fitted."""

BASELINES: Family = {
    "GFN2": Kind(
        "thalweg.interop.quantum.tight_binding:TightBinding", {"electronic_temperature": "temperature"}
    ),
    "ForceField": Kind(
        "thalweg.studies.baselines:force_field",
        {"cutoff": "length"},
    ),
    "Silicon": Kind(f"{LEARNED}.stillinger_weber:stillinger_weber_silicon"),
    "Potential": Kind("thalweg.studies.baselines:earlier_potential"),
    **PARAMETRIC,
}
"""What is known before; those of `PARAMETRIC` are fitted first, to the same frames."""

COMMITTEES: Family = {
    "full": Kind(f"{LEARNED}.committee:Committee", {}, ("learner",)),
    "shallow": Kind(f"{LEARNED}.committee:ShallowCommittee", {}, ("learner",)),
}

WEIGHTS: Family = {
    "Weights": Kind(f"{LEARNED}.term:Weights", {"energy": "energy", "force": "force", "stress": "energy"})
}

FAMILIES: Families = {
    "representation": REPRESENTATIONS,
    "messages": MESSAGES,
    "radial_scale": {
        name: Kind(f"thalweg.representations.radial:{name}") for name in ("Exponential", "Agnesi")
    },
    "kernel": {
        "DotProduct": Kind(f"{LEARNED}.kernels:DotProduct"),
        "Gaussian": Kind(f"{LEARNED}.kernels:Gaussian", {}, ("scale",)),
    },
    "regularization": {
        name: Kind(f"{LEARNED}.regularization:{name}")
        for name in ("CrossValidated", "Balanced", "Evidence", "Ridge", "AutomaticRelevance")
    },
    "covariance": {
        name: Kind(f"{LEARNED}.hessian_kernel:{name}") for name in ("Gaussian", "Matern52", "Matern72")
    },
    "mean": {"ValencePairs": Kind(f"{LEARNED}.valence_pairs:ValencePairs", {"repulsion": "energy"})},
    "solver": {
        name: Kind(f"{LEARNED}.kernel_solvers:{name}", {}, ("memory",))
        for name in ("ClosedForm", "Landmarks", "ConjugateGradients")
    },
    "training": {
        "GradientTraining": Kind(f"{LEARNED}.gradient_training:GradientTraining", {}, ("checkpoint",))
    },
    "trainer": {"Trainer": Kind("thalweg.learning.trainer:Trainer")},
    "optimizer": {name: Kind(f"thalweg.learning.optimizers:{name}") for name in ("Adam", "LBFGS")},
    "schedule": {
        name: Kind(f"thalweg.learning.schedules:{name}") for name in ("Cosine", "Constant", "Plateau")
    },
}
"""Parameters that are objects, by name."""
