import jax
import numpy as np
import pytest

from sst import inference
from sst.errors import ModelError, UsageError
from sst.model import network, objective
from tests import small_model, synth

RATE = small_model.CONFIG.audio.sample_rate


@pytest.fixture(scope="module")
def model():
    return small_model.untrained()


def test_batch_equals_single_sounds(model, rng):
    waves = np.stack([synth.kick(RATE, rng), synth.snare(RATE, rng, 0.4)])
    both = inference.encode(model, waves, RATE)
    assert both.shape == (2, 8)
    np.testing.assert_allclose(both[1], inference.encode(model, waves[1], RATE), atol=1e-4)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_any_rate_and_channel_count_is_the_same_sound(model, rate):
    rng = np.random.default_rng(5)
    low = synth.kick(RATE, np.random.default_rng(5))
    wave = synth.kick(rate, rng)
    z, other = inference.encode(model, low, RATE), inference.encode(model, wave, rate)
    np.testing.assert_allclose(z, other, atol=0.15)
    eight = np.repeat(wave[:, None], 8, axis=1)
    np.testing.assert_allclose(other, inference.encode(model, eight, rate), atol=1e-3)


@pytest.mark.parametrize("n", [1, 300, 100_000])
def test_any_length_is_defined(model, n, rng):
    z = inference.encode(model, 0.1 * rng.standard_normal(n).astype(np.float32), RATE)
    assert np.isfinite(z).all()
    assert np.isfinite(inference.decode(model, z)).all()


def test_what_cannot_be_encoded_is_refused(model):
    for bad in (np.zeros((2, 2, 2)), np.zeros(0), np.array([0.0, np.nan])):
        with pytest.raises(UsageError):
            inference.encode(model, bad, RATE)
    with pytest.raises(UsageError, match="latent"):
        inference.decode(model, np.zeros(7))


def test_clipping_dc_and_silence_are_defined(model, rng):
    kick = synth.kick(RATE, rng)
    for wave in (np.clip(20 * kick, -1, 1), kick + 0.3, np.zeros(5000, np.float32)):
        assert np.isfinite(inference.encode(model, wave, RATE)).all()


def test_decoded_sounds_have_the_length_and_level_of_the_originals(model):
    levels = []
    for seed in range(5):
        wave = 0.8 * synth.kick(RATE, np.random.default_rng(seed))
        back = inference.decode(model, inference.encode(model, wave, RATE))
        assert abs(len(back) - len(wave)) < 0.06 * RATE
        levels.append(20 * np.log10(np.abs(back).max() / np.abs(wave).max()))
    assert abs(np.median(levels)) < 4.0  # by the attack, which eight numbers blur


def test_decode_rows_do_not_depend_on_each_other(model):
    z = inference.sample_prior(model, jax.random.key(0), 3)
    block = inference.decode(model, z)
    single = inference.decode(model, z[1])
    np.testing.assert_array_equal(block[1, : len(single)], single)
    assert not block[1, len(single) :].any()


def test_mix_is_a_weighted_mean(model):
    z = inference.sample_prior(model, jax.random.key(0), 2)
    np.testing.assert_allclose(inference.mix(z, [1, 3]), 0.25 * z[0] + 0.75 * z[1], atol=1e-6)
    np.testing.assert_allclose(inference.mix(z, [2, -1]), 2 * z[0] - z[1], atol=1e-6)
    np.testing.assert_allclose(inference.mix(z, [1, -1], normalize=False), z[0] - z[1], atol=1e-6)
    one_each = r"2 latents but weights of shape \[1\]: give one weight for each"
    for weights, match in (([1, -1], "add up to 0"), ([1], one_each), ([1, np.nan], "not finite")):
        with pytest.raises(UsageError, match=match):
            inference.mix(z, weights)


