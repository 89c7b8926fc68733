-- depends: engine-0001-fixes
-- Where the server offers TimescaleDB the fixes are a hypertable of one-day chunks; plain PostgreSQL keeps the plain table.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb') THEN
        CREATE EXTENSION IF NOT EXISTS timescaledb;
        PERFORM create_hypertable('fix', by_range('time', INTERVAL '1 day'), create_default_indexes => false);
    END IF;
END
$$;
