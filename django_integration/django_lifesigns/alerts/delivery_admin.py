"""The admin pages of deliveries."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.alerts.page import MESSAGE_LENGTH, AlertPage, with_zone
from django_lifesigns.alerts.tables import Delivery, Incident


class DeliveryAdmin(AlertPage):
    """Every notice on every channel: what the receiver has answered, and when it is tried again."""

    list_display = (
        "last_attempt",
        "incident_check",
        "channel",
        "kind",
        "shown_state",
        "attempts",
        "short_answer",
        "next_attempt",
    )
    list_display_links = ("last_attempt", "incident_check")
    list_filter = ("state", "channel", "kind")
    list_select_related = ("incident",)
    ordering = ("-last_attempt_at",)
    fields = (
        "incident",
        "channel",
        "kind",
        "shown_state",
        "attempts",
        "last_answer",
        "last_attempt",
        "next_attempt",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.defer("incident__record")

    def incidents(self, rows: QuerySet[Any]) -> QuerySet[Incident]:
        return Incident.objects.filter(deliveries__in=rows)

    @admin.display(description=lazy("last attempt at"), ordering="last_attempt_at")
    def last_attempt(self, row: Delivery) -> str | None:
        return with_zone(row.last_attempt_at)

    @admin.display(description=lazy("next attempt at"), ordering="next_attempt_at")
    def next_attempt(self, row: Delivery) -> str | None:
        return with_zone(row.next_attempt_at)

    @admin.display(description=lazy("check"), ordering="incident__check_name")
    def incident_check(self, row: Delivery) -> str:
        return row.incident.check_name

    @admin.display(description=lazy("last answer"))
    def short_answer(self, row: Delivery) -> str:
        return Truncator(row.last_answer).chars(MESSAGE_LENGTH)
