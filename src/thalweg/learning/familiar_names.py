"""Names that people know from other programs, and what the same thing is called here.

An attribute that a model or method does not have is answered with ours where the name is one of deeptime, PyEMMA,
MSMBuilder, scikit-learn or hmmlearn. Nothing answers to two names.
"""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches


@dataclass(frozen=True)
class Familiar:
    """Names elsewhere of one thing.

    Attributes
    ----------
    theirs : names elsewhere, with spaces between
    ours : an attribute, or a call
    of : classes that it is said of, with spaces between; empty for all that have the attribute
    """

    theirs: str
    ours: str
    of: str = ""

    @property
    def attribute(self) -> str:
        """The attribute that ``ours`` begins with."""
        return re.split(r"\W", self.ours)[0]

    def fits(self, cls: type) -> bool:
        """Whether this is what the names are called of instances of ``cls``."""
        if self.of:
            return bool({base.__name__ for base in cls.__mro__} & set(self.of.split()))
        return self.attribute in _members(cls)


FAMILIAR = (
    # settings and times
    Familiar("lag lag_time lagtime_ lag_time_ tau", "lagtime"),
    Familiar("timestep dt_traj dt_ timeunit time_unit", "dt"),
    Familiar("timescales_ its implied_timescales relaxation_times", "timescales"),
    Familiar("n_hidden_states nhidden n_components nstates_hidden", "n_hidden"),
    Familiar("ndim dimension output_dimension n_components_", "dim"),
    Familiar("k nclusters n_clusters_ n_cluster_centers", "n_clusters"),
    Familiar("nstates n_states_ n_states_active nstates_active", "n_states"),
    # Markov models
    Familiar("P transmat_ transmat transition_matrix_ T", "transition_matrix"),
    Familiar("pi pi_ populations_ populations stationary_distribution_ startprob", "stationary_distribution"),
    Familiar("eigenvalues_ eigvals", "eigenvalues"),
    Familiar("eigenvectors right_eigenvectors_ eigenvectors_right eigenvectors_", "eigenfunctions"),
    Familiar(
        "left_eigenvectors_ eigenvectors_left",
        "eigenfunctions, each times stationary_distribution",
        "MarkovModel HiddenModel",
    ),
    Familiar("count_matrix countsmat_ counts_ count_matrix_active count_matrix_full", "counts.matrix", "MarkovModel"),
    Familiar("count_model", "counts"),
    Familiar(
        "active_set state_symbols mapping_ largest_connected_set connected_sets", "active.states",
        "MarkovModel HiddenModel",
    ),
    Familiar("active_count_fraction active_state_fraction percent_retained_", "active.kept", "MarkovModel HiddenModel"),
    Familiar("dtrajs discrete_trajectories_full discrete_trajectories_active discrete_trajectories", "trajectories"),
    Familiar("is_reversible reversible sparse", "fit.reversible", "MarkovModel HiddenModel"),
    Familiar("pcca metastable_sets metastable_memberships metastable_assignments", "metastable_sets(model, n_sets)",
             "MarkovModel"),
    Familiar("mfpt mfpts", "mean_first_passage_time(model, start, target)", "MarkovModel"),
    Familiar("committor_forward committor_backward committor", "committor(model, start, target)", "MarkovModel"),
    Familiar("tpt reactive_flux fluxes", "reactive_flux(model, start, target)", "MarkovModel"),
    Familiar("cktest ck_test", "chapman_kolmogorov(model, sets)", "MarkovModel"),
    Familiar("cktest ck_test", "hidden_chapman_kolmogorov(model)", "HiddenModel"),
    Familiar(
        "sample_mean sample_std sample_conf sample_f samples timescales_conf uncertainty_timescales",
        "timescale_errors(model), or bootstrap(model, quantity)",
        "MarkovModel",
    ),
    Familiar("sample_mean sample_std sample_conf samples", "hidden_bootstrap(model, quantity)", "HiddenModel"),
    Familiar("generate_traj sample sample_discrete", "simulate(steps)", "MarkovModel"),
    Familiar(
        "sample_by_state sample_by_distributions sample_by_distribution draw_samples",
        "sampled_frames(labels, per_state)",
        "MarkovModel Clustering MetastableSets",
    ),
    Familiar("hmm coarse_grain to_coarse", "HiddenMarkovModel(n_hidden, lagtime).fit(labels), or lumped(model, sets)",
             "MarkovModel"),
    Familiar("score_cv cross_val_score", "cross_validate(method, data)",
             "MarkovModel MarkovStateModel VACModel VAC VAMPModel VAMP HiddenModel HiddenMarkovModel"),
    Familiar("estimate_from_counts from_counts", "fit_counts(matrix)", "MarkovStateModel"),
    # sets of states
    Familiar("coarse_grained_stationary_probability", "populations", "MetastableSets"),
    Familiar("metastable_sets sets", "assignments", "MetastableSets"),
    Familiar("metastable_distributions membership chi", "memberships", "MetastableSets"),
    # hidden Markov models
    Familiar("startprob_ initial_probability", "initial_distribution"),
    Familiar("means_ means", "output.means", "HiddenModel"),
    Familiar("covars_ covars covariances_ vars_", "output.covariances", "HiddenModel"),
    Familiar("emissionprob_ observation_probabilities output_probabilities", "output.probabilities", "HiddenModel"),
    Familiar("predict decode viterbi hidden_state_trajectories compute_viterbi_paths", "most_likely_path(data)",
             "HiddenModel"),
    Familiar("predict_proba state_probabilities hidden_state_probabilities", "memberships(data)", "HiddenModel"),
    Familiar("metastable_memberships", "state_memberships", "HiddenModel"),
    # clusters
    Familiar("cluster_centers_ cluster_centers clustercenters centroids_", "centers", ""),
    Familiar("labels_ assignments dtrajs predict assign get_output", "transform(data)", "Clustering"),
    Familiar("inertia_ inertia", "radius", "Clustering"),
    # slow variables and principal components
    Familiar("components_ eigenvectors eigenvectors_ loadings_ instantaneous_coefficients feature_weights", "loadings"),
    Familiar("explained_variance_ eigenvalues eigenvalues_", "variances", "PCAModel"),
    Familiar("explained_variance_ratio_ cumvar", "explained", "PCAModel"),
    Familiar("mean_ means_", "mean"),
    Familiar("singular_values_ singular_values", "singular_values"),
    Familiar("cov_00 cov C0 cov_00_ C_mu", "covariances.c00", "VACModel VAMPModel"),
    Familiar("cov_0t cov_tau Ct cov_0t_ C_t", "covariances.c0t", "VACModel VAMPModel"),
    Familiar("cov_tt", "covariances.ctt", "VACModel VAMPModel"),
    Familiar("feature_component_correlation", "importances of features, as `Importance`", "VACModel VAMPModel"),
    Familiar("project get_output predict encode embedding_", "transform(data)"),
    Familiar("fit_predict labels_", "fit(data).transform(data)", "VAC VAMP PCA"),
    Familiar("losses_ history_ train_scores training_losses", "losses", ""),
    # methods
    Familiar("fetch_model", "what fit(data) returns is the model", "Method"),
    Familiar("fetch_model", "this is the model", "Model"),
    Familiar("estimate fit_from_timeseries fit_fetch", "fit(data)"),
    Familiar("get_params set_params", "dataclasses.replace(method, lagtime=20)", "Method"),
    Familiar("partial_fit", "fit(trajectories): sources are read in chunks, and need not fit into memory", "Method"),
    Familiar("score_samples", "score(data)"),
    Familiar("n_blocks_ blocksplit", "n_blocks"),
    Familiar("trajs trajectories_ dtrajs", "blocks"),
    Familiar("ntraj n_trajectories number_of_trajectories", "lengths, of which there are len(data)", "Trajectories"),
    Familiar("trajectory_lengths trajectory_length", "lengths"),
)  # fmt: skip


