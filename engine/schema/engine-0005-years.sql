-- depends: engine-0004-sequence-since
-- Fixes for years: whole seconds and NULL take a fraction of the room of timestamps and sentinels in a columnstore, and no
-- unique key keeps what comes from being compressed at once (writers see to it that every fix is stored once; fix_writer).
DROP VIEW fix_readable;
ALTER TABLE fix RENAME TO fix_before;
ALTER INDEX fix_pkey RENAME TO fix_before_pkey;

CREATE TABLE fix (
    device_id    integer NOT NULL,
    time_s       bigint  NOT NULL,  -- whole seconds since 1970 UTC; the instant is time_s + rest_us / 1e6
    rest_us      integer NOT NULL,
    lat_e7       integer NOT NULL,
    lon_e7       integer NOT NULL,
    accuracy_cm  integer,           -- NULL: the tag reported nothing
    source       integer NOT NULL,
    speed_cms    integer,
    course_cdeg  integer,
    altitude_cm  integer,
    hdop_c       integer,
    satellites   integer,
    battery_pct  integer,
    received_s   bigint  NOT NULL
);
INSERT INTO fix
SELECT device_id, floor(extract(epoch FROM time))::bigint, mod((extract(epoch FROM time) * 1000000)::bigint, 1000000),
       lat_e7, lon_e7, nullif(accuracy_cm, -2147483648), source, nullif(speed_cms, -2147483648),
       nullif(course_cdeg, -2147483648), nullif(altitude_cm, -2147483648), nullif(hdop_c, -2147483648),
       nullif(satellites, -2147483648), nullif(battery_pct, -2147483648), floor(extract(epoch FROM received))::bigint
FROM fix_before ORDER BY device_id, time;
DROP TABLE fix_before;
CREATE INDEX fix_device_time ON fix (device_id, time_s);
CREATE INDEX fix_time ON fix USING brin (time_s) WITH (autosummarize = on);

-- Who wrote fixes last, locked by who writes; from when on hours are not summarised (announced: not to be touched unmarked).
CREATE TABLE fix_writer (
    "row"       boolean PRIMARY KEY DEFAULT true CHECK ("row"),  -- there is one
    holder      text   NOT NULL DEFAULT '',
    announced_s bigint NOT NULL DEFAULT 0,
    until_s     bigint NOT NULL DEFAULT 0
);
INSERT INTO fix_writer DEFAULT VALUES;

-- One row for each hour of each device: where it was, and what a sound answer needs to know of the steps between its fixes.
CREATE TABLE fix_hour (
    device_id    integer NOT NULL,
    hour_s       bigint  NOT NULL,
    n_fixes      integer NOT NULL,
    n_minutes    integer NOT NULL,  -- minutes with a fix
    first_s      bigint  NOT NULL,
    last_s       bigint  NOT NULL,
    south_e7     integer NOT NULL,
    west_e7      integer NOT NULL,
    north_e7     integer NOT NULL,
    east_e7      integer NOT NULL,
    first_lat_e7 integer NOT NULL,
    first_lon_e7 integer NOT NULL,
    last_lat_e7  integer NOT NULL,
    last_lon_e7  integer NOT NULL,
    widest_cm    integer,           -- NULL: no fix of the hour has an accuracy
    n_unsaid     integer NOT NULL,  -- fixes without an accuracy
    sources      integer NOT NULL,  -- bits 1 << source
    gap_s        bigint  NOT NULL,  -- longest between two fixes of the hour, rounded up
    fastest_e7   double precision NOT NULL,  -- highest speed between two that follow each other [1e-7 degree a second]
    ahead_s      bigint  NOT NULL,  -- most by which a fix time is after its arrival
    PRIMARY KEY (device_id, hour_s)
);
CREATE INDEX fix_hour_hour ON fix_hour (hour_s);

-- Summarised hours that late fixes or deletions touched since.
CREATE SEQUENCE fix_hour_mark;
CREATE TABLE fix_hour_stale (
    device_id integer NOT NULL,
    hour_s    bigint  NOT NULL,
    mark      bigint  NOT NULL DEFAULT nextval('fix_hour_mark'),
    PRIMARY KEY (device_id, hour_s)
);

-- What an import stored beside the running service, which takes it over from here.
CREATE TABLE fix_import (
    number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    devices text[] NOT NULL
);

CREATE FUNCTION fix_longest_gap_s(times_us bigint[]) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce((max(b - a) + 999999) / 1000000, 0) FROM unnest(times_us[:cardinality(times_us) - 1], times_us[2:]) u (a, b)
$$;

CREATE FUNCTION fix_fastest_e7(times_us bigint[], lats_e7 integer[], lons_e7 integer[]) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(max(CASE WHEN lat1 = lat2 AND lon1 = lon2 THEN 0 WHEN t1 = t2 THEN 'Infinity'
               ELSE sqrt((lat2 - lat1::float8) ^ 2 + (lon2 - lon1::float8) ^ 2) * 1e6 / (t2 - t1) END), 0)
    FROM unnest(times_us[:cardinality(times_us) - 1], times_us[2:], lats_e7[:cardinality(times_us) - 1], lats_e7[2:],
                lons_e7[:cardinality(times_us) - 1], lons_e7[2:]) u (t1, t2, lat1, lat2, lon1, lon2)
$$;

-- One row for each day (UTC) of each device.
CREATE VIEW fix_day AS
SELECT device_id, hour_s / 86400 * 86400 AS day_s, sum(n_fixes) AS n_fixes, sum(n_minutes) AS n_minutes, count(*) AS n_hours,
       min(first_s) AS first_s, max(last_s) AS last_s, max(gap_s) AS gap_s, bit_or(sources) AS sources
FROM fix_hour GROUP BY device_id, hour_s / 86400 * 86400;

-- For people with a query tool: units of everyday life, and NULL where the tag reported nothing.
CREATE VIEW fix_readable AS
SELECT d.name AS device, to_timestamp(f.time_s) + f.rest_us * INTERVAL '1 microsecond' AS time,
       f.lat_e7 / 1e7 AS lat, f.lon_e7 / 1e7 AS lon, f.accuracy_cm / 100.0 AS accuracy_m,
       (ARRAY['unknown', 'gps', '', '', 'rf', 'lbs', 'wifi'])[f.source + 1] AS source, f.speed_cms / 100.0 AS speed_mps,
       f.course_cdeg / 100.0 AS course_deg, f.altitude_cm / 100.0 AS altitude_m, f.hdop_c / 100.0 AS hdop,
       f.satellites, f.battery_pct, to_timestamp(f.received_s) AS received
FROM fix f JOIN device d USING (device_id);
