"""The pages: what they measure, what they show, and that docs/museum.md is what the command prints."""

from __future__ import annotations

from pathlib import Path

import pytest

import npformer
import npformer.teaching.museum.page as pages
from npformer.teaching.museum import EXHIBITS, exhibit
from npformer.teaching.museum.page import described, difference, hides_at, listing, markdown, page

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def checked_by_numbers_once(numbers_once, monkeypatch):
    """Have the pages take the numeric gradients of a forward once."""

    def check(forward, *rest, **options):
        with numbers_once(forward):
            return npformer.check(forward, *rest, **options)

    monkeypatch.setattr(pages, "check", check)


@pytest.mark.parametrize(
    ("name", "place", "hidden"),
    [
        ("layer_norm/gamma-forgotten", "gamma of ones", True),
        ("layer_norm/mean-term-missing", "gamma of ones", False),
        ("softmax/upstream-ignored", "a dout of ones", True),
        ("softmax/summed-over-everything", "one row", True),
        ("embedding/overwritten-not-accumulated", "ids without repeats, and without id 0", True),
        ("cross_entropy/mean-over-all-rows", "no ignored target", True),
        ("scaled_dot_product_attention/mask-ignored", "nothing masked", True),
        ("scaled_dot_product_attention/pre-dropout-weights", "dropout off", True),
        ("linear/averaged-not-summed", "one row", True),
        ("mean_pooling/padding-counted", "nothing masked", True),
        ("weighted_cross_entropy/weights-ignored", "class weights of one", True),
        ("lora/adapter-path-missing", "b of zeros", True),
        ("lora/rank-not-divided", "a scale of one", False),
        ("replaced_token_detection/loss-weight-twice", "a loss weight of one", True),
    ],
)
@pytest.mark.usefixtures("checked_by_numbers_once")
def test_where_it_hides_is_measured(name, place, hidden):
    assert (place in hides_at(exhibit(name))) == hidden


def test_a_page_has_the_wrong_line_the_right_line_and_the_report():
    text = page(exhibit("layer_norm/rstd-missing"))
    assert "  - dx = inner * 1.0\n  + dx = inner / std" in text
    assert "gradient check of layer_norm: FAILED" in text
    assert "rstd-missing: The given gradient of x" in text


def test_the_list_has_every_exhibit():
    assert all(f"{e.number}  {e.name}" in listing() for e in EXHIBITS)
    assert described(EXHIBITS[0])["op"] == "linear"


@pytest.mark.thorough
@pytest.mark.usefixtures("checked_by_numbers_once")
def test_the_document_is_what_the_command_prints():
    assert (ROOT / "docs" / "museum.md").read_text(encoding="utf-8") == markdown()


def test_the_document_has_every_exhibit():
    text = (ROOT / "docs" / "museum.md").read_text(encoding="utf-8")
    for e in EXHIBITS:
        assert f"**{e.number}. {e.name}**: {e.what}." in text
        exchanged = difference(e)
        assert "\n".join(["```diff", *exchanged, "```"]) in text
        left_out = [line for line in exchanged if line.startswith("- ")]
        assert all(any(wrong in line for line in left_out) for wrong in e.wrong)
