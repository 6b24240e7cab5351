"""The configuration: from plain values and back, one field overridden, mistakes in a sentence."""

import pytest

from sst import config as configs
from sst.config import AudioConfig, Config, ModelConfig, SegmentConfig
from sst.errors import UsageError


def test_a_configuration_survives_the_way_through_plain_values():
    given = configs.override(Config(name="x"), "model.latent_dim", "7")
    assert given.model.latent_dim == 7
    assert configs.from_dict(Config, configs.to_dict(given)) == given


def test_a_configuration_from_before_there_was_a_choice_is_of_float32():
    old = configs.to_dict(Config())
    del old["model"]["precision"]
    assert configs.from_dict(Config, old) == Config()


def test_another_precision_is_refused_in_a_sentence():
    with pytest.raises(UsageError, match="^model.precision='half' should be float32 or bfloat16.$"):
        configs.from_dict(ModelConfig, {"precision": "half"})
    with pytest.raises(UsageError, match="should be float32 or bfloat16"):
        configs.override(Config(), "model.precision", "float16")


@pytest.mark.parametrize(
    ("config", "field", "value", "rule"),
    [
        (SegmentConfig, "segments.sensitivity", 1.1, "0 to 1"),
        (SegmentConfig, "segments.min_gap_s", 0.0, "0.02 to 10 seconds"),
        (SegmentConfig, "segments.max_segments", 0, "1 to 10000"),
        (SegmentConfig, "segments.max_minutes", 0.0, "0.1 to 240 minutes"),
        (AudioConfig, "audio.hop", 3, "a divisor of n_fft=1024 below it"),
        (AudioConfig, "audio.hop", 1024, "a divisor of n_fft=1024 below it"),
        (AudioConfig, "audio.hop", 0, "a divisor of n_fft=1024 below it"),
        (AudioConfig, "audio.n_fft", 1000, "a power of 2, 64 or more"),
        (AudioConfig, "audio.n_fft", 32, "a power of 2, 64 or more"),
        (AudioConfig, "audio.n_mels", 513, r"8 to 512 \(half of n_fft\)"),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_rule(config, field, value, rule):
    name = field.split(".")[1]
    for make in (lambda: config(**{name: value}), lambda: configs.from_dict(config, {name: value})):
        with pytest.raises(UsageError, match=rf"^{field}={value} should be {rule}\.$"):
            make()
