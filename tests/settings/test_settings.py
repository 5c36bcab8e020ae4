"""Settings: what is read, and one clear sentence for every mistake."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from roomledger import settings
from roomledger.model import ASSET_TYPES, Asset
from roomledger.settings import BucketSource, SettingsError, WorkspaceSource

WAREHOUSE = '[warehouse]\nurl = "duckdb:///w.duckdb"\n'
SOURCE = '[[source]]\nname = "acme"\ncustomer = "Acme"\nurl = "s3://acme-recordings/live/eu/"\n'
QUEUE = '[[queue]]\nname = "new"\nurl = "sqs://new-recordings"\n'
WORKSPACE = '[[source]]\nname = "talk"\ncustomer = "Acme"\nurl = "100ms://acme-eu"\n'


def read(tmp_path: Path, document: str, **environ: str) -> settings.Settings:
    path = tmp_path / "roomledger.toml"
    path.write_text(document)
    return settings.read(path, environ)


def test_a_workspace_is_a_source(tmp_path: Path) -> None:
    more = 'connection = "acme_keys"\nlook_back_days = 3\nunfinished_days = 20\n'
    bucket, talk = read(tmp_path, WAREHOUSE + SOURCE + WORKSPACE + more).sources
    assert isinstance(bucket, BucketSource)
    assert talk == WorkspaceSource(
        name="talk",
        customer="Acme",
        url="100ms://acme-eu",
        connection="acme_keys",
        look_back_days=3,
        unfinished_days=20,
    )


def test_queues_and_the_inbox(tmp_path: Path) -> None:
    queues = (
        '[[queue]]\nname = "eu"\nurl = "sqs://123456789012/new-recordings"\nconnection = "aws"\nregion = "eu-west-1"\n'
        '[[queue]]\nname = "gcp"\nurl = "pubsub://acme-prod/new-recordings"\n'
    )
    hooks = 'webhook_header = "X-Acme-Secret"\napi = false\n'
    given = read(tmp_path, WAREHOUSE + WORKSPACE + hooks + queues + '[webhooks]\ninbox = "file:///var/inbox/"\n')
    assert (given.sources[0].webhook_header, given.sources[0].api) == ("X-Acme-Secret", False)
    assert [(queue.name, dict(queue.parts)) for queue in given.queues] == [
        ("eu", {"account": "123456789012", "queue": "new-recordings"}),
        ("gcp", {"project": "acme-prod", "subscription": "new-recordings"}),
    ]
    assert (given.queues[0].region, given.inbox_url) == ("eu-west-1", "file:///var/inbox")
    assert (read(tmp_path, WAREHOUSE + SOURCE).queues, read(tmp_path, WAREHOUSE + SOURCE).inbox_url) == ((), None)


def test_a_source_with_everything(tmp_path: Path) -> None:
    more = (
        'connection = "aws_acme"\nendpoint = "https://s3.acme.example"\nregion = "eu-west-1"\n'
        'include = ["chat", "track"]\nexclude = ["track"]\nnot_before = 2026-01-31\n'
    )
    given = read(tmp_path, WAREHOUSE + SOURCE + more)
    assert given.warehouse_url == f"duckdb:///{tmp_path}/w.duckdb"
    assert given.sources == (
        BucketSource(
            name="acme",
            customer="Acme",
            url="s3://acme-recordings/live/eu",
            connection="aws_acme",
            endpoint="https://s3.acme.example",
            region="eu-west-1",
            asset_types=frozenset({"chat"}),
            not_before=date(2026, 1, 31),
        ),
    )


def test_a_source_with_little_takes_everything(tmp_path: Path) -> None:
    assert read(tmp_path, WAREHOUSE + SOURCE).sources[0].asset_types == frozenset(ASSET_TYPES)


def test_the_environment_overrides_the_warehouse(tmp_path: Path) -> None:
    url = "postgresql+psycopg://roomledger:secret@db/roomledger"
    assert read(tmp_path, SOURCE, ROOMLEDGER_WAREHOUSE_URL=url).warehouse_url == url
    assert read(tmp_path, WAREHOUSE + SOURCE, ROOMLEDGER_WAREHOUSE_URL=url).warehouse_url == url


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (SOURCE, r"\[warehouse\] has no url: use duckdb:///"),
        ('warehouse = "duckdb:///w"\n' + SOURCE, r"write the warehouse as a table"),
        ('[warehouse]\nurl = "sqlite:///w"\n' + SOURCE, "unsupported engine 'sqlite': use duckdb"),
        (WAREHOUSE + "memory_mb = 3\n" + SOURCE, "memory_mb = 3: give whole megabytes"),
        (WAREHOUSE + "password = 3\n" + SOURCE, r"\[warehouse\]: unknown key 'password': it knows url, memory_mb"),
        (WAREHOUSE, "names no source: add a"),
        (WAREHOUSE + SOURCE.replace("[[source]]", "[source]"), "with two brackets"),
        (WAREHOUSE + SOURCE + "[sorces]\n", "unknown table or key 'sorces'"),
        (WAREHOUSE + SOURCE + "acess = 1\n", "source acme: unknown key 'acess': a source knows name, customer, url,"),
        (WAREHOUSE + SOURCE.replace('name = "acme"\n', ""), "source number 1: 'name' is missing"),
        (WAREHOUSE + SOURCE.replace('"acme"', '"Acme Inc."'), "a name has lower-case letters"),
        (WAREHOUSE + SOURCE.replace('"Acme"', '""'), "source acme: 'customer' must be text and not empty"),
        (WAREHOUSE + SOURCE.replace("s3://acme-recordings/live/eu/", "oss://acme/x"), "is not a supported URL"),
        (
            WAREHOUSE + SOURCE.replace("s3://acme-recordings/live/eu/", "s3://"),
            "does not name a bucket: use s3://bucket/pre",
        ),
        (WAREHOUSE + SOURCE.replace("s3://acme-recordings/live/eu/", "file://here"), "is not an absolute folder"),
        (WAREHOUSE + SOURCE.replace("live/eu/", "live?X-Amz-Signature=1"), r"holds a '\?'"),
        (WAREHOUSE + SOURCE + SOURCE.replace("recordings", "others"), "acme: the name is used twice"),
        (
            WAREHOUSE + SOURCE + SOURCE.replace('"acme"', '"two"').replace("/eu/", ""),
            "overlap: an object belongs to one",
        ),
        (WAREHOUSE + SOURCE + QUEUE.replace("[[queue]]", "[queue]"), r"write every queue as \[\[queue\]\]"),
        (WAREHOUSE + SOURCE + QUEUE + "wait = 3\n", "queue new: unknown key 'wait': a queue knows name, url"),
        (WAREHOUSE + SOURCE + QUEUE + 'region = ""\n', "queue new: 'region' must be text and not empty"),
        (WAREHOUSE + SOURCE + QUEUE.replace('url = "sqs://new-recordings"\n', ""), "queue new: 'url' is missing"),
        (WAREHOUSE + SOURCE + QUEUE.replace('"new"', '"New!"'), "a name has lower-case letters"),
        (WAREHOUSE + SOURCE + QUEUE.replace("sqs://new-recordings", "https://sqs.eu/1/q"), "no address of a queue"),
        (WAREHOUSE + SOURCE + QUEUE + QUEUE, "the url sqs://new-recordings is used twice"),
        (WAREHOUSE + WORKSPACE + 'webhook_header = "X-Secret"\n', "nothing says where they are to wait: add"),
        (WAREHOUSE + WORKSPACE + 'webhook_header = "X Secret:"\n', "give the name of an HTTP header"),
        (
            WAREHOUSE
            + WORKSPACE.replace('"talk"', '"a-b"')
            + 'webhook_header = "X-S"\n'
            + WORKSPACE.replace('"talk"', '"a_b"').replace("acme-eu", "other")
            + 'webhook_header = "X-S"\n'
            + '[webhooks]\ninbox = "file:///inbox"\n',
            "a_b: a-b takes webhooks, too, and their names differ in",
        ),
        (WAREHOUSE + WORKSPACE + 'api = "no"\n', "api = 'no': write true or false"),
        (WAREHOUSE + SOURCE + '[webhooks]\ninbox = "inbox"\n', "inbox = 'inbox': use inbox = \"file:///absolute"),
        (WAREHOUSE + SOURCE + '[webhooks]\nfolder = "x"\n', r"write where webhooks wait as \[webhooks\]"),
        (
            WAREHOUSE + SOURCE + '[webhooks]\ninbox = "s3://acme-recordings/live/eu/inbox"\n',
            "lies in source acme: give it a place of its own",
        ),
        (WAREHOUSE + WORKSPACE.replace("acme-eu", "Acme EU!"), "'100ms://Acme EU!' does not name a workspace"),
        (WAREHOUSE + WORKSPACE + 'region = "eu"\n', "source talk: unknown key 'region': a source knows name, customer"),
        (WAREHOUSE + WORKSPACE + "look_back_days = 0\n", "look_back_days = 0: give whole days from 1 to 90"),
        (WAREHOUSE + SOURCE + "look_back_days = 2\n", "source acme: unknown key 'look_back_days'"),
        (
            WAREHOUSE + SOURCE + 'include = ["chats"]\n',
            "include: 'chats' is not an asset type: choose from room-composite",
        ),
        (WAREHOUSE + SOURCE + 'include = "chat"\n', "'include' must be a list of asset types"),
        (WAREHOUSE + SOURCE + 'include = ["chat"]\nexclude = ["chat"]\n', "leave no asset type"),
        (WAREHOUSE + SOURCE + 'not_before = "2026-01-31"\n', "write a date without quotes"),
        ("[warehouse", "cannot be read as TOML"),
    ],
)
def test_every_mistake_is_one_clear_sentence(tmp_path: Path, document: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as told:
        read(tmp_path, document)
    assert all("\n" not in problem for problem in told.value.problems)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as told:
        read(tmp_path, SOURCE + "acess = 1\n" + SOURCE.replace("s3:", "ftp:"))
    assert len(told.value.problems) == 4  # no warehouse, unknown key, no such scheme, the name twice


def test_neighbouring_prefixes_do_not_overlap(tmp_path: Path) -> None:
    other = SOURCE.replace('"acme"', '"two"').replace("live/eu/", "live/europe")
    assert len(read(tmp_path, WAREHOUSE + SOURCE + other).sources) == 2


def test_a_missing_file_and_an_unknown_source_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no settings file at"):
        settings.read(tmp_path / "none.toml", {})
    with pytest.raises(SettingsError, match="no source is called acne: the settings name acme"):
        read(tmp_path, WAREHOUSE + SOURCE).select(["acne"])


def test_what_is_before_not_before_is_told_by_the_session_date() -> None:
    source = BucketSource(name="a", customer="A", url="s3://b", not_before=date(2026, 3, 1))

    def excluded(session: date | None, modified: datetime) -> bool:
        asset = Asset(uri="s3://b/k", size_bytes=1, modified_at=modified, asset_type="chat", session_date=session)
        return source.excludes(asset) is not None

    late, early = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)
    assert excluded(date(2026, 2, 28), late)
    assert not excluded(date(2026, 3, 1), early)
    assert excluded(None, early)
    assert not excluded(None, late)
