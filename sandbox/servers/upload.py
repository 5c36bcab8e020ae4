"""Upload the objects of the dataset to the local servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import boto3
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from sandbox.dataset import Bucket, Dataset, DatasetObject
from sandbox.servers.gcs import GcsServer
from sandbox.servers.s3 import S3Server

_THREADS = 8

Put = Callable[[DatasetObject], None]
"""Uploads an object to its bucket; several threads may call it."""


@contextmanager
def create_buckets(buckets: Sequence[Bucket], s3: S3Server, gcs: GcsServer) -> Iterator[Put]:
    """Create the buckets, and yield a function that uploads objects to them."""
    session = boto3.Session(s3.access_key, s3.secret_key, region_name=s3.region)
    google = storage.Client(
        project="demo", credentials=AnonymousCredentials(), client_options={"api_endpoint": gcs.endpoint}
    )
    with closing(session.client("s3", endpoint_url=s3.endpoint)) as amazon, closing(google):
        gcs_buckets = {}
        for bucket in buckets:
            if bucket.scheme == "s3":
                amazon.create_bucket(Bucket=bucket.name)
            else:
                gcs_buckets[bucket.name] = google.create_bucket(bucket.name)

        def put(obj: DatasetObject) -> None:
            scheme, _, rest = obj.uri.partition("://")
            name, _, key = rest.partition("/")
            if scheme == "s3":
                amazon.put_object(Bucket=name, Key=key, Body=obj.content)
            else:
                gcs_buckets[name].blob(key).upload_from_string(obj.content)

        yield put


def upload_all(dataset: Dataset, s3: S3Server, gcs: GcsServer, on_object: Callable[[], object] = lambda: None) -> None:
    """Create the dataset's buckets and upload all their objects."""
    stored = {bucket.source for bucket in dataset.buckets}
    with create_buckets(dataset.buckets, s3, gcs) as put, ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(put, [obj for obj in dataset.objects if obj.source in stored]):
            on_object()
