"""Folders of audio samples as a data set: `tfds build tfds_builders/sample_library`."""

import contextlib
import functools
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from pipelines.console.messages import say
from pipelines.console.progress import Progress
from sst import files
from sst.cache import cache_root
from sst.config import to_dict
from sst.data import build_folder, manifest, records
from sst.demo import library as demo_library
from sst.dsp.features import ATTACK_POINTS
from sst.errors import Interrupted, ModelError, NothingToDo, UsageError, UserError

DEMO = "demo"  # the configuration of the project's own sounds
CHUNK = 512  # files per step of a build through Beam


@contextlib.contextmanager
def _user_errors_to_exit_codes() -> Iterator[None]:
    """Under the `tfds` command, turns a UserError into its message and its exit code."""
    try:
        yield
    except (UserError, KeyboardInterrupt) as error:
        if "tensorflow_datasets.scripts.cli.build" not in sys.modules:
            raise
        if isinstance(error, KeyboardInterrupt):
            error = Interrupted("Stopped. Nothing was written; the same command starts again.")
        say(str(error))
        raise SystemExit(error.exit_code) from None


class SampleLibraryConfig(tfds.core.BuilderConfig):
    """One library: a name, the folders, and `sst.data.manifest.Options` by name."""

    def __init__(self, *, name: str = "", sample_dirs: str | Sequence[str] = (), **options: Any):
        with _user_errors_to_exit_codes():
            if not re.fullmatch(r"\w[\w.-]*", str(name)):
                raise UsageError(
                    f'--config needs a "name" of letters, digits, _ - and ., not {name!r}.'
                )
            self.options = manifest.parse_options(options)
        super().__init__(name=name)
        self.sample_dirs = [sample_dirs] if isinstance(sample_dirs, str) else list(sample_dirs)
        for key, value in to_dict(self.options).items():
            setattr(self, key, value)


