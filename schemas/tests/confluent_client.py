"""Reads and writes our contracts with Confluent's own client, as a service in another language would.

    confluent_client.py REGISTRY_URL GOLDEN_FOLDER

Every golden value is decoded by Confluent's AvroDeserializer with the schema it fetches from the registry, and encoded
again by its AvroSerializer to the same bytes. Prints the events as JSON, one a line.
"""

import datetime
import json
import pathlib
import sys
import uuid

from confluent_kafka.schema_registry import SchemaRegistryClient, record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext


def main(url, golden):
    registry = SchemaRegistryClient({"url": url})
    subjects = registry.get_subjects()
    decode = AvroDeserializer(registry)
    for file in sorted(pathlib.Path(golden).glob("*.avro")):
        value = file.read_bytes()
        context = SerializationContext("any-topic", MessageField.VALUE)
        event = decode(value, context)
        schema = registry.get_schema(int.from_bytes(value[1:5], "big"))
        name = json.loads(schema.schema_str)
        subject = f"{name['namespace']}.{name['name']}"
        assert subject in subjects, f"{subject} is not among {subjects}"
        assert encoder(registry, schema)(event, context) == value, f"{file} is written otherwise"
        assert registry.get_latest_version(subject).version in registry.get_versions(subject)
        assert registry.test_compatibility(subject, schema), f"{subject} is not compatible with itself"
        print(json.dumps({"subject": subject, "event": event}, default=text))
    check_refusals(registry, subjects[0])


def encoder(registry, schema):
    # Looks the schema up instead of registering it.
    settings = {
        "auto.register.schemas": False,
        "subject.name.strategy": record_subject_name_strategy,
    }
    return AvroSerializer(registry, schema, conf=settings)


def check_refusals(registry, subject):
    for code, refused in [
        (40401, lambda: registry.get_latest_version("nothing")),
        (40402, lambda: registry.get_version(subject, 999)),
        (40403, lambda: registry.get_schema(7)),
        (405, lambda: registry.delete_subject(subject)),
    ]:
        try:
            refused()
        except SchemaRegistryError as error:
            assert error.error_code == code, f"{error} instead of {code}"
        else:
            raise AssertionError(f"{code} was not refused")


def text(value):
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    raise TypeError(f"{value!r} is not in the contracts")


main(*sys.argv[1:])
