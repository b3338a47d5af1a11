"""The file of packed sequences: what is written is read, and the mask follows from the ids."""

from __future__ import annotations

import io
import tempfile

import numpy as np
import pytest

from npformer.text import Document, WordPieceTokenizer, pack
from npformer.text import packed_file as module
from npformer.text.packed_file import blocks_of, blocks_of_packed, dtype_of, map_rows, write_rows
from npformer.text.packing import filled_rows

TEXT = "A bad b. A b b, [PAD] a bb! [MASK] b a. " * 40


@pytest.fixture
def tokenizer():
    return WordPieceTokenizer.train([TEXT], 40, shrink=True)


@pytest.mark.parametrize("rows", [1, 3, 4096])
def test_a_file_is_what_pack_returns(tokenizer, monkeypatch, rows):
    monkeypatch.setattr(module, "ROWS", rows)
    documents = [Document("a", TEXT), Document("b", "b b"), Document("c", TEXT[:90])]
    expected = pack(documents, tokenizer, 12)
    for blocks in (
        blocks_of(filled_rows(iter(documents), tokenizer, 12), 12, tokenizer.pad_id),
        blocks_of_packed(expected),
    ):
        with tempfile.TemporaryFile() as file:
            assert write_rows(file, blocks, 12, tokenizer.vocab_size) == len(expected.ids)
            file.seek(0)
            assert np.array_equal(np.load(file, allow_pickle=False), expected.ids)  # an ordinary .npy
            packed = map_rows(file, tokenizer.pad_id)
        assert packed.ids.dtype == np.uint16
        assert np.array_equal(packed.ids, expected.ids)
        assert np.array_equal(packed.mask[:], expected.mask)
        assert packed.mask.sum() == expected.mask.sum()
        assert packed.mask.mean() == expected.mask.mean()
        assert packed.mask.any()
        for chosen in ([0], [5, 1, 1], slice(2, 7)):
            part = packed.rows(chosen)
            assert part.ids.dtype == np.int32
            assert np.array_equal(part.ids, expected.ids[chosen])
            assert np.array_equal(part.mask, expected.mask[chosen])


def test_the_largest_ids_of_both_widths():
    for vocab_size, dtype in ((1 << 16, np.uint16), ((1 << 16) + 1, np.uint32)):
        assert dtype_of(vocab_size) == dtype
        with tempfile.TemporaryFile() as file:
            write_rows(file, [np.array([[0, vocab_size - 1]])], 2, vocab_size)
            assert map_rows(file, 0).ids.tolist() == [[0, vocab_size - 1]]


def test_the_mask_is_not_made_whole_by_accident():
    mask = module.PaddingMask(np.zeros((3, 2), np.uint16), 0)
    with pytest.raises(TypeError, match=r"mask\[:\]"):
        np.asarray(mask)
    assert not mask.any()


def test_other_files_are_refused():
    ids = np.zeros((2, 3), np.uint16)
    for array in (ids.astype(float), ids[0], ids[:0], ids.astype("S2"), np.asfortranarray(ids)):
        with tempfile.TemporaryFile() as file:
            np.save(file, array)
            with pytest.raises(ValueError, match="expected rows"):
                map_rows(file, 0)
    with pytest.raises(ValueError, match="magic"):
        map_rows(io.BytesIO(b"PK\x03\x04 and so on"), 0)


def test_evenly_spaced_rows_are_a_bounded_part():
    packed = module.Packed(np.arange(40, dtype=np.uint16).reshape(10, 4), np.ones((10, 4), bool))
    assert np.array_equal(packed.evenly_spaced(40).ids, packed.ids)
    assert packed.evenly_spaced(39).ids.shape == (9, 4)
    assert packed.evenly_spaced(8).ids[:, 0].tolist() == [0, 36]
    assert packed.evenly_spaced(1).ids.shape == (1, 4)
