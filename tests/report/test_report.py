import base64
import html.parser
import io
import json
import struct
import zlib

import numpy as np
import pytest
import soundfile as sf

from sst.config import AudioConfig
from sst.errors import ResourceError, UsageError
from sst.evaluation import definitions, figures, sections
from sst.evaluation.figures import Absent
from sst.report import media, page, write
from sst.report.media import Exhibit
from tests import synth

AUDIO = AudioConfig(sample_rate=16_000, clip_seconds=0.5, n_fft=512, hop=128, n_mels=40)


def made(name: str = "model <b>", value: float = 2.5) -> dict:
    """A report with one measured figure."""
    tables = {key: sections.empty_section(key) for key in definitions.SECTIONS}
    figure = {"value": value, "low": value - 1, "high": value + 1, "n": 12}
    reconstruction = tables["reconstruction"]
    for key, title in (("model", "SST & co"), ("pca", "PCA-64")):
        reconstruction["rows"][key] = {
            "title": title,
            "note": "",
            "figures": {"log_mel_l1_db": figure, "pitch_cents": Absent("no <pitch>").figure()},
        }
    return {
        "model": {"name": name, "digest": "0" * 12, "sample_rate": 16_000, "latent_dim": 8},
        "sounds": {"held_out": {"files": 12, "packs": 3}, "train": None},
        "run": {"date": "today", "cpu_s": 1.0, "machine": "here", "command": "sst evaluate"},
        "classifier": {"why": "no classes"},
        "notes": ["a note"],
        "goals": sections.compare_goals(tables),
        "sections": tables,
        "confusion": [
            {
                "title": "Confusion",
                "intro": "",
                "classes": ["kick"],
                "columns": ["hat", "kick"],
                "counts": [[1, 3]],
            }
        ],
        "absent": [{"what": "search", "why": "no classes"}],
    }


def exhibit() -> Exhibit:
    wave = synth.tone(1000.0, AUDIO.sample_rate, 0.2)
    return Exhibit("Sounds", "to hear", ["original", "other"], [("one", [wave, None])])


class Reader(html.parser.HTMLParser):
    """Checks the nesting, and collects what a page would load."""

    VOID = frozenset({"meta", "img", "br", "circle", "line"})

    def __init__(self):
        super().__init__()
        self.open, self.sources, self.words = [], [], []

    def handle_starttag(self, tag, attributes):
        self.sources += [value for key, value in attributes if key in ("src", "href")]
        assert tag not in ("script", "link", "iframe")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_is_one_file_and_well_formed():
    reader = read(page.render_page(made(), [exhibit()], AUDIO))
    assert reader.sources and all(source.startswith("data:") for source in reader.sources)
    words = " ".join(reader.words)
    for shown in (
        "model <b>",
        "SST & co",
        "PCA-64",
        "2.50",
        "1.50 to 3.50",
        "a note",
        "no classes",
    ):
        assert shown in words
    assert "@import" not in words and "url(" not in words


def test_every_quantity_is_defined_on_the_page():
    words = " ".join(read(page.render_page(made(), [], AUDIO)).words)
    for quantities in definitions.SECTIONS.values():
        assert all(quantity.definition in words for quantity in quantities.values())


def met_of(tables):
    return {goal["quantity"]: goal["met"] for goal in sections.compare_goals(tables)}


def test_goals_are_compared_with_the_figures_of_the_model():
    met = met_of(made(value=2.5)["sections"])
    assert met["log_mel_l1_db"] is True and met["p1"] is None
    assert met["pitch_cents"] is None
    tables = made(value=3.0)["sections"]
    assert met_of(tables)["log_mel_l1_db"] is False
    lost = figures.over_files(np.full(8, np.inf), None, "median")
    tables["reconstruction"]["rows"]["model"]["figures"]["pitch_cents"] = lost
    assert met_of(tables)["pitch_cents"] is False


def test_a_sound_in_the_page_is_the_sound():
    wave = 0.1 * synth.tone(440.0, 16_000, 0.1)
    mime, content = media.audio_uri(wave, 16_000).split(";base64,")
    assert mime == "data:audio/wav"
    decoded, rate = sf.read(io.BytesIO(base64.b64decode(content)))
    assert rate == 16_000 and np.abs(decoded).max() == pytest.approx(media.PEAK, abs=1e-3)
    np.testing.assert_allclose(decoded / decoded.max(), wave / wave.max(), atol=1e-3)


@pytest.mark.parametrize("wave", [np.zeros(0, np.float32), np.zeros(100, np.float32)])
def test_silence_stays_silence(wave):
    content = media.audio_uri(wave, 16_000).split(",")[1]
    decoded, _ = sf.read(io.BytesIO(base64.b64decode(content)))
    assert len(decoded) >= 1 and not decoded.any()


def pixels(uri: str) -> np.ndarray:
    """[h, w] palette entries of one of our pictures, by the PNG specification."""
    data = base64.b64decode(uri.split(",")[1])
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (crc,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert crc == zlib.crc32(kind + body)
        chunks[kind], at = body, at + 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not lines[:, 0].any() and len(chunks[b"PLTE"]) == 768
    return lines[:, 1:]


def test_a_tone_is_a_line_at_its_height_and_stops_where_it_stops():
    wave = synth.tone(1000.0, AUDIO.sample_rate, 0.2)
    image = pixels(media.spectrogram_uri(wave, AUDIO, 40))
    assert image.shape == (AUDIO.n_mels, 40)
    frames = AUDIO.frames_of(len(wave))
    low = pixels(media.spectrogram_uri(synth.tone(200.0, 16_000, 0.2), AUDIO, 40))
    assert low[:, 5].argmax() > image[:, 5].argmax()  # bass is below
    assert image[:, 5].max() > 240 and not image[:, frames:].any()


def test_written_figures_can_be_read_back(tmp_path):
    report = made()
    figures_path, index = write.write(tmp_path / "r", report, [exhibit()], AUDIO)
    assert json.loads(figures_path.read_text()) == report
    assert index.read_text().startswith("<!doctype html>")
    write.check_place(tmp_path / "r")
    write.write(tmp_path / "r", made("other"), [], AUDIO)
    assert "other" in index.read_text()
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == ["index.html", "report.json"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_does_not_know_is_refused_with_its_place(value, tmp_path):
    report = made()
    report["run"]["cpu_s"] = value
    with pytest.raises(ValueError, match=r"report\.run\.cpu_s"):
        write.write(tmp_path / "r", report, [], AUDIO)
    assert not (tmp_path / "r").exists()


def test_other_peoples_folders_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match="other files"):
        write.check_place(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        write.check_place(tmp_path / "thesis.tex")
    write.check_place(tmp_path / "new")


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError):
        write.write(tmp_path / "file" / "r", made(), [], AUDIO)
