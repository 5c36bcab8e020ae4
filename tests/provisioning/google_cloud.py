"""As much of Google Cloud as makes buckets ring: the storage API's notifications over HTTP, Pub/Sub over gRPC.

The storage server that the other tests use knows no notifications and no grants. Here everything is kept as Google's
own clients send it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
from google import pubsub_v1 as api
from google.iam.v1 import iam_policy_pb2_grpc, policy_pb2

from sandbox.servers.pubsub.server import PubSubServer, pubsub_server

AGENT = "service-1234567890@gs-project-accounts.iam.gserviceaccount.com"
PROJECT_NUMBER = "1234567890"


@dataclass
class GoogleCloud:
    """What was set, and what is refused."""

    queues: PubSubServer
    endpoint: str = ""
    pubsub: str = ""
    """Address of Pub/Sub, as a [[queue]] names an endpoint."""
    buckets: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By bucket: `notifications` and `policy`, as the REST interface has them."""
    policies: dict[str, policy_pb2.Policy] = field(default_factory=dict)
    """Of topics and subscriptions, by path."""
    refusals: list[tuple[int, str]] = field(default_factory=list)
    """Statuses and messages for the next notifications that somebody wants to create."""
    writes: int = 0
    """Of everything but new topics and subscriptions."""

    def new_bucket(self, name: str) -> None:
        self.buckets[name] = {"notifications": [], "policy": {"version": 1, "bindings": [], "etag": "CAE="}}

    def subscription(self, path: str) -> api.Subscription:
        return self.queues.broker.get_subscription(api.GetSubscriptionRequest(subscription=path))


def _storage(cloud: GoogleCloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self, status: int, body: Any) -> None:
            content = json.dumps(body if status < 400 else {"error": {"code": status, "message": body}}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _handle(self) -> None:
            url = urlsplit(self.path)
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            self._answer(*self._done(url.path.removeprefix("/storage/v1/").split("/"), parse_qs(url.query), body))

        def _done(self, path: list[str], query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
            if path == ["projects", PROJECT_NUMBER, "serviceAccount"]:
                return 200, {"email_address": AGENT}
            if path[0] != "b" or path[1] not in cloud.buckets:
                return 404, f"nothing at {self.path}"
            bucket = cloud.buckets[path[1]]
            match self.command, path[2:]:
                case "GET", []:
                    return 200, {"name": path[1], "projectNumber": PROJECT_NUMBER}
                case "GET", ["notificationConfigs"]:
                    return 200, {"items": bucket["notifications"]}
                case "POST", ["notificationConfigs"]:
                    if cloud.refusals:
                        return cloud.refusals.pop(0)
                    cloud.writes += 1
                    made = body | {"id": str(len(bucket["notifications"]) + 1)}
                    bucket["notifications"].append(made)
                    return 200, made
                case "GET", ["iam"]:
                    assert query["optionsRequestedPolicyVersion"] == ["3"]
                    return 200, bucket["policy"]
                case "PUT", ["iam"]:
                    assert body["etag"] == bucket["policy"]["etag"]
                    cloud.writes += 1
                    bucket["policy"] = body
                    return 200, body
            return 405, f"{self.command} {self.path}"

        do_GET = do_POST = do_PUT = _handle

        def log_message(self, format: str, *values: Any) -> None:
            """Keep quiet."""

    return Handler


class _Rest(iam_policy_pb2_grpc.IAMPolicyServicer):
    """What the demo's Pub/Sub has no use for: grants, and changes of a subscription."""

    def __init__(self, cloud: GoogleCloud) -> None:
        self._cloud = cloud

    def UpdateSubscription(self, request: Any, context: grpc.ServicerContext) -> Any:
        kept = self._cloud.subscription(request.subscription.name)
        for path in request.update_mask.paths:
            setattr(kept, path, getattr(request.subscription, path))
        self._cloud.writes += 1
        return kept

    def GetIamPolicy(self, request: Any, context: grpc.ServicerContext) -> Any:
        assert request.options.requested_policy_version == 3
        return self._cloud.policies.setdefault(request.resource, policy_pb2.Policy(etag=b"1"))

    def SetIamPolicy(self, request: Any, context: grpc.ServicerContext) -> Any:
        assert request.policy.etag == b"1"
        self._cloud.policies[request.resource] = request.policy
        self._cloud.writes += 1
        return request.policy


class _PassedOn(grpc.GenericRpcHandler):
    """Everything else goes to the demo's Pub/Sub as it came."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        call = self._channel.unary_unary(details.method)

        def pass_on(request: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                return bytes(call(request, timeout=context.time_remaining()))
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
                raise

        return grpc.unary_unary_rpc_method_handler(pass_on)


@contextmanager
def google_cloud() -> Iterator[GoogleCloud]:
    """Start all servers on free ports."""
    with pubsub_server() as queues, grpc.insecure_channel(queues.host) as channel:
        cloud = GoogleCloud(queues)
        storage = ThreadingHTTPServer(("127.0.0.1", 0), _storage(cloud))
        cloud.endpoint = f"http://127.0.0.1:{storage.server_address[1]}"
        thread = threading.Thread(target=storage.serve_forever, args=(0.02,))
        rest = _Rest(cloud)
        update = grpc.unary_unary_rpc_method_handler(
            rest.UpdateSubscription, api.UpdateSubscriptionRequest.deserialize, api.Subscription.serialize
        )
        more = grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", {"UpdateSubscription": update})
        pubsub = grpc.server(ThreadPoolExecutor(4))
        iam_policy_pb2_grpc.add_IAMPolicyServicer_to_server(rest, pubsub)
        pubsub.add_generic_rpc_handlers((more, _PassedOn(channel)))
        cloud.pubsub = f"http://127.0.0.1:{pubsub.add_insecure_port('127.0.0.1:0')}"
        pubsub.start()
        thread.start()
        try:
            yield cloud
        finally:
            storage.shutdown()
            storage.server_close()
            thread.join()
            pubsub.stop(None).wait()
