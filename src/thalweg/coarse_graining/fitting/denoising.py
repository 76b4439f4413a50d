"""Less noisy labels: forces of positions that noise has moved, mixed with the noise itself [durumeric2024].

Add Gaussian noise of deviation ``sigma`` to mapped positions, ``y = x + sigma xi``. The density of ``y`` is that of
``x`` smoothed, and both of these have its mean force ``kT grad log p_sigma(y)`` as their mean at ``y``:

    the mapped force F(x)          and          -kT xi / sigma,

so every mixture ``a F - (1 - a) kT xi / sigma`` may be matched. The weights ``a`` of the least total variance are used,
for each bead by itself. What is learned is the smoothed free energy: ``sigma`` should be below the width of what
matters, and the variance of a bond between two beads grows by ``2 sigma^2``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames


def denoised(frames: BeadFrames, sigma: float = 0.004, copies: int = 5, seed: int = 0) -> BeadFrames:
    """Each frame ``copies`` times, with noise on its positions and forces of the smoothed free energy.

    Parameters
    ----------
    frames : with forces, or without: then the noise alone is matched, which needs many more of them
    sigma : deviation of the noise [nm]
    copies : draws of noise for each frame; copies of one frame stay in one stretch of it

    Raises
    ------
    ValueError
        If sigma or copies are not positive.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = 0.05 * rng.normal(size=(2000, 1, 3))
    >>> noisy = 2.5 * rng.normal(size=x.shape) * 400 - 2.5 * x / 0.05**2
    >>> made = denoised(BeadFrames(x, 2.5, noisy), sigma=0.02, copies=1)
    >>> mean = -2.5 * made.positions / (0.05**2 + 0.02**2)
    >>> bool(np.var(made.forces - mean) < 0.05 * np.var(noisy - mean))
    True
    """
    if sigma <= 0 or copies < 1:
        raise ValueError(f"noise needs a positive sigma [nm] and one copy at least; got {sigma} and {copies}")
    rng = np.random.default_rng(seed)
    positions = np.repeat(frames.positions, copies, axis=0)
    xi = rng.normal(size=positions.shape)
    score = -frames.kT * xi / sigma
    forces = score
    if frames.forces is not None:
        labels = np.repeat(frames.forces, copies, axis=0)
        # d/da <|a F + (1 - a) S|^2> = 0, of each bead
        apart = labels - score
        share = -(score * apart).sum((0, 2)) / (apart**2).sum((0, 2))
        forces = score + np.clip(share, 0, 1)[None, :, None] * apart

    def again(column):
        return None if column is None else np.repeat(column, copies, axis=0)

    return replace(
        frames,
        positions=positions + sigma * xi,
        forces=forces,
        boxes=again(frames.boxes),
        weights=again(frames.weights),
        lengths=tuple(copies * n for n in frames.lengths),
    )
