"""The Pub/Sub emulator on a port, in threads of this process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
from google import pubsub_v1 as api
from google.protobuf import empty_pb2
from grpc_status import rpc_status

from sandbox.servers.pubsub.broker import Broker, CallError

HOST = "127.0.0.1"
_THREADS = 32


def _handlers(broker: Broker) -> list[grpc.GenericRpcHandler]:
    def method(
        call: Callable[..., Any], request_type: Any, response_type: Any, *, waits: bool = False
    ) -> grpc.RpcMethodHandler:
        def serve(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return call(request, context.is_active) if waits else call(request)
            except CallError as error:
                return context.abort_with_status(rpc_status.to_status(error.status))

        encode = response_type.serialize if response_type else empty_pb2.Empty.SerializeToString
        return grpc.unary_unary_rpc_method_handler(serve, request_type.deserialize, encode)

    publisher = {
        "CreateTopic": method(broker.create_topic, api.Topic, api.Topic),
        "GetTopic": method(broker.get_topic, api.GetTopicRequest, api.Topic),
        "Publish": method(broker.publish, api.PublishRequest, api.PublishResponse),
    }
    subscriber = {
        "CreateSubscription": method(broker.create_subscription, api.Subscription, api.Subscription),
        "GetSubscription": method(broker.get_subscription, api.GetSubscriptionRequest, api.Subscription),
        "DeleteSubscription": method(broker.delete_subscription, api.DeleteSubscriptionRequest, None),
        "Pull": method(broker.pull, api.PullRequest, api.PullResponse, waits=True),
        "Acknowledge": method(broker.acknowledge, api.AcknowledgeRequest, None),
        "ModifyAckDeadline": method(broker.modify_ack_deadline, api.ModifyAckDeadlineRequest, None),
    }
    return [
        grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", publisher),
        grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", subscriber),
    ]


@dataclass(frozen=True, slots=True)
class PubSubServer:
    """A running emulator."""

    host: str
    """Host and port, in the form of `PUBSUB_EMULATOR_HOST`."""
    broker: Broker

    @property
    def endpoint(self) -> str:
        """URL for the settings of a queue."""
        return f"http://{self.host}"

    def subscribe(self, url: str, topic: str, **settings: Any) -> None:
        """Create the subscription `pubsub://project/subscription`, and its topic if it does not exist."""
        project, _, name = url.removeprefix("pubsub://").partition("/")
        topic = f"projects/{project}/topics/{topic}"
        with contextlib.suppress(CallError):
            self.broker.create_topic(api.Topic(name=topic))
        name = f"projects/{project}/subscriptions/{name}"
        self.broker.create_subscription(api.Subscription(name=name, topic=topic, **settings))

    def unsubscribe(self, url: str) -> None:
        """Delete the subscription."""
        project, _, name = url.removeprefix("pubsub://").partition("/")
        name = f"projects/{project}/subscriptions/{name}"
        self.broker.delete_subscription(api.DeleteSubscriptionRequest(subscription=name))

    def publish(self, topic: str, bodies: Sequence[bytes], **attributes: str) -> None:
        """Publish these messages on `projects/…/topics/…`."""
        messages = [api.PubsubMessage(data=body, attributes=attributes) for body in bodies]
        self.broker.publish(api.PublishRequest(topic=topic, messages=messages))


@contextlib.contextmanager
def pubsub_server(host: str = HOST, port: int = 0) -> Iterator[PubSubServer]:
    """Serve in threads of this process until the block ends, by default on a free port."""
    broker = Broker()
    # Without the first option two servers could share one port, and each would get half of the calls.
    options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(_THREADS), handlers=_handlers(broker), options=options)
    bound = server.add_insecure_port(f"{host}:{port}")
    server.start()
    try:
        yield PubSubServer(f"{host}:{bound}", broker)
    finally:
        server.stop(grace=None).wait()