def hint(cls: type, name: str) -> str:
    """What to say to who asks an instance of ``cls`` for ``name``, which it does not have.

    Examples
    --------
    >>> from thalweg.collective_variables.linear.pca import PCA, PCAModel
    >>> hint(PCAModel, "components_")
    "'PCAModel' object has no attribute 'components_'; here it is: loadings"
    >>> hint(PCA, "components_")
    "'PCA' object has no attribute 'components_'; fit(data) returns a PCAModel, which has: loadings"
    """
    text = f"{cls.__name__!r} object has no attribute {name!r}"
    if found := _ours(cls, name):
        return f"{text}; here it is: {found}"
    model = _model_of(cls)
    if model is not None:
        found = name if name in _members(model) else _ours(model, name)
        if found:
            return f"{text}; fit(data) returns a {model.__name__}, which has: {found}"
    near = get_close_matches(name, _members(cls), 1)
    return f"{text}; did you mean {near[0]!r}?" if near else text


def _ours(cls: type, name: str) -> str:
    """Ours for a familiar name; empty if there is none."""
    fitting = (row for row in FAMILIAR if name in row.theirs.split() and row.fits(cls))
    # what is said of this class goes before what is said of all
    rows = sorted(fitting, key=lambda row: not row.of)
    return rows[0].ours if rows else ""


def _members(cls: type) -> list[str]:
    """Public attributes of instances, asking none of them."""
    named = [field.name for field in fields(cls)] if is_dataclass(cls) else []
    return [name for name in dict.fromkeys([*named, *dir(cls)]) if not name.startswith("_")]


def _model_of(cls: type) -> type | None:
    """The class of what the method's ``fit`` returns; None if there is no ``fit``, or it does not say."""
    fit = inspect.getattr_static(cls, "fit", None)
    named = getattr(fit, "__annotations__", {}).get("return")
    found = vars(sys.modules[fit.__module__]).get(named) if isinstance(named, str) else named
    return found if isinstance(found, type) else None
