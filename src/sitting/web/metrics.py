"""What this process counts. No label holds anything a person chose."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()
REQUESTS = Counter("sitting_requests", "Requests answered.", ("handler", "method", "status"), registry=REGISTRY)
SECONDS = Histogram("sitting_request_seconds", "Time to the first byte of the answer.", ("handler",), registry=REGISTRY)
STREAMS = Gauge("sitting_streams", "Open live streams.", registry=REGISTRY)
EVENTS = Counter("sitting_stream_events", "Journal events written to live streams.", registry=REGISTRY)
STALLED = Counter("sitting_streams_stalled", "Live streams closed because nobody read them.", registry=REGISTRY)
GAPS = Counter(
    "sitting_stream_gaps", "Pages of events that did not continue the stream; each is a fault.", registry=REGISTRY
)
