DROP INDEX handling_notice_unrouted;
ALTER TABLE handling_notice DROP COLUMN routed;
DROP INDEX outbox_dead;
DROP INDEX outbox_pending;
CREATE INDEX outbox_pending ON outbox (next_at) WHERE status = 'pending';
DROP INDEX outbox_once;
DELETE FROM outbox WHERE notice <> 0;
ALTER TABLE outbox ADD CONSTRAINT outbox_alert_id_version_channel_key UNIQUE (alert_id, version, channel);
ALTER TABLE outbox
    DROP COLUMN rank, DROP COLUMN role, DROP COLUMN timezone, DROP COLUMN kind, DROP COLUMN notice, DROP COLUMN noticed,
    DROP COLUMN words;
