"""The state of a run in one file that is either the old one or the new one, whenever the power goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.machine import disk
from thalweg.machine.arrays import stored_arrays
from thalweg.machine.whole_files import whole


def save(path: Path | str, state: Any, name: str) -> None:
    """Write the arrays of ``state`` and the ``name`` of the run."""
    path = Path(path)
    disk.make_folder(path.parent)
    found = jax.tree_util.tree_flatten_with_path(state)[0]
    leaves = {f"leaf{k}": np.asarray(leaf) for k, (_, leaf) in enumerate(found)}
    places = np.array([jax.tree_util.keystr(place) for place, _ in found])
    with whole(path) as draft:
        disk.write_arrays(draft, {"name": np.array(name), "places": places} | leaves)


def restored(path: Path | str, like: Any, name: str) -> Any:
    """The state in the file, with the structure of ``like``.

    Raises
    ------
    ValueError
        If the file is of a run of another name, or of another model.
    """
    with stored_arrays(path) as file:
        if (found := str(file["name"])) != name:
            raise ValueError(
                f"{path} is the checkpoint of {found}, not of {name}; remove it or choose another file"
            )
        leaves, tree = jax.tree.flatten(like)
        stored = [file[f"leaf{k}"] for k in range(len(file["places"]))]
    shapes = [np.shape(leaf) for leaf in leaves]
    if [leaf.shape[-1:] for leaf in stored] != [shape[-1:] for shape in shapes]:
        raise ValueError(
            f"{path} is the checkpoint of a model of other shapes; remove it or choose another file"
        )
    kept = [jnp.asarray(a) if isinstance(b, jax.Array) else a for a, b in zip(stored, leaves, strict=True)]
    return jax.tree.unflatten(tree, kept)


def entry(path: Path | str, key: str) -> np.ndarray:
    """The array called ``key`` at the top of the state in the file.

    Raises
    ------
    ValueError
        If there is none.
    """
    with stored_arrays(path) as file:
        places = file["places"].tolist()
        place = f"[{key!r}]"
        if place not in places:
            raise ValueError(f"{path} has no {key!r}; it has {', '.join(places)}")
        return file[f"leaf{places.index(place)}"]
