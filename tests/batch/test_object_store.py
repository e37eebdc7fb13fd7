"""A batch from a bucket into a bucket; the store is a server on this machine."""

from __future__ import annotations

import logging
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("moto.server")
import pdf_files
from crispvl.batch.contents import content
from crispvl.batch.documents import find_documents
from crispvl.batch.job import Job
from crispvl.batch.parts import identities
from crispvl.batch.run import run_on_this_machine
from crispvl.batch.storage import Folder
from crispvl.batch.summary import Summary
from crispvl.errors import DocumentError, OutputError
from moto.server import ThreadedMotoServer
from pyarrow import fs
from worker_readers import BucketReader, refused


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
    name = f"scans-{uuid4().hex}"  # what one server of the process holds, the next one has too
    store.create_dir(name)
    yield f"s3://{name}/{{}}?endpoint_override={host}:{port}&scheme=http&allow_delayed_open=true"
    server.stop()


Engine = Callable[..., Summary]


@pytest.fixture(params=["local", "ray"])
def engine(request: pytest.FixtureRequest, bucket: str) -> Iterator[Engine]:
    if request.param == "local":
        yield lambda job, factory: run_on_this_machine(job, 2, factory=factory)
        return
    ray = pytest.importorskip("ray", reason="needs crispvl[ray]")
    from crispvl.batch.ray_engine import run_on_ray

    ray.init(  # after the bucket's keys have been set: workers have them from here
        address="local", num_cpus=3, include_dashboard=False, log_to_driver=False,
        object_store_memory=100 << 20,
        runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parent)}},
    )  # fmt: skip
    yield lambda job, factory: run_on_ray(job, 2, factory)
    ray.shutdown()


def test_documents_and_table_may_be_in_a_bucket(
    bucket: str, engine: Engine, pdf: Callable[..., Path]
) -> None:
    inputs = Folder(bucket.format("in"))
    for name, n in (("a.pdf", 3), ("b.pdf", 2)):
        inputs.write(name, pdf(name, n).read_bytes())
    inputs.write("c.pdf", b"%PDF-1.4 nothing else")
    inputs.write("d.pdf", pdf_files.pdf([None], "secret"))
    job = Job(inputs=(bucket.format("in"),), out=bucket.format("out"), attempts=2)
    summary = engine(job, BucketReader)
    assert summary.n_read == 7
    assert summary.failures.kinds == {"WorkerDiedError": 1, "DocumentError": 1, "PasswordError": 1}
    assert sorted(table(job)) == [
        ("a.pdf", 1, None),
        ("a.pdf", 2, None),
        ("a.pdf", 3, "WorkerDiedError"),
        ("b.pdf", 1, None),
        ("b.pdf", 2, None),
        ("c.pdf", 0, "DocumentError"),
        ("d.pdf", 0, "PasswordError"),
    ]
    assert engine(job, refused).n_read == 0
    inputs.write("b.pdf", pdf("b.pdf", 2, width=201).read_bytes())  # within the same second
    assert engine(job, BucketReader).n_read == 2


def table(job: Job) -> list[tuple[str, int, str | None]]:
    rows = [row for _, rows in identities(Folder(job.out), "parquet") for row in rows]
    names = [row["source"].split("?")[0].rpartition("/")[2] for row in rows]
    return [(name, row["page"], row["error_type"]) for name, row in zip(names, rows, strict=True)]


def test_a_bucket_without_rights_is_told_before_anything_is_read(
    bucket: str, pdf: Callable[..., Path]
) -> None:
    local = str(pdf("a.pdf", 1))
    with keys_checked(bucket):
        with pytest.raises(OutputError, match=r"room and the right|can be listed"):
            run_on_this_machine(Job(inputs=(local,), out=bucket.format("out")), 1, factory=refused)
        with pytest.raises(DocumentError, match="expected documents that can be listed"):
            list(find_documents([bucket.format("in")]))


@contextmanager
def keys_checked(bucket: str) -> Iterator[None]:
    """The store looks at keys, of which it knows none."""
    address = f"http://{bucket.partition('endpoint_override=')[2].partition('&')[0]}"

    def after(n_requests: bytes) -> None:
        headers = {"content-type": "text/plain"}
        told = urllib.request.Request(f"{address}/moto-api/reset-auth", n_requests, headers)
        urllib.request.urlopen(told).close()

    after(b"0")
    yield
    after(b"inf")


@pytest.mark.parametrize("name", ["s3:/bucket/table", "gs:/bucket", "file:/table"])
def test_an_address_that_lacks_a_slash_does_not_become_a_folder(name: str) -> None:
    with pytest.raises(DocumentError, match="one slash after"):
        Folder(name)


def test_what_pyarrow_does_not_know_is_opened_with_fsspec() -> None:
    pytest.importorskip("fsspec")
    inputs = Folder("memory://scans/in")
    inputs.write("a.pdf", b"x")
    [found] = find_documents(["memory://scans/in"])
    assert content(found.name) == b"x"
    for name in ("nonsense://scans", "https://127.0.0.1/scans"):
        with pytest.raises(DocumentError, match="expected an address that pyarrow can open"):
            list(find_documents([name]))


def test_a_pattern_chooses_among_a_buckets_documents(bucket: str) -> None:
    inputs = Folder(bucket.format("found"))
    for name in ("a1.pdf", "a2.pdf", "b1.pdf", "notes.txt"):
        inputs.write(name, b"x")
    assert len(list(find_documents([bucket.format("found")]))) == 3
    assert len(list(find_documents([bucket.format("found/a*.pdf")]))) == 2
    with pytest.raises(DocumentError, match="found none"):
        list(find_documents([bucket.format("found/c*.pdf")]))
