"""Health checks for Django: from settings to the Lifesigns engine, and from its reports to URLs and commands.

The rooms, from the ground; each imports only from rooms before it (`tests/unit/test_structure.py`):
`checks` · `settings` · `targets` · `history` · `alerts` · `actions` · `runtime` · `http` · `dashboard` ·
`health_checks` · `management`.
What a Django developer looks for stands beside them: `apps`, `admin`, `middleware`, `models`, `service`, `urls`,
`urls_kubernetes`, `views`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    Application = TypeVar("Application")


def probes(application: Application) -> Application:
    """Return a WSGI or ASGI application that answers the probes, and hands all else to `application`.

    It does what `ProbeMiddleware` does as the first of `MIDDLEWARE`, for projects where something else has to be the
    first::

        application = django_lifesigns.probes(get_asgi_application())

    Raises:
        ImproperlyConfigured: the app is not installed.
    """
    # Here, since the package is imported before Django is configured.
    from django.apps import apps
    from django.core.exceptions import ImproperlyConfigured

    if not apps.is_installed("django_lifesigns"):  # the models that the import needs are none then
        raise ImproperlyConfigured("django_lifesigns.probes() needs 'django_lifesigns' in INSTALLED_APPS.")
    from django_lifesigns.http.wrapper import wrap

    wrapped: Application = wrap(application)  # type: ignore[assignment]
    return wrapped


def serve_probes(address: str) -> None:
    """Answer probes at `address` from this process, as web workers do at `PROBE_SERVER`.

    For processes that serve no HTTP, such as workers of a task queue. Call it in the main thread, where they start::

        @celery.signals.worker_ready.connect
        def start_probes(**_):
            django_lifesigns.serve_probes("0.0.0.0:9464")

    All settings of the probe server hold: callers show `TOKENS`, `/startup` waits for migrations, results are renewed
    and recorded. SIGTERM drains the process. What cannot be started is logged, and stops no worker.

    Args:
        address: as in `PROBE_SERVER`. Not that of web workers on the same host, for which this process would answer.
    """
    from django_lifesigns.runtime.worker import serve

    serve(address)
