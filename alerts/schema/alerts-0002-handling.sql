-- depends: alerts-0001-ledger
-- Handling: every action on an alert, appended and never changed, and beside each alert the present that they fold to.
ALTER TABLE alert
    ADD CONSTRAINT alert_handling CHECK (handling IN ('new', 'acknowledged', 'escalated', 'shelved', 'closed')),
    ADD COLUMN handling_version integer NOT NULL DEFAULT 0,   -- number of actions; with 0 all below is as when raised
    ADD COLUMN handling_since   timestamptz,                  -- when the state began; null: raised_at
    ADD COLUMN waiting_since    timestamptz,                  -- since when nobody has it in hand
    ADD COLUMN handling_why     text    NOT NULL DEFAULT '',  -- why it is in this state
    ADD COLUMN handled_by       text    NOT NULL DEFAULT '',  -- the last person who changed the state
    ADD COLUMN assigned         text    NOT NULL DEFAULT '',
    ADD COLUMN escalations      integer NOT NULL DEFAULT 0,
    ADD COLUMN shelved_until    timestamptz,
    ADD COLUMN outcome          text    NOT NULL DEFAULT '';
-- What an operator sees: not closed, or closed while the condition goes on. A tamper never clears: closed is closed.
CREATE INDEX alert_open ON alert (grade, raised_at)
    WHERE condition <> 'retracted' AND (handling <> 'closed' OR (condition = 'active' AND rule NOT IN ('tag.strap', 'tag.case')));
CREATE INDEX alert_timer ON alert (handling, grade, (coalesce(handling_since, raised_at)))
    WHERE condition <> 'retracted' AND handling <> 'closed';
CREATE INDEX alert_raised_at ON alert (raised_at);

-- No reference to alert: what people did outlives the row it was done to.
CREATE TABLE handling_action (
    alert_id      text        NOT NULL,
    number        integer     NOT NULL CHECK (number > 0),
    kind          text        NOT NULL,
    actor         text        NOT NULL CHECK (actor <> ''),
    role          text        NOT NULL,
    at            timestamptz NOT NULL,
    alert_version integer     NOT NULL,  -- the content that it was taken upon
    state         text        NOT NULL,  -- the state after it
    note          text        NOT NULL,
    reason        text        NOT NULL,
    outcome       text        NOT NULL,
    whom          text        NOT NULL,  -- assigned or escalated to; who was called; the alert that was taken over
    channel       text        NOT NULL,
    said          text        NOT NULL,
    until         timestamptz,
    taken         jsonb,                 -- the handling that was taken over
    PRIMARY KEY (alert_id, number)
);
CREATE INDEX handling_action_at ON handling_action (at);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % is only appended to', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER handling_action_appended BEFORE UPDATE OR DELETE ON handling_action
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Who is to be told of an action; delivery reads it. Written in the transaction of the action, so once.
CREATE TABLE handling_notice (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id text        NOT NULL,
    number   integer     NOT NULL,
    kind     text        NOT NULL CHECK (kind IN ('escalated', 'assigned', 'returned', 'changed', 'unshelved', 'retracted')),
    at       timestamptz NOT NULL,
    role     text        NOT NULL,
    person   text        NOT NULL,
    text     text        NOT NULL,
    UNIQUE (alert_id, number),
    FOREIGN KEY (alert_id, number) REFERENCES handling_action (alert_id, number)
);
