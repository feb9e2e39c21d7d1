"""The broker that tests run on.

Found in this order: the one that LOYALTY_TEST_KAFKA_BOOTSTRAP names, Apache Kafka's jars (in
.kafka/libs, or below LOYALTY_KAFKA_HOME) on a Java runtime, a container, the in-process mock.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from services.embedded import MockBroker, free_port
from services.guard import Guarded, Orders, removable, wait_until

ROOT = Path(__file__).resolve().parent.parent
IMAGE = "apache/kafka:4.2.0"
HEAP = "320m"


@dataclass(frozen=True)
class KafkaSource:
    """Where Kafka comes from. Without an address, jars or an image it is the mock."""

    described: str
    bootstrap: str | None = None
    libraries: Path | None = None
    image: str | None = None

    @property
    def real(self) -> bool:
        return bool(self.bootstrap or self.libraries or self.image)

    @contextmanager
    def running(self, *, gathers_ms: int = 0) -> Iterator[str]:
        """Its bootstrap address while it runs. One that is started here lets a new group wait so
        long for more members before it shares out partitions.
        """
        if self.bootstrap:
            yield self.bootstrap
        elif self.libraries:
            with closing(KafkaServer.from_jars(self.libraries, gathers_ms)) as server:
                yield server.wait_until_ready()
        elif self.image:
            with closing(KafkaServer.from_image(self.image, gathers_ms)) as server:
                yield server.wait_until_ready()
        else:
            with closing(MockBroker({})) as broker:
                yield broker.bootstrap


def find_kafka() -> KafkaSource:
    if address := os.environ.get("LOYALTY_TEST_KAFKA_BOOTSTRAP"):
        return KafkaSource(f"at {address}, from LOYALTY_TEST_KAFKA_BOOTSTRAP", bootstrap=address)
    libraries = Path(os.environ.get("LOYALTY_KAFKA_HOME", ROOT / ".kafka")) / "libs"
    jars = sorted(libraries.glob("kafka_2.13-*.jar"))
    if jars and shutil.which("java"):
        version = jars[-1].stem.removeprefix("kafka_2.13-")
        return KafkaSource(f"{version} from {libraries}", libraries=libraries)
    if _container_engine_answers():
        return KafkaSource(f"from the container image {IMAGE}", image=IMAGE)
    return KafkaSource(
        "only the in-process mock (no LOYALTY_TEST_KAFKA_BOOTSTRAP, no jars in .kafka/libs with a"
        " Java runtime, no container engine)"
    )


def _container_engine_answers() -> bool:
    try:
        asked = ["docker", "version", "--format", "{{.Server.Version}}"]
        return subprocess.run(asked, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


class KafkaServer:
    """Apache Kafka on a loopback port: one node in KRaft mode that leaves nothing behind."""

    def __init__(self, port: int, steps: Sequence[Sequence[str]], *, remove: Sequence[Path] = ()):
        self._port = port
        self._guarded = Guarded(
            Orders(steps=steps, remove=[str(path) for path in remove], environment=dict(os.environ))
        )

    @classmethod
    def from_jars(cls, libraries: Path, gathers_ms: int = 0) -> KafkaServer:
        port, directory = free_port(), removable(None, prefix="loyalty-kafka-")
        properties = directory / "server.properties"
        options = _options(port, free_port(), "127.0.0.1", gathers_ms)
        options["log.dirs"] = f"{directory}/logs"
        properties.write_text("".join(f"{name}={value}\n" for name, value in options.items()))
        java = ["java", f"-Xmx{HEAP}", "-XX:+UseSerialGC", "-cp", f"{libraries}/*"]
        cluster = ["--cluster-id", uuid4().hex[:22], "--config", str(properties)]
        storage = [*java, "kafka.tools.StorageTool", "format", *cluster]
        return cls(port, [storage, [*java, "kafka.Kafka", str(properties)]], remove=[directory])

    @classmethod
    def from_image(cls, image: str, gathers_ms: int = 0) -> KafkaServer:
        port = free_port()
        options = _options(port, free_port(), "0.0.0.0", gathers_ms)  # noqa: S104  inside the container
        settings = [
            f"--env=KAFKA_{name.replace('.', '_').upper()}={value}"
            for name, value in options.items()
        ]
        publish = f"--publish=127.0.0.1:{port}:{port}"
        return cls(port, [["docker", "run", "--rm", "--init", publish, *settings, image]])

    def wait_until_ready(self) -> str:
        """The bootstrap address, once it answers."""
        wait_until(lambda: self._guarded.ended or self._answers(), seconds=90, pause_s=0.1)
        assert self._answers(), f"Kafka does not start: {self._guarded.complaint()}"
        return f"127.0.0.1:{self._port}"

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def close(self) -> None:
        self._guarded.stop()


def _options(port: int, controller_port: int, host: str, gathers_ms: int) -> dict[str, object]:
    """A node that serves tests: few internal partitions, no surprise topics."""
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://{host}:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "auto.create.topics.enable": "false",
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "group.initial.rebalance.delay.ms": gathers_ms,
        "group.min.session.timeout.ms": 1000,
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
    }