class Builder(tfds.core.GeneratorBasedBuilder):
    """Decodes every file in processes of their own, divides the sounds by pack, writes records.

    Records are stored in the order of TFDS's hash of the id, salted with the split's name: an
    order like shuffled, and the same in every build.
    """

    VERSION = tfds.core.Version("1.2.0")
    RELEASE_NOTES = {
        "1.0.0": "First release.",
        "1.1.0": "With the envelope of the attack.",
        "1.2.0": "Copies with some loss stand on one side of the split, too.",
    }
    BUILDER_CONFIGS = [SampleLibraryConfig(name=DEMO)]

    def __init__(self, *, file_format: Any = None, **kwargs: Any):
        """Takes the arguments of TFDS; the file format is array_record by default."""
        config = kwargs.get("config")
        with _user_errors_to_exit_codes():
            if isinstance(config, SampleLibraryConfig) and config.name == DEMO:
                if config.sample_dirs or config.options != manifest.Options():
                    raise UsageError(
                        'The name "demo" is taken by the sounds that come with this program. Give'
                        " your library another name."
                    )
                kwargs["config"] = DEMO
        super().__init__(file_format=file_format, **kwargs)
        if file_format is None and not self.data_path.exists():
            self.info.set_file_format("array_record", override=True)

    def _info(self) -> tfds.core.DatasetInfo:
        n_mels = self.builder_config.options.audio.n_mels
        features = {
            "id": tfds.features.Text(doc="name of the root folder and the path below it"),
            "path": tfds.features.Text(doc="where the file was when the data set was built"),
            "label": tfds.features.Text(doc="kind of sound by its folder, or empty"),
            "digest": tfds.features.Text(doc="of the decoded samples: equal for equal sound"),
            "onset_s": np.float32,
            "duration_s": np.float32,
            "sample_rate": np.int32,
            "peak_db": np.float32,
            "wave": tfds.features.Tensor(shape=(None,), dtype=np.int16, encoding="bytes"),
            "log_mel": tfds.features.Tensor(
                shape=(None, n_mels), dtype=np.float16, encoding="bytes"
            ),
            "attack": tfds.features.Tensor(
                shape=(ATTACK_POINTS,), dtype=np.float16, encoding="bytes"
            ),
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features), metadata=tfds.core.MetadataDict()
        )

    def download_and_prepare(self, **kwargs: Any) -> None:
        """Builds the data set, or says that it is up to date, or why it is not.

        Raises:
            UserError: for everything a user can mend, in one sentence. Under the `tfds` command
                it is printed and becomes the exit code.
        """
        config = kwargs.get("download_config") or tfds.download.DownloadConfig()
        if config.download_mode == tfds.download.GenerateMode.UPDATE_DATASET_INFO:
            return super().download_and_prepare(**kwargs)
        with _user_errors_to_exit_codes():
            self._dirs = self._find_dirs()
            self._found = files.samples_or_raise(self._dirs)
            self._request = self._make_request()
            self._beam: Any = config if config.beam_options or config.beam_runner else None
            self._prepare(config, kwargs)
        return None

    def _find_dirs(self) -> list[str]:
        """Returns the folders of the library; the demo is made first, in the cache."""
        if self.builder_config.name == DEMO:
            root = cache_root()
            with build_folder.disk_errors(root, "Set SST_CACHE_DIR to another folder."):
                return [os.fspath(demo_library.cached(root))]
        if not self.builder_config.sample_dirs:
            raise UsageError('--config needs "sample_dirs": a list of folders.')
        return self.builder_config.sample_dirs

    def _prepare(self, config: Any, kwargs: dict[str, Any]) -> None:
        with build_folder.build_lock(Path(self.data_path).parent):
            if self.data_path.exists() and not config.download_mode.overwrite_dataset:
                return self._reuse()
            build_folder.remove_stale_drafts(Path(self.data_path))
            for sentence in files.describe_skipped(self._found):
                say(sentence)
            self._check_disk()
            with _without_tfds_bars(), build_folder.disk_errors(self._data_dir_root):
                super().download_and_prepare(**kwargs)
            say(f"{self._title}: {manifest.summarise(self.info.metadata)}")
            if self.info.metadata["skipped"]:
                say(f"The skipped files and why: {self.data_path / 'skipped.csv'}")

    @property
    def _title(self) -> str:
        return f"{self.name}/{self.builder_config.name}"

    def _make_request(self) -> dict[str, Any]:
        config = self.builder_config
        return manifest.make_request(self._dirs, config.options, self._found, config.name == DEMO)

    def _check_disk(self) -> None:
        needed = manifest.estimate_bytes(self._found.samples, self.builder_config.options.audio)
        build_folder.check_room(needed, Path(self.data_path).parent, self._data_dir_root)

    def _reuse(self) -> None:
        """Says that the finished data set is up to date. Raises ModelError where it is not."""
        rebuild = "Build it again with --overwrite, or give the library another name."
        try:
            metadata = json.loads((self.data_path / "metadata.json").read_text())
            old = metadata["request"]
        except (OSError, ValueError, KeyError):
            raise ModelError(
                f"{self._title} is incomplete at {self.data_path}. {rebuild}"
            ) from None
        if what := manifest.describe_difference(
            old, self._request, Path(self.data_path), self._found
        ):
            raise ModelError(f"{self._title} is out of date: {what}. {rebuild}")
        say(f"{self._title} is up to date: {manifest.summarise(metadata)}")

    def _download_and_prepare(self, dl_manager: Any, download_config: Any) -> None:
        self._spool = os.path.join(os.fspath(self.data_dir), "spool")
        os.mkdir(self._spool)
        super()._download_and_prepare(dl_manager, download_config)
        shutil.rmtree(self._spool)
        manifest.write_lists(Path(self.data_dir), self._found.samples, self._rejects)
        self.info.metadata.clear()
        self.info.metadata.update(self._metadata)

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        options = self.builder_config.options
        samples = self._found.samples
        if options.labels == "none":
            samples = [sample._replace(label="") for sample in samples]
        chunks = self._decode(samples)
        rows = [(chunk, row) for chunk, (rows, _) in enumerate(chunks) for row in rows]
        self._rejects = [reject for _, rejects in chunks for reject in rejects]
        if not rows:
            raise NothingToDo(
                f"0 of {len(samples):,} files could be read; the first, {self._rejects[0].path}: "
                f"{self._rejects[0].detail}. Is this a drive that is offline?"
            )
        division = records.divide(
            rows, self._spool, options.audio, options.train_ratio, options.validation_packs
        )
        self._metadata = self._describe(rows, division)
        return {name: self._generate_examples(where) for name, where in division.offsets.items()}

    def _describe(
        self, rows: Sequence[tuple[int, records.Row]], division: records.Division
    ) -> dict[str, Any]:
        options = self.builder_config.options
        return {
            "audio": to_dict(options.audio),
            # A run goes on only with the split that it began with.
            "fingerprint": manifest.fingerprint(self._request, self.VERSION),
            "sample_dirs": [files.to_text(files.absolute(d)) for d in self._dirs],
            "class_names": sorted({row.label for _, row in rows} - {""}),
            "labels": options.labels,
            "train_ratio": options.train_ratio,
            "split_by": division.split_by,
            "n_files": len(self._found.samples),
            "n_records": division.counts(),
            "skipped": manifest.count_reasons(self._rejects),
            "request": self._request,
        }

    def _decode(self, samples: Sequence[files.Sample]) -> list[tuple[list, list]]:
        """Decodes all files into spool files; returns (rows, rejects) of each."""
        options = self.builder_config.options
        if self._beam:
            return self._decode_with_beam(samples)
        path = records.chunk_path(self._spool, 0)
        with Progress("Decoding") as progress:
            chunk = records.write_spool(
                path, samples, options.audio, timeout_s=options.timeout_s, progress=progress
            )
        return [chunk]

    def _decode_with_beam(self, samples: Sequence[files.Sample]) -> list[tuple[list, list]]:
        import apache_beam as beam

        options, given = self.builder_config.options, self._beam
        chunks = [samples[i : i + CHUNK] for i in range(0, len(samples), CHUNK)]
        write = functools.partial(
            records.write_chunk,
            folder=self._spool,
            audio=options.audio,
            timeout_s=options.timeout_s,
        )
        with beam.Pipeline(runner=given.beam_runner, options=given.beam_options) as run:
            _ = run | beam.Create(list(enumerate(chunks))) | beam.Reshuffle() | beam.MapTuple(write)
        return [records.read_chunk(self._spool, chunk) for chunk in range(len(chunks))]

    def _generate_examples(self, where: dict[int, list[int]]) -> Any:
        """Yields pairs of id and record, from the given offsets in the given spool files."""
        read = functools.partial(records.keyed_records, folder=self._spool)
        if not self._beam:
            return self._read_in_turn(where, read)
        import apache_beam as beam

        return beam.Create(sorted(where.items())) | beam.Reshuffle() | beam.FlatMapTuple(read)

    @staticmethod
    def _read_in_turn(where: dict[int, list[int]], read: Any) -> Iterator[tuple[str, dict]]:
        total = sum(map(len, where.values()))
        examples = (e for chunk, offsets in sorted(where.items()) for e in read(chunk, offsets))
        with Progress("Writing", "records") as progress:
            for done, example in enumerate(examples, 1):
                yield example
                progress(done, total)


@contextlib.contextmanager
def _without_tfds_bars() -> Iterator[None]:
    """Switches off TFDS's bars: they know no totals, and write lines where there is no terminal."""
    tfds.disable_progress_bar()
    try:
        yield
    finally:
        tfds.enable_progress_bar()
