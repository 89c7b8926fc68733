DROP TABLE handling_notice;
DROP TABLE handling_action;
DROP FUNCTION refuse_change();
DROP INDEX alert_raised_at;
DROP INDEX alert_timer;
DROP INDEX alert_open;
ALTER TABLE alert
    DROP CONSTRAINT alert_handling,
    DROP COLUMN handling_version, DROP COLUMN handling_since, DROP COLUMN waiting_since, DROP COLUMN handling_why,
    DROP COLUMN handled_by, DROP COLUMN assigned, DROP COLUMN escalations, DROP COLUMN shelved_until, DROP COLUMN outcome;
