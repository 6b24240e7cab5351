"""What is found: by weights, by likes and dislikes, on the way between two, once for all copies."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr

from sst.config import AudioConfig
from sst.errors import NothingToDo, UsageError
from sst.library import hits as library_hits
from sst.library import queries
from sst.library import session as library_session
from sst.library.embed_files import Encoder
from sst.search import similarity
from tests import synth

AUDIO = AudioConfig(n_mels=32)
RATE = AUDIO.sample_rate


def embed(features):
    """A unit vector: the mean power of the bands."""
    power = (10.0 ** (np.asarray(features.log_mel) / 20.0)).mean(axis=1)
    return power / np.linalg.norm(power, axis=1, keepdims=True)


ENCODER = Encoder("a" * 12, AUDIO, embed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = synth.write_library(tmp_path_factory.mktemp("sounds") / "lib", per_kind=4, packs=3)
    for hz in (220, 233, 330, 495):
        t = np.arange(RATE) / RATE
        bell = synth.tone(hz, RATE) * np.exp(-6 * t) + 0.3 * synth.tone(2.7 * hz, RATE) ** 3
        sf.write(root / f"pack0/bell{hz}.wav", bell.astype(np.float32), RATE)
    for number in (1, 2):
        shutil.copyfile(root / "pack0/kick/kick0.wav", root / f"pack{number}/kick/copy.wav")
    return root


@pytest.fixture(scope="module")
def session(folder):
    return library_session.open_session(ENCODER, [folder], workers=1)


def find(session, target, num_similar=10, **choice):
    return library_session.find(session, target, library_hits.Choice(num_similar, **choice))


def names(hits):
    return [hit.path.rsplit("/", 1)[1] for hit in hits]


def test_every_copy_of_a_sound_is_one_hit_that_counts_them(session, folder):
    target = folder / "pack0/kick/kick1.wav"
    hits = find(session, target, 100)
    kicks = [hit for hit in hits if hit.copies]
    assert [(hit.path, hit.copies) for hit in kicks] == [(str(folder / "pack0/kick/kick0.wav"), 2)]
    every = find(session, target, 100, keep_duplicates=True)
    assert len(every) == len(hits) + 2 == len(session.rows.paths) - 1
    assert not any(hit.copies for hit in every)
    # The target's own copies are left out, or stand first.
    own = folder / "pack1/kick/copy.wav"
    others = {hit.path for hit in find(session, own, 100)}
    assert len(others) == len(session.rows.paths) - 3
    assert not {str(folder / "pack0/kick/kick0.wav"), str(own)} & others
    with_self = find(session, own, 3, include_self=True, keep_duplicates=True)
    assert [hit.distance for hit in with_self] == [0.0] * 3


def test_a_copy_by_ear_is_a_copy_and_a_similar_sound_is_not(folder, tmp_path):
    root = shutil.copytree(folder, tmp_path / "lib")
    wave, rate = sf.read(root / "pack2/snare/snare3.wav", dtype="float32")
    sf.write(root / "pack0/louder.flac", 1.5 * wave, rate, subtype="PCM_24")
    sf.write(root / "pack1/other_rate.wav", soxr.resample(wave, rate, 32_000), 32_000)
    session = library_session.open_session(ENCODER, [root], workers=1)
    hits = find(session, root / "pack2/snare/snare2.wav", 100)
    snares = {"pack2/snare/snare3.wav", "pack0/louder.flac", "pack1/other_rate.wav"}
    shown = [hit for hit in hits if hit.path.removeprefix(f"{root}/") in snares]
    assert [hit.copies for hit in shown] == [2]
    assert sum(hit.copies for hit in hits) == 2 + 2  # and those of the kick
    assert len(hits) == len(session.rows.paths) - 1 - 4
    (root / "pack0/louder.flac").unlink()  # what is gone meanwhile is like no other
    assert sum(hit.copies for hit in find(session, root / "pack2/snare/snare2.wav", 100)) == 3


def test_copies_of_the_target_by_waveform_are_left_out_too_and_the_same_sound(folder, tmp_path):
    root = shutil.copytree(folder, tmp_path / "lib")
    wave, rate = sf.read(root / "pack2/kick/kick3.wav", dtype="float32")
    copies = {root / "pack0/quieter.flac", root / "pack1/lossy.mp3"}
    for path in copies:
        sf.write(path, 0.7 * wave, rate)
    shutil.copyfile(root / "pack2/kick/kick3.wav", tmp_path / "outside.wav")
    session = library_session.open_session(ENCODER, [root], workers=1)
    inside, every = root / "pack2/kick/kick3.wav", len(session.rows.paths)
    assert len(find(session, inside, every, keep_duplicates=True)) == every - 1 - len(copies)
    for target in (inside, tmp_path / "outside.wav"):
        hits = find(session, target, every, keep_duplicates=True, include_self=True)
        same = {hit.path for hit in hits if hit.band == "same sound"}
        assert same == {str(path) for path in copies | {inside}}
    _, *likes = find(session, tmp_path / "outside.wav", 2)
    assert likes and likes[0].band != "same sound"


def test_copies_of_sounds_outside_are_the_same_sound_in_blends_and_on_paths(folder, tmp_path):
    root = shutil.copytree(folder, tmp_path / "lib")
    inside, outside = [], []
    for name in ("pack2/kick/kick3.wav", "pack2/hat/hat3.wav"):
        wave, rate = sf.read(root / name, dtype="float32")
        for number in range(2):
            sf.write(root / f"pack{number}/copy_of_{Path(name).stem}.flac", 0.7 * wave, rate)
        inside.append(root / name)
        outside.append(tmp_path / Path(name).name)
        sf.write(outside[-1], 0.9 * wave, rate)
    session = library_session.open_session(ENCODER, [root], workers=1)
    every = len(session.rows.paths)

    def same(targets, **choice):
        query = library_session.make_blend(session, [(target, 1.0) for target in targets])
        hits = library_session.find_nearest(session, query, library_hits.Choice(every, **choice))
        return sorted(hit.copies for hit in hits if hit.band == "same sound")

    assert same(outside) == [2, 2]
    assert same(inside) == []
    assert same([inside[0], outside[1]]) == [2]
    assert same([inside[0], outside[1]], include_self=True) == [2, 2]
    for targets, shown in ((outside, ["same sound"] * 2), (inside, [])):
        path = library_session.interpolate(session, *targets, steps=5)
        assert len(path) == 5
        assert [hit.band for hit in path if hit.band == "same sound"] == shown
        assert not shown or path[0].band == path[-1].band == "same sound"


def test_what_is_near_with_another_waveform_is_not_the_same_sound(folder, tmp_path):
    root = shutil.copytree(folder, tmp_path / "lib")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):  # two hits of noise with one spectrum and one envelope
        noise = rng.standard_normal(RATE) * np.exp(-np.arange(RATE) / RATE * 8)
        sf.write(root / f"pack0/{name}.wav", (0.2 * noise).astype(np.float32), RATE)
    session = library_session.open_session(ENCODER, [root], workers=1)
    (hit,) = find(session, root / "pack0/a.wav", 1)
    assert (hit.path, hit.band) == (str(root / "pack0/b.wav"), "close")
    assert hit.distance < similarity.COPY_REACH


def test_a_target_outside_finds_its_copy_and_one_inside_does_not(session, folder, tmp_path):
    inside = folder / "pack1/hat/hat2.wav"
    outside = shutil.copyfile(inside, tmp_path / "mine.wav")
    (hit,) = find(session, outside, 1)
    assert (hit.path, hit.distance, hit.band) == (str(inside), 0.0, "same sound")
    (tmp_path / "link.wav").symlink_to(inside)  # another name of a file that is inside
    for name in (inside, tmp_path / "link.wav"):
        assert find(session, name, 1)[0].path != str(inside)


def test_at_most_so_many_of_a_folder(session, folder):
    hits = find(session, folder / "pack0/hat/hat0.wav", 40, per_folder=2)
    folders = [hit.path.rsplit("/", 1)[0] for hit in hits]
    assert max(map(folders.count, folders)) == 2
    assert len(set(folders)) == 10
    free = find(session, folder / "pack0/hat/hat0.wav", 40)
    assert [hit for hit in free if hit in hits] == hits


def test_weights_rank_by_the_weighted_distance(session, folder):
    target = folder / "pack1/snare/snare2.wav"
    weights = {"timbre": 0.2, "envelope": 1.5, "duration": 0.0}
    hits = find(session, target, 50, keep_duplicates=True, aspects=weights)
    rows = session.rows
    me = rows.paths.index(str(target))
    blocks = np.split(
        np.square(rows.vectors - rows.vectors[me]), [32, 32 + 24, 32 + 27, 32 + 29], 1
    )
    timbre, envelope, pitch, _, loudness = (block.sum(axis=1) for block in blocks)
    expected = np.sqrt(0.2 * timbre + 1.5 / 0.05 * envelope + pitch + loudness)
    assert [hit.distance for hit in hits] == pytest.approx(np.sort(expected)[1:], abs=1e-5)


def test_a_transposed_copy_comes_first_when_pitch_does_not_count(session, folder, tmp_path):
    for name in ("kick/kick2.wav", "bell233.wav", "bell330.wav"):
        wave, rate = sf.read(folder / "pack0" / name, dtype="float32")
        copy = tmp_path / "copy.wav"
        sf.write(copy, soxr.resample(wave, rate * 2 ** (5 / 12), rate), rate)  # five semitones up
        (hit,) = find(session, copy, 1, aspects={"pitch": 0.0})
        assert hit.path == str(folder / "pack0" / name)
        assert hit.distance < find(session, copy, 1)[0].distance


def test_pitch_alone_sorts_by_pitch(session, folder):
    only = {"timbre": 0.0, "envelope": 0.0, "duration": 0.0, "loudness": 0.0, "pitch": 1.0}
    hits = find(session, folder / "pack0/bell220.wav", 100, aspects=only)
    assert [name for name in names(hits) if "bell" in name] == [
        "bell233.wav",
        "bell330.wav",
        "bell495.wav",
    ]
    assert {hit.band for hit in hits} <= {"close", "related", "weak"}  # never the same sound


def test_likes_and_dislikes(session, folder):
    place = session.report.folder
    kick, hat = (
        queries.of_file(ENCODER, place, folder / f"pack1/{name}.wav")
        for name in ("kick/kick1", "hat/hat1")
    )
    alone = queries.blend([(kick, 2.0)])
    np.testing.assert_allclose(alone.vectors, kick.vectors, atol=1e-6)
    more = queries.blend([(kick, 1.0), (hat, 1.0)])
    less = queries.blend([(kick, 1.0), (hat, -0.5)])
    assert more.own == less.own == kick.own | hat.own

    def distance(query):
        return float(np.linalg.norm(query.vectors - hat.vectors))

    assert distance(more) < distance(kick) < distance(less)
    kinds = [
        name[:3]
        for name in names(library_session.find_nearest(session, less, library_hits.Choice(5)))
    ]
    assert "hat" not in kinds
    for parts in ([(kick, -1.0)], [(kick, 0.0)], [(kick, np.nan)], [(kick, 1.0), (kick, -1.0)]):
        with pytest.raises(UsageError):
            queries.blend(parts)


def test_the_way_between_two_sounds_starts_at_one_and_ends_at_the_other(session, folder):
    a, b = folder / "pack0/kick/kick1.wav", folder / "pack0/hat/hat1.wav"
    hits = library_session.interpolate(session, a, b, 6, library_hits.Choice(include_self=True))
    assert (hits[0].path, hits[-1].path) == (str(a), str(b))
    assert len({hit.path for hit in hits}) == 6
    others = library_session.interpolate(session, a, b, 6)
    assert not {hit.path for hit in others} & {str(a), str(b)}
    rows = session.rows
    there = rows.vectors[rows.paths.index(str(b))]
    to_end = [np.linalg.norm(rows.vectors[rows.paths.index(hit.path)] - there) for hit in others]
    assert to_end[0] > 2 * to_end[-1]
    with pytest.raises(UsageError, match="at least 2"):
        library_session.interpolate(session, a, b, 1)


def test_a_stranger_is_told_that_nothing_is_close(session, folder, tmp_path):
    sf.write(tmp_path / "chirp.wav", synth.chirp(3000, 9000, RATE), RATE)
    assert library_hits.nothing_close(find(session, tmp_path / "chirp.wav"))
    hits = find(session, folder / "pack0/snare/snare0.wav")
    assert not library_hits.nothing_close(hits)
    shares = [hit.similarity for hit in hits]
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize("wrong", [{"num_similar": 0}, {"per_folder": 0}, {"aspects": {"x": 1.0}}])
def test_choices_that_cannot_be_made(session, folder, wrong):
    with pytest.raises(UsageError):
        find(session, folder / "pack0/hat/hat0.wav", **wrong)
    with pytest.raises(UsageError):
        library_session.find_nearest(session, None, library_hits.Choice(**wrong))


def test_silent_and_unreadable_targets(session, tmp_path):
    sf.write(tmp_path / "silent.wav", np.zeros(1000), RATE)
    (tmp_path / "text.wav").write_text("no sound")
    for name in ("silent.wav", "text.wav"):
        with pytest.raises(NothingToDo, match=name):
            find(session, tmp_path / name)
