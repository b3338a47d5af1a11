"""Which tokenizer a folder holds."""

from __future__ import annotations

import json

import pytest

from npformer.models import Decoder, DecoderConfig
from npformer.text import CharacterTokenizer, CorpusError, WordPieceTokenizer, load_tokenizer, train_tokenizer

TEXT = ["Low lower lowest. Low again, and lower."]


@pytest.mark.parametrize(("kind", "lowercase"), [("wordpiece", True), ("wordpiece", False), ("char", True)])
def test_a_model_folder_gives_its_tokenizer_back(tmp_path, kind, lowercase):
    tokenizer = train_tokenizer(kind, TEXT, 40, lowercase=lowercase, shrink=True)
    config = DecoderConfig(
        vocab_size=tokenizer.vocab_size, d_model=4, n_heads=1, d_ff=4, n_layers=1, max_positions=8
    )
    Decoder(config).save_pretrained(tmp_path, tokenizer)
    again = load_tokenizer(tmp_path)
    assert type(again) is {"wordpiece": WordPieceTokenizer, "char": CharacterTokenizer}[kind]
    assert again.vocab == tokenizer.vocab
    assert again.encode_plain("Low again") == tokenizer.encode_plain("Low again")


def test_folders_of_earlier_versions_and_damaged_ones(tmp_path):
    tokenizer = train_tokenizer("wordpiece", TEXT, 40, lowercase=False, shrink=True)
    tokenizer.save(tmp_path / "vocab.txt")
    assert load_tokenizer(tmp_path).lowercase
    (tmp_path / "tokenizer.json").write_text('{"lowercase": false}')
    assert not load_tokenizer(tmp_path).lowercase
    for text in ("{", "{}", "[]", '{"lowercase": "false"}', json.dumps({"lowercase": True, "kind": "bytes"})):
        (tmp_path / "tokenizer.json").write_text(text)
        with pytest.raises(CorpusError, match="tokenizer.json: not the description of a tokenizer"):
            load_tokenizer(tmp_path)
