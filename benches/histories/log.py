"""What reads and writes the log of results."""

from __future__ import annotations

from datetime import timedelta

from benches.histories.data import DAYS
from benches.histories.show import command, count_queries, show


def measure_log(checks: int) -> None:
    """Every query on the log, and the recording of sweeps with their roll-ups."""
    from django.utils import timezone

    from django_lifesigns.history import recent
    from django_lifesigns.history.reports.collect import _grouped, collect
    from django_lifesigns.models import HealthCheckLog, ServiceAvailability
    from django_lifesigns.service import HealthCheckService

    now = timezone.now()
    service = HealthCheckService()
    logs = HealthCheckLog.objects.order_by("-checked_at")
    show("get_service_health_summary()", service.get_service_health_summary, ServiceAvailability.objects.all())
    show("get_recent_check_logs()", service.get_recent_check_logs, logs[:100])
    one = logs.filter(check_name="check_7")
    show("get_recent_check_logs('check_7')", lambda: service.get_recent_check_logs("check_7"), one[:100])
    gone = logs.filter(check_name="gone")
    show("the same of one that is gone", lambda: service.get_recent_check_logs("gone"), gone[:100])
    day, hour = now - timedelta(days=1), now - timedelta(hours=1)
    show("a report's slice of an hour", lambda: list(_grouped(hour, now)))
    show("a report on 24 hours", lambda: collect(day, now))
    show(f"a report on {DAYS} days", lambda: collect(now - timedelta(days=DAYS), now))
    show("the hours of /health/detailed/", recent.hours)
    errors = logs.filter(status="error", checked_at__gte=day)
    show("its latest errors", lambda: list(errors[:20]), errors[:20])
    show("count of all, as the admin's list does", HealthCheckLog.objects.count)
    _measure_recording(checks)


def _measure_recording(checks: int) -> None:
    from django_lifesigns.history.rollups import writer
    from django_lifesigns.history.write_behind import Recorder
    from lifesigns import Engine

    writer.ROLL_SECONDS = writer.RETRY_SECONDS = 0.0  # with each sweep
    engine = Engine(log=False)
    for number in range(checks):
        engine.register(f"check_{number}", lambda: True)
    recorder = Recorder()

    def record() -> None:
        recorder.add(engine.run(refresh=True), engine, log=True, availability=True)
        recorder.rollups.sample(engine)
        recorder._write()

    record()  # the first turn starts to roll up
    show(f"running a sweep of {checks} that do nothing, and writing it with its roll-ups", record)
    count_queries("recording a sweep with its roll-ups", record)


def measure_commands() -> None:
    """The commands that read or remove most of it."""
    for form in ("text", "html"):
        command(f"{DAYS} days as {form}", "generate_health_report", f"--hours={24 * DAYS}", f"--format={form}")
    command(f"{DAYS // 2} days", "health_prune", f"--days={DAYS // 2}")


def measure_admin() -> None:
    """The pages of the admin, as a browser gets them."""
    from django.contrib.auth.models import User
    from django.test import Client

    from django_lifesigns.models import HealthCheckLog

    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("someone"))
    last = HealthCheckLog.objects.order_by("-checked_at")[50]
    log = "healthchecklog/"
    pages = ["", "?p=3", "?o=0", "?status__exact=error", "?check=check_7", "?q=check_7", "?q=words", "?q=nowhere"]
    pages += [f"?q={last.correlation_id}", f"?checked_at__year={last.checked_at.year}", f"{last.pk}/change/"]
    for page in [*(log + page for page in pages), "serviceavailability/", "alertthreshold/", "incident/", "delivery/"]:

        def visit(page: str = page) -> None:
            if client.get(f"/admin/lifesigns/{page}").status_code != 200:
                raise RuntimeError(f"{page} is no page")

        show(f"admin: {page}", visit)
