-- depends: alerts-0001-ledger alerts-0002-handling
-- The change feed: every new version and every action, numbered in the order in which they became visible. A sequence alone
-- gives numbers when rows are written, and who reads up to 7 never sees the 6 that is committed later. Here the number is given
-- at the very end of the transaction, under a lock that is held until the commit is visible: only commits wait for commits.
CREATE TABLE alert_change (
    number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id text    NOT NULL,
    kind     text    NOT NULL,  -- raised, version, or what was done: acknowledge, note, ...
    version  integer NOT NULL,  -- the content's
    action   integer NOT NULL   -- the number of the action, 0 for a version
);

CREATE FUNCTION note_alert_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1635017060, 4);
    IF TG_TABLE_NAME = 'handling_action' THEN
        INSERT INTO alert_change (alert_id, kind, version, action) VALUES (NEW.alert_id, NEW.kind, NEW.alert_version, NEW.number);
    ELSE
        INSERT INTO alert_change (alert_id, kind, version, action)
        VALUES (NEW.id, CASE NEW.version WHEN 1 THEN 'raised' ELSE 'version' END, NEW.version, 0);
    END IF;
    PERFORM pg_notify('alert_changed', '');
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER alert_version_changed AFTER INSERT ON alert_version DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION note_alert_change();
CREATE CONSTRAINT TRIGGER handling_action_changed AFTER INSERT ON handling_action DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION note_alert_change();
