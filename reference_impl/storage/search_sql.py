"""The SQL of searches: one statement for each shape that a query can have.

A search gathers candidates, by meaning and by words at once, and ranks their union by its true scores. Candidates come
from the search indexes and, one by one, from what these do not hold yet. Filters that few memories pass are answered
by comparing those few, without loss.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from reference_impl.storage.rows import ACCESS, FIELDS, LIVE

# Up to this many memories that pass the filters are compared one by one: faster than walking an index that mostly
# holds others. By meaning alone more candidates are wanted, and the walk for them would be longer.
_NARROW: Final = 2_000
_NARROW_BY_MEANING: Final = 10_000
# Recency halves in this many days, and this many reads are half way to the most that frequent access can count.
HALF_LIFE_DAYS: Final = 30.0
HALF_ACCESSES: Final = 10.0
# Candidates come in few sizes, as each is a statement of its own: a LIMIT that the planner cannot
# see would cost it the index.
STEPS: Final = (20, 30, 40, 60, 100, 150, 250, 500, 1_000, 2_500, 4_000)

_CONDITIONS: Final = {
    "metadata": "m.metadata @> {}::jsonb",
    "importance_from": "m.importance_score >= {}::float8",
    "importance_to": "m.importance_score <= {}::float8",
    "created_from": "m.created_at >= {}::timestamptz",
    "created_to": "m.created_at <= {}::timestamptz",
}
FILTERS: Final = tuple(_CONDITIONS)
# The same for candidates from the search indexes: in a form that no other index answers. Else the planner, which does
# not see the values, takes any filter for a narrow one, and compares all that pass it.
_WALKED: Final = {
    "m.metadata": "coalesce(m.metadata, '{}')",
    "m.importance_score": "(m.importance_score + 0)",
    "m.created_at": "(m.created_at + interval '0')",
}
SHARES: Final = ("semantic", "text", "temporal", "importance", "access_frequency")


class Statement(NamedTuple):
    """SQL, and what its parameters $1, $2, ... mean: names from FILTERS, SHARES and `searches.Searches`."""

    sql: str
    parameters: tuple[str, ...]


class Shape(NamedTuple):
    """What of a query is part of the statement's text, as opposed to its parameters."""

    dimension: int
    tier: str | None
    filters: tuple[str, ...]  # which of FILTERS there are
    with_metadata: bool
    nearest: int  # candidates by meaning, or by age; one of STEPS
    worded: int  # candidates by words; one of STEPS
    semantic: bool  # there is a vector
    text: bool  # there are words
    threshold: bool
    facets: bool
    explained: bool
    method: str  # "given" ids; "index"; "gated": one by one if they are few; "rows": one by one; "exact": all, ranked


@lru_cache(maxsize=1_024)
def statement(shape: Shape) -> Statement:
    """The statement for a shape; rows: `rows.FIELDS`, score, distance, total, complete; facets, SHARES if wanted."""
    builder = _Builder(shape)
    return Statement(builder.sql(), tuple(builder.parameters))


