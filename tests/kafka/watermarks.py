"""Prints how many offsets a topic holds, by Confluent's Python client.

    watermarks.py BROKERS TOPIC
"""

import sys

from confluent_kafka import Consumer, TopicPartition

brokers, topic = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": brokers, "group.id": "tests", "enable.auto.commit": False})
partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
held = 0
for partition in partitions:
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
    held += high - low
print(held)
consumer.close()
