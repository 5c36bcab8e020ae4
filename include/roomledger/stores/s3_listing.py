"""Parses a page of an S3 listing: botocore's own parser spends most of the time of a long listing on dates.

It runs before that parser, takes the objects out of the response and leaves the rest to botocore. It also leaves it any
response that it cannot parse, so that it can make a listing faster but not wrong.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from xml.etree import ElementTree

EVENT = "before-parse.s3.ListObjectsV2"
"""The event of a boto3 client for which `parse_objects` is registered."""


def parse_objects(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Move the objects of a response, in botocore's shape, to what botocore adds to its own result."""
    if response_dict["status_code"] != 200:
        return
    try:
        page = ElementTree.fromstring(response_dict["body"])  # noqa: S314  # botocore does the same
        namespace = page.tag.removesuffix("ListBucketResult")
        found = [entry for entry in page if entry.tag == f"{namespace}Contents"]
        objects = [_object({field.tag.removeprefix(namespace): field.text or "" for field in entry}) for entry in found]
    except (ElementTree.ParseError, KeyError, ValueError):
        return
    if not objects:
        return
    page[:] = [entry for entry in page if entry.tag != f"{namespace}Contents"]
    response_dict["body"] = ElementTree.tostring(page)
    customized_response_dict["Contents"] = objects


def _object(fields: dict[str, str]) -> dict[str, Any]:
    return {
        "Key": fields["Key"],
        "ETag": fields["ETag"],
        "Size": int(fields["Size"]),
        "LastModified": datetime.fromisoformat(fields["LastModified"]),
    }
