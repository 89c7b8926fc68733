-- depends: engine-0001-fixes
-- What could not be taken as it came, whole, with the reason.
CREATE TABLE quarantine (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received timestamptz NOT NULL,
    topic    text        NOT NULL,
    device   text        NOT NULL,
    payload  bytea       NOT NULL,
    reason   text        NOT NULL,
    field    text        NOT NULL,
    value    text        NOT NULL,
    expected text        NOT NULL
);
