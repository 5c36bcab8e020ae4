"""`python -m sandbox.dataset`: summarise the dataset of a seed."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping

from sandbox.dataset import Dataset, digest, generate


def main() -> None:
    """Parse the command line and print the summary."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.dataset", description="Generate two invented weeks of two customers."
    )
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--sessions", type=int, default=220)
    parser.add_argument("--summary", action="store_true", help="show the contents and the expected counts after a load")
    options = parser.parse_args()
    dataset = generate(options.seed, options.sessions)
    megabytes = sum(len(obj.content) for obj in dataset.objects) / 1e6
    print(f"{len(dataset.sessions)} sessions, {len(dataset.objects)} objects, {megabytes:.1f} MB")
    print(f"sha256 {digest(dataset.objects)}")
    if options.summary:
        _print_summary(dataset)


def _print_summary(dataset: Dataset) -> None:
    expected = dataset.expected
    urls = {bucket.source: bucket.url for bucket in dataset.buckets}
    urls |= {workspace.source: workspace.url for workspace in dataset.workspaces}
    for source, url in urls.items():
        outcomes = ", ".join(f"{count} {name}" for name, count in sorted(expected.objects[source].items()))
        print(f"{source:<14} {url:<42} {outcomes}")
    types = Counter(obj.asset_type or "not an asset" for obj in dataset.objects)
    tables: dict[str, Mapping[str, int]] = {
        "objects by type": types,
        "rows": expected.rows,
        "refusals": expected.refusals,
        "ignored objects": expected.ignored,
        "objects by session evidence": expected.evidence,
        "objects without a session": expected.unresolved,
        "repeated messages": {"in the same file": expected.duplicates, "by a second recorder": expected.recorded_twice},
    }
    for title, counts in tables.items():
        print(f"\n{title}")
        for name, count in sorted(counts.items()):
            print(f"  {name:<24} {count:>7}")


if __name__ == "__main__":
    main()
