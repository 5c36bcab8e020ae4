"""Bells as one JSON document each: every part in the form that the cloud's own interface takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from roomledger.cloud import aws, aws_policies, google
from roomledger.cloud.aws import S3Bell, Via
from roomledger.cloud.google import GcsBell


def s3(bell: S3Bell, *, settings: str, notes: Sequence[str]) -> dict[str, Any]:
    """Give what `roomledger bell s3` prints; its help says what stands under which key."""
    told: dict[str, Any] = {
        "queue": {"name": bell.queue, "arn": bell.queue_arn, "attributes": aws.QUEUE_ATTRIBUTES},
        "queue_policy": aws_policies.queue_policy(bell),
    }
    if bell.via is Via.SNS:
        told["topic"] = {"name": bell.topic, "arn": bell.topic_arn}
        told["topic_policy"] = aws_policies.topic_policy(bell)
        told["subscription"] = aws.subscription(bell)
    if bell.via is Via.EVENTBRIDGE:
        told["rules"] = [
            {"name": aws.name_of(ring), "event_pattern": aws.event_pattern(ring), "targets": [aws.target(bell)]}
            for ring in bell.rings
        ]
    told["notifications"] = {bucket: aws.notifications(bell, bucket) for bucket in bell.buckets}
    return told | {"reader_policy": aws_policies.reader_policy(bell), "settings": settings, "notes": list(notes)}


def gcs(bell: GcsBell, agents: Mapping[str, str], *, settings: str, notes: Sequence[str]) -> dict[str, Any]:
    """Give what `roomledger bell gcs` prints; its help says what stands under which key."""
    return {
        "topic": {"name": bell.topic_path},
        "subscription": google.subscription(bell),
        "notifications": {
            bucket: [google.notification(bell, ring) for ring in bell.rings if ring.bucket == bucket]
            for bucket in bell.buckets
        },
        "grants": google.grants(bell, agents),
        "settings": settings,
        "notes": list(notes),
    }
