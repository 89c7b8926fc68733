-- The ledger: the present content of every alert, the versions that led there, and what is still to be delivered.
CREATE TABLE alert (
    id        text PRIMARY KEY,
    wearer    text        NOT NULL,
    rule      text        NOT NULL,
    subject   text        NOT NULL,
    grade     text        NOT NULL,
    condition text        NOT NULL CHECK (condition IN ('active', 'cleared', 'retracted')),
    began     timestamptz NOT NULL,
    version   integer     NOT NULL,
    raised    bigint      NOT NULL,  -- order in which alerts were first raised
    raised_at timestamptz NOT NULL,
    handling  text        NOT NULL DEFAULT 'new',
    content   text        NOT NULL   -- the JSON line, byte for byte
);
CREATE INDEX alert_wearer ON alert (wearer);
CREATE INDEX alert_active ON alert (began) WHERE condition = 'active';

CREATE TABLE alert_version (
    seq        bigint      NOT NULL UNIQUE,  -- given by the one writer, so in the order of commits
    id         text        NOT NULL REFERENCES alert,
    version    integer     NOT NULL,
    reason     text        NOT NULL,
    content    text        NOT NULL,
    as_of      timestamptz NOT NULL,
    late_s     double precision NOT NULL,
    latency_ms double precision,
    PRIMARY KEY (id, version)
);

CREATE TABLE outbox (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id  text        NOT NULL,
    version   integer     NOT NULL,
    channel   text        NOT NULL,
    status    text        NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'dead')),
    attempts  integer     NOT NULL DEFAULT 0,
    next_at   timestamptz NOT NULL,
    error     text        NOT NULL DEFAULT '',
    delivered timestamptz,
    FOREIGN KEY (alert_id, version) REFERENCES alert_version (id, version),
    UNIQUE (alert_id, version, channel)
);
CREATE INDEX outbox_pending ON outbox (next_at) WHERE status = 'pending';
