"""Grants and revokes rights: acls.py BROKERS, then lines `grant|revoke USER OPERATION topic|group NAME` on standard input.

Answers `done` to each, so that one process serves a whole test.
"""

import sys
import time

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Create": AclOperation.CREATE,
    "AlterConfigs": AclOperation.ALTER_CONFIGS,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
}
RESOURCES = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}

admin = AdminClient({"bootstrap.servers": sys.argv[1]})


def await_broker(about, granted):
    """The controller has done it; waits until the broker, which decides, knows it."""
    deadline = time.monotonic() + 20
    while bool(admin.describe_acls(AclBindingFilter(*about), request_timeout=10).result()) != granted:
        if time.monotonic() > deadline:
            sys.exit(f"{about}: the broker does not learn of it")
        time.sleep(0.01)


for line in sys.stdin:
    act, user, operation, resource, name = line.split()
    about = (
        RESOURCES[resource],
        name,
        ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        OPERATIONS[operation],
        AclPermissionType.ALLOW,
    )
    if act == "grant":
        answers = admin.create_acls([AclBinding(*about)], request_timeout=10)
    else:
        answers = admin.delete_acls([AclBindingFilter(*about)], request_timeout=10)
    for answer in answers.values():
        removed = answer.result()
        if act == "revoke" and len(removed) != 1:
            sys.exit(f"{line.strip()}: {len(removed)} were removed")
    await_broker(about, act == "grant")
    print("done", flush=True)
