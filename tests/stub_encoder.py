"""An encoder without a network, and scans with it: what an index holds can be compared exactly."""

import numpy as np

from sst.config import AudioConfig
from sst.library import scan as library_scan
from sst.library.embed_files import Encoder

AUDIO = AudioConfig(n_mels=32)
ONE_WORKER = library_scan.ScanOptions(workers=1)


class Listener:
    """An encoder that counts what it hears: mean and spread of the spectrogram's bands."""

    def __init__(self, digest="a" * 12):
        self.heard = 0
        self.encoder = Encoder(digest, AUDIO, self.embed)

    def embed(self, heard):
        log_mel = heard.log_mel
        self.heard += len(log_mel)
        return np.concatenate([log_mel.mean(axis=1), log_mel.std(axis=1)], axis=1)


def scan(folder, listener=None, **options):
    listener = listener or Listener()
    report, rows = library_scan.scan_and_read(
        listener.encoder, [folder], ONE_WORKER._replace(**options)
    )
    silent = sum(report.skipped.values())
    assert report.found == report.embedded + report.reused + silent
    assert len(rows.paths) == report.found - silent
    return report, rows, listener.heard


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
