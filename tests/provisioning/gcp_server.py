"""A simulator of the Google APIs that provisioning uses: bucket notifications over HTTP, Pub/Sub over gRPC.

The storage server of the other tests supports neither notifications nor grants. This one stores everything as Google's
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
    """The state of the project, and the errors to return."""

    queues: PubSubServer
    endpoint: str = ""
    pubsub: str = ""
    """Endpoint of Pub/Sub, as in a [[queue]]."""
    buckets: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By bucket: `notifications` and `policy`, in REST shapes."""
    policies: dict[str, policy_pb2.Policy] = field(default_factory=dict)
    """By path of the topic or subscription."""
    errors: list[tuple[int, str]] = field(default_factory=list)
    """Statuses and messages for the next requests to create a notification."""
    writes: int = 0
    """Write requests, except those that create topics and subscriptions."""

    def new_bucket(self, name: str) -> None:
        self.buckets[name] = {"notifications": [], "policy": {"version": 1, "bindings": [], "etag": "CAE="}}

    def subscription(self, path: str) -> api.Subscription:
        return self.queues.broker.get_subscription(api.GetSubscriptionRequest(subscription=path))


def _storage(cloud: GoogleCloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _send(self, status: int, body: Any) -> None:
            content = json.dumps(body if status < 400 else {"error": {"code": status, "message": body}}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _handle(self) -> None:
            url = urlsplit(self.path)
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            self._send(*self._respond(url.path.removeprefix("/storage/v1/").split("/"), parse_qs(url.query), body))

        def _respond(self, path: list[str], query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
            if path == ["projects", PROJECT_NUMBER, "serviceAccount"]:
                return 200, {"email_address": AGENT}
            if path[0] != "b" or path[1] not in cloud.buckets:
                return 404, f"not found: {self.path}"
            bucket = cloud.buckets[path[1]]
            match self.command, path[2:]:
                case "GET", []:
                    return 200, {"name": path[1], "projectNumber": PROJECT_NUMBER}
                case "GET", ["notificationConfigs"]:
                    return 200, {"items": bucket["notifications"]}
                case "POST", ["notificationConfigs"]:
                    if cloud.errors:
                        return cloud.errors.pop(0)
                    cloud.writes += 1
                    created = body | {"id": str(len(bucket["notifications"]) + 1)}
                    bucket["notifications"].append(created)
                    return 200, created
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
            """Print nothing."""

    return Handler


class _Extension(iam_policy_pb2_grpc.IAMPolicyServicer):
    """What the sandbox's Pub/Sub server does not support: grants, and updates of a subscription."""

    def __init__(self, cloud: GoogleCloud) -> None:
        self._cloud = cloud

    def UpdateSubscription(self, request: Any, context: grpc.ServicerContext) -> Any:
        subscription = self._cloud.subscription(request.subscription.name)
        for path in request.update_mask.paths:
            setattr(subscription, path, getattr(request.subscription, path))
        self._cloud.writes += 1
        return subscription

    def GetIamPolicy(self, request: Any, context: grpc.ServicerContext) -> Any:
        assert request.options.requested_policy_version == 3
        return self._cloud.policies.setdefault(request.resource, policy_pb2.Policy(etag=b"1"))

    def SetIamPolicy(self, request: Any, context: grpc.ServicerContext) -> Any:
        assert request.policy.etag == b"1"
        self._cloud.policies[request.resource] = request.policy
        self._cloud.writes += 1
        return request.policy


class _Forwarder(grpc.GenericRpcHandler):
    """Forwards everything else to the sandbox's Pub/Sub server unchanged."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        call = self._channel.unary_unary(details.method)

        def forward(request: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                return bytes(call(request, timeout=context.time_remaining()))
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
                raise

        return grpc.unary_unary_rpc_method_handler(forward)


@contextmanager
def google_cloud() -> Iterator[GoogleCloud]:
    """Start all servers on free ports."""
    with pubsub_server() as queues, grpc.insecure_channel(queues.host) as channel:
        cloud = GoogleCloud(queues)
        storage = ThreadingHTTPServer(("127.0.0.1", 0), _storage(cloud))
        cloud.endpoint = f"http://127.0.0.1:{storage.server_address[1]}"
        thread = threading.Thread(target=storage.serve_forever, args=(0.02,))
        extension = _Extension(cloud)
        update = grpc.unary_unary_rpc_method_handler(
            extension.UpdateSubscription, api.UpdateSubscriptionRequest.deserialize, api.Subscription.serialize
        )
        handlers = grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", {"UpdateSubscription": update})
        pubsub = grpc.server(ThreadPoolExecutor(4))
        iam_policy_pb2_grpc.add_IAMPolicyServicer_to_server(extension, pubsub)
        pubsub.add_generic_rpc_handlers((handlers, _Forwarder(channel)))
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
