"""S3 and S3-compatible stores: keys, ETags and sizes from listings, bytes from GETs.

boto3 lists and obstore reads. obstore would list faster, but it trims slashes, so that the keys `a`, `/a` and `a/` look
the same, and one key that it cannot name ends its whole listing. It reads a small object with a fifth of boto3's work,
so boto3 reads only the keys that obstore cannot name. Likewise `stat` uses obstore, and the listing where that fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

import boto3  # type: ignore[import-untyped]  # ships no types
import obstore
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # ships no types
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.store import S3Store

from roomledger import stores
from roomledger.model import Observation
from roomledger.stores import aws_client, s3_errors, s3_listing, transfer

if TYPE_CHECKING:
    from obstore import GetOptions

# boto3 returns credentials that are valid for 10 minutes at least, and obstore renews them 5 minutes before the time
# that the provider states: the provider's default, 30 minutes, outlives the credentials of an assumed role.
_CREDENTIALS_TTL = timedelta(minutes=9)


class S3:
    """The objects of one bucket below a prefix."""

    def __init__(self, url: str, access: stores.Access) -> None:
        self.url = url.rstrip("/")
        _, self._bucket, prefix = stores.split_url(self.url)
        self._prefix = prefix + "/" if prefix else ""
        session = access.session or boto3.Session()
        aws_client.require_credentials(session, self.url)
        config = aws_client.client_config(access.endpoint)

        def connect(region: str | None) -> Any:
            try:
                return session.client("s3", region_name=region, endpoint_url=access.endpoint, config=config)
            except (BotoCoreError, ValueError) as error:
                raise stores.StoreError(
                    f"{self.url} cannot be opened: {transfer.summary(error)}: check endpoint and region of the source, "
                    "and those of the AWS profile or environment"
                ) from error

        self._region = access.region or session.region_name or _region_of(self._bucket, connect(None))
        self._client = connect(self._region)
        self._client.meta.events.register(s3_listing.EVENT, s3_listing.parse_objects)
        self._endpoint: str = self._client.meta.endpoint_url
        self.objects = S3Store(
            self._bucket,
            credential_provider=Boto3CredentialProvider(session, ttl=_CREDENTIALS_TTL),
            aws_endpoint_url_s3=self._endpoint,  # a variable of the environment overrides a plain `endpoint`
            region=self._region,
            virtual_hosted_style_request=False,
            client_options=transfer.http_options(self._endpoint),
            retry_config=transfer.retries(),
        )

    def list(self) -> Iterator[list[Observation]]:
        """See `Store.list`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix, PaginationConfig={"PageSize": stores.PAGE_OBJECTS}
        )
        try:
            for page in pages:
                yield [self._observed(entry) for entry in page.get("Contents", ())]
        except s3_errors.ERRORS as error:
            raise self._explain(error, self.url, "list") from error

    def stat(self, uri: str) -> Observation | None:
        """See `Store.stat`. The result has no VersionId, like that of a listing."""
        key = stores.key_of(uri, self)
        if transfer.is_plain(key) and (seen := self._head(key, uri)):
            return seen
        try:
            page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1)
        except s3_errors.ERRORS as error:
            raise self._explain(error, uri, "list") from error
        return next((self._observed(entry) for entry in page.get("Contents", ()) if entry["Key"] == key), None)

    def read(self, seen: Observation) -> Iterator[bytes]:
        """See `Store.read`."""
        key = stores.key_of(seen.uri, self)
        pieces = self._pieces if transfer.is_plain(key) else self._pieces_of_odd_key
        try:
            yield from transfer.check_size(pieces(key, seen), seen)
        except s3_errors.ERRORS as error:
            if s3_errors.code_of(error) in s3_errors.ABSENT:
                raise self._explain_absent(key, seen) from error
            raise self._explain(error, seen.uri, "read") from error

    def _observed(self, entry: dict[str, Any]) -> Observation:
        tag: str = entry["ETag"].strip('"')
        # Some stores list fractions of a second, which their other responses and their events do not have.
        modified_at = entry["LastModified"].astimezone(UTC).replace(microsecond=0)
        return Observation(f"s3://{self._bucket}/{entry['Key']}", tag, modified_at, entry["Size"], tag)

    def _head(self, key: str, uri: str) -> Observation | None:
        try:
            found = obstore.head(self.objects, key)
        except s3_errors.ERRORS:
            # A response to HEAD does not state whether the object, the bucket or a permission is missing.
            return None
        tag = (found["e_tag"] or "").strip('"')
        return Observation(uri, tag, found["last_modified"], found["size"], tag) if tag else None

    def _pieces(self, key: str, seen: Observation) -> Iterator[bytes]:
        options: GetOptions = {"if_match": f'"{seen.version}"'}
        if seen.version_id is not None:
            options["version"] = seen.version_id
        found = obstore.get(self.objects, key, options=options)
        _check(found.meta["e_tag"], seen)
        yield from transfer.pieces(found, seen)

    def _pieces_of_odd_key(self, key: str, seen: Observation) -> Iterator[bytes]:
        version = {"VersionId": seen.version_id} if seen.version_id else {}
        found = self._client.get_object(Bucket=self._bucket, Key=key, IfMatch=f'"{seen.version}"', **version)
        with closing(found["Body"]) as body:
            _check(found["ETag"], seen)
            yield from body.iter_chunks(stores.PIECE_BYTES)

    def _explain_absent(self, key: str, seen: Observation) -> Exception:
        """Explain a missing object: some stores do not report that the bucket is missing."""
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except s3_errors.ERRORS as error:
            return self._explain(error, self.url, "list")
        if seen.version_id is not None:
            try:
                self._client.head_object(Bucket=self._bucket, Key=key)
            except s3_errors.ERRORS as error:
                if s3_errors.code_of(error) != "404":
                    return self._explain(error, seen.uri, "read")
            else:
                return stores.ObjectChanged(f"{seen.uri} has another version now than {seen.version_id}")
        return stores.ObjectMissing(f"{seen.uri} no longer exists")

    def _explain(self, error: Exception, uri: str, verb: str) -> Exception:
        return s3_errors.explain(
            error, verb=verb, uri=uri, bucket=self._bucket, endpoint=self._endpoint, region=self._region
        )


def _check(tag: str | None, seen: Observation) -> None:
    """Raise `ObjectChanged` for another version: some S3-compatible stores ignore If-Match."""
    if tag is None or tag.strip('"') != seen.version:
        raise stores.ObjectChanged(f"{seen.uri} has another version now than {seen.version}")


def _region_of(bucket: str, client: Any) -> str:
    with closing(client):
        try:
            response = client.head_bucket(Bucket=bucket)
        except ClientError as error:
            response = error.response  # an error response has the region, too
        except BotoCoreError:
            response = {}  # the first `list` or `read` reports the problem
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("x-amz-bucket-region", "us-east-1"))
