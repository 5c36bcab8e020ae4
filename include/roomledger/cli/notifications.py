"""The `roomledger bell` commands: print what makes a bucket ring, or set it.

Exit codes as everywhere: 0 when all went well, 2 when the user can mend it, 1 when not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from roomledger import settings
from roomledger.cli.output import complain, print_json, say
from roomledger.provisioning import CannotConfigure, ProvisioningError, Step, terraform
from roomledger.provisioning.aws import plan as aws_plan
from roomledger.provisioning.aws.plan import Via
from roomledger.provisioning.gcp import plan as gcp_plan
from roomledger.provisioning.selection import Choice, choose
from roomledger.stores import StoreError

USERS_MISTAKE, FAILURE = 2, 1

app = typer.Typer(
    name="bell",
    help="Make buckets ring: have the cloud tell a queue of every new object, so that it is loaded within seconds.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


class Format(StrEnum):
    """How the configuration is printed."""

    JSON = "json"
    TERRAFORM = "terraform"


_Sources = Annotated[list[str], typer.Argument(metavar="SOURCE", help="Sources of the settings, all of this cloud.")]
_Queue = Annotated[
    str | None, typer.Option("--queue", help="Which [[queue]] of the settings hears it, when there are several.")
]
_Topic = Annotated[str | None, typer.Option("--topic", help="Name of the topic, such as one that there is already.")]
_Format = Annotated[Format, typer.Option("--format", "-f", help="How to print the configuration.")]
_Apply = Annotated[bool, typer.Option("--apply", help="Set it instead of printing it; asks nothing.")]
_Config = Annotated[Path, typer.Option("--config", "-c", envvar="ROOMLEDGER_CONFIG", help="The settings file.")]
_TOML = Path("roomledger.toml")

_S3_HELP = """
Make S3 buckets ring, in an SQS queue.

Prints everything that has to be set, and changes nothing; `--apply` sets it.

    roomledger bell s3 acme-eu --format terraform > bell.tf

    roomledger bell s3 acme-eu --apply

The queue is the one `[[queue]]` with an `sqs://` address in roomledger.toml, or else a new one called
`roomledger-SOURCE`, whose `[[queue]]` is printed too. One queue may hear any number of sources.

**The way to the queue** (`--via`): with `sqs` the bucket tells it. S3 tells one event of an object to one place only;
so with `sns` it tells a topic, which others may hear as well (`--topic` names one that it tells already), and with
`eventbridge` it tells EventBridge, beside everything else that it tells.

**JSON** has these keys, the parts as the AWS command line takes them: `queue` (`name`, `arn`, `attributes`) and
`queue_policy`, who may send; with `sns` also `topic`, `topic_policy` and `subscription`, with `eventbridge` also
`rules`; `notifications`, by bucket what its notification configuration has to hold; `reader_policy`, what the role or
user that reads needs; `settings`, the `[[queue]]` for roomledger.toml; `notes`, what to know before setting it.

Account and region stand in the settings (`sqs://123456789012/queue`, `region`) or are asked of AWS. Terraform finds
them itself.

**`--apply`** keeps the notifications and policies of others, replaces its own, and does nothing where all is set. When
others are in the way, it says so and changes nothing. A new queue has no dead-letter queue on purpose: a message that
cannot be understood is kept as a refusal and removed, one whose object could not be looked up comes again. S3 may take
a minute to see a new queue. It needs rights to get and set the attributes of queues (topics, rules) and the
notifications of the bucket; `--reader` needs `iam:PutRolePolicy`.
"""

_GCS_HELP = """
Make GCS buckets ring, in a Pub/Sub subscription.

Prints everything that has to be set, and changes nothing; `--apply` sets it.

    roomledger bell gcs acme-us --project acme-prod --format terraform > bell.tf

    roomledger bell gcs acme-us --project acme-prod --apply

The subscription is the one `[[queue]]` with a `pubsub://` address in roomledger.toml, or else a new one called
`roomledger-SOURCE`, whose `[[queue]]` is printed too. One subscription may hear any number of sources.

**JSON** has these keys, the parts as Google's REST interfaces take them: `topic` and `subscription`; `notifications`,
by bucket; `grants` (`resource`, `role`, `member`): the storage service agent publishes, the reader reads; `settings`,
the `[[queue]]` for roomledger.toml; `notes`, what to know before setting it.

The address of the service agent is asked of Google; Terraform finds it itself.

**`--apply`** keeps everything of others and does nothing where all is set. A new subscription has no dead-letter topic
on purpose: a message that cannot be understood is kept as a refusal and removed, one whose object could not be looked
up comes again. Google may take two minutes to see a grant. It needs the roles `roles/pubsub.admin` and
`roles/storage.admin`, and `resourcemanager.projects.get` for the service agent.
"""


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what goes wrong into one sentence and an exit code."""
    try:
        yield
    except settings.SettingsError as error:
        for problem in error.problems:
            complain(problem)
        raise typer.Exit(USERS_MISTAKE) from None
    except (ProvisioningError, StoreError) as error:
        complain(str(error))
        raise typer.Exit(USERS_MISTAKE if isinstance(error, CannotConfigure | StoreError) else FAILURE) from None


