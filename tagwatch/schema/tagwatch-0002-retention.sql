-- depends: tagwatch-0001-access engine-0001-fixes
-- For how long data of people are kept, what stops that, and what was erased. Nothing here is a position.

-- What was decided for one wearer; it goes before the settings file.
CREATE TABLE retention_term (
    wearer    text        NOT NULL,
    kind      text        NOT NULL,
    days      integer     CHECK (days >= 0),            -- null: kept for good
    after_end boolean     NOT NULL,                     -- from the end of the last activation, else from the data's own time
    reason    text        NOT NULL CHECK (reason <> ''),
    set_by    text        NOT NULL,
    set_at    timestamptz NOT NULL,
    PRIMARY KEY (wearer, kind)
);

CREATE TABLE legal_hold (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    wearers      text[]      NOT NULL,                  -- none: everybody
    force        text,
    reference    text,                                  -- the crime, null for none
    from_time    timestamptz,
    to_time      timestamptz,
    reason       text        NOT NULL CHECK (reason <> ''),
    placed_by    text        NOT NULL,
    placed_at    timestamptz NOT NULL,
    released_by  text,
    released_at  timestamptz,
    released_why text,
    CHECK ((force IS NULL) = (reference IS NULL)),
    CHECK (cardinality(wearers) > 0 OR reference IS NOT NULL OR from_time IS NOT NULL OR to_time IS NOT NULL),
    CHECK (from_time IS NULL OR to_time IS NULL OR from_time < to_time)
);

-- Orders, and runs of the policy (no wearer). Steps can be repeated: `done` is counted in the transaction of each.
CREATE TABLE erasure (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    wearer     text,
    from_time  timestamptz,
    to_time    timestamptz NOT NULL,
    kinds      text[]      NOT NULL,
    reason     text        NOT NULL,
    order_ref  text        NOT NULL,
    ordered_by text        NOT NULL,
    ordered_at timestamptz NOT NULL,
    state      text        NOT NULL CHECK (state IN ('begun', 'held', 'done', 'broken off')),
    done       jsonb       NOT NULL DEFAULT '{}',       -- counts by place
    ended_at   timestamptz
);
CREATE INDEX erasure_open ON erasure (number) WHERE state <> 'done';

-- Up to when a wearer's time is closed: no fix is taken from before, no alert decided. Fixes from `reads_from` on are read:
-- a little before, so that what began before is seen as it was.
CREATE TABLE horizon (
    wearer       text        PRIMARY KEY,
    closed_until timestamptz NOT NULL,
    reads_from   timestamptz NOT NULL,
    moved        bigint      NOT NULL                   -- the number of the move that said so last
);

-- The same of devices whose activations were erased: nothing tells any more who wore them.
CREATE TABLE closed_span (
    device    text        NOT NULL,
    from_time timestamptz NOT NULL,
    to_time   timestamptz NOT NULL,
    PRIMARY KEY (device, from_time)
);

-- One row, which every writer of fixes locks: who moves a horizon waits for them, and they for him.
CREATE TABLE horizon_number (number bigint NOT NULL);
INSERT INTO horizon_number VALUES (0);
