"""Places an order as a client in another language does: Confluent's Avro serializer, the schema from the registry.

    place_order.py BROKERS REGISTRY_URL TOPIC ORDER_ID PRODUCT QUANTITY
"""

import datetime
import sys
import uuid

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient, record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

brokers, registry, topic, order_id, product, quantity = sys.argv[1:]
client = SchemaRegistryClient({"url": registry})
schema = client.get_latest_version("orderflow.orders.OrderPlaced").schema
settings = {"auto.register.schemas": False, "subject.name.strategy": record_subject_name_strategy}
serialize = AvroSerializer(client, schema, conf=settings)
now = datetime.datetime.now(datetime.timezone.utc)
order = {
    "meta": {
        "event_id": uuid.uuid4(),
        "occurred_at": now,
        "correlation_id": order_id,
        "causation_id": None,
        "source": "tests/python",
    },
    "order_id": uuid.UUID(order_id),
    "customer_id": None,
    "currency": "EUR",
    "items": [{"product_id": product, "quantity": int(quantity), "unit_price_minor": 250}],
    "total_minor": int(quantity) * 250,
    "payment_token": "tok_ok",
    "placed_at": now,
}
failures = []
producer = Producer({"bootstrap.servers": brokers, "acks": "all", "partitioner": "murmur2_random"})
producer.produce(
    topic,
    key=order_id,
    value=serialize(order, SerializationContext(topic, MessageField.VALUE)),
    on_delivery=lambda error, _record: failures.append(error) if error else None,
)
if producer.flush(10) or failures:
    sys.exit(f"not acknowledged: {failures}")
