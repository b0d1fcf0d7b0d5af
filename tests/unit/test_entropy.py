"""Random bytes by the page: each once, in any size, from any thread, and none shared with a forked child."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from sitting import entropy


def test_every_byte_is_given_out_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: entropy.fresh(16), range(20_000)))
    assert len(set(found)) == len(found)
    assert all(len(each) == 16 for each in found)
    assert len(entropy.fresh(100_000)) == 100_000


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_bytes_of_its_own() -> None:
    entropy.fresh(1)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, entropy.fresh(32))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 32) != entropy.fresh(32)
    os.close(reading)
    os.close(writing)
