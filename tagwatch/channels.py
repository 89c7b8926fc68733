"""The channels that the settings ask for: their notifiers by kind, and by which of them the centre itself is told."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping

from alerts.delivery import Notifier
from alerts.mail import MailNotifier, MailServer
from alerts.mqtt_notifier import MqttNotifier
from alerts.routing import Routing
from alerts.teams import Team, is_address
from alerts.terminal import TerminalNotifier
from alerts.webhook import WebhookNotifier
from engine.errors import InputError
from engine.times import Clock
from ingest.mqtt_link import Link
from tagwatch.settings import Settings

LANES = {"terminal": 1, "webhook": 8, "mail": 2, "mqtt": 8}
"""How many deliveries of each kind are under way at one time."""


def notifiers_of(settings: Settings, clock: Clock) -> dict[str, Notifier]:
    """A notifier for each kind of channel: always the terminal, the others where they have an address."""
    notifiers: dict[str, Notifier] = {"terminal": TerminalNotifier(sys.stdout, clock)}
    if settings.webhook.url:
        secrets = [settings.webhook.secret, *settings.webhook.older_secrets]
        notifiers["webhook"] = WebhookNotifier(settings.webhook.url, secrets, source=settings.webhook.source)
    if settings.mail.host:
        notifiers["mail"] = MailNotifier(_mail_server(settings), clock)
    if settings.alerts_mqtt.url:
        notifiers["mqtt"] = _mqtt_notifier(settings)
    return notifiers


def centre_of(settings: Settings) -> tuple[str, ...]:
    """The channels that the monitoring centre is told by, of everything."""
    channels = ["terminal"]
    if settings.webhook.url:
        channels.append("webhook")
    if settings.mail.host:
        channels += [f"mail:{address}" for address in settings.mail.centre]
    if settings.alerts_mqtt.url and settings.alerts_mqtt.centre:
        channels.append("mqtt")
    return tuple(channels)


def kinds_of(settings: Settings) -> tuple[str, ...]:
    """The kinds of channel by which members of teams can be told."""
    return tuple(kind for kind, is_set in (("mail", settings.mail.host), ("mqtt", settings.alerts_mqtt.url)) if is_set)


def routing_of(settings: Settings, teams: Iterable[Team], team_of: Mapping[str, str]) -> Routing:
    """Who is told, by these teams and the team of each wearer."""
    return Routing(centre_of(settings), {team.id: team for team in teams}, dict(team_of), kinds_of(settings))


def _mail_server(settings: Settings) -> MailServer:
    mail = settings.mail
    for field, address in (("mail.sender", mail.sender), *(("mail.centre", each) for each in mail.centre)):
        if not is_address(address):
            raise InputError(field=field, value=address, expected="one plain mail address such as alerts@centre.example")
    return MailServer(mail.host, mail.sender, mail.port, mail.security, mail.user, mail.password, mail.cafile)


def _mqtt_notifier(settings: Settings) -> MqttNotifier:
    mqtt = settings.alerts_mqtt
    name = f"{mqtt.client_id}-{os.getpid()}"  # no session is kept, and two processes must not throw each other out

    def make_link() -> Link:
        return Link(mqtt.url, name, mqtt.protocol, persistent=False, trust=mqtt.trust, on_publish=lambda _mid: None)

    make_link()  # a wrong address is refused at the start
    return MqttNotifier(make_link, mqtt.topic, settings.webhook.source)
