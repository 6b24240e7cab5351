"""The configuration of a run: frozen dataclasses, their JSON, and command-line overrides."""

import dataclasses
import difflib
import hashlib
import json
import math
import typing
from typing import Any, TypeVar

from sst.errors import UsageError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioConfig:
    """The canonical clip and its log-mel spectrogram: all that decides what a record holds."""

    sample_rate: int = 22_050  # Hz
    clip_seconds: float = 2.0  # a longer sound is cut here
    n_fft: int = 1024  # samples in one Hann window
    hop: int = 256  # samples between frames
    n_mels: int = 128
    floor_db: float = -80.0  # log-mel values are dB relative to the clip's loudest cell, cut here

    def __post_init__(self) -> None:
        """Raises UsageError for a value that the transform cannot have."""
        half = self.n_fft // 2
        is_power = self.n_fft >= 64 and self.n_fft & (self.n_fft - 1) == 0
        divides = self.hop > 0 and self.n_fft % self.hop == 0
        rules = {
            "sample_rate": (4_000 <= self.sample_rate <= 192_000, "4000 to 192000 Hz"),
            "clip_seconds": (0.05 <= self.clip_seconds <= 30.0, "0.05 to 30 seconds"),
            "n_fft": (is_power, "a power of 2, 64 or more"),
            "hop": (divides and self.hop <= half, f"a divisor of n_fft={self.n_fft} below it"),
            "n_mels": (8 <= self.n_mels <= half, f"8 to {half} (half of n_fft)"),
            "floor_db": (-120.0 <= self.floor_db < 0.0, "-120 dB or more, and below 0 dB"),
        }
        check_ranges("audio", self, rules)

    @classmethod
    def at_rate(cls, sample_rate: int, clip_seconds: float = 2.0) -> "AudioConfig":
        """Returns the default transform at another rate: a window of about 46 ms, a quarter as hop.

        Above 24 kHz there are 160 bands, so that their spacing in the bass stays 25 Hz: with 31 Hz
        a tone of 55 Hz can no longer be located.
        """
        n_fft = 2 ** round(math.log2(1024 / 22_050 * sample_rate))
        return cls(
            sample_rate=sample_rate,
            clip_seconds=clip_seconds,
            n_fft=n_fft,
            hop=n_fft // 4,
            n_mels=128 if sample_rate <= 24_000 else 160,
        )

    @property
    def attack_hop(self) -> int:
        """Samples between the points of the attack envelope: about 1.5 ms."""
        return self.n_fft // 32

    @property
    def clip_samples(self) -> int:
        """Samples in the longest clip."""
        return round(self.clip_seconds * self.sample_rate)

    @property
    def n_frames(self) -> int:
        """Frames of the longest clip: the transform is centred, so one more than the hops."""
        return self.frames_of(self.clip_samples)

    def frames_of(self, n_samples: int) -> int:
        """Frames of a clip of `n_samples`."""
        return 1 + n_samples // self.hop


SEGMENTER_VERSION = 1  # counts up where the same SegmentConfig comes to cut files otherwise


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentConfig:
    """Segmentation: how a long recording is cut into hits, each a sound of its own."""

    sensitivity: float = 0.5  # 0 finds the clearest onsets only, 1 nearly every rise
    min_gap_s: float = 0.05  # s between the starts of two hits, at least
    max_segments: int = 512  # of one file; later hits are left out
    max_minutes: float = 30.0  # of one file that are searched

    def __post_init__(self) -> None:
        """Raises UsageError for a value that is out of range."""
        rules = {
            "sensitivity": (0.0 <= self.sensitivity <= 1.0, "0 to 1"),
            "min_gap_s": (0.02 <= self.min_gap_s <= 10.0, "0.02 to 10 seconds"),
            "max_segments": (1 <= self.max_segments <= 10_000, "1 to 10000"),
            "max_minutes": (0.1 <= self.max_minutes <= 240.0, "0.1 to 240 minutes"),
        }
        check_ranges("segments", self, rules)


