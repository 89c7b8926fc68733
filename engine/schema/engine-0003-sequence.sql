-- depends: engine-0001-fixes
-- How far each device's own sequence is durable here, and which numbers beyond that are: what `stored` notices say.
CREATE TABLE device_sequence (
    device_id integer PRIMARY KEY REFERENCES device,
    until     bigint NOT NULL,
    beyond    text   NOT NULL  -- numbers, with commas
);
