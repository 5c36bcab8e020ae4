"""Reading the settings, and one clear sentence for every mistake."""

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


def test_queues_and_the_inbox_are_read(tmp_path: Path) -> None:
    queues = (
        '[[queue]]\nname = "eu"\nurl = "sqs://123456789012/new-recordings"\nconnection = "aws"\nregion = "eu-west-1"\n'
        '[[queue]]\nname = "gcp"\nurl = "pubsub://acme-prod/new-recordings"\n'
    )
    webhooks = 'webhook_header = "X-Acme-Secret"\napi = false\n'
    loaded = read(tmp_path, WAREHOUSE + WORKSPACE + webhooks + queues + '[webhooks]\ninbox = "file:///var/inbox/"\n')
    assert (loaded.sources[0].webhook_header, loaded.sources[0].api) == ("X-Acme-Secret", False)
    assert [(queue.name, dict(queue.parts)) for queue in loaded.queues] == [
        ("eu", {"account": "123456789012", "queue": "new-recordings"}),
        ("gcp", {"project": "acme-prod", "subscription": "new-recordings"}),
    ]
    assert (loaded.queues[0].region, loaded.inbox_url) == ("eu-west-1", "file:///var/inbox")
    assert (read(tmp_path, WAREHOUSE + SOURCE).queues, read(tmp_path, WAREHOUSE + SOURCE).inbox_url) == ((), None)


