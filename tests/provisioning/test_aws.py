"""S3 buckets that ring, on a server that asks IAM and the policies of queue and topic before anything is done."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from roomledger.provisioning import CannotConfigure, Document, ProvisioningError
from roomledger.provisioning.aws import apply as aws_apply
from roomledger.provisioning.aws.client import Aws
from roomledger.provisioning.aws.plan import Via, needed, reader_policy
from roomledger.provisioning.selection import Choice, choose
from roomledger.queues.s3_events import notifications
from roomledger.queues.sqs import Sqs
from roomledger.settings import QueueSettings, Settings
from roomledger.stores import Access
from tests.provisioning.conftest import Account

Read = Callable[[str], Settings]
ACCOUNT = "000000000000"


@pytest.fixture(autouse=True)
def root(aws: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_apply, "PATIENCE_S", 0)
    for name, value in aws.environ().items():
        monkeypatch.setenv(name, value)


def table(aws: Account, name: str, url: str) -> str:
    return f'[[source]]\nname = "{name}"\ncustomer = "A"\nurl = "{url}"\nendpoint = "{aws.endpoint}"\n'


def prepared(choice: Choice, via: Via = Via.SQS, topic: str | None = None) -> tuple[Aws, Document, dict[str, Document]]:
    """What is given to `apply`."""
    cloud = Aws(choice, None)
    at = cloud.place(choice, ask=True)
    parts = needed(choice, via, topic, at)
    return cloud, parts, {ring.name: reader_policy([ring], parts["queue"]["arn"], at) for ring in choice.rings}


def rung(choice: Choice, via: Via = Via.SQS, topic: str | None = None, reader: str | None = None) -> list[str]:
    """What was changed."""
    steps = list(aws_apply.apply(*prepared(choice, via, topic), reader))
    assert steps
    return [step.sentence for step in steps if step.changed]


@pytest.mark.parametrize("via", Via)
def test_an_upload_is_heard_by_a_reader_with_no_more_rights_than_are_given(aws: Account, read: Read, via: Via) -> None:
    bucket = aws.new_bucket()
    name = f"heard-{via}"
    choice = choose(read(table(aws, name, f"s3://{bucket}/live/eu")), [name], scheme="s3")
    arn, session = aws.new_user(f"reader-{via}")
    assert rung(choice, via, reader=arn)
    assert rung(choice, via, reader=arn) == []  # there is nothing left to do

    s3 = aws.client("s3")
    for key in ("live/eu/a b+ü.csv", "live/europe/other.csv"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.delete_object(Bucket=bucket, Key="live/eu/a b+ü.csv")
    url = f"sqs://{ACCOUNT}/roomledger-{name}"
    queue = Sqs(QueueSettings(name="q", url=url), Access(session=session, endpoint=aws.endpoint, region="us-east-1"))
    heard: list[str] = []
    for _ in range(4):
        if len(heard) < 2:
            heard += [notice.uri for message in queue.receive(3) for notice in notifications(message)]
    assert heard == [f"s3://{bucket}/live/eu/a b+ü.csv"] * 2
    assert aws.messages(f"roomledger-{name}", session) == []

    own = aws.client("s3", session)
    s3.put_object(Bucket=bucket, Key="live/eu/b.csv", Body=b"x")
    assert own.get_object(Bucket=bucket, Key="live/eu/b.csv")["Body"].read() == b"x"
    assert own.list_objects_v2(Bucket=bucket)["KeyCount"] == 2
    for refused in (
        lambda: own.get_object(Bucket=bucket, Key="live/europe/other.csv"),
        lambda: own.put_object(Bucket=bucket, Key="live/eu/b.csv", Body=b"y"),
        lambda: aws.client("sqs", session).list_queues(),
    ):
        with pytest.raises(own.exceptions.ClientError, match=r"AccessDenied|not authorized"):
            refused()


def test_a_bucket_is_told_only_once_and_only_by_who_may(
    aws: Account, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = aws.new_bucket()
    choice = choose(read(table(aws, "once", f"s3://{bucket}")), ["once"], scheme="s3")
    arn, session = aws.new_user("half-an-admin")
    allowed = {"Effect": "Allow", "Action": ["sqs:*", "sts:*", "s3:Get*", "s3:ListBucket"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    aws.client("iam").put_user_policy(UserName=arn.rpartition("/")[2], PolicyName="half", PolicyDocument=policy)
    monkeypatch.setattr(aws_apply.time, "sleep", lambda _: pytest.fail("it waits for what will not come"))
    with monkeypatch.context() as half:
        half.setattr(aws_apply, "PATIENCE_S", 90)
        half.setenv("AWS_ACCESS_KEY_ID", session.get_credentials().access_key)
        half.setenv("AWS_SECRET_ACCESS_KEY", session.get_credentials().secret_key)
        with pytest.raises(CannotConfigure, match="lack the right to s3:PutBucketNotification"):
            list(aws_apply.apply(*prepared(choice)))
    rung(choice)
    rung(choice)
    queue = Sqs(QueueSettings(name="q", url="sqs://roomledger-once"), Access(session=session, endpoint=aws.endpoint))
    [tried] = queue.receive(5)  # whenever it is told, S3 tries the queue
    assert json.loads(tried.body)["Event"] == "s3:TestEvent"


def test_others_may_not_send_to_the_queue(aws: Account, read: Read) -> None:
    bucket, foreign = aws.new_bucket(), aws.new_bucket()
    choice = choose(read(table(aws, "closed", f"s3://{bucket}")), ["closed"], scheme="s3")
    rung(choice)
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


def test_sources_come_to_one_queue_one_after_the_other_and_all_ring(aws: Account, read: Read) -> None:
    first, second = aws.new_bucket(), aws.new_bucket()
    given = read(
        table(aws, "one", f"s3://{first}/a")
        + table(aws, "two", f"s3://{first}/b")
        + table(aws, "three", f"s3://{second}")
        + f'[[queue]]\nname = "all"\nurl = "sqs://all"\nendpoint = "{aws.endpoint}"\n'
    )
    arn, session = aws.new_user("reads-all")
    rung(choose(given, ["one"], scheme="s3"), reader=arn)
    rung(choose(given, ["two", "three"], scheme="s3"), reader=arn)
    s3 = aws.client("s3")
    for bucket, key in ((first, "a/1"), (first, "b/2"), (first, "c/3"), (second, "4")):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert len(aws.messages("all", session, 3)) == 3
    for bucket, key in ((first, "a/1"), (first, "b/2"), (second, "4")):
        aws.client("s3", session).get_object(Bucket=bucket, Key=key)
    # All three are as they should be, whichever came last.
    assert rung(choose(given, ["one", "two", "three"], scheme="s3"), reader=arn) == []


def test_what_others_have_set_stays(aws: Account, read: Read) -> None:
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

    given = read(
        table(aws, "beside", f"s3://{bucket}/live")
        + f'[[queue]]\nname = "q"\nurl = "sqs://{ACCOUNT}/shared"\nendpoint = "{aws.endpoint}"\n'
    )
    changed = "\n".join(rung(choose(given, ["beside"], scheme="s3")))
    assert "VisibilityTimeout 120, was 30" in changed
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    kept = json.loads(found["Policy"])
    assert (kept["Id"], kept["Statement"][0], len(kept["Statement"])) == ("Theirs", theirs, 2)
    assert (found["DelaySeconds"], found["MessageRetentionPeriod"]) == ("1", "1209600")
    configuration = s3.get_bucket_notification_configuration(Bucket=bucket)
    assert [entry["Id"] for entry in configuration["QueueConfigurations"]] == ["theirs", "roomledger-beside"]
    assert configuration["EventBridgeConfiguration"] == {}


def test_what_is_in_the_way_is_told_before_anything_is_changed(aws: Account, read: Read) -> None:
    bucket = aws.new_bucket()
    choice = choose(read(table(aws, "first", f"s3://{bucket}/live")), ["first"], scheme="s3")
    rung(choice)
    wider = choose(read(table(aws, "second", f"s3://{bucket}")), ["second"], scheme="s3")
    with pytest.raises(CannotConfigure, match="notification roomledger-first"):
        rung(wider)
    sqs = aws.client("sqs")
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName="roomledger-second")
    # EventBridge takes them besides.
    rung(wider, Via.EVENTBRIDGE)
    aws.client("s3").put_object(Bucket=bucket, Key="live/a", Body=b"x")
    assert [len(aws.messages(f"roomledger-{name}", least=1)) for name in ("first", "second")] == [1, 1]


def test_a_topic_that_the_bucket_tells_already_is_heard_besides(aws: Account, read: Read) -> None:
    bucket = aws.new_bucket()
    first = choose(read(table(aws, "fan", f"s3://{bucket}")), ["fan"], scheme="s3")
    rung(first, Via.SNS, "uploads")
    policy = aws.client("sns").get_topic_attributes(TopicArn=f"arn:aws:sns:us-east-1:{ACCOUNT}:uploads")
    second = choose(read(table(aws, "out", f"s3://{bucket}/live")), ["out"], scheme="s3")
    with pytest.raises(CannotConfigure, match="--via sns --topic uploads"):
        rung(second)
    rung(second, Via.SNS, "uploads")
    aws.client("s3").put_object(Bucket=bucket, Key="live/a", Body=b"x")
    assert [len(aws.messages(f"roomledger-{name}", least=1)) for name in ("fan", "out")] == [1, 1]
    # What let the owner's own programs publish stays.
    [default] = [
        one for one in json.loads(policy["Attributes"]["Policy"])["Statement"] if "Roomledger" not in one["Sid"]
    ]
    assert default["Sid"] == "__default_statement_ID"


def test_a_rule_that_was_switched_off_is_switched_on(aws: Account, read: Read) -> None:
    choice = choose(read(table(aws, "off", f"s3://{aws.new_bucket()}")), ["off"], scheme="s3")
    rung(choice, Via.EVENTBRIDGE)
    aws.client("events").disable_rule(Name="roomledger-off")
    [changed] = rung(choice, Via.EVENTBRIDGE)
    assert changed.startswith("rule roomledger-off: takes ")
    assert aws.client("events").describe_rule(Name="roomledger-off")["State"] == "ENABLED"


def test_a_queue_of_another_prefix_or_name_takes_the_place_of_the_first(aws: Account, read: Read) -> None:
    bucket = aws.new_bucket()
    rung(choose(read(table(aws, "moves", f"s3://{bucket}/old")), ["moves"], scheme="s3"))
    given = table(aws, "moves", f"s3://{bucket}/new") + '[[queue]]\nname = "q"\nurl = "sqs://moved"\n'
    given += f'endpoint = "{aws.endpoint}"\n'
    changed = rung(choose(read(given), ["moves"], scheme="s3"))
    assert "keys new/… to arn:aws:sqs:us-east-1:000000000000:moved), instead of notification" in changed[-1]
    aws.client("s3").put_object(Bucket=bucket, Key="old/a", Body=b"x")
    aws.client("s3").put_object(Bucket=bucket, Key="new/a", Body=b"x")
    assert [len(aws.messages(name, least=n)) for n, name in enumerate(("roomledger-moves", "moved"))] == [0, 1]


@pytest.mark.parametrize(
    ("key", "bucket", "said"),
    [
        ("nobody", None, "AWS does not accept the credentials"),
        (None, "rings-never-made", "there is no bucket rings-never-made"),
        ("powerless", None, "not of their account|lack the right"),
    ],
)
def test_what_the_user_can_mend_is_told(
    aws: Account, read: Read, monkeypatch: pytest.MonkeyPatch, key: str | None, bucket: str | None, said: str
) -> None:
    choice = choose(read(table(aws, "bad", f"s3://{bucket or aws.new_bucket()}")), ["bad"], scheme="s3")
    if key == "powerless":
        _, session = aws.new_user("powerless")
        found = session.get_credentials()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", found.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", found.secret_key)
    elif key:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    with pytest.raises(CannotConfigure, match=said):
        rung(choice)


def test_a_destination_that_s3_may_not_reach_is_tried_again_and_then_told(
    aws: Account, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = choose(read(table(aws, "slow", f"s3://{aws.new_bucket()}")), ["slow"], scheme="s3")
    cloud, parts, policies = prepared(choice)
    shut = parts | {"queue_policy": {"Version": "2012-10-17", "Statement": []}}
    tries: list[float] = []
    monkeypatch.setattr(aws_apply, "_PAUSE_S", 0.01)
    with pytest.raises(ProvisioningError, match="wait a minute") as refused:
        list(aws_apply.apply(cloud, shut, policies))
    assert not isinstance(refused.value, CannotConfigure)

    def opened(pause_s: float) -> None:
        tries.append(pause_s)
        sqs = aws.client("sqs")
        url = sqs.get_queue_url(QueueName="roomledger-slow")["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(parts["queue_policy"])})

    monkeypatch.setattr(aws_apply, "PATIENCE_S", 1)
    monkeypatch.setattr(aws_apply.time, "sleep", opened)
    assert list(aws_apply.apply(cloud, shut, policies))
    assert tries == [0.01]


def test_a_queue_lies_where_its_bucket_does(aws: Account, read: Read) -> None:
    bucket = aws.new_bucket()
    queue = '[[queue]]\nname = "q"\nurl = "sqs://{}"\nregion = "{}"\n' + f'endpoint = "{aws.endpoint}"\n'
    for url, region, said in (
        ("q", "eu-west-1", "the settings say region eu-west-1"),
        ("123456789012/q", "us-east-1", "is to lie in account 123456789012"),
    ):
        given = table(aws, "far", f"s3://{bucket}") + queue.format(url, region)
        choice = choose(read(given), ["far"], scheme="s3")
        with pytest.raises(CannotConfigure, match=said):
            prepared(choice)


def test_the_printed_settings_are_read_again(read: Read) -> None:
    queue = QueueSettings(name="a", url="sqs://q", connection='say "hi"\\', endpoint="http://x", region="us-east-1")
    source = '[[source]]\nname = "a"\ncustomer = "A"\nurl = "s3://b"\n'
    given = read(source + Choice((), read(source).sources[0], queue, ()).table("sqs://new"))
    assert given.queues == (queue,)
