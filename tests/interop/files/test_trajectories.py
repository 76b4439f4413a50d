import warnings

import mdtraj
import numpy as np
import pytest

from thalweg.geometry.variables import Distances
from thalweg.interop.files import trajectories as mdtraj_files
from thalweg.interop.files import xtc
from thalweg.interop.files.trajectories import (
    TrajectoryFile,
    read_topology,
    read_trajectory,
    topology_from_mdtraj,
    topology_to_mdtraj,
    write_trajectory,
)
from thalweg.interop.files.xtc import COMPRESSED, FIXED, scan_xtc
from thalweg.interop.measured.frame_features import FeaturesAlongFile
from thalweg.systems.topology import Topology
from thalweg.time_series.trajectories import Trajectories

ATOMS = 12
TOPOLOGY = Topology(
    names=("N", "CA", "C", "O") * 3,
    elements=("N", "C", "C", "O") * 3,
    residue_names=("GLY",) * 12,
    residue_ids=(1,) * 4 + (2,) * 4 + (7,) * 4,
    chains=(0,) * 8 + (1,) * 4,
    bonds=np.array([[0, 1], [1, 2], [2, 3], [2, 4], [4, 5], [5, 6], [6, 7], [8, 9], [9, 10], [10, 11]]),
)
FRAMES = np.random.default_rng(2).normal(size=(30, ATOMS, 3)).astype(np.float32)
TRICLINIC = np.array([[2.0, 0.0, 0.0], [0.5, 1.9, 0.0], [-0.4, 0.3, 1.8]])
PRECISION = {".xtc": 6e-4, ".dcd": 1e-6, ".pdb": 6e-5}

suffix = pytest.mark.parametrize("suffix", PRECISION)


@pytest.fixture
def written(tmp_path):
    """A function that writes the frames in a format and gives the path."""

    def write(suffix, box=None):
        path = tmp_path / f"run{suffix}"
        write_trajectory(path, FRAMES, TOPOLOGY, box, dt=2.0)
        return path

    return write


def test_a_topology_goes_to_mdtraj_and_back_unchanged():
    back = topology_from_mdtraj(topology_to_mdtraj(TOPOLOGY))
    assert np.array_equal(back.bonds, TOPOLOGY.bonds)
    for part in ("names", "elements", "residue_names", "residue_ids", "chains"):
        assert getattr(back, part) == getattr(TOPOLOGY, part)


@suffix
@pytest.mark.parametrize("box", [None, TRICLINIC], ids=["open", "triclinic"])
def test_frames_and_boxes_come_back_as_written(written, suffix, box):
    frames = read_trajectory(written(suffix, box), TOPOLOGY)
    np.testing.assert_allclose(frames.positions, FRAMES, atol=PRECISION[suffix])
    if box is not None:
        np.testing.assert_allclose(frames.box, np.repeat(box[None], 30, 0), atol=2e-4)
    elif suffix != ".xtc":
        assert frames.box is None


def mdtraj_file(path, lengths, suffix=None):
    """The frames as MDTraj writes them 2 ps apart with rectangular cells of ``lengths``; renamed to ``suffix``."""
    trajectory = mdtraj.Trajectory(FRAMES, topology_to_mdtraj(TOPOLOGY), time=2.0 * np.arange(30))
    trajectory.unitcell_lengths, trajectory.unitcell_angles = lengths, np.full((30, 3), 90.0)
    first = path if suffix is None else path.with_suffix({".x": ".mdcrd"}.get(suffix, suffix))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trajectory.save(str(first))
    return first if suffix is None else first.rename(path.with_suffix(suffix))


def refusal(path):
    """What reading a file is refused with, a list of one message or none; what is read is finite."""
    try:
        positions = read_trajectory(path, TOPOLOGY).positions
    except ValueError as error:
        return [str(error)]
    assert np.isfinite(positions).all()
    return []


@suffix
def test_mdtraj_reads_what_we_write(written, suffix):
    path = written(suffix, TRICLINIC)
    theirs = mdtraj.load(str(path), top=topology_to_mdtraj(TOPOLOGY))
    np.testing.assert_allclose(theirs.xyz, FRAMES, atol=PRECISION[suffix])
    np.testing.assert_allclose(theirs.unitcell_vectors[0], TRICLINIC, atol=2e-4)


