"""A reaction from short trajectories that hardly ever react: committor, rates and passage times by Galerkin.

Müller-Brown's surface with eight more dimensions that nobody tells apart from the two that matter, seen in 1000 runs of
eleven frames begun anywhere. Run it as it is, or cell by cell; it takes less than a minute and leaves `galerkin.html`.
"""

# %% Short runs of the surface, eight harmonic dimensions beside it. kT = 1 and D = 1 as in the literature.
import numpy as np

from thalweg.kinetics import DynamicalGalerkin, Ellipsoid, martingale_test
from thalweg.report import figure, write_figures
from thalweg.testsystems import Generator, MullerBrown, WithHarmonicDimensions
from thalweg.time_series import Trajectories

surface = MullerBrown(scale=20.0)
potential = WithHarmonicDimensions(surface, dimensions=8, stiffness=2.0)


def short_runs(count, frames, spacing, seed, dt=1e-3):
    random = np.random.default_rng(seed)
    drawn = random.uniform((-1.8, -0.6), (1.3, 2.3), (100 * count, 2))
    low = drawn[surface.energy(drawn.T) < 5.0][:count]
    x = np.hstack([low, random.normal(0, 0.5**0.5, (count, 8))])
    seen = [x]
    for _ in range(frames - 1):
        for _ in range(round(spacing / dt)):
            x = x - dt * potential.gradient(x.T).T + np.sqrt(2 * dt) * random.standard_normal(x.shape)
        seen.append(x)
    return Trajectories(list(np.stack(seen, axis=1)), dt=spacing)


runs = short_runs(1000, frames=11, spacing=0.05, seed=0)

# %% Two sets, as conditions on the first two columns.
a = Ellipsoid((-0.558, 1.442), 0.35, columns=(0, 1))
b = Ellipsoid((0.623, 0.028), 0.35, columns=(0, 1))
starting, reacting = (sum(bool((region.distance(frames) == 0).any()) for frames in runs) for region in (a, b))
print(f"{starting} of 1000 runs touch A, {reacting} touch B")

# %% One fit: windows of five frames, kernels that turn to the directions in which the committor changes.
model = DynamicalGalerkin(a, b, lagtime=5).fit(runs)
print(model)

# %% Which of the ten columns matter? The kernels measure distances along few directions.
directions = model.committor.trial.functions.projection.matrix
print("weights of the columns:", np.round((directions**2).sum(axis=1) / (directions**2).sum(), 3))

# %% Compare with what is exact, by a grid in the two dimensions that matter.
grid = Generator(surface, domain=((-1.8, 1.3), (-0.6, 2.3)), shape=(120, 120))


def inside(region):
    return lambda x: (region.distance(x.reshape(2, -1).T) == 0).reshape(x.shape[1:])


disc_a, disc_b = inside(a), inside(b)
exact = grid.rate(disc_a, disc_b)
passage = grid.mean_first_passage_time(disc_b, start=disc_a)
print(f"k_AB {model.rate_ab}, exact {exact.forward:.4f}")
print(f"mean passage time A to B {model.passage_ab}, exact {passage:.2f}")

# %% Other runs, which the fit has not seen, test the committor: it must neither rise nor fall on average.
others = short_runs(1000, frames=11, spacing=0.05, seed=1)
test = martingale_test(model, others, a, b)
print(test)
frames = np.concatenate(list(others))
outside = (a.distance(frames) > 0) & (b.distance(frames) > 0)
known = grid.interpolated(
    grid.committor(disc_a, disc_b), np.clip(frames[outside, :2], (-1.79, -0.59), (1.29, 2.29))
)
off = model.transform(frames[outside])[:, 0] - known
print(f"root mean square error of the committor on new frames {np.sqrt(np.nanmean(off**2)):.3f}")

# %% Figures: rates and passage times with errors beside the test in the data of the fit, and the test in the others.
write_figures("galerkin.html", [figure(model), figure(test)])
print("wrote galerkin.html")