def test_a_source_with_all_keys(tmp_path: Path) -> None:
    more = (
        'connection = "aws_acme"\nendpoint = "https://s3.acme.example"\nregion = "eu-west-1"\n'
        'include = ["chat", "track"]\nexclude = ["track"]\nnot_before = 2026-01-31\n'
    )
    loaded = read(tmp_path, WAREHOUSE + SOURCE + more)
    assert loaded.warehouse_url == f"duckdb:///{tmp_path}/w.duckdb"
    assert loaded.sources == (
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


def test_a_source_without_include_has_all_asset_types(tmp_path: Path) -> None:
    assert read(tmp_path, WAREHOUSE + SOURCE).sources[0].asset_types == frozenset(ASSET_TYPES)


def test_the_environment_overrides_the_warehouse_url(tmp_path: Path) -> None:
    url = "postgresql+psycopg://roomledger:secret@db/roomledger"
    assert read(tmp_path, SOURCE, ROOMLEDGER_WAREHOUSE_URL=url).warehouse_url == url
    assert read(tmp_path, WAREHOUSE + SOURCE, ROOMLEDGER_WAREHOUSE_URL=url).warehouse_url == url


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (SOURCE, r"\[warehouse\] has no url: use duckdb:///"),
        ('warehouse = "duckdb:///w"\n' + SOURCE, r"write warehouse as a table"),
        ('[warehouse]\nurl = "sqlite:///w"\n' + SOURCE, "unsupported engine 'sqlite': use duckdb"),
        (WAREHOUSE + "memory_mb = 3\n" + SOURCE, "memory_mb = 3: use whole megabytes"),
        (WAREHOUSE + "history_days = 0\n" + SOURCE, "history_days = 0: use whole days, at least 1, at most 36,500"),
        (WAREHOUSE + "history_days = 3000000\n" + SOURCE, "history_days = 3000000: use whole days"),
        (WAREHOUSE + "[control]\n" + SOURCE, r"\[control\] has no url: use .* or leave out \[control\]"),
        (WAREHOUSE + "[control]\nurl = 5\n" + SOURCE, r"\[control\] has no url"),
        (WAREHOUSE + "password = 3\n" + SOURCE, r"\[warehouse\]: unknown key 'password': use url, memory_mb"),
        (WAREHOUSE, "has no source: add a"),
        (WAREHOUSE + SOURCE.replace("[[source]]", "[source]"), "with two brackets"),
        (WAREHOUSE + SOURCE + "[sorces]\n", "unknown table or key 'sorces'"),
        (WAREHOUSE + SOURCE + "acess = 1\n", "source acme: unknown key 'acess': a source has name, customer, url,"),
        (WAREHOUSE + SOURCE.replace('name = "acme"\n', ""), "source number 1: 'name' is missing"),
        (WAREHOUSE + SOURCE.replace('"acme"', '"Acme Inc."'), "a name has only lower-case letters"),
        (WAREHOUSE + SOURCE.replace('"Acme"', '""'), "source acme: 'customer' must be text and not empty"),
        (WAREHOUSE + SOURCE.replace("s3://acme-recordings/live/eu/", "oss://acme/x"), "is not a supported URL"),
        (
            WAREHOUSE + SOURCE.replace("s3://acme-recordings/live/eu/", "s3://"),
            "does not name a bucket: use s3://bucket/pre",
        ),
        (WAREHOUSE + SOURCE.replace("s3://acme-recordings/live/eu/", "file://here"), "is not an absolute folder"),
        (WAREHOUSE + SOURCE.replace("live/eu/", "live?X-Amz-Signature=1"), r"contains a '\?'"),
        (WAREHOUSE + SOURCE + SOURCE.replace("recordings", "others"), "acme: the name is used twice"),
        (
            WAREHOUSE + SOURCE + SOURCE.replace('"acme"', '"two"').replace("/eu/", ""),
            "overlap: an object belongs to one",
        ),
        (WAREHOUSE + SOURCE + QUEUE.replace("[[queue]]", "[queue]"), r"write every queue as \[\[queue\]\]"),
        (WAREHOUSE + SOURCE + QUEUE + "wait = 3\n", "queue new: unknown key 'wait': a queue has name, url"),
        (WAREHOUSE + SOURCE + QUEUE + 'region = ""\n', "queue new: 'region' must be text and not empty"),
        (WAREHOUSE + SOURCE + QUEUE.replace('url = "sqs://new-recordings"\n', ""), "queue new: 'url' is missing"),
        (WAREHOUSE + SOURCE + QUEUE.replace('"new"', '"New!"'), "a name has only lower-case letters"),
        (
            WAREHOUSE + SOURCE + QUEUE.replace("sqs://new-recordings", "https://sqs.eu/1/q"),
            "not a supported queue URL",
        ),
        (WAREHOUSE + SOURCE + QUEUE + QUEUE, "the url sqs://new-recordings is used twice"),
        (WAREHOUSE + WORKSPACE + 'webhook_header = "X-Secret"\n', "but they have no inbox: add"),
        (WAREHOUSE + WORKSPACE + 'webhook_header = "X Secret:"\n', "use the name of an HTTP header"),
        (
            WAREHOUSE
            + WORKSPACE.replace('"talk"', '"a-b"')
            + 'webhook_header = "X-S"\n'
            + WORKSPACE.replace('"talk"', '"a_b"').replace("acme-eu", "other")
            + 'webhook_header = "X-S"\n'
            + '[webhooks]\ninbox = "file:///inbox"\n',
            "a_b: a-b accepts webhooks, too, and the names differ only in",
        ),
        (WAREHOUSE + WORKSPACE + 'api = "no"\n', "api = 'no': write true or false"),
        (WAREHOUSE + SOURCE + '[webhooks]\ninbox = "inbox"\n', "inbox = 'inbox': use inbox = \"file:///absolute"),
        (WAREHOUSE + SOURCE + '[webhooks]\nfolder = "x"\n', r"write the inbox of webhooks as \[webhooks\]"),
        (
            WAREHOUSE + SOURCE + '[webhooks]\ninbox = "s3://acme-recordings/live/eu/inbox"\n',
            "lies within source acme: use a separate location",
        ),
        (WAREHOUSE + WORKSPACE.replace("acme-eu", "Acme EU!"), "'100ms://Acme EU!' does not name a workspace"),
        (WAREHOUSE + WORKSPACE + 'region = "eu"\n', "source talk: unknown key 'region': a source has name, customer"),
        (WAREHOUSE + WORKSPACE + "look_back_days = 0\n", "look_back_days = 0: use whole days from 1 to 90"),
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
    with pytest.raises(SettingsError, match=sentence) as raised:
        read(tmp_path, document)
    assert all("\n" not in problem for problem in raised.value.problems)


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        read(tmp_path, SOURCE + "acess = 1\n" + SOURCE.replace("s3:", "ftp:"))
    assert len(raised.value.problems) == 4  # no warehouse, unknown key, unsupported scheme, duplicate name


def test_neighbouring_prefixes_do_not_overlap(tmp_path: Path) -> None:
    other = SOURCE.replace('"acme"', '"two"').replace("live/eu/", "live/europe")
    assert len(read(tmp_path, WAREHOUSE + SOURCE + other).sources) == 2


def test_a_missing_file_and_an_unknown_source_are_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no settings file at"):
        settings.read(tmp_path / "none.toml", {})
    with pytest.raises(SettingsError, match="no source is called acne: the settings name acme"):
        read(tmp_path, WAREHOUSE + SOURCE).select(["acne"])


def test_not_before_compares_the_session_date_if_there_is_one() -> None:
    source = BucketSource(name="a", customer="A", url="s3://b", not_before=date(2026, 3, 1))

    def excluded(session: date | None, modified: datetime) -> bool:
        asset = Asset(uri="s3://b/k", size_bytes=1, modified_at=modified, asset_type="chat", session_date=session)
        return source.excludes(asset) is not None

    late, early = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)
    assert excluded(date(2026, 2, 28), late)
    assert not excluded(date(2026, 3, 1), early)
    assert excluded(None, early)
    assert not excluded(None, late)