def test_dcd_is_read_to_the_bit_like_mdtraj_reads_it(written):
    path = written(".dcd", TRICLINIC)
    theirs = mdtraj.load(str(path), top=topology_to_mdtraj(TOPOLOGY))
    ours = read_trajectory(path, TOPOLOGY)
    np.testing.assert_array_equal(ours.positions, theirs.xyz)
    np.testing.assert_allclose(ours.box, theirs.unitcell_vectors, atol=1e-6)


def test_dcd_of_the_other_byte_order_is_read_too(written, tmp_path):
    path, swapped = written(".dcd"), tmp_path / "big.dcd"
    words = np.frombuffer(path.read_bytes(), "<u4").astype(">u4")
    words[1] = np.frombuffer(b"CORD", ">u4")[0]
    swapped.write_bytes(words.tobytes())
    np.testing.assert_array_equal(
        read_trajectory(swapped, TOPOLOGY).positions, read_trajectory(path, TOPOLOGY).positions
    )


@suffix
def test_equal_frames_give_equal_bytes_without_a_date(written, suffix, monkeypatch):
    first = written(suffix).read_bytes()
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    assert written(suffix).read_bytes() == first
    assert b"202" not in first[:400] or suffix == ".xtc"


@suffix
def test_a_write_that_fails_leaves_the_old_file_and_no_other(written, suffix, monkeypatch):
    path = written(suffix)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_trajectory(path, FRAMES[:3], TOPOLOGY)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before


@suffix
def test_a_file_read_in_chunks_gives_all_frames_in_order(written, suffix, monkeypatch):
    monkeypatch.setattr(mdtraj_files, "CHUNK_NUMBERS", 7 * 3 * ATOMS)
    chunks = [chunk.positions for chunk in TrajectoryFile(written(suffix), TOPOLOGY)]
    assert [len(chunk) for chunk in chunks] == [7, 7, 7, 7, 2]
    np.testing.assert_allclose(np.concatenate(chunks), FRAMES, atol=PRECISION[suffix])


@pytest.mark.parametrize("suffix", [".xtc", ".dcd"])
def test_estimators_read_a_variable_along_a_file_in_one_pass(written, suffix, monkeypatch):
    monkeypatch.setattr(mdtraj_files, "CHUNK_NUMBERS", 7 * 3 * ATOMS)
    file, pair = TrajectoryFile(written(suffix), TOPOLOGY), Distances([[0, 5]])
    assert file.n_frames == 30
    runs = Trajectories([FeaturesAlongFile(file, pair)], dt=2.0)
    values = np.concatenate([chunk for _, _, chunk in runs.chunks(4)])
    expected = np.linalg.norm(FRAMES[:, 5] - FRAMES[:, 0], axis=1)
    np.testing.assert_allclose(values[:, 0], expected, atol=2e-3)


@pytest.mark.parametrize(
    ("suffix", "message", "whole"),
    [
        (".dcd", "announces 30 frames but holds 20 whole frames", 20),
        (".xtc", "breaks off after 21 whole frames", 21),
    ],
)
def test_of_a_file_cut_off_the_whole_frames_are_read_and_told(written, suffix, message, whole):
    path = written(suffix)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 7 // 10])
    with pytest.warns(UserWarning, match=message):
        file = TrajectoryFile(path, TOPOLOGY)
    positions = np.concatenate([chunk.positions for chunk in file])
    assert len(positions) == file.n_frames == whole
    np.testing.assert_allclose(positions, FRAMES[:whole], atol=PRECISION[suffix])


def test_a_dcd_file_whose_header_was_never_corrected_is_read_whole(written):
    path = written(".dcd")
    content = bytearray(path.read_bytes())
    content[8:12] = np.int32(500).tobytes()
    path.write_bytes(bytes(content))
    with pytest.warns(UserWarning, match="announces 500 frames but holds 30 whole frames and 0 bytes more"):
        frames = read_trajectory(path, TOPOLOGY)
    np.testing.assert_allclose(frames.positions, FRAMES, atol=1e-6)


