"""Whether the two sides of a gate can be compared at all: what failed, and in what else they differ."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from harness.core.gate import SIDES, Block, GateRecord, Side
from harness.core.recorder import Tally

ERRORS: Final = 0.001
"""Share of one operation's requests, over all blocks, above which failures say more than latencies do."""
ERRORS_IN_BLOCK: Final = 0.01
"""The same within one block: a spell of failures is not diluted by the blocks without."""


def errors_of(record: GateRecord, *, certain: bool = False) -> list[str]:
    """A sentence for each side, block and operation that answered with errors, or not at all.

    A service that fails fast is not a fast one, and one that fails is not merely slower: its gate can neither pass
    nor name a ratio.

    Args:
        record: with the pairs so far.
        certain: only what will still be too much when all pairs of the last look are there, even without any more.
    """
    share = min(len(record.counted) / record.rules.looks[-1], 1.0) if certain else 1.0
    blocks = [block for pair in record.counted for block in pair.blocks]
    ordered = sorted(blocks, key=lambda block: (SIDES.index(block.side), block.scenario))
    return [
        told
        for (side, scenario), same in groupby(ordered, key=lambda block: (block.side, block.scenario))
        for told in _failures(side, scenario, list(same), share)
    ]


def differences(record: GateRecord) -> list[str]:
    """A sentence for each thing that differs between the sides and may make the difference by itself.

    What is unknown of either side is no complaint.
    """
    return list(_differing(record, (("python", "Python"), ("schema", "database schema"))))


def remarks(record: GateRecord) -> list[str]:
    """What a reader should know of the sides, and no verdict depends on."""
    told = list(_differing(record, (("environment", "pinned dependencies"),)))
    base, head = (record.sides.get(side) for side in SIDES)
    if base and head and base.revision and base.revision == head.revision and not base.revision.endswith("+"):
        told.append(f"base and head are the same revision, {base.revision[:12]}: whatever differs is noise")
    return told


def _differing(record: GateRecord, fields: tuple[tuple[str, str], ...]) -> Iterator[str]:
    if not all(side in record.sides for side in SIDES):
        return
    for field, name in fields:
        base, head = (str(getattr(record.sides[side], field)) for side in SIDES)
        if base and head and base != head:
            yield f"base and head have different {name}: {base[:40]} and {head[:40]}"


def _failures(side: Side, scenario: str, blocks: list[Block], share: float) -> Iterator[str]:
    """By these blocks, which are that share of all that are to come."""
    for operation in dict.fromkeys(name for block in blocks for name in block.tallies):
        tallies = [block.tallies[operation] for block in blocks if operation in block.tallies]
        failed, sent = sum(tally.error for tally in tallies), sum(tally.sent for tally in tallies)
        worst = max(_share(tally) for tally in tallies)
        if sent and (failed * share / sent > ERRORS or worst > ERRORS_IN_BLOCK):
            kinds = sum((Counter(block.errors.get(operation, {})) for block in blocks), Counter[str]())
            commonest = "".join(f", most often {kind} ({count:,})" for kind, count in kinds.most_common(1))
            yield (
                f"{side} failed {failed:,} of {sent:,} requests of {operation} in {scenario} ({failed / sent:.2%}; "
                f"{worst:.1%} in its worst block){commonest}"
            )
        # One spell may be the machine's: what is left without the worst block is the service's.
        hung = [max(tally.censored, 0) for tally in tallies]
        if sent and (sum(hung) - max(hung)) * share / sent > ERRORS:
            blocks_with = sum(count > 0 for count in hung)
            yield (
                f"{side} did not answer {sum(hung):,} of {sent:,} requests of {operation} in {scenario} at all "
                f"({sum(hung) / sent:.2%}, in {blocks_with} blocks)"
            )


def _share(tally: Tally) -> float:
    return tally.error / tally.sent if tally.sent else 0.0
