"""Several processes, one scrape."""

import asyncio
import socket

from prometheus_client.parser import text_string_to_metric_families

from reference_impl.metrics import Metrics
from reference_impl.siblings import Siblings, merge


def samples(exposition):
    families = list(text_string_to_metric_families(exposition.decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


def metrics_of(reads):
    metrics = Metrics()
    for _ in range(reads):
        metrics.observe("get", 200, 0.001)
    metrics.gauge("memory_odd", "Labels with what else a sample consists of", lambda: reads, what='a} b{c="d"} 7')
    return metrics


def test_each_process_answers_for_all(tmp_path):
    async def check():
        all_metrics = {str(number): metrics_of(number + 1) for number in range(3)}
        siblings = [Siblings(metrics.exposition, tmp_path, name) for name, metrics in all_metrics.items()]
        for sibling in siblings:
            await sibling.start()
        for sibling in siblings:
            found = samples(await sibling.exposition())
            for name, metrics in all_metrics.items():
                for key, value in samples(metrics.exposition()).items():
                    labelled = (key[0], *sorted((*key[1:], ("worker", name))))
                    # Of these, time and memory do not stand still.
                    assert labelled in found
                    if key[0].startswith("memory_"):
                        assert found[labelled] == value
        for sibling in siblings:
            await sibling.stop()
        assert list(tmp_path.iterdir()) == []

    asyncio.run(check())


def test_siblings_that_are_gone_or_stuck_are_left_out(tmp_path):
    async def check():
        here, gone = (Siblings(metrics_of(1).exposition, tmp_path, name) for name in ("here", "gone"))
        await here.start()
        await gone.start()
        gone._server.close()  # as after SIGKILL, which leaves the file
        with socket.socket(socket.AF_UNIX) as stuck:
            stuck.bind(str(tmp_path / "stuck"))
            stuck.listen()
            found = samples(await here.exposition())
        assert {dict(key[1:])["worker"] for key in found} == {"here"}
        await here.stop()

    asyncio.run(check())


def test_a_process_alone_has_no_such_label(monkeypatch):
    monkeypatch.delenv("MEMORY_WORKER_FOLDER", raising=False)

    async def check():
        metrics = metrics_of(2)
        alone = Siblings.of_environment(metrics.exposition)
        await alone.start()
        found = samples(await alone.exposition())
        assert found["memory_requests_total", ("operation", "get"), ("status", "200")] == 2
        assert not any("worker" in dict(key[1:]) for key in found)
        await alone.stop()

    asyncio.run(check())


def test_families_stay_together():
    merged = merge(
        {
            "0": b"# HELP a One\n# TYPE a gauge\na 1\n# HELP b Two\n# TYPE b gauge\nb 1\n",
            "1": b'# HELP a One\n# TYPE a gauge\na{x="}"} 2\n',
        }
    )
    assert merged == (
        b'# HELP a One\n# TYPE a gauge\na{worker="0"} 1\na{x="}",worker="1"} 2\n'
        b'# HELP b Two\n# TYPE b gauge\nb{worker="0"} 1\n'
    )


def test_a_service_of_two_processes_is_scraped_whole(postgres, launch):
    running = launch(postgres.new_database(), "--workers", "2")
    try:
        for _ in range(20):
            connection = running.connect()
            assert running.call("GET", "/api/v1/noop", connection=connection).status == 200
            connection.close()
        found = samples(running.get("/metrics").body)
        name, noop = "memory_requests_total", (("operation", "noop"), ("status", "200"))
        counts = [found.get((name, *noop, ("worker", worker)), 0) for worker in ("0", "1")]
        assert sum(counts) == 20
    finally:
        assert running.stop() == 0
