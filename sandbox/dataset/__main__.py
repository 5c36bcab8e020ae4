"""`python -m sandbox.dataset`: what is in the world of a seed."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping

from sandbox.dataset import World, digest, generate


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.dataset", description="Two invented customers, a fortnight long."
    )
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--sessions", type=int, default=220)
    parser.add_argument("--summary", action="store_true", help="say what is in it and what a load of it must show")
    options = parser.parse_args()
    world = generate(options.seed, options.sessions)
    megabytes = sum(len(thing.content) for thing in world.objects) / 1e6
    print(f"{len(world.sessions)} sessions, {len(world.objects)} objects, {megabytes:.1f} MB")
    print(f"sha256 {digest(world.objects)}")
    if options.summary:
        _summarise(world)


def _summarise(world: World) -> None:
    expected = world.expected
    addresses = {bucket.source: bucket.url for bucket in world.buckets}
    addresses |= {workspace.source: workspace.url for workspace in world.workspaces}
    for source, url in addresses.items():
        outcomes = ", ".join(f"{count} {name}" for name, count in sorted(expected.objects[source].items()))
        print(f"{source:<14} {url:<42} {outcomes}")
    types = Counter(thing.asset_type or "no asset" for thing in world.objects)
    tables: dict[str, Mapping[str, int]] = {
        "objects by type": types,
        "rows": expected.rows,
        "refusals": expected.refusals,
        "ignored objects": expected.ignored,
        "objects by what gives them their session": expected.evidence,
        "objects without a session": expected.unplaced,
        "repeated messages": {"in one file": expected.duplicates, "by a second recorder": expected.recorded_twice},
    }
    for title, counts in tables.items():
        print(f"\n{title}")
        for name, count in sorted(counts.items()):
            print(f"  {name:<24} {count:>7}")


if __name__ == "__main__":
    main()