def test_perturb_has_the_variance_asked_for():
    z = inference.perturb(jax.random.key(0), np.zeros(20_000, np.float32), 0.3)
    assert abs(float(np.var(z)) - 0.3) < 0.02
    same = inference.perturb(jax.random.key(0), np.ones(3, np.float32), 0.0)
    np.testing.assert_array_equal(same, 1.0)
    with pytest.raises(UsageError):
        inference.perturb(jax.random.key(0), z, -1.0)


def test_interpolation_is_a_line_with_both_ends():
    line = inference.interpolate(np.zeros(4), np.ones(4), 5)
    np.testing.assert_allclose(line[:, 0], [0, 0.25, 0.5, 0.75, 1], atol=1e-6)
    with pytest.raises(UsageError):
        inference.interpolate(np.zeros(4), np.ones(4), 1)


def test_embedding_of_many_equals_embedding_of_each(model):
    clips = small_model.clips(70)
    together = inference.embed_features(model, clips)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, rtol=1e-5)
    for i in (0, 63, 64, 69):
        single = inference.embed_features(
            model, type(clips)(*(field[i : i + 1] for field in clips))
        )
        np.testing.assert_allclose(together[i], single[0], atol=1e-5)


@pytest.mark.parametrize("gain", [1e-3, 0.3, 3.0])
def test_search_vectors_do_not_depend_on_the_level(model, gain, rng):
    wave = synth.snare(RATE, rng)
    louder = inference.embed(model, np.float32(gain) * wave, RATE)
    np.testing.assert_allclose(louder, inference.embed(model, wave, RATE), atol=1e-4)


def test_a_latent_is_found_as_the_sound_that_it_decodes_to(model):
    z = inference.encode_features(model, small_model.clips(3))  # a kick, a snare, a hat
    classifying = with_prototypes(model)
    vectors = np.asarray(inference.embed_latent(classifying, z))
    waves = [np.asarray(inference.decode(classifying, row)) for row in z]
    embedded = np.stack([np.asarray(inference.embed(classifying, wave, RATE)) for wave in waves])
    distance = np.linalg.norm(embedded[:, None] - vectors, axis=-1)
    np.testing.assert_array_equal(distance.argmin(axis=1), np.arange(3))
    np.testing.assert_allclose(inference.embed_latent(classifying, z[1]), vectors[1], atol=1e-5)


def test_without_labels_search_compares_the_latents_alone(model):
    clips, size = small_model.clips(3), model.config.model.search_dim
    plain = np.asarray(inference.embed_features(model, clips))
    assert "prototypes" not in model.params and not plain[:, :size].any()
    learned = np.asarray(inference.embed_features(with_prototypes(model), clips))[:, :size]
    share = model.config.model.search_share
    np.testing.assert_allclose(np.square(learned).sum(axis=1), share, rtol=1e-4)


def with_prototypes(model):
    prototypes = {"prototypes": np.ones((2, model.config.model.search_dim), np.float32)}
    return model._replace(params=model.params | prototypes)


def test_search_weighs_directions_by_how_much_sounds_differ_in_them(model):
    component_std = np.asarray(model.stats["component_std"])
    assert (np.diff(component_std) <= 1e-3).all()  # the strongest first
    audio, start = model.config.audio, small_model.clips(1)
    basis = np.asarray(model.stats["basis"])[:, : audio.n_frames * audio.n_mels]
    vectors = []
    for row, steps in ((0, 0.0), (0, 1.0), (-1, 1.0)):  # of what is usual in that vectors
        step = steps * component_std[row] * basis[row].reshape(audio.n_frames, audio.n_mels)
        vectors.append(
            inference.embed_features(model, start._replace(log_mel=start.log_mel + step))
        )
    start_vector, strong, weak = (np.asarray(vector) for vector in vectors)
    assert np.linalg.norm(strong - start_vector) > 2 * np.linalg.norm(weak - start_vector)


