import numpy as np
import pytest

from sst.config import AudioConfig
from sst.dsp import features
from sst.evaluation import metrics
from sst.evaluation.baselines import classifier, griffinlim, mfcc, samplevae
from tests import synth

RATE = 22_050


def kinds(n: int, seed: int = 0) -> tuple[list[np.ndarray], list[str]]:
    """Waves and names of kicks, snares and hats in turn."""
    rng = np.random.default_rng(seed)
    names = [list(synth.KINDS)[i % 3] for i in range(n)]
    return [synth.KINDS[name](RATE, rng) for name in names], names


# --------------------------------------------------------------------------------- Griffin-Lim


def test_inverse_transform_undoes_the_transform(rng):
    wave = rng.standard_normal(5 * 256).astype(np.float32)
    spectrum = griffinlim._stft(wave, metrics.PROTOCOL)
    np.testing.assert_allclose(griffinlim._istft(spectrum, metrics.PROTOCOL), wave, atol=1e-5)


@pytest.mark.parametrize("hz", [220.0, 1000.0, 4000.0])
def test_a_tone_keeps_its_pitch_and_level(hz):
    wave = synth.tone(hz, RATE)
    restored = griffinlim.reconstruct(wave, RATE)
    assert restored.shape == wave.shape and restored.dtype == np.float32
    inner = np.hanning(len(wave))
    strongest = np.argmax(np.abs(np.fft.rfft(inner * restored))) * RATE / len(wave)
    assert abs(strongest - hz) < max(16.0, 0.01 * hz)  # one bin, or what a wide band leaves open
    assert abs(20 * np.log10(np.std(restored) / np.std(wave))) < 2.0


def test_more_iterations_come_nearer(rng):
    wave = synth.snare(RATE, rng)
    errors = [
        metrics.log_mel_l1(wave, griffinlim.reconstruct(wave, RATE, n), RATE) for n in (0, 10, 60)
    ]
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 2.5


@pytest.mark.parametrize("n", [1, 100, 1024])
def test_short_and_silent_waves_come_back(n):
    for wave in (np.zeros(n, np.float32), np.full(n, 0.5, np.float32)):
        restored = griffinlim.reconstruct(wave, 44_100)
        assert restored.shape == (n,) and np.isfinite(restored).all()
        assert restored.any() <= wave.any()


# ---------------------------------------------------------------------------------------- MFCC


def test_mfcc_are_the_cosine_transform_of_the_bands():
    import scipy.fft

    rng = np.random.default_rng(3)
    noise = rng.standard_normal(16_000).astype(np.float32)
    log_mel = features.log_mel(noise, metrics.PROTOCOL)
    mean_band = mfcc.statistics(noise, 16_000)[: mfcc.COEFFICIENTS]
    # The mean of a transform is the transform of the mean: every frame of noise is active.
    expected = scipy.fft.dct(log_mel.mean(axis=0), norm="ortho")[: mfcc.COEFFICIENTS]
    np.testing.assert_allclose(mean_band, expected, rtol=1e-4, atol=1e-3)


def test_level_and_silence_around_do_not_change_mfcc(rng):
    wave = synth.tone(440.0, 16_000, 0.5) + 0.1 * rng.standard_normal(8000).astype(np.float32)
    plain = mfcc.statistics(wave, 16_000)
    np.testing.assert_allclose(mfcc.statistics(0.01 * wave, 16_000), plain, atol=0.05)
    longer = np.concatenate([wave, np.zeros(16_000, np.float32)])
    n = mfcc.COEFFICIENTS
    np.testing.assert_allclose(mfcc.statistics(longer, 16_000)[:n], plain[:n], atol=20.0)


@pytest.mark.parametrize("n", [1, 700])
def test_mfcc_of_silence_are_finite(n):
    for pool in (mfcc.statistics, mfcc.embed):
        assert np.isfinite(pool(np.zeros(n, np.float32), 44_100)).all()


def test_search_vectors_have_no_level_and_find_the_kind():
    waves, names = kinds(30)
    vectors = np.stack([mfcc.embed(wave, RATE) for wave in waves])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(mfcc.embed(np.float32(0.01) * waves[1], RATE), vectors[1], atol=0.01)
    distance = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1) + 10 * np.eye(30)
    assert [names[i] for i in distance.argmin(axis=1)] == names


# ----------------------------------------------------------------------------------- SampleVAE


