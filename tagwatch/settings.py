"""The settings file `tagwatch.toml`: where broker, database and raw log are, and the few numbers an operator may change."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from alerts.alert import GRADE_ORDER
from alerts.floods import Thresholds
from alerts.handling import OUTCOMES, SENIORS, Limits
from engine.activations import Activation
from engine.error_model import DEVICE_MODELS, PERCENTILES
from engine.errors import InputError
from engine.times import MINUTE_US
from geofence.check import FilterSettings
from ingest.broker_trust import Trust
from tagwatch import secrets
from tagwatch.retention.terms import KINDS, Term, read_term

_HIDDEN = {key.rpartition(".")[2] for key in secrets.KEYS}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What may be a secret is in no representation: those end in logs and tracebacks."""
        for name, value in super().__repr_args__():
            yield name, "(not shown)" if name in _HIDDEN and value else value


class Broker(_Part):
    """The MQTT broker; the client id names the persistent session and must stay the same. PEM files: `cafile` trusts these
    authorities only, `certfile` and `keyfile` are what Tagwatch itself shows."""

    url: str = "mqtt://127.0.0.1:1883"
    client_id: str = "tagwatch"
    protocol: str = Field(default="auto", pattern="^(auto|3.1.1|5)$")
    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None

    @property
    def trust(self) -> Trust:
        """The files of TLS as links take them."""
        return Trust(self.cafile, self.certfile, self.keyfile)


class Database(_Part):
    """The PostgreSQL or TimescaleDB server; `upkeep_url` connects as the owner of the tables, for summaries, compression and
    retention, where `url` is of a role that may not; empty: `url` does."""

    url: str = "postgresql://127.0.0.1:5432/tagwatch"
    upkeep_url: str = ""


class RawLog(_Part):
    """Folder of the hash-chained log of everything received; the key that signs the roots of its days, empty for none."""

    folder: Path = Path("raw-log")
    key: str = ""


class Filter(_Part):
    """When a state is decided: posterior to raise and to clear at."""

    raise_at: float = Field(default=0.95, gt=0.5, le=0.98)
    clear_at: float = Field(default=0.05, ge=0.02, lt=0.5)


class Plan(_Part):
    """How devices without an activation report: percentile of the circle, intervals and grace [s], device model."""

    percentile: float | None = Field(default=None, gt=0, lt=1)
    fix_interval_s: int = Field(default=60, gt=0)
    upload_interval_s: int = Field(default=600, ge=0)
    grace_s: int = Field(default=300, ge=0)
    model: str = Field(default="", pattern=f"^({'|'.join(DEVICE_MODELS)})?$")


class Webhook(_Part):
    """Where alerts are posted, signed with the secret (whsec_... as standard webhooks write it) and with each older one."""

    url: str = ""
    secret: str = ""
    older_secrets: list[str] = []
    source: str = Field(default="tagwatch", min_length=1)


class Mail(_Part):
    """The mail server, empty for no mail; `centre`: addresses that are told of everything."""

    host: str = ""
    port: int = Field(default=0, ge=0, lt=65536)
    security: str = Field(default="starttls", pattern="^(starttls|tls|none)$")
    user: str = ""
    password: str = ""
    sender: str = ""
    centre: list[str] = []
    cafile: str | None = None


class AlertsMqtt(_Part):
    """The broker that alerts are published to, empty for none; the centre's topic holds {grade} and {wearer}."""

    url: str = ""
    client_id: str = "tagwatch-alerts"
    protocol: str = Field(default="auto", pattern="^(auto|3.1.1|5)$")
    topic: str = "alerts/{grade}/{wearer}"
    centre: bool = True
    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None

    @property
    def trust(self) -> Trust:
        """The files of TLS as links take them."""
        return Trust(self.cafile, self.certfile, self.keyfile)


