"""What the tables of a run may name: loops, learners, bases, biases, rules, features and integrators.

Each family lists what this package offers; what the user's plug-ins offer of the same kind is taken as well.
"""

from __future__ import annotations

from thalweg.collective_variables.bases.basis import Basis
from thalweg.collective_variables.interpretation.surrogate import Likeness
from thalweg.collective_variables.manifold.landmarks import LandmarkChoice
from thalweg.dynamics.integrator import Integrator
from thalweg.kinetics.reactions.regions import Region
from thalweg.learning.models import Transforming
from thalweg.sampling.bias.method import BiasMethod
from thalweg.sampling.executors import TaskRunner
from thalweg.sampling.features import FeatureSet
from thalweg.sampling.policy import Policy
from thalweg.sampling.restarts.rule import RestartRule
from thalweg.sampling.tasks.learned_variable import FrameMethod
from thalweg.studies.tables.language import Family


def _of(room: str, *names: str) -> dict[str, str]:
    return {name: f"{room}.{name}" for name in names}


POLICIES = Family(
    Policy,
    _of(
        "sampling",
        "SlowVariableLoop",
        "MESA",
        "SandCV",
        "RAVE",
        "CommittorLoop",
        "LocalDiffusionMapLoop",
        "MarkovRestarts",
        "Shooting",
        "ReplicaExchange",
    ),
)
LEARNERS = Family(
    FrameMethod,
    _of(
        "collective_variables",
        "TICA", "SparseTICA", "KernelTICA", "VAC", "IntegratedVAC", "VAMP", "PCA", "SRV", "VAMPnet", "DCCA", "VDE",
        "SPIB", "TimeLaggedAutoencoder", "Autoencoder", "VariationalAutoencoder", "Isomap", "DiffusionMap", "KernelPCA",
        "ClassicalMDS", "MetricMDS", "SketchMap", "LocallyLinearEmbedding", "LTSA", "HessianEigenmaps",
        "LaplacianEigenmaps", "MaximumVarianceUnfolding", "ICA", "Surrogate",
    ),
    default="TICA",
)  # fmt: skip
COORDINATES = Family(
    Transforming, {kind: name for kind, name in LEARNERS.names.items() if kind != "Surrogate"}
)
LANDMARKS = Family(LandmarkChoice, _of("collective_variables", "DeltaNet", "FarthestPoints", "Centroids"))
BASES = Family(
    Basis,
    _of(
        "collective_variables",
        "Features", "Polynomials", "Fourier", "Landmarks", "RandomWaves", "SideBySide", "Then",
    ),
)  # fmt: skip
BIASES = Family(
    BiasMethod,
    _of(
        "sampling",
        "Metadynamics", "OPES", "OPESExplore", "AdaptiveBiasingForce", "Kolmogorov", "CommittorBias",
    ),
)  # fmt: skip
RULES = Family(
    RestartRule,
    _of(
        "sampling",
        "LeastCounts", "Uncertainty", "RandomRestarts", "Directed", "REAP", "Bandit", "DiffusionMapFrontier",
        "BoundaryExtrapolation", "RankedRules",
    ),
)  # fmt: skip
LIKENESSES = Family(Likeness, _of("collective_variables", "ByDistribution", "ByCorrelation"))
REGIONS = Family(Region, _of("kinetics", "Ellipsoid", "Intervals", "Union"))
FEATURES = Family(
    FeatureSet,
    _of("sampling", "TorsionFeatures", "DistanceFeatures", "HostGuestFeatures"),
    default="TorsionFeatures",
)
EXECUTORS = Family(
    TaskRunner,
    {"processes": "sampling.Processes", "dask": "interop.Dask", "queue": "interop.JobQueue"},
    default="processes",
)
INTEGRATORS = Family(
    Integrator, _of("dynamics", "Langevin", "ABOBA", "Overdamped", "VelocityVerlet"), default="Langevin"
)

DOORS = (
    POLICIES, LEARNERS, COORDINATES, LANDMARKS, BASES, BIASES, RULES, LIKENESSES, REGIONS, FEATURES, EXECUTORS,
    INTEGRATORS,
)  # fmt: skip
