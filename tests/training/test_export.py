from pathlib import Path

import numpy as np

from sst import inference
from sst.data import dataset as datasets
from sst.model.functions import VAE
from sst.search import novelty
from sst.training import export
from tests import small_model


def test_an_export_holds_ids_and_vectors_of_training_clips(monkeypatch):
    model = small_model.with_classes()
    clips = small_model.clips(12)
    ids = [f"lib/pack{i % 3}/{i}.wav" for i in range(12)]
    cells, attack = clips.log_mel.astype(np.float16), clips.attack.astype(np.float16)
    split = datasets.Split(ids, [""] * 12, cells, clips.n_frames, clips.peak_db, attack)
    dataset = datasets.Dataset(
        "sample_library/x", Path(), split, split, [], "", {"split_by": "folder"}
    )
    inputs = export.ExportInputs(small_model.CONFIG, dataset, VAE, Path())
    monkeypatch.setattr(export, "copy_clusters", lambda *args: np.arange(len(args[2])))
    known = export.training_vectors(inputs, model.params, model.stats)
    assert known.ids == ids
    vectors = np.asarray(inference.embed_features(model, split.features(slice(None))))
    np.testing.assert_allclose(known.vectors, vectors, atol=1e-4)
    packs = novelty.number_groups(ids, by_pack=True)
    np.testing.assert_allclose(
        known.spacing, novelty.measure_spacing(vectors, packs, lambda a, b: False), atol=1e-4
    )
    monkeypatch.setattr(export, "MAX_TRAIN_VECTORS", 5)
    some = export.training_vectors(inputs, model.params, model.stats).ids
    assert len(some) == 5 and sorted(some, key=ids.index) == some
