from pathlib import Path

import pytest
from lxml import etree

from harness.report.junit import junit


@pytest.fixture(scope="module")
def schema():
    return etree.XMLSchema(etree.parse(Path(__file__).with_name("junit.xsd")))


def parsed(record):
    return etree.fromstring(junit(record))


def case(record, name):
    return parsed(record).xpath(f"//testcase[@name='{name}']")[0]


def test_it_follows_the_schema(record, schema):
    schema.assertValid(parsed(record))


def test_totals_are_the_sums_of_what_is_there(record):
    root = parsed(record)
    assert int(root.get("tests")) == len(root.xpath("//testcase"))
    assert int(root.get("failures")) == len(root.xpath("//failure"))
    assert int(root.get("errors")) == len(root.xpath("//error"))
    for suite in root:
        assert int(suite.get("skipped")) == len(suite.xpath("testcase/skipped"))


def test_each_verdict_has_its_outcome(healthy, failing, invalid):
    assert [child.tag for child in case(healthy, "warm_storage_query")] == ["system-out"]
    assert case(healthy, "memory_creation_rate")[0].tag == "skipped"
    failed = case(failing, "warm_storage_query")
    assert failed.get("classname") == "membench.warm_query"
    assert failed.get("time") == "20.000"
    assert (failed[0].tag, failed[0].get("type")) == ("failure", "FAIL")
    assert "1.81 s" in failed[0].get("message")
    warned = case(failing, "error_rate")
    assert warned[0].tag == "system-out"
    assert warned[0].text.startswith("WARN: ")
    doubted = case(invalid, "working_memory_access")
    assert (doubted[0].tag, doubted[0].get("type")) == ("error", "INVALID")


def test_an_operation_that_the_service_failed_fails_its_case(failing):
    assert case(failing, "create")[0].tag == "failure"
    assert case(failing, "search")[0].tag == "system-out"


def test_figures_are_properties_of_the_suite(healthy):
    suite = parsed(healthy).xpath("testsuite[@name='targets']")[0]
    properties = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert properties["working_memory_access.value"] == "0.972"
    assert properties["working_memory_access.unit"] == "ms"
    assert properties["working_memory_access.target"] == "1"
    assert properties["working_memory_access.critical"] == "2"
    assert properties["working_memory_access.clock"] == "server"
    assert "memory_creation_rate.value" not in properties


def test_a_run_that_did_not_end_is_an_error(interrupted, empty, healthy):
    for record in (interrupted, empty):
        assert case(record, "verdict")[0].tag == "error"
    assert case(healthy, "verdict")[0].tag == "system-out"
    assert len(parsed(interrupted).xpath("//testcase[@name='ran to its end']/skipped")) == 2