class Handling(_Part):
    """What time does to alerts (minutes; 0: never), who may be asked, and when many alerts are a flood or an outage."""

    escalate_critical_minutes: float = Field(default=5, ge=0)
    escalate_high_minutes: float = Field(default=15, ge=0)
    escalate_medium_minutes: float = Field(default=0, ge=0)
    escalate_low_minutes: float = Field(default=0, ge=0)
    escalate_to: list[str] = Field(default=list(SENIORS), min_length=1)
    return_minutes: float = Field(default=120, gt=0)
    longest_shelf_minutes: float = Field(default=480, gt=0)
    outcomes: list[str] = Field(default=list(OUTCOMES), min_length=1)
    operators: int = Field(default=1, gt=0)
    flood_over: int = Field(default=10, gt=0)
    flood_under: int = Field(default=5, gt=0)
    outage_wearers: int = Field(default=5, gt=1)
    outage_minutes: float = Field(default=15, gt=0)
    outage_square_m: float = Field(default=5000, gt=0)
    stale_hours: float = Field(default=24, gt=0)


class Console(_Part):
    """The web console: it listens on an address of this machine, behind a proxy that speaks TLS; `hosts` are the names it
    answers to besides.

    `https` marks its cookies for TLS alone; `base_map` is a PMTiles file or the address of XYZ tiles ({z}/{x}/{y}), empty for
    coastlines; `demo` shows that nobody is real.
    """

    listen: str = "127.0.0.1"
    port: int = Field(default=8600, gt=0, lt=65536)
    hosts: list[str] = []
    https: bool = False
    base_map: str = ""
    attribution: str = ""
    demo: bool = False

    @model_validator(mode="after")
    def _is_behind_a_proxy(self) -> Console:
        try:
            address = ip_address(self.listen)
        except ValueError:
            raise ValueError(f"listen is {self.listen!r}: an IP address such as 127.0.0.1 or 0.0.0.0") from None
        if not address.is_loopback and not self.https:
            raise ValueError(
                f"listen = {self.listen} can be reached from other machines: only with https = true, behind TLS"
            )
        return self


class Metrics(_Part):
    """Where Prometheus finds the metrics and health: an address and port of this machine, empty for nowhere."""

    listen: str = "127.0.0.1:9600"

    @field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value:
            host_and_port(value)
        return value


class Health(_Part):
    """When the service says that it is not well: the raw log's disk nearly full, decisions behind what arrives, no sign of
    life."""

    least_free_mb: int = Field(default=1_000, ge=0)
    most_waiting_s: float = Field(default=30.0, gt=0)
    hang_s: float = Field(default=60.0, gt=0)


class ClockBound(_Part):
    """NTP servers that this machine's clock is held against (`host` or `host:port`), and by how much it may be wrong."""

    servers: list[str] = []
    bound_s: float = Field(default=1.0, gt=0)


class Log(_Part):
    """The form of the log, one line an event, and from which level on. `alerts`: whether the lines of alerts, which name
    people, go to standard output where that is no terminal but a file or a journal."""

    format: str = Field(default="text", pattern="^(text|json)$")
    level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    alerts: bool = False


class Evidence(_Part):
    """The key that signs the packs that the console builds (PKCS#12 or PEM with its certificate), empty for none."""

    key: str = ""


class Terms(_Part):
    """For how long each kind of data is kept: days, "N days after the end" of the last activation, or "kept"; unset: what the
    section above says, and there for good."""

    positions: int | str | None = None
    raw: int | str | None = None
    quarantine: int | str | None = None
    alerts: int | str | None = None
    matches: int | str | None = None
    configuration: int | str | None = None

    @field_validator(*KINDS, mode="before")
    @classmethod
    def _is_term(cls, value: Any) -> Any:
        if value is not None:
            read_term(value)
        return value

    def term(self, kind: str) -> Term | None:
        """The term of a kind of data, None where this section says nothing of it."""
        value = getattr(self, kind)
        return None if value is None else read_term(value)


_AT_THE_END = "0 days after the end"


class VoluntaryTerms(Terms):
    """What a volunteer agreed to ends when the agreement ends."""

    positions: int | str | None = _AT_THE_END
    raw: int | str | None = _AT_THE_END
    quarantine: int | str | None = _AT_THE_END
    alerts: int | str | None = _AT_THE_END
    matches: int | str | None = _AT_THE_END
    configuration: int | str | None = _AT_THE_END


