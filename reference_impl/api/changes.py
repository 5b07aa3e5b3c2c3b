"""From bodies of PUT and PATCH to checked changes."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, UnsetType

from reference_impl.api.validation import decode, in_future, storable_json, storable_text, tier_named, unit_vector
from reference_impl.models import PatchMemory, ReplaceMemory
from reference_impl.updates import Change


class Changes:
    """Turns bodies of updates into changes ready to make.

    Args:
        dimension: numbers in an embedding.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._replace = msgspec.json.Decoder(ReplaceMemory)
        self._patch = msgspec.json.Decoder(PatchMemory)

    def replacement(self, body: bytes) -> Change:
        """A change of everything that can be changed.

        Raises:
            ApiError: 400 naming the field.
        """
        return self._checked(decode(body, self._replace))

    def patch(self, body: bytes) -> Change:
        """A change of what the body has.

        Raises:
            ApiError: 400 naming the field.
        """
        return self._checked(decode(body, self._patch))

    def _checked(self, item: ReplaceMemory | PatchMemory) -> Change:
        embedding = item.embedding
        return Change(
            content=UNSET if item.content is UNSET else storable_text(item.content, "content"),
            tier=UNSET if item.tier is UNSET else tier_named(item.tier),
            importance_score=item.importance_score,
            metadata=UNSET if item.metadata is UNSET else storable_json(item.metadata, "metadata"),
            parent_id=item.parent_id,
            expires_at=_expiry(item.expires_at),
            embedding=unit_vector(embedding, self._dimension, "embedding")
            if isinstance(embedding, list)
            else embedding,
        )


def _expiry(moment: datetime | UnsetType | None) -> datetime | UnsetType | None:
    return in_future(moment, datetime.now(UTC), "expires_at") if isinstance(moment, datetime) else moment
