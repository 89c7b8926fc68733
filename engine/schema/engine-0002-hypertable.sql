-- depends: engine-0001-fixes
-- Where the server offers TimescaleDB the fixes are a hypertable of one-day chunks; plain PostgreSQL keeps the plain table, and
-- so does a server that has the extension but has not loaded it, or may not give it to this role.
DO $$
BEGIN
    IF current_setting('timescaledb.disable_load', true) IS NULL
       OR NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb') THEN
        RETURN;
    END IF;
    BEGIN
        CREATE EXTENSION IF NOT EXISTS timescaledb;
    EXCEPTION WHEN insufficient_privilege THEN
        RETURN;
    END;
    PERFORM create_hypertable('fix', by_range('time', INTERVAL '1 day'), create_default_indexes => false);
END
$$;
