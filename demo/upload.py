"""Filling the local servers with the invented world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import boto3
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from demo.servers import GcsServer, S3Server
from demo.world import Bucket, World, WorldObject

_THREADS = 8


def fill(world: World, s3: S3Server, gcs: GcsServer, on_object: Callable[[], object] = lambda: None) -> None:
    """Create the world's buckets and put every object into its own."""
    for bucket in world.buckets:
        objects = [thing for thing in world.objects if thing.source == bucket.source]
        (_fill_s3 if bucket.scheme == "s3" else _fill_gcs)(bucket, objects, s3, gcs, on_object)


def _fill_s3(
    bucket: Bucket, objects: Sequence[WorldObject], s3: S3Server, _: GcsServer, on_object: Callable[[], object]
) -> None:
    session = boto3.Session(s3.access_key, s3.secret_key, region_name=s3.region)
    with closing(session.client("s3", endpoint_url=s3.endpoint)) as client:
        client.create_bucket(Bucket=bucket.name)

        def put(thing: WorldObject) -> None:
            client.put_object(Bucket=bucket.name, Key=thing.uri.split("/", 3)[3], Body=thing.content)
            on_object()

        _each(put, objects)


def _fill_gcs(
    bucket: Bucket, objects: Sequence[WorldObject], _: S3Server, gcs: GcsServer, on_object: Callable[[], object]
) -> None:
    client = storage.Client(
        project="demo", credentials=AnonymousCredentials(), client_options={"api_endpoint": gcs.endpoint}
    )
    with closing(client):
        place = client.create_bucket(bucket.name)

        def put(thing: WorldObject) -> None:
            place.blob(thing.uri.split("/", 3)[3]).upload_from_string(thing.content)
            on_object()

        _each(put, objects)


def _each(put: Callable[[WorldObject], None], objects: Sequence[WorldObject]) -> None:
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(put, objects):
            pass
