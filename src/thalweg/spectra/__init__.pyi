from .harmonic import HarmonicSpectrum as HarmonicSpectrum
from .harmonic import harmonic_spectrum as harmonic_spectrum
from .property_trajectories import property_trajectories as property_trajectories
from .time_correlation import Infrared as Infrared
from .time_correlation import Raman as Raman
from .time_correlation import Spectrum as Spectrum
