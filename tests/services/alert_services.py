"""Stand-ins for PagerDuty, Opsgenie and Slack that enforce their documented fields, limits and authentication; and one
for any service of apprise."""

from __future__ import annotations

import json
import re
from datetime import datetime
from itertools import count
from typing import Any
from urllib.parse import unquote

from tests.services.certificates import Pair
from tests.services.receivers import Answer, Fault, Json, Receiver, Request, demand, units


def text_within(value: object, limit: int, name: str, least: int = 1) -> None:
    demand(isinstance(value, str) and least <= units(value) <= limit, f"{name}: {value!r}")


def keys_within(value: Json, allowed: str, required: str = "") -> None:
    demand(set(value) <= set(allowed.split()), f"unknown keys: {sorted(value)}")
    demand(set(value) >= set(required.split()), f"missing keys: {sorted(value)}")


class PagerDutyReceiver(Receiver):
    """The Events API v2. `alerts` are the states of those that are open, by their keys."""

    def __init__(self, routing_key: str, tls: Pair | None = None) -> None:
        super().__init__(tls)
        self.routing_key = routing_key
        self.alerts: dict[str, str] = {}
        self.events: list[Json] = []

    def verify(self, request: Request) -> Json:
        demand(len(request.body) <= 512_000, "too large", Answer(413))
        demand(request.path == "/v2/enqueue", request.path, Answer(404))
        event = request.json()
        keys_within(event, "routing_key event_action dedup_key payload client client_url links images")
        # As PagerDuty does, which repeats what it was sent.
        demand(event.get("routing_key") == self.routing_key, "routing_key", Answer(400, json.dumps(event)))
        demand(event.get("event_action") in {"trigger", "acknowledge", "resolve"}, "event_action")
        text_within(event.get("dedup_key"), 255, "dedup_key")
        if event["event_action"] == "trigger":
            payload = event.get("payload", {})
            allowed = "summary source severity timestamp component group class custom_details"
            keys_within(payload, allowed, "summary source severity")
            text_within(payload["summary"], 1024, "summary")
            text_within(payload["source"], 255, "source")
            demand(payload["severity"] in {"critical", "error", "warning", "info"}, "severity")
            datetime.fromisoformat(payload["timestamp"].replace("Z", "+00:00"))
            demand(isinstance(payload["custom_details"], dict), "custom_details")
            for link in event.get("links", []):
                keys_within(link, "href text", "href")
                demand(re.match(r"https?://[^\s<>]+$", link["href"]), "href")
        return event

    def take(self, event: Json) -> Answer:
        self.events.append(event)
        key, action = event["dedup_key"], event["event_action"]
        if action == "resolve":
            self.alerts.pop(key, None)
        elif action == "trigger" or key in self.alerts:
            self.alerts[key] = {"trigger": "triggered", "acknowledge": "acknowledged"}[action]
        return Answer(202, json.dumps({"status": "success", "message": "Event processed", "dedup_key": key}))


class OpsgenieReceiver(Receiver):
    """The alert API. `alerts` are the open ones by their aliases."""

    LIMITS = (
        ("message", 130),
        ("alias", 512),
        ("description", 15_000),
        ("entity", 512),
        ("source", 100),
        ("priority", 2),
    )

    def __init__(self, api_key: str, tls: Pair | None = None) -> None:
        super().__init__(tls)
        self.api_key = api_key
        self.alerts: dict[str, Json] = {}
        self.actions: list[tuple[str, str, Json]] = []

    def verify(self, request: Request) -> tuple[str, str, Json]:
        authorization = request.headers.get("authorization", "")
        refusal = Answer(401, json.dumps({"message": authorization}))
        demand(authorization == f"GenieKey {self.api_key}", "authorization", refusal)
        # As the gateways of Java's frameworks do.
        demand("%2f" not in request.path.lower(), "an encoded slash in the path")
        body = request.json()
        if request.path == "/v2/alerts":
            keys_within(body, "message alias description details entity source priority tags", "message alias")
            for name, limit in self.LIMITS:
                text_within(body[name], limit, name)
            demand(body["priority"] in {"P1", "P2", "P3", "P4", "P5"}, "priority")
            demand(len(body["tags"]) <= 20 and all(len(tag) <= 50 for tag in body["tags"]), "tags")
            details = body["details"]
            demand(all(isinstance(value, str) for value in details.values()), "details must be texts")
            demand(sum(units(key) + units(value) for key, value in details.items()) <= 8000, "details")
            return "create", body["alias"], body
        found = re.fullmatch(r"/v2/alerts/([^/]+)/(acknowledge|close)", request.path)
        demand(found and request.query.get("identifierType") == ["alias"], request.path, Answer(404))
        assert found
        keys_within(body, "user source note")
        text_within(body["source"], 100, "source")
        text_within(body["note"], 25_000, "note")
        return found[2], unquote(found[1]), body

    def take(self, said: tuple[str, str, Json]) -> Answer:
        action, alias, body = said
        self.actions.append(said)
        if action == "create":
            known = self.alerts.get(alias)
            self.alerts[alias] = body | {"count": 1 if known is None else known["count"] + 1, "status": "open"}
        elif action == "close":
            self.alerts.pop(alias, None)
        elif alias in self.alerts:
            self.alerts[alias]["status"] = "acknowledged"
        return Answer(202, json.dumps({"result": "Request will be processed", "took": 0.1, "requestId": "r"}))


