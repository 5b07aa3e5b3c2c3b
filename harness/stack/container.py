"""PostgreSQL in a container, through testcontainers."""

import contextlib
import logging
import os
import secrets

import docker
import psutil
from docker.errors import DockerException, ImageNotFound, NotFound
from testcontainers.community.postgres import PostgresContainer

from harness.core.errors import StackError
from harness.core.record import Setting
from harness.stack.ledger import Ledger
from harness.stack.postgres import Postgres, Say

DEFAULT_IMAGE = "pgvector/pgvector:pg18"


def image() -> str:
    """The image to run: MEMBENCH_POSTGRES_IMAGE, else pgvector's own."""
    return os.environ.get("MEMBENCH_POSTGRES_IMAGE", DEFAULT_IMAGE)


def engine_answers() -> bool:
    """Whether a Docker engine can be used."""
    with contextlib.suppress(DockerException, OSError):
        client = docker.from_env(timeout=5)
        try:
            return bool(client.ping())
        finally:
            client.close()
    return False


def start(settings: list[Setting], ledger: Ledger, say: Say) -> Postgres:
    """Start a server in a container with a published loopback port.

    Raises:
        StackError: no engine answers, the image cannot be had, or the server did not come up.
    """
    name = f"membench-{os.getpid()}-{secrets.token_hex(3)}"
    logging.getLogger("testcontainers").setLevel(logging.ERROR)
    _ensure_image(say)
    say(f"starting PostgreSQL in a container of {image()}")
    ledger.container(name)
    options = " ".join(f"-c {setting.name}={setting.value}" for setting in settings)
    container: PostgresContainer | None = None

    def stop() -> None:
        remove(name)

    try:
        container = (
            PostgresContainer(
                image(),
                username="membench",
                password=secrets.token_urlsafe(16),
                dbname="membench",
                driver=None,
            )
            .with_name(name)
            .with_command(f"postgres {options}")
            # Parallel index builds keep their graph in shared memory, of which a container has 64 MB.
            .with_kwargs(shm_size="4g")
        )
        container.start()
    except Exception as error:
        stop()
        raise StackError(
            f"the PostgreSQL container did not come up: {error}",
            hint="--postgres embedded needs no container engine",
        ) from error
    except BaseException:
        stop()
        raise
    return Postgres(str(container.get_connection_url()), "container", stop, settings, pid=_postmaster(name))


def remove(name: str) -> None:
    """Remove a container of ours with its volumes, if it is there."""
    with contextlib.suppress(DockerException, OSError):
        client = docker.from_env(timeout=30)
        try:
            with contextlib.suppress(NotFound):
                client.containers.get(name).remove(force=True, v=True)
        finally:
            client.close()


def _postmaster(name: str) -> int | None:
    """Process id of a container's PostgreSQL; None where its engine has a kernel or process ids of its own."""
    with contextlib.suppress(DockerException, OSError, KeyError, psutil.Error):
        client = docker.from_env(timeout=30)
        try:
            pid = int(client.containers.get(name).attrs["State"]["Pid"])
        finally:
            client.close()
        # The engine may be far away, in which case the number is anybody's here.
        if psutil.Process(pid).name() == "postgres":
            return pid
    return None


def _ensure_image(say: Say) -> None:
    try:
        client = docker.from_env(timeout=600)
    except DockerException as error:
        raise StackError("no Docker engine answers", hint="start one, or use --postgres embedded") from error
    try:
        try:
            client.images.get(image())
        except ImageNotFound:
            say(f"pulling {image()}")
            client.images.pull(image())
    except (DockerException, OSError) as error:
        raise StackError(
            f"the image {image()} cannot be had: {error}",
            hint="set MEMBENCH_POSTGRES_IMAGE to an image that is here, or use --postgres embedded",
        ) from error
    finally:
        client.close()
