"""The `roomledger notifications` commands: print or apply what makes a bucket notify a queue.

Exit codes as everywhere: 0 for success, 2 when the user can correct it, 1 for other failures.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Annotated

import typer

from roomledger import settings
from roomledger.cli.app import TOML, Config
from roomledger.cli.output import print_json, say
from roomledger.provisioning import Step
from roomledger.provisioning.aws import plan as aws_plan
from roomledger.provisioning.aws.plan import Via
from roomledger.provisioning.gcp import plan as gcp_plan
from roomledger.provisioning.selection import Selection, select

app = typer.Typer(
    name="notifications",
    help="Configure buckets to notify a queue of every new object, so that it is loaded within seconds.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

_Sources = Annotated[list[str], typer.Argument(metavar="SOURCE", help="Sources of the settings, all in this cloud.")]
_Queue = Annotated[
    str | None, typer.Option("--queue", help="The [[queue]] of the settings, when there are several in this cloud.")
]
_Topic = Annotated[str | None, typer.Option("--topic", help="Name of the topic, new or existing.")]
_Apply = Annotated[bool, typer.Option("--apply", help="Apply the configuration instead of printing it; does not ask.")]

_S3_HELP = """
Configure S3 buckets to notify an SQS queue.

Prints the configuration as JSON and changes nothing. `--apply` applies it. `deploy/terraform/aws` is the same as a
Terraform module.

    roomledger notifications s3 acme-eu

    roomledger notifications s3 acme-eu --apply

The queue is the `[[queue]]` with an `sqs://` URL in roomledger.toml, or else a new one named `roomledger-SOURCE`, whose
`[[queue]]` is printed too. One queue can serve any number of sources.

**Path** (`--via`): with `sqs` the bucket notifies the queue. S3 sends an event to one destination only. If another
program needs it too, use `sns` (a topic; `--topic` may name an existing one) or `eventbridge` (in addition to all other
notifications).

**JSON keys**, in the shapes of the AWS CLI: `queue`, `queue_policy`; with `sns` also `topic`, `topic_policy`,
`subscription`; with `eventbridge` also `rules`; `notifications` by bucket; `reader_policy` for the role or user that
reads; `settings`, the `[[queue]]` of roomledger.toml; `notes`. Account and region come from the settings
(`sqs://123456789012/queue`, `region`) or from AWS.

**`--apply`** preserves notifications and policies of others, updates its own, and can be repeated. It stops before any
change when another notification is in conflict. It creates no dead-letter queue: rejected messages are stored as
refusals. S3 may need a minute to see a new queue. Permissions: get and set attributes of queues (topics, rules), get
and put notifications of the bucket; for `--reader` also `iam:PutRolePolicy` or `iam:PutUserPolicy`.
"""

_GCS_HELP = """
Configure GCS buckets to notify a Pub/Sub subscription.

Prints the configuration as JSON and changes nothing. `--apply` applies it. `deploy/terraform/gcp` is the same as a
Terraform module.

    roomledger notifications gcs acme-us --project acme-prod

    roomledger notifications gcs acme-us --project acme-prod --apply

The subscription is the `[[queue]]` with a `pubsub://` URL in roomledger.toml, or else a new one named
`roomledger-SOURCE`, whose `[[queue]]` is printed too. One subscription can serve any number of sources.

**JSON keys**, in the shapes of Google's REST APIs: `topic`, `subscription`; `notifications` by bucket; `grants`
(`resource`, `role`, `member`): the storage service agent publishes, the reader reads; `settings`, the `[[queue]]` of
roomledger.toml; `notes`.

**`--apply`** preserves everything of others and can be repeated. It creates no dead-letter topic: rejected messages are
stored as refusals. Google may need two minutes to see a grant. Roles: `roles/pubsub.admin`, `roles/storage.admin`, and
the permission `resourcemanager.projects.get`, which finds the service agent.
"""


@app.command(help=_S3_HELP)
def s3(
    sources: _Sources,
    queue: _Queue = None,
    via: Annotated[Via, typer.Option("--via", help="The path from the bucket to the queue.")] = Via.SQS,
    topic: _Topic = None,
    apply: _Apply = False,
    reader: Annotated[
        str | None, typer.Option("--reader", help="With --apply: ARN of the role or user that reads; gets its policy.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="AWS profile to use instead of the source's credentials.")
    ] = None,
    config: Config = TOML,
) -> None:
    """Print or apply the notifications of S3 buckets."""
    selection = select(settings.read(config, os.environ), sources, scheme="s3", queue=queue)
    name, _ = aws_plan.resource_names(selection, via, topic)
    from roomledger.provisioning.aws import apply as aws_apply
    from roomledger.provisioning.aws.client import Aws

    cloud = Aws(selection, profile)
    arns = cloud.locate(selection, verify=apply)
    plan = aws_plan.build_plan(selection, via, topic, arns)
    url, endpoint = f"sqs://{arns.account}/{name}", selection.source.endpoint
    table = selection.queue_table(url, endpoint=endpoint, region=arns.region)
    if not apply:
        print_json(plan | {"settings": table, "notes": aws_plan.notes(selection, via)})
        return
    queue_arn = plan["queue"]["arn"]
    policies = {target.name: aws_plan.reader_policy([target], queue_arn, arns) for target in selection.targets}
    _report(aws_apply.apply(cloud, plan, policies, reader), selection, table)
    if not reader:
        say("The reader has no policy yet: use --reader, or attach reader_policy of the printed JSON.")


@app.command(help=_GCS_HELP)
def gcs(
    sources: _Sources,
    queue: _Queue = None,
    topic: _Topic = None,
    apply: _Apply = False,
    project: Annotated[
        str | None, typer.Option("--project", help="Project of topic and subscription; default: of the credentials.")
    ] = None,
    reader: Annotated[
        str | None,
        typer.Option("--reader", help="Who reads, such as serviceAccount:name@project.iam.gserviceaccount.com."),
    ] = None,
    config: Config = TOML,
) -> None:
    """Print or apply the notifications of GCS buckets."""
    selection = select(settings.read(config, os.environ), sources, scheme="gs", queue=queue)
    from roomledger.provisioning.gcp import apply as gcp_apply
    from roomledger.provisioning.gcp.client import Google

    cloud = Google(selection, project)
    known = project if selection.queue else cloud.project
    names = gcp_plan.resource_names(selection, project=known, topic=topic, reader=reader)
    plan = gcp_plan.build_plan(selection, names, reader=reader, agents=cloud.agents(selection.buckets))
    table = selection.queue_table(f"pubsub://{names.project}/{names.subscription}")
    if not apply:
        print_json(plan | {"settings": table, "notes": gcp_plan.notes(reader)})
        return
    _report(gcp_apply.apply(cloud, plan), selection, table)
    if not reader:
        say("The reader has no grants yet: use --reader.")


def _report(steps: Iterable[Step], selection: Selection, table: str) -> None:
    """Print each step when it is done, and what remains to be done."""
    changes = 0
    for step in steps:
        say(f"{'changed  ' if step.changed else 'unchanged'}  {step.description}")
        changes += step.changed
    say(f"Changes: {changes}." if changes else "Everything was configured already.")
    if selection.queue is None:
        say(f"Add this to the settings:\n\n{table}")
