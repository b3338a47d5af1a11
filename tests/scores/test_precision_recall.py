import pytest

from npformer.scores import PrecisionRecall


def test_f1_is_the_harmonic_mean():
    for counts in ((3, 4, 6), (1, 7, 1), (5, 5, 5)):
        found = PrecisionRecall(*counts)
        p, r = counts[0] / counts[1], counts[0] / counts[2]
        assert (found.precision, found.recall) == (p, r)
        assert found.f1 == pytest.approx(2 * p * r / (p + r), rel=1e-15)


def test_a_ratio_of_nothing_is_zero():
    for counts in ((0, 0, 0), (0, 3, 0), (0, 0, 3), (0, 2, 2)):
        found = PrecisionRecall(*counts)
        assert found.precision == found.recall == found.f1 == 0


def test_sums_are_by_count():
    assert sum([PrecisionRecall(2, 4, 6), PrecisionRecall(1, 1, 3)], PrecisionRecall(0, 0, 0)) == (3, 5, 9)
