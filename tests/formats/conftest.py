"""Fixtures of the tests of formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.formats import codecs

if TYPE_CHECKING:
    from collections.abc import Iterator

FAST = codecs.choose("auto")

CODECS = {
    "portable": codecs.PORTABLE,
    **(
        {}
        if FAST.reader_name == codecs.PORTABLE.reader_name and FAST.write is codecs.PORTABLE.write
        else {"fast": FAST}
    ),
}
"""Codecs that are installed."""


@pytest.fixture(scope="module", params=CODECS)
def codec(request: pytest.FixtureRequest) -> Iterator[codecs.Codec]:
    """Run the tests of a module with each codec."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codecs, "active", CODECS[request.param])
        yield codecs.active
