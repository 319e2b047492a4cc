"""Real services for tests and for the demo: started on free loopback ports, gone afterwards whatever happens."""

from tests.services.base import Service, ServiceError, free_port
from tests.services.browser import LOOKS, Chromium, Tab
from tests.services.certificates import Certificates, Pair, certificates
from tests.services.cluster import Cluster
from tests.services.grpc import Grpc
from tests.services.http import HttpApis
from tests.services.mariadb import MariaDb
from tests.services.mosquitto import Mosquitto
from tests.services.nsd import Nsd
from tests.services.pgbouncer import PgBouncer
from tests.services.postgres import Postgres
from tests.services.processes import wait_until
from tests.services.proxy import Proxy
from tests.services.rabbitmq import RabbitMq
from tests.services.redis import Redis
from tests.services.s3 import S3
from tests.services.sentinel import Sentinel
from tests.services.smtp import Smtp
from tests.services.stack import Stack, start_all

__all__ = [
    "LOOKS",
    "S3",
    "Certificates",
    "Chromium",
    "Cluster",
    "Grpc",
    "HttpApis",
    "MariaDb",
    "Mosquitto",
    "Nsd",
    "Pair",
    "PgBouncer",
    "Postgres",
    "Proxy",
    "RabbitMq",
    "Redis",
    "Sentinel",
    "Service",
    "ServiceError",
    "Smtp",
    "Stack",
    "Tab",
    "certificates",
    "free_port",
    "start_all",
    "wait_until",
]
