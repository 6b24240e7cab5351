"""An encoder without a network, and scans with it: what an index holds can be compared exactly."""

import numpy as np

from sst.config import AudioConfig
from sst.library import scan as library_scan
from sst.library.embed_files import Encoder

AUDIO = AudioConfig(n_mels=32)
ONE_WORKER = library_scan.ScanOptions(workers=1)


class CountingEncoder:
    """An encoder that counts the sounds it embeds: as mean and spread of the mel bands."""

    def __init__(self, digest="a" * 12):
        self.embedded = 0
        self.encoder = Encoder(digest, AUDIO, self.embed)

    def embed(self, features):
        log_mel = features.log_mel
        self.embedded += len(log_mel)
        return np.concatenate([log_mel.mean(axis=1), log_mel.std(axis=1)], axis=1)


def scan(folder, counting=None, **options):
    counting = counting or CountingEncoder()
    report, rows = library_scan.scan_and_read(
        counting.encoder, [folder], ONE_WORKER._replace(**options)
    )
    silent = sum(report.skipped.values())
    assert report.found == report.embedded + report.reused + silent
    assert len(rows.paths) == report.found - silent
    return report, rows, counting.embedded


def assert_same_as_clean(folder, rows, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("SST_CACHE_DIR", str(tmp_path / "clean"))
        clean = scan(folder)[1]
    assert rows.paths == clean.paths
    assert rows.digests == clean.digests
    np.testing.assert_array_equal(rows.vectors, clean.vectors)
    np.testing.assert_array_equal(rows.onsets, clean.onsets)
    for one, other in zip(rows.distances, clean.distances, strict=True):
        np.testing.assert_array_equal(one, other)
