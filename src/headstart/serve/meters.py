"""What a server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32)


class Meters:
    """Requests by status, pictures by what came of them, answers by class, seconds and sizes of batches."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "headstart_requests", "Requests to name pictures, by status.", ["status"], registry=self.registry
        )
        self.pictures = Counter(
            "headstart_pictures",
            "Pictures, by what came of them: answered, or the reason why not.",
            ["outcome"],
            registry=self.registry,
        )
        self.predicted = Counter("headstart_predictions", "Answers, by class.", ["predicted"], registry=self.registry)
        self.strangers = Counter(
            "headstart_strangers", "Answered pictures that are none of the classes.", registry=self.registry
        )
        self.seconds = Histogram(
            "headstart_request_seconds", "Seconds to answer a request.", registry=self.registry, buckets=SECONDS
        )
        self.batches = Histogram(
            "headstart_batch_pictures", "Pictures answered together.", registry=self.registry, buckets=SIZES
        )
        self.in_flight = Gauge("headstart_requests_in_flight", "Requests being answered.", registry=self.registry)
        self.waiting = Gauge(
            "headstart_pictures_waiting", "Pictures that wait for their batch.", registry=self.registry
        )

    def text(self) -> bytes:
        """The page `/metrics`."""
        return generate_latest(self.registry)
