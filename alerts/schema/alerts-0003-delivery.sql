-- depends: alerts-0001-ledger alerts-0002-handling
-- To whom a delivery goes and how urgent it is; notices of what people did or left undone go through the same outbox.
ALTER TABLE outbox
    ADD COLUMN rank     smallint NOT NULL DEFAULT 0,         -- of the grade: in a flood the critical goes first
    ADD COLUMN role     text     NOT NULL DEFAULT '',        -- what the receiver is shown; empty: the centre, all
    ADD COLUMN timezone text     NOT NULL DEFAULT 'UTC',     -- of the times in a mail
    ADD COLUMN kind     text     NOT NULL DEFAULT 'version', -- or the kind of a notice: escalated, returned, ...
    ADD COLUMN notice   bigint   NOT NULL DEFAULT 0,         -- its number, 0 for a version
    ADD COLUMN noticed  timestamptz,                         -- when it was made, and its words
    ADD COLUMN words    text     NOT NULL DEFAULT '';
ALTER TABLE outbox DROP CONSTRAINT outbox_alert_id_version_channel_key;
CREATE UNIQUE INDEX outbox_once ON outbox (alert_id, channel, version, notice);
DROP INDEX outbox_pending;
CREATE INDEX outbox_pending ON outbox (split_part(channel, ':', 1), next_at) WHERE status = 'pending';
CREATE INDEX outbox_dead ON outbox (id) WHERE status = 'dead';

ALTER TABLE handling_notice ADD COLUMN routed boolean NOT NULL DEFAULT false;
CREATE INDEX handling_notice_unrouted ON handling_notice (id) WHERE NOT routed;
