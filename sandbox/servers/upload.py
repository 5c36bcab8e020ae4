"""Filling the local servers with the invented world."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import boto3
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from sandbox.dataset import Bucket, World, WorldObject
from sandbox.servers.gcs import GcsServer
from sandbox.servers.s3 import S3Server

_THREADS = 8

Put = Callable[[WorldObject], None]
"""Puts an object into its own bucket; any thread may call it."""


@contextmanager
def uploads(buckets: Sequence[Bucket], s3: S3Server, gcs: GcsServer) -> Iterator[Put]:
    """Create the buckets, and give what puts objects into them."""
    session = boto3.Session(s3.access_key, s3.secret_key, region_name=s3.region)
    google = storage.Client(
        project="demo", credentials=AnonymousCredentials(), client_options={"api_endpoint": gcs.endpoint}
    )
    with closing(session.client("s3", endpoint_url=s3.endpoint)) as amazon, closing(google):
        places = {}
        for bucket in buckets:
            if bucket.scheme == "s3":
                amazon.create_bucket(Bucket=bucket.name)
            else:
                places[bucket.name] = google.create_bucket(bucket.name)

        def put(thing: WorldObject) -> None:
            scheme, _, rest = thing.uri.partition("://")
            name, _, key = rest.partition("/")
            if scheme == "s3":
                amazon.put_object(Bucket=name, Key=key, Body=thing.content)
            else:
                places[name].blob(key).upload_from_string(thing.content)

        yield put


def fill(world: World, s3: S3Server, gcs: GcsServer, on_object: Callable[[], object] = lambda: None) -> None:
    """Create the world's buckets and put every object into its own."""
    stored = {bucket.source for bucket in world.buckets}
    with uploads(world.buckets, s3, gcs) as put, ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(put, [thing for thing in world.objects if thing.source in stored]):
            on_object()
