-- The fix store. Columns are as in memory (engine/fixes.py); -2147483648 stands for "the tag reported nothing".
CREATE TABLE device (
    device_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name      text NOT NULL UNIQUE
);

CREATE TABLE fix (
    device_id    integer     NOT NULL,
    time         timestamptz NOT NULL,
    content      bigint      NOT NULL,  -- hash of all columns but device, time and received: part of the identity
    lat_e7       integer     NOT NULL,
    lon_e7       integer     NOT NULL,
    accuracy_cm  integer     NOT NULL,
    source       integer     NOT NULL,
    speed_cms    integer     NOT NULL,
    course_cdeg  integer     NOT NULL,
    altitude_cm  integer     NOT NULL,
    hdop_c       integer     NOT NULL,
    satellites   integer     NOT NULL,
    battery_pct  integer     NOT NULL,
    received     timestamptz NOT NULL,
    PRIMARY KEY (device_id, time, content)
);
CREATE INDEX fix_time ON fix USING brin (time);

CREATE TABLE device_event (
    device_id integer     NOT NULL REFERENCES device,
    time      timestamptz NOT NULL,
    kind      text        NOT NULL,
    value     text        NOT NULL,
    received  timestamptz NOT NULL,
    PRIMARY KEY (device_id, time, kind, value)
);

-- For people with a query tool: units of everyday life, and NULL where the tag reported nothing.
CREATE VIEW fix_readable AS
SELECT d.name AS device, f.time, f.lat_e7 / 1e7 AS lat, f.lon_e7 / 1e7 AS lon,
       nullif(f.accuracy_cm, -2147483648) / 100.0 AS accuracy_m,
       (ARRAY['unknown', 'gps', '', '', 'rf', 'lbs', 'wifi'])[f.source + 1] AS source,
       nullif(f.speed_cms, -2147483648) / 100.0 AS speed_mps,
       nullif(f.course_cdeg, -2147483648) / 100.0 AS course_deg,
       nullif(f.altitude_cm, -2147483648) / 100.0 AS altitude_m,
       nullif(f.hdop_c, -2147483648) / 100.0 AS hdop,
       nullif(f.satellites, -2147483648) AS satellites,
       nullif(f.battery_pct, -2147483648) AS battery_pct,
       f.received
FROM fix f JOIN device d USING (device_id);
