DROP TABLE alert_numbers;
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % is only appended to', TG_TABLE_NAME;
END
$$;