class Retention(Terms):
    """The policy: terms of everybody, and of each basis before them. Nothing is erased by it unless `enforce` is true.

    `archives` are the folders of archives in which is erased too.
    """

    enforce: bool = False
    archives: list[Path] = []
    licence: Terms = Terms()
    bail: Terms = Terms()
    court_order: Terms = Terms()
    voluntary: VoluntaryTerms = VoluntaryTerms()

    @model_validator(mode="after")
    def _says_whether(self) -> Retention:
        if self.model_fields_set and "enforce" not in self.model_fields_set:
            raise ValueError("enforce = true, for what the terms say to be done each day, or enforce = false")
        return self

    def of_basis(self, kind: str, basis: str) -> Term:
        """The term of a kind of data for who wears a tag on this basis, empty where it is not known."""
        part = getattr(self, basis.replace(" ", "_")) if basis else self
        return part.term(kind) or self.term(kind) or Term()


class Settings(_Part):
    """All settings; every part and every key has a default."""

    broker: Broker = Broker()
    database: Database = Database()
    raw_log: RawLog = RawLog()
    filter: Filter = Filter()
    plan: Plan = Plan()
    webhook: Webhook = Webhook()
    mail: Mail = Mail()
    alerts_mqtt: AlertsMqtt = AlertsMqtt()
    handling: Handling = Handling()
    console: Console = Console()
    metrics: Metrics = Metrics()
    health: Health = Health()
    clock: ClockBound = ClockBound()
    log: Log = Log()
    evidence: Evidence = Evidence()
    retention: Retention = Retention()

    def without_secrets(self) -> dict[str, Any]:
        """All settings as plain data, what may be secret left out."""
        told = self.model_dump(mode="json")
        for part, name in (key.split(".") for key in secrets.KEYS):
            del told[part][name]
        return told

    @property
    def filter_settings(self) -> FilterSettings:
        """The filter's settings as the watch takes them."""
        return FilterSettings(raise_at=self.filter.raise_at, clear_at=self.filter.clear_at)

    @property
    def handling_limits(self) -> Limits:
        """When alerts escalate and return, and what people may do, as handling takes it."""
        part = self.handling
        after = {grade: round(getattr(part, f"escalate_{grade}_minutes") * MINUTE_US) for grade in GRADE_ORDER}
        return Limits(
            {grade: after_us for grade, after_us in after.items() if after_us}, tuple(part.escalate_to),
            round(part.return_minutes * MINUTE_US), round(part.longest_shelf_minutes * MINUTE_US), tuple(part.outcomes),
        )  # fmt: skip

    @property
    def flood_thresholds(self) -> Thresholds:
        """When many alerts are a flood or an outage, as the queue takes it."""
        part = self.handling
        return Thresholds(
            part.operators, part.flood_over, part.flood_under, outage_wearers=part.outage_wearers,
            outage_window_us=round(part.outage_minutes * MINUTE_US), outage_square_m=part.outage_square_m,
        )  # fmt: skip

    @property
    def default_plan(self) -> Activation:
        """The plan of devices without an activation."""
        percentile = self.plan.percentile or PERCENTILES[self.plan.model or "tag"]
        return Activation("", "", -(2**62), **{**self.plan.model_dump(), "percentile": percentile})


def host_and_port(text: str) -> tuple[str, int]:
    """An address such as 127.0.0.1:9600 or [::1]:9600 in its parts; ValueError says what is expected."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        ip_address(host)
    except ValueError:
        raise ValueError("an address of this machine and a port, such as 127.0.0.1:9600, or empty") from None
    if not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ValueError("a port from 0 to 65535 after the address, such as 127.0.0.1:9600")
    return host, int(port)


def read_settings(path: Path | None = None) -> Settings:
    """The settings of a file (default: tagwatch.toml in the working folder); InputError names file and key."""
    path = path or Path("tagwatch.toml")
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError("there is no settings file", place=str(path), expected="tagwatch.toml or --config FILE") from None
    except (ValueError, RecursionError, OSError) as fault:  # of TOML and UTF-8, and of numbers of thousands of digits
        raise InputError(f"cannot be read: {fault}", place=str(path)) from None
    raw = secrets.filled_in(raw, str(path))
    try:
        return Settings.model_validate(raw)
    except ValidationError as fault:
        first = fault.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        is_slip = first["type"] == "extra_forbidden"  # perhaps of a secret's key
        value = "(not shown)" if is_slip or secrets.holds(key) else first.get("input")
        raise InputError(place=str(path), field=key, value=value, expected=first["msg"]) from None