PRECISIONS = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The variational autoencoder and its prior."""

    latent_dim: int = 64
    width: int = 192  # channels of the encoder and decoder blocks
    encoder_blocks: int = 3
    decoder_blocks: int = 4
    quiet_slope: float = 0.15  # what 1 dB at the floor counts, against 1 dB at the loudest cell
    bass_weight: float = 3.0  # of the bands below 300 Hz
    fold: int = 4  # frames folded into one position: 173 frames become 44
    search_width: int = 128  # channels of the search encoder
    search_dim: int = 64  # of the learned part of the search vector
    search_share: float = 0.8  # of the squared distance that is the learned part's
    neighbours: int = 16  # of a training sound, among which the prior draws
    precision: str = "float32"  # of the networks in training; "bfloat16" for accelerators

    def __post_init__(self) -> None:
        """Raises UsageError for scales without an inverse and for an unknown precision."""
        rules = {
            "quiet_slope": (0.0 < self.quiet_slope <= 1.0, "above 0, and at most 1"),
            "bass_weight": (self.bass_weight > 0, "above 0"),
            "precision": (self.precision in PRECISIONS, " or ".join(PRECISIONS)),
        }
        check_ranges("model", self, rules)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the training objective; the reconstruction itself, companded, has weight 1."""

    delta: float = 0.5  # first differences along time and frequency, companded
    tail: float = 0.1  # frames after the end of the sound, companded
    level: float = 0.05  # peak level, dB
    length: float = 1.0  # duration, octaves
    attack: float = 0.1  # envelope of the first tenth of a second, dB
    search: float = 0.05  # classification and contrastive terms of the search vector, nats
    kl: float = 2e-3  # per nat
    free_nats: float = 0.05  # per latent dimension: no pull below this


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """Optimiser, evaluation interval and the rule that ends the run."""

    batch_size: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 0.05  # of matrices, times the rate
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    eval_every: int = 100  # steps
    patience: int = 6  # evaluations without improvement before the rate is lowered
    factor: float = 0.4  # what the rate is multiplied by
    min_improvement: float = 0.005  # dB; less does not count as improvement
    min_lr: float = 2e-5  # below this the run is done
    max_steps: int = 1_000_000
    steps_per_call: int = 1  # of the device, best a divisor of eval_every; Ctrl-C waits for a call


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """One run."""

    name: str = "default"
    seed: int = 0
    audio: AudioConfig = dataclasses.field(default_factory=AudioConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    optim: OptimConfig = dataclasses.field(default_factory=OptimConfig)


def check_ranges(where: str, config: Any, rules: dict[str, tuple[bool, str]]) -> None:
    """Checks the fields of a configuration.

    Args:
        where: the name of the group of fields, for the message.
        config: a configuration.
        rules: for each field True if it keeps its rule, and the rule in words.

    Raises:
        UsageError: naming the first field that breaks its rule, and the rule.
    """
    for field, (good, rule) in rules.items():
        if not good:
            raise UsageError(f"{where}.{field}={getattr(config, field)!r} should be {rule}.")


def to_dict(config: Any) -> dict[str, Any]:
    """Returns a configuration as plain nested dictionaries, ready for JSON."""
    return dataclasses.asdict(config)


def from_dict(cls: type[T], values: dict[str, Any], where: str = "config") -> T:
    """Makes a configuration of nested dictionaries. Missing keys keep their defaults.

    Raises:
        UsageError: for an unknown key (with the nearest valid one) or a value of the wrong type.
    """
    hints = typing.get_type_hints(cls)
    fields: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            raise UsageError(f"{where}.{key}: no such key{_nearest(where, key, hints)}")
        fields[key] = _coerce(hints[key], value, f"{where}.{key}")
    return cls(**fields)


def override(config: Config, dotted: str, text: str) -> Config:
    """Replaces one field of a configuration, as in `--config.optim.batch-size 64`.

    Raises:
        UsageError: for an unknown key or a value that the field cannot hold.
    """
    return _replace(config, dotted.replace("-", "_").split("."), text, "config")


def digest(config: Any) -> str:
    """Returns twelve hexadecimal digits that only equal configurations share."""
    plain = to_dict(config) if dataclasses.is_dataclass(config) else config
    text = json.dumps(plain, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _replace(node: Any, keys: list[str], text: str, where: str) -> Any:
    hints = typing.get_type_hints(type(node))
    key, rest = keys[0], keys[1:]
    if key not in hints:
        raise UsageError(f"{where}.{key}: no such key{_nearest(where, key, hints)}")
    nested = dataclasses.is_dataclass(hints[key])
    if nested != bool(rest):
        shape = "a group of keys" if nested else "a single value"
        raise UsageError(f"{where}.{key} is {shape}")
    child = getattr(node, key)
    value = (
        _replace(child, rest, text, f"{where}.{key}")
        if rest
        else _coerce(hints[key], text, f"{where}.{key}")
    )
    return dataclasses.replace(node, **{key: value})


def _coerce(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise UsageError(f"{where}: {value!r} should be a group of keys")
        return from_dict(hint, value, where)  # type: ignore[arg-type]
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise UsageError(f"{where}: {value!r} should be a list")
        return tuple(_coerce(typing.get_args(hint)[0], each, where) for each in value)
    try:
        if isinstance(value, bool) or value is None:
            raise ValueError
        result = int(str(value)) if hint is int else hint(value)
        if isinstance(result, float) and not math.isfinite(result):
            raise ValueError
        return result
    except (TypeError, ValueError):
        raise UsageError(f"{where}: {value!r} is not {_article(hint.__name__)}") from None


def _article(name: str) -> str:
    return {"int": "a whole number", "float": "a finite number", "str": "text"}.get(name, name)


def _nearest(where: str, key: str, valid: Any) -> str:
    near = difflib.get_close_matches(key, list(valid), n=1, cutoff=0.5)
    return f"; did you mean {where}.{near[0]}?" if near else f"; valid: {', '.join(sorted(valid))}"