def test_draws_of_a_class_are_of_that_class(model):
    lengths = {
        name: np.mean(
            [
                len(inference.decode(model, z))
                for z in inference.sample_prior(model, jax.random.key(1), 6, class_name=name)
            ]
        )
        for name in model.class_names
    }
    assert lengths["hat"] < 0.7 * lengths["snare"] < 0.7 * lengths["kick"]
    with pytest.raises(UsageError, match="'cowbell': it knows kick, snare, hat"):
        inference.sample_prior(model, jax.random.key(1), 1, class_name="cowbell")


def test_classes_do_not_depend_on_the_level_and_the_shape(rng):
    model = small_model.with_classes()
    waves = [make(RATE, rng) for make in (synth.kick, synth.snare, synth.hat)]
    shares = np.stack([inference.classify(model, wave, RATE) for wave in waves])
    assert [model.class_names[row] for row in shares.argmax(axis=1)] == ["kick", "snare", "hat"]
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-5)
    quiet = np.float32(0.01) * waves[1]
    np.testing.assert_allclose(inference.classify(model, quiet, RATE), shares[1], atol=1e-3)
    both = inference.classify(model, np.stack([waves[0][:4000], waves[1][:4000]]), RATE)
    assert both.shape == (2, 3)


def test_probabilities_are_the_softmax_of_what_training_minimises():
    model = small_model.with_classes()
    clips, labels = small_model.clips(9, seed=1), np.arange(9) % 3
    shares = inference.classify_features(model, clips)
    vectors = network.search_vectors(model.params, model.stats, clips, model.config)
    surprise = objective._class_term(model.params, vectors, labels)
    smooth = objective.LABEL_SMOOTHING
    logs = np.log(shares)
    expected = (1 - smooth) * logs[np.arange(9), labels] + smooth * logs.mean(axis=1)
    np.testing.assert_allclose(-expected, surprise, rtol=1e-3)
    unsure = inference.classify_features(model._replace(temperature=3.0), clips)
    np.testing.assert_array_equal(unsure.argmax(axis=1), shares.argmax(axis=1))
    assert (unsure.max(axis=1) < shares.max(axis=1)).all()


def test_a_latent_is_classified_as_the_sound_that_it_decodes_to():
    model = small_model.with_classes()
    z = inference.encode_features(model, small_model.clips(9))
    shares = inference.classify_latent(model, z)
    np.testing.assert_array_equal(shares.argmax(axis=1), np.arange(9) % 3)
    waves = [np.asarray(inference.decode(model, row)) for row in z]
    of_waves = np.stack([inference.classify(model, wave, RATE) for wave in waves])
    # An untrained encoder may confuse classes by what the vocoder added; chance is 3.
    assert (shares.argmax(axis=1) == of_waves.argmax(axis=1)).sum() >= 7
    np.testing.assert_allclose(inference.classify_latent(model, z[1]), shares[1], atol=1e-5)


def test_latents_are_decoded_in_batches_of_one_size(monkeypatch):
    model, shapes, decode = small_model.with_classes(), set(), inference._decode
    monkeypatch.setattr(
        inference, "_decode", lambda p, s, z, c: shapes.add(z.shape) or decode(p, s, z, c)
    )
    size = model.config.model.latent_dim
    z = np.random.default_rng(0).standard_normal((70, size)).astype(np.float32)
    for n in (2, 5, 70):
        assert inference.embed_latent(model, z[:n]).shape[0] == n
        np.testing.assert_allclose(
            inference.classify_latent(model, z[:n]),
            inference.classify_latent(model, z)[:n],
            atol=1e-5,
        )
    assert shapes == {(inference.BATCH_SIZE, size)}


def test_a_model_without_classes_cannot_classify(model, rng):
    with pytest.raises(ModelError, match="small has no classes"):
        inference.classify(model, synth.kick(RATE, rng), RATE)
    with pytest.raises(ModelError, match="no classes"):
        inference.classify_latent(model, np.zeros(8))
