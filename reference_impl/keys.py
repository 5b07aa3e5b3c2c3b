"""Keys of the callers: who may use the API where more than this machine can reach it."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Mapping
from typing import Final

from reference_impl.errors import ApiError

KEYS_VARIABLE: Final = "MEMORY_API_KEYS"
# What RFC 6750 lets a bearer token be made of.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_SCHEME: Final = "bearer "


class Keys:
    """The keys that are valid; with none of them, no request needs one.

    Args:
        keys: as the callers send them.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._digests = tuple({_digest(key) for key in keys})

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Keys:
        """The keys in the environment; they are not told in error messages.

        Raises:
            ValueError: if the variable is set, but to no keys, or one of them cannot be sent in a header.
        """
        text = environment.get(KEYS_VARIABLE, "")
        keys = [key for part in text.split(",") if (key := part.strip())]
        if text and not keys:
            raise ValueError(f"{KEYS_VARIABLE}: holds no key; set one or more, comma separated, or unset it")
        for number, key in enumerate(keys, 1):
            if not _TOKEN.fullmatch(key):
                raise ValueError(f"{KEYS_VARIABLE}: key {number} has other characters than A-Z a-z 0-9 . _ ~ + / - =")
        return cls(keys)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def require(self, authorization: str | None) -> None:
        """Checks the header `Authorization` of a request.

        Raises:
            ApiError: 401 if it carries none of the keys.
        """
        given = authorization or ""
        if not given[: len(_SCHEME)].lower() == _SCHEME:
            raise _unauthorized("send the header Authorization: Bearer KEY", "Bearer")
        digest = _digest(given[len(_SCHEME) :].strip())
        # Every one is compared, whole: the time it takes says nothing of the keys.
        if not sum(hmac.compare_digest(digest, known) for known in self._digests):
            raise _unauthorized("this key is not known", 'Bearer error="invalid_token"')


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _unauthorized(message: str, challenge: str) -> ApiError:
    return ApiError(401, "UNAUTHORIZED", message, headers=(("www-authenticate", challenge),))
