-- depends: alerts-0002-handling alerts-0004-changes
-- Actions stay as they were written. They go with their alert alone, where an erasure names itself; numbers that were given
-- are not given again.
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND coalesce(current_setting('tagwatch.erasure', true), '') <> '' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'table % is only appended to', TG_TABLE_NAME;
END
$$;

CREATE TABLE alert_numbers (
    raised bigint NOT NULL,  -- the highest of alerts that were erased
    seq    bigint NOT NULL   -- and of their versions
);
INSERT INTO alert_numbers VALUES (-1, 0);
