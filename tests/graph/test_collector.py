"""The collector is as it was, whatever happens in between."""

import gc

import pytest

from qed.graph.collector import at_rest


def test_it_works_again_after_an_error():
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), at_rest():
        assert not gc.isenabled()
        with at_rest():
            assert not gc.isenabled()
        assert not gc.isenabled()
        _ = 1 / 0
    assert gc.isenabled()


def test_who_works_without_it_still_does():
    gc.disable()
    try:
        with at_rest():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