def test_a_dcd_file_that_goes_on_after_its_last_frame_is_read_up_to_there(written):
    path = written(".dcd")
    path.write_bytes(path.read_bytes() + bytes(10))
    with pytest.warns(UserWarning, match="30 whole frames and 10 bytes more"):
        assert TrajectoryFile(path, TOPOLOGY).n_frames == 30


def test_a_dcd_file_of_which_a_byte_is_gone_is_damaged_from_that_frame_on(written):
    path = written(".dcd")
    content, frame = path.read_bytes(), 12 * ATOMS + 24
    middle = len(content) - 10 * frame + 7  # in frame 20
    path.write_bytes(content[:middle] + content[middle + 1 :])
    with pytest.warns(UserWarning, match="29 whole frames"):
        file = TrajectoryFile(path, TOPOLOGY)
    with pytest.raises(ValueError, match="damaged in frame 20: its records"):
        list(file)


@pytest.mark.parametrize("edge", [0.0, 0.1], ids=["nothing", "one angstrom"])
@pytest.mark.parametrize("suffix", [".dcd", ".pdb", ".trr", ".nc"])
def test_a_cell_of_nothing_or_of_one_angstrom_says_that_there_is_no_box(tmp_path, suffix, edge):
    path = mdtraj_file(tmp_path / f"run{suffix}", np.full((30, 3), edge))
    assert read_trajectory(path, TOPOLOGY).box is None


@pytest.mark.parametrize("suffix", [".dcd", ".nc"])
def test_a_cell_that_cannot_be_is_refused_with_its_frame(tmp_path, suffix):
    lengths = np.full((30, 3), 2.0)
    lengths[17, 1] = np.nan
    path = mdtraj_file(tmp_path / f"run{suffix}", lengths)
    with pytest.raises(ValueError, match=r"in frame 17 a cell without volume or not finite"):
        read_trajectory(path, TOPOLOGY)
    lengths[17] = 0.0
    path = mdtraj_file(tmp_path / f"gone{suffix}", lengths)
    with pytest.raises(ValueError, match="no cell in frame 17, but in frame 0"):
        read_trajectory(path, TOPOLOGY)


@pytest.mark.parametrize("suffix", [".xtc", ".trr", ".nc"])
def test_times_in_a_file_are_those_it_was_written_with(tmp_path, suffix):
    path = mdtraj_file(tmp_path / f"run{suffix}", np.full((30, 3), 2.0))
    np.testing.assert_allclose(TrajectoryFile(path, TOPOLOGY).times, 2.0 * np.arange(30))


@pytest.mark.parametrize(
    ("step", "every", "dt"),
    [(2 / 48.88821, 500, 1.0), (20 / 48.88821, 1, 0.02), (1.0, 1, None), (0.0, 10, None)],
)
def test_a_dcd_header_gives_the_time_between_frames_where_its_writer_knew_it(written, step, every, dt):
    path = written(".dcd")
    content = bytearray(path.read_bytes())
    content[16:20], content[44:48] = np.int32(every).tobytes(), np.float32(step).tobytes()
    path.write_bytes(bytes(content))
    times = TrajectoryFile(path, TOPOLOGY).times
    assert (times is None) if dt is None else times[1] == pytest.approx(dt, rel=1e-6)


@pytest.mark.parametrize("suffix", [".trr", ".nc", ".x", ".dtr"])
def test_other_formats_give_the_frames_that_were_written(tmp_path, suffix):
    path = mdtraj_file(tmp_path / "run", np.full((30, 3), 2.0), suffix)
    frames = read_trajectory(path, TOPOLOGY)
    np.testing.assert_allclose(frames.positions, FRAMES, atol=6e-5)
    np.testing.assert_allclose(frames.box, np.repeat(2 * np.eye(3)[None], 30, 0), atol=1e-5)