class AppriseReceiver(Receiver):
    """What the service `json` of apprise is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[str] = []

    def verify(self, request: Request) -> Json:
        return request.json()

    def take(self, said: Json) -> Answer:
        self.received.append(f"{said['title']}\n{said['message']}")
        return Answer(200)


class SlackReceiver(Receiver):
    """Incoming webhooks below `/services/T0/B0/`, and the Web API below `/api` for a bot of all channels `C...`.

    `messages` are those there are, by their time stamps.
    """

    def __init__(self, token: str = "", tls: Pair | None = None) -> None:
        super().__init__(tls)
        self.token = token
        self.messages: dict[str, Json] = {}
        self._stamps = count(1)

    def verify(self, request: Request) -> tuple[str, Json]:
        body = request.json()
        if request.path.startswith("/services/T0/B0/"):
            keys_within(body, "text attachments blocks unfurl_links", "text")
            verify_message(body)
            return "webhook", body
        method = request.path.removeprefix("/api/")
        demand(method in {"chat.postMessage", "chat.update"}, request.path, Answer(404, "no_service"))
        valid = request.headers.get("authorization") == f"Bearer {self.token}"
        demand(valid, "token", not_ok("invalid_auth"))
        demand(body.get("channel", "").startswith("C"), "channel", not_ok("channel_not_found"))
        keys_within(body, "channel text attachments unfurl_links ts thread_ts reply_broadcast", "channel text")
        verify_message(body)
        return method, body

    def take(self, said: tuple[str, Json]) -> Answer:
        method, body = said
        if method == "chat.update":
            demand(body.get("ts") in self.messages, "no such message", not_ok("message_not_found"))
            self.messages[body["ts"]] |= body
            return Answer(200, json.dumps({"ok": True, "channel": body["channel"], "ts": body["ts"]}))
        demand(body.get("thread_ts") in {None, *self.messages}, "no such thread", not_ok("thread_not_found"))
        stamp = f"1700000000.{next(self._stamps):06}"
        self.messages[stamp] = body
        if method == "webhook":
            return Answer(200, "ok")
        return Answer(200, json.dumps({"ok": True, "channel": body["channel"], "ts": stamp}))


def not_ok(error: str) -> Answer:
    return Answer(200, json.dumps({"ok": False, "error": error}))


def verify_message(body: Json) -> None:
    """Verify texts, blocks and their limits."""
    verify_mrkdwn(body["text"], 3000)
    blocks = [block for attachment in body.get("attachments", []) for block in attachment["blocks"]]
    demand(len(blocks) <= 50, "blocks")
    demand(units(json.dumps(body, ensure_ascii=False)) <= 13_200, "the whole message")
    for block in blocks:
        keys_within(block, "type text fields", "type")
        demand(block["type"] == "section" and ("text" in block or "fields" in block), "section")
        demand(len(block.get("fields", [])) <= 10, "fields")
        for text, limit in [(block.get("text"), 3000), *((field, 2000) for field in block.get("fields", []))]:
            if text is not None:
                demand(text["type"] == "mrkdwn", "type of text")
                verify_mrkdwn(text["text"], limit)


def verify_mrkdwn(text: Any, limit: int) -> None:
    """Fault unless `&`, `<` and `>` are escaped, but in links."""
    text_within(text, limit, "text")
    rest = re.sub(r"<https?://[^<>|]*>", "", text)
    rest = re.sub(r"&(amp|lt|gt);", "", rest)
    if re.search(r"[<>&]", rest):
        raise Fault(f"not escaped: {text}")
