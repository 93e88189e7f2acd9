"""Prints the records of a topic as Confluent's Avro deserializer reads them, one JSON object per line.

    read_avro.py BROKERS REGISTRY_URL TOPIC COUNT
"""

import json
import sys
import time

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

brokers, registry, topic, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
deserialize = AvroDeserializer(SchemaRegistryClient({"url": registry}))
consumer = Consumer({"bootstrap.servers": brokers, "group.id": "tests", "enable.auto.commit": False})
partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
deadline = time.monotonic() + 20
read = 0
while read < count:
    record = consumer.poll(0.2)
    if time.monotonic() > deadline:
        sys.exit(f"{read} of {count} records within 20 s")
    if record is None:
        continue
    if record.error():
        sys.exit(str(record.error()))
    value = deserialize(record.value(), SerializationContext(topic, MessageField.VALUE))
    headers = {name: content.decode() for name, content in record.headers() or []}
    print(json.dumps({"key": record.key().decode(), "value": value, "headers": headers}, default=str))
    read += 1
consumer.close()
