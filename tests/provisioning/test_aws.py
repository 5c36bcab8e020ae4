"""Notifications of S3 buckets, applied to a server that enforces IAM and the policies of queues and topics."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from roomledger.provisioning import CannotConfigure, Document, ProvisioningError
from roomledger.provisioning.aws import apply as aws_apply
from roomledger.provisioning.aws.client import Aws
from roomledger.provisioning.aws.plan import Via, build_plan, reader_policy
from roomledger.provisioning.selection import Selection, select
from roomledger.queues.s3_events import notifications
from roomledger.queues.sqs import Sqs
from roomledger.settings import QueueSettings, Settings
from roomledger.stores import Access
from tests.provisioning.conftest import Account

Read = Callable[[str], Settings]
ACCOUNT = "000000000000"


@pytest.fixture(autouse=True)
def root(aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_apply, "TIMEOUT_S", 0)
    for name, value in aws.environ().items():
        monkeypatch.setenv(name, value)


def table(aws: Account, name: str, url: str) -> str:
    return f'[[source]]\nname = "{name}"\ncustomer = "A"\nurl = "{url}"\nendpoint = "{aws.endpoint}"\n'


def prepare(
    selection: Selection, via: Via = Via.SQS, topic: str | None = None
) -> tuple[Aws, Document, dict[str, Document]]:
    """The arguments of `apply`."""
    cloud = Aws(selection, None)
    arns = cloud.locate(selection, verify=True)
    plan = build_plan(selection, via, topic, arns)
    return (
        cloud,
        plan,
        {target.name: reader_policy([target], plan["queue"]["arn"], arns) for target in selection.targets},
    )


def run_apply(
    selection: Selection, via: Via = Via.SQS, topic: str | None = None, reader: str | None = None
) -> list[str]:
    """Apply the plan and return the changes."""
    steps = list(aws_apply.apply(*prepare(selection, via, topic), reader))
    assert steps
    return [step.description for step in steps if step.changed]


@pytest.mark.parametrize("via", Via)
def test_the_reader_receives_an_upload_and_has_no_further_permissions(aws: Account, read: Read, via: Via) -> None:
    bucket = aws.new_bucket()
    name = f"received-{via}"
    selection = select(read(table(aws, name, f"s3://{bucket}/live/eu")), [name], scheme="s3")
    arn, session = aws.new_user(f"reader-{via}")
    assert run_apply(selection, via, reader=arn)
    assert run_apply(selection, via, reader=arn) == []

    s3 = aws.client("s3")
    for key in ("live/eu/a b+ü.csv", "live/europe/other.csv"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.delete_object(Bucket=bucket, Key="live/eu/a b+ü.csv")
    url = f"sqs://{ACCOUNT}/roomledger-{name}"
    queue = Sqs(QueueSettings(name="q", url=url), Access(session=session, endpoint=aws.endpoint, region="us-east-1"))
    received: list[str] = []
    for _ in range(4):
        if len(received) < 2:
            received += [one.uri for message in queue.receive(3) for one in notifications(message)]
    assert received == [f"s3://{bucket}/live/eu/a b+ü.csv"] * 2
    assert aws.messages(f"roomledger-{name}", session) == []

    own = aws.client("s3", session)
    s3.put_object(Bucket=bucket, Key="live/eu/b.csv", Body=b"x")
    assert own.get_object(Bucket=bucket, Key="live/eu/b.csv")["Body"].read() == b"x"
    assert own.list_objects_v2(Bucket=bucket)["KeyCount"] == 2
    for forbidden in (
        lambda: own.get_object(Bucket=bucket, Key="live/europe/other.csv"),
        lambda: own.put_object(Bucket=bucket, Key="live/eu/b.csv", Body=b"y"),
        lambda: aws.client("sqs", session).list_queues(),
    ):
        with pytest.raises(own.exceptions.ClientError, match=r"AccessDenied|not authorized"):
            forbidden()


def test_a_bucket_is_configured_once_and_a_missing_permission_is_not_retried(
    aws: Account, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = aws.new_bucket()
    selection = select(read(table(aws, "once", f"s3://{bucket}")), ["once"], scheme="s3")
    arn, session = aws.new_user("half-an-admin")
    allowed = {"Effect": "Allow", "Action": ["sqs:*", "sts:*", "s3:Get*", "s3:ListBucket"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    aws.client("iam").put_user_policy(UserName=arn.rpartition("/")[2], PolicyName="half", PolicyDocument=policy)
    monkeypatch.setattr(aws_apply.time, "sleep", lambda _: pytest.fail("a missing permission was retried"))
    with monkeypatch.context() as half:
        half.setattr(aws_apply, "TIMEOUT_S", 90)
        half.setenv("AWS_ACCESS_KEY_ID", session.get_credentials().access_key)
        half.setenv("AWS_SECRET_ACCESS_KEY", session.get_credentials().secret_key)
        with pytest.raises(CannotConfigure, match="lack the permission s3:PutBucketNotification"):
            list(aws_apply.apply(*prepare(selection)))
    run_apply(selection)
    run_apply(selection)
    queue = Sqs(QueueSettings(name="q", url="sqs://roomledger-once"), Access(session=session, endpoint=aws.endpoint))
    [test] = queue.receive(5)  # S3 tests the queue each time that the bucket is configured
    assert json.loads(test.body)["Event"] == "s3:TestEvent"


def test_others_cannot_send_to_the_queue(aws: Account, read: Read) -> None:
    bucket, foreign = aws.new_bucket(), aws.new_bucket()
    selection = select(read(table(aws, "closed", f"s3://{bucket}")), ["closed"], scheme="s3")
    run_apply(selection)
    _, session = aws.new_user("stranger")
    sqs = aws.client("sqs", session)
    url = aws.client("sqs").get_queue_url(QueueName="roomledger-closed")["QueueUrl"]
    with pytest.raises(sqs.exceptions.ClientError, match=r"AccessDenied|not authorized"):
        sqs.send_message(QueueUrl=url, MessageBody="{}")
    entry = {"QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:roomledger-closed", "Events": ["s3:ObjectCreated:*"]}
    with pytest.raises(sqs.exceptions.ClientError, match="Unable to validate"):
        aws.client("s3").put_bucket_notification_configuration(
            Bucket=foreign, NotificationConfiguration={"QueueConfigurations": [entry]}
        )


def test_sources_can_be_added_to_one_queue_later(aws: Account, read: Read) -> None:
    first, second = aws.new_bucket(), aws.new_bucket()
    loaded = read(
        table(aws, "one", f"s3://{first}/a")
        + table(aws, "two", f"s3://{first}/b")
        + table(aws, "three", f"s3://{second}")
        + f'[[queue]]\nname = "all"\nurl = "sqs://all"\nendpoint = "{aws.endpoint}"\n'
    )
    arn, session = aws.new_user("reads-all")
    run_apply(select(loaded, ["one"], scheme="s3"), reader=arn)
    run_apply(select(loaded, ["two", "three"], scheme="s3"), reader=arn)
    s3 = aws.client("s3")
    for bucket, key in ((first, "a/1"), (first, "b/2"), (first, "c/3"), (second, "4")):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert len(aws.messages("all", session, 3)) == 3
    for bucket, key in ((first, "a/1"), (first, "b/2"), (second, "4")):
        aws.client("s3", session).get_object(Bucket=bucket, Key=key)
    # Nothing of the first run was lost in the second.
    assert run_apply(select(loaded, ["one", "two", "three"], scheme="s3"), reader=arn) == []


def test_settings_of_others_are_preserved(aws: Account, read: Read) -> None:
    bucket = aws.new_bucket()
    s3, sqs = aws.client("s3"), aws.client("sqs")
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:shared"
    condition = {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"}}
    theirs = {
        "Sid": "Theirs", "Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn, "Condition": condition,
        "Principal": {"Service": "s3.amazonaws.com"},
    }  # fmt: skip
    policy = {"Version": "2012-10-17", "Id": "Theirs", "Statement": theirs}
    attributes = {"Policy": json.dumps(policy), "VisibilityTimeout": "30", "DelaySeconds": "1"}
    url = sqs.create_queue(QueueName="shared", Attributes=attributes)["QueueUrl"]
    entry = {"Id": "theirs", "QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}
    entry["Filter"] = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "uploads/"}]}}
    both = {"QueueConfigurations": [entry], "EventBridgeConfiguration": {}}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=both)

    loaded = read(
        table(aws, "beside", f"s3://{bucket}/live")
        + f'[[queue]]\nname = "q"\nurl = "sqs://{ACCOUNT}/shared"\nendpoint = "{aws.endpoint}"\n'
    )
    changed = "\n".join(run_apply(select(loaded, ["beside"], scheme="s3")))
    assert "VisibilityTimeout 120, was 30" in changed
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    policy = json.loads(found["Policy"])
    assert (policy["Id"], policy["Statement"][0], len(policy["Statement"])) == ("Theirs", theirs, 2)
    assert (found["DelaySeconds"], found["MessageRetentionPeriod"]) == ("1", "1209600")
    configuration = s3.get_bucket_notification_configuration(Bucket=bucket)
    assert [entry["Id"] for entry in configuration["QueueConfigurations"]] == ["theirs", "roomledger-beside"]
    assert configuration["EventBridgeConfiguration"] == {}


def test_a_conflict_is_reported_before_any_change(aws: Account, read: Read) -> None:
    bucket = aws.new_bucket()
    selection = select(read(table(aws, "first", f"s3://{bucket}/live")), ["first"], scheme="s3")
    run_apply(selection)
    wider = select(read(table(aws, "second", f"s3://{bucket}")), ["second"], scheme="s3")
    with pytest.raises(CannotConfigure, match="notification roomledger-first"):
        run_apply(wider)
    sqs = aws.client("sqs")
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName="roomledger-second")
    # EventBridge receives the events in addition.
    run_apply(wider, Via.EVENTBRIDGE)
    aws.client("s3").put_object(Bucket=bucket, Key="live/a", Body=b"x")
    assert [len(aws.messages(f"roomledger-{name}", least=1)) for name in ("first", "second")] == [1, 1]


def test_a_second_queue_subscribes_to_an_existing_topic(aws: Account, read: Read) -> None:
    bucket = aws.new_bucket()
    first = select(read(table(aws, "fan", f"s3://{bucket}")), ["fan"], scheme="s3")
    run_apply(first, Via.SNS, "uploads")
    policy = aws.client("sns").get_topic_attributes(TopicArn=f"arn:aws:sns:us-east-1:{ACCOUNT}:uploads")
    second = select(read(table(aws, "out", f"s3://{bucket}/live")), ["out"], scheme="s3")
    with pytest.raises(CannotConfigure, match="--via sns --topic uploads"):
        run_apply(second)
    run_apply(second, Via.SNS, "uploads")
    aws.client("s3").put_object(Bucket=bucket, Key="live/a", Body=b"x")
    assert [len(aws.messages(f"roomledger-{name}", least=1)) for name in ("fan", "out")] == [1, 1]
    # The statement that allows the owner to publish is preserved.
    [default] = [
        one for one in json.loads(policy["Attributes"]["Policy"])["Statement"] if "Roomledger" not in one["Sid"]
    ]
    assert default["Sid"] == "__default_statement_ID"


def test_a_disabled_rule_is_enabled(aws: Account, read: Read) -> None:
    selection = select(read(table(aws, "off", f"s3://{aws.new_bucket()}")), ["off"], scheme="s3")
    run_apply(selection, Via.EVENTBRIDGE)
    aws.client("events").disable_rule(Name="roomledger-off")
    [changed] = run_apply(selection, Via.EVENTBRIDGE)
    assert changed.startswith("rule roomledger-off: selects ")
    assert aws.client("events").describe_rule(Name="roomledger-off")["State"] == "ENABLED"


def test_a_changed_prefix_and_queue_replace_the_first(aws: Account, read: Read) -> None:
    bucket = aws.new_bucket()
    run_apply(select(read(table(aws, "moves", f"s3://{bucket}/old")), ["moves"], scheme="s3"))
    tables = table(aws, "moves", f"s3://{bucket}/new") + '[[queue]]\nname = "q"\nurl = "sqs://moved"\n'
    tables += f'endpoint = "{aws.endpoint}"\n'
    changed = run_apply(select(read(tables), ["moves"], scheme="s3"))
    assert "keys new/… to arn:aws:sqs:us-east-1:000000000000:moved), replaces notification" in changed[-1]
    aws.client("s3").put_object(Bucket=bucket, Key="old/a", Body=b"x")
    aws.client("s3").put_object(Bucket=bucket, Key="new/a", Body=b"x")
    assert [len(aws.messages(name, least=n)) for n, name in enumerate(("roomledger-moves", "moved"))] == [0, 1]


@pytest.mark.parametrize(
    ("key", "bucket", "message"),
    [
        ("nobody", None, "AWS does not accept the credentials"),
        (None, "never-created", "no bucket never-created"),
        ("powerless", None, "does not belong to their account|lack the permission"),
    ],
)
def test_mistakes_of_the_user_are_reported(
    aws: Account, read: Read, monkeypatch: pytest.MonkeyPatch, key: str | None, bucket: str | None, message: str
) -> None:
    selection = select(read(table(aws, "bad", f"s3://{bucket or aws.new_bucket()}")), ["bad"], scheme="s3")
    if key == "powerless":
        _, session = aws.new_user("powerless")
        found = session.get_credentials()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", found.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", found.secret_key)
    elif key:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    with pytest.raises(CannotConfigure, match=message):
        run_apply(selection)


def test_an_unreachable_destination_is_retried_and_then_reported(
    aws: Account, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = select(read(table(aws, "slow", f"s3://{aws.new_bucket()}")), ["slow"], scheme="s3")
    cloud, plan, policies = prepare(selection)
    closed = plan | {"queue_policy": {"Version": "2012-10-17", "Statement": []}}
    tries: list[float] = []
    monkeypatch.setattr(aws_apply, "_PAUSE_S", 0.01)
    with pytest.raises(ProvisioningError, match="wait a minute") as refused:
        list(aws_apply.apply(cloud, closed, policies))
    assert not isinstance(refused.value, CannotConfigure)

    def open_queue(pause_s: float) -> None:
        tries.append(pause_s)
        sqs = aws.client("sqs")
        url = sqs.get_queue_url(QueueName="roomledger-slow")["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(plan["queue_policy"])})

    monkeypatch.setattr(aws_apply, "TIMEOUT_S", 1)
    monkeypatch.setattr(aws_apply.time, "sleep", open_queue)
    assert list(aws_apply.apply(cloud, closed, policies))
    assert tries == [0.01]


def test_a_queue_must_be_in_the_account_and_region_of_its_bucket(aws: Account, read: Read) -> None:
    bucket = aws.new_bucket()
    queue = '[[queue]]\nname = "q"\nurl = "sqs://{}"\nregion = "{}"\n' + f'endpoint = "{aws.endpoint}"\n'
    for url, region, message in (
        ("q", "eu-west-1", "the settings say region eu-west-1"),
        ("123456789012/q", "us-east-1", "is in account 123456789012"),
    ):
        tables = table(aws, "far", f"s3://{bucket}") + queue.format(url, region)
        selection = select(read(tables), ["far"], scheme="s3")
        with pytest.raises(CannotConfigure, match=message):
            prepare(selection)


def test_the_printed_queue_table_can_be_read(read: Read) -> None:
    queue = QueueSettings(name="a", url="sqs://q", connection='say "hi"\\', endpoint="http://x", region="us-east-1")
    source = '[[source]]\nname = "a"\ncustomer = "A"\nurl = "s3://b"\n'
    loaded = read(source + Selection((), read(source).sources[0], queue).queue_table("sqs://new"))
    assert loaded.queues == (queue,)
