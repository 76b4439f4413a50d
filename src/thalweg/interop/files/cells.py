"""Cells of stored frames: box vectors of lengths and angles, and what is no cell at all.

Programs that know no box write one nevertheless: of zeros, or of 1 Å in each direction, as PDB files do.
"""

from __future__ import annotations

import numpy as np

from thalweg.machine.reading import UnreadableFile
from thalweg.shapes import Float
from thalweg.units import ANGSTROM

NO_BOX = 1.001 * ANGSTROM
"""Lengths up to which a cell, all of whose edges are no longer, says that there is none [nm]."""

ROUNDED = 1e-6
"""Components that come out smaller are zero [nm]."""


def cell_vectors(
    lengths: Float[np.ndarray, "frames 3"], angles: Float[np.ndarray, "frames 3"]
) -> Float[np.ndarray, "frames 3 3"]:
    """Box vectors as rows, the first along x and the second in the plane of x and y.

    Zeros where a cell says that there is none, not finite where it cannot be.

    Parameters
    ----------
    lengths : (frames, 3) of the edges [nm]
    angles : (frames, 3) between second and third, third and first, first and second [degrees]

    Examples
    --------
    >>> cell_vectors(np.array([[2.0, 2.0, 2.0]]), np.array([[90.0, 90.0, 60.0]])).round(3)[0, 1].tolist()
    [1.0, 1.732, 0.0]
    """
    lengths = np.asarray(lengths, float)
    a, b, c = lengths.T
    with np.errstate(all="ignore"):
        alpha, beta, gamma = np.radians(np.asarray(angles, float)).T
        vectors = np.zeros((len(a), 3, 3))
        vectors[:, 0, 0] = a
        vectors[:, 1, 0], vectors[:, 1, 1] = b * np.cos(gamma), b * np.sin(gamma)
        x = np.cos(beta)
        y = (np.cos(alpha) - np.cos(beta) * np.cos(gamma)) / np.sin(gamma)
        vectors[:, 2] = c[:, None] * np.stack([x, y, np.sqrt(1 - x**2 - y**2)], axis=1)
    vectors[np.abs(vectors) < ROUNDED] = 0.0
    vectors[(np.abs(lengths) <= NO_BOX).all(axis=1)] = 0.0
    return vectors


def checked_box(
    box: Float[np.ndarray, "frames 3 3"] | None, path: object, first: int
) -> Float[np.ndarray, "frames 3 3"] | None:
    """``box``, or None where its cells say that there is none.

    Parameters
    ----------
    box : (frames, 3, 3) vectors as rows [nm]
    path, first : of the file, and the number of the first of these frames in it, for the message

    Raises
    ------
    UnreadableFile
        If a cell has no volume or is not finite, or only some frames have one.
    """
    if box is None or not len(box):
        return None
    with np.errstate(all="ignore"):
        none = (np.linalg.norm(box, axis=2) <= NO_BOX).all(axis=1)
        if none.all():
            return None
        wrong = ~none & ~(np.abs(np.linalg.det(np.asarray(box, float))) > NO_BOX**3)
        wrong |= ~none & ~np.isfinite(box).all(axis=(1, 2))
    if wrong.any():
        frame = int(np.flatnonzero(wrong)[0])
        raise UnreadableFile(
            f"{path} has in frame {first + frame} a cell without volume or not finite, "
            f"{np.asarray(box[frame]).round(4).tolist()} nm; remove the frames from there on, or write the "
            "file without cells"
        )
    if none.any():
        frame = int(np.flatnonzero(none)[0])
        raise UnreadableFile(
            f"{path} has no cell in frame {first + frame}, but in frame {first + int(np.flatnonzero(~none)[0])}; give "
            "frames all with cells, or all without"
        )
    return box