def _choose(config: Path, names: list[str], scheme: str, queue: str | None, form: Format, apply: bool) -> Choice:
    if apply and form is Format.TERRAFORM:
        raise CannotConfigure("--apply sets it itself: leave out --format, or give the printed file to terraform apply")
    return choose(settings.read(config, os.environ), names, scheme=scheme, queue=queue)


@app.command(help=_S3_HELP)
def s3(
    sources: _Sources,
    queue: _Queue = None,
    via: Annotated[Via, typer.Option("--via", help="How word comes from the bucket into the queue.")] = Via.SQS,
    topic: _Topic = None,
    form: _Format = Format.JSON,
    apply: _Apply = False,
    reader: Annotated[
        str | None,
        typer.Option("--reader", help="With --apply: ARN of the role or user that reads, to give it its policy."),
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="AWS profile to set it with, instead of the source's credentials.")
    ] = None,
    config: _Config = _TOML,
) -> None:
    """Print or set what makes S3 buckets ring."""
    with _explained():
        choice = _choose(config, sources, "s3", queue, form, apply)
        name, _ = aws_plan.names(choice, via, topic)
        notes, endpoint = aws_plan.notes(choice, via), choice.source.endpoint
        if form is Format.TERRAFORM:
            table = choice.table(f"sqs://{name}", endpoint=endpoint, region=choice.source.region)
            typer.echo(terraform.s3(choice, via, topic, settings=table, notes=notes), nl=False)
            return
        from roomledger.provisioning.aws import apply as aws_apply
        from roomledger.provisioning.aws import client as aws_client

        cloud = aws_client.Aws(choice, profile)
        at = cloud.place(choice, ask=apply)
        parts = aws_plan.needed(choice, via, topic, at)
        table = choice.table(f"sqs://{at.account}/{name}", endpoint=endpoint, region=cloud.region)
        if not apply:
            print_json(parts | {"settings": table, "notes": notes})
            return
        policies = {ring.name: aws_plan.reader_policy([ring], parts["queue"]["arn"], at) for ring in choice.rings}
        _tell(aws_apply.apply(cloud, parts, policies, reader), choice, table)
        if not reader:
            say("Not set: what whoever reads may do. Give --reader, or attach reader_policy of the printed JSON.")


@app.command(help=_GCS_HELP)
def gcs(
    sources: _Sources,
    queue: _Queue = None,
    topic: _Topic = None,
    form: _Format = Format.JSON,
    apply: _Apply = False,
    project: Annotated[
        str | None, typer.Option("--project", help="Where to put topic and subscription; else that of the credentials.")
    ] = None,
    reader: Annotated[
        str | None,
        typer.Option("--reader", help="Who reads, such as serviceAccount:name@project.iam.gserviceaccount.com."),
    ] = None,
    config: _Config = _TOML,
) -> None:
    """Print or set what makes GCS buckets ring."""
    with _explained():
        choice = _choose(config, sources, "gs", queue, form, apply)
        notes = gcp_plan.notes(choice, reader)
        if form is Format.TERRAFORM:
            names = gcp_plan.names_of(choice, project=project, topic=topic, reader=reader)
            table = choice.table(f"pubsub://{names.project}/{names.subscription}")
            typer.echo(terraform.gcs(choice, names, reader, settings=table, notes=notes), nl=False)
            return
        from roomledger.provisioning.gcp import apply as gcp_apply
        from roomledger.provisioning.gcp import client as gcp_client

        cloud = gcp_client.Google(choice, project)
        known = project if choice.queue else cloud.project
        names = gcp_plan.names_of(choice, project=known, topic=topic, reader=reader)
        table = choice.table(f"pubsub://{names.project}/{names.subscription}")
        parts = gcp_plan.needed(choice, names, reader=reader, agents=cloud.agents(choice.buckets))
        if not apply:
            print_json(parts | {"settings": table, "notes": notes})
            return
        _tell(gcp_apply.apply(cloud, parts), choice, table)
        if not reader:
            say("Not set: what whoever reads may do. Give --reader.")


def _tell(steps: Iterable[Step], choice: Choice, table: str) -> None:
    """Say each step as it is done, and what is left to do."""
    changed = 0
    for step in steps:
        say(f"{'set ' if step.changed else 'kept'}  {step.sentence}")
        changed += step.changed
    say("Nothing had to be changed." if not changed else f"Set: {changed}.")
    if choice.queue is None:
        say(f"Write this into the settings:\n\n{table}")
