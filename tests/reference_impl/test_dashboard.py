"""The Grafana dashboard: well formed, and about metrics and views that there are."""

import asyncio
import itertools
import json
import re
from pathlib import Path

import asyncpg
import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families

import reference_impl
from reference_impl.metrics import Metrics
from reference_impl.models import PoolState
from reference_impl.storage.migrations import migrate

HOME = Path(reference_impl.__file__).parent / "grafana"
DASHBOARD = json.loads((HOME / "dashboards/memory-service.json").read_text())
ROWS = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
PANELS = [
    panel for outer in DASHBOARD["panels"] for panel in (outer, *outer.get("panels", ())) if panel["type"] != "row"
]
QUERIES = [(panel, target) for panel in PANELS for target in panel["targets"]]
PROMQL = [
    pytest.param(target["expr"], id=f"{p['title']}-{target['refId']}") for p, target in QUERIES if "expr" in target
]
SQL = [pytest.param(panel, target["rawSql"], id=panel["title"]) for panel, target in QUERIES if "rawSql" in target]
# Prometheus adds these to whatever it scrapes.
SCRAPED = {"instance", "job"}


class Selectors:
    """What an expression asks for: metrics with their matchers, and the labels it groups by."""

    def __init__(self, expr):
        self.metrics, self.grouping = [], set()
        promql_parser.walk(promql_parser.parse(expr.replace("$__rate_interval", "1m")), self._visit)

    def _visit(self, node):
        if isinstance(node, promql_parser.VectorSelector):
            self.metrics.append((node.name, node.matchers.matchers))
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            self.grouping |= set(node.modifier.labels)


def labels_by_sample(exposition):
    """Names of labels by name of sample, with a histogram's `_bucket`, a counter's `_total` and so on."""
    found = {}
    for family in text_string_to_metric_families(exposition.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.fixture(scope="module")
def known():
    """Every sample that the service can expose, with its labels."""
    metrics = Metrics()
    metrics.observe("get", 200, 0.001)
    metrics.pool(lambda: PoolState(size=1, idle=1, busy=0, max=2, min=1, waiting=0, utilization=0.0))
    metrics.cache("memory", lambda: 1, lambda: 1, lambda: 1)
    metrics.admission("reads", lambda: 1, lambda: 1, lambda: 1)
    metrics.tiers(lambda: {"Working": 1})
    metrics.compression(lambda: {"row": 10})
    metrics.arrivals(lambda: 1)
    metrics.change_feed(lambda: True)
    metrics.candidates(lambda: 1, lambda: 0, lambda: True)
    metrics.searches("indexed", lambda: 1)
    for name in ("memory_create_queue", "memory_requests_in_flight"):
        metrics.gauge(name, "From elsewhere", lambda: 0)
    return labels_by_sample(metrics.exposition())


@pytest.mark.parametrize("expr", PROMQL)
def test_promql_is_about_metrics_and_labels_that_there_are(expr, known):
    selectors = Selectors(expr)
    assert selectors.metrics
    for name, matchers in selectors.metrics:
        assert name in known
        assert {matcher.name for matcher in matchers} <= known[name] | SCRAPED
        assert ("instance", "$instance") in {(matcher.name, matcher.value) for matcher in matchers}
    assert selectors.grouping <= set.union(*(known[name] for name, _ in selectors.metrics)) | SCRAPED


@pytest.mark.parametrize("expr", PROMQL)
def test_counters_are_looked_at_as_rates(expr, known):
    for name, _ in Selectors(expr).metrics:
        counts = name.endswith(("_total", "_bucket", "_count", "_sum"))
        assert counts == bool(re.search(rf"(rate|increase)\({name}\b", expr)), name


def test_every_row_and_panel_has_a_place_of_its_own():
    ids = [panel["id"] for panel in (*ROWS, *PANELS)]
    assert len(ids) == len(set(ids))
    for first, second in itertools.combinations((*ROWS, *PANELS), 2):
        a, b = first["gridPos"], second["gridPos"]
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or above, (first["title"], second["title"])
    for panel in (*ROWS, *PANELS):
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
        assert place["h"] >= 1


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_panel_says_what_it_shows(panel):
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    variable = {"prometheus": "${datasource}", "postgres": "${postgres}"}
    for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
        assert source["uid"] == variable[source["type"]]
    references = [target["refId"] for target in panel["targets"]]
    assert len(references) == len(set(references))
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    values = [step["value"] for step in steps]
    assert values[0] is None
    assert values[1:] == sorted(values[1:])
    drawn = panel["fieldConfig"]["defaults"].get("custom", {}).get("thresholdsStyle", {}).get("mode", "off")
    assert drawn == ("line" if panel["type"] == "timeseries" and len(steps) > 1 else "off")


def test_titles_within_a_row_differ_and_variables_exist():
    titles = [panel["title"] for panel in PANELS if panel["type"] != "stat"]
    assert len({(panel["title"], panel["gridPos"]["y"]) for panel in PANELS}) == len(PANELS)
    assert len(titles) > 30
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == variables["postgres"]["type"] == "datasource"
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(PANELS)))
    assert used <= variables.keys()


