"""The works cited by key in docstrings, in full."""

from __future__ import annotations

REFERENCES = {
    "amari1992": "S. Amari, N. Fujita and S. Shinomoto, Four types of learning curves, Neural Comput. 4, "
    "605 (1992), "
    "doi:10.1162/neco.1992.4.4.605",
    "andersen1983": "H. C. Andersen, Rattle: a 'velocity' version of the Shake algorithm for molecular "
    "dynamics "
    "calculations, J. Comput. Phys. 52, 24 (1983), doi:10.1016/0021-9991(83)90014-1",
    "andrew2013": "G. Andrew, R. Arora, J. Bilmes and K. Livescu, Deep canonical correlation analysis, Proc. ICML "
    "28, 1247 (2013), doi:10.5555/3042817.3043076",
    "angelopoulos2023": "A. N. Angelopoulos and S. Bates, Conformal prediction: a gentle introduction, "
    "Found. Trends Mach. Learn. 16, 494 (2023), doi:10.1561/2200000101",
    "arthur2007": "D. Arthur and S. Vassilvitskii, k-means++: the advantages of careful seeding, Proc. "
    "SODA 2007, 1027, doi:10.5555/1283383.1283494",
    "axilrod1943": "B. M. Axilrod and E. Teller, Interaction of the van der Waals type between three atoms, "
    "J. Chem. Phys. 11, 299 (1943), doi:10.1063/1.1723844",
    "bannwarth2019": "C. Bannwarth, S. Ehlert and S. Grimme, GFN2-xTB: an accurate and broadly parametrized "
    "self-consistent tight-binding quantum chemical method, J. Chem. Theory Comput. 15, 1652 "
    "(2019), doi:10.1021/acs.jctc.8b01176",
    "barducci2008": "A. Barducci, G. Bussi and M. Parrinello, Well-tempered metadynamics: a smoothly "
    "converging and "
    "tunable free-energy method, Phys. Rev. Lett. 100, 020603 (2008), "
    "doi:10.1103/PhysRevLett.100.020603",
    "bartok2010": "A. P. Bartók, M. C. Payne, R. Kondor and G. Csányi, Gaussian approximation potentials: the "
    "accuracy of quantum mechanics, without the electrons, Phys. Rev. Lett. 104, 136403 (2010), "
    "doi:10.1103/PhysRevLett.104.136403",
    "bartok2013": "A. P. Bartók, R. Kondor and G. Csányi, On representing chemical environments, "
    "Phys. Rev. B 87, 184115 (2013), doi:10.1103/PhysRevB.87.184115",
    "baum1970": "L. E. Baum, T. Petrie, G. Soules and N. Weiss, A maximization technique occurring in the "
    "statistical analysis of probabilistic functions of Markov chains, Ann. Math. Statist. 41, 164 (1970), "
    "doi:10.1214/aoms/1177697196",
    "behler2007": "J. Behler and M. Parrinello, Generalized neural-network representation of "
    "high-dimensional "
    "potential-energy surfaces, Phys. Rev. Lett. 98, 146401 (2007), doi:10.1103/PhysRevLett.98.146401",
    "behler2011": "J. Behler, Atom-centered symmetry functions for constructing high-dimensional neural "
    "network "
    "potentials, J. Chem. Phys. 134, 074106 (2011), doi:10.1063/1.3553717",
    "blondel1996": "A. Blondel and M. Karplus, New formulation for derivatives of torsion angles and "
    "improper "
    "torsion angles in molecular mechanics: elimination of singularities, J. Comput. Chem. 17, 1132 (1996), "
    "doi:10.1002/(SICI)1096-987X(19960715)17:9<1132::AID-JCC5>3.0.CO;2-T",
    "bonomi2009": "M. Bonomi et al., PLUMED: a portable plugin for free-energy calculations with molecular "
    "dynamics, Comput. Phys. Commun. 180, 1961 (2009), doi:10.1016/j.cpc.2009.05.011",
    "bowman2009": "G. R. Bowman, K. A. Beauchamp, G. Boxer and V. S. Pande, Progress and challenges in "
    "the automated construction of Markov state models for full protein systems, J. Chem. "
    "Phys. 131, 124101 (2009), doi:10.1063/1.3216567",
    "bowman2010": "G. R. Bowman, D. L. Ensign and V. S. Pande, Enhanced modeling via network theory: "
    "adaptive "
    "sampling of Markov state models, J. Chem. Theory Comput. 6, 787 (2010), doi:10.1021/ct900620b",
    "box1958": "G. E. P. Box and M. E. Muller, A note on the generation of random normal deviates, "
    "Ann. Math. Statist. 29, 610 (1958), doi:10.1214/aoms/1177706645",
    "braams2009": "B. J. Braams and J. M. Bowman, Permutationally invariant potential energy surfaces in "
    "high dimensionality, Int. Rev. Phys. Chem. 28, 577 (2009), "
    "doi:10.1080/01442350903234923",
    "bradley1952": "R. A. Bradley and M. E. Terry, Rank analysis of incomplete block designs: I. The method "
    "of "
    "paired comparisons, Biometrika 39, 324 (1952), doi:10.2307/2334029",
    "branch1999": "M. A. Branch, T. F. Coleman and Y. Li, A subspace, interior, and conjugate gradient "
    "method for "
    "large-scale bound-constrained minimization problems, SIAM J. Sci. Comput. 21, 1 (1999), "
    "doi:10.1137/S1064827595289108",
    "breiman1984": "L. Breiman, J. H. Friedman, R. A. Olshen and C. J. Stone, Classification and regression trees, "
    "Chapman and Hall (1984), doi:10.1201/9781315139470",
    "brubeck2021": "P. D. Brubeck, Y. Nakatsukasa and L. N. Trefethen, Vandermonde with Arnoldi, "
    "SIAM Rev. 63, 405 (2021), doi:10.1137/19M130100X",
    "buchete2008": "N.-V. Buchete and G. Hummer, Coarse master equations for peptide folding dynamics, "
    "J. Phys. Chem. B 112, 6057 (2008), doi:10.1021/jp0761665",
    "cao2020": "S. Cao, A. Montoya-Castillo, W. Wang, T. E. Markland and X. Huang, On the advantages of exploiting "
    "memory in Markov state models for biomolecular dynamics, J. Chem. Phys. 153, 014105 (2020), "
    "doi:10.1063/5.0010787",
    "caron2012": "F. Caron and A. Doucet, Efficient Bayesian inference for generalized Bradley-Terry models, "
    "J. Comput. Graph. Stat. 21, 174 (2012), doi:10.1080/10618600.2012.638220",
    "cerrillo2014": "J. Cerrillo and J. Cao, Non-Markovian dynamical maps: numerical processing of open quantum "
    "trajectories, Phys. Rev. Lett. 112, 110401 (2014), doi:10.1103/PhysRevLett.112.110401",
    "chan1983": "T. F. Chan, G. H. Golub and R. J. LeVeque, Algorithms for computing the sample variance: "
    "analysis "
    "and recommendations, Am. Stat. 37, 242 (1983), doi:10.1080/00031305.1983.10483115",
    "chen2019": "W. Chen, H. Sidky and A. L. Ferguson, Nonlinear discovery of slow molecular modes using "
    "state-free "
    "reversible VAMPnets, J. Chem. Phys. 150, 214114 (2019), doi:10.1063/1.5092521",
    "cheng2024": "B. Cheng, Cartesian atomic cluster expansion for machine learning interatomic "
    "potentials, npj Comput. Mater. "
    "10, 157 (2024), doi:10.1038/s41524-024-01332-4",
    "chmiela2017": "S. Chmiela et al., Machine learning of accurate energy-conserving molecular force "
    "fields, Sci. Adv. 3, e1603015 (2017), doi:10.1126/sciadv.1603015",
    "chmiela2018": "S. Chmiela, H. E. Sauceda, K.-R. Müller and A. Tkatchenko, Towards exact molecular "
    "dynamics simulations with machine-learned force fields, Nat. Commun. 9, 3887 (2018), "
    "doi:10.1038/s41467-018-06169-2",
    "chmiela2023": "S. Chmiela et al., Accurate global machine learning force fields for molecules with "
    "hundreds of atoms, Sci. Adv. 9, eadf0873 (2023), doi:10.1126/sciadv.adf0873",
    "chodera2007": "J. D. Chodera, W. C. Swope, J. W. Pitera, C. Seok and K. A. Dill, Use of the weighted "
    "histogram "
    "analysis method for the analysis of simulated and parallel tempering simulations, "
    "J. Chem. Theory Comput. 3, 26 (2007), doi:10.1021/ct0502864",
    "christensen2020": "A. S. Christensen, L. A. Bratholm, F. A. Faber and O. A. von Lilienfeld, FCHL "
    "revisited: "
    "faster and more accurate quantum machine learning, J. Chem. Phys. 152, 044107 (2020), "
    "doi:10.1063/1.5126701",
    "cordero2008": "B. Cordero et al., Covalent radii revisited, Dalton Trans. 2832 (2008), "
    "doi:10.1039/B801115J",
    "dembo1982": "R. S. Dembo, S. C. Eisenstat and T. Steihaug, Inexact Newton methods, "
    "SIAM J. Numer. Anal. 19, 400 (1982), doi:10.1137/0719025",
    "deuflhard2000": "P. Deuflhard, W. Huisinga, A. Fischer and C. Schütte, Identification of almost invariant "
    "aggregates in reversible nearly uncoupled Markov chains, Linear Algebra Appl. 315, 39 (2000), "
    "doi:10.1016/S0024-3795(00)00095-1",
    "deuflhard2005": "P. Deuflhard and M. Weber, Robust Perron cluster analysis in conformation dynamics, "
    "Linear Algebra Appl. 398, 161 (2005), doi:10.1016/j.laa.2004.10.026",
    "donati2017": "L. Donati, C. Hartmann and B. G. Keller, Girsanov reweighting for path ensembles and Markov state "
    "models, J. Chem. Phys. 146, 244112 (2017), doi:10.1063/1.4989474",
    "drautz2019": "R. Drautz, Atomic cluster expansion for accurate and transferable interatomic potentials, "
    "Phys. Rev. B 99, 014104 (2019), doi:10.1103/PhysRevB.99.014104",
    "eastman2024": "P. Eastman et al., OpenMM 8: molecular dynamics simulation with machine "
    "learning potentials, "
    "J. Phys. Chem. B 128, 109 (2024), doi:10.1021/acs.jpcb.3c06662",
    "efron1979": "B. Efron, Bootstrap methods: another look at the jackknife, Ann. Stat. 7, 1 (1979), "
    "doi:10.1214/aos/1176344552",
    "efron1994": "B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, Chapman and Hall/CRC "
    "(1994), "
    "doi:10.1201/9780429246593",
    "efron2004": "B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, Least angle regression, Ann. Statist. 32, 407 "
    "(2004), doi:10.1214/009053604000000067",
    "eickenberg2018": "M. Eickenberg, G. Exarchakis, M. Hirn, S. Mallat and L. Thiry, Solid harmonic wavelet "
    "scattering for predictions of molecule properties, J. Chem. Phys. 148, 241732 (2018), "
    "doi:10.1063/1.5023798",
    "fawcett2006": "T. Fawcett, An introduction to ROC analysis, Pattern Recognit. Lett. 27, 861 (2006), "
    "doi:10.1016/j.patrec.2005.10.010",
    "fiorin2013": "G. Fiorin, M. L. Klein and J. Hénin, Using collective variables to drive molecular dynamics "
    "simulations, Mol. Phys. 111, 3345 (2013), doi:10.1080/00268976.2013.813594",
    "fu2023": "X. Fu et al., Forces are not enough: benchmark and critical evaluation for machine learning "
    "force fields with molecular simulations, Trans. Mach. Learn. Res. (2023), "
    "doi:10.48550/arXiv.2210.07237",
    "gastegger2018": "M. Gastegger et al., wACSF: weighted atom-centered symmetry functions as "
    "descriptors in "
    "machine learning potentials, J. Chem. Phys. 148, 241709 (2018), doi:10.1063/1.5019667",
    "gasteiger2020": "J. Gasteiger, J. Groß and S. Günnemann, Directional message passing for molecular "
    "graphs, "
    "ICLR 2020, doi:10.48550/arXiv.2003.03123",
    "gibou2002": "F. Gibou, R. P. Fedkiw, L.-T. Cheng and M. Kang, A second-order-accurate symmetric "
    "discretization "
    "of the Poisson equation on irregular domains, J. Comput. Phys. 176, 205 (2002), "
    "doi:10.1006/jcph.2001.6977",
    "gilvarry1956": "J. J. Gilvarry, The Lindemann and Grüneisen laws, Phys. Rev. 102, 308 (1956), "
    "doi:10.1103/PhysRev.102.308",
    "gneiting2007": "T. Gneiting, F. Balabdaoui and A. E. Raftery, Probabilistic forecasts, calibration and "
    "sharpness, J. R. Stat. Soc. B 69, 243 (2007), doi:10.1111/j.1467-9868.2007.00587.x",
    "gonzalez1985": "T. F. Gonzalez, Clustering to minimize the maximum intercluster distance, Theor. "
    "Comput. Sci. 38, 293 (1985), doi:10.1016/0304-3975(85)90224-5",
    "goreinov2010": "S. A. Goreinov, I. V. Oseledets, D. V. Savostyanov, E. E. Tyrtyshnikov and "
    "N. L. Zamarashkin, How to find a good submatrix, in Matrix Methods: Theory, Algorithms, Applications, World "
    "Scientific (2010), 247, doi:10.1142/9789812836021_0015",
    "grimme2017": "S. Grimme, C. Bannwarth and P. Shushkov, A robust and accurate tight-binding quantum "
    "chemical method for structures, vibrational frequencies, and noncovalent interactions "
    "of large molecular systems (GFN-xTB), J. Chem. Theory Comput. 13, 1989 (2017), "
    "doi:10.1021/acs.jctc.7b00118",
    "hawkins1996": "G. D. Hawkins, C. J. Cramer and D. G. Truhlar, Parametrized models of aqueous free "
    "energies of "
    "solvation based on pairwise descreening of solute atomic charges from a dielectric medium, "
    "J. Phys. Chem. 100, 19824 (1996), doi:10.1021/jp961710n",
    "hernandez2018": "C. X. Hernández, H. K. Wayment-Steele, M. M. Sultan, B. E. Husic and V. S. Pande, Variational "
    "encoding of complex dynamics, Phys. Rev. E 97, 062412 (2018), doi:10.1103/PhysRevE.97.062412",
    "hinrichs2007": "N. S. Hinrichs and V. S. Pande, Calculation of the distribution of eigenvalues and "
    "eigenvectors "
    "in Markovian state models for molecular dynamics, J. Chem. Phys. 126, 244101 (2007), "
    "doi:10.1063/1.2740261",
    "hoffmann2021": "M. Hoffmann et al., Deeptime: a Python library for machine learning dynamical models "
    "from time "
    "series data, Mach. Learn.: Sci. Technol. 3, 015009 (2021), doi:10.1088/2632-2153/ac3de0",
    "horn1987": "B. K. P. Horn, Closed-form solution of absolute orientation using unit quaternions, "
    "J. Opt. Soc. Am. A 4, 629 (1987), doi:10.1364/JOSAA.4.000629",
    "houston2022": "P. L. Houston et al., Permutationally invariant polynomial regression for energies and "
    "gradients, using reverse differentiation, achieves orders of magnitude speed-up with "
    "high precision compared to other machine learning methods, J. Chem. Phys. 156, 044120 "
    "(2022), doi:10.1063/5.0080506",
    "hummer2015": "G. Hummer and A. Szabo, Optimal dimensionality reduction of multistate kinetic and Markov-state "
    "models, J. Phys. Chem. B 119, 9029 (2015), doi:10.1021/jp508375q",
    "imbalzano2018": "G. Imbalzano et al., Automatic selection of atomic fingerprints and reference "
    "configurations "
    "for machine-learning potentials, J. Chem. Phys. 148, 241730 (2018), doi:10.1063/1.5024611",
    "iupac1970": "IUPAC-IUB Commission on Biochemical Nomenclature, Abbreviations and symbols for the "
    "description of "
    "the conformation of polypeptide chains, Biochemistry 9, 3471 (1970), doi:10.1021/bi00820a001",
    "jensen1953": "A. Jensen, Markoff chains as an aid in the study of Markoff processes, "
    "Scand. Actuar. J. 1953 (sup1), 87, doi:10.1080/03461238.1953.10419459",
    "jorgensen1983": "W. L. Jorgensen, J. Chandrasekhar, J. D. Madura, R. W. Impey and M. L. Klein, "
    "Comparison of "
    "simple potential functions for simulating liquid water, J. Chem. Phys. 79, 926 (1983), "
    "doi:10.1063/1.445869",
    "kabsch1976": "W. Kabsch, A solution for the best rotation to relate two sets of vectors, Acta "
    "Cryst. A 32, 922 "
    "(1976), doi:10.1107/S0567739476001873",
    "kabsch1983": "W. Kabsch and C. Sander, Dictionary of protein secondary structure: pattern recognition of "
    "hydrogen-bonded and geometrical features, Biopolymers 22, 2577 (1983), doi:10.1002/bip.360221211",
    "keys1981": "R. G. Keys, Cubic convolution interpolation for digital image processing, IEEE Trans. "
    "Acoust. "
    "Speech Signal Process. 29, 1153 (1981), doi:10.1109/TASSP.1981.1163711",
    "kieninger2021": "S. Kieninger and B. G. Keller, Path probability ratios for Langevin dynamics - exact and "
    "approximate, J. Chem. Phys. 154, 094102 (2021), doi:10.1063/5.0038408",
    "kingma2014": "D. P. Kingma and M. Welling, Auto-encoding variational Bayes, ICLR 2014, "
    "doi:10.48550/arXiv.1312.6114",
    "kingma2015": "D. P. Kingma and J. Ba, Adam: a method for stochastic optimization, Proc. ICLR 2015, "
    "doi:10.48550/arXiv.1412.6980",
    "kramer1991": "M. A. Kramer, Nonlinear principal component analysis using autoassociative neural networks, AIChE "
    "J. 37, 233 (1991), doi:10.1002/aic.690370209",
    "krautler2001": "V. Kräutler, W. F. van Gunsteren and P. H. Hünenberger, A fast SHAKE algorithm to "
    "solve distance "
    "constraint equations for small molecules in molecular dynamics simulations, J. Comput. Chem. 22, 501 "
    "(2001), "
    "doi:10.1002/1096-987X(20010415)22:5<501::AID-JCC1021>3.0.CO;2-V",
    "lawson1974": "C. L. Lawson and R. J. Hanson, Solving least squares problems, Prentice-Hall (1974), "
    "doi:10.1137/1.9781611971217",
    "lechner2008": "W. Lechner and C. Dellago, Accurate determination of crystal structures based on averaged local "
    "bond order parameters, J. Chem. Phys. 129, 114707 (2008), doi:10.1063/1.2977970",
    "lecun1998": "Y. LeCun, L. Bottou, G. B. Orr and K.-R. Müller, Efficient backprop, in Neural "
    "Networks: Tricks of the Trade, "
    "Lect. Notes Comput. Sci. 1524, 9 (1998), doi:10.1007/3-540-49430-8_2",
    "leimkuhler2013": "B. Leimkuhler and C. Matthews, Rational construction of stochastic numerical methods "
    "for "
    "molecular sampling, Appl. Math. Res. Express 2013, 34, doi:10.1093/amrx/abs010",
    "lennardjones1931": "J. E. Lennard-Jones, Cohesion, Proc. Phys. Soc. 43, 461 (1931), "
    "doi:10.1088/0959-5309/43/5/301",
    "lie2013": "H. C. Lie, K. Fackeldey and M. Weber, A square root approximation of transition rates for a "
    "Markov "
    "state model, SIAM J. Matrix Anal. Appl. 34, 738 (2013), doi:10.1137/120891976",
    "lloyd1982": "S. P. Lloyd, Least squares quantization in PCM, IEEE Trans. Inf. Theory 28, 129 "
    "(1982), doi:10.1109/TIT.1982.1056489",
    "lorpaiboon2020": "C. Lorpaiboon, E. H. Thiede, R. J. Webber, J. Weare and A. R. Dinner, Integrated variational "
    "approach to conformational dynamics: a robust strategy for identifying eigenfunctions of dynamical "
    "operators, J. Phys. Chem. B 124, 9354 (2020), doi:10.1021/acs.jpcb.0c06477",
    "loshchilov2017": "I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm "
    "restarts, Proc. ICLR 2017, "
    "doi:10.48550/arXiv.1608.03983",
    "loshchilov2019": "I. Loshchilov and F. Hutter, Decoupled weight decay regularization, Proc. ICLR 2019, "
    "doi:10.48550/arXiv.1711.05101",
    "mackay1992": "D. J. C. MacKay, Bayesian interpolation, Neural Comput. 4, 415 (1992), "
    "doi:10.1162/neco.1992.4.3.415",
    "mackerell2004": "A. D. MacKerell, M. Feig and C. L. Brooks, Extending the treatment of backbone "
    "energetics in "
    "protein force fields, J. Comput. Chem. 25, 1400 (2004), doi:10.1002/jcc.20065",
    "madras1988": "N. Madras and A. D. Sokal, The pivot algorithm: a highly efficient Monte Carlo method for the "
    "self-avoiding walk, J. Stat. Phys. 50, 109 (1988), doi:10.1007/BF01022990",
    "mahoney2009": "M. W. Mahoney and P. Drineas, CUR matrix decompositions for improved data analysis, "
    "Proc. Natl. Acad. Sci. 106, 697 (2009), doi:10.1073/pnas.0803205106",
    "maier2015": "J. A. Maier et al., ff14SB: improving the accuracy of protein side chain and backbone "
    "parameters "
    "from ff99SB, J. Chem. Theory Comput. 11, 3696 (2015), doi:10.1021/acs.jctc.5b00255",
    "mardia1976": "K. V. Mardia, Linear-circular correlation coefficients and rhythmometry, Biometrika 63, "
    "403 (1976), "
    "doi:10.1093/biomet/63.2.403",
    "mardt2018": "A. Mardt, L. Pasquali, H. Wu and F. Noé, VAMPnets for deep learning of molecular kinetics, "
    "Nat. Commun. 9, 5 (2018), doi:10.1038/s41467-017-02388-1",
    "mardt2020": "A. Mardt, L. Pasquali, F. Noé and H. Wu, Deep learning Markov and Koopman models with physical "
    "constraints, Proc. Mach. Learn. Res. 107, 451 (2020), doi:10.48550/arXiv.1912.07392",
    "mcgibbon2015": "R. T. McGibbon and V. S. Pande, Variational cross-validation of slow dynamical modes in "
    "molecular kinetics, J. Chem. Phys. 142, 124105 (2015), doi:10.1063/1.4916292",
    "mcgibbon2017": "R. T. McGibbon, B. E. Husic and V. S. Pande, Identification of simple reaction coordinates from "
    "complex dynamics, J. Chem. Phys. 146, 044109 (2017), doi:10.1063/1.4974306",
    "meija2016": "J. Meija et al., Atomic weights of the elements 2013, Pure Appl. Chem. 88, 265 (2016), "
    "doi:10.1515/pac-2015-0305",
    "metzner2009": "P. Metzner, C. Schütte and E. Vanden-Eijnden, Transition path theory for Markov jump "
    "processes, Multiscale Model. Simul. 7, 1192 (2009), doi:10.1137/070699500",
    "molgedey1994": "L. Molgedey and H. G. Schuster, Separation of a mixture of independent signals using "
    "time delayed correlations, Phys. Rev. Lett. 72, 3634 (1994), "
    "doi:10.1103/PhysRevLett.72.3634",
    "montavon2013": "G. Montavon et al., Machine learning of molecular electronic properties in chemical "
    "compound space, New J. Phys. 15, 095003 (2013), doi:10.1088/1367-2630/15/9/095003",
    "morse1929": "P. M. Morse, Diatomic molecules according to the wave mechanics. II. Vibrational "
    "levels, Phys. "
    "Rev. 34, 57 (1929), doi:10.1103/PhysRev.34.57",
    "muller1979": "K. Müller and L. D. Brown, Location of saddle points and minimum energy paths by a "
    "constrained "
    "simplex optimization procedure, Theor. Chim. Acta 53, 75 (1979), doi:10.1007/BF00547608",
    "murray2010": "I. Murray, R. P. Adams and D. J. C. MacKay, Elliptical slice sampling, Proc. AISTATS 2010, 541, "
    "doi:10.48550/arXiv.1001.0175",
    "nadeau2003": "C. Nadeau and Y. Bengio, Inference for the generalization error, Mach. Learn. 52, 239 (2003), "
    "doi:10.1023/A:1024068626366",
    "nagel2019": "D. Nagel, A. Weber, B. Lickert and G. Stock, Dynamical coring of Markov state models, "
    "J. Chem. Phys. 150, 094111 (2019), doi:10.1063/1.5081767",
    "neal2003": "R. M. Neal, Slice sampling, Ann. Statist. 31, 705 (2003), doi:10.1214/aos/1056562461",
    "neyman1933": "J. Neyman and E. S. Pearson, On the problem of the most efficient tests of statistical hypotheses, "
    "Phil. Trans. R. Soc. A 231, 289 (1933), doi:10.1098/rsta.1933.0009",
    "nocedal1980": "J. Nocedal, Updating quasi-Newton matrices with limited storage, Math. Comput. 35, 773 "
    "(1980), "
    "doi:10.1090/S0025-5718-1980-0572855-7",
    "noe2008": "F. Noé, Probability distributions of molecular observables computed from Markov models, "
    "J. Chem. Phys. 128, 244103 (2008), doi:10.1063/1.2916718",
    "noe2009": "F. Noé, C. Schütte, E. Vanden-Eijnden, L. Reich and T. R. Weikl, Constructing the equilibrium "
    "ensemble of folding pathways from short off-equilibrium simulations, Proc. Natl. Acad. Sci. 106, 19011 "
    "(2009), doi:10.1073/pnas.0905466106",
    "noe2013": "F. Noé and F. Nüske, A variational approach to modeling slow processes in stochastic dynamical "
    "systems, Multiscale Model. Simul. 11, 635 (2013), doi:10.1137/110858616",
    "noe2015": "F. Noé and C. Clementi, Kinetic distance and kinetic maps from molecular dynamics "
    "simulation, "
    "J. Chem. Theory Comput. 11, 5002 (2015), doi:10.1021/acs.jctc.5b00553",
    "noe2016": "F. Noé, R. Banisch and C. Clementi, Commute maps: separating slowly mixing molecular "
    "configurations "
    "for kinetic modeling, J. Chem. Theory Comput. 12, 5620 (2016), doi:10.1021/acs.jctc.6b00762",
    "nuske2014": "F. Nüske, B. G. Keller, G. Pérez-Hernández, A. S. J. S. Mey and F. Noé, Variational approach to "
    "molecular kinetics, J. Chem. Theory Comput. 10, 1739 (2014), doi:10.1021/ct4009156",
    "onufriev2004": "A. Onufriev, D. Bashford and D. A. Case, Exploring protein native states and "
    "large-scale "
    "conformational changes with a modified generalized Born model, Proteins 55, 383 (2004), "
    "doi:10.1002/prot.20033",
    "pati1993": "Y. C. Pati, R. Rezaiifar and P. S. Krishnaprasad, Orthogonal matching pursuit: recursive function "
    "approximation with applications to wavelet decomposition, Proc. Asilomar Conf. Signals Syst. Comput. 27, 40 "
    "(1993), doi:10.1109/ACSSC.1993.342465",
    "pearson1901": "K. Pearson, On lines and planes of closest fit to systems of points in space, "
    "Philos. Mag. 2, 559 (1901), doi:10.1080/14786440109462720",
    "perezhernandez2013": "G. Pérez-Hernández et al., Identification of slow molecular order parameters "
    "for Markov "
    "model construction, J. Chem. Phys. 139, 015102 (2013), doi:10.1063/1.4811489",
    "podryabinkin2017": "E. V. Podryabinkin and A. V. Shapeev, Active learning of linearly parametrized "
    "interatomic potentials, Comput. Mater. Sci. 140, 171 (2017), doi:10.1016/j.commatsci.2017.08.031",
    "polyak1992": "B. T. Polyak and A. B. Juditsky, Acceleration of stochastic approximation by averaging, "
    "SIAM J. Control Optim. 30, 838 (1992), doi:10.1137/0330046",
    "pozdnyakov2020": "S. N. Pozdnyakov et al., Incompleteness of atomic structure representations, "
    "Phys. Rev. Lett. 125, 166001 (2020), doi:10.1103/PhysRevLett.125.166001",
    "prinz2011": "J.-H. Prinz et al., Markov models of molecular kinetics: generation and validation, "
    "J. Chem. Phys. 134, 174105 (2011), doi:10.1063/1.3565032",
    "quinonero2005": "J. Quiñonero-Candela and C. E. Rasmussen, A unifying view of sparse approximate Gaussian "
    "process regression, J. Mach. Learn. Res. 6, 1939 (2005), "
    "doi:10.5555/1046920.1194909",
    "rabiner1989": "L. R. Rabiner, A tutorial on hidden Markov models and selected applications in speech "
    "recognition, Proc. IEEE 77, 257 (1989), doi:10.1109/5.18626",
    "rahimi2007": "A. Rahimi and B. Recht, Random features for large-scale kernel machines, Adv. Neural Inf. Process. "
    "Syst. 20 (2007), doi:10.5555/2981562.2981710",
    "raiteri2006": "P. Raiteri et al., Efficient reconstruction of complex free energy landscapes "
    "by multiple "
    "walkers metadynamics, J. Phys. Chem. B 110, 3533 (2006), doi:10.1021/jp054359r",
    "rasmussen2006": "C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine Learning, MIT "
    "Press (2006), doi:10.7551/mitpress/3206.001.0001",
    "reddi2018": "S. J. Reddi, S. Kale and S. Kumar, On the convergence of Adam and beyond, Proc. ICLR 2018, "
    "doi:10.48550/arXiv.1904.09237",
    "richardson1911": "L. F. Richardson, The approximate arithmetical solution by finite differences of "
    "physical "
    "problems involving differential equations, with an application to the stresses in a masonry dam, "
    "Philos. Trans. R. Soc. A 210, 307 (1911), doi:10.1098/rsta.1911.0009",
    "risken1996": "H. Risken, The Fokker-Planck Equation: Methods of Solution and Applications, 2nd ed., "
    "Springer (1996), doi:10.1007/978-3-642-61544-3",
    "roblitz2013": "S. Röblitz and M. Weber, Fuzzy spectral clustering by PCCA+: application to Markov "
    "state models and data classification, Adv. Data Anal. Classif. 7, 147 (2013), "
    "doi:10.1007/s11634-013-0134-6",
    "rupp2012": "M. Rupp, A. Tkatchenko, K.-R. Müller and O. A. von Lilienfeld, Fast and accurate "
    "modeling of molecular atomization energies with machine learning, Phys. Rev. Lett. 108, "
    "058301 (2012), doi:10.1103/PhysRevLett.108.058301",
    "ryckaert1977": "J.-P. Ryckaert, G. Ciccotti and H. J. C. Berendsen, Numerical integration of the "
    "Cartesian "
    "equations of motion of a system with constraints: molecular dynamics of n-alkanes, "
    "J. Comput. Phys. 23, 327 (1977), doi:10.1016/0021-9991(77)90098-5",
    "salmon2011": "J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, Parallel random numbers: as easy "
    "as 1, 2, "
    "3, Proc. SC11 (2011), doi:10.1145/2063384.2063405",
    "schaefer1998": "M. Schaefer, C. Bartels and M. Karplus, Solution conformations and thermodynamics of "
    "structured "
    "peptides: molecular dynamics simulation with an implicit solvation model, J. Mol. Biol. 284, 835 "
    "(1998), "
    "doi:10.1006/jmbi.1998.2172",
    "schen2019": "S. Chen et al., The dynamic conformational landscape of the protein methyltransferase SETD8, "
    "eLife 8, e45403 (2019), doi:10.7554/eLife.45403",
    "schmid2010": "P. J. Schmid, Dynamic mode decomposition of numerical and experimental data, J. Fluid Mech. 656, 5 "
    "(2010), doi:10.1017/S0022112010001217",
    "schutt2017": "K. T. Schütt, F. Arbabzadah, S. Chmiela, K. R. Müller and A. Tkatchenko, "
    "Quantum-chemical insights from deep "
    "tensor neural networks, Nat. Commun. 8, 13890 (2017), doi:10.1038/ncomms13890",
    "schutt2018": "K. T. Schütt, H. E. Sauceda, P.-J. Kindermans, A. Tkatchenko and K.-R. Müller, SchNet "
    "- a deep learning "
    "architecture for molecules and materials, J. Chem. Phys. 148, 241722 (2018), doi:10.1063/1.5019779",
    "schutt2021": "K. T. Schütt, O. T. Unke and M. Gastegger, Equivariant message passing for the "
    "prediction of tensorial "
    "properties and molecular spectra, Proc. ICML 2021, doi:10.48550/arXiv.2102.03150",
    "schutte2011": "C. Schütte, F. Noé, J. Lu, M. Sarich and E. Vanden-Eijnden, Markov state models based on "
    "milestoning, J. Chem. Phys. 134, 204105 (2011), doi:10.1063/1.3590108",
    "schutte2013": "C. Schütte and M. Sarich, Metastability and Markov State Models in Molecular Dynamics, "
    "Courant Lecture Notes 24, American Mathematical Society (2013), doi:10.1090/cln/024",
    "schwantes2015": "C. R. Schwantes and V. S. Pande, Modeling molecular kinetics with tICA and the kernel trick, "
    "J. Chem. Theory Comput. 11, 600 (2015), doi:10.1021/ct5007357",
    "seung1992": "H. S. Seung, M. Opper and H. Sompolinsky, Query by committee, Proc. COLT 1992, 287, "
    "doi:10.1145/130385.130417",
    "shapeev2016": "A. V. Shapeev, Moment tensor potentials: a class of systematically improvable "
    "interatomic "
    "potentials, Multiscale Model. Simul. 14, 1153 (2016), doi:10.1137/15M1054183",
    "shirts2007": "M. R. Shirts, D. L. Mobley, J. D. Chodera and V. S. Pande, Accurate and efficient "
    "corrections for "
    "missing dispersion interactions in molecular simulations, J. Phys. Chem. B 111, 13052 (2007), "
    "doi:10.1021/jp0735987",
    "shirts2008": "M. R. Shirts and J. D. Chodera, Statistically optimal analysis of samples from multiple "
    "equilibrium states, J. Chem. Phys. 129, 124105 (2008), doi:10.1063/1.2978177",
    "shrake1973": "A. Shrake and J. A. Rupley, Environment and exposure to solvent of protein atoms: lysozyme and "
    "insulin, J. Mol. Biol. 79, 351 (1973), doi:10.1016/0022-2836(73)90011-9",
    "squire1998": "W. Squire and G. Trapp, Using complex variables to estimate derivatives of real "
    "functions, "
    "SIAM Rev. 40, 110 (1998), doi:10.1137/S003614459631241X",
    "steinhardt1983": "P. J. Steinhardt, D. R. Nelson and M. Ronchetti, Bond-orientational order in liquids and "
    "glasses, Phys. Rev. B 28, 784 (1983), doi:10.1103/PhysRevB.28.784",
    "still1990": "W. C. Still, A. Tempczyk, R. C. Hawley and T. Hendrickson, Semianalytical treatment of "
    "solvation "
    "for molecular mechanics and dynamics, J. Am. Chem. Soc. 112, 6127 (1990), doi:10.1021/ja00172a038",
    "stillinger1985": "F. H. Stillinger and T. A. Weber, Computer simulation of local order in condensed "
    "phases of "
    "silicon, Phys. Rev. B 31, 5262 (1985), doi:10.1103/PhysRevB.31.5262",
    "swope2004": "W. C. Swope, J. W. Pitera and F. Suits, Describing protein folding kinetics by "
    "molecular dynamics simulations. 1. Theory, J. Phys. Chem. B 108, 6571 (2004), "
    "doi:10.1021/jp037421y",
    "tan2018": "K. M. Tan, Z. Wang, H. Liu and T. Zhang, Sparse generalized eigenvalue problem: optimal statistical "
    "rates via truncated Rayleigh flow, J. R. Stat. Soc. B 80, 1057 (2018), doi:10.1111/rssb.12291",
    "thiede2019": "E. H. Thiede, D. Giannakis, A. R. Dinner and J. Weare, Galerkin approximation of "
    "dynamical "
    "quantities using trajectory data, J. Chem. Phys. 150, 244111 (2019), doi:10.1063/1.5063730",
    "thompson2015": "A. P. Thompson, L. P. Swiler, C. R. Trott, S. M. Foiles and G. J. Tucker, Spectral neighbor "
    "analysis method for automated generation of quantum-accurate interatomic potentials, J. Comput."
    " Phys. 285, 316 (2015), doi:10.1016/j.jcp.2014.12.018",
    "thompson2022": "A. P. Thompson et al., LAMMPS - a flexible simulation tool for particle-based materials "
    "modeling at the atomic, meso, and continuum scales, Comput. Phys. Commun. 271, 108171 (2022), "
    "doi:10.1016/j.cpc.2021.108171",
    "tibshirani1996": "R. Tibshirani, Regression shrinkage and selection via the lasso, J. R. Stat. Soc. B 58, 267 "
    "(1996), doi:10.1111/j.2517-6161.1996.tb02080.x",
    "tironi1995": "I. G. Tironi, R. Sperb, P. E. Smith and W. F. van Gunsteren, A generalized reaction "
    "field method "
    "for molecular dynamics simulations, J. Chem. Phys. 102, 5451 (1995), doi:10.1063/1.469273",
    "tiwary2015": "P. Tiwary and M. Parrinello, A time-independent free energy estimator for metadynamics, "
    "J. Phys. Chem. B 119, 736 (2015), doi:10.1021/jp504920s",
    "torrie1977": "G. M. Torrie and J. P. Valleau, Nonphysical sampling distributions in Monte Carlo "
    "free-energy "
    "estimation: umbrella sampling, J. Comput. Phys. 23, 187 (1977), doi:10.1016/0021-9991(77)90121-8",
    "trendelkampschroer2013": "B. Trendelkamp-Schroer and F. Noé, Efficient Bayesian estimation of Markov model "
    "transition matrices with given stationary distribution, J. Chem. Phys. 138, 164113 (2013), doi:10.1063/1.4801325",
    "trendelkampschroer2015": "B. Trendelkamp-Schroer, H. Wu, F. Paul and F. Noé, Estimation and uncertainty "
    "of "
    "reversible Markov models, J. Chem. Phys. 143, 174101 (2015), doi:10.1063/1.4934536",
    "trendelkampschroer2016": "B. Trendelkamp-Schroer and F. Noé, Efficient estimation of rare-event "
    "kinetics, "
    ""
    "Phys. Rev. X 6, 011009 (2016), doi:10.1103/PhysRevX.6.011009",
    "tu2014": "J. H. Tu et al., On dynamic mode decomposition: theory and applications, J. Comput. Dyn. 1, 391 "
    "(2014), doi:10.3934/jcd.2014.1.391",
    "uhlenbeck1930": "G. E. Uhlenbeck and L. S. Ornstein, On the theory of the Brownian motion, "
    "Phys. Rev. 36, 823 (1930), doi:10.1103/PhysRev.36.823",
    "vandeneijnden2006": "W. E and E. Vanden-Eijnden, Towards a theory of transition paths, "
    "J. Stat. Phys. 123, 503 (2006), doi:10.1007/s10955-005-9003-9",
    "varadhan2008": "R. Varadhan and C. Roland, Simple and globally convergent methods for accelerating the "
    "convergence of any EM algorithm, Scand. J. Stat. 35, 335 (2008), "
    "doi:10.1111/j.1467-9469.2007.00585.x",
    "verlet1967": "L. Verlet, Computer experiments on classical fluids. I. Thermodynamical properties of "
    "Lennard-Jones molecules, Phys. Rev. 159, 98 (1967), doi:10.1103/PhysRev.159.98",
    "viterbi1967": "A. J. Viterbi, Error bounds for convolutional codes and an asymptotically optimum decoding "
    "algorithm, IEEE Trans. Inf. Theory 13, 260 (1967), doi:10.1109/TIT.1967.1054010",
    "wang2018": "H. Wang, L. Zhang, J. Han and W. E, DeePMD-kit: a deep learning package for many-body "
    "potential "
    "energy representation and molecular dynamics, Comput. Phys. Commun. 228, 178 (2018), "
    "doi:10.1016/j.cpc.2018.03.016",
    "wehmeyer2018": "C. Wehmeyer and F. Noé, Time-lagged autoencoders: deep learning of slow collective variables for "
    "molecular kinetics, J. Chem. Phys. 148, 241703 (2018), doi:10.1063/1.5011399",
    "willatt2018": "M. J. Willatt, F. Musil and M. Ceriotti, Feature optimization for atomistic machine "
    "learning "
    "yields a data-driven construction of the periodic table of the elements, Phys. Chem. Chem. Phys. "
    "20, 29661 "
    "(2018), doi:10.1039/C8CP05921G",
    "williams2015": "M. O. Williams, I. G. Kevrekidis and C. W. Rowley, A data-driven approximation of the Koopman "
    "operator: extending dynamic mode decomposition, J. Nonlinear Sci. 25, 1307 (2015), "
    "doi:10.1007/s00332-015-9258-5",
    "witt2023": "W. C. Witt et al., ACEpotentials.jl: a Julia implementation of the atomic cluster expansion, "
    "J. Chem. Phys. 159, 164101 (2023), doi:10.1063/5.0158783",
    "wood2018": "M. A. Wood and A. P. Thompson, Extending the accuracy of the SNAP interatomic potential form, "
    "J. Chem. Phys. 148, 241721 (2018), doi:10.1063/1.5017641",
    "wu2017": "H. Wu et al., Variational Koopman models: slow collective variables and molecular kinetics "
    "from short "
    "off-equilibrium simulations, J. Chem. Phys. 146, 154104 (2017), doi:10.1063/1.4979344",
    "wu2020": "H. Wu and F. Noé, Variational approach for learning Markov processes from time series data, "
    "J. Nonlinear Sci. 30, 23 (2020), doi:10.1007/s00332-019-09567-y",
    "xie2010": "Z. Xie and J. M. Bowman, Permutationally invariant polynomial basis for molecular "
    "energy surface fitting via monomial symmetrization, J. Chem. Theory Comput. 6, 26 "
    "(2010), doi:10.1021/ct9004917",
    "yang2018": "Y. I. Yang and M. Parrinello, Refining collective coordinates and improving free energy "
    "representation in variational enhanced sampling, J. Chem. Theory Comput. 14, 2889 (2018), "
    "doi:10.1021/acs.jctc.8b00231",
    "zhang2021": "Y. Zhang, J. Xia and B. Jiang, Physically motivated recursively embedded atom neural "
    "networks: incorporating "
    "local completeness and nonlocality, Phys. Rev. Lett. 127, 156002 (2021), "
    "doi:10.1103/PhysRevLett.127.156002",
    "ziegler1985": "J. F. Ziegler and J. P. Biersack, The stopping and range of ions in matter, in "
    "Treatise on "
    "Heavy-Ion Science 6, Springer (1985), doi:10.1007/978-1-4615-8103-1_3",
    "zwanzig2001": "R. Zwanzig, Nonequilibrium Statistical Mechanics, Oxford University Press (2001), "
    "doi:10.1093/oso/9780195140187.001.0001",
}
"""Key -> authors, title, place, year, DOI."""
