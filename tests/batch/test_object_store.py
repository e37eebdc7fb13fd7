"""A batch from a bucket into a bucket; the store is a server on this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("moto.server")
from crispvl.batch.documents import find_documents
from crispvl.batch.job import Job
from crispvl.batch.parts import identities
from crispvl.batch.run import run_on_this_machine
from crispvl.batch.storage import Folder
from crispvl.errors import DocumentError
from moto.server import ThreadedMotoServer
from pyarrow import fs
from worker_readers import NamingReader, refused


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    store = fs.S3FileSystem(
        endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True
    )
    store.create_dir("scans")
    yield f"s3://scans/{{}}?endpoint_override={host}:{port}&scheme=http&allow_delayed_open=true"
    server.stop()


class BucketReader(NamingReader):
    """Without the note beside the output, which is no folder here."""

    def __init__(self, job: Job, n_threads: int) -> None:
        super().__init__(job, n_threads)
        self.log = Path("/dev/null")


def test_documents_and_table_may_be_in_a_bucket(
    bucket: str, tmp_path: Path, pdf: Callable[..., Path]
) -> None:
    inputs = Folder(bucket.format("in"))
    for name, n in (("a.pdf", 3), ("b.pdf", 2)):
        inputs.write(name, pdf(name, n).read_bytes())
    job = Job(inputs=(bucket.format("in"),), out=bucket.format("out"))
    assert run_on_this_machine(job, 2, factory=BucketReader).n_read == 5
    table = identities(Folder(job.out), "parquet")
    found = {(row["source"].split("?")[0], row["page"]) for row in table}
    assert found == {("s3://scans/in/a.pdf", n) for n in (1, 2, 3)} | {
        ("s3://scans/in/b.pdf", n) for n in (1, 2)
    }
    assert run_on_this_machine(job, 1, factory=refused).n_read == 0


def test_a_pattern_chooses_among_a_buckets_documents(bucket: str) -> None:
    inputs = Folder(bucket.format("found"))
    for name in ("a1.pdf", "a2.pdf", "b1.pdf", "notes.txt"):
        inputs.write(name, b"x")
    assert len(list(find_documents([bucket.format("found")]))) == 3
    assert len(list(find_documents([bucket.format("found/a*.pdf")]))) == 2
    with pytest.raises(DocumentError, match="found none"):
        list(find_documents([bucket.format("found/c*.pdf")]))
