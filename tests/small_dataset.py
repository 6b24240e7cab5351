"""A tiny dataset in the builder's format, made of synthetic sounds, through the TFDS API."""

import json
from pathlib import Path

import numpy as np

from sst.config import AudioConfig, to_dict
from sst.dsp import features as spectra
from sst.dsp.features import ATTACK_POINTS
from tests import synth

AUDIO = AudioConfig(sample_rate=8_000, clip_seconds=0.5, n_fft=256, hop=128, n_mels=16)


def records(n: int, audio: AudioConfig = AUDIO, seed: int = 0) -> list[dict]:
    rng = np.random.default_rng(seed)
    kinds = list(synth.KINDS)
    made = []
    for i in range(n):
        kind = kinds[i % len(kinds)]
        wave = synth.KINDS[kind](audio.sample_rate, rng)[: audio.clip_samples]
        wave /= np.abs(wave).max()
        frames = audio.frames_of(len(wave))
        decay = -np.linspace(0, 40, frames)[:, None] - rng.uniform(0, 30, audio.n_mels)
        made.append(
            {
                "id": f"lib/{kind}{i}.wav",
                "path": f"/lib/{kind}{i}.wav",
                "label": kind,
                "digest": f"{seed:08x}{i:024x}",
                "onset_s": 0.0,
                "duration_s": len(wave) / audio.sample_rate,
                "sample_rate": 44_100,
                "peak_db": float(rng.uniform(-20, 0)),
                "wave": np.round(wave * 32767).astype(np.int16),
                "log_mel": np.maximum(decay, audio.floor_db).astype(np.float16),
                "attack": spectra.attack(wave, audio).astype(np.float16),
            }
        )
    return made


def write(
    data_dir: Path,
    name: str = "tiny",
    n_train: int = 20,
    n_validation: int = 7,
    audio: AudioConfig = AUDIO,
    file_format: str = "array_record",
) -> Path:
    """Builds sample_library/NAME under `data_dir` and returns the directory of its version."""
    import tensorflow_datasets as tfds

    with tfds.core.registered.skip_registration():
        builder_class = _builder_class(name, n_train, n_validation, audio)
    builder = builder_class(data_dir=str(data_dir), config=name, file_format=file_format)
    builder.download_and_prepare()
    path = Path(builder.data_dir)
    metadata = {
        "audio": to_dict(audio),
        "fingerprint": f"f-{name}-{n_train}",
        "sample_dirs": ["/lib"],
        "class_names": list(synth.KINDS),
        "skipped": {},
    }
    (path / "metadata.json").write_text(json.dumps(metadata))
    return path


def _builder_class(name: str, n_train: int, n_validation: int, audio: AudioConfig) -> type:
    import tensorflow_datasets as tfds

    text, f32, tensor = tfds.features.Text(), np.float32, tfds.features.Tensor
    encoding = tfds.features.Encoding.BYTES

    class Builder(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name)]
        pkg_dir_path = Path(__file__).parent

        @classmethod
        def get_metadata(cls):
            return tfds.core.utils.dataset_metadata.DatasetMetadata("", "", "", [])

        def _info(self):
            features = {key: text for key in ("id", "path", "label", "digest")}
            features |= {key: f32 for key in ("onset_s", "duration_s", "peak_db")}
            features["sample_rate"] = np.int32
            features["wave"] = tfds.features.Tensor(
                shape=(None,), dtype=np.int16, encoding=encoding
            )
            features["log_mel"] = tensor(
                shape=(None, audio.n_mels), dtype=np.float16, encoding=encoding
            )
            features["attack"] = tensor(shape=(ATTACK_POINTS,), dtype=np.float16, encoding=encoding)
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, dl_manager):
            sizes = {"train": n_train, "validation": n_validation}
            return {name: self._rows(n, seed) for seed, (name, n) in enumerate(sizes.items()) if n}

        def _rows(self, n, seed):
            return [(record["id"], record) for record in records(n, audio, seed)]

        def _generate_examples(self):
            raise AssertionError("the splits are lists")

    Builder.name = "sample_library"
    return Builder
