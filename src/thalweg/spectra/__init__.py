"""Vibrational spectra: infrared absorption and Raman scattering, from dynamics and from normal modes.

`Infrared` and `Raman` take the dipoles and polarizabilities along runs, such as `property_trajectories` gives; a
`harmonic_spectrum` takes the normal modes at a minimum. Both are in absolute units, the same ones, so that the integral
of a line from dynamics is the harmonic intensity where the molecule is harmonic.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