def test_folding_is_undone_by_unfolding(rng):
    x = rng.standard_normal((2, 4, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(samplevae._unfold(samplevae._fold(x)), x)


def test_images_are_full_scale_where_loud_and_empty_after_the_end():
    image = samplevae._images([synth.tone(440.0, RATE, 0.5)], RATE)[0]
    assert image.shape == (126, 128)
    assert image.max() == 1.0 and abs(image.min()) < 1e-6
    assert not image[45:].any()  # half a second is 32 frames


@pytest.fixture(scope="module")
def vae():
    waves, _ = kinds(12)
    return samplevae.fit(waves, RATE, seed=1, steps=4)


def test_training_lowers_the_loss(vae):
    assert vae.losses.shape == (4,) and np.isfinite(vae.losses).all()
    assert vae.losses[-1] < vae.losses[0]


def test_sounds_go_through_the_network(vae):
    waves, _ = kinds(3)
    embedded = samplevae.embed(vae, waves, RATE)
    assert embedded.shape == (3, samplevae.LATENT_DIM)
    # A row does not depend on the others, nor on the block that it is computed in.
    np.testing.assert_allclose(samplevae.embed(vae, waves[1:2], RATE)[0], embedded[1], atol=1e-5)
    for wave in samplevae.reconstruct(vae, waves[:1], RATE):
        assert abs(len(wave) - 2 * RATE) <= 1 and np.isfinite(wave).all()


def test_draws_come_from_the_generator_that_is_given(vae):
    first, rate = samplevae.draw(vae, np.random.default_rng(5), 1)
    again, _ = samplevae.draw(vae, np.random.default_rng(5), 1)
    assert rate == 16_000 and len(first[0]) == 32_000
    np.testing.assert_array_equal(first[0], again[0])
    assert samplevae.embed(vae, [], RATE).shape == (0, samplevae.LATENT_DIM)


# ---------------------------------------------------------------------------------- classifier


@pytest.fixture(scope="module")
def fitted_classifier():
    waves, names = kinds(48)
    rows = np.stack([classifier.features(wave, RATE) for wave in waves])
    packs = [f"pack{i // 8}" for i in range(48)]
    return classifier.fit(rows, names, packs, steps=60), rows, names, packs


def test_different_kinds_are_classified_correctly(fitted_classifier):
    fitted, *_ = fitted_classifier
    waves, names = kinds(30, seed=9)
    rows = np.stack([classifier.features(wave, RATE) for wave in waves])
    found = classifier.probabilities(fitted, rows)
    assert fitted.class_names == ("hat", "kick", "snare")
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
    guessed = np.array(fitted.class_names)[found.argmax(axis=1)]
    assert np.mean(guessed == np.array(names)) > 0.9
    assert fitted.held_out_f1 > 0.9
    assert classifier.hidden(fitted, rows).shape == (30, classifier.HIDDEN_UNITS)


@pytest.mark.slow
def test_random_labels_have_a_low_held_out_score_and_low_confidence(fitted_classifier):
    _, rows, names, packs = fitted_classifier
    shuffled = list(np.random.default_rng(0).permutation(names))
    fitted = classifier.fit(rows, shuffled, packs, steps=60)
    assert fitted.held_out_f1 < 0.6
    assert classifier.probabilities(fitted, rows + 0.01).max(axis=1).mean() < 0.8


@pytest.mark.slow
def test_a_kind_of_a_single_pack_is_still_classified(fitted_classifier):
    _, rows, names, packs = fitted_classifier
    lonely = ["clap" if pack == "pack0" else name for name, pack in zip(names, packs, strict=True)]
    moved = np.where(np.array(lonely)[:, None] == "clap", rows + 5.0, rows)
    fitted = classifier.fit(moved, lonely, packs, steps=60)  # a fold learns without it
    found = classifier.probabilities(fitted, moved)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
    guessed = np.array(fitted.class_names)[found.argmax(axis=1)]
    assert (guessed == np.array(lonely)).all()


def test_one_kind_is_refused(fitted_classifier):
    with pytest.raises(ValueError, match="two or more"):
        classifier.fit(fitted_classifier[1], ["kick"] * 48)


def test_a_pack_lies_in_one_fold():
    groups = np.array(list("aabbbccddddefg"))
    folds = classifier._folds(groups, 0)
    assert len(set(folds)) == classifier.N_FOLDS
    assert all(len(set(folds[groups == name])) == 1 for name in set(groups))


@pytest.mark.parametrize("n", [1, 300, 44_100])
def test_the_classifier_takes_any_length_at_any_level(n, rng):
    wave = rng.standard_normal(n).astype(np.float32)
    rows = [classifier.features(g * wave, 44_100) for g in (np.float32(1.0), np.float32(0.01))]
    np.testing.assert_allclose(*rows, atol=0.1)
    assert np.isfinite(classifier.features(np.zeros(n, np.float32), 44_100)).all()


def test_macro_f1_is_scikit_learns(rng):
    from sklearn.metrics import f1_score

    targets, predicted = rng.integers(0, 5, 200), rng.integers(0, 5, 200)
    expected = f1_score(targets, predicted, average="macro")
    assert classifier.macro_f1(targets, predicted)[0] == pytest.approx(expected)


def test_classifier_bands_fit_its_slices():
    assert classifier.SLICES[-1] == classifier.AUDIO.n_frames
    assert isinstance(samplevae.AUDIO, AudioConfig)
