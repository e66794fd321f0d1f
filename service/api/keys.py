"""API keys, as bearer tokens: RFC 6750."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING

from service.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterable


class Keys:
    """The keys that are known, of which any one will do; none leaves the service open."""

    def __init__(self, keys: Iterable[str]) -> None:
        # digests are of one length, so that comparing tells nothing of a key
        self._digests = [sha256(key.encode()).digest() for key in keys]

    def check(self, authorization: str | None) -> None:
        """Raises Unauthenticated unless the header holds a key that is known."""
        if not self._digests:
            return
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("Show a key of this service in the header Authorization: Bearer KEY.")
        digest = sha256(token.strip(" ").encode("latin-1")).digest()
        # every key is compared: the time taken does not tell which one was near
        if sum(compare_digest(digest, known) for known in self._digests) == 0:
            raise Unauthenticated("The key is not one that this service knows.")