@pytest.mark.parametrize(
    ("title", "target", "critical"),
    [
        ("Read latency", 0.001, 0.002),
        ("Search latency", 0.1, 0.5),
        ("P99 by operation", 20, 60),
        ("Memories stored", 1000, 500),
        ("Searches", 500, 200),
        ("Error rate", 0.01, 0.05),
        ("Utilization", 0.7, 0.9),
        ("Compression of cold memories", 10, 5),
        ("Hit ratio", 0.9, 0.7),
    ],
)
def test_lines_are_at_the_guides_targets(title, target, critical):
    [panel] = [panel for panel in PANELS if panel["title"] == title and panel["type"] == "timeseries"]
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    colours = {step["value"]: step["color"] for step in steps}
    if target < critical:
        assert colours == {None: "green", target: "orange", critical: "red"}
    else:
        assert colours == {None: "red", critical: "orange", target: "green"}


@pytest.mark.parametrize(("panel", "sql"), SQL)
def test_sql_runs_and_has_the_columns_that_get_a_unit(panel, sql, database):
    async def columns():
        await migrate(database, 1536)
        connection = await asyncpg.connect(database)
        try:
            await connection.fetch(sql)
            return {attribute.name for attribute in (await connection.prepare(sql)).get_attributes()}
        finally:
            await connection.close()

    with_unit = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
    assert with_unit <= asyncio.run(columns())


def test_a_running_service_has_a_value_for_every_panel(service):
    memory = service.create("a memory to be looked at")
    service.get(f"/api/v1/memories/{memory['id']}")
    service.search("looked at")
    service.get("/api/v1/health")
    families = list(text_string_to_metric_families(service.get("/metrics").body.decode()))
    samples = [sample for family in families for sample in family.samples]
    # Nothing has been compressed yet.
    later = {"memory_compression_ratio"}
    for expr in (parameter.values[0] for parameter in PROMQL):
        for name, matchers in Selectors(expr).metrics:
            wanted = [m for m in matchers if m.name not in SCRAPED | {"status"}]
            found = [
                sample
                for sample in samples
                if sample.name == name and all(re.fullmatch(m.value, sample.labels[m.name]) for m in wanted)
            ]
            assert found or name in later, (name, expr)


@pytest.mark.parametrize("name", ["provisioning/dashboards", "provisioning/datasources"])
def test_what_grafana_is_set_up_with_is_explained(name):
    text = (HOME / name / "memory-service.yaml").read_text()
    readme = (HOME / "README.md").read_text()
    for variable in re.findall(r"\$\{(\w+)\}", text):
        assert f"-e {variable}=" in readme