@pytest.mark.parametrize("scale", [0.01, 1.0, 1000.0])
@pytest.mark.parametrize("atoms", [4, 12, 60])
def test_every_compressed_frame_that_was_written_is_found_sound(tmp_path, atoms, scale, monkeypatch):
    monkeypatch.setattr(xtc, "BATCH", 4000)
    random = np.random.default_rng(atoms)
    centers = random.normal(size=(40, -(-atoms // 3), 1, 3))
    points = (scale * (centers + 0.02 * random.normal(size=(40, len(centers[0]), 3, 3)))).reshape(40, -1, 3)
    with mdtraj.formats.XTCTrajectoryFile(str(tmp_path / "run.xtc"), "w") as file:
        file.write(points[:, :atoms].astype(np.float32))
    assert list(scan_xtc(tmp_path / "run.xtc").require_sound())[-1] == 40


def test_a_stream_of_bits_that_leads_beyond_its_frame_is_never_decompressed(written):
    content = written(".xtc").read_bytes()
    refusals = []
    for place in range(FIXED + COMPRESSED, FIXED + COMPRESSED + 40):
        broken = bytearray(content)
        broken[place] = 0xFF
        path = written(".xtc")
        path.write_bytes(bytes(broken))
        refusals += refusal(path)
    assert len(refusals) > 3
    assert all("damaged in frame 0: its compressed coordinates are not of 12" in text for text in refusals)


def test_a_length_that_leads_backwards_is_refused(written):
    path = written(".xtc")
    content = bytearray(path.read_bytes())
    place = FIXED + COMPRESSED - 4
    content[place : place + 4] = np.array([-92], ">i4").tobytes()
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"frame 0: its precision, range or length \(-92 bytes\)"):
        TrajectoryFile(path, TOPOLOGY)


def test_a_reader_that_dies_takes_its_own_process_only(tmp_path):
    path = mdtraj_file(tmp_path / "run", np.full((30, 3), 2.0), ".dtr")
    for part in path.glob("frame*"):
        part.write_bytes(bytes(100))
    with pytest.raises(ValueError, match=r"run\.dtr is not readable"):
        read_trajectory(path, TOPOLOGY)


@suffix
def test_a_topology_of_other_atoms_is_refused_with_both_numbers(written, suffix):
    other = Topology(
        *(part[:8] for part in vars(TOPOLOGY).values() if isinstance(part, tuple)), np.zeros((0, 2), int)
    )
    with pytest.raises(ValueError, match=r"12 atoms and the topology has 8|topology of 8 atoms"):
        read_trajectory(written(suffix), other)


@pytest.mark.parametrize("suffix", [".dcd", ".xtc"])
def test_a_file_that_is_something_else_is_refused(tmp_path, suffix):
    path = tmp_path / f"notes{suffix}"
    path.write_text("Dear diary, " * 20)
    with pytest.raises(ValueError, match=f"is no {suffix[1:].upper()} file"):
        TrajectoryFile(path, TOPOLOGY)


def test_a_missing_file_and_an_unknown_suffix_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        TrajectoryFile(tmp_path / "run.dcd", TOPOLOGY)
    (tmp_path / "run.doc").write_text("")
    with pytest.raises(ValueError, match="suffix no reader knows"):
        TrajectoryFile(tmp_path / "run.doc", TOPOLOGY)


def test_a_coordinate_that_is_not_finite_is_found_with_its_frame(written):
    path = written(".dcd")
    content = bytearray(path.read_bytes())
    content[-6:-4] = b"\xff\xff"  # the exponent of the last z coordinate
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="atom 11 has no finite coordinates in frame 29"):
        read_trajectory(path, TOPOLOGY)


def test_positions_that_cannot_be_written_are_refused(tmp_path):
    broken = FRAMES.copy()
    broken[4, 3, 1] = np.nan
    with pytest.raises(ValueError, match="atom 3 has no finite coordinates in frame 4"):
        write_trajectory(tmp_path / "run.xtc", broken, TOPOLOGY)
    with pytest.raises(ValueError, match=r"shape \(30, 11, 3\); give \(frames, 12, 3\)"):
        write_trajectory(tmp_path / "run.xtc", FRAMES[:, :11], TOPOLOGY)
    with pytest.raises(ValueError, match=r"use one of the suffixes \.xtc"):
        write_trajectory(tmp_path / "run.txt", FRAMES, TOPOLOGY)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # MDTraj leaves the file open
def test_a_file_without_a_topology_is_refused(tmp_path):
    path = tmp_path / "empty.pdb"
    path.write_text("nothing here\n")
    with pytest.raises(ValueError, match=r"empty\.pdb is not readable as a topology: it is damaged"):
        read_topology(path)
