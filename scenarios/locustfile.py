"""The scenarios for plain Locust, web UI included.

    membench up                                                    # or a service of your own
    locust -f scenarios/locustfile.py --host http://127.0.0.1:3333 --scenario mixed

`--scenario` and `--memories` are fields of the web UI too. Users are Locust's: a closed loop, who wait for each answer.
Figures are kept on HDR histograms beside Locust's own rounded ones, and printed when the test stops; for open load,
targets and verdicts use `membench run`.
"""

import logging
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from locust import events, task
from locust.exception import StopUser
from locust.runners import MasterRunner

import scenarios
from harness.core.errors import Exit, LoadError
from harness.core.histogram import PERCENTS
from harness.core.recorder import UNKNOWN, OperationRecorder
from harness.core.scenario import ClosedArrivals, Scenario, load_scenario
from harness.corpus import Dataset, DatasetBuilder, GeneratedCorpus, params_of, requests
from harness.load.loader import BATCH, load
from harness.load.users import RecordedUser, Session, connect

ENDLESS = 2**31
_FILES = scenarios.paths()


@events.init_command_line_parser.add_listener
def _options(parser: Any) -> None:
    parser.add_argument("--scenario", choices=sorted(_FILES), default="mixed", help="what the users do")
    parser.add_argument("--memories", type=int, default=1000, help="memories to load before the users start")


class Workload:
    """What the users of one test do, and what was recorded of it.

    Args:
        scenario: whose mix and think time they have.
        dataset: what is loaded.
        seed: of the requests.
    """

    def __init__(self, scenario: Scenario, dataset: Dataset, seed: int) -> None:
        arrivals = scenario.arrivals
        self.think = arrivals.think if isinstance(arrivals, ClosedArrivals) else (0.1, 2.0)
        self.weights = [operation.weight for operation in scenario.operations]
        tapes = [
            requests(operation.request, dataset=dataset, count=ENDLESS, seed=seed + number, params=params_of(operation))
            for number, operation in enumerate(scenario.operations)
        ]
        self.session = Session(
            recorders=[OperationRecorder(operation.name, (0, UNKNOWN)) for operation in scenario.operations],
            tapes=[(tape, tape) for tape in tapes],
        )

    def print_figures(self) -> None:
        """The service clock of each operation, on HDR histograms."""
        print(f"{'closed loop, ms':24}{'count':>9}" + "".join(f"{f'P{p:g}':>10}" for p in PERCENTS))
        for recorder in self.session.recorders:
            histogram = recorder.log().histogram("service")
            figures = "".join(f"{(v or 0) / 1e3:10.2f}" for v in histogram.percentiles(PERCENTS))
            print(f"{recorder.name:24}{histogram.count:9}{figures}")


@events.test_start.add_listener
def _prepare(environment: Any, **_: Any) -> None:
    """Load the memories that the requests refer to; every start uses a seed of its own, so that creates are new."""
    if isinstance(environment.runner, MasterRunner):
        return
    if not environment.host:
        logging.getLogger(__name__).error("the users have no host: give one with --host or in the web UI")
        environment.process_exit_code = Exit.USAGE
        environment.runner.quit()
        return
    options = environment.parsed_options
    seed = time.time_ns() % 2**31
    scenario = load_scenario(_FILES[options.scenario])
    corpus = GeneratedCorpus(options.memories, seed=1, now=datetime.now(UTC) - timedelta(hours=1))
    builder = DatasetBuilder(corpus)
    if scenario.needs_data:
        try:
            load(environment.host, corpus.batches(BATCH), builder.add)
        except LoadError as error:
            logging.getLogger(__name__).error("%s", error)
            environment.process_exit_code = error.status
            environment.runner.quit()
            return
    MemoryUser.workload = Workload(scenario, builder.build(), seed)


@events.test_stop.add_listener
def _report(environment: Any, **_: Any) -> None:
    if MemoryUser.workload is not None:
        MemoryUser.workload.print_figures()


class MemoryUser(RecordedUser):
    """An agent that does what `--scenario` says."""

    workload: Workload | None = None

    def on_start(self) -> None:
        """Connect."""
        if self.workload is None:
            raise StopUser
        self.session = self.workload.session
        self.client = connect(self.host, 1)

    def wait_time(self) -> float:
        """Seconds to think before the next request."""
        return random.uniform(*self.workload.think) if self.workload else 0.0

    @task
    def request(self) -> None:
        """One request of the mix."""
        assert self.workload is not None
        operation = random.choices(range(len(self.workload.weights)), self.workload.weights)[0]
        self.send(operation, self.session.next_request(operation, measured=True), time.perf_counter_ns())
        self.session.tell_locust(self.environment)