class _Builder:
    """Puts one statement together; parameters are numbered as they are first used."""

    def __init__(self, shape: Shape) -> None:
        self.parameters: list[str] = []
        self._shape = shape
        self._narrow = _NARROW if shape.text else _NARROW_BY_MEANING
        self._where = self._conditions()
        self._labels = self._walked = ""
        if "metadata" in shape.filters:
            labels = f"memory_labels({self._parameter('metadata')}::jsonb)"
            self._labels = f" AND memory_keys(m.terms, m.metadata) @> {labels}"
        self._walked = self._where
        for column, hidden in _WALKED.items():
            self._walked = self._walked.replace(f"{column} ", f"{hidden} ")
        self._bits = self._words = self._vector = ""
        if shape.semantic:
            self._vector = f"{self._parameter('vector')}::halfvec"
            self._bits = f"(m.code <~> binary_quantize({self._vector})::bit({shape.dimension}))"
        if shape.text:
            self._words = f"(m.terms <#> {self._parameter('weights')}::sparsevec)"
        orders = {"bits": self._bits, "words": self._words}
        self._orders = {name: by for name, by in orders.items() if by} or {"age": f"({self._now()} - m.created_at)"}

    def sql(self) -> str:
        shape = self._shape
        complete = "true" if shape.method in {"rows", "exact"} else "false"
        if shape.method == "gated":
            complete = f"((SELECT count(*) FROM few) <= {self._narrow})"
        steps = self._candidates(complete)
        steps += [f"scored AS MATERIALIZED ({self._scored()})", f"ranked AS MATERIALIZED ({self._ranked()})"]
        if shape.facets:
            steps.append(_FACETS)
        fields = FIELDS if shape.with_metadata else FIELDS.replace("m.metadata", "NULL::text AS metadata")
        page = f"LIMIT {self._parameter('limit')} OFFSET {self._parameter('offset')}"
        return f"""
WITH {", ".join(steps)}
SELECT {fields}, r.score, r.distance, r.total, {complete} AS complete
       {", (SELECT body FROM facets) AS facets" if shape.facets else ""}
       {"".join(f", r.{share}" for share in SHARES) if shape.explained else ""}
FROM (SELECT * FROM ranked ORDER BY score DESC, id {page}) r
JOIN memories m ON m.id = r.id {ACCESS}
ORDER BY r.score DESC, m.id"""

    def _parameter(self, name: str) -> str:
        if name not in self.parameters:
            self.parameters.append(name)
        return f"${self.parameters.index(name) + 1}"

    def _now(self) -> str:
        return f"{self._parameter('now')}::timestamptz"

    def _conditions(self) -> str:
        conditions = [LIVE]
        if self._shape.tier:
            # Literal: a plan made once for every value of a parameter could not know how rare a tier is.
            conditions.append(f"m.tier = '{self._shape.tier}'")
        conditions += [_CONDITIONS[name].format(self._parameter(name)) for name in self._shape.filters]
        return " AND ".join(conditions)

    def _candidates(self, complete: str) -> list[str]:
        method = self._shape.method
        if method == "given":
            return [f"candidates AS MATERIALIZED (SELECT unnest({self._parameter('ids')}::uuid[]) AS id)"]
        if method == "exact":
            return [f"candidates AS MATERIALIZED (SELECT m.id FROM memories m WHERE {self._where})"]
        steps = [f"fresh AS MATERIALIZED ({self._compared('NOT m.indexed')})"]
        if method == "gated":
            # Without a filter any order does; with one, an order would cost the planner the filter's index.
            order = "" if self._shape.tier or self._shape.filters else "ORDER BY m.id"
            steps.append(f"few AS MATERIALIZED ({self._compared('m.indexed')} {order} LIMIT {self._narrow + 1})")
        elif method == "rows":
            steps.append(f"few AS MATERIALIZED ({self._compared('m.indexed')})")
        parts = [part for order in self._orders for part in self._parts(order, complete)]
        return [*steps, f"candidates AS MATERIALIZED ({' UNION '.join(parts)})"]

    def _compared(self, where: str) -> str:
        """Rows with what they are ordered by."""
        chosen = ", ".join(f"{by} AS {order}" for order, by in self._orders.items())
        labels = self._labels if where == "m.indexed" else ""
        return f"SELECT m.id, {chosen} FROM memories m WHERE {where} AND {self._where}{labels}"

    def _parts(self, order: str, complete: str) -> list[str]:
        """Candidates by one order: from what is not indexed, from the few that pass the filters, from the index."""
        method = self._shape.method
        limit = self._shape.worded if order == "words" else self._shape.nearest
        # A row without any of the words has the product 0, and is no candidate by words.
        found = " AND words < 0" if order == "words" else ""
        parts = [f"(SELECT id FROM fresh WHERE true{found} ORDER BY {order} LIMIT {limit})"]
        if method in {"gated", "rows"}:
            parts.append(f"(SELECT id FROM few WHERE {complete}{found} ORDER BY {order} LIMIT {limit})")
        if method != "rows":
            among = f"m.indexed AND {self._walked}"
            if method == "gated":
                among = f"NOT {complete} AND {among}"
            if order == "words":
                among += f" AND memory_keys(m.terms, m.metadata) && {self._parameter('rare')}::integer[]{self._labels}"
            by = "m.created_at DESC" if order == "age" else self._orders[order]
            parts.append(f"(SELECT m.id FROM memories m WHERE {among} ORDER BY {by} LIMIT {limit})")
        return parts

    def _scored(self) -> str:
        """The parts of the score, true for every candidate whichever way it was found."""
        distance, vectors = "NULL::float8", ""
        if self._vector:
            # A cold memory has no vector; the share of differing signs tells the angle (Charikar, "Similarity
            # estimation techniques from rounding algorithms", STOC 2002).
            angle = f"pi() * {self._bits} / {self._shape.dimension}"
            distance = f"coalesce(v.embedding <=> {self._vector}, 1 - cos({angle}))"
            vectors = "LEFT JOIN memory_vectors v ON v.id = m.id"
        words = f"coalesce(greatest(-{self._words}, 0), 0)" if self._words else "0::float8"
        # Whoever gave the ids may not have heard of the last change.
        filters = f" WHERE {self._where}" if self._shape.method == "given" else ""
        # Of so old a memory nothing is left anyhow; and PostgreSQL makes an error of a number too small to hold.
        days = f"least(greatest(extract(epoch FROM {self._now()} - m.created_at)::float8, 0) / 86400, 3000)"
        return f"""
    SELECT m.id, {distance} AS distance, {words} AS words, power(0.5, {days} / {HALF_LIFE_DAYS}) AS temporal,
           CASE WHEN m.importance_score > 1e-9 THEN m.importance_score ELSE 0 END AS importance,
           coalesce(a.access_count, 0)::float8 / (coalesce(a.access_count, 0) + {HALF_ACCESSES}) AS access_frequency
    FROM candidates c JOIN memories m ON m.id = c.id {vectors} {ACCESS}{filters}"""

    def _ranked(self) -> str:
        shares = " + ".join(f"{self._parameter(name)}::float8 * {name}" for name in SHARES)
        kept = "true"
        if self._words and not self._vector:
            kept = "text > 0"  # by words alone, who has none of them is not found
        if self._shape.threshold:
            least = f"{self._parameter('threshold')}::float8"
            kept += f" AND distance <= 1 - {least}" if self._vector else f" AND score >= {least}"
        return f"""
    SELECT *, count(*) OVER () AS total FROM (
        SELECT *, {shares} AS score FROM (
            SELECT id, distance, coalesce(1 - distance, 0) AS semantic,
                   words / greatest(max(words) OVER (), 1e-9) AS text, temporal, importance, access_frequency
            FROM scored) parts) sums WHERE {kept}"""


# The ten most frequent values of each key.
_FACETS: Final = """
facets AS (SELECT jsonb_build_object('tier', (
        SELECT coalesce(jsonb_object_agg(initcap(tier), n), '{}') FROM (
            SELECT m.tier::text AS tier, count(*) AS n FROM ranked JOIN memories m USING (id) GROUP BY 1) AS tiers
    ), 'metadata', (
        SELECT coalesce(jsonb_object_agg(key, counts), '{}') FROM (
            SELECT key, jsonb_object_agg(value, n) AS counts FROM (
                SELECT e.key, e.value #>> '{}' AS value, count(*) AS n,
                       row_number() OVER (PARTITION BY e.key ORDER BY count(*) DESC, e.value #>> '{}') AS place
                FROM ranked JOIN memories m USING (id), jsonb_each(m.metadata) AS e
                WHERE jsonb_typeof(e.value) IN ('string', 'number', 'boolean') GROUP BY 1, 2) AS counted
            WHERE place <= 10 GROUP BY key) AS keys
    ))::text AS body)"""
